//! Searches in several mailboxes.

use crate::dialog::{ANA, Server};

/// INBOX has one and two, a/b and a/b/c have one, a has two.
async fn filled() -> Server {
    let server = Server::shared().await;
    server
        .dialog(
            r"
        C: a CREATE a/b/c
        S: a OK *
        C: b APPEND INBOX {14+}
        C: Subject: one\r\n {14+}
        C: Subject: two\r\n
        S: b OK *
        C: c APPEND a {14+}
        C: Subject: two\r\n
        S: c OK *
        C: d APPEND a/b (\Seen) {14+}
        C: Subject: one\r\n
        S: d OK *
        C: e APPEND a/b/c {14+}
        C: Subject: one\r\n
        S: e OK *
    ",
        )
        .await;
    server
}

#[tokio::test]
async fn several_mailboxes_are_searched() {
    let server = filled().await;
    server
        .dialog(
            r#"
        C: a ESEARCH IN (mailboxes ("a/b" Nowhere INBOX "a/b") subtree-one a) SUBJECT one
        S: * ESEARCH (TAG "a" MAILBOX a/b UIDVALIDITY *) UID ALL 1
        S: * ESEARCH (TAG "a" MAILBOX INBOX UIDVALIDITY *) UID ALL 1
        S: a OK *
        C: b ESEARCH IN (subtree a) RETURN (MIN COUNT) ALL
        S: * ESEARCH (TAG "b" MAILBOX a UIDVALIDITY *) UID MIN 1 COUNT 1
        S: * ESEARCH (TAG "b" MAILBOX a/b UIDVALIDITY *) UID MIN 1 COUNT 1
        S: * ESEARCH (TAG "b" MAILBOX a/b/c UIDVALIDITY *) UID MIN 1 COUNT 1
        S: b OK *
        C: c ESEARCH IN (personal) UNSEEN UID 1:5
        S: * ESEARCH (TAG "c" MAILBOX INBOX UIDVALIDITY *) UID ALL 1:2
        S: * ESEARCH (TAG "c" MAILBOX a UIDVALIDITY *) UID ALL 1
        S: * ESEARCH (TAG "c" MAILBOX a/b/c UIDVALIDITY *) UID ALL 1
        S: c OK *
        C: d ESEARCH IN (subscribed) ALL
        S: d OK *
        C: e SUBSCRIBE a
        S: e OK *
        C: f ESEARCH IN (subscribed inboxes) SUBJECT two
        S: * ESEARCH (TAG "f" MAILBOX a UIDVALIDITY *) UID ALL 1
        S: * ESEARCH (TAG "f" MAILBOX INBOX UIDVALIDITY *) UID ALL 2
        S: f OK *
        C: g ESEARCH IN (mailboxes Drafts) RETURN (COUNT) ALL
        S: g OK *
        C: h CAPABILITY
        S: * CAPABILITY * MULTISEARCH*
        S: h OK *
    "#,
        )
        .await;
}

#[tokio::test]
async fn the_selected_mailbox_is_searched_and_stays_selected() {
    let server = filled().await;
    server
        .dialog(
            r#"
        C: a ESEARCH UNSEEN
        S: a BAD *
        C: b SELECT INBOX
        S: ...
        S: b OK *
        C: c ESEARCH RETURN (SAVE ALL) 2
        S: * ESEARCH (TAG "c" MAILBOX INBOX UIDVALIDITY *) UID ALL 2
        S: c OK *
        C: d FETCH $ UID
        S: * 2 FETCH (UID 2)
        S: d OK *
        C: e ESEARCH IN (selected) RETURN (COUNT) SUBJECT nothing
        S: * ESEARCH (TAG "e" MAILBOX INBOX UIDVALIDITY *) UID COUNT 0
        S: e OK *
        C: f ESEARCH IN (selected mailboxes a/b) SUBJECT one
        S: * ESEARCH (TAG "f" MAILBOX INBOX UIDVALIDITY *) UID ALL 1
        S: * ESEARCH (TAG "f" MAILBOX a/b UIDVALIDITY *) UID ALL 1
        S: f OK *
        C: g ESEARCH IN (selected mailboxes a) 1
        S: g BAD *
        C: h ESEARCH IN (mailboxes a) RETURN (SAVE) ALL
        S: h BAD *
        C: i ESEARCH IN (mailboxes a) UID $
        S: i BAD *
        C: j ESEARCH IN (mailboxes a) CHARSET koi8-r TEXT x
        S: j NO [BADCHARSET (UTF-8)] *
        C: k FETCH 1:* UID
        S: * 1 FETCH (UID 1)
        S: * 2 FETCH (UID 2)
        S: k OK *
    "#,
        )
        .await;
}

#[tokio::test]
async fn mailboxes_of_others_are_searched_where_they_may_be_read() {
    let server = filled().await;
    server.give_info("INBOX", ANA, "lri").await;
    server.give_info("Sent", ANA, "li").await;
    server.give_info("Drafts", ANA, "ri").await;
    server
        .dialog(
            r#"
        C: a APPEND "Shared folders/info@x.test/INBOX" {14+}
        C: Subject: one\r\n
        S: a OK *
        C: b APPEND "Shared folders/info@x.test/Sent" {14+}
        C: Subject: one\r\n
        S: b OK *
        C: c ESEARCH IN (mailboxes ("Shared folders/info@x.test/INBOX" "Shared folders/info@x.test/Sent" "Shared folders/nobody@x.test/INBOX" "Shared folders/info@x.test/Drafts" a/b)) SUBJECT one
        S: * ESEARCH (TAG "c" MAILBOX "Shared folders/info@x.test/INBOX" UIDVALIDITY *) UID ALL 1
        S: * ESEARCH (TAG "c" MAILBOX a/b UIDVALIDITY *) UID ALL 1
        S: c OK *
        C: d ESEARCH IN (subtree "Shared folders/info@x.test/INBOX") SUBJECT one
        S: * ESEARCH (TAG "d" MAILBOX "Shared folders/info@x.test/INBOX" UIDVALIDITY *) UID ALL 1
        S: d OK *
    "#,
        )
        .await;
}
