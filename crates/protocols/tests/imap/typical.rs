//! What widespread clients say in a day, command for command, in their own spelling.

use crate::dialog::Server;

/// One message with a plain and an HTML part.
const MAIL: &str = r#"
    C: 0 APPEND INBOX "01-Jan-2024 10:00:00 +0000" {266+}
    C+ From: Tern <tern@pole.test>\r\nTo: ana@x.test\r\nSubject: flight\r\nMessage-ID: <1@pole.test>\r\nMIME-Version: 1.0\r\n
    C+ Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n
    C+ --b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>html</p>\r\n--b--\r\n
    C+ \r\n
    S: 0 OK [APPENDUID * 1] *
"#;

#[tokio::test]
async fn a_day_of_k9() {
    let server = Server::start().await;
    server.login().await.say(MAIL).await;
    let mut k9 = server.connect().await;
    k9.say(
        r#"
        C: 1 CAPABILITY
        S: * CAPABILITY IMAP4rev1 *
        S: 1 OK *
        C: 2 AUTHENTICATE PLAIN
        S: +*
        C: AGFuYQBwdw==
        S: 2 OK [CAPABILITY *] *
        C: 3 ID ("name" "K-9 Mail" "version" "6.8")
        S: * ID (*)
        S: 3 OK *
        C: 4 NAMESPACE
        S: * NAMESPACE (("" "/")) *
        S: 4 OK *
        C: 5 LIST "" "*" RETURN (SPECIAL-USE)
        S: ...
        S: * LIST (*\Sent*) "/" *Sent*
        S: ...
        S: 5 OK *
        C: 6 LSUB "" "*"
        S: ...
        S: 6 OK *
        C: 7 SELECT "INBOX"
        S: * FLAGS (*)
        S: * OK [PERMANENTFLAGS (*\*)] *
        S: * 1 EXISTS
        S: ...
        S: 7 OK [READ-WRITE] *
        C: 8 UID SEARCH 1:* NOT DELETED
        S: * SEARCH 1
        S: 8 OK *
        C: 9 UID FETCH 1 (UID FLAGS)
        S: * 1 FETCH (UID 1 FLAGS (*))
        S: 9 OK *
        C: 10 UID FETCH 1 (UID INTERNALDATE RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (date subject from content-type to cc reply-to message-id references in-reply-to list-unsubscribe sender X-K9mail-Identity Chat-Version)])
        S: * 1 FETCH (UID 1 INTERNALDATE " 1-Jan-2024 10:00:00 +0000" RFC822.SIZE 266 FLAGS (*) BODY[HEADER.FIELDS (date subject *)] {*
        S: 10 OK *
        C: 11 UID FETCH 1 (UID BODYSTRUCTURE)
        S: * 1 FETCH (UID 1 BODYSTRUCTURE (("text" "plain" *)("text" "html" *) "alternative" *))
        S: 11 OK *
        C: 12 UID FETCH 1 (UID BODY.PEEK[1]<0.32768>)
        S: * 1 FETCH (UID 1 BODY[1]<0> {5}plain)
        S: 12 OK *
        C: 13 UID FETCH 1 (UID BODY.PEEK[2.MIME])
        S: * 1 FETCH (UID 1 BODY[2.MIME] {*
        S: 13 OK *
        C: 14 UID STORE 1 +FLAGS.SILENT (\Seen)
        S: 14 OK *
        C: 15 IDLE
        S: +*
    "#,
    )
    .await;
    server.login().await.say(&MAIL.replace("* 1]", "* 2]")).await;
    k9.say(
        r#"
        S: * 2 EXISTS
        S: ...
        C: DONE
        S: 15 OK *
        C: 16 UID SEARCH 2:* NOT DELETED
        S: * SEARCH 2
        S: 16 OK *
        C: 17 UID MOVE 1 "Archive"
        S: * OK [COPYUID * 1 1] *
        S: * 1 EXPUNGE
        S: 17 OK *
        C: 18 UID COPY 2 "Trash"
        S: 18 OK [COPYUID * 2 1] *
        C: 19 UID STORE 2 +FLAGS.SILENT (\Deleted)
        S: 19 OK *
        C: 20 UID EXPUNGE 2
        S: * 1 EXPUNGE
        S: 20 OK *
        C: 21 UID SEARCH HEADER MESSAGE-ID "<1@pole.test>"
        S: * SEARCH
        S: 21 OK *
        C: 22 CLOSE
        S: 22 OK *
        C: 23 LOGOUT
        S: * BYE *
        S: 23 OK *
    "#,
    )
    .await;
    server.check().await;
}

#[tokio::test]
async fn a_day_of_thunderbird() {
    let server = Server::start().await;
    server.login().await.say(MAIL).await;
    let mut thunderbird = server.connect().await;
    thunderbird
        .say(
            r#"
        C: 1 authenticate PLAIN
        S: +*
        C: AGFuYQBwdw==
        S: 1 OK [CAPABILITY *] *
        C: 2 ID ("name" "Thunderbird" "version" "128.5.0")
        S: * ID (*)
        S: 2 OK *
        C: 3 enable UTF8=ACCEPT
        S: * ENABLED UTF8=ACCEPT
        S: 3 OK *
        C: 4 namespace
        S: * NAMESPACE *
        S: 4 OK *
        C: 5 list (subscribed) "" "*" return (special-use)
        S: ...
        S: 5 OK *
        C: 6 list "" "INBOX"
        S: * LIST (*) "/" *INBOX*
        S: 6 OK *
        C: 7 select "INBOX" (CONDSTORE)
        S: * FLAGS (*)
        S: * OK [PERMANENTFLAGS (*\*)] *
        S: * 1 EXISTS
        S: ...
        S: * OK [HIGHESTMODSEQ *] *
        S: ...
        S: 7 OK [READ-WRITE] *
        C: 8 getquotaroot "INBOX"
        S: ...
        S: 8 OK *
        C: 9 UID fetch 1:* (FLAGS)
        S: * 1 FETCH (UID 1 FLAGS (*) MODSEQ (*))
        S: 9 OK *
        C: 10 UID fetch 1 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])
        S: * 1 FETCH (UID 1 RFC822.SIZE 266 FLAGS (*) BODY[HEADER.FIELDS (From To *)] {*
        S: 10 OK *
        C: 11 UID fetch 1 (UID RFC822.SIZE BODY[])
        S: * 1 FETCH (UID 1 RFC822.SIZE 266 BODY[] {266}*
        S: ...
        S: 11 OK *
        C: 12 UID fetch 1 (UID RFC822.SIZE BODY.PEEK[HEADER] BODY.PEEK[1.MIME] BODY.PEEK[2.MIME] BODY.PEEK[1] BODY.PEEK[2])
        S: * 1 FETCH (UID 1 RFC822.SIZE 266 BODY[HEADER] {*
        S: 12 OK *
        C: 13 uid store 1 +Flags (\Seen $label1)
        S: ...
        S: * 1 FETCH (UID 1 FLAGS (\Seen $label1*) MODSEQ (*))
        S: 13 OK *
        C: 14 uid search UNDELETED SUBJECT "flight"
        S: * SEARCH 1
        S: 14 OK *
        C: 15 append "Sent" (\Seen) {18+}
        C+ Subject: sent\r\n\r\n\r\n
        S: 15 OK [APPENDUID * 1] *
        C: 16 STATUS "Sent" (UIDNEXT MESSAGES UNSEEN RECENT)
        S: * STATUS *Sent* (UIDNEXT 2 MESSAGES 1 UNSEEN 0 RECENT *)
        S: 16 OK *
        C: 17 uid move 1 "Trash"
        S: * OK [COPYUID * 1 1] *
        S: * 1 EXPUNGE
        S: 17 OK *
        C: 18 IDLE
        S: +*
    "#,
        )
        .await;
    server.login().await.say(&MAIL.replace("* 1]", "* 2]")).await;
    thunderbird
        .say(
            r#"
        S: * 1 EXISTS
        S: ...
        C: DONE
        S: 18 OK *
        C: 19 noop
        S: 19 OK *
        C: 20 UID fetch 2:* (FLAGS)
        S: * 1 FETCH (UID 2 FLAGS (*) MODSEQ (*))
        S: 20 OK *
        C: 21 select "Trash" (CONDSTORE)
        S: ...
        S: 21 OK *
        C: 22 UID fetch 1:* (FLAGS) (CHANGEDSINCE 1)
        S: * 1 FETCH (UID 1 FLAGS (\Seen $label1*) MODSEQ (*))
        S: 22 OK *
        C: 23 uid store 1 +FLAGS (\Deleted)
        S: ...
        S: 23 OK *
        C: 24 expunge
        S: * 1 EXPUNGE
        S: 24 OK *
        C: 25 create "Trash/2024"
        S: 25 OK *
        C: 26 subscribe "Trash/2024"
        S: 26 OK *
        C: 27 rename "Trash/2024" "2024"
        S: 27 OK *
        C: 28 close
        S: 28 OK *
        C: 29 logout
        S: * BYE *
        S: 29 OK *
    "#,
        )
        .await;
    server.check().await;
}
