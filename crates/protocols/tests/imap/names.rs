//! Names of mailboxes: patterns, encodings, and what may be made, renamed and deleted.

use crate::dialog::Server;

#[tokio::test]
async fn names_are_utf_7_until_utf_8_is_wanted() {
    let server = Server::start().await;
    let mut client = server.login().await;
    client
        .say(
            r#"
        C: a CREATE Entw&APw-rfe
        S: a OK *
        C: b LIST "" Ent*
        S: * LIST (*) "/" Entw&APw-rfe
        S: b OK *
        C: c CREATE "R&-D (new)"
        S: c OK *
        C: d LIST "" "R*"
        S: * LIST (*) "/" "R&-D (new)"
        S: d OK *
        C: e STATUS Entw&APw-rfe (UIDNEXT)
        S: * STATUS Entw&APw-rfe (UIDNEXT 1)
        S: e OK *
        C: f CREATE {6+}
        C: Küste
        S: f OK *
        C: g LIST "" K*
        S: * LIST (*) "/" K&APw-ste
        S: g OK *
        C: h SUBSCRIBE K&APw-ste
        S: h OK *
        C: i LSUB "" *
        S: * LSUB () "/" K&APw-ste
        S: i OK *
        C: j ENABLE UTF8=ACCEPT
        S: * ENABLED UTF8=ACCEPT
        S: j OK *
        C: k LIST "" "*ü*"
        S: * LIST (*) "/" "Entwürfe"
        S: * LIST (*) "/" "Küste"
        S: k OK *
        C: l SELECT "Küste"
        S: ...
        S: l OK *
        C: m STATUS "R&D (new)" (MESSAGES)
        S: * STATUS "R&D (new)" (MESSAGES 0)
        S: m OK *
        C: n SELECT Entw&APw-rfe
        S: * OK [CLOSED] *
        S: n NO [NONEXISTENT] *
        C: o CREATE a&b
        S: o OK *
        C: p LIST "" a*b
        S: * LIST (*) "/" "a&b"
        S: p OK *
        C: q APPEND "Küste" (\Seen) UTF8 (~{3+}
        C: abc)
        S: q OK [APPENDUID * 1] *
        C: r APPEND "Küste" UTF8 (~{3+}
        C: abc
        S: r BAD *
        C: s STATUS "Küste" (MESSAGES)
        S: * STATUS "Küste" (MESSAGES 1)
        S: s OK *
    "#,
        )
        .await;
    server.check().await;
}

#[tokio::test]
async fn patterns_choose_names() {
    let server = Server::start().await;
    server
        .dialog(
            r#"
        C: a CREATE Zoo/Birds/Tern
        S: a OK *
        C: b CREATE Zoo/Fish/
        S: b OK *
        C: c LIST "" Z%
        S: * LIST (\HasChildren) "/" Zoo
        S: c OK *
        C: d LIST "" Zoo/%
        S: * LIST (\HasChildren) "/" Zoo/Birds
        S: * LIST (\HasNoChildren) "/" Zoo/Fish
        S: d OK *
        C: e LIST Zoo/ %/%
        S: * LIST (\HasNoChildren) "/" Zoo/Birds/Tern
        S: e OK *
        C: f LIST Zoo/ *i*
        S: * LIST (*) "/" Zoo/Birds
        S: * LIST (*) "/" Zoo/Birds/Tern
        S: * LIST (*) "/" Zoo/Fish
        S: f OK *
        C: g LIST "" inb%
        S: * LIST (\HasNoChildren) "/" INBOX
        S: g OK *
        C: h LIST "" zoo
        S: h OK *
        C: i LIST "" (Zoo "Zoo/%")
        S: * LIST (*) "/" Zoo
        S: * LIST (*) "/" Zoo/Birds
        S: * LIST (*) "/" Zoo/Fish
        S: i OK *
        C: j LIST (SPECIAL-USE) "" *
        S: * LIST (\HasNoChildren \Archive) "/" Archive
        S: * LIST (\HasNoChildren \Drafts) "/" Drafts
        S: * LIST (\HasNoChildren \Junk) "/" Junk
        S: * LIST (\HasNoChildren \Sent) "/" Sent
        S: * LIST (\HasNoChildren \Trash) "/" Trash
        S: j OK *
        C: k SUBSCRIBE Zoo/Birds/Tern
        S: k OK *
        C: l LIST (SUBSCRIBED RECURSIVEMATCH) "" Z%
        S: * LIST (\HasChildren) "/" Zoo ("CHILDINFO" ("SUBSCRIBED"))
        S: l OK *
        C: m LIST "" Zoo/Birds/% RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES UIDNEXT))
        S: * LIST (\HasNoChildren \Subscribed) "/" Zoo/Birds/Tern
        S: * STATUS Zoo/Birds/Tern (MESSAGES 0 UIDNEXT 1)
        S: m OK *
        C: n LSUB "" Zoo/%
        S: * LSUB (\Noselect) "/" Zoo/Birds
        S: n OK *
        C: o LIST (RECURSIVEMATCH) "" *
        S: o BAD *
        C: p LIST (NONSENSE) "" *
        S: p BAD *
        C: q LIST "" ()
        S: q BAD *
        C: r LIST "Zoo/" ""
        S: * LIST (\Noselect) "/" ""
        S: r OK *
    "#,
        )
        .await;
}

#[tokio::test]
async fn what_may_not_be_made_renamed_or_deleted() {
    let server = Server::start().await;
    server
        .dialog(
            r#"
        C: a CREATE inbox
        S: a NO [ALREADYEXISTS] *
        C: b CREATE a//b
        S: b NO [CANNOT] *
        C: c CREATE /a
        S: c NO [CANNOT] *
        C: d CREATE ""
        S: d NO [CANNOT] *
        C: e LIST "" A%
        S: * LIST (*) "/" Archive
        S: e OK *
        C: f CREATE x (USE (\Nonsense))
        S: f NO [USEATTR] *
        C: g CREATE x (USE (\Sent \Junk))
        S: g NO [USEATTR] *
        C: h RENAME Nowhere y
        S: h NO [NONEXISTENT] *
        C: i RENAME Sent Trash
        S: i NO [ALREADYEXISTS] *
        C: j RENAME Sent Sent/Old
        S: j NO [CANNOT] *
        C: k RENAME Sent a//b
        S: k NO [CANNOT] *
        C: l DELETE Nowhere
        S: l NO [NONEXISTENT] *
        C: m SUBSCRIBE Nowhere
        S: m NO [NONEXISTENT] *
        C: n UNSUBSCRIBE Nowhere
        S: n OK *
        C: o STATUS Nowhere (MESSAGES)
        S: o NO [NONEXISTENT] *
        C: p STATUS INBOX ()
        S: p BAD *
        C: q STATUS INBOX (NONSENSE)
        S: q BAD *
        C: r CREATE Deep/Er
        S: r OK *
        C: s DELETE Deep
        S: s NO [HASCHILDREN] *
        C: t DELETE Deep/Er
        S: t OK *
        C: u DELETE Deep
        S: u OK *
        C: v RENAME INBOX Sent
        S: v NO [ALREADYEXISTS] *
        C: w RENAME Drafts New/Drafts
        S: w OK *
        C: x LIST "" New*
        S: * LIST (\HasChildren) "/" New
        S: * LIST (\HasNoChildren \Drafts) "/" New/Drafts
        S: x OK *
        C: y SELECT "a*"
        S: y NO [NONEXISTENT] *
    "#,
        )
        .await;
}

#[tokio::test]
async fn renaming_leaves_sessions_and_inferiors_where_they_are() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    one.say(
        r#"
        C: a CREATE INBOX/Below
        S: a OK *
        C: b CREATE Zoo/Tern
        S: b OK *
        C: c APPEND INBOX (\Flagged) {3+}
        C: abc
        S: c OK *
        C: d APPEND Zoo/Tern {3+}
        C: abc
        S: d OK *
        C: e SUBSCRIBE Zoo/Tern
        S: e OK *
    "#,
    )
    .await;
    two.say("C: s SELECT Zoo/Tern\nS: ...\nS: s OK *").await;
    one.say(
        r#"
        C: s SELECT INBOX
        S: ...
        S: s OK *
        C: a RENAME Zoo Ark/Animals
        S: a OK *
        C: b RENAME inbox Old/Post
        S: * 1 EXPUNGE
        S: b OK *
        C: c LIST "" (INBOX* Old* Ark*)
        S: * LIST (\HasChildren) "/" INBOX
        S: * LIST (\HasChildren) "/" Ark
        S: * LIST (\HasChildren) "/" Ark/Animals
        S: * LIST (\HasNoChildren) "/" Ark/Animals/Tern
        S: * LIST (\HasNoChildren) "/" INBOX/Below
        S: * LIST (\HasChildren) "/" Old
        S: * LIST (\HasNoChildren) "/" Old/Post
        S: c OK *
        C: d APPEND INBOX {3+}
        C: abc
        S: * 1 EXISTS
        S: * 1 RECENT
        S: d OK [APPENDUID * 2] *
        C: e STATUS INBOX (MESSAGES UIDNEXT UNSEEN)
        S: * STATUS INBOX (MESSAGES 1 UIDNEXT 3 UNSEEN 1)
        S: e OK *
    "#,
    )
    .await;
    two.say("C: f FETCH 1 UID\nS: * 1 FETCH (UID 1)\nS: f OK *\nC: g COPY 1 Old/Post\nS: g OK [COPYUID * 1 2] *").await;
    server.check().await;
}
