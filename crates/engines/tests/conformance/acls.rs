//! Rights of others: rows like everything else.

use sterna_account::acl::ACL_ENTRIES_MAX;
use sterna_account::commit::{Expect, MADE};
use sterna_account::*;
use sterna_base::*;

use crate::bed::*;

on_every_engine!(
    rights_are_kept_with_the_container_and_its_digest,
    an_entry_that_is_so_already_takes_no_modseq,
    a_new_container_has_what_its_parent_has,
    what_a_commit_makes_is_given_and_placed_in_it,
    a_list_has_an_end,
);

const BOB: Identifier = Identifier::Entry(AccountId(77));

fn give(container: ContainerId, identifier: Identifier, letters: &str) -> Mutation {
    Mutation::SetAcl { container, identifier, negative: false, rights: Rights::parse(letters).unwrap() }
}

fn rights_are_kept_with_the_container_and_its_digest(bed: &mut Bed) {
    let before = bed.head();
    let take = Mutation::SetAcl { container: INBOX, identifier: BOB, negative: true, rights: Rights::WRITE };
    bed.done(vec![give(INBOX, BOB, "lr"), give(INBOX, Identifier::Anyone, "l"), take]);
    bed.reopen();
    let inbox = bed.container(INBOX);
    assert_eq!(inbox.acl.to_string(), "anyone=l 77=lr -77=w");
    assert_eq!((inbox.modseq, inbox.highest_modseq), (before.modseq.next(), before.modseq.next()));
    assert_ne!(bed.head().digest, before.digest);
    assert_eq!(bed.changes(before.modseq, 10), [Change::Container(inbox)]);
    bed.done(vec![give(INBOX, BOB, ""), append("a message")]);
    assert_eq!(bed.container(INBOX).acl.to_string(), "anyone=l -77=w");
    let gone = ContainerId(99);
    assert_eq!(bed.commit(vec![give(gone, BOB, "l")]), Err(CommitError::NoSuchContainer(gone)));
}

fn an_entry_that_is_so_already_takes_no_modseq(bed: &mut Bed) {
    bed.done(vec![give(INBOX, BOB, "lr")]);
    let head = bed.head();
    bed.done(vec![give(INBOX, BOB, "rl"), give(TRASH, BOB, "")]);
    assert_eq!(bed.head(), head);
}

fn a_new_container_has_what_its_parent_has(bed: &mut Bed) {
    bed.done(vec![give(ARCHIVE, BOB, "lrk")]);
    let child = id(&bed.done(vec![create(Some(ARCHIVE), "2026")])[0]);
    assert_eq!(bed.container(child).acl, bed.container(ARCHIVE).acl);
    bed.done(vec![give(ARCHIVE, BOB, ""), rename(child, None, "2026")]);
    assert_eq!(bed.container(child).acl.to_string(), "77=lrk");
    let top = id(&bed.done(vec![create(None, "top")])[0]);
    assert!(bed.container(top).acl.is_empty());
}

fn what_a_commit_makes_is_given_and_placed_in_it(bed: &mut Bed) {
    assert_eq!(bed.commit(vec![give(MADE, BOB, "l")]), Err(CommitError::NoSuchContainer(MADE)));
    bed.done(vec![give(ARCHIVE, BOB, "lrk")]);
    let shared = bed.done(vec![create(None, "first"), create(None, "shared"), give(MADE, BOB, "lr")]);
    assert!(bed.container(id(&shared[0])).acl.is_empty());
    assert_eq!(bed.container(id(&shared[1])).acl.to_string(), "77=lr");
    // What is made at the top and then put elsewhere has nothing of what is given there.
    let put = Mutation::RenameContainer { container: MADE, parent: Some(ARCHIVE), name: "closed".to_owned() };
    let closed = id(&bed.done(vec![create(None, "closed-1"), put])[0]);
    let closed = bed.container(closed);
    assert!(closed.acl.is_empty() && closed.parent == Some(ARCHIVE) && closed.name == "closed", "{closed:?}");
    // What is noted about it comes in the same commit, too.
    let about = Mutation::CreateAbout { kind: ContainerKind::Metadata };
    let note = Mutation::Put { container: MADE, item: item("blue", Some("colour")), expect: Expect::Absent };
    let noted = bed.done(vec![create(None, "noted"), about.clone(), note.clone()]);
    let (of, notes) = (bed.container(id(&noted[0])), bed.container(id(&noted[1])));
    assert_eq!((notes.kind, &notes.name), (ContainerKind::Metadata, &ContainerKind::about(Some(of.id))));
    assert_eq!((of.counts.items, notes.counts.items, notes.parent), (0, 1, None));
    for refused in [about, note] {
        assert_eq!(bed.commit(vec![refused]), Err(CommitError::NoSuchContainer(MADE)));
    }
    // The next commit has made nothing yet.
    assert_eq!(bed.commit(vec![give(MADE, BOB, "l")]), Err(CommitError::NoSuchContainer(MADE)));
}

fn a_list_has_an_end(bed: &mut Bed) {
    let many = |from: u64, to: u64| (from..to).map(|id| give(INBOX, Identifier::Entry(AccountId(id)), "l")).collect();
    let most = ACL_ENTRIES_MAX as u64;
    bed.done(many(0, most));
    assert!(matches!(bed.commit(many(most, most + 1)), Err(CommitError::Limit(_))));
    bed.done(vec![give(INBOX, Identifier::Entry(AccountId(3)), "lr")]);
}
