//! Commands on mailboxes.

use crate::dialog::Server;

#[tokio::test]
async fn the_tree_grows_moves_and_shrinks() {
    let server = Server::start().await;
    server
        .dialog(
            r#"
        C: a LIST "" *
        S: * LIST (\HasNoChildren) "/" INBOX
        S: * LIST (\HasNoChildren \Archive) "/" Archive
        S: * LIST (\HasNoChildren \Drafts) "/" Drafts
        S: * LIST (\HasNoChildren \Junk) "/" Junk
        S: * LIST (\HasNoChildren \Sent) "/" Sent
        S: * LIST (\HasNoChildren \Trash) "/" Trash
        S: a OK *
        C: b CREATE Projects/Tern/&AMk-t&AOk-
        S: b OK *
        C: c CREATE Projects/Tern
        S: c NO [ALREADYEXISTS] *
        C: d LIST Projects/ %
        S: * LIST (\HasChildren) "/" Projects/Tern
        S: d OK *
        C: e DELETE Projects/Tern
        S: e NO [HASCHILDREN] *
        C: f RENAME Projects/Tern Archive/Birds
        S: f OK *
        C: g LIST "" Archive/*
        S: * LIST (\HasChildren) "/" Archive/Birds
        S: ...
        S: g OK *
        C: h DELETE INBOX
        S: h NO [CANNOT] *
        C: i LIST "" ""
        S: * LIST (\Noselect) "/" ""
        S: i OK *
        C: j CREATE Papers (USE (\Archive))
        S: j NO [USEATTR] *
        C: k SELECT Nowhere
        S: k NO [NONEXISTENT] *
    "#
            .replace(
                "S: * LIST (\\HasNoChildren) \"/\" Archive/Birds\n",
                "S: * LIST (\\HasChildren) \"/\" Archive/Birds\n",
            )
            .as_str(),
        )
        .await;
}

#[tokio::test]
async fn subscriptions_outlive_their_mailboxes() {
    let server = Server::start().await;
    server
        .dialog(
            r#"
        C: a CREATE Lists/Birds
        S: a OK *
        C: b SUBSCRIBE Lists/Birds
        S: b OK *
        C: c LSUB "" %
        S: * LSUB (\Noselect) "/" Lists
        S: c OK *
        C: d DELETE Lists/Birds
        S: d OK *
        C: e LIST (SUBSCRIBED) "" *
        S: * LIST (\Subscribed \NonExistent) "/" Lists/Birds
        S: e OK *
        C: f UNSUBSCRIBE Lists/Birds
        S: f OK *
        C: g LSUB "" *
        S: g OK *
    "#,
        )
        .await;
}

#[tokio::test]
async fn renaming_inbox_moves_its_messages() {
    let server = Server::start().await;
    server
        .dialog(
            r#"
        C: a APPEND INBOX {3+}
        C: abc
        S: a OK *
        C: b RENAME INBOX Old
        S: b OK *
        C: c LIST "" (INBOX Old) RETURN (STATUS (MESSAGES))
        S: * LIST (\HasNoChildren) "/" INBOX
        S: * STATUS INBOX (MESSAGES 0)
        S: * LIST (\HasNoChildren) "/" Old
        S: * STATUS Old (MESSAGES 1)
        S: c OK *
    "#,
        )
        .await;
}
