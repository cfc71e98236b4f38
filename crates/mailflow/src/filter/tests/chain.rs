//! What the chain makes of verdicts, and of filters that have none.

use std::sync::Arc;
use std::time::Duration;

use sterna_account::service::Refusal;
use tokio::time::Instant;

use super::super::breaker::{FAILURES_MAX, REST};
use super::*;
use crate::delivery::Keep;
use crate::filter::{Action, Change, EnvelopeChange, Examined};

const CONTENT: &str = "Return-Path: <sender@other.test>\r\nX-Fake: forged\r\nSubject: x\r\n\r\nBody\r\n";

fn accepted() -> Result<Verdict, FilterError> {
    Ok(Verdict::new(Action::Accept, "fine"))
}

async fn examine(stage: &Stage, direction: Direction) -> Result<Option<Examined>, Refusal> {
    stage.filters.examine(envelope(direction), message(CONTENT), Keep::Inbox, direction).await
}

#[tokio::test]
async fn each_sees_what_the_one_before_left() {
    let first = Fake::new("first", |_, _| {
        let changes = vec![Change::top("X-First", "yes"), Change::Remove { name: "Subject".to_owned() }];
        Ok(Verdict { changes, ..Verdict::new(Action::Quarantine, "odd") })
    });
    let second = Fake::new("second", |facts, _| {
        assert_eq!((facts.envelope.mail_from.as_str(), facts.direction), ("sender@other.test", Direction::Incoming));
        accepted()
    });
    let stage = stage(vec![
        (first.clone(), common(WhenDown::Defer)),
        (second.clone() as Arc<dyn ContentFilter>, common(WhenDown::Defer)),
    ]);
    let examined = examine(&stage, Direction::Incoming).await.unwrap().unwrap();
    let expected = "Return-Path: <sender@other.test>\r\nX-First: yes\r\n\r\nBody\r\n";
    assert_eq!(*first.seen.lock(), [CONTENT]);
    assert_eq!(*second.seen.lock(), [expected]);
    assert_eq!((text(&examined.message).as_str(), examined.keep), (expected, Keep::Junk));
}

#[tokio::test]
async fn what_refuses_ends_it() {
    let refusal = Refusal::new(550, (5, 7, 1), "No");
    let said = refusal.clone();
    let first = Fake::new("first", move |_, _| Ok(Verdict::new(Action::Refuse(said.clone()), "because")));
    let second = Fake::new("second", |_, _| accepted());
    let stage = stage(vec![
        (first, common(WhenDown::Defer)),
        (second.clone() as Arc<dyn ContentFilter>, common(WhenDown::Defer)),
    ]);
    let refused = examine(&stage, Direction::Incoming).await.unwrap_err();
    assert_eq!(refused, refusal.because("first: because"));
    assert!(second.seen.lock().is_empty());
}

#[tokio::test]
async fn users_mail_has_no_junk_and_keeps_its_fields() {
    let sure = Fake::new("sure", |_, _| Ok(Verdict::new(Action::Quarantine, "a\r\nworm")));
    let stage_of = |fake: Arc<Fake>| stage(vec![(fake as Arc<dyn ContentFilter>, common(WhenDown::Defer))]);
    let refused = examine(&stage_of(sure), Direction::Submitted).await.unwrap_err();
    assert_eq!((refused.code, refused.text.ends_with("a worm")), (550, true), "{refused}");
    let content = Fake::new("content", |_, _| accepted());
    let examined = examine(&stage_of(content), Direction::Submitted).await.unwrap().unwrap();
    assert_eq!(text(&examined.message), CONTENT);
}

#[tokio::test]
async fn who_does_not_apply_is_not_asked() {
    let fake = Fake::new("fake", |_, _| accepted());
    let applies = |applies| Common { applies, ..common(WhenDown::Refuse) };
    let stage = stage(vec![
        (fake.clone() as Arc<dyn ContentFilter>, applies(Applies::Submitted)),
        (Arc::new(Hanging), applies(Applies::Incoming)),
    ]);
    examine(&stage, Direction::Submitted).await.unwrap().unwrap();
    assert_eq!(fake.seen.lock().len(), 1);
}

#[tokio::test]
async fn envelopes_are_changed_as_far_as_they_stay_envelopes() {
    let fake = Fake::new("fake", |_, _| {
        let add = |address: &str| EnvelopeChange::AddRcpt(address.to_owned());
        let envelope = vec![
            EnvelopeChange::From("other@other.test".to_owned()),
            EnvelopeChange::From("no address".to_owned()),
            EnvelopeChange::RemoveRcpt("ANA@demo.test".to_owned()),
            add("cyd@demo.test"),
            add("ben@demo.test"),
            add("x\r\nDATA"),
        ];
        Ok(Verdict { envelope, ..Verdict::new(Action::Accept, "changed") })
    });
    let stage = stage(vec![(fake as Arc<dyn ContentFilter>, common(WhenDown::Defer))]);
    let examined = examine(&stage, Direction::Incoming).await.unwrap().unwrap();
    let rcpts: Vec<&str> = examined.envelope.recipients.iter().map(|rcpt| &*rcpt.address).collect();
    assert_eq!(rcpts, ["ben@demo.test", "cyd@demo.test"]);
    assert_eq!(
        (examined.envelope.mail_from.as_str(), &examined.added[..]),
        ("other@other.test", &["cyd@demo.test".to_owned()][..])
    );
    assert!(
        text(&examined.message).starts_with("Return-Path: <other@other.test>\r\nSubject"),
        "{:?}",
        examined.message
    );
}

#[tokio::test]
async fn what_is_done_without_a_filter_is_its_setting() {
    for (when_down, code) in [(WhenDown::Accept, 250), (WhenDown::Defer, 451), (WhenDown::Refuse, 550)] {
        let fake = Fake::new("fake", |_, _| Err(FilterError::Unable("not today".to_owned())));
        let stage = stage(vec![(fake as Arc<dyn ContentFilter>, common(when_down))]);
        let result = examine(&stage, Direction::Incoming).await;
        assert_eq!(result.as_ref().err().map_or(250, |refusal| refusal.code), code);
        match result {
            Ok(examined) => assert!(!text(&examined.unwrap().message).contains("forged")),
            Err(refusal) => assert_eq!(refusal.cause.as_deref(), Some("fake: down: it can't: not today")),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_hangs_holds_few_messages_up_and_then_none() {
    let limits = Common { timeout: Duration::from_secs(30), ..common(WhenDown::Accept) };
    let stage = stage(vec![(Arc::new(Hanging) as Arc<dyn ContentFilter>, limits)]);
    let start = Instant::now();
    let mut waits = Vec::new();
    for _ in 0..FAILURES_MAX + 2 {
        let before = Instant::now();
        assert!(examine(&stage, Direction::Incoming).await.is_ok());
        waits.push((Instant::now() - before).as_secs());
    }
    assert_eq!(waits, [30, 30, 30, 0, 0]);
    assert!(stage.filters.health()[0].state.as_ref().is_err_and(|cause| cause.contains("30 s")));
    tokio::time::sleep_until(start + Duration::from_secs(90) + REST).await;
    let before = Instant::now();
    assert!(examine(&stage, Direction::Incoming).await.is_ok());
    assert_eq!((Instant::now() - before).as_secs(), 30, "one tries it");
}

#[tokio::test(start_paused = true)]
async fn more_than_its_places_wait_no_longer_than_they_may() {
    let limits = Common { timeout: Duration::from_secs(30), ..common(WhenDown::Defer) };
    let stage = Arc::new(stage(vec![(Arc::new(Hanging) as Arc<dyn ContentFilter>, limits)]));
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let stage = stage.clone();
        running.spawn(async move { examine(&stage, Direction::Incoming).await.unwrap_err().cause.unwrap() });
    }
    let start = Instant::now();
    let causes = running.join_all().await;
    assert_eq!((Instant::now() - start).as_secs(), 30);
    assert!(causes.iter().all(|cause| cause.starts_with("hanging: down: ")), "{causes:?}");
}

#[tokio::test]
async fn a_header_without_end_is_refused() {
    let fake = Fake::new("fake", |_, _| accepted());
    let stage = stage(vec![(fake as Arc<dyn ContentFilter>, common(WhenDown::Defer))]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("endless.eml");
    std::fs::write(&path, b"A: b\r\n".repeat(500_000)).unwrap();
    let spooled = Arc::new(sterna_account::service::SpoolFile { path, is_temporary: true });
    let endless = Message { body: MessageBody::Spooled(spooled), size: 3_000_000, ..message("") };
    let envelope = envelope(Direction::Incoming);
    let refused = stage.filters.examine(envelope, endless, Keep::Inbox, Direction::Incoming).await.unwrap_err();
    assert_eq!(refused.code, 552);
}
