//! Edges that tell each other what they have seen.

use sterna_account::service::InboundProtocol::Smtp;
use sterna_base::{ManualClock, NodeId, Timestamp};

use super::greylist_store::GOOD_AFTER;
use super::tests::Listed;
use super::*;
use crate::tests::sender;

const DELAYS: Delays = Delays { delay_ms: 300_000, window_ms: 3_600_000 };
const ANA: &str = "ana@demo.test";

struct Edge {
    node: NodeId,
    guard: Guard,
    _folder: tempfile::TempDir,
}

impl Edge {
    fn new(number: u8, clock: &ManualClock, allow: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let greylist_allow = Arc::new(allow.iter().map(|text| text.parse().unwrap()).collect());
        let settings = GuardSettings { greylist: Some(DELAYS), greylist_allow, ..GuardSettings::default() };
        let guard = Guard::new(watch::channel(settings).1, Arc::new(Listed), Arc::new(clock.clone()));
        let guard = guard.with_greylist(&folder.path().join("greylist.sqlite"));
        Edge { node: NodeId([number; 16]), guard, _folder: folder }
    }

    /// 250, or 450 when it has to come again.
    async fn rcpt(&self, peer: &str, from: &str) -> u16 {
        let sender = Sender { peer: peer.parse().unwrap(), ..sender(Smtp) };
        self.guard.recipient(&sender, from, ANA).await.map_or_else(|refusal| refusal.code, |()| 250)
    }

    /// Asks another edge for everything that is new; in how many pieces it came.
    async fn hear(&self, other: &Edge) -> usize {
        let mut pieces = 0;
        loop {
            let told = other.guard.changes(self.guard.known_of(other.node).await).await;
            let has_more = told.has_more;
            self.guard.learn(other.node, told).await.unwrap();
            pieces += 1;
            if !has_more {
                return pieces;
            }
        }
    }

    async fn listed(&self, filter: GreylistFilter) -> Vec<(String, GreylistState)> {
        let found = self.guard.greylisted_after(filter, GreylistKey::default(), 10_000).await.unwrap();
        found.into_iter().map(|row| (row.sender, row.state)).collect()
    }
}

fn two() -> (Edge, Edge, ManualClock) {
    let clock = ManualClock::at(Timestamp::from_seconds(1_000_000_000));
    (Edge::new(1, &clock, &[]), Edge::new(2, &clock, &[]), clock)
}

#[tokio::test]
async fn who_waited_at_one_edge_is_let_in_at_another() {
    let (here, there, clock) = two();
    assert_eq!(here.rcpt("192.0.2.7", "a@far.test").await, 450);
    there.hear(&here).await;
    clock.advance_ms(DELAYS.delay_ms - 1);
    assert_eq!(there.rcpt("192.0.2.7", "a@far.test").await, 450);
    clock.advance_ms(1);
    assert_eq!(there.rcpt("192.0.2.7", "a@far.test").await, 250);
    here.hear(&there).await;
    clock.advance_ms(10 * DELAYS.window_ms);
    assert_eq!(here.rcpt("192.0.2.7", "a@far.test").await, 250, "it was let in there");
    let told = there.guard.changes(here.guard.known_of(there.node).await).await;
    assert_eq!((told.triples.len(), told.networks.len()), (0, 0), "what is known is not told again");
}

#[tokio::test]
async fn a_wait_that_is_over_is_no_reason_to_begin_again() {
    let (here, there, clock) = two();
    assert_eq!(here.rcpt("192.0.2.7", "a@far.test").await, 450);
    clock.advance_ms(DELAYS.window_ms + 1);
    assert_eq!(there.rcpt("192.0.2.7", "a@far.test").await, 450);
    there.hear(&here).await;
    here.hear(&there).await;
    clock.advance_ms(DELAYS.delay_ms);
    assert_eq!((here.rcpt("192.0.2.7", "a@far.test").await, there.rcpt("192.0.2.7", "a@far.test").await), (250, 250));
}

#[tokio::test]
async fn good_networks_are_told_and_not_added_up() {
    let (here, there, clock) = two();
    here.guard.note_good("198.51.100.2".parse().unwrap());
    for number in 0..GOOD_AFTER - 1 {
        let from = format!("{}@far.test", "a".repeat(number as usize + 1));
        assert_eq!(here.rcpt("192.0.2.7", &from).await, 450);
        clock.advance_ms(DELAYS.delay_ms);
        assert_eq!(here.rcpt("192.0.2.7", &from).await, 250);
    }
    there.hear(&here).await;
    there.hear(&here).await;
    assert_eq!(there.rcpt("198.51.100.9", "new@far.test").await, 250);
    assert_eq!(there.rcpt("192.0.2.9", "new@far.test").await, 450, "four came again, not eight");
}

#[tokio::test]
async fn what_is_deleted_is_gone_everywhere_until_it_comes_again() {
    let (here, there, clock) = two();
    for from in ["a@far.test", "b@far.test", "c@other.test"] {
        assert_eq!(here.rcpt("192.0.2.7", from).await, 450);
    }
    here.guard.note_good("198.51.100.2".parse().unwrap());
    there.hear(&here).await;
    let all = GreylistFilter::default;
    assert_eq!((here.listed(all()).await.len(), there.listed(all()).await.len()), (4, 4));
    clock.advance_ms(1000);
    let of_far = GreylistFilter { sender: Some("*@far.test".to_owned()), ..all() };
    assert_eq!(there.guard.delete_greylisted(of_far.clone()).await, Ok(2));
    // What it had not heard yet is older than the deletion.
    there.hear(&here).await;
    here.hear(&there).await;
    assert_eq!((here.listed(of_far.clone()).await, there.listed(of_far.clone()).await), (vec![], vec![]));
    assert_eq!(there.listed(all()).await.len(), 2);
    clock.advance_ms(DELAYS.delay_ms);
    assert_eq!(there.rcpt("192.0.2.7", "a@far.test").await, 450, "it is new again");
    here.hear(&there).await;
    assert_eq!(here.listed(of_far).await, [("a@far.test".to_owned(), GreylistState::Waiting)]);
    let network = GreylistFilter { network: Some("198.51.100.0/24".to_owned()), ..all() };
    assert_eq!(here.guard.delete_greylisted(network).await, Ok(1));
    there.hear(&here).await;
    assert_eq!(there.rcpt("198.51.100.2", "new@far.test").await, 450);
}

#[tokio::test]
async fn many_that_are_deleted_at_once_are_gone_everywhere() {
    let (here, there, clock) = two();
    let many = sterna_account::edge_guard::ROWS_MAX + 1;
    for number in 0..many {
        let to = format!("u{number}@demo.test");
        assert!(here.guard.recipient(&sender(Smtp), "a@far.test", &to).await.is_err());
    }
    there.hear(&here).await;
    assert_eq!(there.listed(GreylistFilter::default()).await.len(), many);
    clock.advance_ms(1000);
    assert_eq!(here.guard.delete_greylisted(GreylistFilter::default()).await, Ok(many as u64));
    assert_eq!(here.guard.delete_greylisted(GreylistFilter::default()).await, Ok(0));
    assert_eq!(there.hear(&here).await, 2);
    assert_eq!(there.listed(GreylistFilter::default()).await, []);
}

#[tokio::test]
async fn without_a_greylist_nobody_asks_for_the_same_again() {
    let (here, _, clock) = two();
    let settings = watch::channel(GuardSettings::default()).1;
    let without = Guard::new(settings, Arc::new(Listed), Arc::new(clock));
    assert_eq!(here.rcpt("192.0.2.7", "a@far.test").await, 450);
    let told = here.guard.changes(without.known_of(here.node).await).await;
    assert_eq!((told.triples.len(), without.learn(here.node, told).await), (1, Err(NoGreylist)));
}

#[tokio::test]
async fn much_is_told_in_pieces_and_a_new_file_from_its_beginning() {
    let (here, there, clock) = two();
    let many = 2 * sterna_account::edge_guard::ROWS_MAX + 7;
    for number in 0..many {
        let (from, to) = ("a@far.test", format!("u{number}@demo.test"));
        assert!(here.guard.recipient(&sender(Smtp), from, &to).await.is_err());
        here.guard.note_good(std::net::IpAddr::V4((0x0a00_0000 + 256 * number as u32).into()));
    }
    // Whatever is asked now is answered after what was noted.
    assert_eq!(here.listed(GreylistFilter::default()).await.len(), 2 * many);
    assert!(there.hear(&here).await >= 3);
    assert_eq!(there.listed(GreylistFilter::default()).await.len(), 2 * many);
    let anew = Edge::new(1, &clock, &[]);
    assert_eq!(anew.rcpt("203.0.113.1", "new@far.test").await, 450);
    there.hear(&anew).await;
    let new = GreylistFilter { sender: Some("new@*".to_owned()), ..GreylistFilter::default() };
    assert_eq!(there.listed(new).await.len(), 1, "the same edge with another file");
}

#[tokio::test]
async fn whom_administrators_allow_does_not_wait() {
    let clock = ManualClock::at(Timestamp::from_seconds(1_000_000_000));
    let edge = Edge::new(1, &clock, &["198.51.100.0/24", "far.test"]);
    assert_eq!(edge.rcpt("198.51.100.7", "a@other.test").await, 250);
    assert_eq!(edge.rcpt("192.0.2.7", "a@mx.far.test").await, 250);
    assert_eq!(edge.rcpt("192.0.2.7", "a@other.test").await, 450);
}
