//! Floods and stalls.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn errors_are_counted() {
    let server = Server::limited(Service::Mx, |limits| limits.errors_max = 2);
    server.dialog("S: 220\nC: A\nS: 500\nC: B\nS: 500\nC: C\nS: 500\nS: 421 4.7.0\nE").await;
}

#[tokio::test]
async fn commands_that_lead_nowhere_are_counted() {
    let server = Server::limited(Service::Mx, |limits| limits.idle_commands_max = 2);
    server.dialog("S: 220\nC: NOOP\nS: 250\nC: RSET\nS: 250\nC: NOOP\nS: 250\nS: 421 4.7.0\nE").await;
}

#[tokio::test]
async fn guessing_addresses_ends_the_connection() {
    let server = Server::limited(Service::Mx, |limits| limits.refused_recipients_max = 1);
    let begin = "S: 220\nC: EHLO c.test\nS+ 250\nC: MAIL FROM:<>\nS: 250\n";
    let guess = "C: RCPT TO:<unknown@demo.test>\nS: 550\n";
    server.dialog(&format!("{begin}{guess}{guess}S: 421 4.7.0\nE")).await;
}

#[tokio::test]
async fn a_reception_can_end_the_connection() {
    let server = Server::new(Service::Mx);
    let begin = "S: 220\nC: EHLO c.test\nS+ 250\nC: MAIL FROM:<>\nS: 250\n";
    server.dialog(&format!("{begin}C: RCPT TO:<flood@demo.test>\nS: 421 4.7.0 Too much mail\nE")).await;
}

#[tokio::test]
async fn refusals_of_every_kind_come_to_an_end() {
    let begin = "S: 220\nC: LHLO c.test\nS+ 250\n";
    let mail = "C: MAIL FROM:<>\nS: 250\nC: RCPT TO:<ana@demo.test>\nS: 250\n";
    let server = Server::limited(Service::Lmtp, |limits| {
        limits.refusals_max = 2;
        limits.recipients_max = 1;
    });
    for refused in [
        "C: RCPT TO:<ben@demo.test>\nS: 452\n",
        "C: RCPT TO:<unknown@demo.test>\nS: 452\n",
        "C: RCPT TO:<b\u{e9}n@demo.test>\nS: 553\n",
        "C: DATA now\nS: 501\n",
    ] {
        server.dialog(&format!("{begin}{mail}{refused}{refused}{refused}S: 421 4.7.0\nE")).await;
        // A content in between begins the count anew.
        let content = "C: DATA\nS: 354\nC: .\nS: 250\n";
        server
            .dialog(&format!("{begin}{mail}{refused}{refused}{content}{mail}{refused}{refused}C: NOOP\nS: 250"))
            .await;
    }
    let spoofed = "C: MAIL FROM:<spoofed@b.test>\nS: 553\n";
    server.dialog(&format!("{begin}{spoofed}{spoofed}{spoofed}S: 421 4.7.0\nE")).await;
}

#[tokio::test]
async fn messages_of_a_connection_are_counted() {
    let server = Server::limited(Service::Mx, |limits| limits.transactions_max = 1);
    let mail = "C: MAIL FROM:<>\n";
    server.dialog(&format!("S: 220\nC: EHLO c.test\nS+ 250\n{mail}S: 250\nC: RSET\nS: 250\n{mail}S: 421\nE")).await;
}

#[tokio::test]
async fn a_long_line_is_passed_over() {
    let server = Server::new(Service::Mx);
    let mut client = server.connect();
    client.speak("S: 220").await;
    client.send(&[&b"N".repeat(5000)[..], b"\r\nNOOP\r\n"].concat()).await;
    client.speak("S: 500 5.5.6\nS: 250").await;
    // In pieces, so that its end comes alone.
    client.send(&b"N".repeat(5000)).await;
    tokio::task::yield_now().await;
    client.speak("R: \\r\\nNOOP\\r\\n\nS: 500 5.5.6\nS: 250").await;
}

#[tokio::test]
async fn a_line_without_end_is_given_up() {
    let server = Server::new(Service::Mx);
    let mut client = server.connect();
    client.speak("S: 220").await;
    client.send(&b"N".repeat(400 * 1024)).await;
    client.speak("S: 421 4.4.2\nE").await;
}

#[tokio::test(start_paused = true)]
async fn a_stalled_client_is_told_and_left() {
    let server = Server::limited(Service::Mx, |limits| limits.command_timeout = Duration::from_secs(5));
    server.dialog("S: 220\nR: NOO\nS: 421 4.4.2\nE").await;
    let server = Server::limited(Service::Mx, |limits| limits.content_timeout = Duration::from_secs(5));
    server
        .dialog(
            "S: 220\nC: EHLO c.test\nS+ 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<a@demo.test>\nS: 250\nC: DATA\nS: 354
             C: x
             S: 421 4.4.2
             E",
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_dripping_client_has_one_time_for_all() {
    let server = Server::limited(Service::Mx, |limits| limits.content_total_timeout = Duration::from_secs(10));
    let mut client = server.connect();
    client
        .speak(
            "S: 220\nC: EHLO c.test\nS+ 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<a@demo.test>\nS: 250\n\
            C: DATA\nS: 354",
        )
        .await;
    for _ in 0..12 {
        // The connection may be closed already; that is what is waited for.
        let _ = client.stream.write_all(b"x").await;
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    client.speak("S: 421 4.4.2\nE").await;
}

#[tokio::test]
async fn the_end_of_the_node_comes_between_commands() {
    let server = Server::new(Service::Mx);
    let mut idle = server.connect();
    idle.speak("S: 220").await;
    let mut busy = server.connect();
    busy.speak(
        "S: 220\nC: EHLO c.test\nS+ 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<a@demo.test>\nS: 250\nC: DATA\nS: 354",
    )
    .await;
    server.shutdown.cancel();
    idle.speak("S: 421 4.3.2\nE").await;
    busy.speak("C: x\nC: .\nS: 250\nS: 421 4.3.2\nE").await;
    assert_eq!(server.taken().len(), 1);
}
