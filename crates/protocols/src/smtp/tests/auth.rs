//! AUTH on submission.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn server() -> Server {
    Server::with(Service::Submission, |config| config.plaintext_login = true)
}

#[tokio::test]
async fn plain_and_login() {
    for exchange in [
        "C: AUTH PLAIN AGFuYQBzZWNyZXQ=",
        "C: auth plain\nS: 334\nC: AGFuYQBzZWNyZXQ=",
        "C: AUTH PLAIN YW5hAGFuYQBzZWNyZXQ=",
        "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: YW5h\nS: 334 UGFzc3dvcmQ6\nC: c2VjcmV0",
        "C: AUTH LOGIN YW5h\nS: 334 UGFzc3dvcmQ6\nC: c2VjcmV0",
    ] {
        let script = format!(
            "S: 220\nC: EHLO c.test\nS+ 250\n{exchange}\nS: 235 2.7.0\nC: AUTH PLAIN\nS: 503\n\
             C: MAIL FROM:<ana@demo.test>\nS: 250"
        );
        server().dialog(&script).await;
    }
}

#[tokio::test]
async fn what_is_not_a_log_in() {
    server()
        .dialog(
            "S: 220
             C: AUTH PLAIN AGFuYQBzZWNyZXQ=
             S: 503
             C: EHLO c.test
             S+ 250
             C: MAIL FROM:<ana@demo.test>
             S: 530 5.7.0
             C: AUTH CRAM-MD5
             S: 504 5.5.4
             C: AUTH PLAIN
             S: 334
             C: *
             S: 501 5.7.0
             C: AUTH PLAIN ?
             S: 501 5.5.2
             C: AUTH PLAIN YW5h
             S: 501 5.5.2
             C: AUTH PLAIN =
             S: 501 5.5.2
             C: AUTH PLAIN YmVuAGFuYQBzZWNyZXQ=
             S: 535 5.7.8
             C: AUTH PLAIN AGJyb2tlbgB4
             S: 454 4.7.0",
        )
        .await;
}

#[tokio::test]
async fn tokens() {
    let encoded = |message: &str| STANDARD.encode(message);
    let bare = encoded("n,,\u{1}auth=Bearer token\u{1}\u{1}");
    let named = encoded("n,a=ana,\u{1}host=x\u{1}port=587\u{1}auth=Bearer token\u{1}\u{1}");
    let older = encoded("user=ana\u{1}auth=Bearer token\u{1}\u{1}");
    for exchange in [
        format!("C: AUTH OAUTHBEARER {bare}"),
        format!("C: AUTH OAUTHBEARER {named}"),
        format!("C: auth oauthbearer\nS: 334\nC: {named}"),
        format!("C: AUTH XOAUTH2 {older}"),
    ] {
        let greeting = "S: 220\nC: EHLO c.test\nS+ 250";
        server().dialog(&format!("{greeting}\n{exchange}\nS: 235 2.7.0\nC: MAIL FROM:<ana@demo.test>\nS: 250")).await;
    }
    // One that is not good: the client hears why, says anything, and is refused (RFC 7628 section 3.2.3).
    let wrong = encoded("n,,\u{1}auth=Bearer expired\u{1}\u{1}");
    let other = encoded("n,a=ben,\u{1}auth=Bearer token\u{1}\u{1}");
    let down = encoded("n,,\u{1}auth=Bearer down\u{1}\u{1}");
    let why = STANDARD.encode(r#"{"status":"invalid_token"}"#);
    server()
        .dialog(&format!(
            "S: 220
             C: EHLO c.test
             S+ 250
             C: AUTH OAUTHBEARER {wrong}
             S: 334 {why}
             C: AQ==
             S: 535 5.7.8
             C: AUTH OAUTHBEARER {down}
             S: 454 4.7.0
             C: AUTH OAUTHBEARER eA==
             S: 501 5.5.2
             C: AUTH XOAUTH2 {bare}
             S: 501 5.5.2
             C: MAIL FROM:<ana@demo.test>
             S: 530 5.7.0
             C: AUTH OAUTHBEARER {other}
             S: 334 {why}
             C: *
             S: 535 5.7.8"
        ))
        .await;
}

#[tokio::test]
async fn guessing_ends_the_connection() {
    server()
        .dialog(
            "S: 220
             C: EHLO c.test
             S+ 250
             C: AUTH PLAIN AGFuYQB4
             S: 535 5.7.8
             C: AUTH PLAIN AHNsb3cAeA==
             S: 454 4.7.0 Too many failed log-ins; wait 2 seconds
             C: AUTH PLAIN AGFuYQB4
             S: 535 5.7.8
             S: 421 4.7.0
             E",
        )
        .await;
}

#[tokio::test]
async fn no_password_in_the_clear() {
    let server = Server::new(Service::Submission);
    let mut client = server.connect();
    client.speak("S: 220\nC: EHLO c.test").await;
    let lines = client.reply("250").await;
    assert!(!lines.iter().any(|line| line.starts_with("AUTH")), "{lines:?}");
    client
        .speak(
            "C: AUTH PLAIN AGFuYQBzZWNyZXQ=
             S: 538 5.7.11
             C: MAIL FROM:<ana@demo.test>
             S: 530 5.7.0 Begin with STARTTLS",
        )
        .await;
}

#[tokio::test]
async fn log_in_has_its_place() {
    server()
        .dialog(
            "S: 220
             C: HELO c.test
             S: 250
             C: AUTH PLAIN AGFuYQBzZWNyZXQ=
             S: 503 5.5.1 Send EHLO first
             C: EHLO c.test
             S+ 250
             C: AUTH
             S: 501 5.5.4
             C: AUTH PLAIN AGFuYQBzZWNyZXQ= more
             S: 501 5.5.4
             C: AUTH PLAIN AGFuYQBzZWNyZXQ=
             S: 235
             C: MAIL FROM:<ana@demo.test>
             S: 250
             C: AUTH PLAIN AGFuYQBzZWNyZXQ=
             S: 503 5.5.1
             C: RSET
             S: 250
             C: EHLO c.test
             S+ 250
             C: MAIL FROM:<ana@demo.test>
             S: 250",
        )
        .await;
}

#[tokio::test]
async fn a_log_in_can_be_cancelled_at_any_step() {
    server()
        .dialog(
            "S: 220
             C: EHLO c.test
             S+ 250
             C: AUTH LOGIN
             S: 334
             C: *
             S: 501 5.7.0
             C: AUTH LOGIN YW5h
             S: 334
             C: *
             S: 501 5.7.0
             C: AUTH LOGIN YW5h
             S: 334
             C: d3Jvbmc=
             S: 535 5.7.8
             C: AUTH PLAIN
             S: 334
             R: AGFuYQBzZWNyZXQ=\\n
             S: 500 5.5.2
             C: MAIL FROM:<ana@demo.test>
             S: 530 5.7.0",
        )
        .await;
}

#[tokio::test]
async fn what_stands_behind_a_log_in_is_not_its_answer() {
    // AUTH ends a pipelined group (RFC 4954 section 4), but what is sent along must not be lost or taken for base64.
    let server = server();
    let mut client = server.connect();
    client.send(b"EHLO c.test\r\nAUTH PLAIN AGFuYQBzZWNyZXQ=\r\nMAIL FROM:<ana@demo.test>\r\nQUIT\r\n").await;
    client.speak("S: 220\nS+ 250\nS: 235\nS: 250 2.1.0\nS: 221\nE").await;
}

#[tokio::test]
async fn a_password_has_a_longest_length() {
    let server = server();
    let mut client = server.connect();
    client.speak("S: 220\nC: EHLO c.test\nS+ 250\nC: AUTH PLAIN\nS: 334").await;
    client.send(&[&b"A".repeat(12_287)[..], b"\r\n"].concat()).await;
    client.speak("S: 500 5.5.6\nC: NOOP\nS: 250").await;
}
