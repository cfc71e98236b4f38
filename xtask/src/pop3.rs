//! Which RFCs our POP3 keeps, beside what `imap.rs` says of IMAP.

use crate::imap::{Entry, Protocol, built};

/// What POP3 keeps.
pub const POP3: Protocol = Protocol {
    name: "POP3",
    source: "xtask/src/pop3.rs",
    capability: "crates/protocols/src/pop3/command/capa.rs",
    announced,
    code: "crates/protocols/src/pop3/",
    tests: "crates/protocols/tests/pop3/",
    entries: ENTRIES,
};

const ENTRIES: &[Entry] = &[
    built(
        "1939",
        "POP3",
        &["USER", "TOP", "UIDL"],
        &[
            "session.rs",
            "maildrop.rs",
            "pictures.rs",
            "/crates/formats/src/pop3/command.rs",
            "/crates/formats/src/pop3/multi_line.rs",
        ],
        ("maildrops.rs", "C: UIDL"),
    )
    .but("APOP is not offered: it needs passwords in the clear on the server, and MD5"),
    built(
        "2449",
        "Capabilities and response codes",
        &["RESP-CODES", "PIPELINING", "EXPIRE NEVER", "IMPLEMENTATION Sterna"],
        &["command/capa.rs", "reply.rs"],
        ("messages.rs", "in pieces of"),
    )
    .but("LOGIN-DELAY is not announced: there is none"),
    built("2595, 8314", "TLS", &["STLS"], &["command/stls.rs"], ("log_ins.rs", "STLS\\r\\nUSER")),
    built("3206", "[AUTH], [SYS/TEMP] and [SYS/PERM]", &["AUTH-RESP-CODE"], &["reply.rs"], ("faults.rs", "SYS/PERM"))
        .but("[IN-USE] has no use: nobody is locked out"),
    built(
        "5034, 4616",
        "Log-in by SASL",
        &["SASL", "PLAIN", "LOGIN"],
        &["command/auth.rs", "/crates/protocols/src/sasl/mod.rs", "/crates/protocols/src/sasl/password.rs"],
        ("log_ins.rs", "AUTH PLAIN"),
    ),
    built(
        "4422",
        "Log-in by certificates of clients",
        &["EXTERNAL"],
        &["/crates/protocols/src/sasl/external.rs"],
        ("log_ins.rs", "AUTH EXTERNAL"),
    )
    .but("as for IMAP"),
    built(
        "5802, 7677, 9266",
        "SCRAM-SHA-256, bound to the connection",
        &["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"],
        &["/crates/protocols/src/sasl/scram.rs"],
        ("log_ins.rs", "SCRAM-SHA-256-PLUS"),
    )
    .but("as for IMAP"),
    built(
        "7628",
        "Log-in by tokens",
        &["OAUTHBEARER", "XOAUTH2"],
        &["/crates/protocols/src/sasl/bearer.rs"],
        ("log_ins.rs", "OAUTHBEARER"),
    )
    .but("as for IMAP"),
    built("6856", "UTF-8", &["UTF8 USER"], &["command/utf8.rs"], ("log_ins.rs", "C: UTF8"))
        .but("messages are sent as they are stored to everybody; LANG is not built: no client asks for it"),
];

/// The capabilities in the source: lines of text that begin with a word in upper case.
fn announced(source: &str) -> Vec<&str> {
    let lines = source.split('"').skip(1).step_by(2).flat_map(|text| text.split("\\r\\n"));
    let is_upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
    let is_name =
        |line: &&str| line.split(' ').next().is_some_and(|word| !word.is_empty() && word.chars().all(is_upper));
    lines.filter(is_name).collect()
}
