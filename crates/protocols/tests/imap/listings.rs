//! What LIST says of mailboxes of others.

use crate::dialog::{BOB, Server};

/// Ana shares INBOX and a folder whose parent stays hers.
async fn shared() -> Server {
    let server = Server::shared().await;
    server
        .dialog(
            r#"
        C: a CREATE Work/Plans/2026
        S: a OK *
        C: b SETACL INBOX bob@x.test lr
        S: b OK *
        C: c SETACL Work/Plans/2026 bob@x.test lrs
        S: c OK *
        C: d SETACL Sent bob@x.test l
        S: d OK *
    "#,
        )
        .await;
    server
}

#[tokio::test]
async fn levels_are_shown_where_there_is_something_below() {
    let server = shared().await;
    server.give_info("INBOX", BOB, "lr").await;
    let mut bob = server.login_as("bob").await;
    bob.say(
        r#"
        C: a LIST "" "Other*"
        S: * LIST (\Noselect \HasChildren) "/" "Other users"
        S: * LIST (\Noselect \HasChildren) "/" "Other users/ana@x.test"
        S: * LIST (\HasNoChildren) "/" "Other users/ana@x.test/INBOX"
        S: * LIST (\HasNoChildren) "/" "Other users/ana@x.test/Sent"
        S: * LIST (\Noselect \HasChildren) "/" "Other users/ana@x.test/Work"
        S: * LIST (\Noselect \HasChildren) "/" "Other users/ana@x.test/Work/Plans"
        S: * LIST (\HasNoChildren) "/" "Other users/ana@x.test/Work/Plans/2026"
        S: a OK *
        C: b LIST "" %
        S: * LIST (\HasNoChildren) "/" INBOX
        S: ...
        S: * LIST (\HasNoChildren \Trash) "/" Trash
        S: * LIST (\Noselect \HasChildren) "/" "Other users"
        S: * LIST (\Noselect \HasChildren) "/" "Shared folders"
        S: b OK *
        C: c LIST "" "Other users/%"
        S: * LIST (\Noselect \HasChildren) "/" "Other users/ana@x.test"
        S: c OK *
        C: d LIST "Other users/ana@x.test/" %
        S: * LIST (\HasNoChildren) "/" "Other users/ana@x.test/INBOX"
        S: * LIST (\HasNoChildren) "/" "Other users/ana@x.test/Sent"
        S: * LIST (\Noselect \HasChildren) "/" "Other users/ana@x.test/Work"
        S: d OK *
        C: e LIST (SPECIAL-USE) "" *
        S: ...
        S: * LIST (\HasNoChildren \Trash) "/" Trash
        S: e OK *
    "#,
    )
    .await;
    let mut eva = server.login_as("eva").await;
    eva.say("C: a LIST \"\" \"Other*\"\nS: a OK *\nC: b LIST \"\" \"Shared*\"\nS: b OK *").await;
}

#[tokio::test]
async fn status_and_rights_come_with_the_names() {
    let server = shared().await;
    let mut bob = server.login_as("bob").await;
    bob.say(
        r#"
        C: a LIST "" "Other users/*/%o%" RETURN (STATUS (MESSAGES) MYRIGHTS)
        S: * LIST (\Noselect \HasChildren) "/" "Other users/ana@x.test/Work"
        S: a OK *
        C: b LIST "" ("Other users/*/INBOX" "Other users/*/Sent" INBOX) RETURN (STATUS (MESSAGES) MYRIGHTS)
        S: * LIST (\HasNoChildren) "/" INBOX
        S: * STATUS INBOX (MESSAGES 0)
        S: * MYRIGHTS INBOX "lrswipkxteacd"
        S: * LIST (\HasNoChildren) "/" "Other users/ana@x.test/INBOX"
        S: * STATUS "Other users/ana@x.test/INBOX" (MESSAGES 0)
        S: * MYRIGHTS "Other users/ana@x.test/INBOX" "lr"
        S: * LIST (\HasNoChildren) "/" "Other users/ana@x.test/Sent"
        S: * MYRIGHTS "Other users/ana@x.test/Sent" "l"
        S: b OK *
    "#,
    )
    .await;
}

#[tokio::test]
async fn subscriptions_hold_names_of_others() {
    let server = shared().await;
    let mut bob = server.login_as("bob").await;
    bob.say(
        r#"
        C: a SUBSCRIBE "Other users/ANA@X.TEST/INBOX"
        S: a OK *
        C: b SUBSCRIBE "Other users/ana@x.test/Sent"
        S: b OK *
        C: c SUBSCRIBE "Other users/ana@x.test/Work"
        S: c NO [NONEXISTENT] *
        C: d LSUB "" *
        S: * LSUB () "/" "Other users/ana@x.test/INBOX"
        S: * LSUB () "/" "Other users/ana@x.test/Sent"
        S: d OK *
        C: e LIST (SUBSCRIBED) "" *
        S: * LIST (\HasNoChildren \Subscribed) "/" "Other users/ana@x.test/INBOX"
        S: * LIST (\HasNoChildren \Subscribed) "/" "Other users/ana@x.test/Sent"
        S: e OK *
        C: f LIST (SUBSCRIBED RECURSIVEMATCH) "" %
        S: * LIST (\Noselect \HasChildren) "/" "Other users" ("CHILDINFO" ("SUBSCRIBED"))
        S: f OK *
    "#,
    )
    .await;
    server.dialog("C: a DELETEACL Sent bob@x.test\nS: a OK *").await;
    bob.say(
        r#"
        C: g LIST (SUBSCRIBED) "" *
        S: * LIST (\HasNoChildren \Subscribed) "/" "Other users/ana@x.test/INBOX"
        S: * LIST (\Subscribed \NonExistent) "/" "Other users/ana@x.test/Sent"
        S: g OK *
        C: h UNSUBSCRIBE "Other users/ana@x.test/Sent"
        S: h OK *
    "#,
    )
    .await;
    server.check().await;
}

#[tokio::test]
async fn nobodys_own_mailbox_has_the_name_of_a_namespace() {
    let server = shared().await;
    let mut bob = server.login_as("bob").await;
    bob.say(
        r#"
        C: a CREATE "Other users"
        S: a NO [CANNOT] *
        C: b CREATE "Shared folders/"
        S: b NO [CANNOT] *
        C: c CREATE "Other users/new"
        S: c NO [NONEXISTENT] *
        C: d RENAME Sent "Other users"
        S: d NO [CANNOT] *
    "#,
    )
    .await;
}
