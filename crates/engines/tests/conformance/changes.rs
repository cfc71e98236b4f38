//! "What changed since n", and tombstones.

use sterna_account::commit::Expect;
use sterna_account::*;
use sterna_base::*;

use crate::bed::*;

on_every_engine!(
    since_n_is_what_came_after_n_and_nothing_else,
    a_row_that_changed_twice_appears_once,
    pages_of_one_commit_join_without_gap_or_repetition,
    a_deleted_container_leaves_its_tombstone_and_those_of_its_items,
    tombstones_are_listed_by_modseq_and_uid,
    a_reader_sees_what_is_committed,
    one_container_is_asked_for_what_changed_in_it,
);

fn since_n_is_what_came_after_n_and_nothing_else(bed: &mut Bed) {
    bed.done(vec![append("1"), append("2")]);
    let since = bed.head().modseq;
    assert_eq!(bed.changes(since, 10), []);
    bed.done(vec![copy(INBOX, uids(&[2]), TRASH), expunge(INBOX, uids(&[1]))]);
    let cursors: Vec<_> =
        bed.changes(since, 10).iter().map(|row| (row.cursor().container, row.cursor().uid.0)).collect();
    assert_eq!(cursors, [(INBOX, 0), (INBOX, 1), (TRASH, 0), (TRASH, 1)]);
    assert_eq!(bed.changes(Modseq(bed.head().modseq.0 + 5), 10), []);
    assert_eq!(bed.changes(Modseq(u64::MAX), 10), []);
    let everything = bed.changes(Modseq::ZERO, 10);
    assert_eq!(everything.len(), 6 + 3);
    assert!(everything.is_sorted_by_key(Change::cursor));
}

fn a_row_that_changed_twice_appears_once(bed: &mut Bed) {
    let since = bed.head().modseq;
    bed.done(vec![append("1"), append("2")]);
    for flag in [SystemFlag::Seen, SystemFlag::Flagged] {
        let (uids, flags) = (uids(&[1]), FlagSet::default().with(flag));
        let action = FlagAction::Replace;
        bed.done(vec![Mutation::StoreFlags { container: INBOX, uids, action, flags, unchanged_since: None }]);
    }
    let rows = bed.changes(since, 10);
    let cursors: Vec<_> = rows.iter().map(|row| (row.cursor().modseq.0 - since.0, row.cursor().uid.0)).collect();
    assert_eq!(cursors, [(1, 2), (3, 0), (3, 1)]);
    assert!(matches!(&rows[2], Change::Item(item) if item.flags.has(SystemFlag::Flagged)));
}

fn pages_of_one_commit_join_without_gap_or_repetition(bed: &mut Bed) {
    bed.done((0..20).map(|number| append(&number.to_string())).collect());
    let since = bed.head().modseq;
    bed.done(vec![
        copy(INBOX, UidSet::all(), ARCHIVE),
        create(None, "new"),
        move_items(INBOX, UidSet::range(Uid(5), Uid(9)), TRASH),
        delete(ContainerId(4)),
    ]);
    let whole = bed.changes(since, 1000);
    assert_eq!(whole.len(), 3 + 20 + 5 + 5 + 1 + 1);
    for page in [1, 2, 7] {
        assert_eq!(bed.changes(since, page), whole, "pages of {page}");
    }
    let exact = bed.store().changes(Cursor::since(since), whole.len()).unwrap();
    assert_eq!(exact.next, None, "a page that holds the rest is the last");
}

fn a_deleted_container_leaves_its_tombstone_and_those_of_its_items(bed: &mut Bed) {
    let folder = id(&bed.done(vec![create(None, "a")])[0]);
    let text = |text| Mutation::Append { container: folder, item: item(text, None) };
    bed.done(vec![text("1"), text("2"), text("3")]);
    bed.done(vec![expunge(folder, uids(&[2]))]);
    let (since, before) = (bed.head().modseq, bed.head().digest);
    bed.done(vec![delete(folder)]);
    let modseq = bed.head().modseq;
    let rows = bed.changes(since, 10);
    assert_eq!(rows[0], Change::ContainerDeleted { id: folder, modseq });
    let gone: Vec<_> =
        rows[1..].iter().map(|row| matches!(row, Change::Expunged(_)).then(|| row.cursor().uid)).collect();
    assert_eq!(gone, [Some(Uid(1)), Some(Uid(3))]);
    assert_eq!(bed.store().container(folder).unwrap(), None);
    assert_eq!(bed.commit(vec![text("4")]), Err(CommitError::NoSuchContainer(folder)));
    assert_eq!(bed.store().expunged(folder, Modseq::ZERO, Uid(0), 9).unwrap().len(), 3);
    assert_ne!(bed.head().digest, before);
    assert_eq!(bed.head().quota.items_used, 0);
}

fn tombstones_are_listed_by_modseq_and_uid(bed: &mut Bed) {
    let flagged = NewItem { flags: FlagSet::default().with(SystemFlag::Flagged), ..item("4", Some("four")) };
    bed.done(vec![append("1"), append("2"), append("3"), Mutation::Append { container: INBOX, item: flagged }]);
    bed.done(vec![expunge(INBOX, uids(&[3]))]);
    let since = bed.head().modseq;
    bed.now = bed.now.plus_ms(5);
    bed.done(vec![expunge(INBOX, uids(&[4, 1]))]);
    let listed = |since, after, limit| {
        let rows = bed.store().expunged(INBOX, since, after, limit).unwrap();
        rows.iter().map(|row| row.uid.0).collect::<Vec<_>>()
    };
    assert_eq!(listed(Modseq::ZERO, Uid(0), 9), [1, 3, 4]);
    assert_eq!(listed(since, Uid(0), 9), [1, 4]);
    assert_eq!(listed(since, Uid(1), 9), [4]);
    assert_eq!(listed(Modseq::ZERO, Uid(1), 1), [3]);
    assert_eq!(listed(bed.head().modseq, Uid(0), 9), [0_u32; 0]);
    let last = bed.store().expunged(INBOX, since, Uid(1), 9).unwrap().remove(0);
    let retained = Retained {
        blob: BlobHash::of(b"4"),
        size: 1,
        flags: Flags { system: SystemFlag::Flagged as u8, keywords: 0 },
        internal_date: NOW,
        name: Some("four".into()),
    };
    let (modseq, expunged_at) = (bed.head().modseq, bed.now);
    let retained = Some(retained);
    assert_eq!(last, Expunged { container: INBOX, uid: Uid(4), modseq, expunged_at, retained });
}

fn a_reader_sees_what_is_committed(bed: &mut Bed) {
    let reader = bed.store().reader().unwrap();
    let before = reader.head().unwrap();
    assert_eq!(before, bed.head());
    bed.done(vec![append("1")]);
    assert_eq!(reader.head().unwrap(), bed.head());
    assert_eq!(reader.item_flags(INBOX, Uid(0), 9).unwrap().len(), 1);
    let seen = std::thread::spawn(move || reader.blob(BlobHash::of(b"1"), 0..9).unwrap()).join().unwrap();
    assert_eq!(seen.as_ref(), b"1");
}

fn one_container_is_asked_for_what_changed_in_it(bed: &mut Bed) {
    let folder = id(&bed.done(vec![create(None, "a")])[0]);
    let named = |name: &str| Mutation::Append { container: folder, item: item(name, Some(name)) };
    let ask = |bed: &Bed, after, limit| {
        let changes = bed.store().container_changes(folder, after, limit).unwrap();
        assert_eq!(changes.head, bed.head().modseq);
        let rows = changes.rows.iter().map(|row| (matches!(row, Change::Item(_)), row.cursor().uid.0));
        (rows.collect::<Vec<_>>(), changes.next)
    };
    bed.done(vec![
        named("1"),
        named("2"),
        append("elsewhere"),
        Mutation::Append { container: folder, item: item("", None) },
    ]);
    let since = Cursor::since(bed.head().modseq);
    assert_eq!(ask(bed, Cursor::start(), 9), (vec![(true, 1), (true, 2)], None), "without what has no name");
    assert_eq!(ask(bed, since, 9), (vec![], None));
    bed.done(vec![named("4"), Mutation::Remove { container: folder, name: "1".into() }, append("elsewhere")]);
    bed.done(vec![Mutation::Put { container: folder, item: item("new", Some("2")), expect: Expect::Any }]);
    assert_eq!(ask(bed, since, 9), (vec![(false, 1), (true, 4), (true, 2)], None));
    // Pages of a commit join, whatever container the cursor is in.
    let (first, next) = ask(bed, since, 1);
    assert_eq!((first, ask(bed, next.unwrap(), 9).0), (vec![(false, 1)], vec![(true, 4), (true, 2)]));
    let (modseq, uid) = (next.unwrap().modseq, Uid(0));
    let before = Cursor { modseq, container: ContainerId(folder.0 - 1), uid };
    let after = Cursor { modseq, container: ContainerId(folder.0 + 1), uid };
    assert_eq!((ask(bed, before, 9).0.len(), ask(bed, after, 9).0), (3, vec![(true, 2)]));
    // What was purged is still told, without its name.
    bed.now = bed.now.plus_ms(DAY_MS);
    assert!(bed.purge(0) > 0);
    let rows = bed.store().container_changes(folder, since, 9).unwrap().rows;
    assert!(matches!(&rows[0], Change::Expunged(Expunged { retained: None, uid: Uid(1), .. })));
    bed.done(vec![delete(folder)]);
    let gone = bed.store().container_changes(folder, since, 9);
    assert_eq!(gone, Err(StoreError::NoSuchContainer(folder)));
}
