//! What is different in LMTP.

use super::*;

#[tokio::test]
async fn one_reply_for_each_recipient() {
    let server = Server::new(Service::Lmtp);
    server
        .dialog(
            "S: 220 mx.demo.test LMTP
             C: EHLO client.test
             S: 500 5.5.1
             C: LHLO client.test
             S+ 250
             C: MAIL FROM:<ben@other.test>
             S: 250
             C: RCPT TO:<ana@demo.test>
             S: 250
             C: RCPT TO:<unknown@demo.test>
             S: 550 5.1.1
             C: RCPT TO:<down@demo.test>
             S: 250
             C: RCPT TO:<ben@demo.test>
             S: 250
             C: DATA
             S: 354
             C: x
             C: .
             S: 250 2.0.0
             S: 451 4.3.0
             S: 250 2.0.0
             C: MAIL FROM:<>
             S: 250
             C: RCPT TO:<unknown@demo.test>
             S: 550
             C: DATA
             S: 503 5.5.1
             R: BDAT 6 LAST\\r\\nQUIT\\r\\n
             S: 503 5.5.1
             C: NOOP
             S: 250",
        )
        .await;
    let taken = server.taken();
    assert_eq!(taken.len(), 1);
    let body = String::from_utf8_lossy(&taken[0].body);
    assert!(body.contains("with LMTP id") && !body.contains("for <"), "{body}");
}

#[tokio::test]
async fn a_refused_content_is_refused_for_each() {
    Server::new(Service::Lmtp)
        .dialog(
            "S: 220
             C: LHLO client.test
             S+ 250
             C: MAIL FROM:<>
             S: 250
             C: RCPT TO:<ana@demo.test>
             S: 250
             C: RCPT TO:<ben@demo.test>
             S: 250
             C: DATA
             S: 354
             R: a\\nb\\r\\n.\\r\\n
             S: 554 5.6.0
             S: 554 5.6.0
             C: NOOP
             S: 250",
        )
        .await;
}

#[tokio::test]
async fn the_last_chunk_is_answered_for_each() {
    let server = Server::new(Service::Lmtp);
    server
        .dialog(
            "S: 220
             C: LHLO client.test
             S+ 250
             C: MAIL FROM:<>
             S: 250
             C: RCPT TO:<ana@demo.test>
             S: 250
             C: RCPT TO:<down@demo.test>
             S: 250
             R: BDAT 5\\r\\none\\r\\n
             S: 250 2.0.0 5 bytes
             C: BDAT 0 LAST
             S: 250 2.0.0 OK
             S: 451 4.3.0
             C: QUIT
             S: 221
             E",
        )
        .await;
    assert_eq!(server.taken()[0].content(), b"one\r\n");
}

#[tokio::test]
async fn a_thousand_recipients_and_no_more() {
    let server = Server::new(Service::Lmtp);
    let mut client = server.connect();
    client.speak("S: 220\nC: LHLO c.test\nS+ 250\nC: MAIL FROM:<>\nS: 250").await;
    for n in 0..1001 {
        client.send(format!("RCPT TO:<u{n}@demo.test>\r\n").as_bytes()).await;
    }
    for _ in 0..1000 {
        client.speak("S: 250 2.1.5").await;
    }
    client.speak("S: 452 4.5.3\nC: DATA\nS: 354\nC: .").await;
    for _ in 0..1000 {
        client.speak("S: 250 2.0.0").await;
    }
    client.speak("C: QUIT\nS: 221\nE").await;
    assert_eq!(server.taken()[0].envelope.recipients.len(), 1000);
}

#[tokio::test]
async fn a_recipient_given_twice_has_two_replies() {
    let server = Server::new(Service::Lmtp);
    server
        .dialog(
            "S: 220
             C: LHLO client.test
             S+ 250
             C: MAIL FROM:<>
             S: 250
             C: RCPT TO:<gone@demo.test>
             S: 250
             C: RCPT TO:<ana@demo.test>
             S: 250
             C: RCPT TO:<ana@demo.test>
             S: 250
             C: RCPT TO:<down@demo.test>
             S: 250
             C: DATA
             S: 354
             C: .
             S: 550 5.1.1
             S: 250 2.0.0
             S: 250 2.0.0
             S: 451 4.3.0
             C: QUIT
             S: 221
             E",
        )
        .await;
}

#[tokio::test]
async fn a_content_over_the_limit_is_refused_for_each() {
    let server = Server::limited(Service::Lmtp, |limits| limits.message_bytes_max = 10);
    let begin = "S: 220\nC: LHLO c.test\nS+ 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<ana@demo.test>\nS: 250\n\
        C: RCPT TO:<ben@demo.test>\nS: 250\n";
    for content in ["C: DATA\nS: 354\nC: 0123456789\nC: .", "R: BDAT 12 LAST\\r\\n0123456789\\r\\n"] {
        server.dialog(&format!("{begin}{content}\nS: 552 5.3.4\nS: 552 5.3.4\nC: NOOP\nS: 250")).await;
    }
    assert!(server.taken().is_empty());
}

#[tokio::test]
async fn a_pipelined_group_with_chunks() {
    let server = Server::new(Service::Lmtp);
    let mut client = server.connect();
    client
        .send(
            b"LHLO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<ana@demo.test>\r\nRCPT TO:<unknown@demo.test>\r\n\
              BDAT 3 LAST\r\nx\r\nMAIL FROM:<>\r\nRCPT TO:<unknown@demo.test>\r\nBDAT 6 LAST\r\nQUIT\r\nRSET\r\n",
        )
        .await;
    client.speak("S: 220\nS+ 250\nS: 250\nS: 250\nS: 550\nS: 250 2.0.0\nS: 250\nS: 550\nS: 503 5.5.1\nS: 250").await;
    assert_eq!(server.taken().len(), 1);
}
