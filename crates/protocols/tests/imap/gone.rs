//! A mailbox that is deleted while a session has it open.

use crate::dialog::Server;

const OPEN: &str = "
    C: a CREATE Short
    S: a OK *
    C: b APPEND Short {3+}
    C: abc
    S: b OK *
    C: s SELECT Short
    S: ...
    S: s OK *
";

#[tokio::test]
async fn commands_on_it_are_answered_by_its_absence_and_not_from_memory() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    one.say(OPEN).await;
    two.say("C: d DELETE Short\nS: d OK *").await;
    one.say(
        r#"
        C: c FETCH 1 (UID FLAGS)
        S: * OK [CLOSED] *
        S: c NO [NONEXISTENT] *
        C: d UID SEARCH ALL
        S: d NO [NONEXISTENT] *
        C: e STORE 1 +FLAGS (\Deleted)
        S: e NO [NONEXISTENT] *
        C: f EXPUNGE
        S: f NO [NONEXISTENT] *
        C: g UID COPY 1 Trash
        S: g NO [NONEXISTENT] *
        C: h STATUS Short (MESSAGES)
        S: h NO [NONEXISTENT] *
        C: i NOOP
        S: i OK *
        C: j CLOSE
        S: j OK *
        C: k FETCH 1 FLAGS
        S: k BAD *
        C: l SELECT INBOX
        S: * FLAGS (*)
        S: ...
        S: l OK *
    "#,
    )
    .await;
    server.check().await;
}

#[tokio::test]
async fn noop_and_idle_tell_of_it() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    one.say(OPEN).await;
    two.say("C: s SELECT Short\nS: ...\nS: s OK *\nC: i IDLE\nS: + *").await;
    let mut other = server.login().await;
    other.say("C: d DELETE Short\nS: d OK *\nC: e CREATE Short\nS: e OK *").await;
    two.say("S: * OK [CLOSED] *\nC: DONE\nS: i OK *\nC: c EXPUNGE\nS: c NO [NONEXISTENT] *").await;
    one.say("C: n NOOP\nS: * OK [CLOSED] *\nS: n OK *\nC: u UNSELECT\nS: u OK *\nC: v UNSELECT\nS: v BAD *").await;
    // Another mailbox of the same name is another mailbox.
    one.say("C: s SELECT Short\nS: ...\nS: * 0 EXISTS\nS: ...\nS: s OK *").await;
}

#[tokio::test]
async fn who_deletes_the_own_mailbox_is_told_too() {
    let server = Server::start().await;
    let mut one = server.login().await;
    one.say(OPEN).await;
    one.say("C: d DELETE Short\nS: * OK [CLOSED] *\nS: d OK *\nC: f FETCH 1 FLAGS\nS: f NO [NONEXISTENT] *").await;
}
