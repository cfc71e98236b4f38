//! SETACL and its companions (RFC 4314 section 3), by the owner and by those who may administer.

use std::sync::atomic::Ordering;

use sterna_account::Identifier;

use crate::dialog::{ANA, BOB, STAFF, Server};

#[tokio::test]
async fn rights_are_set_added_taken_and_shown() {
    let server = Server::shared().await;
    server
        .dialog(
            r#"
        C: a GETACL INBOX
        S: * ACL INBOX "ana@x.test" "lrswipkxteacd"
        S: a OK *
        C: b SETACL INBOX bob@x.test lrsd
        S: b OK *
        C: c SETACL INBOX -staff@x.test w
        S: c OK *
        C: d SETACL INBOX anyone +l
        S: d OK *
        C: e GETACL INBOX
        S: * ACL INBOX "ana@x.test" "lrswipkxteacd" "anyone" "l" "bob@x.test" "lrsted" "-staff@x.test" "w"
        S: e OK *
        C: f SETACL INBOX BOB@x.test -s+
        S: f BAD *
        C: f SETACL INBOX BOB@x.test -sd
        S: f OK *
        C: g SETACL INBOX bob@x.test +kc
        S: g OK *
        C: h DELETEACL INBOX -staff@x.test
        S: h OK *
        C: i SETACL INBOX anyone ""
        S: i OK *
        C: j DELETEACL INBOX anyone
        S: j OK *
        C: k GETACL INBOX
        S: * ACL INBOX "ana@x.test" "lrswipkxteacd" "bob@x.test" "lrkxc"
        S: k OK *
        C: m LISTRIGHTS INBOX bob@x.test
        S: * LISTRIGHTS INBOX "bob@x.test" "" "l" "r" "s" "w" "i" "p" "k" "x" "t" "e" "a" "c" "d"
        S: m OK *
        C: n LISTRIGHTS INBOX ana@x.test
        S: * LISTRIGHTS INBOX "ana@x.test" "lrswipkxteacd"
        S: n OK *
        C: o MYRIGHTS INBOX
        S: * MYRIGHTS INBOX "lrswipkxteacd"
        S: o OK *
    "#,
        )
        .await;
}

#[tokio::test]
async fn what_can_not_be_is_refused() {
    let server = Server::shared().await;
    server
        .dialog(
            r#"
        C: a SETACL INBOX bob@x.test lrQ
        S: a BAD *
        C: b SETACL INBOX bob@x.test lrq
        S: b BAD *
        C: c SETACL INBOX nobody@x.test l
        S: c NO *
        C: d SETACL INBOX "" l
        S: d BAD *
        C: e SETACL Nowhere bob@x.test l
        S: e NO [NONEXISTENT] *
        C: f GETACL Nowhere
        S: f NO [NONEXISTENT] *
        C: g MYRIGHTS Nowhere
        S: g NO [NONEXISTENT] *
        C: h SETACL INBOX ana@x.test lr
        S: h NO [CANNOT] *
        C: i SETACL INBOX ana@x.test +lr
        S: i OK *
        C: j SETACL INBOX -ana@x.test w
        S: j NO [CANNOT] *
        C: k DELETEACL INBOX ana@x.test
        S: k NO [CANNOT] *
        C: m GETACL INBOX
        S: * ACL INBOX "ana@x.test" "lrswipkxteacd"
        S: m OK *
    "#,
        )
        .await;
    assert!(server.people.shares.lock().unwrap().is_empty());
}

#[tokio::test]
async fn who_may_administer_may_do_it_for_the_owner_but_not_to_the_owner() {
    let server = Server::shared().await;
    server.dialog("C: a SETACL INBOX bob@x.test lra\nS: a OK *").await;
    let mut bob = server.login_as("bob").await;
    bob.say(
        r#"
        C: a SETACL "Other users/ana@x.test/INBOX" eva@x.test lr
        S: a OK *
        C: b GETACL "Other users/ana@x.test/INBOX"
        S: * ACL "Other users/ana@x.test/INBOX" "ana@x.test" "lrswipkxteacd" "bob@x.test" "lra" "eva@x.test" "lr"
        S: b OK *
        C: c DELETEACL "Other users/ana@x.test/INBOX" ana@x.test
        S: c NO [CANNOT] *
        C: d MYRIGHTS "Other users/ana@x.test/INBOX"
        S: * MYRIGHTS "Other users/ana@x.test/INBOX" "lra"
        S: d OK *
    "#,
    )
    .await;
    let mut eva = server.login_as("eva").await;
    eva.say(
        r#"
        C: a GETACL "Other users/ana@x.test/INBOX"
        S: a NO [NOPERM] *
        C: b SETACL "Other users/ana@x.test/INBOX" eva@x.test lra
        S: b NO [NOPERM] *
        C: c LISTRIGHTS "Other users/ana@x.test/INBOX" eva@x.test
        S: c NO [NOPERM] *
        C: d MYRIGHTS "Other users/ana@x.test/Sent"
        S: d NO [NONEXISTENT] *
        C: e GETACL "Other users/ana@x.test/Sent"
        S: e NO [NONEXISTENT] *
        C: f MYRIGHTS "Other users/bob@x.test/INBOX"
        S: f NO [NONEXISTENT] *
    "#,
    )
    .await;
    server.check().await;
}

#[tokio::test]
async fn the_directory_knows_of_the_first_right_and_the_last() {
    let server = Server::shared().await;
    let shares = |who| server.people.shares.lock().unwrap().contains(&(ANA, Identifier::Entry(who)));
    let mut ana = server.login().await;
    ana.say("C: a SETACL INBOX bob@x.test lr\nS: a OK *\nC: b SETACL Sent bob@x.test l\nS: b OK *").await;
    ana.say("C: c SETACL INBOX -staff@x.test r\nS: c OK *").await;
    assert!(shares(BOB) && !shares(STAFF));
    ana.say("C: a DELETEACL INBOX bob@x.test\nS: a OK *").await;
    assert!(shares(BOB));
    ana.say("C: a SETACL Sent bob@x.test -l\nS: a OK *").await;
    assert!(!shares(BOB));
    ana.say("C: a CREATE x\nS: a OK *\nC: b SETACL x bob@x.test lr\nS: b OK *").await;
    assert!(shares(BOB));
    ana.say("C: a DELETE x\nS: a OK *").await;
    assert!(!shares(BOB));
    server.check().await;
}

#[tokio::test]
async fn without_the_main_node_nothing_is_given_and_anything_is_taken_away() {
    let server = Server::shared().await;
    let mut ana = server.login().await;
    ana.say("C: a SETACL INBOX bob@x.test lr\nS: a OK *").await;
    server.people.main_is_down.store(true, Ordering::Relaxed);
    ana.say(
        r#"
        C: b SETACL INBOX eva@x.test lr
        S: b NO [UNAVAILABLE] *
        C: c SETACL INBOX bob@x.test -r
        S: c OK *
        C: c SETACL INBOX bob@x.test +s
        S: c OK *
        C: d DELETEACL INBOX bob@x.test
        S: d OK *
        C: e GETACL INBOX
        S: * ACL INBOX "ana@x.test" "lrswipkxteacd"
        S: e OK *
    "#,
    )
    .await;
    let mut bob = server.login_as("bob").await;
    bob.say("C: a SELECT \"Other users/ana@x.test/INBOX\"\nS: a NO [NONEXISTENT] *").await;
    server.check().await;
}
