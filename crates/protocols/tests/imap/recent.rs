//! `\Recent` (RFC 3501 section 2.3.2): who is told first of a message.

use sterna_base::{Clock, ManualClock, SystemClock};

use crate::dialog::Server;

#[tokio::test]
async fn what_came_since_the_start_is_recent_for_whoever_sees_it_first() {
    let mut server = Server::start().await;
    server.login().await.say("C: a APPEND INBOX {3+}\nC: abc\nS: a OK *").await;
    // Times are in milliseconds, and what came in that of the start is recent: it is the next one.
    let saved = SystemClock.now();
    let began = std::iter::repeat_with(|| SystemClock.now()).find(|now| *now > saved).unwrap();
    server.restart_at(ManualClock::at(began));
    let mut client = server.login().await;
    for _ in 0..200 {
        client.say("C: a APPEND INBOX {3+}\nC: abc\nS: a OK *").await;
    }
    // STATUS and EXAMINE look, and leave them recent.
    client
        .say(
            r"
        C: b STATUS INBOX (RECENT)
        S: * STATUS INBOX (RECENT 200)
        S: b OK *
        C: c EXAMINE INBOX
        S: ...
        S: * 200 RECENT
        S: ...
        S: c OK *
        C: d SELECT INBOX
        S: ...
        S: * 201 EXISTS
        S: * 200 RECENT
        S: ...
        S: d OK *
        C: e FETCH 1:2 FLAGS
        S: * 1 FETCH (FLAGS ())
        S: * 2 FETCH (FLAGS (\Recent))
        S: e OK *
        C: f SEARCH NOT NEW
        S: * SEARCH 1
        S: f OK *
    ",
        )
        .await;
    let mut later = server.login().await;
    later
        .say(
            r"
        C: a STATUS INBOX (RECENT)
        S: * STATUS INBOX (RECENT 0)
        S: a OK *
        C: b SELECT INBOX
        S: ...
        S: * 0 RECENT
        S: ...
        S: b OK *
        C: c APPEND INBOX {3+}
        C: abc
        S: * 202 EXISTS
        S: * 1 RECENT
        S: c OK *
    ",
        )
        .await;
    // After the next start nobody's mail is recent again.
    server.restart_at(ManualClock::at(SystemClock.now().plus_ms(1000)));
    server.login().await.say("C: a SELECT INBOX\nS: ...\nS: * 202 EXISTS\nS: * 0 RECENT\nS: ...\nS: a OK *").await;
}
