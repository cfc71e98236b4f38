//! Commands in and out of order.

use super::*;

#[tokio::test]
async fn a_message_arrives() {
    let server = Server::new(Service::Mx);
    server
        .dialog(
            "S: 220 mx.demo.test ESMTP
             C: EHLO client.test
             S+ 250
             C: MAIL FROM:<ben@other.test> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=e1
             S: 250 2.1.0
             C: RCPT TO:<ana@demo.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;ana+40demo.test
             S: 250 2.1.5
             C: DATA
             S: 354
             R: Subject: x\\r\\n\\r\\n..dot\\r\\n.\\r\\n
             S: 250 2.0.0 OK
             C: QUIT
             S: 221 2.0.0
             E",
        )
        .await;
    let taken = server.taken();
    let [Taken { envelope, body, spooled: false }] = &taken[..] else { panic!("not one message") };
    assert_eq!((&*envelope.mail_from, envelope.envelope_id.as_deref()), ("ben@other.test", Some("e1")));
    assert!(envelope.eight_bit && !envelope.utf8);
    let [rcpt] = &envelope.recipients[..] else { panic!("not one recipient") };
    assert_eq!(rcpt.notify.as_deref(), Some("SUCCESS,DELAY"));
    assert_eq!(rcpt.original.as_deref(), Some("rfc822;ana+40demo.test"));
    let expected = format!(
        "Return-Path: <ben@other.test>\r\nReceived: from client.test ([192.0.2.7])\r\n\
         \tby mx.demo.test with ESMTP id {}\
         \r\n\tfor <ana@demo.test>;\r\n\tSun, 09 Sep 2001 01:46:40 +0000\r\nSubject: x\r\n\r\n.dot\r\n",
        envelope.transaction
    );
    assert_eq!(String::from_utf8_lossy(body), expected);
    assert_eq!(envelope.received_hash, BlobHash::of(b"Subject: x\r\n\r\n.dot\r\n"));
}

#[tokio::test]
async fn extensions_are_announced() {
    let server = Server::new(Service::Mx);
    let mut client = server.connect();
    client.speak("S: 220\nC: EHLO client.test").await;
    let lines = client.reply("250").await;
    let expected = [
        "mx.demo.test",
        "PIPELINING",
        "SIZE 67108864",
        "8BITMIME",
        "BINARYMIME",
        "CHUNKING",
        "SMTPUTF8",
        "DSN",
        "ENHANCEDSTATUSCODES",
        "LIMITS RCPTMAX=1000 MAILMAX=1000",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn commands_out_of_order() {
    Server::new(Service::Mx)
        .dialog(
            "S: 220
             C: MAIL FROM:<a@b.test>
             S: 503 5.5.1
             C: EHLO c.test
             S+ 250
             C: RCPT TO:<ana@demo.test>
             S: 503 5.5.1
             C: DATA
             S: 503 5.5.1
             C: LHLO c.test
             S: 500 5.5.1
             C: AUTH PLAIN
             S: 500 5.5.1
             C: STARTTLS
             S: 502 5.5.1
             C: MAIL FROM:<a@b.test>
             S: 250
             C: MAIL FROM:<a@b.test>
             S: 503 5.5.1
             C: DATA
             S: 554 5.5.1 No valid recipients
             C: RSET
             S: 250
             C: RCPT TO:<ana@demo.test>
             S: 503
             C: MAIL FROM:<>
             S: 250
             C: EHLO c.test
             S+ 250
             C: RCPT TO:<ana@demo.test>
             S: 503",
        )
        .await;
}

#[tokio::test]
async fn the_small_commands() {
    Server::new(Service::Mx)
        .dialog(
            "S: 220
             C: NOOP whatever
             S: 250 2.0.0
             C: VRFY ana
             S: 252 2.1.5
             C: EXPN staff
             S: 502 5.5.1
             C: HELP
             S+ 214
             C: FROB
             S: 500 5.5.1
             C: MAIL FROM:ben@other.test
             S: 501 5.5.4
             C: HELO c.test
             S: 250 mx.demo.test
             C: MAIL FROM:<ben@other.test> SIZE=1
             S: 555 5.5.4
             C: MAIL FROM:<ben@>
             S: 501 5.1.7
             R: NOOP\\n
             S: 500 5.5.2
             C: quit
             S: 221",
        )
        .await;
}

#[tokio::test]
async fn a_pipelined_group_is_answered_in_order() {
    let server = Server::new(Service::Mx);
    let mut client = server.connect();
    client
        .send(
            b"EHLO c.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<unknown@demo.test>\r\nRCPT TO:<ana@demo.test>\r\nDATA\r\n\
              one\r\n.\r\nMAIL FROM:<spoofed@b.test>\r\nRSET\r\nMAIL FROM:<>\r\nRCPT TO:<ben@demo.test>\r\n\
                  DATA\r\n.\r\nQUIT\r\n",
        )
        .await;
    client
        .speak(
            "S: 220
             S+ 250
             S: 250 2.1.0
             S: 550 5.1.1
             S: 250 2.1.5
             S: 354
             S: 250 2.0.0
             S: 553 5.7.1
             S: 250
             S: 250 2.1.0
             S: 250 2.1.5
             S: 354
             S: 250 2.0.0
             S: 221
             E",
        )
        .await;
    let taken = server.taken();
    assert_eq!(taken.iter().map(Taken::content).collect::<Vec<_>>(), [&b"one\r\n"[..], b""]);
}

#[tokio::test]
async fn addresses_in_utf8_need_the_parameter() {
    let server = Server::new(Service::Mx);
    server
        .dialog(
            "S: 220
             C: EHLO c.test
             S+ 250
             C: MAIL FROM:<bén@other.test>
             S: 553 5.6.7
             C: MAIL FROM:<ben@other.test>
             S: 250
             C: RCPT TO:<änne@demo.test>
             S: 553 5.6.7
             C: RSET
             S: 250
             C: MAIL FROM:<bén@other.test> SMTPUTF8
             S: 250
             C: RCPT TO:<änne@demo.test>
             S: 250
             C: DATA
             S: 354
             C: Subject: ä
             C: .
             S: 250
             C: EHLO ä.test
             S: 501",
        )
        .await;
    let taken = server.taken();
    assert!(taken[0].envelope.utf8);
    let body = String::from_utf8_lossy(&taken[0].body);
    assert!(body.contains("with UTF8SMTP id") && body.contains("for <änne@demo.test>"), "{body}");
}

#[tokio::test]
async fn latin1_in_a_command_is_refused() {
    let server = Server::new(Service::Mx);
    let mut client = server.connect();
    client.speak("S: 220\nC: EHLO c.test\nS+ 250").await;
    client.send(b"MAIL FROM:<b\xe9n@other.test> SMTPUTF8\r\n").await;
    client.speak("S: 500 5.5.2").await;
}

#[tokio::test]
async fn one_refused_recipient_of_two_is_named() {
    let server = Server::new(Service::Mx);
    for (second, expected) in [
        ("down", "S: 451-4.3.0\nS: 451 4.3.0 That is for <down@demo.test>"),
        ("gone", "S: 550-5.1.1\nS: 550 5.1.1 That is for <gone@demo.test>"),
    ] {
        let script = format!(
            "S: 220\nC: EHLO c.test\nS+ 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<ana@demo.test>\nS: 250\n\
             C: RCPT TO:<{second}@demo.test>\nS: 250\nC: DATA\nS: 354\nC: .\n{expected}"
        );
        server.dialog(&script).await;
    }
}

#[tokio::test]
async fn half_commands_and_strange_ones() {
    let server = Server::limited(Service::Mx, |limits| limits.errors_max = 100);
    let mut client = server.connect();
    client.speak("S: 220").await;
    for (line, expected) in [
        ("", "500 5.5.1"),
        ("MAI", "500 5.5.1"),
        ("MAILFROM:<a@b.test>", "500 5.5.1"),
        ("GET / HTTP/1.1", "500 5.5.1"),
        ("EHLO", "501 5.5.4"),
        ("EHLO a b", "501 5.5.4"),
        ("NOOP\\0", "500 5.5.2"),
        ("NOOP\\rQUIT", "500 5.5.2"),
        ("MAIL", "501 5.5.4"),
        ("MAIL FROM", "501 5.5.4"),
        ("MAIL FROM:", "501 5.5.4"),
        ("MAIL FROM:<a@b.test", "501 5.5.4"),
        ("MAIL FROM:<a@b.test>>", "501 5.5.4"),
        ("MAIL FROM:<a@b@c.test>", "501 5.1.7"),
        ("RCPT TO:<>", "501 5.1.3"),
        ("RCPT TO:<ana@>", "501 5.1.3"),
        ("DATA now", "501 5.5.4"),
        ("QUIT now", "501 5.5.4"),
        ("RSET now", "501 5.5.4"),
        ("STARTTLS now", "501 5.5.4"),
        ("VRFY", "501 5.5.4"),
    ] {
        client.speak(&format!("R: {line}\\r\\n\nS: {expected}")).await;
    }
    let long = "x".repeat(300);
    client.speak(&format!("C: RCPT TO:<a@{long}.test>\nS: 501 5.1.3\nC: NOOP\nS: 250")).await;
}

#[tokio::test]
async fn a_command_cut_off_by_the_end_is_not_obeyed() {
    let server = Server::new(Service::Mx);
    let (mut client, session) = server.connect_and_watch();
    client.speak("S: 220\nC: EHLO c.test\nS+ 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<a@demo.test>\nS: 250").await;
    client.send(b"DATA\r\nSubject: half\r\n\r\ntext\r\n.").await;
    drop(client);
    session.await.unwrap();
    assert!(server.taken().is_empty());
}
