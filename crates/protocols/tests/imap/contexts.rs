//! Searches whose results are kept up to date.

use crate::dialog::Server;

const THREE: &str = r"
    C: a APPEND INBOX {14+}
    C: Subject: one\r\n {14+}
    C: Subject: two\r\n (\Flagged) {14+}
    C: Subject: one\r\n
    S: a OK *
    C: b SELECT INBOX
    S: ...
    S: b OK *
";

#[tokio::test]
async fn what_others_do_is_added_and_removed() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    one.say(THREE).await;
    one.say(
        r#"
        C: c UID SEARCH RETURN (UPDATE COUNT) FLAGGED
        S: * ESEARCH (TAG "c") UID COUNT 1
        S: c OK *
        C: d SEARCH RETURN (UPDATE ALL CONTEXT) SUBJECT one
        S: * ESEARCH (TAG "d") ALL 1,3
        S: d OK *
        C: c SEARCH RETURN (UPDATE) ALL
        S: c BAD *
    "#,
    )
    .await;
    two.say(
        r"
        C: a SELECT INBOX
        S: ...
        S: a OK *
        C: b STORE 1:2 +FLAGS.SILENT (\Flagged)
        S: b OK *
        C: c STORE 3 -FLAGS.SILENT (\Flagged)
        S: c OK *
        C: d APPEND INBOX (\Flagged) {14+}
        C: Subject: one\r\n {14+}
        C: Subject: two\r\n
        S: ...
        S: d OK *
    ",
    )
    .await;
    one.say(
        r#"
        C: e NOOP
        S: * 1 FETCH (*)
        S: * 2 FETCH (*)
        S: * 3 FETCH (*)
        S: * 5 EXISTS
        S: * 2 RECENT
        S: * ESEARCH (TAG "c") UID REMOVEFROM (0 3)
        S: * ESEARCH (TAG "c") UID ADDTO (0 1:2,4)
        S: * ESEARCH (TAG "d") ADDTO (0 4)
        S: e OK *
        C: f NOOP
        S: f OK *
        C: g IDLE
        S: + *
    "#,
    )
    .await;
    two.say("C: e STORE 1,4 +FLAGS.SILENT (\\Deleted)\nS: e OK *\nC: f EXPUNGE\nS: ...\nS: f OK *").await;
    // What is expunged is taken out before its number means another message; when the flag is told by itself comes
    // before or with it.
    one.say(
        r#"
        S: ...
        S: * ESEARCH (TAG "d") REMOVEFROM (0 1,4)
        S: ...
        S: * 3 EXPUNGE
        C: DONE
        S: ...
        S: g OK *
        C: h CANCELUPDATE "d" "nothing"
        S: h OK *
        C: i STORE 1 FLAGS.SILENT (\Seen)
        S: * ESEARCH (TAG "c") UID REMOVEFROM (0 2)
        S: i OK *
        C: j EXPUNGE
        S: j OK *
        C: k SELECT INBOX
        S: ...
        S: k OK *
        C: l STORE 1 FLAGS.SILENT (\Flagged)
        S: l OK *
        C: m CAPABILITY
        S: * CAPABILITY * CONTEXT=SEARCH*
        S: m OK *
    "#,
    )
    .await;
}

#[tokio::test]
async fn expunges_wait_and_their_results_with_them() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    one.say(THREE).await;
    one.say("C: c SEARCH RETURN (UPDATE) ALL\nS: * ESEARCH (TAG \"c\")\nS: c OK *").await;
    two.say("C: a SELECT INBOX\nS: ...\nS: a OK *\nC: b UID MOVE 2 Trash\nS: ...\nS: b OK *").await;
    one.say(
        r#"
        C: d FETCH 1 UID
        S: * 1 FETCH (UID 1)
        S: d OK *
        C: e NOOP
        S: * ESEARCH (TAG "c") REMOVEFROM (0 2)
        S: * 2 EXPUNGE
        S: e OK *
    "#,
    )
    .await;
}

#[tokio::test]
async fn what_can_not_be_kept_up_to_date_is_said() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.say(THREE).await;
    for number in 0..16 {
        client.say(&format!("C: x{number} SEARCH RETURN (UPDATE COUNT) ALL\nS: * ESEARCH *\nS: x{number} OK *")).await;
    }
    client
        .say(
            r#"
        C: c SEARCH RETURN (UPDATE COUNT) ALL
        S: * ESEARCH (TAG "c") COUNT 3
        S: * NO [NOUPDATE "c"] *
        S: c OK *
        C: d CANCELUPDATE "x0"
        S: d OK *
        C: e UID SEARCH RETURN (UPDATE COUNT) SUBJECT two
        S: * ESEARCH (TAG "e") UID COUNT 1
        S: e OK *
        C: f SORT RETURN (UPDATE COUNT) (SUBJECT) UTF-8 ALL
        S: * ESEARCH (TAG "f") COUNT 3
        S: * NO [NOUPDATE "f"] *
        S: f OK *
        C: g ESEARCH IN (personal) RETURN (UPDATE COUNT) SUBJECT two
        S: * NO [NOUPDATE "g"] *
        S: * ESEARCH (TAG "g" MAILBOX INBOX UIDVALIDITY *) UID COUNT 1
        S: g OK *
    "#,
        )
        .await;
}
