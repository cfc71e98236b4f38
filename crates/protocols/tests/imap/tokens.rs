//! Log-in by bearer tokens.

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::dialog::Server;

#[tokio::test]
async fn a_token_lets_in_whose_it_is() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.say("C: a AUTHENTICATE OAUTHBEARER eA==\nS: a NO [CANNOT] *").await;
    server.people.tokens.store(true, Ordering::Relaxed);
    for (mechanism, message) in [
        ("OAUTHBEARER", "n,a=ana,\u{1}host=x\u{1}auth=Bearer token-of-ana\u{1}\u{1}"),
        ("OAUTHBEARER", "n,,\u{1}auth=Bearer token-of-ana\u{1}\u{1}"),
        ("XOAUTH2", "user=ana\u{1}auth=Bearer token-of-ana\u{1}\u{1}"),
    ] {
        let mut client = server.connect().await;
        let message = STANDARD.encode(message);
        client
            .say(&format!(
                "C: a CAPABILITY
                 S: * CAPABILITY * AUTH=OAUTHBEARER AUTH=XOAUTH2 *
                 S: a OK *
                 C: b AUTHENTICATE {mechanism} {message}
                 S: b OK [CAPABILITY *] *
                 C: c SELECT INBOX
                 S: ...
                 S: c OK *"
            ))
            .await;
        let mut client = server.connect().await;
        client.say(&format!("C: b AUTHENTICATE {mechanism}\nS: +*\nC: {message}\nS: b OK *")).await;
    }
}

#[tokio::test]
async fn a_token_that_is_not_good_is_told_so_first() {
    let server = Server::start().await;
    server.people.tokens.store(true, Ordering::Relaxed);
    let mut client = server.connect().await;
    let refused = STANDARD.encode(r#"{"status":"invalid_token"}"#);
    for (message, answer) in [
        ("n,,\u{1}auth=Bearer expired\u{1}\u{1}", "AQ=="),
        ("n,a=bob,\u{1}auth=Bearer token-of-ana\u{1}\u{1}", "*"),
        ("n,,\u{1}auth=Bearer token-of-nobody\u{1}\u{1}", ""),
    ] {
        let message = STANDARD.encode(message);
        client.say(&format!("C: b AUTHENTICATE OAUTHBEARER {message}\nS: + {refused}")).await;
        client.send(format!("{answer}\r\n").as_bytes()).await;
        client.say("S: b NO [AUTHENTICATIONFAILED] *").await;
    }
    client.say("C: c AUTHENTICATE XOAUTH2 eA==\nS: c BAD *\nC: d NOOP\nS: d OK *").await;
}
