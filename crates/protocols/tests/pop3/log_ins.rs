//! Log-in: with USER and PASS, with AUTH, encrypted or not.

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use sterna_account::scram::{ITERATIONS_MIN, client_proof};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};

use crate::authority::{Asking, Authority};
use crate::certificate::certificate;
use crate::dialog::{Client, SALT};
use crate::pop::Pop;

#[tokio::test]
async fn nobody_learns_who_there_is() {
    let pop = Pop::with(&[]).await;
    let mut client = pop.connect().await;
    client
        .say(
            "C: STAT
             S: -ERR Log in first
             C: PASS pw
             S: -ERR USER comes first
             C: USER nobody
             S: +OK And the password?
             C: PASS pw
             S: -ERR [AUTH] Login or password is wrong
             C: PASS pw
             S: -ERR USER comes first
             C: USER ana
             S: +OK And the password?
             C: PASS wrong
             S: -ERR [AUTH] Login or password is wrong
             C: USER eva
             S: +OK *
             C: USER ana
             S: +OK *
             C: PASS pw
             S: +OK 0 messages
             C: USER ana
             S: -ERR You are logged in already
             C: STLS
             S: -ERR *
             C: QUIT
             S: +OK Good-bye",
        )
        .await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn who_guesses_is_sent_away() {
    let pop = Pop::with(&[]).await;
    let mut client = pop.connect().await;
    for _ in 0..4 {
        client.say("C: USER ana\nS: +OK *\nC: PASS guess\nS: -ERR [AUTH] *").await;
    }
    client.say("C: AUTH PLAIN AGFuYQBndWVzcw==\nS: -ERR [AUTH] Too many failed log-ins").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn what_can_be_done_is_told() {
    let pop = Pop::with(&[]).await;
    let (config, _) = certificate();
    let always = "S: +OK *\nS: TOP\nS: UIDL\nS: RESP-CODES\nS: AUTH-RESP-CODE\nS: PIPELINING\nS: EXPIRE NEVER\n\
                  S: UTF8 USER\n";
    let end = "S: IMPLEMENTATION Sterna\nS: .";
    let mut client = pop.connect().await;
    client.say(&format!("C: CAPA\n{always}S: USER\nS: SASL PLAIN LOGIN\n{end}")).await;
    client.say("C: AUTH\nS: +OK *\nS: PLAIN\nS: LOGIN\nS: .\nC: STLS\nS: -ERR *\nC: UTF8\nS: +OK *").await;
    client.say("C: APOP ana c4c9334bac560ecc979e58001b3e22fb\nS: -ERR Unknown command").await;
    let mut client = pop.connect_as(|connection| connection, Some(config), false).await;
    client.say(&format!("C: CAPA\n{always}S: STLS\n{end}")).await;
    client.say("C: USER ana\nS: -ERR Begin with STLS; *\nC: AUTH PLAIN AGFuYQBwdw==\nS: -ERR Begin with STLS; *").await;
    pop.server.people.scram.store(true, Ordering::Relaxed);
    pop.server.people.tokens.store(true, Ordering::Relaxed);
    let mut client = pop.login().await;
    client
        .say(&format!("C: CAPA\n{always}S: USER\nS: SASL SCRAM-SHA-256 OAUTHBEARER XOAUTH2 PLAIN LOGIN\n{end}"))
        .await;
    client.say("C: UTF8\nS: -ERR *\nC: AUTH PLAIN\nS: -ERR *").await;
}

#[tokio::test]
async fn who_proves_who_they_are_is_let_in() {
    let pop = Pop::with(&["Subject: tern\r\n\r\n"]).await;
    pop.server.people.tokens.store(true, Ordering::Relaxed);
    let token = STANDARD.encode("n,a=ana,\u{1}auth=Bearer token-of-ana\u{1}\u{1}");
    let older = STANDARD.encode("user=ana\u{1}auth=Bearer token-of-ana\u{1}\u{1}");
    for dialog in [
        "C: AUTH PLAIN AGFuYQBwdw==".to_owned(),
        "C: auth plain\nS: +*\nC: AGFuYQBwdw==".to_owned(),
        "C: AUTH LOGIN\nS: + VXNlcm5hbWU6\nC: YW5h\nS: + UGFzc3dvcmQ6\nC: cHc=".to_owned(),
        "C: AUTH LOGIN YW5h\nS: + UGFzc3dvcmQ6\nC: cHc=".to_owned(),
        format!("C: AUTH OAUTHBEARER {token}"),
        format!("C: AUTH XOAUTH2\nS: +*\nC: {older}"),
    ] {
        let mut client = pop.connect().await;
        client.say(&format!("{dialog}\nS: +OK 1 messages\nC: STAT\nS: +OK 1 17")).await;
    }
}

#[tokio::test]
async fn who_does_not_is_not() {
    let pop = Pop::with(&[]).await;
    let mut client = pop.connect().await;
    client
        .say(
            "C: AUTH PLAIN AGFuYQBndWVzcw==
             S: -ERR [AUTH] *
             C: AUTH PLAIN Ym9iAGFuYQBwdw==
             S: -ERR [AUTH] *
             C: AUTH PLAIN eA==
             S: -ERR Not a PLAIN message
             C: AUTH PLAIN =
             S: -ERR Not a PLAIN message
             C: AUTH PLAIN !
             S: -ERR Not base64
             C: AUTH LOGIN
             S: + VXNlcm5hbWU6
             C: *
             S: -ERR Cancelled
             C: AUTH CRAM-MD5
             S: -ERR There is no such mechanism
             C: AUTH OAUTHBEARER eA==
             S: -ERR There is no such mechanism",
        )
        .await;
    pop.server.people.tokens.store(true, Ordering::Relaxed);
    let mut client = pop.connect().await;
    let (message, refused) =
        (STANDARD.encode("n,,\u{1}auth=Bearer x\u{1}\u{1}"), STANDARD.encode(r#"{"status":"invalid_token"}"#));
    client.say(&format!("C: AUTH OAUTHBEARER {message}\nS: + {refused}\nC: AQ==\nS: -ERR [AUTH] *")).await;
}

#[tokio::test]
async fn who_has_to_wait_is_not_asked_for_another_password() {
    let pop = Pop::with(&[]).await;
    let mut client = pop.connect().await;
    for _ in 0..6 {
        client
            .say(
                "C: USER hasty
                 S: +OK *
                 C: PASS pw
                 S: -ERR [SYS/TEMP] Too many failed log-ins, please wait
                 C: AUTH PLAIN AGF3YXkAcHc=
                 S: -ERR [SYS/TEMP] Log-in is not possible at the moment",
            )
            .await;
    }
    client.say("C: USER ana\nS: +OK *\nC: PASS pw\nS: +OK 0 messages").await;
    // The same for IMAP.
    let mut client = pop.server.connect().await;
    client.say("C: a LOGIN hasty pw\nS: a NO [UNAVAILABLE] *\nC: b LOGIN away pw\nS: b NO [UNAVAILABLE] *").await;
}

/// SCRAM with the initial response, up to the answer of AUTH.
async fn scram<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Client<S>,
    mechanism: &str,
    header: &str,
    binding: &[u8],
    password: &str,
) -> String {
    let bare = "n=ana,r=client-nonce";
    let first = STANDARD.encode(format!("{header}{bare}"));
    client.send(format!("AUTH {mechanism} {first}\r\n").as_bytes()).await;
    let line = client.line().await;
    let Some(server_first) = line.strip_prefix("+ ") else { return line };
    let server_first = String::from_utf8(STANDARD.decode(server_first).unwrap()).unwrap();
    let nonce = server_first.strip_prefix("r=").and_then(|rest| rest.split(',').next()).unwrap();
    let binding = STANDARD.encode([header.as_bytes(), binding].concat());
    let without_proof = format!("c={binding},r={nonce}");
    let message = format!("{bare},{server_first},{without_proof}");
    let proof = STANDARD.encode(client_proof(password, &SALT, ITERATIONS_MIN, message.as_bytes()));
    client.send(format!("{}\r\n", STANDARD.encode(format!("{without_proof},p={proof}"))).as_bytes()).await;
    let line = client.line().await;
    if !line.starts_with("+ ") {
        return line;
    }
    client.send(b"\r\n").await;
    client.line().await
}

#[tokio::test]
async fn a_log_in_can_be_bound_to_its_connection() {
    let pop = Pop::with(&[]).await;
    pop.server.people.scram.store(true, Ordering::Relaxed);
    let (config, connector) = certificate();
    let mut client = pop.connect_as(|connection| connection, Some(config), false).await;
    // What comes in the clear behind STLS counts for nothing.
    client.send(b"STLS\r\nUSER eva\r\nNOOP\r\n").await;
    client.say("S: +OK Begin TLS").await;
    let name = ServerName::try_from("imap.x.test").unwrap();
    let stream = connector.connect(name, client.stream.into_inner()).await.unwrap();
    let exporter = stream.get_ref().1.export_keying_material([0_u8; 32], b"EXPORTER-Channel-Binding", None).unwrap();
    let mut client = Client { stream: BufReader::new(stream) };
    client.say("C: PASS pw\nS: -ERR USER comes first\nC: STLS\nS: -ERR *").await;
    client.say("C: CAPA\nS: ...\nS: SASL SCRAM-SHA-256 SCRAM-SHA-256-PLUS PLAIN LOGIN\nS: ...\nS: .").await;
    let (plus, header) = ("SCRAM-SHA-256-PLUS", "p=tls-exporter,,");
    assert!(scram(&mut client, plus, header, &[7; 32], "pw").await.starts_with("-ERR [AUTH]"));
    assert!(scram(&mut client, plus, header, &exporter, "other").await.starts_with("-ERR [AUTH]"));
    assert!(scram(&mut client, "SCRAM-SHA-256", "y,,", &[], "pw").await.starts_with("-ERR Not a SCRAM"));
    assert_eq!(scram(&mut client, plus, header, &exporter, "pw").await, "+OK 0 messages");
    let mut client = pop.connect().await;
    assert_eq!(scram(&mut client, "SCRAM-SHA-256", "n,,", &[], "pw").await, "+OK 0 messages");
}

#[tokio::test]
async fn a_certificate_lets_in_whom_it_names() {
    let (pop, authority) = (Pop::with(&[]).await, Authority::new());
    let asking = Asking::new(authority.trust(Vec::new()));
    for (shown, capabilities, answer) in [
        (Some(authority.sign(&["ana@x.test"], None, 1)), "SASL EXTERNAL PLAIN LOGIN", "+OK 0 messages"),
        (Some(authority.sign(&["who@x.test"], None, 2)), "SASL EXTERNAL PLAIN LOGIN", "-ERR [AUTH] *"),
        (Some(Authority::new().sign(&["ana@x.test"], None, 1)), "SASL PLAIN LOGIN", "-ERR There is no such mechanism"),
        (None, "SASL PLAIN LOGIN", "-ERR There is no such mechanism"),
    ] {
        let certificates = asking.certificates.clone();
        let prepare = |connection: sterna_protocols::listener::Connection| {
            connection.with_client_certificates(Some(certificates))
        };
        let mut client = pop.connect_as(prepare, Some(asking.config.clone()), false).await;
        client.say("C: STLS\nS: +OK *").await;
        let mut client = asking.encrypt(client, shown).await;
        client.say(&format!("C: CAPA\nS: ...\nS: {capabilities}\nS: ...\nS: .")).await;
        client.say(&format!("C: AUTH EXTERNAL =\nS: {answer}")).await;
    }
}
