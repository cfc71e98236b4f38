//! clamd, as it is when it is not well.

use std::time::Duration;

use super::peer::{Manner, Peer};
use super::*;
use crate::delivery::Keep;
use crate::filter::Action;
use crate::filter::clamav::{Clamav, ClamavSettings};

const CONTENT: &str = "X-Virus-Status: Clean\r\nSubject: x\r\n\r\nThe terns are back.\r\n";

fn settings(endpoint: Endpoint) -> ClamavSettings {
    let common = Common { endpoint, ..common(WhenDown::Defer) };
    ClamavSettings { common, quarantines: false, bytes_max: 1 << 30, when_too_large: WhenDown::Accept }
}

async fn look(settings: ClamavSettings, content: &str) -> Result<Verdict, FilterError> {
    let draft = Draft::of(message(content)).await.unwrap().unwrap();
    let envelope = envelope(Direction::Incoming);
    let facts = Facts { envelope: &envelope, direction: Direction::Incoming, own_name: "mx.demo.test" };
    tokio::time::timeout(PATIENCE, Clamav::new(settings).look(&facts, &draft)).await.unwrap()
}

fn says(say: &[u8]) -> Manner {
    Manner::Answer { until: b"\r\n\0\0\0\0", say: say.to_vec() }
}

/// A stream as clamd reads it.
fn stream(heard: &[u8]) -> Vec<u8> {
    let mut rest = heard.strip_prefix(b"zINSTREAM\0").unwrap();
    let mut whole = Vec::new();
    loop {
        let (length, more) = rest.split_at(4);
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        if length == 0 {
            assert!(more.is_empty());
            return whole;
        }
        whole.extend_from_slice(&more[..length]);
        rest = &more[length..];
    }
}

#[tokio::test]
async fn the_whole_message_is_streamed() {
    let peer = Peer::new(vec![says(b"stream: OK\0")]).await;
    let large = format!("{CONTENT}{}", "0123456789\r\n".repeat(50_000));
    for content in [CONTENT, &large] {
        let verdict = look(settings(peer.endpoint.clone()), content).await.unwrap();
        assert_eq!(verdict.action, Action::Accept);
        let heard = peer.heard.lock().pop().unwrap();
        assert!(stream(&heard) == content.as_bytes());
    }
}

#[tokio::test]
async fn what_is_found_is_refused_or_put_aside() {
    let peer = Peer::new(vec![says(b"stream: Tern.Test-1 FOUND\0")]).await;
    let refused = look(settings(peer.endpoint.clone()), CONTENT).await.unwrap();
    let Action::Refuse(refusal) = &refused.action else { panic!("{refused:?}") };
    assert_eq!(refusal.to_string(), "550 5.7.1 The message is infected: Tern.Test-1");
    let settings = ClamavSettings { quarantines: true, ..settings(peer.endpoint.clone()) };
    let put_aside = look(settings, CONTENT).await.unwrap();
    assert_eq!(put_aside.action, Action::Quarantine);
    assert!(format!("{:?}", put_aside.changes).contains("Infected (Tern.Test-1)"));
}

#[tokio::test]
async fn too_much_for_it_is_a_setting() {
    let exceeded = b"INSTREAM size limit exceeded. ERROR\0".to_vec();
    let large = format!("{CONTENT}{}", "0123456789\r\n".repeat(200_000));
    for (when_too_large, expected) in [(WhenDown::Accept, 250), (WhenDown::Defer, 452), (WhenDown::Refuse, 552)] {
        let code = |verdict: Verdict| match verdict.action {
            Action::Refuse(refusal) => refusal.code,
            action => {
                assert_eq!(action, Action::Accept);
                250
            }
        };
        // It says so while the message is still being sent.
        let peer = Peer::new(vec![Manner::Blurt(exceeded.clone())]).await;
        let settings = ClamavSettings { when_too_large, ..settings(peer.endpoint.clone()) };
        assert_eq!(code(look(settings.clone(), &large).await.unwrap()), expected);
        // We know it before.
        let settings = ClamavSettings { bytes_max: 1000, ..settings };
        assert_eq!(code(look(settings, &large).await.unwrap()), expected);
    }
}

#[tokio::test]
async fn who_breaks_off_or_babbles_has_no_verdict() {
    let garbage = b"\xff\xfe\r\nstream: OK\r\n".repeat(10_000);
    for manner in [Manner::Drop, Manner::DropAfter(50), says(b""), says(b"stream: O"), says(&garbage), says(b"OKAY\0")]
    {
        let peer = Peer::new(vec![manner]).await;
        let large = format!("{CONTENT}{}", "0123456789\r\n".repeat(200_000));
        for content in [CONTENT, &large] {
            let error = look(settings(peer.endpoint.clone()), content).await.unwrap_err();
            assert!(matches!(error, FilterError::Io(_) | FilterError::Protocol(_)), "{error}");
        }
    }
    let error = look(settings(Endpoint::Unix("/nowhere/clamd.ctl".into())), CONTENT).await.unwrap_err();
    assert!(matches!(error, FilterError::Io(_)), "{error}");
}

#[tokio::test]
async fn who_hangs_is_late() {
    let peer = Peer::new(vec![Manner::Hang]).await;
    let mut settings = settings(peer.endpoint.clone());
    settings.common.timeout = Duration::from_millis(50);
    let common = settings.common.clone();
    let stage = stage(vec![(Arc::new(Clamav::new(settings)), common)]);
    let envelope = envelope(Direction::Incoming);
    let examined = stage.filters.examine(envelope, message(CONTENT), Keep::Inbox, Direction::Incoming).await;
    let refusal = examined.unwrap_err();
    assert_eq!((refusal.code, refusal.cause.as_deref()), (451, Some("clamav: down: no answer within 0.05 s")));
}

#[tokio::test]
async fn its_health_is_its_version() {
    let answers = |say: &[u8]| Manner::Answer { until: b"\0", say: say.to_vec() };
    let peer = Peer::new(vec![answers(b"PONG\0"), answers(b"ClamAV 1.4.6\0"), answers(b"WHO?\0")]).await;
    let clamav = Clamav::new(settings(peer.endpoint.clone()));
    assert_eq!(clamav.health().await.unwrap(), "ClamAV 1.4.6");
    assert!(clamav.health().await.is_err());
}
