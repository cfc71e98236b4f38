//! FETCH of what is there and what is not; APPEND and COPY at their edges.

use crate::dialog::Server;

const MAIL: &str = r"
    C: a APPEND INBOX {228+}
    C+ From: Ana <ana@x.test>\r\nSubject: two\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nplain\r\n
    C+ --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninside\r\n--b\r\nContent-Type: image/png\r\n
    C: Content-Transfer-Encoding: base64\r\n\r\niVBO\r\n--b--\r\n
    S: a OK *
    C: s SELECT INBOX
    S: ...
    S: s OK *
";

#[tokio::test]
async fn sections_that_are_not_there_are_nil() {
    let server = Server::start().await;
    let mail: String = MAIL
        .lines()
        .skip(2)
        .filter_map(|l| l.trim().strip_prefix("C+ ").or(l.trim().strip_prefix("C: ")))
        .take(3)
        .collect();
    let length = mail.replace("\\r\\n", "\r\n").len();
    server
        .dialog(&format!(
            r#"{}
        C: b FETCH 1 (BODY.PEEK[4] BODY.PEEK[1.2] BODY.PEEK[1.HEADER] BODY.PEEK[3.TEXT] BODY.PEEK[9]<5.6>)
        S: * 1 FETCH (BODY[4] NIL BODY[1.2] NIL BODY[1.HEADER] NIL BODY[3.TEXT] NIL BODY[9]<5> NIL)
        S: b OK *
        C: c FETCH 1 (BODY.PEEK[2.HEADER] BODY.PEEK[2.1] BODY.PEEK[2.TEXT] BODY.PEEK[2.MIME])
        S: * 1 FETCH (BODY[2.HEADER] {{18}}Subject: inner\r\n\r\n BODY[2.1] {{6}}inside BODY[2.TEXT] {{6}}inside BODY[2.MIME] {{32}}Content-Type: message/rfc822\r\n\r\n)
        S: c OK *
        C: d FETCH 1 (BODY.PEEK[1] BODY.PEEK[1]<2.100> BODY.PEEK[1]<5.1> BODY.PEEK[1]<99.1>)
        S: * 1 FETCH (BODY[1] {{5}}plain BODY[1]<2> {{3}}ain BODY[1]<5> {{0}} BODY[1]<99> {{0}})
        S: d OK *
        C: e FETCH 1 (BINARY.PEEK[3] BINARY.SIZE[3] BINARY.SIZE[1])
        S: * 1 FETCH (BINARY[3] {{3}}* BINARY.SIZE[3] 3 BINARY.SIZE[1] 5)
        S: e OK *
        C: f FETCH 1 BODY.PEEK[HEADER.FIELDS (FROM x-none)]
        S: * 1 FETCH (BODY[HEADER.FIELDS (FROM x-none)] {{26}}From: Ana <ana@x.test>\r\n\r\n)
        S: f OK *
        C: g FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (From Content-Type)]
        S: * 1 FETCH (BODY[HEADER.FIELDS.NOT (From Content-Type)] {{16}}Subject: two\r\n\r\n)
        S: g OK *
        C: h FETCH 1 BODY.PEEK[HEADER.FIELDS (X-None)]
        S: * 1 FETCH (BODY[HEADER.FIELDS (X-None)] {{2}}\r\n)
        S: h OK *
        C: i FETCH 1 BODY[0]
        S: i BAD *
        C: j FETCH 1 BODY[MIME]
        S: j BAD *
        C: k FETCH 1 BODY[HEADER.FIELDS ()]
        S: k BAD *
        C: l FETCH 1 BODY[]<0.0>
        S: l BAD *
        C: m FETCH 1 ()
        S: m BAD *
        C: n FETCH 1 (FLAGS NONSENSE)
        S: n BAD *
        C: o FETCH 1 (ALL)
        S: o BAD *
        C: p FETCH 1 FAST
        S: * 1 FETCH (FLAGS (*) INTERNALDATE "*" RFC822.SIZE {length})
        S: p OK *
        C: q FETCH 1 RFC822.HEADER
        S: * 1 FETCH (RFC822.HEADER {{*}}*)
        S: q OK *
        C: r FETCH 1 BODY[1]
        S: * 1 FETCH (BODY[1] {{5}}plain)
        S: * 1 FETCH (UID 1 FLAGS (\Seen*))
        S: r OK *
        C: t EXAMINE INBOX
        S: ...
        S: t OK *
        C: u STORE 1 -FLAGS (\Seen)
        S: u NO *
        C: v FETCH 1 BODY[1]
        S: * 1 FETCH (BODY[1] {{5}}plain)
        S: v OK *
    "#,
            MAIL.replace("{228+}", &format!("{{{length}+}}"))
        ))
        .await;
}

#[tokio::test]
async fn appends_are_refused_for_their_reason_and_dates_kept() {
    let server = Server::start().await;
    server
        .dialog(
            r#"
        C: a APPEND INBOX "31-Feb-2026 10:00:00 +0000" {3+}
        C: abc
        S: a BAD *
        C: b APPEND INBOX "yesterday" {3+}
        C: abc
        S: b BAD *
        C: c APPEND INBOX (\Nonsense) {3+}
        C: abc
        S: c BAD *
        C: d APPEND INBOX (\Recent \Seen) " 1-Feb-2026 10:00:00 +0100" {3+}
        C: abc
        S: d OK [APPENDUID * 1] *
        C: e APPEND INBOX {0+}
        C+ \r\n
        S: e NO *
        C: f APPEND INBOX () {3+}
        C: abc garbage
        S: f BAD *
        C: g APPEND Nowhere {3}
        S: g NO [TRYCREATE] *
        C: h APPEND INBOX
        S: h BAD *
        C: i APPEND INBOX "abc"
        S: i BAD *
        C: j EXAMINE INBOX
        S: ...
        S: * 1 EXISTS
        S: ...
        S: j OK *
        C: k FETCH 1 (FLAGS INTERNALDATE)
        S: * 1 FETCH (FLAGS (\Seen*) INTERNALDATE " 1-Feb-2026 09:00:00 +0000")
        S: k OK *
        C: l COPY 1 Nowhere
        S: l NO [TRYCREATE] *
        C: m UID COPY 1:* INBOX
        S: * 2 EXISTS
        S: * 1 RECENT
        S: m OK [COPYUID * 1 2] *
        C: n STATUS INBOX (MESSAGES RECENT UNSEEN)
        S: * STATUS INBOX (MESSAGES 2 RECENT * UNSEEN 0)
        S: n OK *
        C: o SELECT INBOX
        S: ...
        S: o OK *
        C: p UID MOVE 1 INBOX
        S: * OK [COPYUID * 1 3] *
        S: * 1 EXPUNGE
        S: * 2 EXISTS
        S: * * RECENT
        S: p OK *
        C: q UID MOVE 2:* Nowhere
        S: q NO [TRYCREATE] *
        C: r MOVE 1:2 Trash
        S: * OK [COPYUID * 2:3 1:2] *
        S: * 1 EXPUNGE
        S: * 1 EXPUNGE
        S: r OK *
    "#,
        )
        .await;
}

#[tokio::test]
async fn flags_and_keywords_at_their_edges() {
    let server = Server::start().await;
    let long = "k".repeat(129);
    server
        .dialog(&format!(
            r#"
        C: a APPEND INBOX ($One two) {{3+}}
        C: abc
        S: a OK *
        C: s SELECT INBOX
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft $One two)
        S: * OK [PERMANENTFLAGS (* \*)] *
        S: ...
        S: s OK *
        C: b STORE 1 +FLAGS \Seen \Flagged
        S: * 1 FETCH (UID 1 FLAGS (\Flagged \Seen $One two))
        S: b OK *
        C: c STORE 1 FLAGS ()
        S: * 1 FETCH (UID 1 FLAGS ())
        S: c OK *
        C: d STORE 1 +FLAGS (\Recent)
        S: d BAD *
        C: e STORE 1 +FLAGS (Three)
        S: * FLAGS (* Three)
        S: ...
        S: e OK *
        C: f STORE 1 +FLAGS (THREE)
        S: * 1 FETCH (UID 1 FLAGS (Three))
        S: f OK *
        C: g STORE 1 +FLAGS ({long})
        S: g NO [LIMIT] *
        C: h STORE 1 NONSENSE (x)
        S: h BAD *
        C: i SEARCH KEYWORD three UNKEYWORD $One
        S: * SEARCH 1
        S: i OK *
        C: j STORE 1 -FLAGS (three)
        S: * 1 FETCH (UID 1 FLAGS ())
        S: j OK *
    "#
        ))
        .await;
}
