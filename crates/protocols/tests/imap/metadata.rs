//! Entries about mailboxes and the server.

use sterna_account::service::Accounts;
use sterna_account::{ContainerKind, Mutation};
use sterna_base::OperationId;

use crate::dialog::{ANA, BOB, EVA, INFO, Server};

#[tokio::test]
async fn entries_are_set_read_and_removed() {
    let dialog = r#"
        C: a SETMETADATA INBOX (/private/comment "My own" /Shared/Comment {9+}
        C+ two\r\nrows
        C: )
        S: a OK *
        C: b GETMETADATA INBOX (/private/comment /shared/comment /shared/other)
        S: * METADATA INBOX (/private/comment "My own" /shared/comment {9}two\r\nrows /shared/other NIL)
        S: b OK *
        C: c GETMETADATA "INBOX" /PRIVATE/comment
        S: * METADATA INBOX (/PRIVATE/comment "My own")
        S: c OK *
        C: d SETMETADATA INBOX (/private/comment NIL /shared/empty "" /shared/binary ~{3+}
        C+ a\0b
        C: )
        S: d OK *
        C: e GETMETADATA INBOX (/private/comment /shared/empty /shared/binary)
        S: * METADATA INBOX (/private/comment NIL /shared/empty "" /shared/binary ~{3}a\0b)
        S: e OK *
        C: f SETMETADATA INBOX (/shared/comment two)
        S: f BAD *
        C: f2 SETMETADATA INBOX (/shared/comment "three" /shared/comment "four")
        S: f2 OK *
        C: g GETMETADATA Drafts /shared/comment
        S: * METADATA Drafts (/shared/comment NIL)
        S: g OK *
        C: h SETMETADATA Drafts (/shared/comment NIL)
        S: h OK *
        C: i GETMETADATA Nowhere /shared/comment
        S: i NO [NONEXISTENT] *
        C: j SETMETADATA Nowhere (/shared/comment "x")
        S: j NO [NONEXISTENT] *
        C: k GETMETADATA INBOX comment
        S: k BAD *
        C: l GETMETADATA INBOX /shared/comment
        S: * METADATA INBOX (/shared/comment "four")
        S: l OK *
        C: m CAPABILITY
        S: * CAPABILITY * METADATA LIST-METADATA*
        S: m OK *
    "#;
    Server::start().await.dialog(dialog).await;
}

#[tokio::test]
async fn entries_below_an_entry_are_found() {
    let dialog = r#"
        C: a SETMETADATA INBOX (/private/filters/values/small "SMALLER 5000" /private/filters/values/boss "FROM boss" /private/filters/values/a/b "deep" /private/filters/valuesx "no")
        S: a OK *
        C: b GETMETADATA INBOX (DEPTH 1) (/private/filters/values)
        S: * METADATA INBOX (/private/filters/values/small "SMALLER 5000" /private/filters/values/boss "FROM boss")
        S: b OK *
        C: c GETMETADATA (DEPTH infinity) INBOX /private/filters/values
        S: * METADATA INBOX (/private/filters/values/small "SMALLER 5000" /private/filters/values/boss "FROM boss" /private/filters/values/a/b "deep")
        S: c OK *
        C: d GETMETADATA (DEPTH 0) INBOX /private/filters
        S: * METADATA INBOX (/private/filters NIL)
        S: d OK *
        C: e GETMETADATA (DEPTH infinity) INBOX (/shared /private/none)
        S: e OK *
        C: f GETMETADATA (MAXSIZE 5 DEPTH infinity) INBOX (/private/filters)
        S: * METADATA INBOX (/private/filters/values/a/b "deep" /private/filters/valuesx "no")
        S: f OK [METADATA LONGENTRIES 12] *
        C: g GETMETADATA INBOX (MAXSIZE 3) (/private/filters/values/boss /private/filters/valuesx)
        S: * METADATA INBOX (/private/filters/valuesx "no")
        S: g OK [METADATA LONGENTRIES 9] *
        C: h GETMETADATA (DEPTH infinity) Drafts /private
        S: * METADATA Drafts (/private/specialuse "\\Drafts")
        S: h OK *
        C: i GETMETADATA Drafts /private/specialuse
        S: * METADATA Drafts (/private/specialuse "\\Drafts")
        S: i OK *
        C: j SETMETADATA Drafts (/private/specialuse "\\Sent")
        S: j NO [USEATTR] *
    "#;
    Server::start().await.dialog(dialog).await;
}

#[tokio::test]
async fn all_entries_of_a_command_are_set_or_none() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client.send(b"a SETMETADATA INBOX (/shared/comment \"x\" /shared/long {65537+}\r\n").await;
    client.send(&b"x".repeat(65_537)).await;
    client.say("C: )\nS: a NO [METADATA MAXSIZE 65536] *").await;
    client.send(b"b SETMETADATA INBOX (/private/long {65536+}\r\n").await;
    client.send(&b"x".repeat(65_536)).await;
    client.say("C: )\nS: b OK *").await;
    client.say("C: c GETMETADATA INBOX /shared/comment\nS: * METADATA INBOX (/shared/comment NIL)\nS: c OK *").await;
    // 256 entries, and not one more; what is there can still be changed.
    for part in 0..4 {
        let entries: Vec<String> = (0..64).map(|number| format!("/shared/n/{part}-{number} \"x\"")).collect();
        client.say(&format!("C: d SETMETADATA INBOX ({})\nS: d OK *", entries.join(" "))).await;
    }
    client
        .say(
            r#"
        C: e SETMETADATA INBOX (/shared/n/0-0 "y" /shared/n/more "x")
        S: e NO [METADATA TOOMANY] *
        C: f SETMETADATA INBOX (/shared/n/0-0 "z" /shared/n/0-1 NIL)
        S: f OK *
        C: g SETMETADATA INBOX (/shared/n/more "x" /private/more "x")
        S: g OK *
        C: h GETMETADATA INBOX (/shared/n/0-0 /shared/n/0-1)
        S: * METADATA INBOX (/shared/n/0-0 "z" /shared/n/0-1 NIL)
        S: h OK *
    "#,
        )
        .await;
    server.check().await;
}

#[tokio::test]
async fn entries_about_the_server_are_the_users_own() {
    let server = Server::shared().await;
    server
        .dialog(
            r#"
        C: a SETMETADATA "" (/private/vendor/x/y "mine")
        S: a OK *
        C: b GETMETADATA "" (/private/vendor/x/y /shared/comment)
        S: * METADATA "" (/private/vendor/x/y "mine" /shared/comment NIL)
        S: b OK *
        C: c SETMETADATA "" (/private/vendor/x/z "too" /shared/comment "x")
        S: c NO [NOPERM] *
        C: d GETMETADATA (DEPTH infinity) "" /private
        S: * METADATA "" (/private/vendor/x/y "mine")
        S: d OK *
    "#,
        )
        .await;
    let mut bob = server.login_as("bob").await;
    bob.say(
        "C: a GETMETADATA \"\" /private/vendor/x/y\n
         S: * METADATA \"\" (/private/vendor/x/y NIL)\nS: a OK *",
    )
    .await;
}

#[tokio::test]
async fn entries_go_with_their_mailbox() {
    let dialog = r#"
        C: a CREATE one
        S: a OK *
        C: b SETMETADATA one (/private/comment "of one")
        S: b OK *
        C: c RENAME one two
        S: c OK *
        C: d GETMETADATA two /private/comment
        S: * METADATA two (/private/comment "of one")
        S: d OK *
        C: e DELETE two
        S: e OK *
        C: f CREATE two
        S: f OK *
        C: g GETMETADATA two /private/comment
        S: * METADATA two (/private/comment NIL)
        S: g OK *
        C: h SETMETADATA INBOX (/private/comment "of the inbox")
        S: h OK *
        C: i RENAME INBOX old
        S: i OK *
        C: j GETMETADATA old /private/comment
        S: * METADATA old (/private/comment "of the inbox")
        S: j OK *
        C: k GETMETADATA INBOX /private/comment
        S: * METADATA INBOX (/private/comment "of the inbox")
        S: k OK *
    "#;
    let server = Server::start().await;
    server.dialog(dialog).await;
    let containers = server.accounts.open(ANA).await.unwrap().containers().await.unwrap();
    let notes = containers.iter().filter(|container| container.kind == ContainerKind::Metadata);
    assert_eq!(notes.count(), 2, "of INBOX and of what it was renamed to");
}

#[tokio::test]
async fn a_listing_shows_entries() {
    let server = Server::shared().await;
    server.give_info("INBOX", ANA, "lr").await;
    server.give_info("Sent", ANA, "l").await;
    server
        .dialog(
            r##"
        C: a SETMETADATA INBOX (/shared/color "#b71c1c")
        S: a OK *
        C: b SETMETADATA "Shared folders/info@x.test/INBOX" (/shared/color "#000000")
        S: b OK *
        C: c LIST "" (INBOX Drafts) RETURN (METADATA (/shared/color /private/specialuse) CHILDREN)
        S: * LIST (*) "/" INBOX
        S: * METADATA INBOX (/shared/color "#b71c1c" /private/specialuse NIL)
        S: * LIST (*) "/" Drafts
        S: * METADATA Drafts (/shared/color NIL /private/specialuse "\\Drafts")
        S: c OK *
        C: d LIST "" "Shared folders/*" RETURN (METADATA (/shared/color))
        S: * LIST (\Noselect *) "/" "Shared folders/info@x.test"
        S: * LIST (*) "/" "Shared folders/info@x.test/INBOX"
        S: * METADATA "Shared folders/info@x.test/INBOX" (/shared/color "#000000")
        S: * LIST (*) "/" "Shared folders/info@x.test/Sent"
        S: d OK *
    "##,
        )
        .await;
}

#[tokio::test]
async fn private_entries_are_per_user_and_shared_ones_need_rights() {
    let server = Server::shared().await;
    server.give_info("INBOX", BOB, "lr").await;
    server.give_info("INBOX", EVA, "lp").await;
    server.give_info("Sent", BOB, "l").await;
    server.give_info("Drafts", BOB, "r").await;
    let (mut bob, mut eva) = (server.login_as("bob").await, server.login_as("eva").await);
    bob.say(
        r#"
        C: a SETMETADATA "Shared folders/info@x.test/INBOX" (/private/comment "bob's" /shared/comment "ours")
        S: a OK *
        C: b SETMETADATA "Shared folders/info@x.test/Sent" (/private/comment "no")
        S: b NO [NOPERM] *
        C: c GETMETADATA "Shared folders/info@x.test/Drafts" /shared/comment
        S: c NO [NONEXISTENT] *
    "#,
    )
    .await;
    eva.say(
        r#"
        C: a GETMETADATA "Shared folders/info@x.test/INBOX" (/private/comment /shared/comment)
        S: * METADATA "Shared folders/info@x.test/INBOX" (/private/comment NIL /shared/comment "ours")
        S: a OK *
        C: b SETMETADATA "Shared folders/info@x.test/INBOX" (/private/comment "eva's")
        S: b OK *
        C: c GETMETADATA (DEPTH infinity) "Shared folders/info@x.test/INBOX" (/private /shared)
        S: * METADATA "Shared folders/info@x.test/INBOX" (/shared/comment "ours" /private/comment "eva's")
        S: c OK *
    "#,
    )
    .await;
    bob.say(
        r#"
        C: d GETMETADATA "Shared folders/info@x.test/INBOX" /private/comment
        S: * METADATA "Shared folders/info@x.test/INBOX" (/private/comment "bob's")
        S: d OK *
    "#,
    )
    .await;
    server.check().await;
}

#[tokio::test]
async fn who_asked_for_it_hears_of_entries_that_others_changed() {
    let server = Server::shared().await;
    server.give_info("INBOX", ANA, "lr").await;
    server.give_info("INBOX", BOB, "lr").await;
    let (mut one, mut two, mut bob) = (server.login().await, server.login().await, server.login_as("bob").await);
    one.say("C: a ENABLE METADATA\nS: * ENABLED METADATA\nS: a OK *").await;
    two.say(
        r#"
        C: a SETMETADATA INBOX (/private/comment "x" /shared/a "y")
        S: a OK *
        C: b SETMETADATA "" (/private/vendor/x/y "z")
        S: b OK *
    "#,
    )
    .await;
    one.say(
        r#"
        C: b NOOP
        S: * METADATA "" /private/vendor/x/y
        S: * METADATA INBOX /private/comment /shared/a
        S: b OK *
        C: c SETMETADATA INBOX (/private/comment "own")
        S: c OK *
        C: d NOOP
        S: d OK *
        C: e IDLE
        S: + *
    "#,
    )
    .await;
    two.say("C: c SETMETADATA INBOX (/shared/a NIL /shared/none NIL)\nS: c OK *").await;
    one.say("S: * METADATA INBOX /shared/a\nC: DONE\nS: e OK *").await;
    // Of somebody else's mailbox it hears while that is selected; others' private entries are not its business.
    one.say("C: f SELECT \"Shared folders/info@x.test/INBOX\"\nS: ...\nS: f OK *").await;
    bob.say(
        r#"
        C: a SETMETADATA "Shared folders/info@x.test/INBOX" (/private/comment "x" /shared/comment "y")
        S: a OK *
    "#,
    )
    .await;
    one.say(
        r#"
        C: g NOOP
        S: * METADATA "Shared folders/info@x.test/INBOX" /shared/comment
        S: g OK *
    "#,
    )
    .await;
    two.say("C: d NOOP\nS: d OK *").await;
}

#[tokio::test]
async fn entries_count_in_the_quota() {
    let server = Server::start().await;
    let account = server.accounts.open(ANA).await.unwrap();
    let limit = Mutation::SetQuota { bytes_max: Some(5), items_max: None };
    account.commit(OperationId::random(), vec![limit]).await.unwrap();
    server
        .dialog(
            r#"
        C: a SETMETADATA INBOX (/private/a "123" /private/b "456")
        S: a NO [OVERQUOTA] *
        C: b SETMETADATA INBOX (/private/a "123")
        S: b OK *
        C: c GETMETADATA INBOX (/private/a /private/b)
        S: * METADATA INBOX (/private/a "123" /private/b NIL)
        S: c OK *
    "#,
        )
        .await;
    assert!(server.elsewhere.get(INFO).await.is_err());
}
