//! From the first byte of a session to the item in the account.

use sterna_account::service::{Authenticator, LoginAttempt, LoginError};
use sterna_formats::mail::Summary;
use sterna_protocols::listener::{Connection, Protocol};
use sterna_protocols::smtp::{Service, SmtpConfig, SmtpProtocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::flaky::Fault;
use super::*;

struct Nobody;

#[async_trait]
impl Authenticator for Nobody {
    async fn authenticate(&self, _: LoginAttempt<'_>) -> Result<Login, LoginError> {
        Err(LoginError::Invalid)
    }
}

/// Sends everything at once and returns the replies.
async fn talk(world: &World, service: Service, input: &[u8]) -> String {
    let config = SmtpConfig::new(service, "mx.demo.test", world.folder.path());
    let protocol = SmtpProtocol::new(config, world.flow.clone(), Arc::new(Nobody), Arc::new(world.clock.clone()));
    let (mut client, server) = tokio::io::duplex(4 << 20);
    let session = protocol.serve(Connection::new(server, "192.0.2.7".parse().unwrap(), None));
    let mut replies = String::new();
    let dialog = async {
        client.write_all(input).await.unwrap();
        client.read_to_string(&mut replies).await.unwrap();
    };
    tokio::join!(session, dialog);
    replies
}

fn codes_of(replies: &str) -> Vec<&str> {
    replies.lines().filter(|line| line.as_bytes()[3] == b' ').map(|line| &line[..3]).collect()
}

#[tokio::test]
async fn lmtp_to_two_accounts_one_of_them_down() {
    let world = World::new().await;
    world.flaky.fail(BEN, Fault::Down);
    let input = b"LHLO c.test\r\nMAIL FROM:<s@other.test>\r\nRCPT TO:<ana@demo.test>\r\nRCPT TO:<ben@demo.test>\r\n\
        RCPT TO:<strange@demo.test>\r\nDATA\r\nSubject: hello\r\n\r\ntext\r\n.\r\nQUIT\r\n";
    let replies = talk(&world, Service::Lmtp, input).await;
    assert_eq!(codes_of(&replies), ["220", "250", "250", "250", "250", "550", "354", "250", "451", "221"], "{replies}");
    let items = world.items(ANA).await;
    let body = String::from_utf8_lossy(items[0].body.as_ref().unwrap()).into_owned();
    assert!(body.starts_with("Return-Path: <s@other.test>\r\nReceived: from c.test ([192.0.2.7])\r\n"), "{body}");
    assert!(body.ends_with("Subject: hello\r\n\r\ntext\r\n"), "{body}");
    let summary = Summary::decode(items[0].summary.as_ref().unwrap()).unwrap();
    assert_eq!(summary.envelope.subject.as_deref(), Some(&b"hello"[..]));
    assert_eq!(world.counts().await, [1, 0, 0]);
}

#[tokio::test]
async fn smtp_in_chunks_and_a_large_one() {
    let world = World::new().await;
    let large = b"0123456789\r\n".repeat(50_000);
    let mut input =
        b"EHLO c.test\r\nMAIL FROM:<> BODY=8BITMIME\r\nRCPT TO:<staff@demo.test>\r\nBDAT 14\r\nSubject: big\r\n"
            .to_vec();
    input.extend(format!("BDAT {} LAST\r\n", large.len()).bytes());
    input.extend_from_slice(&large);
    input.extend_from_slice(b"QUIT\r\n");
    let replies = talk(&world, Service::Mx, &input).await;
    assert_eq!(codes_of(&replies), ["220", "250", "250", "250", "250", "250", "221"], "{replies}");
    for id in [ANA, BEN, CYD] {
        let items = world.items(id).await;
        let body = blob(&world, id, &items[0]).await;
        assert!(body.starts_with(b"Return-Path: <>\r\nReceived: ") && body.ends_with(&large));
    }
    world.check().await;
}

#[tokio::test]
async fn smtp_tells_the_sender_to_come_again_and_nobody_gets_it_twice() {
    let world = World::new().await;
    world.flaky.fail(CYD, Fault::LostAnswer);
    let input = b"EHLO c.test\r\nMAIL FROM:<s@other.test>\r\nRCPT TO:<ana@demo.test>\r\nRCPT TO:<staff@demo.test>\r\n\
        DATA\r\nSubject: hello\r\n.\r\nQUIT\r\n";
    let replies = talk(&world, Service::Mx, input).await;
    assert_eq!(codes_of(&replies), ["220", "250", "250", "250", "250", "354", "451", "221"], "{replies}");
    world.flaky.mend();
    let replies = talk(&world, Service::Mx, input).await;
    assert_eq!(codes_of(&replies), ["220", "250", "250", "250", "250", "354", "250", "221"], "{replies}");
    assert_eq!(world.counts().await, [1, 1, 1]);
    world.check().await;
}

#[tokio::test]
async fn a_thousand_recipients() {
    let world = World::new().await;
    let mut input = b"LHLO c.test\r\nMAIL FROM:<>\r\n".to_vec();
    for n in 0..1000 {
        input.extend(format!("RCPT TO:<u{n}@demo.test>\r\n").bytes());
    }
    input.extend_from_slice(b"DATA\r\nSubject: all\r\n.\r\nQUIT\r\n");
    let replies = talk(&world, Service::Lmtp, &input).await;
    assert_eq!(replies.matches("250 2.0.0 OK").count(), 1000);
    assert_eq!(world.counts().await, [1, 1, 1]);
}

#[tokio::test]
async fn relaying_is_refused() {
    let world = World::new().await;
    let input = b"EHLO c.test\r\nMAIL FROM:<s@other.test>\r\nRCPT TO:<x@elsewhere.test>\r\nQUIT\r\n";
    let replies = talk(&world, Service::Mx, input).await;
    assert!(replies.contains("\r\n550 5.7.1 "), "{replies}");
}
