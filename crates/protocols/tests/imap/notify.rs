//! NOTIFY (RFC 5465).

use crate::dialog::{ANA, Server};

#[tokio::test]
async fn what_can_not_be_watched_is_refused() {
    let dialog = r#"
        C: a NOTIFY SET (personal (MessageNew))
        S: a BAD *
        C: b NOTIFY SET (personal (MessageExpunge))
        S: b BAD *
        C: c NOTIFY SET (personal (FlagChange))
        S: c BAD *
        C: d NOTIFY SET (selected (MailboxName))
        S: d BAD *
        C: e NOTIFY SET (selected NONE) (selected-delayed NONE)
        S: e BAD *
        C: f NOTIFY SET (personal (MessageNew (UID) MessageExpunge))
        S: f BAD *
        C: g NOTIFY SET (personal (MessageNew MessageExpunge AnnotationChange))
        S: g NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange)] *
        C: h NOTIFY SET ()
        S: h BAD *
        C: i NOTIFY SET
        S: i BAD *
        C: j NOTIFY NOTHING
        S: j BAD *
        C: k NOTIFY SET (subtree-one INBOX (MailboxName))
        S: k BAD *
        C: l NOTIFY NONE
        S: l OK *
        C: m CAPABILITY
        S: * CAPABILITY * NOTIFY*
        S: m OK *
    "#;
    Server::start().await.dialog(dialog).await;
}

#[tokio::test]
async fn other_mailboxes_are_told_of_while_the_client_says_nothing() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    two.say("C: a APPEND Drafts {3+}\nC: abc\nS: a OK *").await;
    one.say(
        r#"
        C: a SELECT INBOX
        S: ...
        S: a OK *
        C: b NOTIFY SET STATUS (mailboxes Sent NONE) (mailboxes (Drafts Sent INBOX) (MessageNew MessageExpunge FlagChange))
        S: * STATUS Drafts (MESSAGES 1 UIDNEXT 2 UIDVALIDITY * UNSEEN 1 HIGHESTMODSEQ *)
        S: b OK *
    "#,
    )
    .await;
    two.say("C: b APPEND Drafts (\\Seen) {3+}\nC: abc\nS: b OK *").await;
    one.say("S: * STATUS Drafts (MESSAGES 2 UIDNEXT 3 UIDVALIDITY * UNSEEN 1 HIGHESTMODSEQ *)").await;
    // The first group that means a mailbox holds; the selected one has no group.
    two.say("C: c APPEND Sent {3+}\nC: abc\nS: c OK *\nC: d APPEND INBOX {3+}\nC: abc\nS: d OK *").await;
    two.say("C: e SELECT Drafts\nS: ...\nS: e OK *\nC: f STORE 1 FLAGS (\\Seen \\Deleted)\nS: ...\nS: f OK *").await;
    one.say("S: * STATUS Drafts (MESSAGES 2 UIDNEXT 3 UIDVALIDITY * UNSEEN 0 HIGHESTMODSEQ *)").await;
    two.say("C: g EXPUNGE\nS: * 1 EXPUNGE\nS: g OK *").await;
    one.say("S: * STATUS Drafts (MESSAGES 1 UIDNEXT 3 UIDVALIDITY * UNSEEN 0 HIGHESTMODSEQ *)").await;
    // Once it is selected it is told of as the selected one.
    one.say("C: c SELECT Drafts\nS: ...\nS: c OK *").await;
    two.say("C: h APPEND INBOX {3+}\nC: abc\nS: ...\nS: h OK *\nC: i STORE 1 +FLAGS (\\Flagged)\nS: ...\nS: i OK *")
        .await;
    one.say("S: * STATUS INBOX (MESSAGES 2 *)\nC: d NOOP\nS: d OK *").await;
    one.say("C: e NOTIFY NONE\nS: e OK *").await;
    two.say("C: j APPEND INBOX {3+}\nC: abc\nS: ...\nS: j OK *").await;
    one.say("C: f NOOP\nS: f OK *").await;
    // Whatever has piled up is told with the next one.
    one.say("C: g NOTIFY SET (selected NONE)\nS: * 1 FETCH (UID 2 FLAGS *\nS: g OK *\nC: h NOOP\nS: h OK *").await;
}

#[tokio::test]
async fn the_selected_mailbox_is_told_of_at_any_time() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    two.say("C: a APPEND INBOX {3+}\nC: abc\nS: a OK *\nC: b SELECT INBOX\nS: ...\nS: b OK *").await;
    one.say(
        r#"
        C: a SELECT INBOX
        S: ...
        S: a OK *
        C: b NOTIFY SET (selected (MessageNew (BODY[HEADER.FIELDS (Subject)]) MessageExpunge FlagChange))
        S: b OK *
    "#,
    )
    .await;
    two.say("C: c APPEND INBOX {14+}\nC: Subject: one\\r\\n\nS: ...\nS: c OK *").await;
    one.say("S: * 2 EXISTS\nS: ...\nS: * 2 FETCH (UID 2 BODY[HEADER.FIELDS (Subject)] {*}Subject: one\\r\\n*").await;
    two.say("C: d STORE 1 FLAGS (\\Answered)\nS: ...\nS: d OK *").await;
    one.say("S: * 1 FETCH (UID 1 FLAGS (\\Answered*").await;
    two.say("C: e STORE 1 FLAGS.SILENT (\\Deleted)\nS: e OK *\nC: f EXPUNGE\nS: * 1 EXPUNGE\nS: f OK *").await;
    one.say("S: * 1 FETCH (UID 1 FLAGS (\\Deleted*\nS: * 1 EXPUNGE").await;
    // Nothing of that set a flag.
    one.say("C: c FETCH 1 (FLAGS)\nS: * 1 FETCH (FLAGS (*))\nS: c OK *\nC: d SEARCH SEEN\nS: * SEARCH\nS: d OK *")
        .await;
}

#[tokio::test]
async fn expunges_can_wait_and_flags_need_not_be_told() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    for tag in ["a", "b"] {
        two.say(&format!("C: {tag} APPEND INBOX {{3+}}\nC: abc\nS: {tag} OK *")).await;
    }
    two.say("C: c SELECT INBOX\nS: ...\nS: c OK *").await;
    one.say("C: a SELECT INBOX\nS: ...\nS: a OK *").await;
    one.say("C: b NOTIFY SET (selected-delayed (MessageNew MessageExpunge))\nS: b OK *").await;
    two.say("C: d STORE 1 FLAGS (\\Deleted)\nS: ...\nS: d OK *\nC: e EXPUNGE\nS: * 1 EXPUNGE\nS: e OK *").await;
    two.say("C: f APPEND INBOX {3+}\nC: abc\nS: ...\nS: f OK *").await;
    one.say("S: * 3 EXISTS\nS: * * RECENT").await;
    one.say("C: c FETCH 2 (UID)\nS: * 2 FETCH (UID 2)\nS: c OK *\nC: d NOOP\nS: * 1 EXPUNGE\nS: d OK *").await;
    two.say("C: g STORE 1 FLAGS (\\Flagged)\nS: ...\nS: g OK *").await;
    one.say("C: e NOOP\nS: e OK *").await;
    // Its own changes are answers to its commands; what was left out comes with them.
    one.say("C: f STORE 2 +FLAGS (\\Seen)\nS: ...\nS: * 2 FETCH (UID 3 FLAGS (\\Seen*\nS: * 1 FETCH (UID 2 FLAGS (\\Flagged*\nS: f OK *").await;
}

#[tokio::test]
async fn names_and_subscriptions_are_told() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    one.say("C: a NOTIFY SET (subtree Work (MailboxName)) (personal (SubscriptionChange))\nS: a OK *").await;
    two.say("C: a CREATE Work\nS: a OK *").await;
    one.say("S: * LIST (\\HasNoChildren) \"/\" Work").await;
    two.say("C: b CREATE Work/One\nS: b OK *").await;
    one.say("S: * LIST (\\HasNoChildren) \"/\" Work/One").await;
    two.say("C: c RENAME Work/One Work/Two\nS: c OK *").await;
    one.say("S: * LIST (\\HasNoChildren) \"/\" Work/Two (\"OLDNAME\" (Work/One))").await;
    two.say("C: d CREATE Other\nS: d OK *\nC: e SUBSCRIBE Other\nS: e OK *").await;
    one.say("S: * LIST (\\HasNoChildren \\Subscribed) \"/\" Other").await;
    two.say("C: f UNSUBSCRIBE Other\nS: f OK *").await;
    one.say("S: * LIST (\\HasNoChildren) \"/\" Other").await;
    two.say("C: g RENAME Work Play\nS: g OK *").await;
    one.say(
        "S: * LIST (\\HasChildren) \"/\" Play (\"OLDNAME\" (Work))\n\
         S: * LIST (\\HasNoChildren) \"/\" Play/Two (\"OLDNAME\" (Work/Two))",
    )
    .await;
    two.say("C: h RENAME Play Work\nS: h OK *").await;
    one.say("S: ...\nS: * LIST (\\HasNoChildren) \"/\" Work/Two (\"OLDNAME\" (Play/Two))").await;
    two.say("C: i DELETE Work/Two\nS: i OK *").await;
    one.say("S: * LIST (\\NonExistent) \"/\" Work/Two").await;
    one.say("C: b NOOP\nS: b OK *").await;
}

#[tokio::test]
async fn entries_are_told_of_the_mailboxes_that_are_meant() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    one.say("C: a NOTIFY SET (mailboxes Drafts (MailboxMetadataChange ServerMetadataChange))\nS: a OK *").await;
    two.say("C: a SETMETADATA Sent (/shared/comment \"x\")\nS: a OK *").await;
    two.say("C: b SETMETADATA Drafts (/shared/comment \"x\")\nS: b OK *").await;
    one.say("S: * METADATA Drafts /shared/comment").await;
    two.say("C: c SETMETADATA \"\" (/private/comment \"x\")\nS: c OK *").await;
    one.say("S: * METADATA \"\" /private/comment\nC: b NOOP\nS: b OK *").await;
}

#[tokio::test]
async fn mailboxes_of_others_are_watched_as_far_as_they_may_be_read() {
    let server = Server::shared().await;
    server.give_info("INBOX", ANA, "lr").await;
    server.give_info("Drafts", ANA, "l").await;
    let mut ana = server.login().await;
    let events = "(MessageNew MessageExpunge MailboxName)";
    let names = "(\"Shared folders/info@x.test/INBOX\" \"Shared folders/info@x.test/Drafts\")";
    ana.say(&format!(
        "C: a NOTIFY SET STATUS (mailboxes {names} {events})\n\
         S: * LIST (\\NoAccess) \"/\" \"Shared folders/info@x.test/Drafts\"\n\
         S: * STATUS \"Shared folders/info@x.test/INBOX\" (MESSAGES 0 *\n\
         S: a OK *"
    ))
    .await;
    server.give_info("Drafts", ANA, "").await;
    ana.say("S: * LIST (\\NonExistent) \"/\" \"Shared folders/info@x.test/Drafts\"").await;
    server.give_info("Drafts", ANA, "lr").await;
    ana.say("S: * LIST (\\HasNoChildren) \"/\" \"Shared folders/info@x.test/Drafts\"").await;
}

#[tokio::test]
async fn what_is_found_of_new_messages_is_fetched_with_the_result() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    one.say(
        r#"
        C: a SELECT INBOX
        S: ...
        S: a OK *
        C: b SEARCH RETURN (COUNT UPDATE (UID RFC822.SIZE)) SUBJECT boss
        S: * ESEARCH (TAG "b") COUNT 0
        S: b OK *
        C: c SEARCH RETURN (UPDATE ()) ALL
        S: c BAD *
    "#,
    )
    .await;
    two.say("C: a APPEND INBOX {15+}\nC: Subject: boss\\r\\n\nS: a OK *").await;
    one.say("C: d NOOP\nS: ...\nS: * 1 FETCH (UID 1 RFC822.SIZE 15)\nS: * ESEARCH (TAG \"b\") ADDTO (0 1)\nS: d OK *")
        .await;
}

#[tokio::test]
async fn idle_tells_the_same() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    one.say("C: a SELECT INBOX\nS: ...\nS: a OK *").await;
    one.say("C: b NOTIFY SET (selected NONE) (personal (MessageNew MessageExpunge))\nS: b OK *").await;
    one.say("C: c IDLE\nS: + *").await;
    two.say("C: a APPEND INBOX {3+}\nC: abc\nS: a OK *\nC: b APPEND Sent {3+}\nC: abc\nS: b OK *").await;
    one.say("S: * STATUS Sent (MESSAGES 1 *\nC: DONE\nS: c OK *").await;
    one.say("C: d NOTIFY SET (selected (MessageNew MessageExpunge))\nS: * 1 EXISTS\nS: ...\nS: d OK *").await;
}
