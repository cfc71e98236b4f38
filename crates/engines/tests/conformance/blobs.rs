//! Blobs: staged, shared, counted, read in ranges.

use std::os::unix::fs::MetadataExt;

use bytes::Bytes;
use sterna_account::*;
use sterna_base::limits::{BLOB_CHUNK_BYTES, INLINE_BLOB_BYTES_MAX};
use sterna_base::*;

use crate::bed::*;

on_every_engine!(
    a_staged_blob_can_be_read_before_and_after_its_commit,
    a_blob_that_is_not_finished_leaves_nothing,
    a_file_is_taken_in_whole_and_stays_where_it_was,
    equal_contents_are_kept_once,
    ranges_are_cut_to_the_blob_and_to_a_chunk,
    an_inline_content_has_a_most_of_bytes,
    bodies_come_with_items_when_they_are_small,
    a_summary_stays_with_its_content,
    a_blob_staged_again_outlives_its_last_row,
);

fn a_staged_blob_can_be_read_before_and_after_its_commit(bed: &mut Bed) {
    let large = vec![3; INLINE_BLOB_BYTES_MAX + 10];
    let hash = bed.stage(&large);
    assert_eq!(bed.store().blob(hash, 1..3).unwrap().as_ref(), [3, 3]);
    assert_eq!(bed.store().blobs(None, 9).unwrap(), []);
    bed.done(vec![append_stored(hash)]);
    bed.reopen();
    assert_eq!(bed.store().blobs(None, 9).unwrap(), [(hash, large.len() as u64, 1)]);
    assert_eq!(bed.store().blob(hash, 0..u64::MAX).unwrap(), large);
    assert_eq!(bed.head().quota.bytes_used, large.len() as u64);
}

fn a_blob_that_is_not_finished_leaves_nothing(bed: &mut Bed) {
    let mut writer = bed.store().stage_blob().unwrap();
    writer.write(b"half a").unwrap();
    drop(writer);
    let hash = BlobHash::of(b"half a");
    assert_eq!(bed.store().blob(hash, 0..1), Err(StoreError::NoSuchBlob(hash)));
    assert_eq!(bed.commit(vec![append_stored(hash)]), Err(CommitError::NoSuchBlob(hash)));
}

fn a_file_is_taken_in_whole_and_stays_where_it_was(bed: &mut Bed) {
    let folder = tempfile::tempdir().unwrap();
    let (path, large) = (folder.path().join("spooled"), vec![5; INLINE_BLOB_BYTES_MAX + 10]);
    std::fs::write(&path, &large).unwrap();
    // It waited for two days: what is old and that nothing refers to is purged.
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000);
    std::fs::File::open(&path).unwrap().set_modified(old).unwrap();
    let stage = |bed: &mut Bed| {
        let mut writer = bed.store().stage_blob().unwrap();
        if !writer.link(&path).unwrap() {
            writer.write(&large).unwrap();
        }
        assert_eq!(writer.finish().unwrap(), (BlobHash::of(&large), large.len() as u64));
    };
    stage(bed);
    bed.purge(0);
    // Once more what is there already, by the same file: it has two names then, and none that was on the way.
    stage(bed);
    stage(bed);
    assert!(std::fs::metadata(&path).unwrap().nlink() <= 2);
    bed.done(vec![append_stored(BlobHash::of(&large))]);
    assert_eq!(std::fs::read(&path).unwrap(), large);
    std::fs::remove_file(&path).unwrap();
    bed.reopen();
    assert_eq!(bed.store().blob(BlobHash::of(&large), 0..u64::MAX).unwrap(), large);
    // One that isn't there can't be taken in by its name, and leaves nothing.
    assert!(!bed.store().stage_blob().unwrap().link(&path).unwrap());
}

fn equal_contents_are_kept_once(bed: &mut Bed) {
    let hash = bed.stage(b"same");
    bed.done(vec![append_stored(hash), append("same"), append("other"), copy(INBOX, uids(&[1]), TRASH)]);
    bed.done(vec![expunge(INBOX, uids(&[2])), append_stored(hash), append_stored(BlobHash::of(b"other"))]);
    let mut expected = [(hash, 4, 4), (BlobHash::of(b"other"), 5, 2)];
    expected.sort_unstable();
    assert_eq!(bed.store().blobs(None, 9).unwrap(), expected);
    assert_eq!(bed.store().blobs(Some(expected[0].0), 9).unwrap(), expected[1..]);
    assert_eq!(bed.store().blobs(None, 1).unwrap(), expected[..1]);
    assert_eq!(bed.head().quota.bytes_used, 4 * 3 + 5 * 2);
}

fn ranges_are_cut_to_the_blob_and_to_a_chunk(bed: &mut Bed) {
    let large: Vec<u8> = (0..BLOB_CHUNK_BYTES + 1000).map(|n| (n % 251) as u8).collect();
    let (stored, inline) = (bed.stage(&large), BlobHash::of(b"0123456789"));
    bed.done(vec![append_stored(stored), append("0123456789")]);
    let read = |hash, range| bed.store().blob(hash, range).unwrap();
    assert_eq!(read(inline, 2..5).as_ref(), b"234");
    assert_eq!(read(inline, 8..100).as_ref(), b"89");
    for nothing in [10..11, 5..5, 100..200] {
        assert_eq!(read(inline, nothing.clone()), Bytes::new());
        assert_eq!(read(stored, nothing.start..nothing.start), Bytes::new());
    }
    assert_eq!(read(stored, 7..u64::MAX), large[7..7 + BLOB_CHUNK_BYTES]);
    assert_eq!(read(stored, BLOB_CHUNK_BYTES as u64..u64::MAX), large[BLOB_CHUNK_BYTES..]);
    assert_eq!(read(stored, u64::MAX - 1..u64::MAX), Bytes::new());
}

fn an_inline_content_has_a_most_of_bytes(bed: &mut Bed) {
    bed.done(vec![append(&"x".repeat(INLINE_BLOB_BYTES_MAX))]);
    let refused = bed.commit(vec![append(&"x".repeat(INLINE_BLOB_BYTES_MAX + 1))]);
    assert!(matches!(refused, Err(CommitError::Invalid(_))));
}

fn bodies_come_with_items_when_they_are_small(bed: &mut Bed) {
    let (small, large) = (bed.stage(b"small"), bed.stage(&vec![b'x'; INLINE_BLOB_BYTES_MAX + 1]));
    bed.done(vec![append("inline"), append_stored(small), append_stored(large), append("")]);
    let parts = ItemParts { summary: false, body: true, ..ItemParts::default() };
    let items = bed.store().items(INBOX, &UidSet::all(), parts, 9).unwrap();
    let bodies: Vec<_> = items.iter().map(|item| item.body.as_deref()).collect();
    assert_eq!(bodies, [Some(&b"inline"[..]), Some(b"small"), None, Some(b"")]);
    let bare = bed.store().items(INBOX, &UidSet::all(), ItemParts::default(), 9).unwrap();
    assert!(bare.iter().all(|item| item.body.is_none() && item.summary.is_none()));
}

fn a_summary_stays_with_its_content(bed: &mut Bed) {
    let with = |text: &'static str, summary: Option<&'static str>, name| NewItem {
        summary: summary.map(|summary| Bytes::from_static(summary.as_bytes())),
        ..item(text, Some(name))
    };
    for new in [
        with("a", None, "1"),
        with("a", Some("first"), "2"),
        with("a", Some("second"), "3"),
        with("b", None, "4"),
        with("c", Some("c's"), "5"),
    ] {
        bed.done(vec![Mutation::Append { container: INBOX, item: new }]);
    }
    let parts = ItemParts { summary: true, body: false, ..ItemParts::default() };
    let items = bed.store().items(INBOX, &UidSet::all(), parts, 9).unwrap();
    let summaries: Vec<_> = items.iter().map(|item| item.summary.as_deref()).collect();
    assert_eq!(summaries, [Some(&b"first"[..]), Some(b"first"), Some(b"first"), None, Some(b"c's")]);
    let start = ItemParts { summary_start: true, ..ItemParts::default() };
    let long = Bytes::from(vec![b's'; SUMMARY_START_BYTES + 1]);
    bed.done(vec![Mutation::Append {
        container: INBOX,
        item: NewItem { summary: Some(long.clone()), ..item("d", Some("6")) },
    }]);
    let starts = bed.store().items(INBOX, &UidSet::all(), start, 9).unwrap();
    let starts: Vec<_> = starts.iter().map(|item| item.summary.as_deref()).collect();
    let cut = &long[..SUMMARY_START_BYTES];
    assert_eq!(starts, [Some(&b"first"[..]), Some(b"first"), Some(b"first"), None, Some(b"c's"), Some(cut)]);
    let both = ItemParts { summary: true, ..start };
    assert_eq!(bed.store().item_named(INBOX, "6", both).unwrap().unwrap().summary, Some(long));
    let named = bed.store().item_named(INBOX, "5", parts).unwrap().unwrap();
    assert_eq!((named.summary.as_deref(), named.body), (Some(&b"c's"[..]), None));
}

fn a_blob_staged_again_outlives_its_last_row(bed: &mut Bed) {
    let large = vec![9; INLINE_BLOB_BYTES_MAX + 1];
    let hash = bed.stage(&large);
    bed.done(vec![append_stored(hash)]);
    bed.done(vec![expunge(INBOX, UidSet::all())]);
    bed.now = bed.now.plus_ms(1);
    // Somebody sends it again, and its last row goes before the commit comes.
    bed.stage(&large);
    let (now, before) = (bed.now, bed.now);
    assert_eq!(bed.store_mut().purge(before, now, 10).unwrap(), 1);
    bed.done(vec![append_stored(hash)]);
    assert_eq!(bed.store().blob(hash, 0..1).unwrap().as_ref(), [9]);
}
