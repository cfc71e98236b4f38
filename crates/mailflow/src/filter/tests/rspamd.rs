//! rspamd, as it is when it is not well.

use sterna_base::Secret;

use super::peer::{Manner, Peer};
use super::*;
use crate::delivery::Keep;
use crate::filter::Action;
use crate::filter::rspamd::{Rspamd, RspamdSettings};

const CONTENT: &str =
    "Return-Path: <sender@other.test>\r\nX-Spam-Status: No, score=-99\r\nSubject: x\r\n\r\nThe terns.\r\n";

fn settings(endpoint: Endpoint) -> RspamdSettings {
    let common = Common { endpoint, ..common(WhenDown::Accept) };
    RspamdSettings { common, password: Some(Secret::new("sesame")), authorities: None, quarantines: true }
}

async fn look(endpoint: Endpoint, content: &str, direction: Direction) -> Result<Verdict, FilterError> {
    let draft = Draft::of(message(content)).await.unwrap().unwrap();
    let envelope = envelope(direction);
    let facts = Facts { envelope: &envelope, direction, own_name: "mx.demo.test" };
    tokio::time::timeout(PATIENCE, Rspamd::new(settings(endpoint)).look(&facts, &draft)).await.unwrap()
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .into()
}

fn says(body: &str) -> Manner {
    Manner::Answer { until: b"The terns.\r\n", say: http("200 OK", body) }
}

#[tokio::test]
async fn it_is_told_everything_and_streamed_the_message() {
    let peer = Peer::new(vec![says(r#"{"action": "no action", "score": 1.5, "required_score": 15}"#)]).await;
    let verdict = look(peer.endpoint.clone(), CONTENT, Direction::Submitted).await.unwrap();
    assert_eq!((verdict.action, verdict.changes.len()), (Action::Accept, 0));
    let heard = String::from_utf8(peer.heard.lock().pop().unwrap()).unwrap();
    assert!(heard.starts_with("POST /checkv2 HTTP/1.1\r\n"), "{heard}");
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, CONTENT);
    let length = format!("content-length: {}", CONTENT.len());
    for field in [
        "from: sender@other.test",
        "rcpt: ana@demo.test",
        "rcpt: ben@demo.test",
        "ip: 192.0.2.7",
        "helo: client.test",
        "user: ana@demo.test",
        "password: sesame",
        &length,
    ] {
        assert!(head.lines().any(|line| line.eq_ignore_ascii_case(field)), "{field}: {head}");
    }
    assert!(head.to_ascii_lowercase().contains("\r\nqueue-id: "));
}

#[tokio::test]
async fn its_actions_are_done() {
    let refuse = |code: u16, text: &str| {
        let class = if code < 500 { 4 } else { 5 };
        Action::Refuse(sterna_account::service::Refusal::new(code, (class, 7, 1), text))
    };
    for (json, expected) in [
        (r#"{"action": "greylist"}"#, Action::Accept),
        (r#"{"action": "my own"}"#, Action::Accept),
        (r#"{"action": "add header"}"#, Action::Quarantine),
        (r#"{"action": "rewrite subject", "subject": "[spam] x"}"#, Action::Quarantine),
        (r#"{"action": "soft reject"}"#, refuse(451, "Try again later")),
        (r#"{"action": "soft reject", "messages": {"smtp_message": "Slowly"}}"#, refuse(451, "Slowly")),
        (r#"{"action": "reject", "messages": {"smtp_message": "Gtube\r\n250 OK"}}"#, refuse(554, "Gtube 250 OK")),
        (r#"{"action": "reject", "milter": {"reject": "discard"}}"#, Action::Discard),
        (r#"{"action": "reject", "milter": {"reject": "quarantine"}}"#, Action::Quarantine),
    ] {
        let peer = Peer::new(vec![says(json)]).await;
        let verdict = look(peer.endpoint.clone(), CONTENT, Direction::Incoming).await.unwrap();
        assert_eq!(verdict.action, expected, "{json}");
    }
    let peer = Peer::new(vec![says(r#"{"action": "add header"}"#)]).await;
    let verdict = look(peer.endpoint.clone(), CONTENT, Direction::Submitted).await.unwrap();
    assert_eq!(verdict.action, Action::Accept, "users' mail is not held back for a guess");
}

#[tokio::test]
async fn what_it_writes_takes_the_place_of_what_strangers_wrote() {
    let json = r#"{"action": "rewrite subject", "subject": "[spam] x", "score": 7, "required_score": 15,
        "thresholds": {"add header": 6}, "milter": {"add_headers": {"X-Own": {"value": "a\n\tb", "order": 0}}}}"#;
    let peer = Peer::new(vec![says(json)]).await;
    let settings = settings(peer.endpoint.clone());
    let common = settings.common.clone();
    let stage = stage(vec![(Arc::new(Rspamd::new(settings)), common)]);
    let envelope = envelope(Direction::Incoming);
    let examined = stage.filters.examine(envelope, message(CONTENT), Keep::Inbox, Direction::Incoming).await;
    let examined = examined.unwrap().unwrap();
    let expected = "Return-Path: <sender@other.test>\r\nX-Spam-Flag: YES\r\nX-Spam-Status: Yes, score=7.00 \
        required=6.00\r\n\ttests=none\r\nX-Own: a\r\n\tb\r\nSubject: [spam] x\r\n\r\nThe terns.\r\n";
    assert_eq!((text(&examined.message).as_str(), examined.keep), (expected, Keep::Junk));
}

#[tokio::test]
async fn who_breaks_off_or_babbles_has_no_verdict() {
    let no_json = says("<html>");
    let until: &[u8] = b"The terns.\r\n";
    let cut = Manner::Answer { until, say: b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec() };
    let refused = Manner::Answer { until, say: http("403 Forbidden", "{}") };
    let garbage = Manner::Answer { until, say: b"\xff\xfe\r\n\r\n".repeat(1000) };
    let endless = Manner::Answer { until, say: http("200 OK", &" ".repeat(5 << 20)) };
    for manner in [Manner::Drop, Manner::DropAfter(100), no_json, cut, refused, garbage, endless] {
        let peer = Peer::new(vec![manner]).await;
        look(peer.endpoint.clone(), CONTENT, Direction::Incoming).await.unwrap_err();
    }
    let peer = Peer::new(vec![Manner::Drop]).await;
    let large = format!("{CONTENT}{}", "0123456789\r\n".repeat(200_000));
    look(peer.endpoint.clone(), &large, Direction::Incoming).await.unwrap_err();
}

#[tokio::test]
async fn an_early_answer_to_a_large_message_counts() {
    let peer = Peer::new(vec![Manner::Blurt(http("200 OK", r#"{"action": "reject"}"#))]).await;
    let large = format!("{CONTENT}{}", "0123456789\r\n".repeat(200_000));
    let verdict = look(peer.endpoint.clone(), &large, Direction::Incoming).await.unwrap();
    assert!(matches!(verdict.action, Action::Refuse(_)));
}

#[tokio::test]
async fn its_health_is_a_pong() {
    let answers = |say: Vec<u8>| Manner::Answer { until: b"\r\n\r\n", say };
    let peer = Peer::new(vec![answers(http("200 OK", "pong\r\n")), answers(http("404 Not Found", ""))]).await;
    let rspamd = Rspamd::new(settings(peer.endpoint.clone()));
    assert_eq!(rspamd.health().await.unwrap(), "rspamd");
    assert!(rspamd.health().await.is_err());
}
