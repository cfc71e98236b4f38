//! How sessions end: silence, the end of the node, lines without end, and what came in the clear before TLS.

use rustls::pki_types::ServerName;
use tokio::io::BufReader;
use tokio::time::{Duration, Instant, advance, pause};
use tokio_util::sync::CancellationToken;

use crate::certificate::certificate;
use crate::dialog::{Client, Server};

#[tokio::test]
async fn lines_without_end_end_an_idle() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.say("C: i IDLE\nS: + *").await;
    client.send(&b"x".repeat(20_000)).await;
    client.send(b"\r\na DELETE Junk\r\n").await;
    client.say("S: * BYE The line is too long").await;
    let mut client = server.login().await;
    client
        .say("C: i IDLE\nS: + *\nC: a APPEND INBOX {15+}\nC+ b DELETE Junk\\r\\n\\r\\n\nS: * BYE Expected DONE")
        .await;
    let mut client = server.login().await;
    client.say("C: i IDLE\nS: + *\nC: a NOOP\nS: i BAD Expected DONE\nC: b STATUS Junk (UIDNEXT)").await;
    client.say("S: * STATUS Junk (UIDNEXT 1)\nS: b OK *").await;
}

#[tokio::test]
async fn lines_without_end_end_a_log_in() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.say("C: a AUTHENTICATE PLAIN\nS: +*").await;
    client.send(&b"QUJD".repeat(5_000)).await;
    assert_eq!(client.rest().await, "* BYE The line is too long\r\n");
}

#[tokio::test]
async fn the_end_of_the_node_is_told_wherever_the_client_is() {
    let server = Server::start().await;
    for before in [
        "",
        "C: i IDLE\nS: + *",
        "C: a APPEND INBOX {100}\nS: + *\nC+ half a mess",
        "C: a APPEND INBOX {300000+}\nC+ half a mess",
        "C: a LOGIN {5}\nS: + *\nC+ x",
        "C: a SELECT INBOX\nS: ...\nS: a OK *\nC+ b FETCH 1",
    ] {
        let token = CancellationToken::new();
        let shutdown = token.clone();
        let mut client = server.connect_as(|connection| connection.with_shutdown(shutdown), None).await;
        client.say("C: l LOGIN ana pw\nS: l OK *").await;
        client.say(before).await;
        token.cancel();
        assert_eq!(client.rest().await, "* BYE [UNAVAILABLE] The server is ending\r\n", "after {before}");
    }
    server.check().await;
}

/// Says this in a session that is logged in or not, and returns after how long silence ended it, in seconds.
async fn silence_after(dialog: &str, login: bool) -> u64 {
    let server = Server::start().await;
    let mut client = if login { server.login().await } else { server.connect().await };
    client.say(dialog).await;
    pause();
    let since = Instant::now();
    let rest = client.rest().await.replace("* OK Still here\r\n", "");
    assert_eq!(rest, "* BYE You were silent for too long\r\n");
    since.elapsed().as_secs()
}

#[tokio::test]
async fn silence_ends_a_session() {
    assert_eq!(silence_after("", false).await, 120);
}

#[tokio::test]
async fn silence_ends_a_log_in() {
    assert_eq!(silence_after("C: a AUTHENTICATE PLAIN\nS: +*", false).await, 120);
}

#[tokio::test]
async fn silence_after_log_in_may_be_longer() {
    assert_eq!(silence_after("", true).await, 31 * 60);
}

#[tokio::test]
async fn silence_ends_an_idle() {
    assert_eq!(silence_after("C: i IDLE\nS: + *", true).await, 31 * 60);
}

#[tokio::test]
async fn who_idles_hears_now_and_then_that_the_server_is_there() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.say("C: i IDLE\nS: + *").await;
    pause();
    let since = Instant::now();
    let rest = client.rest().await;
    assert_eq!((rest.matches("* OK Still here\r\n").count(), since.elapsed().as_secs()), (15, 31 * 60));
}

#[tokio::test]
async fn silence_inside_a_message_ends_the_session() {
    assert_eq!(silence_after("C: a APPEND INBOX {100}\nS: + *\nC+ half", true).await, 300);
}

#[tokio::test]
async fn silence_inside_a_command_ends_the_session() {
    assert_eq!(silence_after("C: a LOGIN {100}\nS: + *\nC+ half", true).await, 300);
}

#[tokio::test]
async fn who_talks_without_logging_in_is_not_listened_to_for_ever() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    pause();
    let since = Instant::now();
    for _ in 0..6 {
        client.say("C: n NOOP\nS: n OK *").await;
        advance(Duration::from_secs(99)).await;
    }
    assert_eq!(client.rest().await, "* BYE You were silent for too long\r\n");
    assert_eq!(since.elapsed().as_secs(), 600);
}

#[tokio::test]
async fn nothing_said_in_the_clear_counts_after_starttls() {
    let server = Server::start().await;
    let (config, connector) = certificate();
    for behind in ["b LOGIN ana pw\r\nc SELECT INBOX\r\n", "b LOGIN {3+}\r\nana", "b CAPA"] {
        let mut client = server.connect_as(|connection| connection, Some(config.clone())).await;
        client.say("C: a CAPABILITY\nS: * CAPABILITY * STARTTLS *\nS: a OK *").await;
        client.send(format!("s STARTTLS\r\n{behind}").as_bytes()).await;
        client.say("S: s OK *").await;
        let name = ServerName::try_from("imap.x.test").unwrap();
        let stream = connector.connect(name, client.stream.into_inner()).await.unwrap();
        let mut client = Client { stream: BufReader::new(stream) };
        // Neither answers to what was injected nor the state that it would have led to.
        client.say("C: d SELECT INBOX\nS: d BAD *\nC: e STARTTLS\nS: e BAD *\nC: l LOGIN ana pw\nS: l OK *").await;
    }
}
