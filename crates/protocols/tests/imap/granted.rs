//! What each right of RFC 4314 section 4 lets others do, and what is refused without it.

use crate::dialog::{Client, Server};

const FOLDER: &str = "\"Other users/ana@x.test/Folder\"";

/// Ana has a folder with two messages, a mailbox below it, and gives bob these rights on the folder.
async fn with_rights(letters: &str) -> (Server, Client) {
    let server = Server::shared().await;
    let mut ana = server.login().await;
    ana.say(&format!(
        r#"
        C: a CREATE Folder
        S: a OK *
        C: b APPEND Folder (\Flagged $One) {{3+}}
        C: abc
        S: b OK *
        C: c APPEND Folder (\Deleted) {{3+}}
        C: def
        S: c OK *
        C: d SETACL Folder bob@x.test "{letters}"
        S: d OK *
    "#
    ))
    .await;
    let bob = server.login_as("bob").await;
    (server, bob)
}

async fn bob(letters: &str, dialog: &str) {
    let (server, mut bob) = with_rights(letters).await;
    bob.say(&dialog.replace("FOLDER", FOLDER)).await;
    server.check().await;
}

#[tokio::test]
async fn without_lookup_there_is_no_mailbox() {
    for letters in ["", "p"] {
        bob(
            letters,
            r#"
            C: a SELECT FOLDER
            S: a NO [NONEXISTENT] *
            C: b STATUS FOLDER (MESSAGES)
            S: b NO [NONEXISTENT] *
            C: c APPEND FOLDER {3+}
            C: xyz
            S: c NO [NONEXISTENT] *
            C: d DELETE FOLDER
            S: d NO [NONEXISTENT] *
            C: e RENAME FOLDER "Other users/ana@x.test/New"
            S: e NO [NONEXISTENT] *
            C: f SUBSCRIBE FOLDER
            S: f NO [NONEXISTENT] *
            C: g CREATE "Other users/ana@x.test/Folder/x"
            S: g NO [NONEXISTENT] *
            C: h MYRIGHTS FOLDER
            S: h NO [NONEXISTENT] *
            C: i LIST "" "Other*Folder*"
            S: i OK *
        "#,
        )
        .await;
    }
}

#[tokio::test]
async fn with_lookup_alone_it_is_seen_and_nothing_else() {
    bob(
        "l",
        r#"
        C: a LIST "" "Other*Folder*"
        S: * LIST (\HasNoChildren) "/" FOLDER
        S: a OK *
        C: b SELECT FOLDER
        S: b NO [NOPERM] *
        C: c STATUS FOLDER (MESSAGES)
        S: c NO [NOPERM] *
        C: d APPEND FOLDER {3+}
        C: xyz
        S: d NO [NOPERM] *
        C: e DELETE FOLDER
        S: e NO [NOPERM] *
        C: f RENAME FOLDER "Other users/ana@x.test/New"
        S: f NO [NOPERM] *
        C: g CREATE "Other users/ana@x.test/Folder/x"
        S: g NO [NOPERM] *
        C: h SUBSCRIBE FOLDER
        S: h OK *
        C: i LSUB "" *
        S: * LSUB () "/" FOLDER
        S: i OK *
        C: j UNSUBSCRIBE FOLDER
        S: j OK *
        C: k MYRIGHTS FOLDER
        S: * MYRIGHTS FOLDER "l"
        S: k OK *
    "#,
    )
    .await;
}

#[tokio::test]
async fn who_reads_only_reads_and_leaves_no_trace() {
    bob(
        "lr",
        r#"
        C: a SELECT FOLDER
        S: * FLAGS *
        S: * OK [PERMANENTFLAGS ()] *
        S: * 2 EXISTS
        S: ...
        S: a OK [READ-ONLY] *
        C: b FETCH 1 (FLAGS BODY[])
        S: * 1 FETCH (FLAGS (\Flagged $One) BODY[] {3}abc)
        S: b OK *
        C: c SEARCH KEYWORD $One SMALLER 10
        S: * SEARCH 1
        S: c OK *
        C: d STORE 1 +FLAGS (\Seen)
        S: d NO *
        C: e EXPUNGE
        S: e NO *
        C: f UID EXPUNGE 1:*
        S: f NO *
        C: g MOVE 1 INBOX
        S: g NO *
        C: h STATUS FOLDER (MESSAGES UNSEEN)
        S: * STATUS FOLDER (MESSAGES 2 UNSEEN 2)
        S: h OK *
        C: i CLOSE
        S: i OK *
        C: j EXAMINE FOLDER
        S: ...
        S: * 2 EXISTS
        S: ...
        S: j OK [READ-ONLY] *
    "#,
    )
    .await;
}

#[tokio::test]
async fn each_flag_needs_its_right() {
    bob(
        "lrs",
        r#"
        C: a SELECT FOLDER
        S: * FLAGS *
        S: * OK [PERMANENTFLAGS (\Seen)] *
        S: ...
        S: a OK [READ-WRITE] *
        C: b STORE 1 +FLAGS (\Seen \Answered $Two)
        S: * 1 FETCH (UID 1 FLAGS (*\Seen*))
        S: b OK *
        C: c STORE 1 FLAGS (\Answered)
        S: * 1 FETCH (UID 1 FLAGS (\Flagged $One*))
        S: c OK *
        C: d STORE 1 +FLAGS (\Answered)
        S: d NO [NOPERM] *
        C: e STORE 1 -FLAGS (\Flagged $One)
        S: e NO [NOPERM] *
        C: f STORE 2 -FLAGS (\Deleted)
        S: f NO [NOPERM] *
        C: g FETCH 2 BODY[]
        S: * 2 FETCH (BODY[] {3}def)
        S: * 2 FETCH (UID 2 FLAGS (*\Seen*))
        S: g OK *
        C: h EXPUNGE
        S: h NO [NOPERM] *
    "#,
    )
    .await;
    bob(
        "lrw",
        r#"
        C: a SELECT FOLDER
        S: * FLAGS *
        S: * OK [PERMANENTFLAGS (\Answered \Flagged \Draft $One \*)] *
        S: ...
        S: a OK [READ-WRITE] *
        C: b STORE 1:2 FLAGS ($Two \Seen)
        S: ...
        S: * 1 FETCH (UID 1 FLAGS ($Two))
        S: * 2 FETCH (UID 2 FLAGS (\Deleted $Two))
        S: b OK *
        C: c FETCH 1 BODY[]
        S: * 1 FETCH (BODY[] {3}abc)
        S: c OK *
        C: d STORE 1 +FLAGS.SILENT (\Seen \Deleted)
        S: d NO [NOPERM] *
    "#,
    )
    .await;
    bob(
        "lrt",
        r#"
        C: a SELECT FOLDER
        S: * FLAGS *
        S: * OK [PERMANENTFLAGS (\Deleted)] *
        S: ...
        S: a OK [READ-WRITE] *
        C: b STORE 1:2 FLAGS (\Deleted \Seen)
        S: * 1 FETCH (UID 1 FLAGS (\Flagged \Deleted $One))
        S: * 2 FETCH (UID 2 FLAGS (\Deleted))
        S: b OK *
        C: c STORE 1:2 FLAGS ()
        S: * 1 FETCH (UID 1 FLAGS (\Flagged $One))
        S: * 2 FETCH (UID 2 FLAGS ())
        S: c OK *
        C: d STORE 1:2 +FLAGS (\Deleted)
        S: ...
        S: d OK *
        C: e CLOSE
        S: e OK *
        C: f STATUS FOLDER (MESSAGES DELETED)
        S: * STATUS FOLDER (MESSAGES 2 DELETED 2)
        S: f OK *
    "#,
    )
    .await;
}

#[tokio::test]
async fn a_replacement_by_halves_keeps_to_unchangedsince() {
    bob(
        "lrsw",
        r#"
        C: a SELECT FOLDER (CONDSTORE)
        S: ...
        S: a OK [READ-WRITE] *
        C: b STORE 1 (UNCHANGEDSINCE 1) FLAGS (\Seen)
        S: b OK [MODIFIED 1] *
        C: c STORE 1:2 (UNCHANGEDSINCE 1000) FLAGS (\Seen)
        S: * 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ (*))
        S: * 2 FETCH (UID 2 FLAGS (\Deleted \Seen) MODSEQ (*))
        S: c OK Done
    "#,
    )
    .await;
}

#[tokio::test]
async fn expunging_needs_its_right() {
    bob(
        "lre",
        r#"
        C: a SELECT FOLDER
        S: ...
        S: a OK [READ-WRITE] *
        C: b EXPUNGE
        S: * 2 EXPUNGE
        S: b OK *
        C: c MOVE 1 INBOX
        S: c NO [NOPERM] *
        C: d STORE 1 +FLAGS (\Deleted)
        S: d NO [NOPERM] *
        C: e CLOSE
        S: e OK *
    "#,
    )
    .await;
}

#[tokio::test]
async fn inserting_keeps_the_flags_that_one_may_set() {
    bob(
        "li",
        r#"
        C: a APPEND FOLDER (\Seen \Flagged $Mine) {3+}
        C: xyz
        S: a OK [APPENDUID * 3] *
        C: b SELECT FOLDER
        S: b NO [NOPERM] *
        C: c APPEND INBOX (\Seen) {3+}
        C: uvw
        S: c OK *
        C: d SELECT INBOX
        S: ...
        S: d OK *
        C: e COPY 1 FOLDER
        S: e OK [COPYUID * 1 4] *
    "#,
    )
    .await;
    bob(
        "lriw",
        r#"
        C: a APPEND FOLDER (\Seen \Flagged $Mine) {3+}
        C: xyz
        S: a OK [APPENDUID * 3] *
        C: b SELECT FOLDER
        S: ...
        S: b OK [READ-WRITE] *
        C: c FETCH 3 FLAGS
        S: * 3 FETCH (FLAGS (\Flagged $Mine))
        S: c OK *
        C: d COPY 2:3 FOLDER
        S: * 5 EXISTS
        S: * 2 RECENT
        S: d OK [COPYUID * 2:3 4:5] *
        C: e FETCH 4:5 FLAGS
        S: * 4 FETCH (FLAGS (\Recent))
        S: * 5 FETCH (FLAGS (\Flagged $Mine \Recent))
        S: e OK *
    "#,
    )
    .await;
}

#[tokio::test]
async fn mailboxes_are_made_below_and_have_the_same_rights() {
    bob(
        "lrk",
        r#"
        C: a CREATE "Other users/ana@x.test/Folder/a/b"
        S: a OK *
        C: b MYRIGHTS "Other users/ana@x.test/Folder/a/b"
        S: * MYRIGHTS * "lrkc"
        S: b OK *
        C: c CREATE "Other users/ana@x.test/top"
        S: c NO [NONEXISTENT] *
        C: d DELETE "Other users/ana@x.test/Folder/a/b"
        S: d NO [NOPERM] *
        C: e RENAME "Other users/ana@x.test/Folder/a/b" "Other users/ana@x.test/Folder/c"
        S: e NO [NOPERM] *
        C: f CREATE FOLDER
        S: f NO [ALREADYEXISTS] *
    "#,
    )
    .await;
}

#[tokio::test]
async fn mailboxes_are_deleted_and_renamed_inside_an_account() {
    bob(
        "lkx",
        r#"
        C: a CREATE "Other users/ana@x.test/Folder/a"
        S: a OK *
        C: b RENAME "Other users/ana@x.test/Folder/a" "Other users/ana@x.test/Folder/b/c"
        S: b OK *
        C: c MYRIGHTS "Other users/ana@x.test/Folder/b/c"
        S: * MYRIGHTS * "lkxc"
        S: c OK *
        C: d RENAME "Other users/ana@x.test/Folder/b/c" c
        S: d NO [CANNOT] *
        C: e RENAME "Other users/ana@x.test/Folder/b/c" "Other users/ana@x.test/c"
        S: e NO [NONEXISTENT] *
        C: f DELETE "Other users/ana@x.test/Folder/b/c"
        S: f OK *
        C: g DELETE FOLDER
        S: g NO [HASCHILDREN] *
        C: h DELETE "Other users/ana@x.test/Folder/b"
        S: h OK *
        C: i DELETE FOLDER
        S: i OK *
        C: j LIST "" "Other*"
        S: j OK *
    "#,
    )
    .await;
    bob(
        "lx",
        r#"
        C: a RENAME FOLDER "Other users/ana@x.test/Folder/b"
        S: a NO [NOPERM] *
        C: b RENAME FOLDER INBOX
        S: b NO [CANNOT] *
        C: c RENAME FOLDER "Other users"
        S: c NO [CANNOT] *
        C: d RENAME INBOX "Other users/ana@x.test/mine"
        S: d NO [CANNOT] *
    "#,
    )
    .await;
}

#[tokio::test]
async fn taking_away_counts_more_than_giving_by_whomever() {
    let (server, mut bob) = with_rights("l").await;
    let mut ana = server.login().await;
    ana.say(
        r#"
        C: a SETACL Folder staff@x.test lrs
        S: a OK *
        C: b SETACL Folder anyone i
        S: b OK *
        C: c SETACL Folder -bob@x.test s
        S: c OK *
    "#,
    )
    .await;
    bob.say(&format!("C: a MYRIGHTS {FOLDER}\nS: * MYRIGHTS {FOLDER} \"lri\"\nS: a OK *")).await;
    let mut eva = server.login_as("eva").await;
    eva.say(&format!("C: a MYRIGHTS {FOLDER}\nS: * MYRIGHTS {FOLDER} \"i\"\nS: a OK *")).await;
    server.check().await;
}

#[tokio::test]
async fn rights_that_change_are_told_and_hold_at_once() {
    let (server, mut bob) = with_rights("lrswt").await;
    let mut ana = server.login().await;
    bob.say(&format!("C: a SELECT {FOLDER}\nS: ...\nS: a OK [READ-WRITE] *")).await;
    ana.say("C: a SETACL Folder bob@x.test lrs\nS: a OK *").await;
    bob.say(
        r#"
        C: b NOOP
        S: * OK [PERMANENTFLAGS (\Seen)] *
        S: b OK *
        C: c STORE 1 +FLAGS (\Answered)
        S: c NO [NOPERM] *
        C: d IDLE
        S: + *
    "#,
    )
    .await;
    ana.say("C: b DELETEACL Folder bob@x.test\nS: b OK *").await;
    bob.say(
        r#"
        S: * OK [CLOSED] *
        C: DONE
        S: d OK *
        C: e FETCH 1 FLAGS
        S: e NO [NONEXISTENT] *
        C: f SELECT INBOX
        S: ...
        S: f OK *
    "#,
    )
    .await;
    server.check().await;
}
