//! Log-in by SCRAM-SHA-256, with and without channel binding.

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use sterna_account::scram::{ITERATIONS_MIN, ScramVerifier, client_proof};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};

use crate::certificate::certificate;
use crate::dialog::{Client, SALT, Server};

async fn offering() -> Server {
    let server = Server::start().await;
    server.people.scram.store(true, Ordering::Relaxed);
    server
}

/// One exchange, up to the tagged answer.
struct Exchange<'a> {
    mechanism: &'a str,
    header: &'a str,
    binding: Vec<u8>,
    password: &'a str,
    /// Whether the client sends its own nonce back instead of the whole one.
    cuts_nonce: bool,
}

const PLAIN: Exchange<'static> =
    Exchange { mechanism: "SCRAM-SHA-256", header: "n,,", binding: Vec::new(), password: "pw", cuts_nonce: false };

impl Exchange<'_> {
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(&self, client: &mut Client<S>) -> String {
        let (mechanism, bare) = (self.mechanism, "n=ana,r=client-nonce");
        let first = STANDARD.encode(format!("{}{bare}", self.header));
        client.send(format!("a AUTHENTICATE {mechanism} {first}\r\n").as_bytes()).await;
        let line = client.line().await;
        let Some(server_first) = line.strip_prefix("+ ") else { return line };
        let server_first = String::from_utf8(STANDARD.decode(server_first).unwrap()).unwrap();
        let nonce = server_first.strip_prefix("r=").and_then(|rest| rest.split(',').next()).unwrap();
        assert!(nonce.starts_with("client-nonce") && nonce.len() > 30, "{nonce}");
        assert_eq!(server_first, format!("r={nonce},s={},i={ITERATIONS_MIN}", STANDARD.encode(SALT)));
        let binding = [self.header.as_bytes(), &self.binding].concat();
        let sent_back = if self.cuts_nonce { "client-nonce" } else { nonce };
        let without_proof = format!("c={},r={sent_back}", STANDARD.encode(binding));
        let message = format!("{bare},{server_first},{without_proof}");
        let proof = client_proof(self.password, &SALT, ITERATIONS_MIN, message.as_bytes());
        let last = STANDARD.encode(format!("{without_proof},p={}", STANDARD.encode(proof)));
        client.send(format!("{last}\r\n").as_bytes()).await;
        let line = client.line().await;
        let Some(server_final) = line.strip_prefix("+ ") else { return line };
        let signature = ScramVerifier::new(self.password, SALT, ITERATIONS_MIN).verify(message.as_bytes(), &proof);
        let expected = STANDARD.encode(format!("v={}", STANDARD.encode(signature.unwrap())));
        assert_eq!(server_final, expected, "the server knows the password, too");
        client.send(b"\r\n").await;
        client.line().await
    }
}

#[tokio::test]
async fn who_proves_to_know_the_password_is_let_in() {
    let server = offering().await;
    let mut client = server.connect().await;
    client.say("C: c CAPABILITY\nS: * CAPABILITY * AUTH=SCRAM-SHA-256 AUTH=PLAIN *\nS: c OK *").await;
    assert!(PLAIN.run(&mut client).await.starts_with("a OK [CAPABILITY "));
    client.say("C: b SELECT INBOX\nS: ...\nS: b OK *").await;
    // Without an initial response.
    let mut client = server.connect().await;
    client.say("C: a AUTHENTICATE SCRAM-SHA-256\nS: +*\nC: biwsbj1hbmEscj1j\nS: + *\nC: *\nS: a BAD *").await;
}

#[tokio::test]
async fn who_does_not_is_not() {
    let server = offering().await;
    let mut client = server.connect().await;
    for (exchange, expected) in [
        (Exchange { password: "other", ..PLAIN }, "a NO [AUTHENTICATIONFAILED]"),
        (Exchange { cuts_nonce: true, ..PLAIN }, "a NO [AUTHENTICATIONFAILED]"),
        (Exchange { binding: b"x".to_vec(), ..PLAIN }, "a NO [AUTHENTICATIONFAILED]"),
        (Exchange { header: "n,a=bob,", ..PLAIN }, "a NO [AUTHENTICATIONFAILED]"),
        (Exchange { header: "p=tls-exporter,,", ..PLAIN }, "a BAD"),
        (Exchange { header: "", ..PLAIN }, "a BAD"),
        (Exchange { mechanism: "SCRAM-SHA-256-PLUS", header: "p=tls-exporter,,", ..PLAIN }, "a NO [CANNOT]"),
        // There is nothing to bind to here, and so the client is right.
        (Exchange { header: "y,,", ..PLAIN }, "a OK"),
    ] {
        let answer = exchange.run(&mut client).await;
        assert!(answer.starts_with(expected), "{}: {answer}", exchange.header);
    }
    let mut client = Server::start().await.connect().await;
    client.say("C: a AUTHENTICATE SCRAM-SHA-256 biws\nS: a NO [CANNOT] *").await;
}

#[tokio::test]
async fn a_log_in_is_bound_to_its_connection() {
    let server = offering().await;
    let (config, connector) = certificate();
    let tls = async || {
        let mut client = server.connect_as(|connection| connection, Some(config.clone())).await;
        client.say("C: s STARTTLS\nS: s OK *").await;
        let name = ServerName::try_from("imap.x.test").unwrap();
        let stream = connector.connect(name, client.stream.into_inner()).await.unwrap();
        let exporter = stream.get_ref().1.export_keying_material([0_u8; 32], b"EXPORTER-Channel-Binding", None);
        (Client { stream: BufReader::new(stream) }, exporter.unwrap().to_vec())
    };
    let (mechanism, header) = ("SCRAM-SHA-256-PLUS", "p=tls-exporter,,");
    let (mut client, exporter) = tls().await;
    client.say("C: c CAPABILITY\nS: * CAPABILITY * AUTH=SCRAM-SHA-256-PLUS *\nS: c OK *").await;
    for (exchange, expected) in [
        // Somebody in between has another connection to the server.
        (Exchange { mechanism, header, binding: tls().await.1, ..PLAIN }, "a NO [AUTHENTICATIONFAILED]"),
        (Exchange { mechanism, header, ..PLAIN }, "a NO [AUTHENTICATIONFAILED]"),
        (Exchange { mechanism, header: "n,,", ..PLAIN }, "a BAD"),
        (Exchange { mechanism, header: "p=tls-unique,,", ..PLAIN }, "a BAD"),
        (Exchange { header: "y,,", ..PLAIN }, "a BAD"),
        (Exchange { mechanism, header, binding: exporter, ..PLAIN }, "a OK"),
    ] {
        let answer = exchange.run(&mut client).await;
        assert!(answer.starts_with(expected), "{}: {answer}", exchange.header);
    }
}
