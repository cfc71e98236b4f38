//! What is done with scripts.

use crate::sieve::Sieve;

#[tokio::test]
async fn a_script_is_put_listed_read_renamed_and_deleted() {
    let sieve = Sieve::start().await;
    sieve
        .dialog(
            "C: LISTSCRIPTS
             S: OK
             C: HAVESPACE \"main\" 500
             S: OK
             C: PUTSCRIPT \"main\" \"keep;\"
             S: OK
             C: PUTSCRIPT \"Über \\\"mich\\\"\" \"stop;\"
             S: OK
             C: SETACTIVE \"main\"
             S: OK
             C: LISTSCRIPTS
             S: \"main\" ACTIVE
             S: \"Über \\\"mich\\\"\"
             S: OK
             C: GETSCRIPT \"main\"
             S: {5}keep;
             S: OK
             C: DELETESCRIPT \"main\"
             S: NO (ACTIVE) *
             C: RENAMESCRIPT \"main\" \"other\"
             S: OK
             C: LISTSCRIPTS
             S: \"other\" ACTIVE
             S: \"Über \\\"mich\\\"\"
             S: OK
             C: SETACTIVE \"\"
             S: OK
             C: DELETESCRIPT \"other\"
             S: OK
             C: LISTSCRIPTS
             S: \"Über \\\"mich\\\"\"
             S: OK",
        )
        .await;
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_line_and_not_kept() {
    let sieve = Sieve::start().await;
    let mut client = sieve.login().await;
    client.send(b"PUTSCRIPT \"main\" {13+}\r\nkeep;\r\nwrong;\r\n").await;
    client.say("S: NO \"line 2: There is no command \\\"wrong\\\"\"").await;
    client.send(b"CHECKSCRIPT {6+}\r\nwrong;\r\nCHECKSCRIPT {5+}\r\nkeep;\r\nLISTSCRIPTS\r\n").await;
    client.say("S: NO \"line 1: *\nS: OK\nS: OK").await;
    sieve.server.check().await;
}

#[tokio::test]
async fn what_is_not_there_or_too_much_has_its_own_code() {
    let sieve = Sieve::start().await;
    let mut client = sieve.login().await;
    client
        .say(
            "C: GETSCRIPT \"none\"
             S: NO (NONEXISTENT) *
             C: SETACTIVE \"none\"
             S: NO (NONEXISTENT) *
             C: DELETESCRIPT \"none\"
             S: NO (NONEXISTENT) *
             C: RENAMESCRIPT \"none\" \"other\"
             S: NO (NONEXISTENT) *
             C: PUTSCRIPT \"\" \"keep;\"
             S: NO \"A script can't be called so\"
             C: HAVESPACE \"a\" 1001
             S: NO (QUOTA/MAXSIZE) *
             C: PUTSCRIPT \"a\" \"\"
             S: OK
             C: PUTSCRIPT \"b\" \"keep;\"
             S: OK
             C: PUTSCRIPT \"c\" \"keep;\"
             S: OK
             C: PUTSCRIPT \"d\" \"keep;\"
             S: NO (QUOTA/MAXSCRIPTS) *
             C: HAVESPACE \"d\" 1
             S: NO (QUOTA/MAXSCRIPTS) *
             C: PUTSCRIPT \"a\" \"stop;\"
             S: OK
             C: RENAMESCRIPT \"a\" \"b\"
             S: NO (ALREADYEXISTS) *",
        )
        .await;
    let long = format!("PUTSCRIPT \"a\" {{1001+}}\r\n{}\r\nNOOP\r\n", "x".repeat(1001));
    client.send(long.as_bytes()).await;
    client.say("S: NO (QUOTA/MAXSIZE) *\nS: OK *").await;
    sieve.server.check().await;
}

#[tokio::test]
async fn two_sessions_see_each_other() {
    let sieve = Sieve::start().await;
    let (mut one, mut other) = (sieve.login().await, sieve.login().await);
    one.say("C: PUTSCRIPT \"a\" \"keep;\"\nS: OK\nC: PUTSCRIPT \"b\" \"keep;\"\nS: OK\nC: SETACTIVE \"a\"\nS: OK")
        .await;
    other.say("C: SETACTIVE \"b\"\nS: OK").await;
    one.say("C: LISTSCRIPTS\nS: \"a\"\nS: \"b\" ACTIVE\nS: OK").await;
    // Mailboxes and scripts have nothing to do with each other.
    sieve.server.login().await.say("C: a LIST \"\" sieve\nS: a OK *").await;
    sieve.server.check().await;
}
