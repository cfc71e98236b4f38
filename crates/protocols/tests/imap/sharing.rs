//! Several people in one mailbox, and messages that go from one account to another.

use crate::dialog::{BOB, Server};

const ANAS: &str = "\"Other users/ana@x.test/INBOX\"";

#[tokio::test]
async fn others_see_at_once_what_one_does() {
    let server = Server::shared().await;
    let mut ana = server.login().await;
    ana.say("C: a SETACL INBOX bob@x.test lrswite\nS: a OK *\nC: b SELECT INBOX\nS: ...\nS: b OK *").await;
    let mut bob = server.login_as("bob").await;
    bob.say(&format!("C: a SELECT {ANAS}\nS: ...\nS: a OK [READ-WRITE] *\nC: b IDLE\nS: + *")).await;
    ana.say("C: c APPEND INBOX {3+}\nC: abc\nS: ...\nS: c OK *").await;
    bob.say("S: * 1 EXISTS\nS: * 1 RECENT\nC: DONE\nS: b OK *").await;
    bob.say("C: c STORE 1 +FLAGS (\\Seen $Done)\nS: ...\nS: * 1 FETCH (UID 1 FLAGS (*\\Seen $Done*))\nS: c OK *").await;
    ana.say("C: d NOOP\nS: ...\nS: * 1 FETCH (UID 1 FLAGS (*\\Seen $Done*))\nS: d OK *").await;
    bob.say(&format!(
        "C: d APPEND {ANAS} {{5+}}\nC: \\r\\ndef\nS: * 2 EXISTS\nS: * *RECENT\nS: d OK [APPENDUID * 2] *"
    ))
    .await;
    bob.say("C: e UID SEARCH TEXT def\nS: * SEARCH 2\nS: e OK *").await;
    ana.say("C: e NOOP\nS: * 2 EXISTS\nS: ...\nS: e OK *").await;
    ana.say("C: f DELETE INBOX\nS: f NO *\nC: g CLOSE\nS: g OK *").await;
    server.check().await;
}

#[tokio::test]
async fn messages_are_copied_between_accounts_with_their_flags_and_dates() {
    let server = Server::shared().await;
    let mut ana = server.login().await;
    ana.say("C: a SETACL INBOX bob@x.test lrswite\nS: a OK *\nC: b APPEND INBOX ($Zero) {3+}\nC: 000\nS: b OK *").await;
    let large = "x".repeat(300_000);
    let mut bob = server.login_as("bob").await;
    bob.say(&format!(
        r#"
        C: a APPEND INBOX (\Seen $One) "01-Feb-2026 10:00:00 +0000" {{3+}}
        C: abc
        S: a OK *
        C: b APPEND INBOX (\Flagged) {{300000+}}
        C: {large}
        S: b OK *
        C: c SELECT INBOX
        S: ...
        S: c OK *
        C: d COPY 1:2 {ANAS}
        S: d OK [COPYUID * 1:2 2:3] *
        C: e COPY 1 {ANAS}
        S: e OK [COPYUID * 1 4] *
        C: f SELECT {ANAS}
        S: ...
        S: f OK *
        C: g FETCH 2 (FLAGS INTERNALDATE BODY.PEEK[])
        S: * 2 FETCH (FLAGS (\Seen $One) INTERNALDATE " 1-Feb-2026 10:00:00 +0000" BODY[] {{3}}abc)
        S: g OK *
        C: h FETCH 3 (FLAGS RFC822.SIZE BODY.PEEK[]<299998.10>)
        S: * 3 FETCH (FLAGS (\Flagged) RFC822.SIZE 300000 BODY[]<299998> {{2}}xx)
        S: h OK *
        C: i COPY 1:* INBOX
        S: i OK [COPYUID * 1:4 3:6] *
        C: j COPY 1 Nowhere
        S: j NO [TRYCREATE] *
        C: k COPY 1 "Other users/eva@x.test/INBOX"
        S: k NO [NONEXISTENT] *
    "#
    ))
    .await;
    server.check().await;
}

#[tokio::test]
async fn messages_are_moved_between_accounts() {
    let server = Server::shared().await;
    let mut ana = server.login().await;
    ana.say("C: a SETACL INBOX bob@x.test lrswite\nS: a OK *").await;
    for number in 0..150 {
        ana.say(&format!("C: b APPEND INBOX {{3+}}\nC: {number:03}\nS: b OK *")).await;
    }
    let mut bob = server.login_as("bob").await;
    bob.say(&format!("C: a SELECT {ANAS}\nS: ...\nS: a OK *")).await;
    bob.say(
        r#"
        C: b UID MOVE 2:150 INBOX
        S: * OK [COPYUID * 2:150 1:149] *
        S: ...
        S: b OK *
        C: c UID SEARCH ALL
        S: * SEARCH 1
        S: c OK *
        C: d SELECT INBOX
        S: ...
        S: * 149 EXISTS
        S: ...
        S: d OK *
        C: e FETCH 149 BODY.PEEK[]
        S: * 149 FETCH (BODY[] {3}149)
        S: e OK *
    "#,
    )
    .await;
    bob.say(&format!("C: f MOVE 149 {ANAS}\nS: * OK [COPYUID * 149 151] *\nS: * 149 EXPUNGE\nS: f OK *")).await;
    server.check().await;
}

#[tokio::test]
async fn a_full_account_takes_nothing_and_the_copy_leaves_nothing() {
    use sterna_account::{Account, Mutation};
    let server = Server::shared().await;
    let mut ana = server.login().await;
    ana.say("C: a SETACL INBOX bob@x.test lrswite\nS: a OK *").await;
    let account = server.accounts.get(crate::dialog::ANA).await.unwrap();
    let limit = vec![Mutation::SetQuota { bytes_max: Some(250_000), items_max: None }];
    account.commit(sterna_base::OperationId::random(), limit).await.unwrap();
    let mut bob = server.login_as("bob").await;
    let body = "y".repeat(100_000);
    for _ in 0..80 {
        bob.say(&format!("C: a APPEND INBOX {{100000+}}\nC: {body}\nS: a OK *")).await;
    }
    bob.say("C: b SELECT INBOX\nS: ...\nS: b OK *").await;
    bob.say(&format!("C: c COPY 1:2 {ANAS}\nS: c OK *")).await;
    bob.say(&format!("C: d COPY 1:80 {ANAS}\nS: d NO [OVERQUOTA] *")).await;
    bob.say(&format!("C: e STATUS {ANAS} (MESSAGES)\nS: * STATUS * (MESSAGES 2)\nS: e OK *")).await;
    bob.say(&format!("C: f MOVE 1:80 {ANAS}\nS: f NO [OVERQUOTA] *")).await;
    bob.say("C: g STATUS INBOX (MESSAGES)\nS: * STATUS INBOX (MESSAGES 80)\nS: g OK *").await;
    server.check().await;
}

#[tokio::test]
async fn a_shared_mailbox_belongs_to_those_who_have_rights_on_it() {
    let server = Server::shared().await;
    server.give_info("INBOX", BOB, "lrswitekxa").await;
    let mut bob = server.login_as("bob").await;
    bob.say(
        r#"
        C: a LIST "" "Shared folders/*"
        S: * LIST (\Noselect \HasChildren) "/" "Shared folders/info@x.test"
        S: * LIST (\HasNoChildren) "/" "Shared folders/info@x.test/INBOX"
        S: a OK *
        C: b GETACL "Shared folders/info@x.test/INBOX"
        S: * ACL "Shared folders/info@x.test/INBOX" "bob@x.test" "lrswikxteacd"
        S: b OK *
        C: c CREATE "Shared folders/info@x.test/Done/2026"
        S: c OK *
        C: d MYRIGHTS "Shared folders/info@x.test/Done"
        S: * MYRIGHTS * "lrswikxteacd"
        S: d OK *
        C: e SETACL "Shared folders/info@x.test/Done" eva@x.test lr
        S: e OK *
        C: f RENAME "Shared folders/info@x.test/INBOX" "Shared folders/info@x.test/Old"
        S: f NO [CANNOT] *
        C: g SELECT "Other users/info@x.test/INBOX"
        S: g NO [NONEXISTENT] *
    "#,
    )
    .await;
    let mut eva = server.login_as("eva").await;
    eva.say("C: a SELECT \"Shared folders/info@x.test/Done\"\nS: ...\nS: a OK [READ-ONLY] *").await;
    server.check().await;
}
