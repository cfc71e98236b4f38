//! CONDSTORE (RFC 7162) and ESEARCH (RFC 4731).

use crate::dialog::{Client, Server};

/// A mailbox with three messages, the second of which changed last; gives their modseqs.
async fn three(client: &mut Client) -> [u64; 3] {
    for _ in 0..3 {
        client.say("C: a APPEND INBOX {3+}\nC: abc\nS: a OK *").await;
    }
    client.say("C: s SELECT INBOX\nS: ...\nS: s OK *\nC: t STORE 2 +FLAGS.SILENT (\\Flagged)\nS: t OK *").await;
    client.send(b"f FETCH 1:3 MODSEQ\r\n").await;
    let mut modseqs = [0; 3];
    for modseq in &mut modseqs {
        let line = client.line().await;
        let number = line.split_once("MODSEQ (").and_then(|(_, rest)| rest.split_once(')'));
        *modseq = number.and_then(|(number, _)| number.parse().ok()).unwrap();
    }
    client.say("S: f OK *").await;
    modseqs
}

#[tokio::test]
async fn conditional_stores_spare_what_changed() {
    let server = Server::start().await;
    let mut client = server.login().await;
    let [_, second, third] = three(&mut client).await;
    assert!(second > third);
    client
        .say(&format!(
            r"
        C: a STORE 1:3 (UNCHANGEDSINCE {third}) +FLAGS.SILENT (\Seen)
        S: * 1 FETCH (UID 1 MODSEQ (*))
        S: * 3 FETCH (UID 3 MODSEQ (*))
        S: a OK [MODIFIED 2] *
        C: b UID STORE 1:3 (UNCHANGEDSINCE {second}) FLAGS (\Answered)
        S: * 2 FETCH (UID 2 FLAGS (\Answered) MODSEQ (*))
        S: b OK [MODIFIED 1,3] *
        C: c UID STORE 1:3 (UNCHANGEDSINCE 0) +FLAGS (\Draft)
        S: c OK [MODIFIED 1:3] *
        C: d UID STORE 900 (UNCHANGEDSINCE 1) +FLAGS (\Draft)
        S: d OK Done
        C: e STORE 1 (UNCHANGEDSINCE x) +FLAGS (\Draft)
        S: e BAD *
    "
        ))
        .await;
    server.check().await;
}

#[tokio::test]
async fn changes_are_fetched_and_searched_by_modseq() {
    let server = Server::start().await;
    let mut client = server.login().await;
    let [first, second, third] = three(&mut client).await;
    client
        .say(&format!(
            r#"
        C: a FETCH 1:* (FLAGS) (CHANGEDSINCE {third})
        S: * 2 FETCH (FLAGS (\Flagged*) MODSEQ ({second}))
        S: a OK *
        C: b UID FETCH 1:* (UID) (CHANGEDSINCE {second})
        S: b OK *
        C: c SEARCH MODSEQ {third}
        S: * SEARCH 2 3 (MODSEQ {second})
        S: c OK *
        C: d SEARCH MODSEQ 9999999
        S: * SEARCH
        S: d OK *
        C: e SEARCH MODSEQ "/flags/\\draft" all {third} NOT FLAGGED
        S: * SEARCH 3 (MODSEQ {third})
        S: e OK *
        C: f SEARCH RETURN (MIN) MODSEQ 1
        S: * ESEARCH (TAG "f") MIN 1 MODSEQ {first}
        S: f OK *
        C: g UID SEARCH RETURN (MIN MAX) MODSEQ 1
        S: * ESEARCH (TAG "g") UID MIN 1 MAX 3 MODSEQ {third}
        S: g OK *
        C: h SEARCH RETURN (COUNT) MODSEQ 1
        S: * ESEARCH (TAG "h") COUNT 3 MODSEQ {second}
        S: h OK *
        C: i STATUS INBOX (HIGHESTMODSEQ)
        S: * STATUS INBOX (HIGHESTMODSEQ {second})
        S: i OK *
        C: j SELECT INBOX (CONDSTORE)
        S: * OK [CLOSED] *
        S: ...
        S: * OK [HIGHESTMODSEQ {second}] *
        S: ...
        S: j OK *
        C: k FETCH 1 FLAGS (CHANGEDSINCE)
        S: k BAD *
    "#
        ))
        .await;
}

#[tokio::test]
async fn a_store_that_changes_nothing_hides_nothing() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    three(&mut one).await;
    two.say("C: s SELECT INBOX\nS: ...\nS: s OK *").await;
    one.say("C: a STORE 3 +FLAGS.SILENT (\\Seen)\nS: ...\nS: a OK *").await;
    // The commit that this STORE is answered with is the one before, which is news.
    two.say("C: a STORE 2 +FLAGS.SILENT (\\Flagged)\nS: * 3 FETCH (UID 3 FLAGS (\\Seen))\nS: a OK *").await;
}

#[tokio::test]
async fn changes_of_others_come_with_their_modseq_once_it_is_wanted() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    three(&mut one).await;
    two.say("C: e ENABLE CONDSTORE\nS: * ENABLED CONDSTORE\nS: e OK *\nC: s SELECT INBOX\nS: ...\nS: s OK *").await;
    one.say("C: a STORE 1 +FLAGS.SILENT (\\Seen)\nS: ...\nS: a OK *").await;
    two.say("C: n NOOP\nS: * 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (*))\nS: n OK *").await;
}

#[tokio::test]
async fn rev2_searches_answer_with_esearch() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.say("C: e ENABLE IMAP4rev2\nS: * ENABLED IMAP4rev2\nS: e OK *").await;
    three(&mut client).await;
    client
        .say(
            r#"
        C: a SEARCH ALL
        S: * ESEARCH (TAG "a") ALL 1:3
        S: a OK *
        C: b UID SEARCH FLAGGED
        S: * ESEARCH (TAG "b") UID ALL 2
        S: b OK *
        C: c UID SEARCH DELETED
        S: * ESEARCH (TAG "c") UID
        S: c OK *
        C: d SEARCH RETURN (MIN MAX) UNFLAGGED
        S: * ESEARCH (TAG "d") MIN 1 MAX 3
        S: d OK *
        C: f SEARCH RETURN (SAVE COUNT) ALL
        S: * ESEARCH (TAG "f") COUNT 3
        S: f OK *
        C: g SEARCH RETURN (NONSENSE) ALL
        S: g BAD *
    "#,
        )
        .await;
}
