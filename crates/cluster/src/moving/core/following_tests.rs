//! What a copy asks, through whole dialogs.

use std::collections::BTreeSet;

use bytes::Bytes;
use sterna_account::follow::{Applied, CopiedBlob, FollowError, Page, Progress};
use sterna_account::{Change, Content, Cursor, Digest, Flags, Head, Item, Quota, Role};
use sterna_base::limits::{BLOB_CHUNK_BYTES, INLINE_BLOB_BYTES_MAX};
use sterna_base::{AccountId, BlobHash, ContainerId, Epoch, Modseq, Timestamp, Uid, UidValidity};

use super::following::{Ask, Following};
use super::limits::{GONE_REPEATS_MAX, PORTION_BYTES_MAX};

const NOW: Timestamp = Timestamp(1_000_000);

fn item(uid: u32, size: u64) -> Change {
    Change::Item(Item {
        container: ContainerId(1),
        uid: Uid(uid),
        modseq: Modseq(u64::from(uid)),
        flags: Flags::default(),
        blob: BlobHash([uid as u8; 32]),
        size,
        internal_date: NOW,
        saved_at: NOW,
        name: None,
        summary: None,
        body: None,
    })
}

fn page(rows: Vec<Change>) -> Page {
    let modseq = rows.last().map_or(Modseq(0), |row| row.cursor().modseq);
    let head = Head {
        account: AccountId(1),
        modseq,
        epoch: Epoch(5),
        role: Role::Active,
        quota: Quota::default(),
        digest: Digest::default(),
    };
    let (next_container, last_uid_validity) = (ContainerId(2), UidValidity(1));
    Page {
        after: Progress::start(),
        rows,
        containers: vec![],
        answers: vec![],
        next_container,
        last_uid_validity,
        last_answer: 0,
        head,
        is_last: true,
    }
}

fn blob(uid: u8, content: Content) -> CopiedBlob {
    CopiedBlob { hash: BlobHash([uid; 32]), size: 3, summary: None, content }
}

fn inline(uid: u8) -> CopiedBlob {
    blob(uid, Content::Inline(Bytes::from_static(b"abc")))
}

fn hashes(uids: &[u8]) -> Vec<BlobHash> {
    uids.iter().map(|uid| BlobHash([*uid; 32])).collect()
}

fn started(rows: Vec<Change>) -> Following {
    let mut following = Following::new(Epoch(5));
    assert_eq!(following.next(), Ask::OwnProgress);
    following.on_progress(Progress::start());
    assert_eq!(following.next(), Ask::Page(Progress::start()));
    following.on_page(page(rows), NOW);
    following
}

fn lacks_all(following: &mut Following) {
    let Ask::Lacking(hashes) = following.next() else { panic!("{:?}", following.next()) };
    following.on_lacking(&hashes.into_iter().collect());
}

fn applied(modseq: u64) -> Applied {
    let progress = Progress { rows: Cursor::since(Modseq(modseq)), answers: 0 };
    Applied { progress, modseq: Modseq(modseq), digest: Digest::default(), is_equal: true }
}

#[test]
fn a_page_is_applied_with_the_contents_that_lack() {
    let mut following = started(vec![item(1, 3), item(2, 3), item(3, 3)]);
    assert_eq!(following.next(), Ask::Lacking(hashes(&[1, 2, 3])));
    following.on_lacking(&hashes(&[1, 3]).into_iter().collect());
    assert_eq!(following.next(), Ask::Blobs(hashes(&[1, 3])));
    following.on_blobs(vec![inline(1)], NOW);
    assert_eq!(following.next(), Ask::Blobs(hashes(&[3])), "one answer does not carry all");
    following.on_blobs(vec![inline(3)], NOW);
    assert!(matches!(following.next(), Ask::Apply(page, blobs) if page.rows.len() == 3 && blobs.len() == 2));
    following.on_applied(Ok(applied(3)), NOW);
    assert_eq!(following.next(), Ask::Page(applied(3).progress));
    assert_eq!(following.said().equal_at, Some(Modseq(3)));
    assert_eq!(following.said().lag.rows, 0);
}

#[test]
fn a_content_that_is_gone_is_not_waited_for() {
    for came in [vec![], vec![inline(2)]] {
        let mut following = started(vec![item(1, 3), item(2, 3)]);
        lacks_all(&mut following);
        following.on_blobs(came, NOW);
        assert_eq!(following.next(), Ask::OwnProgress, "the page is asked anew");
    }
    let mut following = started(vec![item(1, 3)]);
    for _ in 0..=GONE_REPEATS_MAX {
        following.on_progress(Progress::start());
        following.on_page(page(vec![item(1, 3)]), NOW);
        following.on_lacking(&BTreeSet::new());
        following.on_applied(Err(FollowError::NoSuchBlob(BlobHash([1; 32]))), NOW);
    }
    assert!(matches!(following.next(), Ask::Wait(until) if until > NOW));
}

#[test]
fn long_contents_come_by_ranges() {
    let size = BLOB_CHUNK_BYTES as u64 + 10;
    let mut following = started(vec![item(1, size)]);
    lacks_all(&mut following);
    let hash = BlobHash([1; 32]);
    let long = CopiedBlob { size, ..blob(1, Content::Stored(hash)) };
    following.on_blobs(vec![long.clone()], NOW);
    assert_eq!(following.next(), Ask::Range { hash, range: 0..BLOB_CHUNK_BYTES as u64 });
    following.on_range(BLOB_CHUNK_BYTES as u64, NOW);
    assert_eq!(following.next(), Ask::Range { hash, range: BLOB_CHUNK_BYTES as u64..size });
    following.on_range(10, NOW);
    assert_eq!(following.next(), Ask::Staged(hash));
    following.on_staged(BlobHash([9; 32]));
    assert!(matches!(following.next(), Ask::Range { range, .. } if range.start == 0), "other bytes came: again");
    following.on_range(size, NOW);
    following.on_staged(hash);
    assert!(matches!(following.next(), Ask::Apply(_, blobs) if blobs == vec![long]));
}

#[test]
fn a_page_with_too_much_content_is_applied_in_portions() {
    let size = INLINE_BLOB_BYTES_MAX as u64;
    let fits = PORTION_BYTES_MAX / size;
    let rows = |count: u64| (1..=count).map(|uid| item(uid as u32, size)).collect::<Vec<_>>();
    let mut following = started(rows(fits + 5));
    lacks_all(&mut following);
    let Ask::Blobs(wanted) = following.next() else { panic!("{:?}", following.next()) };
    assert_eq!(wanted.len() as u64, fits);
    following.on_blobs(wanted.iter().map(|hash| inline(hash.0[0])).collect(), NOW);
    assert!(matches!(following.next(), Ask::Apply(page, _) if !page.is_last && page.rows.len() as u64 == fits));
    let behind = Applied { is_equal: false, ..applied(fits) };
    following.on_applied(Ok(behind), NOW);
    assert!(matches!(following.next(), Ask::Lacking(hashes) if hashes.len() == 5));
    following.on_lacking(&BTreeSet::new());
    assert!(matches!(following.next(), Ask::Apply(page, _) if page.is_last && page.rows.len() == 5));
}

#[test]
fn only_the_account_itself_is_followed() {
    for (role, epoch) in [(Role::Follower, 5), (Role::Ready, 6), (Role::Active, 4)] {
        let mut following = Following::new(Epoch(5));
        following.on_progress(Progress::start());
        let mut page = page(vec![item(1, 3)]);
        (page.head.role, page.head.epoch) = (role, Epoch(epoch));
        following.on_page(page, NOW);
        assert!(matches!(following.next(), Ask::Wait(_)), "{role:?} {epoch}");
    }
}

#[test]
fn errors_of_the_store_lead_somewhere() {
    let apply = |error| {
        let mut following = started(vec![item(1, 3)]);
        following.on_lacking(&BTreeSet::new());
        following.on_applied(Err(error), NOW);
        following
    };
    assert_eq!(apply(FollowError::NotNext).next(), Ask::OwnProgress);
    assert_eq!(apply(FollowError::NotFollowing).next(), Ask::Stop);
    let mut differs = apply(FollowError::Differs(vec![ContainerId(1)]));
    assert_eq!(differs.next(), Ask::CopyAnew(vec![ContainerId(1)]));
    assert!(differs.said().differs && differs.said().equal_at.is_none() && differs.differed() == 1);
    differs.on_copied_anew();
    assert_eq!(differs.next(), Ask::OwnProgress);
    assert!(differs.said().differs, "until it is equal again");
}
