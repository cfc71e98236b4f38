//! STARTTLS (RFC 3207).

use rustls::pki_types::ServerName;
use tokio::io::DuplexStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::listener::tests::certificate;

/// A server with a certificate, and a client that trusts it.
fn server(service: Service) -> (Server, TlsConnector) {
    let (tls, connector) = certificate();
    let mut server = Server::new(service);
    server.tls = Some(tls);
    (server, connector)
}

async fn encrypt(client: Client, connector: &TlsConnector) -> BufReader<TlsStream<DuplexStream>> {
    let name = ServerName::try_from("mx.demo.test").unwrap();
    BufReader::new(connector.connect(name, client.stream.into_inner()).await.unwrap())
}

async fn say(stream: &mut BufReader<TlsStream<DuplexStream>>, line: &str) -> String {
    stream.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut reply = String::new();
    loop {
        let mut line = String::new();
        assert_ne!(stream.read_line(&mut line).await.unwrap(), 0);
        reply.push_str(&line);
        if line.as_bytes()[3] == b' ' {
            return reply;
        }
    }
}

#[tokio::test]
async fn nothing_said_in_the_clear_counts_afterwards() {
    let (server, connector) = server(Service::Mx);
    let mut client = server.connect();
    client
        .speak(
            "S: 220
             C: EHLO c.test
             S+ 250
             C: MAIL FROM:<injected@b.test>
             S: 250
             C: RCPT TO:<ana@demo.test>
             S: 250",
        )
        .await;
    // Commands behind STARTTLS in the same packet are somebody else's.
    client.send(b"STARTTLS\r\nRSET\r\nEHLO evil.test\r\nMAIL FROM:<evil@b.test>\r\n").await;
    client.speak("S: 220 2.0.0").await;
    let mut stream = encrypt(client, &connector).await;
    assert!(say(&mut stream, "RCPT TO:<ana@demo.test>").await.starts_with("503 5.5.1"));
    assert!(say(&mut stream, "MAIL FROM:<a@b.test>").await.starts_with("503 5.5.1 Send EHLO first"));
    let extensions = say(&mut stream, "EHLO c.test").await;
    assert!(!extensions.contains("STARTTLS"), "{extensions}");
    assert!(say(&mut stream, "STARTTLS").await.starts_with("503"));
    assert!(say(&mut stream, "MAIL FROM:<a@b.test>").await.starts_with("250"));
    assert!(say(&mut stream, "RCPT TO:<ana@demo.test>").await.starts_with("250"));
    assert!(say(&mut stream, "DATA").await.starts_with("354"));
    assert!(say(&mut stream, ".").await.starts_with("250"));
    let taken = server.taken();
    assert_eq!(taken[0].envelope.mail_from, "a@b.test");
    assert!(taken[0].envelope.sender.tls);
    assert!(String::from_utf8_lossy(&taken[0].body).contains("with ESMTPS id"));
}

#[tokio::test]
async fn log_in_is_offered_inside_tls_only() {
    let (server, connector) = server(Service::Submission);
    let mut client = server.connect();
    client.speak("S: 220\nC: EHLO c.test").await;
    let lines = client.reply("250").await;
    assert!(lines.contains(&"STARTTLS".to_owned()) && !lines.iter().any(|line| line.starts_with("AUTH")));
    client.speak("C: STARTTLS\nS: 220").await;
    let mut stream = encrypt(client, &connector).await;
    assert!(say(&mut stream, "EHLO c.test").await.contains("AUTH PLAIN LOGIN"));
    assert!(say(&mut stream, "AUTH PLAIN AGFuYQBzZWNyZXQ=").await.starts_with("235"));
    assert!(say(&mut stream, "MAIL FROM:<spoofed@demo.test>").await.starts_with("553 5.7.1"));
}

#[tokio::test]
async fn a_broken_handshake_ends_the_connection() {
    let (server, _) = server(Service::Mx);
    let mut client = server.connect();
    client.speak("S: 220\nC: EHLO c.test\nS+ 250\nC: STARTTLS\nS: 220").await;
    client.send(b"EHLO again\r\n").await;
    let mut rest = Vec::new();
    let _ = client.stream.read_to_end(&mut rest).await;
    assert!(!rest.starts_with(b"250"));
}

#[tokio::test]
async fn a_log_in_before_encryption_is_refused_and_its_password_not_asked_for() {
    let (server, connector) = server(Service::Submission);
    let mut client = server.connect();
    client.speak("S: 220\nC: EHLO c.test\nS+ 250\nC: AUTH PLAIN AGFuYQBzZWNyZXQ=\nS: 538 5.7.11").await;
    client.speak("C: AUTH LOGIN\nS: 538 5.7.11\nC: STARTTLS\nS: 220").await;
    let mut stream = encrypt(client, &connector).await;
    // EHLO is needed again before anything.
    assert!(say(&mut stream, "AUTH PLAIN AGFuYQBzZWNyZXQ=").await.starts_with("503 5.5.1 Send EHLO first"));
}

#[tokio::test]
async fn lmtp_can_be_encrypted_too() {
    let (server, connector) = server(Service::Lmtp);
    let mut client = server.connect();
    client.speak("S: 220\nC: LHLO c.test").await;
    assert!(client.reply("250").await.contains(&"STARTTLS".to_owned()));
    client.speak("C: STARTTLS\nS: 220").await;
    let mut stream = encrypt(client, &connector).await;
    assert!(say(&mut stream, "LHLO c.test").await.starts_with("250"));
    assert!(say(&mut stream, "MAIL FROM:<>").await.starts_with("250"));
    assert!(say(&mut stream, "RCPT TO:<ana@demo.test>").await.starts_with("250"));
    assert!(say(&mut stream, "BDAT 0 LAST").await.starts_with("250"));
    assert!(String::from_utf8_lossy(&server.taken()[0].body).contains("with LMTPS id"));
}
