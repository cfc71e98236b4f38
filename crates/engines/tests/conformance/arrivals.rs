//! Mailboxes that come from another server with their numbers.

use sterna_account::commit::MODSEQ_MIN_MAX;
use sterna_account::*;
use sterna_base::*;

use crate::bed::*;

fn numbers(container: ContainerId, uid_validity: u32, uid_next: u32, modseq_min: u64) -> Mutation {
    let (uid_validity, uid_next) = (UidValidity(uid_validity), Uid(uid_next));
    let modseq_min = Modseq(modseq_min);
    Mutation::SetNumbers { container, uid_validity, uid_next, modseq_min, expect_uid_next: None }
}

fn append_at(uid: u32, text: &str) -> Mutation {
    Mutation::AppendAt { container: INBOX, uid: Uid(uid), item: item(text, None) }
}

fn a_mailbox_keeps_the_numbers_of_another_server(bed: &mut Bed) {
    bed.done(vec![numbers(INBOX, 77, 1, 5000), append_at(3, "three"), append_at(9, "nine"), numbers(INBOX, 77, 20, 0)]);
    let inbox = bed.container(INBOX);
    assert_eq!((inbox.uid_validity, inbox.uid_next), (UidValidity(77), Uid(20)));
    assert_eq!((bed.head().modseq, inbox.highest_modseq), (Modseq(5001), Modseq(5001)));
    assert_eq!(bed.texts(INBOX), [(3, "three".to_owned()), (9, "nine".to_owned())]);
    // Said again it changes nothing.
    bed.done(vec![numbers(INBOX, 77, 20, 5000)]);
    assert_eq!(bed.head().modseq, Modseq(5001));
    bed.done(vec![append("after")]);
    assert_eq!(bed.texts(INBOX).last(), Some(&(20, "after".to_owned())));
    bed.done(vec![numbers(INBOX, 77, 1, 6000)]);
    assert_eq!((bed.head().modseq, bed.container(INBOX).uid_next), (Modseq(6001), Uid(21)));
}

fn numbers_that_clients_have_seen_stay(bed: &mut Bed) {
    let before = bed.container(INBOX).uid_validity;
    bed.done(vec![append("one")]);
    assert_eq!(bed.commit(vec![numbers(INBOX, 77, 1, 0)]), Err(CommitError::Unexpected));
    assert_eq!(bed.commit(vec![append_at(1, "again")]), Err(CommitError::Unexpected));
    bed.done(vec![numbers(INBOX, before.0, 5, 0)]);
    assert_eq!(bed.commit(vec![append_at(4, "behind")]), Err(CommitError::Unexpected));
    for wrong in [numbers(INBOX, 0, 1, 0), numbers(INBOX, before.0, 1, MODSEQ_MIN_MAX.0 + 1)] {
        assert!(bed.commit(vec![wrong]).is_err());
    }
}

fn what_came_in_between_is_not_taken_for_the_other_servers(bed: &mut Bed) {
    let expecting = |expected: u32| match numbers(INBOX, 77, 1, 0) {
        Mutation::SetNumbers { container, uid_validity, uid_next, modseq_min, .. } => {
            let expect_uid_next = Some(Uid(expected));
            Mutation::SetNumbers { container, uid_validity, uid_next, modseq_min, expect_uid_next }
        }
        other => other,
    };
    bed.done(vec![expecting(1), append_at(3, "three")]);
    bed.done(vec![append("own")]);
    assert_eq!(bed.commit(vec![expecting(4), append_at(9, "nine")]), Err(CommitError::Unexpected));
    bed.done(vec![expecting(5), append_at(9, "nine")]);
    assert_eq!(bed.texts(INBOX).iter().map(|(uid, _)| *uid).collect::<Vec<_>>(), [3, 4, 9]);
}

fn a_mailbox_is_beyond_what_clients_saw_also_when_others_brought_the_account_further(bed: &mut Bed) {
    let create =
        Mutation::CreateContainer { parent: None, kind: ContainerKind::Mail, name: "a".to_owned(), special_use: None };
    let Outcome::Container { id, .. } = bed.done(vec![create])[0] else { panic!("no container") };
    let uid_validity = bed.container(id).uid_validity.0;
    bed.done(vec![numbers(INBOX, 77, 1, 5000)]);
    bed.done(vec![numbers(id, uid_validity, 1, 4000)]);
    assert_eq!(bed.container(id).highest_modseq, Modseq(5002));
    bed.done(vec![numbers(id, uid_validity, 1, 4000)]);
    assert_eq!(bed.head().modseq, Modseq(5002));
}

fn a_mailbox_made_again_has_another_validity(bed: &mut Bed) {
    let create = || Mutation::CreateContainer {
        parent: None,
        kind: ContainerKind::Mail,
        name: "a".to_owned(),
        special_use: None,
    };
    let made = |outcome: &Outcome| match outcome {
        Outcome::Container { id, uid_validity } => (*id, *uid_validity),
        other => panic!("{other:?}"),
    };
    let (first, _) = made(&bed.done(vec![create()])[0]);
    let later = u32::try_from(NOW.0 / 1000).unwrap() + 1000;
    bed.done(vec![numbers(first, later, 1, 0), Mutation::DeleteContainer { container: first }]);
    let (second, uid_validity) = made(&bed.done(vec![create()])[0]);
    assert_eq!(uid_validity, UidValidity(later + 1));
    // One from the end of the range doesn't use the range up.
    bed.done(vec![numbers(second, u32::MAX, 1, 0), Mutation::DeleteContainer { container: second }]);
    assert_eq!(made(&bed.done(vec![create()])[0]).1, UidValidity(later + 2));
}

on_every_engine!(
    a_mailbox_keeps_the_numbers_of_another_server,
    numbers_that_clients_have_seen_stay,
    what_came_in_between_is_not_taken_for_the_other_servers,
    a_mailbox_is_beyond_what_clients_saw_also_when_others_brought_the_account_further,
    a_mailbox_made_again_has_another_validity,
);
