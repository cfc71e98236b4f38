//! The guard in front of a mail flow.

use std::net::Ipv4Addr;

use async_trait::async_trait;
use sterna_account::service::InboundProtocol::{Lmtp, Smtp, Submission};
use sterna_base::{ManualClock, Timestamp};

use super::*;
use crate::tests::sender;

/// Every host is on the list `bl.test`.
pub struct Listed;

#[async_trait]
impl ListDns for Listed {
    async fn answers(&self, name: &str) -> Result<Vec<Ipv4Addr>, String> {
        Ok(if name.ends_with(".bl.test") { vec![Ipv4Addr::new(127, 0, 0, 2)] } else { Vec::new() })
    }

    async fn text(&self, _: &str) -> Option<String> {
        Some("see bl.test".to_owned())
    }
}

fn guard(settings: GuardSettings) -> (Arc<Guard>, ManualClock, watch::Sender<GuardSettings>) {
    let clock = ManualClock::at(Timestamp::from_seconds(1_000_000_000));
    let (set, settings) = watch::channel(settings);
    (Arc::new(Guard::new(settings, Arc::new(Listed), Arc::new(clock.clone()))), clock, set)
}

fn with_list(list: &str, marks: bool) -> GuardSettings {
    let block_lists = Arc::new(vec![list.parse().unwrap()]);
    GuardSettings { block_lists, block_lists_score: 1, block_lists_mark: marks, ..GuardSettings::default() }
}

#[tokio::test]
async fn clients_on_lists_write_to_postmaster_only() {
    let (guard, _, set) = guard(with_list("bl.test", false));
    guard.connected(sender(Smtp).peer);
    let refusal = guard.client(&sender(Smtp), "ana@demo.test").await.unwrap_err();
    assert_eq!(refusal.to_string(), "550 5.7.1 192.0.2.7 is listed by bl.test: see bl.test");
    assert_eq!(guard.client(&sender(Smtp), "Postmaster@demo.test").await, Ok(()));
    assert_eq!(guard.client(&sender(Submission), "ana@demo.test").await, Ok(()));
    assert_eq!(guard.client(&sender(Lmtp), "ana@demo.test").await, Ok(()));
    assert_eq!(guard.mark(&sender(Smtp)).await, None);
    set.send_replace(with_list("bl.test", true));
    assert_eq!(guard.client(&sender(Smtp), "ana@demo.test").await, Ok(()));
    assert_eq!(guard.mark(&sender(Smtp)).await.as_deref(), Some("bl.test (127.0.0.2)"));
    set.send_replace(with_list("bl.test=127.0.0.3", false));
    assert_eq!(guard.client(&sender(Smtp), "ana@demo.test").await, Ok(()), "another answer counts");
}

#[tokio::test]
async fn rates_of_clients_and_users() {
    let rates = RateLimits { client_messages: 2, client_recipients: 3, user_messages: 2, user_recipients: 3 };
    let (guard, clock, _set) = guard(GuardSettings { rates, ..GuardSettings::default() });
    let code = |taken: Result<(), Refusal>| taken.err().map_or(250, |refusal| refusal.code);
    for protocol in [Smtp, Submission] {
        let (from, sender) = ("a@far.test", sender(protocol));
        assert_eq!([0; 2].map(|_| code(guard.mail(&sender, from))), [250; 2]);
        assert_eq!(code(guard.mail(&sender, from)), if protocol == Smtp { 421 } else { 450 });
        for _ in 0..3 {
            assert_eq!(guard.recipient(&sender, from, "ana@demo.test").await, Ok(()));
        }
        assert_eq!(code(guard.recipient(&sender, from, "ana@demo.test").await), 450);
    }
    let over = guard.over();
    assert_eq!((over.len(), &*over[0].address, over[0].refused), (1, "ana@demo.test", 2));
    clock.advance_ms(2 * 3600 * 1000);
    assert_eq!(code(guard.mail(&sender(Smtp), "a@far.test")), 250);
}

#[tokio::test]
async fn unknown_senders_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let greylist = Some(Delays { delay_ms: 300_000, window_ms: 3_600_000 });
    let (guard, clock, set) = guard(GuardSettings { greylist, ..GuardSettings::default() });
    let guard = Arc::into_inner(guard).unwrap().with_greylist(&folder.path().join("g"));
    let ask = async |to: &str| guard.recipient(&sender(Smtp), "a@far.test", to).await;
    let refusal = ask("ana@demo.test").await.unwrap_err();
    assert!(refusal.to_string().starts_with("450 4.7.1 You are new here: come again in 300 seconds"), "{refusal}");
    assert_eq!(ask("postmaster@demo.test").await, Ok(()));
    assert_eq!(guard.recipient(&sender(Submission), "a@far.test", "ana@demo.test").await, Ok(()));
    clock.advance_ms(300_000);
    assert_eq!(ask("ana@demo.test").await, Ok(()));
    assert!(ask("ben@demo.test").await.is_err());
    guard.note_good(sender(Smtp).peer);
    assert_eq!(ask("ben@demo.test").await, Ok(()));
    set.send_replace(GuardSettings::default());
    assert_eq!(ask("cyd@demo.test").await, Ok(()));
}
