//! How sessions end that nobody ends: silence, clients that read nothing, the end of the node.

use tokio::time::{Duration, Instant, advance, pause};
use tokio_util::sync::CancellationToken;

use crate::pop::Pop;

/// Says this, and returns after how long silence ended the session, in seconds: without a word (RFC 1939 section 3).
async fn silence_after(pop: &Pop, dialog: &str, login: bool) -> u64 {
    let mut client = if login { pop.login().await } else { pop.connect().await };
    client.say(dialog).await;
    pause();
    let since = Instant::now();
    assert_eq!(client.rest().await, "");
    let elapsed = since.elapsed().as_secs();
    tokio::time::resume();
    elapsed
}

#[tokio::test]
async fn silence_ends_a_session_and_removes_nothing() {
    let pop = Pop::with(&["Subject: a\r\n\r\n"]).await;
    assert_eq!(silence_after(&pop, "", false).await, 120);
    assert_eq!(silence_after(&pop, "C: AUTH PLAIN\nS: +*", false).await, 120);
    assert_eq!(silence_after(&pop, "C: DELE 1\nS: +OK *\nC+ QU", true).await, 600);
    pop.dialog("C: STAT\nS: +OK 1 14").await;
}

#[tokio::test]
async fn who_talks_without_logging_in_is_not_listened_to_for_ever() {
    let pop = Pop::with(&[]).await;
    // Before the session begins: the clock stands still only after it has.
    let since = Instant::now();
    let mut client = pop.connect().await;
    pause();
    for _ in 0..6 {
        client.say("C: USER ana\nS: +OK *").await;
        advance(Duration::from_secs(99)).await;
    }
    assert_eq!(client.rest().await, "");
    assert_eq!(since.elapsed().as_secs(), 600);
}

#[tokio::test]
async fn who_reads_nothing_is_cut_off() {
    let message = format!("Subject: large\r\n\r\n{}", "a line\r\n".repeat(100_000));
    let pop = Pop::with(&[&message]).await;
    let mut client = pop.login().await;
    client.say("C: RETR 1\nS: +OK *\nS: Subject: large").await;
    pause();
    // The server's own limit: whatever it wrote by then is here, and nothing behind it.
    advance(Duration::from_secs(400)).await;
    tokio::time::resume();
    let rest = client.rest().await;
    assert!(rest.len() < message.len() && rest.ends_with(|last: char| "a line\r\n".contains(last)), "{}", rest.len());
}

#[tokio::test]
async fn the_end_of_the_node_is_told() {
    let pop = Pop::with(&["Subject: a\r\n\r\n"]).await;
    for dialog in ["", "C: DELE 1\nS: +OK *", "C+ QUI"] {
        let token = CancellationToken::new();
        let shutdown = token.clone();
        let mut client = pop.connect_as(|connection| connection.with_shutdown(shutdown), None, true).await;
        client.say("C: USER ana\nS: +OK *\nC: PASS pw\nS: +OK *").await;
        client.say(dialog).await;
        token.cancel();
        assert_eq!(client.rest().await, "-ERR [SYS/TEMP] The server is ending, please come again\r\n");
    }
    pop.dialog("C: STAT\nS: +OK 1 14").await;
}
