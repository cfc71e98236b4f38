//! What a copy asks, through whole dialogs.

use bytes::Bytes;
use sterna_account::follow::{Applied, ContainerPage, CopiedBlob, FollowError, Page, Progress};
use sterna_account::fork::Fork;
use sterna_account::{Change, Content, Cursor, Digest, Flags, Head, Item, Quota, Role};
use sterna_base::limits::BLOB_CHUNK_BYTES;
use sterna_base::{AccountId, BlobHash, ContainerId, Epoch, Modseq, Timestamp, Uid, UidValidity};

use super::following::{Ask, Following};
use super::limits::REPAIRS_MAX;

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
        object_uid: None,
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
        last_answer: 0,
        next_container,
        last_uid_validity,
        head,
        forks: vec![],
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
    following.on_progress(Progress::start(), vec![]);
    assert_eq!(following.next(), Ask::Page(Progress::start()));
    following.on_page(page(rows), NOW);
    following
}

fn lacks_all(following: &mut Following) {
    let Ask::Lacking(hashes) = following.next() else { panic!("{:?}", following.next()) };
    following.on_lacking(hashes);
}

fn applied(modseq: u64) -> Applied {
    let progress = Progress { rows: Cursor::since(Modseq(modseq)), answers: 0 };
    Applied { progress, modseq: Modseq(modseq), digest: Digest::default(), is_equal: true }
}

#[test]
fn a_page_is_applied_with_the_contents_that_lack() {
    let mut following = started(vec![item(1, 3), item(2, 3), item(3, 3)]);
    assert_eq!(following.next(), Ask::Lacking(hashes(&[1, 2, 3])));
    following.on_lacking(hashes(&[1, 3]));
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
fn a_content_that_is_gone_is_left_out() {
    let applies = |came: Vec<CopiedBlob>, uids: &[u32]| {
        let mut following = started(vec![item(1, 3), item(2, 3)]);
        lacks_all(&mut following);
        following.on_blobs(came, NOW);
        let Ask::Apply(page, _) = following.next() else { panic!("{:?}", following.next()) };
        let rows: Vec<u32> = page.rows.iter().map(|row| row.cursor().uid.0).collect();
        assert_eq!(rows, uids);
        assert!(!page.is_last, "what is missing comes in a newer form");
    };
    applies(vec![], &[]);
    applies(vec![inline(2)], &[2]);
    let mut strange = started(vec![item(1, 3)]);
    lacks_all(&mut strange);
    strange.on_blobs(vec![inline(9)], NOW);
    assert!(matches!(strange.next(), Ask::Wait(_)), "nobody asked for that");
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
    following.on_range(BLOB_CHUNK_BYTES as u64);
    assert_eq!(following.next(), Ask::Range { hash, range: BLOB_CHUNK_BYTES as u64..size });
    following.on_range(10);
    assert_eq!(following.next(), Ask::Staged(hash));
    following.on_staged(BlobHash([9; 32]));
    assert!(matches!(following.next(), Ask::Range { range, .. } if range.start == 0), "other bytes came: again");
    following.on_range(size);
    following.on_staged(hash);
    assert!(matches!(following.next(), Ask::Apply(_, blobs) if blobs == vec![long]));
}

#[test]
fn only_the_account_itself_is_followed() {
    for (role, epoch) in [(Role::Follower, 5), (Role::Ready, 6), (Role::Active, 4)] {
        let mut following = Following::new(Epoch(5));
        following.on_progress(Progress::start(), vec![]);
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
        following.on_lacking(vec![]);
        following.on_applied(Err(error), NOW);
        following
    };
    let mut early = apply(FollowError::NotNext);
    assert!(matches!(early.next(), Ask::Wait(until) if until > NOW));
    early.on_waited();
    assert_eq!(early.next(), Ask::OwnProgress);
    assert_eq!(apply(FollowError::NotFollowing).next(), Ask::Stop);
}

fn container_page(next: Option<Uid>) -> ContainerPage {
    ContainerPage { id: ContainerId(1), own: None, rows: vec![item(1, 3)], next }
}

fn differs(containers: Vec<ContainerId>) -> Following {
    let mut following = started(vec![item(1, 3)]);
    following.on_lacking(vec![]);
    following.on_applied(Err(FollowError::Differs(containers)), NOW);
    following
}

#[test]
fn what_differs_is_copied_again() {
    let mut following = differs(vec![ContainerId(1)]);
    assert!(following.said().differs && following.said().equal_at.is_none() && following.differed() == 1);
    for rows in [10, 2, 0] {
        assert_eq!(following.next(), Ask::Forget(ContainerId(1)));
        following.on_forgotten(Ok(rows), NOW);
    }
    for (after, next) in [(Uid(0), Some(Uid(7))), (Uid(7), None)] {
        assert_eq!(following.next(), Ask::ContainerPage(ContainerId(1), after));
        following.on_container_page(container_page(next));
        following.on_lacking(vec![]);
        assert_eq!(following.next(), Ask::ApplyContainer(container_page(next), vec![]));
        following.on_container_applied(Ok(()), NOW);
    }
    assert_eq!(following.next(), Ask::OwnProgress);
    assert!(following.said().differs, "until it is equal again");
}

#[test]
fn all_containers_are_compared_when_nobody_knows_which_differ() {
    let mut following = differs(vec![]);
    assert_eq!(following.next(), Ask::Compare);
    following.on_compared(vec![ContainerId(3)]);
    assert_eq!(following.next(), Ask::Forget(ContainerId(3)));
    let mut following = differs(vec![]);
    following.on_compared(vec![]);
    assert_eq!(following.next(), Ask::CopyAnew);
    following.on_copied_anew(Epoch(5));
    assert_eq!(following.next(), Ask::OwnProgress);
}

#[test]
fn a_copy_that_can_not_be_mended_is_made_anew() {
    let mut following = started(vec![item(1, 3)]);
    for _ in 0..=REPAIRS_MAX {
        following.on_applied(Err(FollowError::Differs(vec![ContainerId(1)])), NOW);
    }
    assert_eq!(following.next(), Ask::CopyAnew);
}

#[test]
fn a_copy_with_commits_of_its_own_is_set_aside() {
    let at = |modseq| Progress { rows: Cursor::since(Modseq(modseq)), answers: modseq };
    let fork = Fork { epoch: Epoch(5), at: at(10) };
    let begun = |own| {
        let mut following = Following::new(Epoch(5));
        following.on_progress(own, vec![]);
        following.on_page(Page { after: own, forks: vec![fork], ..page(vec![]) }, NOW);
        following
    };
    assert_eq!(begun(at(10)).next(), Ask::Lacking(vec![]));
    let mut following = begun(at(12));
    assert_eq!(following.next(), Ask::SetAside(fork));
    assert!(following.said().differs);
    following.on_copied_anew(Epoch(5));
    assert_eq!(following.next(), Ask::OwnProgress);
    following.on_progress(Progress::start(), vec![]);
    following.on_page(Page { forks: vec![fork], ..page(vec![]) }, NOW);
    assert_eq!(following.next(), Ask::Lacking(vec![]));
    // The new copy gets beyond the fork with its source.
    let applied = Applied { progress: at(12), is_equal: false, ..applied(12) };
    following.on_lacking(vec![]);
    following.on_applied(Ok(applied), NOW);
    following.on_page(Page { after: at(12), forks: vec![fork], ..page(vec![]) }, NOW);
    assert_eq!(following.next(), Ask::Lacking(vec![]));
    // What changed no row is not worth keeping, but its answers are not the account's.
    assert_eq!(begun(Progress { answers: 11, ..at(10) }).next(), Ask::CopyAnew);
    // A copy that has the fork itself goes on after it.
    let mut following = Following::new(Epoch(5));
    following.on_progress(at(12), vec![fork]);
    following.on_page(Page { after: at(12), forks: vec![fork], ..page(vec![]) }, NOW);
    assert_eq!(following.next(), Ask::Lacking(vec![]));
}
