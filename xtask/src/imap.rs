//! Which RFCs our IMAP and our POP3 keep: the list of the one (the other is in `pop3.rs`), the tables in the
//! documentation that are made of them, and the checks that keep both true. A capability that is announced must have
//! its code and its dialog here.

use std::fmt::Write as _;
use std::fs;

use anyhow::Result;

use crate::pop3;

/// The tables for readers.
const TABLE: &str = "docs/internals/imap.md";

/// What one protocol keeps.
pub struct Protocol {
    pub name: &'static str,
    /// The file of its list.
    pub source: &'static str,
    /// Where the announced capabilities stand.
    pub capability: &'static str,
    /// Finds their names in that file.
    pub announced: fn(&str) -> Vec<&str>,
    /// Where most of the code is, and most of the dialogs.
    pub code: &'static str,
    pub tests: &'static str,
    pub entries: &'static [Entry],
}

const IMAP: Protocol = Protocol {
    name: "IMAP",
    source: "xtask/src/imap.rs",
    capability: "crates/protocols/src/imap/command/capability.rs",
    announced,
    code: "crates/protocols/src/imap/",
    tests: "crates/protocols/tests/imap/",
    entries: ENTRIES,
};

const PROTOCOLS: [&Protocol; 2] = [&IMAP, &pop3::POP3];

/// One RFC, or what has none.
pub struct Entry {
    rfc: &'static str,
    title: &'static str,
    capabilities: &'static [&'static str],
    /// Below [`Protocol::code`], or from the top with a leading slash; none when it is not built.
    code: &'static [&'static str],
    /// A file below [`Protocol::tests`], or from the top, and a word that must be in it.
    test: (&'static str, &'static str),
    note: &'static str,
}

pub const fn built(
    rfc: &'static str,
    title: &'static str,
    capabilities: &'static [&'static str],
    code: &'static [&'static str],
    test: (&'static str, &'static str),
) -> Entry {
    Entry { rfc, title, capabilities, code, test, note: "" }
}

impl Entry {
    pub const fn but(self, note: &'static str) -> Self {
        Entry { note, ..self }
    }
}

const ENTRIES: &[Entry] = &[
    built("3501", "IMAP4rev1", &["IMAP4rev1", "STARTTLS", "LOGINDISABLED"], &["session.rs"], ("states.rs", "NONSENSE")),
    built("9051", "IMAP4rev2", &["IMAP4rev2"], &["session.rs"], ("sessions.rs", "ENABLE IMAP4rev2")),
    built("2177", "IDLE", &["IDLE"], &["command/idle.rs"], ("sessions.rs", "IDLE")),
    built("2342", "Namespaces", &["NAMESPACE"], &["command/namespace.rs"], ("states.rs", "* NAMESPACE")),
    built("2971", "ID", &["ID"], &["command/id.rs"], ("states.rs", "* ID")),
    built("3348", "Child mailboxes", &["CHILDREN"], &["command/list.rs"], ("listings.rs", "\\HasChildren")),
    built(
        "3502",
        "Several messages at once",
        &["MULTIAPPEND"],
        &["command/append.rs", "/crates/formats/src/imap/append.rs"],
        ("appends.rs", "1:3] *"),
    ),
    built("3516", "Binary content", &["BINARY"], &["command/binary.rs"], ("insides.rs", "BINARY")),
    built("3691", "UNSELECT", &["UNSELECT"], &["command/close.rs"], ("states.rs", "UNSELECT")),
    built(
        "4314",
        "Access control lists",
        &["ACL", "RIGHTS=texk"],
        &["command/acl.rs", "rights.rs"],
        ("acls.rs", "GETACL"),
    ),
    built("4315", "UIDPLUS", &["UIDPLUS"], &["command/append.rs", "command/expunge.rs"], ("messages.rs", "APPENDUID")),
    built(
        "4422",
        "Log-in by certificates of clients",
        &["AUTH=EXTERNAL"],
        &[
            "/crates/protocols/src/sasl/external.rs",
            "/crates/protocols/src/listener/clients.rs",
            "/crates/directory/src/auth/external.rs",
        ],
        ("external.rs", "AUTHENTICATE EXTERNAL"),
    )
    .but("where `[client_certificates]` of sterna.toml names the authorities; revocation by lists, not by OCSP"),
    built(
        "4469",
        "Messages put together",
        &["CATENATE"],
        &["command/catenate.rs", "/crates/formats/src/imap/url.rs"],
        ("appends.rs", "CATENATE ("),
    ),
    built(
        "4616, 4959",
        "PLAIN, and initial responses",
        &["AUTH=PLAIN", "AUTH=LOGIN", "SASL-IR"],
        &["command/authenticate.rs", "/crates/protocols/src/sasl/password.rs"],
        ("states.rs", "AUTHENTICATE PLAIN AGFuYQBwdw=="),
    ),
    built(
        "4731",
        "Extended results of SEARCH",
        &["ESEARCH"],
        &["command/search_result.rs"],
        ("condstore.rs", "* ESEARCH"),
    ),
    built(
        "4978",
        "Compression",
        &["COMPRESS=DEFLATE"],
        &["command/compress.rs", "/crates/protocols/src/io/deflate.rs"],
        ("compressed.rs", "COMPRESS DEFLATE"),
    ),
    built("5032", "WITHIN", &["WITHIN"], &["command/search.rs"], ("searches.rs", "YOUNGER")),
    built("5161", "ENABLE", &["ENABLE"], &["command/enable.rs"], ("states.rs", "* ENABLED")),
    built("5182", "Saved results of SEARCH", &["SEARCHRES"], &["command/search_result.rs"], ("sorts.rs", "SEARCH $")),
    built(
        "5256",
        "SORT and THREAD",
        &["SORT", "THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES"],
        &[
            "command/sort.rs",
            "command/thread.rs",
            "/crates/formats/src/imap/base_subject.rs",
            "/crates/formats/src/imap/thread.rs",
        ],
        ("sorts.rs", "THREAD REFERENCES"),
    ),
    built("5258", "Extended LIST", &["LIST-EXTENDED"], &["command/list.rs"], ("listings.rs", "RECURSIVEMATCH")),
    built(
        "5267",
        "ESORT, and results kept up to date",
        &["ESORT", "CONTEXT=SEARCH", "CONTEXT=SORT"],
        &["command/sort.rs", "contexts.rs", "order.rs"],
        ("sort_contexts.rs", "SORT RETURN (UPDATE"),
    )
    .but("a result sorted by RELEVANCY is not kept up to date; 16 results at most in one session"),
    built(
        "5464, 9590",
        "Entries about mailboxes",
        &["METADATA", "LIST-METADATA"],
        &["command/metadata.rs", "command/getmetadata.rs", "command/setmetadata.rs", "metadata_news.rs"],
        ("metadata.rs", "SETMETADATA"),
    ),
    built(
        "5465",
        "NOTIFY",
        &["NOTIFY"],
        &["command/notify.rs", "watching.rs", "watched_news.rs", "/crates/formats/src/imap/notify.rs"],
        ("notify.rs", "NOTIFY SET"),
    ),
    built("5819", "STATUS in LIST", &["LIST-STATUS"], &["command/list.rs"], ("listings.rs", "STATUS (")),
    built("5957", "SORT by display name", &["SORT=DISPLAY"], &["command/sort.rs"], ("sorts.rs", "DISPLAYFROM")),
    built(
        "6154",
        "Special uses",
        &["SPECIAL-USE", "CREATE-SPECIAL-USE"],
        &["command/list.rs", "command/create.rs"],
        ("mailboxes.rs", "(USE ("),
    ),
    built(
        "6203",
        "Fuzzy search",
        &["SEARCH=FUZZY"],
        &[
            "command/search.rs",
            "/crates/account/src/search/needle.rs",
            "/crates/account/src/search/relevancy.rs",
            "/crates/formats/src/mail/stem.rs",
        ],
        ("fuzzy.rs", "FUZZY"),
    )
    .but("RELEVANCY is a score of the index (decision 23)"),
    built("6851", "MOVE", &["MOVE"], &["command/copy.rs", "command/carry.rs"], ("messages.rs", "MOVE")),
    built("6855", "UTF-8", &["UTF8=ACCEPT"], &["command/enable.rs"], ("searches.rs", "ENABLE UTF8=ACCEPT")),
    built(
        "7162",
        "CONDSTORE and QRESYNC",
        &["CONDSTORE", "QRESYNC"],
        &["command/vanished.rs", "command/store.rs"],
        ("qresync.rs", "VANISHED (EARLIER)"),
    ),
    built(
        "7377",
        "Search in several mailboxes",
        &["MULTISEARCH"],
        &["command/esearch.rs"],
        ("esearches.rs", "ESEARCH IN"),
    ),
    built(
        "7628",
        "Log-in by tokens",
        &["AUTH=OAUTHBEARER", "AUTH=XOAUTH2"],
        &[
            "/crates/protocols/src/sasl/bearer.rs",
            "/crates/formats/src/sasl.rs",
            "/crates/directory/src/auth/bearer.rs",
        ],
        ("tokens.rs", "OAUTHBEARER"),
    )
    .but("where the setting `oauth.introspection-url` names somebody to ask (RFC 7662)"),
    built(
        "5802, 7677, 9266",
        "SCRAM-SHA-256, bound to the connection",
        &["AUTH=SCRAM-SHA-256", "AUTH=SCRAM-SHA-256-PLUS"],
        &["/crates/protocols/src/sasl/scram.rs", "/crates/formats/src/sasl.rs", "/crates/account/src/scram.rs"],
        ("scram.rs", "SCRAM-SHA-256-PLUS"),
    )
    .but("tls-exporter only; offered where the setting `scram` says so"),
    built(
        "7888",
        "Literals without waiting",
        &["LITERAL+"],
        &["/crates/formats/src/imap/frame.rs"],
        ("/crates/formats/tests/imap/streams.rs", "+}"),
    ),
    built("7889", "APPENDLIMIT", &["APPENDLIMIT=67108864"], &["command/append.rs"], ("messages.rs", "TOOBIG")),
    built(
        "8437",
        "UNAUTHENTICATE",
        &["UNAUTHENTICATE"],
        &["command/unauthenticate.rs"],
        ("states.rs", "UNAUTHENTICATE"),
    ),
    built("8438", "STATUS=SIZE", &["STATUS=SIZE"], &["command/status.rs"], ("messages.rs", "UNSEEN SIZE")),
    built("8440", "MYRIGHTS in LIST", &["LIST-MYRIGHTS"], &["command/list.rs"], ("listings.rs", "MYRIGHTS)")),
    built("8474", "Object ids", &["OBJECTID"], &["command/object_id.rs"], ("attributes.rs", "MAILBOXID"))
        .but("THREADID is NIL"),
    built("8508", "REPLACE", &["REPLACE"], &["command/replace.rs"], ("appends.rs", "UID REPLACE")),
    built("8514", "SAVEDATE", &["SAVEDATE"], &["command/fetch.rs"], ("attributes.rs", "SAVEDSINCE")),
    built("8970", "PREVIEW", &["PREVIEW"], &["command/preview.rs"], ("attributes.rs", "PREVIEW (LAZY)")),
    built(
        "9208",
        "Quotas",
        &["QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE"],
        &["command/getquota.rs"],
        ("attributes.rs", "GETQUOTAROOT"),
    )
    .but("SETQUOTA is the administrator's"),
    built("9394", "Results by position", &["PARTIAL"], &["command/search_result.rs"], ("sorts.rs", "PARTIAL -1:-2")),
    built("9585", "Progress of long commands", &["INPROGRESS"], &["progress.rs"], ("halves.rs", "INPROGRESS")),
    built("9586", "UIDONLY", &["UIDONLY"], &["session.rs", "updates.rs"], ("qresync.rs", "UIDFETCH")),
];

/// Writes the table.
pub fn write() -> Result<()> {
    Ok(fs::write(TABLE, table())?)
}

/// What of the lists is not true.
pub fn check() -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for protocol in PROTOCOLS {
        check_one(protocol, &mut findings)?;
    }
    if fs::read_to_string(TABLE).unwrap_or_default() != table() {
        findings.push(format!("{TABLE}: not what the lists in xtask say; run `cargo xtask imap-table`"));
    }
    Ok(findings)
}

fn check_one(protocol: &Protocol, findings: &mut Vec<String>) -> Result<()> {
    let Protocol { source, capability, code, tests, entries, .. } = protocol;
    let mut expect = |file: &str, word: &str| match fs::read_to_string(file) {
        Ok(text) if text.contains(word) => {}
        Ok(_) => findings.push(format!("{file}: {source} says that it has {word:?}")),
        Err(_) => findings.push(format!("{file}: {source} names it, and it is not there")),
    };
    for entry in entries.iter().filter(|entry| !entry.code.is_empty()) {
        entry.code.iter().for_each(|file| expect(&place(code, file), ""));
        expect(&place(tests, entry.test.0), entry.test.1);
    }
    let text = fs::read_to_string(capability)?;
    let announced = (protocol.announced)(&text);
    for name in announced.iter().filter(|name| !entries.iter().any(|entry| entry.capabilities.contains(name))) {
        findings.push(format!("{capability}: {name} is announced; say in {source} where it is and what tests it"));
    }
    for name in entries.iter().flat_map(|entry| entry.capabilities).filter(|name| !announced.contains(name)) {
        findings.push(format!("{capability}: {source} has {name}, which is not announced"));
    }
    Ok(())
}

/// The words of the capabilities in the source: those in quotes, before the tests.
fn announced(source: &str) -> Vec<&str> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let texts = code.split('"').skip(1).step_by(2);
    let is_name = |word: &&str| word.starts_with(|first: char| first.is_ascii_uppercase()) && *word != "CAPABILITY";
    texts.flat_map(str::split_whitespace).filter(|word| *word != "Done").filter(is_name).collect()
}

fn place(above: &str, file: &str) -> String {
    file.strip_prefix('/').map_or_else(|| format!("{above}{file}"), str::to_owned)
}

fn table() -> String {
    let mut text = "# IMAP and POP3: which RFCs, where, and tested by what\n\n\
        Made by `cargo xtask imap-table` from `xtask/src/imap.rs` and `xtask/src/pop3.rs`; `cargo xtask tidy` keeps it true.\n\
        Every dialog runs with the account on the same node, and again with it on another one.\n"
        .to_owned();
    for Protocol { name, code, tests, entries, .. } in PROTOCOLS {
        let _ = write!(
            text,
            "\n## {name}\n\nCode is below `{code}`, tests are below `{tests}`, unless a path says more.\n\n\
             | RFC | what | announced | code | test | |\n|---|---|---|---|---|---|\n"
        );
        entries.iter().for_each(|entry| row(entry, &mut text));
    }
    text
}

fn row(entry: &Entry, text: &mut String) {
    let quoted = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" ");
    let is_built = !entry.code.is_empty();
    let test = if is_built { quoted(&[entry.test.0]) } else { String::new() };
    let note = if is_built { entry.note } else { "not built" };
    let (rfc, title) = (entry.rfc, entry.title);
    let line =
        format!("| {rfc} | {title} | {} | {} | {test} | {note} |", quoted(entry.capabilities), quoted(entry.code));
    let _ = writeln!(text, "{}", line.replace("  ", " "));
}
