//! Copies that follow: what is at another place by the time its turn comes.

use sterna_account::commit::{Expect, OPERATION_RETENTION_MS};
use sterna_account::follow::*;
use sterna_account::fork::MODSEQS_SKIPPED;
use sterna_account::*;
use sterna_base::limits::INLINE_BLOB_BYTES_MAX;
use sterna_base::*;

use crate::bed::*;
use crate::copy::Copy;

on_every_engine!(
    containers_that_exchange_names_between_pages,
    a_name_that_a_deleted_container_had,
    a_special_use_that_a_deleted_container_had,
    containers_that_become_each_others_parents,
    an_item_name_that_another_item_had,
    items_come_before_the_row_of_their_container,
    a_container_deleted_while_half_of_it_was_copied,
    a_content_purged_between_its_row_and_its_bytes,
    a_content_that_one_row_drops_and_the_next_one_needs,
    a_long_content_is_staged,
    contents_come_until_they_are_too_many,
    a_page_of_any_size_has_few_bytes,
    what_is_expunged_is_retained_at_the_new_place_for_the_rest_of_its_time,
    limits_and_numbers_go_along,
    notes_about_a_container_go_along,
    a_commit_is_answered_at_the_new_place_and_not_done_again,
    a_number_is_not_given_again_after_its_answer_is_purged,
    only_what_follows_the_next_page_is_applied,
    only_an_equal_copy_takes_another_role,
    a_failover_puts_in_order_what_is_half_there,
    the_old_one_follows_back,
    a_look_at_a_source_without_news_changes_nothing,
);

fn append_to(container: ContainerId, text: &str) -> Mutation {
    Mutation::Append { container, item: item(text, None) }
}

fn containers_that_exchange_names_between_pages(bed: &mut Bed) {
    let made = bed.done(vec![create(None, "a"), create(None, "b")]);
    let (a, b) = (id(&made[0]), id(&made[1]));
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 100);
    bed.done(vec![rename(a, None, "c"), rename(b, None, "a")]);
    bed.done(vec![rename(a, None, "b")]);
    assert_eq!(copy.page(bed, 1).rows[0].cursor().container, b, "takes the name that the other still has here");
    copy.pull(bed, 1);
    let parked = copy.store.container(a).unwrap().unwrap().name;
    assert_eq!(bed.commit(vec![create(None, &parked)]), Err(CommitError::InvalidName), "{parked}");
    copy.pull_all(bed, 1);
}

fn a_name_that_a_deleted_container_had(bed: &mut Bed) {
    let old = id(&bed.done(vec![create(None, "a")])[0]);
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 100);
    // The tombstone of the old one is behind the new one's first item, which brings the new one early.
    bed.done(vec![rename(old, None, "b"), create(None, "a")]);
    let new = bed.store().containers().unwrap().last().unwrap().id;
    bed.done(vec![append_to(new, "1")]);
    bed.done(vec![delete(old), append_to(new, "2")]);
    for _ in 0..3 {
        copy.pull(bed, 1);
    }
    copy.pull_all(bed, 1);
}

fn a_special_use_that_a_deleted_container_had(bed: &mut Bed) {
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 100);
    let special_use = Some(SpecialUse::Trash);
    let trash = Mutation::CreateContainer { parent: None, kind: ContainerKind::Mail, name: "t".into(), special_use };
    assert_eq!(bed.commit(vec![trash.clone()]), Err(CommitError::SpecialUseTaken));
    bed.done(vec![delete(TRASH), trash]);
    copy.pull_all(bed, 1);
}

fn containers_that_become_each_others_parents(bed: &mut Bed) {
    let a = id(&bed.done(vec![create(None, "a")])[0]);
    let b = id(&bed.done(vec![create(Some(a), "b")])[0]);
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 100);
    bed.done(vec![rename(b, None, "b")]);
    bed.done(vec![rename(a, Some(b), "a")]);
    bed.done(vec![append_to(b, "later than its child")]);
    copy.pull(bed, 1);
    assert_eq!(copy.store.container(a).unwrap().unwrap().parent, Some(b));
    copy.pull_all(bed, 1);
}

fn an_item_name_that_another_item_had(bed: &mut Bed) {
    bed.done(vec![put("old", Some("n"), Expect::Any), append("other")]);
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 100);
    bed.done(vec![Mutation::Remove { container: INBOX, name: "n".into() }, put("new", Some("n"), Expect::Absent)]);
    // The tombstone moves behind the new item when nothing else does: by its modseq in another commit.
    bed.done(vec![put("newer", Some("n"), Expect::Any)]);
    bed.done(vec![move_items(INBOX, uids(&[3]), INBOX)]);
    copy.pull_all(bed, 1);
    assert!(copy.store.item_named(INBOX, "n", ItemParts::default()).unwrap().is_some());
}

fn items_come_before_the_row_of_their_container(bed: &mut Bed) {
    let folder = id(&bed.done(vec![create(None, "new")])[0]);
    for number in 0..10 {
        bed.done(vec![append_to(folder, &number.to_string())]);
    }
    let mut copy = Copy::new(bed);
    while copy.store.item_flags(folder, Uid(0), 9).map_or(0, |rows| rows.len()) < 3 {
        copy.pull(bed, 1);
    }
    let half = copy.store.container(folder).unwrap().unwrap();
    assert_eq!((half.name.as_str(), half.counts.items, half.uid_next), ("new", 3, Uid(11)));
    copy.pull_all(bed, 1);
}

fn a_container_deleted_while_half_of_it_was_copied(bed: &mut Bed) {
    let folder = id(&bed.done(vec![create(None, "going")])[0]);
    bed.done((0..10).map(|number| append_to(folder, &number.to_string())).collect());
    bed.done(vec![expunge(folder, uids(&[2]))]);
    let mut copy = Copy::new(bed);
    while copy.store.head().unwrap().quota.items_used < 5 {
        copy.pull(bed, 1);
    }
    bed.done(vec![delete(folder), append("1")]);
    copy.pull_all(bed, 2);
    assert_eq!(copy.store.head().unwrap().quota.items_used, 1);
}

fn a_content_purged_between_its_row_and_its_bytes(bed: &mut Bed) {
    bed.done(vec![put("first", Some("n"), Expect::Any), append("expunged")]);
    bed.done(vec![expunge(INBOX, uids(&[2]))]);
    let mut copy = Copy::new(bed);
    let mut page = copy.page(bed, 100);
    assert!(page.is_last);
    bed.done(vec![put("second", Some("n"), Expect::Any)]);
    bed.now = bed.now.plus_ms(1);
    bed.purge(0);
    let missing = copy.apply(bed, &page);
    assert!(matches!(missing, Err(FollowError::NoSuchBlob(_))), "{missing:?}");
    assert_eq!(copy.store.progress().unwrap(), Progress::start());
    page.forget_blobs(&[BlobHash::of(b"first"), BlobHash::of(b"expunged")]);
    assert!(!copy.apply(bed, &page).unwrap().is_equal);
    copy.check();
    copy.pull_all(bed, 100);
}

fn a_content_that_one_row_drops_and_the_next_one_needs(bed: &mut Bed) {
    bed.done(vec![put("shared", Some("n"), Expect::Any)]);
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 100);
    // What held it gets another content, and what comes after has it again.
    bed.done(vec![put("other", Some("n"), Expect::Any)]);
    bed.done(vec![append_to(TRASH, "shared")]);
    let page = copy.page(bed, 100);
    assert_eq!(copy.store.lacking(&page.blobs()).unwrap(), [BlobHash::of(b"other")]);
    copy.pull_all(bed, 100);
}

fn a_long_content_is_staged(bed: &mut Bed) {
    let long = vec![7; 2 * sterna_base::limits::BLOB_CHUNK_BYTES + 5];
    let hash = bed.stage(&long);
    let content = Content::Stored(hash);
    let summary = Some(bytes::Bytes::from_static(b"about it"));
    bed.done(vec![Mutation::Append { container: INBOX, item: NewItem { content, summary, ..item("", None) } }]);
    let mut copy = Copy::new(bed);
    let page = copy.page(bed, 100);
    let blobs = bed.store().copied_blobs(&page.blobs(), 0).unwrap();
    assert_eq!(blobs[0].content, Content::Stored(hash));
    assert_eq!(copy.store.follow(&page, blobs, bed.now), Err(FollowError::NoSuchBlob(hash)), "not staged");
    copy.pull_all(bed, 100);
    assert_eq!(copy.store.blob(hash, 0..3).unwrap().as_ref(), [7, 7, 7]);
}

fn contents_come_until_they_are_too_many(bed: &mut Bed) {
    let texts: Vec<String> = (0..5).map(|number| number.to_string().repeat(100)).collect();
    bed.done(texts.iter().map(|text| append(text)).collect());
    let mut hashes: Vec<BlobHash> = texts.iter().map(|text| BlobHash::of(text.as_bytes())).collect();
    hashes.insert(1, BlobHash([9; 32]));
    let given = |bytes_max| -> Vec<BlobHash> {
        bed.store().copied_blobs(&hashes, bytes_max).unwrap().into_iter().map(|blob| blob.hash).collect()
    };
    assert_eq!(given(0), [hashes[0]], "at least one");
    assert_eq!(given(299), [hashes[0], hashes[2]]);
    assert_eq!(given(300), [hashes[0], hashes[2], hashes[3]]);
    assert_eq!(given(u64::MAX).len(), 5);
    assert_eq!(bed.store().copied_blobs(&[BlobHash([9; 32])], 99).unwrap(), []);
}

fn a_page_of_any_size_has_few_bytes(bed: &mut Bed) {
    let most = PAGE_BYTES_MAX as usize / INLINE_BLOB_BYTES_MAX;
    for number in 0..most + 10 {
        let mut content = vec![1; INLINE_BLOB_BYTES_MAX];
        content[..8].copy_from_slice(&number.to_le_bytes());
        let content = Content::Inline(content.into());
        bed.done(vec![Mutation::Append { container: INBOX, item: NewItem { content, ..item("", None) } }]);
    }
    let mut copy = Copy::new(bed);
    let page = copy.page(bed, 10_000);
    let bytes: u64 = page.rows.iter().filter_map(blob_of).map(|(_, size)| size).sum();
    assert!(!page.is_last && bytes == PAGE_BYTES_MAX, "{bytes}");
    copy.apply(bed, &page).unwrap();
    assert!(copy.apply(bed, &copy.page(bed, 10_000)).unwrap().is_equal);
}

fn what_is_expunged_is_retained_at_the_new_place_for_the_rest_of_its_time(bed: &mut Bed) {
    bed.done(vec![append("1"), append("2"), append("3")]);
    bed.done(vec![expunge(INBOX, uids(&[1]))]);
    bed.now = bed.now.plus_ms(DAY_MS);
    bed.done(vec![expunge(INBOX, uids(&[2]))]);
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 2);
    let retained = |copy: &Copy| -> Vec<u32> {
        let rows = copy.store.expunged(INBOX, Modseq::ZERO, Uid(0), 9).unwrap();
        rows.iter().filter(|row| row.retained.is_some()).map(|row| row.uid.0).collect()
    };
    assert_eq!(retained(&copy), [1, 2]);
    assert_eq!(copy.store.purge(bed.now, bed.now, 10).unwrap(), 1);
    assert_eq!(retained(&copy), [2]);
    copy.check();
    assert_eq!(copy.store.blob(BlobHash::of(b"1"), 0..1), Err(StoreError::NoSuchBlob(BlobHash::of(b"1"))));
    copy.pull(bed, 10);
}

fn limits_and_numbers_go_along(bed: &mut Bed) {
    bed.now = NOW.plus_ms(5000);
    let newest = id(&bed.done(vec![create(None, "a")])[0]);
    bed.done(vec![delete(newest), Mutation::SetQuota { bytes_max: Some(7), items_max: Some(8) }]);
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 3);
    let there = bed.done(vec![create(None, "b")]);
    copy.store.set_role(Epoch(2), Role::Ready, NOW).unwrap();
    copy.store.set_role(Epoch(2), Role::Active, NOW).unwrap();
    let mutations = vec![create(None, "b")];
    let sent = Commit { operation: OperationId::random(), epoch: Epoch(2), mutations };
    let here = copy.store.commit(&[sent], bed.now).unwrap().remove(0).unwrap();
    assert_eq!(here.outcomes, there, "id and UIDVALIDITY as the source would give them");
    let quota = copy.store.head().unwrap().quota;
    assert_eq!((quota.bytes_max, quota.items_max), (Some(7), Some(8)));
}

fn notes_about_a_container_go_along(bed: &mut Bed) {
    let (kind, name) = (ContainerKind::Metadata, ContainerKind::about(Some(ARCHIVE)));
    let create = Mutation::CreateContainer { parent: None, kind, name: name.clone(), special_use: None };
    let notes = id(&bed.done(vec![create])[0]);
    let note = |name: &str, text: &str| {
        let item = item(text, Some(name));
        Mutation::Put { container: notes, item, expect: Expect::Any }
    };
    bed.done(vec![note("/shared/comment", "old"), note("7/private/comment", "kept")]);
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 2);
    bed.done(vec![note("/shared/comment", "new"), note("/shared/gone", "x")]);
    bed.done(vec![Mutation::Remove { container: notes, name: "/shared/gone".to_owned() }]);
    copy.pull_all(bed, 1);
    let parts = ItemParts { summary: false, body: true, ..ItemParts::default() };
    let text = |name: &str| copy.store.item_named(notes, name, parts).unwrap().and_then(|item| item.body);
    assert_eq!(text("/shared/comment").as_deref(), Some(&b"new"[..]));
    assert_eq!(text("7/private/comment").as_deref(), Some(&b"kept"[..]));
    assert_eq!(text("/shared/gone"), None);
    let found = copy.store.containers_on_path(ContainerKind::Metadata, &[name]).unwrap();
    assert_eq!(found.first().map(|container| container.id), Some(notes));
    assert!(
        copy.store.containers_on_path(ContainerKind::Mail, &[ContainerKind::about(Some(ARCHIVE))]).unwrap().is_empty()
    );
}

fn a_commit_is_answered_at_the_new_place_and_not_done_again(bed: &mut Bed) {
    let sent = commit(vec![append("once")]);
    let answer = bed.send(&sent).unwrap();
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 4);
    assert_eq!(copy.store.commit(std::slice::from_ref(&sent), bed.now).unwrap(), [Err(CommitError::Sealed)]);
    copy.store.set_role(Epoch(2), Role::Active, NOW).unwrap();
    let again = copy.store.commit(&[sent], bed.now).unwrap().remove(0).unwrap();
    assert_eq!(again, Committed { repeated: true, ..answer });
    assert_eq!(copy.store.head().unwrap().quota.items_used, 1);
}

fn a_number_is_not_given_again_after_its_answer_is_purged(bed: &mut Bed) {
    bed.done(vec![append("1")]);
    bed.now = bed.now.plus_ms(OPERATION_RETENTION_MS + 1);
    assert_eq!(bed.purge(DAY_MS), 2);
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 100);
    copy.store.set_role(Epoch(2), Role::Active, NOW).unwrap();
    let sent = Commit { operation: OperationId::random(), epoch: Epoch(2), mutations: vec![append("2")] };
    copy.store.commit(&[sent], bed.now).unwrap().remove(0).unwrap();
    let answers = copy.store.page(&Progress::start(), 9, 9).unwrap().answers;
    assert_eq!(answers.iter().map(|kept| kept.number).collect::<Vec<_>>(), [3]);
}

fn only_what_follows_the_next_page_is_applied(bed: &mut Bed) {
    bed.done(vec![append("1"), append("2")]);
    let mut copy = Copy::new(bed);
    let page = copy.page(bed, 3);
    let blobs = copy.fetch(bed, &page.blobs());
    assert_eq!(bed.store_mut().follow(&page, blobs.clone(), NOW), Err(FollowError::NotFollowing));
    assert_eq!(bed.store_mut().forget_container(INBOX, 9), Err(FollowError::NotFollowing));
    let late = bed.store().page(&page.end(), 3, 3).unwrap();
    assert_eq!(copy.apply(bed, &late), Err(FollowError::NotNext));
    let mut mixed = page.clone();
    mixed.rows.swap(0, 1);
    assert_eq!(copy.apply(bed, &mixed), Err(FollowError::NotNext));
    let mut foreign = page.clone();
    foreign.head.account = AccountId(1);
    assert_eq!(copy.apply(bed, &foreign), Err(FollowError::NotNext));
    copy.apply(bed, &page).unwrap();
    assert_eq!(copy.apply(bed, &page), Err(FollowError::NotNext), "a second time");
    let page = copy.page(bed, 100);
    let mut wrong = copy.fetch(bed, &page.blobs());
    let hash = wrong[0].hash;
    wrong[0].content = Content::Inline(bytes::Bytes::from_static(b"x"));
    assert_eq!(copy.store.follow(&page, wrong, NOW), Err(FollowError::WrongBlob(hash)));
    assert_eq!(copy.store.follow(&page, Vec::new(), NOW), Err(FollowError::NoSuchBlob(hash)));
    copy.pull_all(bed, 100);
}

fn only_an_equal_copy_takes_another_role(bed: &mut Bed) {
    bed.done(vec![append("1")]);
    let mut copy = Copy::new(bed);
    for (rows, roles) in [(0, [Role::Ready, Role::Active]), (3, [Role::Sealed, Role::Ready])] {
        if rows > 0 {
            assert!(!copy.pull(bed, rows));
        }
        for role in roles {
            assert_eq!(copy.store.set_role(Epoch(2), role, NOW), Err(CommitError::NotEqual));
        }
        assert_eq!(copy.store.head().unwrap().epoch, Epoch(1));
    }
    copy.pull_all(bed, 3);
    copy.store.set_role(Epoch(2), Role::Ready, NOW).unwrap();
    let page = copy.page(bed, 3);
    assert_eq!(copy.apply(bed, &page), Err(FollowError::NotFollowing), "a ready one only waits");
    copy.store.set_role(Epoch(2), Role::Follower, NOW).unwrap();
    bed.done(vec![append("2")]);
    copy.pull_all(bed, 3);
    assert_eq!(copy.store.set_role(Epoch(1), Role::Follower, NOW), Err(CommitError::WrongEpoch { current: Epoch(2) }));
}

fn a_failover_puts_in_order_what_is_half_there(bed: &mut Bed) {
    let names = ["a", "b", "going", "below"];
    let made = bed.done(names.iter().map(|name| create(None, name)).collect());
    let [a, b, going, below] = [0, 1, 2, 3].map(|at| id(&made[at]));
    bed.done((0..3).map(|number| append_to(going, &number.to_string())).collect());
    bed.done(vec![rename(below, Some(going), "b"), append("1")]);
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 100);
    // The copy hears of the new `a` and of the end of a folder, and then no more.
    bed.done(vec![rename(a, None, "c"), rename(b, None, "a")]);
    bed.done(vec![rename(below, None, "b"), expunge(going, uids(&[2])), delete(going)]);
    bed.done(vec![rename(a, None, "d"), append_to(below, "never came")]);
    let is_half = |copy: &Copy| copy.store.containers().unwrap().iter().all(|container| container.id != going);
    while !is_half(&copy) {
        assert!(!copy.pull(bed, 1));
    }
    assert_eq!(copy.store.set_role(Epoch(2), Role::Ready, bed.now), Err(CommitError::NotEqual));
    let before = copy.store.head().unwrap();
    copy.store.set_role(Epoch(2), Role::Active, bed.now).unwrap();
    copy.check();
    let container = |id| copy.store.container(id).unwrap().unwrap();
    assert_eq!(container(b).name, "a");
    assert_eq!(container(a).name, format!("recovered-{a}"));
    assert_eq!((container(below).parent, container(below).name.as_str()), (None, "b"));
    let head = copy.store.head().unwrap();
    assert_eq!((head.modseq.0, head.quota.items_used), (before.modseq.0 + MODSEQS_SKIPPED, 1));
    let tombstones = copy.store.expunged(going, Modseq::ZERO, Uid(0), 9).unwrap();
    assert_eq!(tombstones.iter().filter(|row| row.retained.is_some()).count(), 3);
    bed.take_over(copy.store);
    let mutations = vec![rename(a, None, "c"), append("2")];
    bed.send(&Commit { operation: OperationId::random(), epoch: Epoch(2), mutations }).unwrap();
}

fn the_old_one_follows_back(bed: &mut Bed) {
    bed.done(vec![append("1"), append("2")]);
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 4);
    bed.store_mut().set_role(Epoch(1), Role::Sealed, NOW).unwrap();
    copy.pull_all(bed, 4);
    copy.store.set_role(Epoch(2), Role::Ready, NOW).unwrap();
    copy.store.set_role(Epoch(2), Role::Active, NOW).unwrap();
    bed.store_mut().set_role(Epoch(2), Role::Follower, NOW).unwrap();
    bed.take_over(copy.store);
    let mut old = Copy { store: bed.other.open(ACCOUNT).unwrap() };
    let mutations = vec![append("3"), expunge(INBOX, uids(&[1]))];
    let sent = Commit { operation: OperationId::random(), epoch: Epoch(2), mutations };
    bed.send(&sent).unwrap();
    assert_eq!(old.page(bed, 100).rows.len(), 3, "only what is new");
    old.pull_all(bed, 2);
}

fn a_look_at_a_source_without_news_changes_nothing(bed: &mut Bed) {
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 100);
    let page = copy.page(bed, 100);
    assert!(page.is_last && page.rows.is_empty() && page.answers.is_empty());
    let first = copy.apply(bed, &page).unwrap();
    assert_eq!(copy.apply(bed, &page).unwrap(), first);
    assert!(first.is_equal);
}
