//! Commands that are read and commands that are refused, at their position.

use sterna_formats::imap::command::{Body, FetchItem, SearchKey, SectionForm, SectionText};
use sterna_formats::imap::{Command, SequenceSet, command};

fn read(line: &str) -> Command {
    command(format!("{line}\r\n").as_bytes(), false).unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[test]
fn every_command_is_read_in_any_case() {
    for line in [
        "CAPABILITY",
        "NOOP",
        "LOGOUT",
        "STARTTLS",
        "NAMESPACE",
        "IDLE",
        "CHECK",
        "CLOSE",
        "UNSELECT",
        "EXPUNGE",
        "AUTHENTICATE PLAIN",
        "AUTHENTICATE PLAIN AGFuYQBwdw==",
        "AUTHENTICATE PLAIN =",
        "LOGIN ana secret",
        "LOGIN \"a\\\"b\" \"\\\\\"",
        "LOGIN {3}\r\nana {0}\r\n",
        "ENABLE CONDSTORE UTF8=ACCEPT",
        "ID NIL",
        "ID (\"name\" \"x\" \"version\" NIL)",
        "ID ()",
        "SELECT INBOX",
        "SELECT box (CONDSTORE)",
        "EXAMINE \"a b\"",
        "CREATE x",
        "CREATE x (USE (\\Drafts \\Sent))",
        "DELETE x",
        "RENAME a b",
        "SUBSCRIBE a",
        "UNSUBSCRIBE a]b",
        "LIST \"\" %",
        "LIST \"\" \"\"",
        "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (\"INBOX\" a/%)",
        "LIST () \"\" * RETURN (CHILDREN SPECIAL-USE STATUS (MESSAGES UNSEEN))",
        "LSUB #news. *",
        "STATUS a (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE HIGHESTMODSEQ)",
        "LIST \"\" * RETURN (MYRIGHTS)",
        "LIST (SUBSCRIBED) \"\" % RETURN (METADATA (/shared/comment \"/private/comment\") CHILDREN)",
        "GETMETADATA INBOX /shared/comment",
        "GETMETADATA \"\" (/shared/comment /private/comment)",
        "GETMETADATA (DEPTH infinity MAXSIZE 1024) INBOX /private",
        "GETMETADATA INBOX (MAXSIZE 1024) (/shared/comment)",
        "GETMETADATA INBOX /private/comment /shared/comment",
        "SETMETADATA INBOX (/private/comment {3}\r\na\nb /shared/vendor/x/y NIL)",
        "SETMETADATA INBOX (/private/comment ~{2}\r\n\0b /shared/x \"\")",
        "CANCELUPDATE \"a1\" \"a2\"",
        "UID SEARCH RETURN (UPDATE CONTEXT COUNT) UNSEEN",
        "ESEARCH UNSEEN",
        "ESEARCH IN (selected) RETURN (COUNT) ALL",
        "ESEARCH IN (mailboxes \"a b\" subtree (c d) SUBTREE-ONE e personal inboxes subscribed) CHARSET UTF-8 FROM x",
        "SETACL INBOX bob@x.test +lrs",
        "SETACL INBOX -bob \"\"",
        "DELETEACL \"Other users/a@x.test/b\" anyone",
        "GETACL INBOX",
        "LISTRIGHTS INBOX {3}\r\nbob",
        "MYRIGHTS INBOX",
        "UID EXPUNGE 1:*",
        "SEARCH ALL",
        "SEARCH RETURN () ALL",
        "SEARCH RETURN (MIN MAX COUNT SAVE) CHARSET utf-8 UNSEEN $",
        "SEARCH OR (FROM a TO b) NOT (NOT SEEN)",
        "SEARCH HEADER Message-ID \"\" BODY {1}\r\nx",
        "SEARCH SENTSINCE 1-Feb-2026 BEFORE \"28-Feb-2026\" LARGER 1 SMALLER 4294967295",
        "SEARCH MODSEQ \"/flags/\\\\draft\" all 620162338 MODSEQ 1",
        "UID SEARCH UID 1,5:9 KEYWORD $Junk UNKEYWORD x",
        "FETCH 1 FAST",
        "FETCH 1:* (FLAGS UID MODSEQ) (CHANGEDSINCE 12345)",
        "UID FETCH * BODY[]",
        "FETCH 2 (BODY.PEEK[1.2.HEADER.FIELDS (Subject \"To\")]<0.100> BODY[1.MIME] BODY[TEXT] BODY)",
        "FETCH $ (BINARY[1.2]<5.6> BINARY.PEEK[] BINARY.SIZE[1] BODYSTRUCTURE RFC822.HEADER RFC822 RFC822.TEXT)",
        "STORE 1 FLAGS ()",
        "STORE 1 +FLAGS.SILENT (\\Seen $x)",
        "UID STORE 1 (UNCHANGEDSINCE 5) -FLAGS \\Seen \\Draft",
        "COPY 1:3 a",
        "UID COPY 1 a",
        "MOVE 1 a",
        "UID MOVE 1,2 {1}\r\na",
    ] {
        let upper = read(&format!("a1 {line}"));
        // The name alone: what follows may be a value.
        let name_end = line.find(' ').unwrap_or(line.len());
        let lower = read(&format!("a1 {}{}", line[..name_end].to_ascii_lowercase(), &line[name_end..]));
        assert_eq!(upper, lower, "{line}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_position() {
    for (line, position, expected) in [
        ("", 0, "a tag"),
        ("+a NOOP", 0, "a tag"),
        ("a", 1, "a space"),
        ("a NOOP x", 6, "the end of the line"),
        ("a LOGIN ana", 11, "a space"),
        ("a LOGIN ana \"pw", 15, "a closing quote"),
        ("a LOGIN ana \"p\\w\"", 15, "a quote or backslash after a backslash"),
        ("a SELECT", 8, "a space"),
        ("a SELECT \"a\0\"", 11, "a closing quote"),
        ("a STATUS x ()", 13, "a status item"),
        ("a LIST (RECURSIVEMATCH) \"\" *", 23, "SUBSCRIBED with RECURSIVEMATCH"),
        ("a LIST \"\" ()", 12, "1 to 64 patterns"),
        ("a GETMETADATA x comment", 16, "the name of an entry"),
        ("a GETMETADATA x /personal/comment", 16, "the name of an entry"),
        ("a GETMETADATA x /shared/a/", 16, "the name of an entry"),
        ("a GETMETADATA x /shared//a", 16, "the name of an entry"),
        ("a GETMETADATA x \"/shared/*\"", 16, "the name of an entry"),
        ("a GETMETADATA x ()", 18, "1 to 256 entries"),
        ("a GETMETADATA (DEPTH 2) x /shared/a", 22, "0, 1 or infinity"),
        ("a SETMETADATA x ()", 18, "1 to 256 entries"),
        ("a SETMETADATA x (/shared a)", 17, "the whole name of an entry"),
        ("a SETMETADATA x (/shared/vendor/x a)", 17, "the whole name of an entry"),
        ("a SETMETADATA x (/shared/a b)", 27, "a string"),
        ("a ESEARCH IN () ALL", 15, "mailboxes to search"),
        ("a ESEARCH IN (nowhere) ALL", 21, "which mailboxes"),
        ("a ESEARCH IN (mailboxes ()) ALL", 26, "1 to 1000 mailboxes"),
        ("a FETCH 0 FLAGS", 9, "a number above zero"),
        ("a FETCH 4294967296 FLAGS", 8, "a number below 2^32"),
        ("a FETCH 1,,2 FLAGS", 10, "a number"),
        ("a FETCH 1 ()", 12, "items to fetch"),
        ("a FETCH 1 BODY[MIME]", 19, "a section"),
        ("a FETCH 1 BODY[]<0.0>", 21, "a length above zero"),
        ("a FETCH 1 BODY[HEADER.FIELDS ()]", 31, "a field name"),
        ("a STORE 1 +-FLAGS ()", 11, "FLAGS or FLAGS.SILENT"),
        ("a SEARCH", 8, "a space"),
        ("a SEARCH ()", 11, "a search key"),
        ("a SEARCH SINCE 30-Feb-2026", 26, "a date like 1-Feb-2026"),
        ("a SEARCH KEYWORD \\Seen", 17, "an atom"),
        ("a APPEND INBOX", 9, "a message as a literal"),
    ] {
        let error = command(format!("{line}\r\n").as_bytes(), false).expect_err(line);
        assert_eq!((error.position, error.expected), (position, expected), "{line}");
    }
}

#[test]
fn macros_and_old_names_mean_what_they_stand_for() {
    let Body::Fetch(fetch) = read("a FETCH 1 ALL").body else { panic!("FETCH") };
    assert_eq!(fetch.items, [FetchItem::Flags, FetchItem::InternalDate, FetchItem::Size, FetchItem::Envelope]);
    let Body::Fetch(fetch) = read("a FETCH 1 RFC822.HEADER").body else { panic!("FETCH") };
    let FetchItem::Section(section) = &fetch.items[0] else { panic!("a section") };
    assert_eq!((section.form, section.peek, &section.text), (SectionForm::Rfc822Header, true, &SectionText::Header));
}

#[test]
fn mailbox_names_are_decoded_and_inbox_has_one_form() {
    let name = |line: &[u8], utf8| match command(line, utf8).map(|command| command.body) {
        Ok(Body::Delete(name)) => Some(name),
        _ => None,
    };
    assert_eq!(name(b"a DELETE inBox\r\n", false).as_deref(), Some("INBOX"));
    assert_eq!(name(b"a DELETE inbox/a\r\n", true).as_deref(), Some("INBOX/a"));
    assert_eq!(name(b"a DELETE Inboxes\r\n", false).as_deref(), Some("Inboxes"));
    assert_eq!(name(b"a DELETE Entw&APw-rfe\r\n", false).as_deref(), Some("Entw\u{fc}rfe"));
    assert_eq!(name(b"a DELETE Entw&APw-rfe\r\n", true).as_deref(), Some("Entw&APw-rfe"));
    assert_eq!(name("a DELETE \"Entw\u{fc}rfe\"\r\n".as_bytes(), true).as_deref(), Some("Entw\u{fc}rfe"));
    assert_eq!(name(b"a DELETE \"\xff\"\r\n", true), None);
}

#[test]
fn an_unknown_charset_is_no_syntax_error() {
    let Body::Search(search) = read("a SEARCH CHARSET koi8-r TEXT {2}\r\n\u{e9}").body else { panic!("SEARCH") };
    assert!(search.unknown_charset && search.keys.is_empty());
    let Body::Search(search) = read("a SEARCH CHARSET UTF-8 $").body else { panic!("SEARCH") };
    assert_eq!(search.keys, [SearchKey::Sequence(SequenceSet::Saved)]);
}

#[test]
fn depth_and_number_of_search_keys_are_limited() {
    let nested = |depth: usize| format!("a SEARCH {}SEEN{}\r\n", "(".repeat(depth), ")".repeat(depth));
    assert!(command(nested(50).as_bytes(), false).is_ok());
    assert!(command(nested(30_000).as_bytes(), false).is_err());
    assert!(command(format!("a SEARCH {}SEEN\r\n", "NOT ".repeat(15_000)).as_bytes(), false).is_err());
    assert!(command(format!("a SEARCH SEEN{}\r\n", " SEEN".repeat(10_000)).as_bytes(), false).is_err());
}

#[test]
fn number_and_length_of_patterns_are_limited() {
    let patterns = |count: usize, bytes: usize| {
        let patterns = vec!["x".repeat(bytes); count].join(" ");
        command(format!("a LIST \"\" ({patterns})\r\n").as_bytes(), false).map_err(|error| error.expected)
    };
    assert!(patterns(2, 8192).is_ok() && patterns(64, 100).is_ok());
    assert_eq!(patterns(65, 1).unwrap_err(), "1 to 64 patterns");
    assert_eq!(patterns(3, 8192).unwrap_err(), "shorter patterns");
    assert!(command(format!("a LSUB \"\" {}\r\n", "x".repeat(20_000)).as_bytes(), false).is_err());
}

#[test]
fn credentials_are_never_shown() {
    for line in ["a LOGIN ana hunter2", "a AUTHENTICATE PLAIN hunter2"] {
        let shown = format!("{:?}", read(line));
        assert!(shown.contains("redacted") && !shown.contains("hunter2"), "{shown}");
    }
}
