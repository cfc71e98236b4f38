//! Containers: names, places, what may not go.

use sterna_account::*;
use sterna_base::limits::{CONTAINER_DEPTH_MAX, CONTAINER_NAME_BYTES_MAX};
use sterna_base::*;

use crate::bed::*;

on_every_engine!(
    ids_and_validities_are_never_given_twice,
    a_validity_grows_when_the_clock_stands_or_goes_back,
    a_name_is_unique_for_its_kind_and_parent,
    names_have_a_length_and_no_separator,
    special_uses_are_taken_once_and_free_after_deletion,
    the_inbox_stays,
    a_tree_has_no_circles,
    a_tree_has_a_depth_also_when_branches_move,
    a_path_leads_as_far_as_it_exists,
    renaming_keeps_items_and_their_modseqs,
    steps_of_one_commit_see_those_before,
    a_container_that_changed_is_not_as_expected,
);

fn ids_and_validities_are_never_given_twice(bed: &mut Bed) {
    let before: Vec<Container> = bed.store().containers().unwrap();
    let first = bed.done(vec![create(None, "a")]);
    bed.done(vec![delete(id(&first[0]))]);
    bed.reopen();
    let second = bed.done(vec![create(None, "a")]);
    assert!(id(&second[0]) > id(&first[0]));
    let (old, new) = match (&first[0], &second[0]) {
        (Outcome::Container { uid_validity: old, .. }, Outcome::Container { uid_validity: new, .. }) => (old, new),
        other => panic!("{other:?}"),
    };
    assert!(new > old && before.iter().all(|container| container.uid_validity < *old));
    let ids: Vec<u64> = before.iter().map(|container| container.id.0).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
}

fn a_validity_grows_when_the_clock_stands_or_goes_back(bed: &mut Bed) {
    let last = bed.container(TRASH).uid_validity;
    bed.now = Timestamp(0);
    let made = id(&bed.done(vec![create(None, "a")])[0]);
    assert_eq!(bed.container(made).uid_validity, UidValidity(last.0 + 1));
    bed.now = NOW.plus_ms(3_600_000);
    let made = id(&bed.done(vec![create(None, "b")])[0]);
    assert_eq!(i64::from(bed.container(made).uid_validity.0), bed.now.seconds());
}

fn a_name_is_unique_for_its_kind_and_parent(bed: &mut Bed) {
    bed.done(vec![create(None, "a"), create(Some(ARCHIVE), "a")]);
    assert_eq!(bed.commit(vec![create(None, "a")]), Err(CommitError::NameTaken));
    assert_eq!(bed.commit(vec![rename(TRASH, Some(ARCHIVE), "a")]), Err(CommitError::NameTaken));
    let kind = ContainerKind::Calendar;
    bed.done(vec![Mutation::CreateContainer { parent: None, kind, name: "a".into(), special_use: None }]);
    bed.done(vec![create(None, "A"), create(None, "ä")]);
}

fn names_have_a_length_and_no_separator(bed: &mut Bed) {
    bed.done(vec![create(None, &"x".repeat(CONTAINER_NAME_BYTES_MAX))]);
    let too_long = "ä".repeat(CONTAINER_NAME_BYTES_MAX / 2 + 1);
    for name in ["", "a/b", "line\nbreak", "nul\0", &too_long] {
        assert_eq!(bed.commit(vec![create(None, name)]), Err(CommitError::InvalidName), "{name:?}");
        assert_eq!(bed.commit(vec![rename(TRASH, None, name)]), Err(CommitError::InvalidName), "{name:?}");
    }
}

fn special_uses_are_taken_once_and_free_after_deletion(bed: &mut Bed) {
    let trash = |name: &str| Mutation::CreateContainer {
        parent: None,
        kind: ContainerKind::Mail,
        name: name.to_owned(),
        special_use: Some(SpecialUse::Trash),
    };
    assert_eq!(bed.commit(vec![trash("Bin")]), Err(CommitError::SpecialUseTaken));
    let outcomes = bed.done(vec![delete(TRASH), trash("Bin")]);
    assert_eq!(bed.container(id(&outcomes[1])).special_use, Some(SpecialUse::Trash));
}

fn the_inbox_stays(bed: &mut Bed) {
    assert_eq!(bed.commit(vec![delete(INBOX)]), Err(CommitError::InboxStays));
    assert_eq!(bed.commit(vec![rename(INBOX, None, "Post")]), Err(CommitError::InboxStays));
    assert_eq!(bed.commit(vec![rename(INBOX, Some(TRASH), "INBOX")]), Err(CommitError::InboxStays));
    bed.done(vec![rename(INBOX, None, "INBOX"), create(Some(INBOX), "below")]);
}

fn a_tree_has_no_circles(bed: &mut Bed) {
    let below = id(&bed.done(vec![create(Some(ARCHIVE), "below")])[0]);
    assert_eq!(bed.commit(vec![rename(ARCHIVE, Some(below), "Archive")]), Err(CommitError::NameTaken));
    assert_eq!(bed.commit(vec![rename(ARCHIVE, Some(ARCHIVE), "Archive")]), Err(CommitError::NameTaken));
    assert_eq!(bed.commit(vec![delete(ARCHIVE)]), Err(CommitError::HasChildren));
    let nowhere = ContainerId(99);
    assert_eq!(bed.commit(vec![rename(ARCHIVE, Some(nowhere), "x")]), Err(CommitError::NoSuchContainer(nowhere)));
    assert_eq!(bed.commit(vec![create(Some(nowhere), "x")]), Err(CommitError::NoSuchContainer(nowhere)));
    bed.done(vec![rename(below, None, "above"), rename(ARCHIVE, Some(below), "Archive")]);
    assert_eq!(bed.container(ARCHIVE).parent, Some(below));
}

fn a_tree_has_a_depth_also_when_branches_move(bed: &mut Bed) {
    let mut path = vec![id(&bed.done(vec![create(None, "level")])[0])];
    while path.len() < CONTAINER_DEPTH_MAX {
        path.push(id(&bed.done(vec![create(path.last().copied(), "level")])[0]));
    }
    assert!(matches!(bed.commit(vec![create(path.last().copied(), "level")]), Err(CommitError::Limit(_))));
    let top = path[0];
    assert!(matches!(bed.commit(vec![rename(top, Some(ARCHIVE), "deeper")]), Err(CommitError::Limit(_))));
    bed.done(vec![rename(path[1], None, "up"), rename(top, Some(ARCHIVE), "as deep")]);
    bed.done(vec![rename(path[1], Some(TRASH), "as deep")]);
}

fn a_path_leads_as_far_as_it_exists(bed: &mut Bed) {
    let outcomes = bed.done(vec![create(None, "a"), create(Some(ARCHIVE), "a"), create(Some(ContainerId(7)), "b")]);
    let [top, below_archive, below] = [0, 1, 2].map(|at| id(&outcomes[at]));
    let calendar = ContainerKind::Calendar;
    let step = Mutation::CreateContainer { parent: None, kind: calendar, name: "a".into(), special_use: None };
    let of_other_kind = id(&bed.done(vec![step])[0]);
    let ids = |kind, path: &[&str]| -> Vec<ContainerId> {
        let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
        let found = bed.store().containers_on_path(kind, &path).unwrap();
        found.iter().for_each(|container| assert_eq!(bed.container(container.id), *container));
        found.iter().map(|container| container.id).collect()
    };
    let mail = ContainerKind::Mail;
    assert_eq!(ids(mail, &["INBOX"]), [INBOX]);
    assert_eq!(ids(mail, &["a", "b"]), [top, below]);
    assert_eq!(ids(mail, &["Archive", "a"]), [ARCHIVE, below_archive]);
    assert_eq!(ids(mail, &["a", "c", "b"]), [top]);
    assert_eq!(ids(calendar, &["a", "b"]), [of_other_kind]);
    for nowhere in [&["A"][..], &["b"], &["", "a"], &["inbox"], &[]] {
        assert_eq!(ids(mail, nowhere), [], "{nowhere:?}");
    }
    bed.done(vec![rename(top, Some(ARCHIVE), "d"), delete(below)]);
    let path: Vec<String> = ["Archive", "d", "b"].map(str::to_owned).to_vec();
    let found = bed.store().containers_on_path(mail, &path).unwrap();
    assert_eq!(found.iter().map(|container| container.id).collect::<Vec<_>>(), [ARCHIVE, top]);
}

fn renaming_keeps_items_and_their_modseqs(bed: &mut Bed) {
    let folder = id(&bed.done(vec![create(None, "a")])[0]);
    bed.done(vec![Mutation::Append { container: folder, item: item("text", None) }]);
    let (before, since) = (bed.container(folder), bed.head().modseq);
    bed.done(vec![rename(folder, Some(ARCHIVE), "b")]);
    let modseq = bed.head().modseq;
    let (parent, name) = (Some(ARCHIVE), "b".to_owned());
    let after = Container { parent, name, modseq, highest_modseq: modseq, ..before };
    assert_eq!(bed.changes(since, 10), [Change::Container(after)]);
    assert_eq!(bed.texts(folder), [(1, "text".to_owned())]);
}

fn steps_of_one_commit_see_those_before(bed: &mut Bed) {
    let next = ContainerId(7);
    bed.done(vec![
        create(None, "a"),
        Mutation::Append { container: next, item: item("text", None) },
        create(Some(next), "b"),
        rename(next, None, "c"),
        create(None, "a"),
        move_items(next, UidSet::all(), ContainerId(9)),
        delete(ContainerId(8)),
        delete(next),
    ]);
    assert_eq!(bed.texts(ContainerId(9)), [(1, "text".to_owned())]);
    assert_eq!(bed.store().containers().unwrap().len(), 7);
}

fn a_container_that_changed_is_not_as_expected(bed: &mut Bed) {
    let expect = |highest_modseq| {
        let (kind, name) = (ContainerKind::Mail, "a".to_owned());
        vec![Mutation::ExpectContainer { kind, name, highest_modseq }, append("x")]
    };
    bed.done(expect(None));
    let made = id(&bed.done(vec![create(None, "a")])[0]);
    assert_eq!(bed.commit(expect(None)), Err(CommitError::Unexpected));
    let before = bed.container(made).highest_modseq;
    bed.done(expect(Some(before)));
    bed.done(vec![Mutation::Append { container: made, item: item("y", None) }]);
    assert_eq!(bed.commit(expect(Some(before))), Err(CommitError::Unexpected));
    bed.done(expect(Some(bed.container(made).highest_modseq)));
    // One of this name elsewhere, or of another kind, is another one.
    bed.done(vec![delete(made), create(Some(ARCHIVE), "a")]);
    bed.done(expect(None));
    let kind = ContainerKind::Calendar;
    bed.done(vec![Mutation::CreateContainer { parent: None, kind, name: "a".into(), special_use: None }]);
    bed.done(expect(None));
}
