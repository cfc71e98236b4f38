//! Sizes, spooling, fields that are added.

use super::*;
use sterna_base::limits::INLINE_BLOB_BYTES_MAX;

const BEGIN: &str = "S: 220\nC: EHLO c.test\nS+ 250\nC: MAIL FROM:<a@b.test>\nS: 250\n\
    C: RCPT TO:<ana@demo.test>\nS: 250\nC: DATA\nS: 354\n";

#[tokio::test]
async fn a_large_message_is_spooled_and_the_file_goes_away() {
    let server = Server::new(Service::Mx);
    let mut client = server.connect();
    client.speak(BEGIN).await;
    let line = [b"x".repeat(998), b"\r\n".to_vec()].concat();
    let body = line.repeat(2 * INLINE_BLOB_BYTES_MAX / 1000);
    client.send(&body).await;
    client.speak("C: .\nS: 250 2.0.0\nC: QUIT\nS: 221\nE").await;
    {
        let taken = server.taken();
        assert!(taken[0].spooled && taken[0].content() == body);
        assert_eq!(taken[0].envelope.received_hash, BlobHash::of(&body));
    }
    server.until_nothing_is_spooled().await;
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing() {
    let server = Server::new(Service::Mx);
    let (mut client, session) = server.connect_and_watch();
    client.speak(BEGIN).await;
    client.send(&b"x".repeat(3 * INLINE_BLOB_BYTES_MAX)).await;
    drop(client);
    session.await.unwrap();
    server.until_nothing_is_spooled().await;
    assert!(server.taken().is_empty());
}

#[tokio::test]
async fn size_is_refused_as_early_as_it_is_known() {
    let server = Server::limited(Service::Mx, |limits| {
        limits.message_bytes_max = 100;
        limits.swallow_bytes_max = 1000;
    });
    server.dialog("S: 220\nC: EHLO c.test\nS+ 250\nC: MAIL FROM:<a@b.test> SIZE=101\nS: 552 5.3.4").await;
    let lines = "C: 0123456789012345678901234567890123456789\n".repeat(3);
    server.dialog(&format!("{BEGIN}{lines}C: .\nS: 552 5.3.4\nC: NOOP\nS: 250")).await;
    let flood = "C: 0123456789012345678901234567890123456789\n".repeat(40);
    server.dialog(&format!("{BEGIN}{flood}S: 552 5.3.4\nE")).await;
    assert!(server.taken().is_empty());
}

#[tokio::test]
async fn a_spool_that_can_not_be_written_is_a_temporary_failure() {
    let server = Server::with(Service::Mx, |config| config.spool_folder = "/nonexistent/spool".into());
    let mut client = server.connect();
    client.speak(BEGIN).await;
    client.send(&b"x".repeat(3 * INLINE_BLOB_BYTES_MAX)).await;
    client.speak("R: \\r\\n.\\r\\n\nS: 451 4.3.0\nC: NOOP\nS: 250").await;
}

#[tokio::test]
async fn eight_bits_nuls_and_long_lines_pass() {
    let server = Server::new(Service::Mx);
    let mut client = server.connect();
    client.speak(BEGIN).await;
    let body = [&b"\xff\xfe\0"[..], &b"y".repeat(70_000), b"\r\n"].concat();
    client.send(&body).await;
    client.speak("C: .\nS: 250").await;
    assert_eq!(server.taken()[0].content(), body);
}

#[tokio::test]
async fn submission_adds_what_is_missing() {
    let server = Server::with(Service::Submission, |config| config.plaintext_login = true);
    server
        .dialog(
            "S: 220
             C: EHLO c.test
             S+ 250
             C: AUTH PLAIN AGFuYQBzZWNyZXQ=
             S: 235
             C: MAIL FROM:<ana@demo.test>
             S: 250
             C: RCPT TO:<ben@demo.test>
             S: 250
             C: DATA
             S: 354
             C: Subject: x
             C:
             C: text
             C: .
             S: 250",
        )
        .await;
    let taken = server.taken();
    let id = taken[0].envelope.transaction;
    let expected = format!(
        "Date: Sun, 09 Sep 2001 01:46:40 +0000\r\nMessage-ID: <{id}@mx.demo.test>\r\nSubject: x\r\n\r\ntext\r\n"
    );
    assert_eq!(String::from_utf8_lossy(taken[0].content()), expected);
    assert!(String::from_utf8_lossy(&taken[0].body).contains("with ESMTPA id"));
    assert_eq!(taken[0].envelope.received_hash, BlobHash::of(b"Subject: x\r\n\r\ntext\r\n"));
}
