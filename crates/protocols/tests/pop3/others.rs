//! Several clients on one INBOX, of POP3 and IMAP: nobody is shut out, and nobody removes what its client did not mean.

use crate::pop::Pop;

const MESSAGES: [&str; 4] = ["Subject: a\r\n\r\n", "Subject: b\r\n\r\n", "Subject: c\r\n\r\n", "Subject: d\r\n\r\n"];

#[tokio::test]
async fn quit_removes_what_was_marked_and_nothing_else() {
    let pop = Pop::with(&MESSAGES).await;
    let (mut one, mut other) = (pop.login().await, pop.login().await);
    one.say("C: DELE 1\nS: +OK *\nC: DELE 2\nS: +OK *").await;
    other.say("C: DELE 2\nS: +OK *\nC: DELE 3\nS: +OK *").await;
    // IMAP's mark is another matter.
    pop.imap("C: a SELECT INBOX\nS: ...\nS: a OK *\nC: b STORE 4 +FLAGS (\\Deleted)\nS: ...\nS: b OK *").await;
    pop.append(&["Subject: e\r\n\r\n"]).await;
    one.say("C: QUIT\nS: +OK Good-bye").await;
    // What is gone already is gone as well.
    other.say("C: QUIT\nS: +OK Good-bye").await;
    pop.imap("C: a SELECT INBOX\nS: ...\nS: a OK *\nC: b UID SEARCH ALL\nS: * SEARCH 4 5\nS: b OK *").await;
    pop.server.check().await;
}

#[tokio::test]
async fn who_does_not_quit_removes_nothing() {
    let pop = Pop::with(&MESSAGES).await;
    let mut client = pop.login().await;
    client.say("C: DELE 1\nS: +OK *\nC: DELE 2\nS: +OK *\nC+ QUI").await;
    drop(client);
    let mut client = pop.login().await;
    client.say("C: DELE 1\nS: +OK *\nC: RSET\nS: +OK *\nC: DELE 4\nS: +OK *\nC: QUIT\nS: +OK *").await;
    pop.dialog("C: UIDL\nS: +OK *\nS: 1 *.1\nS: 2 *.2\nS: 3 *.3\nS: .").await;
}

#[tokio::test]
async fn what_others_remove_keeps_its_number_and_says_so() {
    let pop = Pop::with(&MESSAGES).await;
    let mut client = pop.login().await;
    pop.imap(
        "C: a SELECT INBOX
         S: ...
         S: a OK *
         C: b STORE 1:2 +FLAGS.SILENT (\\Deleted)
         S: ...
         S: b OK *
         C: c EXPUNGE
         S: ...
         S: c OK *",
    )
    .await;
    client
        .say(
            "C: STAT
             S: +OK 4 56
             C: RETR 1
             S: -ERR The message was removed by another client since you logged in
             C: TOP 2 0
             S: -ERR The message was removed by another client since you logged in
             C: RETR 3
             S: +OK 14 octets
             S: Subject: c
             S:
             S: .
             C: DELE 1
             S: +OK *
             C: DELE 3
             S: +OK *
             C: QUIT
             S: +OK Good-bye",
        )
        .await;
    pop.dialog("C: UIDL\nS: +OK *\nS: 1 *.4\nS: .").await;
}

#[tokio::test]
async fn what_is_kept_for_the_next_log_in_is_what_a_new_one_would_read() {
    let pop = Pop::with(&MESSAGES).await;
    let mut random = 7_u64;
    for round in 0..40 {
        let mut imap = pop.server.login().await;
        imap.say("C: s SELECT INBOX\nS: ...\nS: s OK *").await;
        for _ in 0..3 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let uid = 1 + (random >> 40) % (round + 5);
            match (random >> 33) % 6 {
                0 | 1 => pop.append(&[&format!("Subject: {}\n\n.", "x".repeat(uid as usize))]).await,
                2 => imap.say(&format!("C: a UID STORE {uid} +FLAGS (\\Seen)\nS: ...\nS: a OK *")).await,
                3 => imap.say(&format!("C: a UID STORE {uid} -FLAGS (\\Seen)\nS: ...\nS: a OK *")).await,
                4 => imap.say(&format!("C: a UID COPY {uid} INBOX\nS: ...\nS: a OK *")).await,
                _ => {
                    imap.say(&format!("C: a UID STORE {uid} +FLAGS (\\Deleted)\nS: ...\nS: a OK *")).await;
                    imap.say("C: e EXPUNGE\nS: ...\nS: e OK *").await;
                }
            }
        }
        let all = "STAT\r\nLIST\r\nUIDL\r\nQUIT\r\n";
        let (mut known, mut new) = (pop.login().await, pop.login_anew().await);
        known.send(all.as_bytes()).await;
        new.send(all.as_bytes()).await;
        assert_eq!(known.rest().await, new.rest().await, "round {round}");
    }
    pop.server.check().await;
}
