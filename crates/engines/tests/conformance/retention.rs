//! Expunged items stay for a time, then their contents go, and blobs that nobody needs with them.

use sterna_account::*;
use sterna_base::limits::INLINE_BLOB_BYTES_MAX;
use sterna_base::*;

use crate::bed::*;

on_every_engine!(
    expunged_items_are_kept_for_their_time,
    a_purge_goes_in_small_steps_oldest_first,
    a_blob_goes_with_its_last_row,
    a_purge_changes_neither_modseq_nor_digest,
    abandoned_blobs_go_after_a_day,
);

fn retained(bed: &Bed) -> Vec<u32> {
    let rows = bed.store().expunged(INBOX, Modseq::ZERO, Uid(0), 99).unwrap();
    rows.iter().filter(|row| row.retained.is_some()).map(|row| row.uid.0).collect()
}

fn expunged_items_are_kept_for_their_time(bed: &mut Bed) {
    bed.done(vec![append("1"), append("2")]);
    bed.done(vec![expunge(INBOX, uids(&[1]))]);
    bed.now = bed.now.plus_ms(2 * DAY_MS);
    bed.done(vec![expunge(INBOX, uids(&[2]))]);
    assert_eq!(bed.purge(2 * DAY_MS), 0);
    let hash = BlobHash::of(b"1");
    assert_eq!(bed.store().blob(hash, 0..9).unwrap().as_ref(), b"1");
    bed.now = bed.now.plus_ms(1);
    assert_eq!(bed.purge(2 * DAY_MS), 1);
    assert_eq!(retained(bed), [2]);
    assert_eq!(bed.store().blob(hash, 0..9), Err(StoreError::NoSuchBlob(hash)));
    assert_eq!(bed.store().expunged(INBOX, Modseq::ZERO, Uid(0), 9).unwrap().len(), 2, "tombstones stay");
    assert_eq!(bed.head().quota.bytes_used, 0);
}

fn a_purge_goes_in_small_steps_oldest_first(bed: &mut Bed) {
    bed.done((0..7).map(|number| append(&number.to_string())).collect());
    for uid in [6, 2, 4] {
        bed.now = bed.now.plus_ms(1);
        bed.done(vec![expunge(INBOX, uids(&[uid]))]);
    }
    bed.now = bed.now.plus_ms(1);
    bed.done(vec![expunge(INBOX, UidSet::all())]);
    let (before, now) = (bed.now.plus_ms(1), bed.now);
    for (rows, left) in [(2, vec![1, 3, 4, 5, 7]), (2, vec![3, 5, 7]), (2, vec![7]), (1, vec![]), (0, vec![])] {
        assert_eq!(bed.store_mut().purge(before, now, 2).unwrap(), rows);
        assert_eq!(retained(bed), left);
        bed.check();
    }
}

fn a_blob_goes_with_its_last_row(bed: &mut Bed) {
    let large = bed.stage(&vec![1; INLINE_BLOB_BYTES_MAX + 1]);
    let small = BlobHash::of(b"small");
    bed.done(vec![append_stored(large), append("small"), copy(INBOX, UidSet::all(), TRASH)]);
    bed.done(vec![expunge(INBOX, UidSet::all())]);
    bed.now = bed.now.plus_ms(1);
    assert_eq!(bed.purge(0), 2);
    for hash in [large, small] {
        bed.store().blob(hash, 0..1).unwrap();
    }
    bed.done(vec![delete(TRASH)]);
    bed.now = bed.now.plus_ms(1);
    assert_eq!(bed.purge(0), 2);
    assert_eq!(bed.store().blobs(None, 9).unwrap(), []);
    for hash in [large, small] {
        assert_eq!(bed.store().blob(hash, 0..1), Err(StoreError::NoSuchBlob(hash)));
        assert_eq!(bed.commit(vec![append_stored(hash)]), Err(CommitError::NoSuchBlob(hash)));
    }
}

fn a_purge_changes_neither_modseq_nor_digest(bed: &mut Bed) {
    bed.done(vec![append("1"), append("2"), expunge(INBOX, uids(&[1]))]);
    let before = bed.head();
    bed.now = bed.now.plus_ms(1);
    assert_eq!(bed.purge(0), 1);
    assert_eq!(bed.head(), before);
    bed.reopen();
    assert_eq!(bed.head(), before);
}

/// Blobs are staged by the machine's time, so the times of this case are far on both sides of it.
fn abandoned_blobs_go_after_a_day(bed: &mut Bed) {
    let (abandoned, used) = (bed.stage(b"abandoned"), bed.stage(b"used"));
    bed.done(vec![append_stored(used)]);
    bed.now = Timestamp(DAY_MS);
    assert_eq!(bed.purge(0), 0);
    assert_eq!(bed.store().blob(abandoned, 0..9).unwrap().as_ref(), b"abandoned");
    bed.now = NOW.plus_ms(100 * 365 * DAY_MS);
    bed.purge(0);
    assert_eq!(bed.store().blob(abandoned, 0..9), Err(StoreError::NoSuchBlob(abandoned)));
    assert_eq!(bed.texts(INBOX), [(1, "used".to_owned())]);
}
