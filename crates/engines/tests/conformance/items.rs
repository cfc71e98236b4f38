//! Items: UIDs, names, flags, quota.

use sterna_account::commit::Expect;
use sterna_account::*;
use sterna_base::limits::KEYWORDS_PER_CONTAINER_MAX;
use sterna_base::*;

use crate::bed::*;

on_every_engine!(
    what_items_call_themselves_is_unique,
    a_uid_is_never_given_twice,
    a_name_keeps_its_uid_until_it_is_removed,
    a_named_item_moves_within_its_container,
    names_are_taken_per_container,
    copies_keep_flags_dates_and_keywords_by_name,
    flags_change_only_where_they_differ,
    keywords_are_known_for_ever_and_not_without_end,
    a_quota_holds_to_the_item,
    a_quota_holds_to_the_byte,
    dates_are_given_or_those_of_the_commit,
    listings_are_cut_at_their_limit,
);

fn store_flags(uids: UidSet, action: FlagAction, flags: FlagSet, unchanged_since: Option<Modseq>) -> Mutation {
    Mutation::StoreFlags { container: INBOX, uids, action, flags, unchanged_since }
}

fn keyword(name: &str) -> FlagSet {
    let mut flags = FlagSet::default();
    flags.insert(Keyword::new(name).unwrap());
    flags
}

fn a_uid_is_never_given_twice(bed: &mut Bed) {
    bed.done(vec![append("1"), append("2"), append("3")]);
    bed.done(vec![expunge(INBOX, uids(&[2, 3]))]);
    assert_eq!(uid(&bed.done(vec![append("4")])[0]), Uid(4));
    let moved = bed.done(vec![move_items(INBOX, UidSet::all(), INBOX)]);
    let uid_validity = bed.container(INBOX).uid_validity;
    assert_eq!(moved, [Outcome::Copied { uid_validity, pairs: vec![(Uid(1), Uid(5)), (Uid(4), Uid(6))] }]);
    bed.reopen();
    assert_eq!(bed.container(INBOX).uid_next, Uid(7));
    assert_eq!(bed.texts(INBOX), [(5, "1".to_owned()), (6, "4".to_owned())]);
}

fn a_name_keeps_its_uid_until_it_is_removed(bed: &mut Bed) {
    let first = uid(&bed.done(vec![put("a", Some("n"), Expect::Absent)])[0]);
    assert_eq!(bed.commit(vec![put("b", Some("n"), Expect::Absent)]), Err(CommitError::Unexpected));
    let stale = Expect::Content(BlobHash::of(b"b"));
    assert_eq!(bed.commit(vec![put("b", Some("n"), stale)]), Err(CommitError::Unexpected));
    let fresh = Expect::Content(BlobHash::of(b"a"));
    assert_eq!(uid(&bed.done(vec![put("b", Some("n"), fresh)])[0]), first);
    assert_eq!(bed.store().blob(BlobHash::of(b"a"), 0..1), Err(StoreError::NoSuchBlob(BlobHash::of(b"a"))));
    let removed = bed.done(vec![Mutation::Remove { container: INBOX, name: "n".into() }]);
    assert_eq!(removed, [Outcome::Expunged { uids: UidSet::one(first) }]);
    assert_eq!(bed.store().item_named(INBOX, "n", ItemParts::default()).unwrap(), None);
    assert!(uid(&bed.done(vec![put("c", Some("n"), Expect::Absent)])[0]) > first);
    assert_eq!(bed.head().quota.items_used, 1);
}

fn a_named_item_moves_within_its_container(bed: &mut Bed) {
    bed.done(vec![put("a", Some("n"), Expect::Absent)]);
    assert_eq!(bed.commit(vec![copy(INBOX, UidSet::all(), INBOX)]), Err(CommitError::NameTaken));
    bed.done(vec![move_items(INBOX, UidSet::all(), INBOX)]);
    let found = bed.store().item_named(INBOX, "n", ItemParts::default()).unwrap().unwrap();
    assert_eq!(found.uid, Uid(2));
}

fn names_are_taken_per_container(bed: &mut Bed) {
    let named = |container| Mutation::Append { container, item: item("x", Some("n")) };
    bed.done(vec![named(INBOX), named(ARCHIVE)]);
    assert_eq!(bed.commit(vec![named(INBOX)]), Err(CommitError::NameTaken));
    assert_eq!(bed.commit(vec![move_items(INBOX, UidSet::all(), ARCHIVE)]), Err(CommitError::NameTaken));
    bed.done(vec![copy(INBOX, UidSet::all(), TRASH)]);
    assert_eq!(bed.store().item_named(TRASH, "n", ItemParts::default()).unwrap().unwrap().uid, Uid(1));
    // Names are compared byte for byte.
    assert_eq!(bed.store().item_named(TRASH, "N", ItemParts::default()).unwrap(), None);
}

fn copies_keep_flags_dates_and_keywords_by_name(bed: &mut Bed) {
    let mut flags = keyword("$Second").with(SystemFlag::Flagged);
    flags.insert(Keyword::new("$First").unwrap());
    let dated = NewItem { flags, internal_date: Some(Timestamp(5)), ..item("text", None) };
    bed.done(vec![Mutation::Append { container: INBOX, item: dated }]);
    bed.now = bed.now.plus_ms(1000);
    let other = NewItem { flags: keyword("$FIRST"), ..item("other", None) };
    bed.done(vec![Mutation::Append { container: ARCHIVE, item: other }, copy(INBOX, uids(&[1]), ARCHIVE)]);
    let copied = bed.store().items(ARCHIVE, &uids(&[2]), ItemParts::default(), 9).unwrap().remove(0);
    assert_eq!((copied.internal_date, copied.saved_at), (Timestamp(5), bed.now));
    assert_eq!(copied.flags, Flags { system: SystemFlag::Flagged as u8, keywords: 0b11 });
    let names: Vec<String> = bed.container(ARCHIVE).keywords.into_iter().map(String::from).collect();
    assert_eq!(names, ["$FIRST", "$Second"]);
}

fn flags_change_only_where_they_differ(bed: &mut Bed) {
    bed.done(vec![append("1"), append("2"), append("3")]);
    let seen = FlagSet::default().with(SystemFlag::Seen);
    bed.done(vec![store_flags(uids(&[2]), FlagAction::Add, seen.clone(), None)]);
    let since = bed.head().modseq;
    bed.done(vec![store_flags(uids(&[3]), FlagAction::Add, keyword("$K"), None)]);
    let all = UidSet::from_ranges(vec![(Uid(1), Uid(2)), (Uid(3), Uid::MAX)]);
    let outcomes = bed.done(vec![store_flags(all, FlagAction::Add, seen.clone(), Some(since))]);
    assert_eq!(outcomes, [Outcome::Flagged { changed: uids(&[1]), modified: uids(&[3]) }]);
    bed.done(vec![store_flags(uids(&[3]), FlagAction::Replace, seen.with(SystemFlag::Deleted), None)]);
    let rows = bed.store().item_flags(INBOX, Uid(0), 9).unwrap();
    let bits: Vec<_> = rows.iter().map(|row| (row.flags.system, row.flags.keywords)).collect();
    assert_eq!(bits, [(1, 0), (1, 0), (9, 0)]);
    let counts = bed.container(INBOX).counts;
    assert_eq!(counts, Counts { items: 3, bytes: 3, unseen: 0, deleted: 1, deleted_bytes: 1 });
    let gone = bed.done(vec![Mutation::Expunge { container: INBOX, uids: UidSet::all(), deleted_only: true }]);
    assert_eq!(gone, [Outcome::Expunged { uids: uids(&[3]) }]);
}

fn keywords_are_known_for_ever_and_not_without_end(bed: &mut Bed) {
    bed.done(vec![append("1")]);
    let unknown = bed.head();
    bed.done(vec![store_flags(UidSet::all(), FlagAction::Remove, keyword("never"), None)]);
    bed.done(vec![store_flags(uids(&[9]), FlagAction::Add, keyword("never"), None)]);
    assert_eq!(bed.head(), unknown);
    for number in 0..KEYWORDS_PER_CONTAINER_MAX {
        bed.done(vec![store_flags(UidSet::all(), FlagAction::Add, keyword(&format!("k{number}")), None)]);
    }
    let one_more = store_flags(UidSet::all(), FlagAction::Add, keyword("more"), None);
    assert!(matches!(bed.commit(vec![one_more]), Err(CommitError::Limit(_))));
    assert_eq!(bed.store().item_flags(INBOX, Uid(0), 1).unwrap()[0].flags.keywords, u128::MAX);
    bed.done(vec![store_flags(UidSet::all(), FlagAction::Replace, keyword("K127"), None)]);
    assert_eq!(bed.store().item_flags(INBOX, Uid(0), 1).unwrap()[0].flags.keywords, 1 << 127);
    assert_eq!(bed.container(INBOX).keywords.len(), KEYWORDS_PER_CONTAINER_MAX);
}

fn a_quota_holds_to_the_item(bed: &mut Bed) {
    bed.done(vec![Mutation::SetQuota { bytes_max: None, items_max: Some(2) }]);
    assert_eq!(bed.commit(vec![append("1"), append("2"), append("3")]), Err(CommitError::OverQuota));
    bed.done(vec![append("1"), append("2")]);
    assert_eq!(bed.commit(vec![append("3")]), Err(CommitError::OverQuota));
    assert_eq!(bed.commit(vec![copy(INBOX, uids(&[1]), TRASH)]), Err(CommitError::OverQuota));
    bed.done(vec![move_items(INBOX, uids(&[1]), TRASH)]);
    bed.done(vec![expunge(INBOX, uids(&[2])), append("3")]);
    bed.done(vec![delete(TRASH), append("4")]);
    assert_eq!(bed.head().quota.items_used, 2);
}

fn a_quota_holds_to_the_byte(bed: &mut Bed) {
    bed.done(vec![Mutation::SetQuota { bytes_max: Some(10), items_max: None }]);
    bed.done(vec![put("12345678", Some("n"), Expect::Any), append("90")]);
    assert_eq!(bed.commit(vec![append("x")]), Err(CommitError::OverQuota));
    bed.done(vec![append("")]);
    assert_eq!(bed.commit(vec![put("123456789", Some("n"), Expect::Any)]), Err(CommitError::OverQuota));
    bed.done(vec![put("87654321", Some("n"), Expect::Any)]);
    // Above the limit one may still shrink, flag and move.
    bed.done(vec![Mutation::SetQuota { bytes_max: Some(3), items_max: None }]);
    bed.done(vec![put("1234567", Some("n"), Expect::Any), move_items(INBOX, UidSet::all(), TRASH)]);
    let quota = Quota { bytes_max: Some(3), items_max: None, bytes_used: 9, items_used: 3 };
    assert_eq!(bed.head().quota, quota);
    bed.done(vec![Mutation::SetQuota { bytes_max: None, items_max: None }]);
    bed.done(vec![append("as much as you like")]);
}

fn dates_are_given_or_those_of_the_commit(bed: &mut Bed) {
    let dated = NewItem { internal_date: Some(Timestamp(-1)), ..item("", Some("a")) };
    bed.done(vec![Mutation::Append { container: INBOX, item: dated }]);
    bed.now = bed.now.plus_ms(7);
    bed.done(vec![put("new", Some("a"), Expect::Any), put("new", Some("b"), Expect::Any)]);
    let items = bed.store().items(INBOX, &UidSet::all(), ItemParts::default(), 9).unwrap();
    let dates: Vec<_> = items.iter().map(|item| (item.internal_date, item.saved_at)).collect();
    assert_eq!(dates, [(bed.now, NOW), (bed.now, bed.now)]);
}

fn listings_are_cut_at_their_limit(bed: &mut Bed) {
    bed.done((0..5).map(|number| append(&number.to_string())).collect());
    let narrow = bed.store().item_flags(INBOX, Uid(2), 2).unwrap();
    assert_eq!(narrow.iter().map(|row| row.uid.0).collect::<Vec<_>>(), [3, 4]);
    let wide = bed.store().items(INBOX, &uids(&[1, 3, 4, 5, 99]), ItemParts::default(), 3).unwrap();
    assert_eq!(wide.iter().map(|row| row.uid.0).collect::<Vec<_>>(), [1, 3, 4]);
    let nowhere = ContainerId(77);
    let missing = StoreError::NoSuchContainer(nowhere);
    assert_eq!(bed.store().item_flags(nowhere, Uid(0), 1), Err(missing.clone()));
    assert_eq!(bed.store().items(nowhere, &UidSet::all(), ItemParts::default(), 1), Err(missing.clone()));
    assert_eq!(bed.store().item_named(nowhere, "n", ItemParts::default()), Err(missing));
    assert_eq!(bed.store().container(nowhere), Ok(None));
    assert_eq!(bed.store().expunged(nowhere, Modseq::ZERO, Uid(0), 1), Ok(Vec::new()));
}

fn what_items_call_themselves_is_unique(bed: &mut Bed) {
    let folder = id(&bed.done(vec![create(None, "a")])[0]);
    let of = |name: &str, object_uid: &str| {
        let object_uid = Some(object_uid.to_owned());
        let item = NewItem { object_uid, ..item(name, Some(name)) };
        Mutation::Put { container: INBOX, item, expect: Expect::Any }
    };
    let taken = |name: &str| Err(CommitError::ObjectUidTaken { name: name.into() });
    bed.done(vec![of("a", "1"), of("b", "2")]);
    let before = bed.head();
    assert_eq!(bed.commit(vec![of("c", "1")]), taken("a"));
    assert_eq!(bed.commit(vec![of("b", "1")]), taken("a"));
    assert_eq!(bed.head(), before);
    // Its own is no obstacle, and what it was called before is free.
    bed.done(vec![of("a", "1"), of("a", "3"), of("c", "1")]);
    let found = bed.store().item_named(INBOX, "a", ItemParts::default()).unwrap().unwrap();
    assert_eq!(found.object_uid.as_deref(), Some("3"));
    bed.done(vec![Mutation::Remove { container: INBOX, name: "b".into() }, of("d", "2")]);
    // Copies keep it, where nobody else is called so.
    bed.done(vec![copy(INBOX, UidSet::one(found.uid), folder)]);
    let copied = bed.store().item_named(folder, "a", ItemParts::default()).unwrap().unwrap();
    assert_eq!(copied.object_uid, found.object_uid);
    bed.done(vec![Mutation::Remove { container: folder, name: "a".into() }]);
    let other = NewItem { object_uid: Some("3".into()), ..item("x", Some("other")) };
    bed.done(vec![Mutation::Append { container: folder, item: other }]);
    assert_eq!(bed.commit(vec![copy(INBOX, UidSet::one(found.uid), folder)]), taken("other"));
    bed.done(vec![put("plain", Some("a"), Expect::Any), of("e", "3")]);
}
