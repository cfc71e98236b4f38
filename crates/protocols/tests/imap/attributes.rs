//! What is known of messages and mailboxes besides the standard: OBJECTID (RFC 8474), SAVEDATE (RFC 8514), PREVIEW
//! (RFC 8970), QUOTA (RFC 9208).

use sterna_account::Mutation;
use sterna_account::service::Accounts;
use sterna_base::OperationId;

use crate::dialog::{ANA, Server};

#[tokio::test]
async fn names_stay_wherever_things_go() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client
        .say(
            r"
        C: a CREATE one/two
        S: a OK [MAILBOXID (F1-*)] *
        C: b APPEND one/two {3+}
        C: abc
        S: b OK *
        C: c APPEND one/two {3+}
        C: abd
        S: c OK *
        C: d SELECT one/two
        S: ...
        S: * OK [MAILBOXID (F1-*)] *
        S: d OK *
        C: e FETCH 1 (EMAILID THREADID)
        S: * 1 FETCH (EMAILID (M*) THREADID NIL)
        S: e OK *
        C: f COPY 1 INBOX
        S: f OK *
    ",
        )
        .await;
    let ask = |line: &str| line.to_owned();
    let mut answers = Vec::new();
    for line in ["STATUS one/two (MAILBOXID)", "FETCH 1 EMAILID", "FETCH 2 EMAILID", "STATUS INBOX (MAILBOXID)"] {
        client.send(format!("g {}\r\n", ask(line)).as_bytes()).await;
        answers.push(client.line().await.rsplit_once(" (").unwrap().1.to_owned());
        client.say("S: g OK *").await;
    }
    let [mailbox, first, second, inbox] = &answers[..] else { panic!("{answers:?}") };
    assert!(first != second && mailbox != inbox, "{answers:?}");
    let id = first.split(')').next().unwrap();
    let mailbox_id = mailbox.split(')').next().unwrap();
    client
        .say(&format!(
            r"
        C: a RENAME one/two three
        S: a OK *
        C: b STATUS three (MAILBOXID MESSAGES)
        S: * STATUS three (MAILBOXID ({mailbox_id}) MESSAGES 2)
        S: b OK *
        C: c SEARCH EMAILID {id}
        S: * SEARCH 1
        S: c OK *
        C: d SEARCH OR EMAILID Mnone THREADID T1
        S: * SEARCH
        S: d OK *
        C: e SELECT INBOX
        S: ...
        S: e OK *
        C: f FETCH 1 EMAILID
        S: * 1 FETCH (EMAILID ({id}))
        S: f OK *
        C: g SEARCH EMAILID a.b
        S: g BAD *
    "
        ))
        .await;
    server.check().await;
}

#[tokio::test]
async fn the_date_of_saving_is_that_of_the_copy() {
    let server = Server::start().await;
    server
        .dialog(
            r#"
        C: a APPEND INBOX "01-Feb-2001 10:00:00 +0000" {3+}
        C: abc
        S: a OK *
        C: b SELECT INBOX
        S: ...
        S: b OK *
        C: c FETCH 1 (SAVEDATE INTERNALDATE)
        S: * 1 FETCH (SAVEDATE "*-20*" INTERNALDATE " 1-Feb-2001 10:00:00 +0000")
        S: c OK *
        C: d SEARCH SAVEDBEFORE 1-Feb-2020
        S: * SEARCH
        S: d OK *
        C: e SEARCH SAVEDSINCE 1-Feb-2020 SAVEDATESUPPORTED BEFORE 1-Feb-2020
        S: * SEARCH 1
        S: e OK *
        C: f SEARCH SAVEDON never
        S: f BAD *
    "#,
        )
        .await;
}

#[tokio::test]
async fn previews_are_the_beginnings_of_texts() {
    let server = Server::start().await;
    let mut client = server.login().await;
    for message in [
        "Subject: x\r\n\r\nHello,\r\n\r\nhow are you?",
        "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>Gr=C3=BC=C3=9Fe",
        "Content-Type: image/png\r\n\r\nno text",
    ] {
        client.send(format!("a APPEND INBOX {{{}+}}\r\n{message}\r\n", message.len()).as_bytes()).await;
        client.say("S: a OK *").await;
    }
    client
        .say(
            r#"
        C: b SELECT INBOX
        S: ...
        S: b OK *
        C: c FETCH 1:3 (UID PREVIEW)
        S: * 1 FETCH (UID 1 PREVIEW "Hello, how are you?")
        S: * 2 FETCH (UID 2 PREVIEW {7}Grüße)
        S: * 3 FETCH (UID 3 PREVIEW "")
        S: c OK *
        C: d FETCH 1 (PREVIEW (LAZY) UID)
        S: * 1 FETCH (PREVIEW "Hello, how are you?" UID 1)
        S: d OK *
        C: e FETCH 1 PREVIEW (LAZY)
        S: * 1 FETCH (PREVIEW "Hello, how are you?")
        S: e OK *
        C: f FETCH 1 (PREVIEW (EAGER))
        S: f BAD *
        C: g FETCH 1 FLAGS
        S: * 1 FETCH (FLAGS ())
        S: g OK *
    "#,
        )
        .await;
}

#[tokio::test]
async fn quotas_are_told_and_kept() {
    let server = Server::shared().await;
    let account = server.accounts.open(ANA).await.unwrap();
    let mut client = server.login().await;
    client
        .say(
            r#"
        C: a GETQUOTAROOT INBOX
        S: * QUOTAROOT INBOX
        S: a OK *
        C: b GETQUOTA "Nobody's"
        S: b NO [NONEXISTENT] *
        C: b2 GETQUOTA "Account"
        S: b2 NO [NONEXISTENT] *
        C: c SETQUOTA "Account" (STORAGE 10)
        S: c NO [NOPERM] *
        C: d GETQUOTAROOT Nowhere
        S: d NO [NONEXISTENT] *
        C: e APPEND INBOX (\Deleted) {1500+}
    "#,
        )
        .await;
    client.send(format!("{}\r\n", "x".repeat(1500)).as_bytes()).await;
    client.say("S: e OK *").await;
    let step = vec![Mutation::SetQuota { bytes_max: Some(4096), items_max: Some(2) }];
    account.commit(OperationId::random(), step).await.unwrap();
    client
        .say(
            r#"
        C: a GETQUOTA Account
        S: * QUOTA "Account" (STORAGE 2 4 MESSAGE 1 2)
        S: a OK *
        C: a2 GETQUOTAROOT INBOX
        S: * QUOTAROOT INBOX "Account"
        S: * QUOTA "Account" (STORAGE 2 4 MESSAGE 1 2)
        S: a2 OK *
        C: b STATUS INBOX (DELETED DELETED-STORAGE)
        S: * STATUS INBOX (DELETED 1 DELETED-STORAGE 2)
        S: b OK *
        C: c APPEND INBOX {1+}
        C: x
        S: c OK *
        C: d APPEND INBOX {1+}
        C: x
        S: d NO [OVERQUOTA] *
    "#,
        )
        .await;
    server.give_info("INBOX", crate::dialog::BOB, "lri").await;
    server
        .login_as("bob")
        .await
        .say(
            r#"
        C: a GETQUOTAROOT "Shared folders/info@x.test/INBOX"
        S: * QUOTAROOT "Shared folders/info@x.test/INBOX"
        S: a OK *
        C: b GETQUOTAROOT "Shared folders/info@x.test/Trash"
        S: b NO [NONEXISTENT] *
        C: c GETQUOTA "Shared folders/info@x.test"
        S: c NO *
    "#,
        )
        .await;
}
