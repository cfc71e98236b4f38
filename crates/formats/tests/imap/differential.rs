//! Held to imap-codec: what it reads, we read; and what it writes again from what it read, we read as the same.

use imap_codec::CommandCodec;
use imap_codec::decode::Decoder;
use imap_codec::encode::Encoder;
use proptest::prelude::*;
use sterna_formats::imap::command;

fn set() -> impl Strategy<Value = String> {
    // Normal forms only: imap-codec merges ranges when it reads them.
    prop_oneof![Just("1:*".to_owned()), Just("7".to_owned()), Just("2:4,9,12:13".to_owned()), Just("3,5".to_owned())]
}

fn astring() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9.#$/-]{1,8}",
        "[ -!#-\\[\\]-~]{0,8}".prop_map(|text| format!("\"{text}\"")),
        Just("\"a\\\"b\\\\c\"".to_owned()),
        "[ -~]{0,5}".prop_map(|text| format!("{{{}}}\r\n{text}", text.len())),
    ]
}

fn mailbox() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z0-9./]{1,8}", "\"[a-zA-Z0-9 ./]{1,8}\"", "(?i:inbox)", Just("Entw&APw-rfe".to_owned())]
}

fn date() -> impl Strategy<Value = String> {
    (1u8..29, prop::sample::select(vec!["Jan", "feb", "DEC"]), 1970u16..2100)
        .prop_map(|(day, month, year)| format!("{day}-{month}-{year}"))
}

fn flags() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["\\Seen", "\\Deleted", "$Junk", "work", "\\Flagged"]), 0..4)
        .prop_map(|flags| format!("({})", flags.join(" ")))
}

fn search_key() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "ALL",
        "ANSWERED",
        "DELETED",
        "DRAFT",
        "FLAGGED",
        "SEEN",
        "UNANSWERED",
        "UNDELETED",
        "UNDRAFT",
        "UNFLAGGED",
        "UNSEEN",
        "RECENT",
        "OLD",
        "NEW",
        "KEYWORD $Junk",
        "UNKEYWORD work",
        "LARGER 10",
        "SMALLER 4294967295",
    ]);
    let text =
        (prop::sample::select(vec!["BCC", "CC", "FROM", "SUBJECT", "TO", "BODY", "TEXT", "HEADER X-A"]), astring())
            .prop_map(|(key, text)| format!("{key} {text}"));
    let dated = prop::sample::select(vec!["BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE"]);
    let dated = (dated, date()).prop_map(|(key, date)| format!("{key} {date}"));
    let uids = set().prop_map(|set| format!("UID {set}"));
    let leaf = prop_oneof![word.prop_map(str::to_owned), text, dated, uids, set()];
    leaf.prop_recursive(4, 12, 3, |key| {
        prop_oneof![
            key.clone().prop_map(|key| format!("NOT {key}")),
            (key.clone(), key.clone()).prop_map(|(a, b)| format!("OR {a} {b}")),
            prop::collection::vec(key, 2..4).prop_map(|keys| format!("({})", keys.join(" "))),
        ]
    })
}

fn fetch_item() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "ENVELOPE",
        "FLAGS",
        "INTERNALDATE",
        "RFC822.SIZE",
        "UID",
        "BODY",
        "BODYSTRUCTURE",
        "RFC822",
        "RFC822.HEADER",
        "RFC822.TEXT",
        "BINARY[1.2]",
        "BINARY.PEEK[1]<0.5>",
        "BINARY.SIZE[2]",
    ]);
    let section = prop::sample::select(vec![
        "",
        "1",
        "1.2.3",
        "HEADER",
        "TEXT",
        "2.HEADER",
        "2.MIME",
        "1.TEXT",
        "HEADER.FIELDS (Subject \"To\")",
        "3.HEADER.FIELDS.NOT (Date)",
    ]);
    let partial = prop::sample::select(vec!["", "<0.1>", "<100.4294967295>"]);
    let body = (prop::sample::select(vec!["BODY", "BODY.PEEK"]), section, partial)
        .prop_map(|(name, section, partial)| format!("{name}[{section}]{partial}"));
    prop_oneof![word.prop_map(str::to_owned), body]
}

fn command_text() -> impl Strategy<Value = String> {
    let uid = || prop::sample::select(vec!["", "UID "]);
    let items = prop_oneof![
        prop::sample::select(vec!["ALL", "FAST", "FULL"]).prop_map(str::to_owned),
        fetch_item(),
        prop::collection::vec(fetch_item(), 1..5).prop_map(|items| format!("({})", items.join(" "))),
    ];
    let store = prop::sample::select(vec!["FLAGS", "+FLAGS", "-FLAGS", "FLAGS.SILENT", "+FLAGS.SILENT"]);
    let named = prop::sample::select(vec!["SELECT", "EXAMINE", "CREATE", "DELETE", "SUBSCRIBE", "UNSUBSCRIBE"]);
    let status = prop::sample::select(vec!["MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN"]);
    prop_oneof![
        prop::sample::select(vec!["NOOP", "CAPABILITY", "LOGOUT", "CHECK", "CLOSE", "EXPUNGE", "UNSELECT", "IDLE"])
            .prop_map(str::to_owned),
        (astring(), astring()).prop_map(|(user, password)| format!("LOGIN {user} {password}")),
        (named, mailbox()).prop_map(|(name, mailbox)| format!("{name} {mailbox}")),
        (mailbox(), mailbox()).prop_map(|(from, to)| format!("RENAME {from} {to}")),
        (prop::sample::select(vec!["LIST", "LSUB"]), "(%|\\*|[a-z]{1,3}/%|\"\")")
            .prop_map(|(name, pattern)| format!("{name} \"\" {pattern}")),
        (mailbox(), status).prop_map(|(mailbox, item)| format!("STATUS {mailbox} ({item})")),
        (uid(), prop::collection::vec(search_key(), 1..4))
            .prop_map(|(uid, keys)| format!("{uid}SEARCH {}", keys.join(" "))),
        (uid(), set(), items).prop_map(|(uid, set, items)| format!("{uid}FETCH {set} {items}")),
        (uid(), set(), store, flags()).prop_map(|(uid, set, how, flags)| format!("{uid}STORE {set} {how} {flags}")),
        (uid(), prop::sample::select(vec!["COPY", "MOVE"]), set(), mailbox())
            .prop_map(|(uid, name, set, mailbox)| format!("{uid}{name} {set} {mailbox}")),
        set().prop_map(|set| format!("UID EXPUNGE {set}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn we_read_what_imap_codec_reads_and_as_the_same(text in command_text()) {
        let line = format!("a1 {text}\r\n");
        let ours = command(line.as_bytes(), false);
        let codec = CommandCodec::default();
        let (rest, theirs) = codec.decode(line.as_bytes()).map_err(|error| {
            TestCaseError::fail(format!("imap-codec refuses {line:?}: {error:?}"))
        })?;
        prop_assert!(rest.is_empty());
        let again = codec.encode(&theirs).dump();
        prop_assert_eq!(ours, command(&again, false), "{:?} and {:?}", line, String::from_utf8_lossy(&again));
    }

    /// One byte is changed: whoever refuses it, does so; what both take, both take as the same.
    #[test]
    fn damaged_commands_are_read_as_the_same_or_refused(text in command_text(), at: prop::sample::Index, byte in 0x20u8..0x7f) {
        let mut line = format!("a1 {text}\r\n").into_bytes();
        let at = at.index(line.len() - 2);
        line[at] = byte;
        let codec = CommandCodec::default();
        let (Ok(ours), Ok((b"", theirs))) = (command(&line, false), codec.decode(&line)) else { return Ok(()) };
        let again = codec.encode(&theirs).dump();
        let theirs = command(&again, false);
        // A set that is no longer in its normal form is merged by imap-codec.
        let of_a_set = |pair: &[u8]| matches!(pair[0], b'0'..=b'9' | b'*') && matches!(pair[1], b',' | b':');
        if !line.windows(2).any(of_a_set) {
            // It writes a system flag as the RFC does, whatever the case it came in.
            let told = |command| match format!("{command:?}") {
                told if line.contains(&b'\\') => told.to_ascii_lowercase(),
                told => told,
            };
            prop_assert_eq!(told(Ok(ours)), told(theirs), "{:?} and {:?}", line.escape_ascii().to_string(), again.escape_ascii().to_string());
        }
    }
}
