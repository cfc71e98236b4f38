//! What a session tells its client of what others did (RFC 9051 section 7, RFC 3501 section 5.2).

use bytes::BufMut;
use sterna_account::{FlagSet, Flags, Keyword, Rights, SystemFlag};
use sterna_base::Modseq;
use sterna_formats::imap::write::{number, sequence_set};

use super::picture::{Picked, Picture};
use super::rights;
use super::selected::Selected;
use super::session::Enabled;

/// Writes everything that the view knows and the client doesn't. Expunges only where `expunge` allows: not during
/// FETCH, STORE and SEARCH, whose sequence numbers they would change (RFC 9051 section 7.5.1). Without `flags` changes
/// of those are left for another time (RFC 5465).
pub fn write(selected: &mut Selected, enabled: Enabled, flags: bool, expunge: bool, out: &mut Vec<u8>) {
    let view = selected.view.clone();
    let picture = view.picture();
    if picture.synced <= selected.position.flags && picture.synced <= selected.position.expunges {
        return;
    }
    new_keywords(selected, &picture, out);
    let changed = if flags { picture.changed(selected.position) } else { Vec::new() };
    for uid in changed {
        if let Some(picked) = picture.find(uid, selected.position)
            && !selected.silent.contains(&picked.modseq)
        {
            let recent = uid >= selected.recent_from;
            fetch_flags(&picked, &picture.container.keywords, recent, enabled, enabled.condstore, out);
        }
    }
    if flags {
        selected.position.flags = picture.synced;
        selected.silent.clear();
    }
    if expunge && enabled.vanished() {
        let gone = picture.vanished(selected.position);
        if !gone.is_empty() {
            out.extend_from_slice(b"* VANISHED ");
            sequence_set(gone.into_iter().map(|uid| uid.0), out);
            out.extend_from_slice(b"\r\n");
        }
        selected.told_expunges(picture.synced);
    } else if expunge {
        for sequence in picture.expunged(selected.position) {
            out.extend_from_slice(b"* ");
            number(u64::from(sequence), out);
            out.extend_from_slice(b" EXPUNGE\r\n");
        }
        selected.told_expunges(picture.synced);
    }
    let uid_next = picture.container.uid_next;
    if uid_next > selected.position.next {
        let before = picture.count(selected.position);
        selected.position.next = uid_next;
        let count = picture.count(selected.position);
        if count != before {
            out.extend_from_slice(b"* ");
            number(u64::from(count), out);
            out.extend_from_slice(b" EXISTS\r\n");
            if !enabled.rev2 {
                out.extend_from_slice(b"* ");
                number(u64::from(picture.count_from(selected.recent_from, selected.position)), out);
                out.extend_from_slice(b" RECENT\r\n");
            }
        }
    }
}

/// Tells of keywords that the client has not heard of, before the first message that has one (RFC 9051 section 7.3.5).
pub fn new_keywords(selected: &mut Selected, picture: &Picture, out: &mut Vec<u8>) {
    let known = picture.container.keywords.len();
    if known > selected.keywords_told {
        selected.keywords_told = known;
        flags_response(&picture.container.keywords, out);
    }
}

/// `* n FETCH (UID u FLAGS (..) MODSEQ (m))`
pub fn fetch_flags(
    picked: &Picked,
    keywords: &[Keyword],
    recent: bool,
    enabled: Enabled,
    modseq: bool,
    out: &mut Vec<u8>,
) {
    fetch_start(picked, enabled, out);
    if !enabled.uid_only {
        out.extend_from_slice(b"UID ");
        number(u64::from(picked.uid.0), out);
        out.put_u8(b' ');
    }
    out.extend_from_slice(b"FLAGS ");
    flags(picked.flags, keywords, recent && !enabled.rev2, out);
    if modseq {
        write_modseq(picked.modseq, out);
    }
    out.extend_from_slice(b")\r\n");
}

/// `* n FETCH (`, or with UIDONLY `* u UIDFETCH (`, in which no UID stands again.
pub fn fetch_start(picked: &Picked, enabled: Enabled, out: &mut Vec<u8>) {
    out.extend_from_slice(b"* ");
    if enabled.uid_only {
        number(u64::from(picked.uid.0), out);
        out.extend_from_slice(b" UIDFETCH (");
    } else {
        number(u64::from(picked.sequence), out);
        out.extend_from_slice(b" FETCH (");
    }
}

/// ` MODSEQ (m)`
pub fn write_modseq(modseq: Modseq, out: &mut Vec<u8>) {
    out.extend_from_slice(b" MODSEQ (");
    number(modseq.0, out);
    out.put_u8(b')');
}

/// `(\Seen $Forwarded)`
pub fn flags(flags: Flags, keywords: &[Keyword], recent: bool, out: &mut Vec<u8>) {
    out.put_u8(b'(');
    let start = out.len();
    let word = |word: &str, out: &mut Vec<u8>| {
        if out.len() > start {
            out.put_u8(b' ');
        }
        out.extend_from_slice(word.as_bytes());
    };
    if flags.system != 0 {
        for flag in SystemFlag::ALL {
            if flags.has(flag) {
                word(flag.name(), out);
            }
        }
    }
    for bit in flags.keyword_bits() {
        if let Some(keyword) = keywords.get(bit) {
            word(keyword.as_str(), out);
        }
    }
    if recent {
        word("\\Recent", out);
    }
    out.put_u8(b')');
}

/// `* FLAGS (..)`
pub fn flags_response(keywords: &[Keyword], out: &mut Vec<u8>) {
    out.extend_from_slice(b"* FLAGS ");
    all_flags(keywords, "", out);
    out.extend_from_slice(b"\r\n");
}

/// `* OK [PERMANENTFLAGS (..)]`: those that the user may change (RFC 4314 section 5.1.1).
pub fn permanent_flags(selected: &Selected, out: &mut Vec<u8>) {
    out.extend_from_slice(b"* OK [PERMANENTFLAGS ");
    let rights = if selected.read_only { Rights::NONE } else { selected.rights };
    let picture = selected.view.picture();
    if rights::every_flag(rights) {
        all_flags(&picture.container.keywords, " \\*", out);
    } else {
        let every = FlagSet { system: EVERY_SYSTEM_FLAG, keywords: picture.container.keywords.clone() };
        let names = rights::allowed(&every, rights);
        flags(Flags { system: names.system, keywords: 0 }, &[], false, out);
        out.truncate(out.len() - 1);
        let words = names.keywords.iter().map(Keyword::as_str).chain(rights.has(Rights::WRITE).then_some("\\*"));
        for word in words {
            if !out.ends_with(b"(") {
                out.put_u8(b' ');
            }
            out.extend_from_slice(word.as_bytes());
        }
        out.put_u8(b')');
    }
    out.extend_from_slice(b"] Flags that stay\r\n");
}

/// The bits of all of them.
const EVERY_SYSTEM_FLAG: u8 = {
    let (mut all, mut at) = (0, 0);
    while at < SystemFlag::ALL.len() {
        all |= SystemFlag::ALL[at] as u8;
        at += 1;
    }
    all
};

/// Every flag that a message can have, and `more`.
pub fn all_flags(keywords: &[Keyword], more: &str, out: &mut Vec<u8>) {
    let every = Flags { system: EVERY_SYSTEM_FLAG, keywords: 0 };
    flags(every, &[], false, out);
    out.truncate(out.len() - 1);
    for keyword in keywords {
        out.put_u8(b' ');
        out.extend_from_slice(keyword.as_str().as_bytes());
    }
    out.extend_from_slice(more.as_bytes());
    out.put_u8(b')');
}
