//! Log-in: encrypted or not, and what can be done before and after it.

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use tokio::io::BufReader;
use tokio_util::sync::CancellationToken;

use crate::certificate::certificate;
use crate::dialog::Client;
use crate::sieve::{GREETING, PLAIN, Sieve};

#[tokio::test]
async fn who_proves_who_they_are_is_let_in() {
    let sieve = Sieve::start().await;
    sieve.server.people.tokens.store(true, Ordering::Relaxed);
    let token = STANDARD.encode("n,a=ana,\u{1}auth=Bearer token-of-ana\u{1}\u{1}");
    for dialog in [
        format!("C: AUTHENTICATE \"PLAIN\" \"{PLAIN}\""),
        format!("C: Authenticate \"plain\"\nS: \"\"\nC: \"{PLAIN}\""),
        "C: AUTHENTICATE \"LOGIN\"\nS: \"VXNlcm5hbWU6\"\nC: \"YW5h\"\nS: \"UGFzc3dvcmQ6\"\nC: \"cHc=\"".to_owned(),
        format!("C: AUTHENTICATE \"OAUTHBEARER\" \"{token}\""),
    ] {
        let mut client = sieve.connect().await;
        client.say(&format!("{dialog}\nS: OK\nC: LISTSCRIPTS\nS: OK")).await;
    }
    let mut client = sieve.connect().await;
    client.send(format!("AUTHENTICATE {{5+}}\r\nPLAIN {{12+}}\r\n{PLAIN}\r\n").as_bytes()).await;
    client.say("S: OK").await;
}

#[tokio::test]
async fn who_does_not_is_not() {
    let sieve = Sieve::start().await;
    let mut client = sieve.connect().await;
    client
        .say(
            "C: LISTSCRIPTS
             S: NO \"Log in first\"
             C: AUTHENTICATE \"PLAIN\" \"AGFuYQBndWVzcw==\"
             S: NO \"Login or password is wrong\"
             C: AUTHENTICATE \"PLAIN\"
             S: \"\"
             C: \"*\"
             S: NO \"Cancelled\"
             C: AUTHENTICATE \"PLAIN\" \"\"
             S: NO \"Not a PLAIN message\"
             C: AUTHENTICATE \"PLAIN\" \"!\"
             S: NO \"Not base64\"
             C: AUTHENTICATE \"PLAIN\"
             S: \"\"
             C: LOGOUT
             S: NO \"Not base64\"
             C: AUTHENTICATE \"CRAM-MD5\"
             S: NO \"There is no such mechanism\"",
        )
        .await;
    for _ in 0..3 {
        client.say("C: AUTHENTICATE \"PLAIN\" \"AGFuYQBndWVzcw==\"\nS: NO *").await;
    }
    client.say("C: AUTHENTICATE \"PLAIN\" \"AGFuYQBndWVzcw==\"\nS: BYE \"Too many failed log-ins\"").await;
    assert_eq!(client.rest().await, "");
    let mut client = sieve.connect().await;
    client.say("C: AUTHENTICATE \"PLAIN\" \"AGhhc3R5AHB3\"\nS: NO (TRYLATER) *").await;
}

#[tokio::test]
async fn what_comes_in_the_clear_behind_starttls_counts_for_nothing() {
    let sieve = Sieve::start().await;
    let (config, connector) = certificate();
    let mut client = sieve.connect_as(|connection| connection, Some(config), false);
    let greeting = GREETING.replace("\"SASL\" *", "\"SASL\" \"\"");
    client.say(&format!("{greeting}S: \"STARTTLS\"\nS: \"UNAUTHENTICATE\"\nS: OK *")).await;
    client.say(&format!("C: AUTHENTICATE \"PLAIN\" \"{PLAIN}\"\nS: NO (ENCRYPT-NEEDED) *")).await;
    client.send(b"STARTTLS\r\nPUTSCRIPT \"a\" {4+}\r\nNOOP\r\n").await;
    client.say("S: OK \"Begin TLS\"").await;
    let name = ServerName::try_from("imap.x.test").unwrap();
    let stream = connector.connect(name, client.stream.into_inner()).await.unwrap();
    let mut client = Client { stream: BufReader::new(stream) };
    let greeting = GREETING.replace("\"SASL\" *", "\"SASL\" \"PLAIN LOGIN\"");
    client.say(&format!("{greeting}S: \"UNAUTHENTICATE\"\nS: OK \"TLS has begun\"")).await;
    client
        .say(&format!("C: STARTTLS\nS: NO *\nC: AUTHENTICATE \"PLAIN\" \"{PLAIN}\"\nS: OK\nC: LISTSCRIPTS\nS: OK"))
        .await;
}

#[tokio::test]
async fn a_session_can_begin_anew() {
    let sieve = Sieve::start().await;
    let mut client = sieve.login().await;
    client.say(&format!("C: CAPABILITY\n{GREETING}S: \"UNAUTHENTICATE\"\nS: \"OWNER\" *\nS: OK")).await;
    client
        .say(&format!(
            "C: AUTHENTICATE \"PLAIN\" \"{PLAIN}\"
             S: NO \"You are logged in already\"
             C: STARTTLS
             S: NO \"You are logged in already\"
             C: UNAUTHENTICATE
             S: OK
             C: LISTSCRIPTS
             S: NO \"Log in first\"
             C: AUTHENTICATE \"PLAIN\" \"{PLAIN}\"
             S: OK
             C: LISTSCRIPTS
             S: OK
             C: LOGOUT
             S: OK \"Good-bye\""
        ))
        .await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn the_end_of_the_node_is_told() {
    let sieve = Sieve::start().await;
    let end = CancellationToken::new();
    let mut client = sieve.connect_as(|connection| connection.with_shutdown(end.clone()), None, true);
    client.say(&format!("{GREETING}S: \"UNAUTHENTICATE\"\nS: OK *")).await;
    end.cancel();
    client.say("S: BYE (TRYLATER) *").await;
    assert_eq!(client.rest().await, "");
}
