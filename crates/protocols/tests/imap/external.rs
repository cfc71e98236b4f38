//! Log-in by certificates of clients.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::DuplexStream;
use tokio_rustls::client::TlsStream;

use crate::authority::{Asking, Authority, Shown};
use crate::dialog::{Client, Server};

async fn encrypted(server: &Server, asking: &Asking, shown: Option<Shown>) -> Client<TlsStream<DuplexStream>> {
    let certificates = asking.certificates.clone();
    let prepare =
        |connection: sterna_protocols::listener::Connection| connection.with_client_certificates(Some(certificates));
    let mut client = server.connect_as(prepare, Some(asking.config.clone())).await;
    client.say("C: t STARTTLS\nS: t OK *").await;
    asking.encrypt(client, shown).await
}

#[tokio::test]
async fn a_certificate_lets_in_whom_it_names() {
    let (server, authority) = (Server::start().await, Authority::new());
    let asking = Asking::new(authority.trust(Vec::new()));
    for shown in [
        authority.sign(&["ANA@x.test"], None, 1),
        authority.sign(&["nobody@x.test", "ana@x.test"], Some("bob@x.test"), 2),
        authority.sign(&[], Some("ana@x.test"), 3),
    ] {
        let mut client = encrypted(&server, &asking, Some(shown)).await;
        client
            .say(
                "C: c CAPABILITY
                 S: * CAPABILITY * AUTH=EXTERNAL AUTH=PLAIN *
                 S: c OK *
                 C: a AUTHENTICATE EXTERNAL =
                 S: a OK [CAPABILITY *
                 C: b SELECT INBOX
                 S: ...
                 S: b OK *",
            )
            .await;
    }
    // Without an initial response, and for somebody else.
    let shown = authority.sign(&["ana@x.test"], None, 4);
    let mut client = encrypted(&server, &asking, Some(shown)).await;
    let (ana, bob, two) = (STANDARD.encode("ana"), STANDARD.encode("bob"), STANDARD.encode("a\0b"));
    client
        .say(&format!(
            "C: a AUTHENTICATE EXTERNAL {bob}
             S: a NO [AUTHENTICATIONFAILED] *
             C: b AUTHENTICATE EXTERNAL {two}
             S: b BAD *
             C: c AUTHENTICATE EXTERNAL
             S: +*
             C: *
             S: c BAD *
             C: d AUTHENTICATE EXTERNAL
             S: +*
             C: {ana}
             S: d OK *"
        ))
        .await;
}

#[tokio::test]
async fn what_does_not_count_changes_nothing() {
    let (server, authority) = (Server::start().await, Authority::new());
    let asking = Asking::new(authority.trust(vec![authority.revoke(7, 2100)]));
    for shown in [
        None,
        Some(Authority::new().sign(&["ana@x.test"], None, 1)),
        Some(authority.sign(&["ana@x.test"], None, 7)),
        Some(authority.sign(&[], None, 8)),
    ] {
        let mut client = encrypted(&server, &asking, shown).await;
        client
            .say("C: c CAPABILITY\nS: * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID AUTH=PLAIN AUTH=LOGIN\nS: c OK *")
            .await;
        client.say("C: a AUTHENTICATE EXTERNAL =\nS: a NO [CANNOT] *\nC: l LOGIN ana pw\nS: l OK *").await;
    }
    // In the clear there is no certificate.
    let mut client = server.connect().await;
    client.say("C: a AUTHENTICATE EXTERNAL =\nS: a NO [CANNOT] *").await;
    // Somebody who counts, and names nobody here.
    let mut client = encrypted(&server, &asking, Some(authority.sign(&["who@x.test"], None, 9))).await;
    client.say("C: a AUTHENTICATE EXTERNAL =\nS: a NO [AUTHENTICATIONFAILED] *").await;
}

#[tokio::test]
async fn a_list_of_what_was_revoked_holds_for_the_next_connection() {
    let (server, authority) = (Server::start().await, Authority::new());
    let asking = Asking::new(authority.trust(Vec::new()));
    let shown = || authority.sign(&["ana@x.test"], None, 7);
    for (revoked, expected) in [
        (vec![], "OK"),
        (vec![authority.revoke(7, 2100)], "NO"),
        (vec![authority.revoke(8, 2100)], "OK"),
        // It is out of date: nobody knows what was revoked since.
        (vec![authority.revoke(8, 2021)], "NO"),
    ] {
        asking.certificates.replace(authority.trust(revoked)).unwrap();
        let mut client = encrypted(&server, &asking, Some(shown())).await;
        client.say(&format!("C: a AUTHENTICATE EXTERNAL =\nS: a {expected} *")).await;
    }
}
