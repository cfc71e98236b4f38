//! Where Sterna and Dovecot may differ, and why: every difference that is not named here is somebody's mistake.
//!
//! Three more are not seen at all: what a status says to people, whether a string comes quoted or as a literal, and in
//! which of the allowed moments a client is told of news (`pair` asks both for the rest of it with NOOP).

use super::mailbox::Mailbox;
use super::observed::Observed;
use super::parts;

/// A permitted difference: takes away from both what need not be the same.
struct Permitted {
    #[allow(dead_code)] // for the reader of this list
    why: &'static str,
    forget: fn(&str, &mut Observed, &mut Observed),
}

const PERMITTED: &[Permitted] = &[
    Permitted {
        why: "UIDVALIDITY and modification sequences are each server's own numbers",
        forget: |_, sterna, dovecot| {
            both(sterna, dovecot, |seen| {
                seen.retain(|key, _| !key.ends_with(" UIDVALIDITY") && !key.ends_with(" HIGHESTMODSEQ"));
                for code in ["code APPENDUID", "code COPYUID"] {
                    if let Some(value) = seen.get_mut(code) {
                        *value = value.split_once(' ').map_or("", |(_, uids)| uids).to_owned();
                    }
                }
            });
        },
    },
    Permitted {
        why: "\\Recent depends on who looked first, and IMAP4rev2 has dropped it (RFC 9051 appendix E)",
        forget: |_, sterna, dovecot| both(sterna, dovecot, |seen| seen.retain(|key, _| !key.ends_with(" RECENT"))),
    },
    Permitted {
        why: "what can't be done may be refused with NO or with BAD",
        forget: |_, sterna, dovecot| {
            both(sterna, dovecot, |seen| {
                if let Some(result) = seen.get_mut("result").filter(|result| *result == "BAD") {
                    "NO".clone_into(result);
                }
            });
        },
    },
    Permitted {
        why: "a part that is not there, or that a multipart has no text for, is NIL or empty",
        forget: |_, sterna, dovecot| {
            both(sterna, dovecot, |seen| {
                for (_, text) in seen.iter_mut().filter(|(key, text)| key.contains('[') && *text == "NIL") {
                    "\"\"".clone_into(text);
                }
            });
        },
    },
    Permitted {
        why: "Dovecot has words of its own where an address lacks its domain or its local part",
        forget: |_, _, dovecot| {
            for (_, text) in dovecot.iter_mut().filter(|(key, _)| key.starts_with("FETCH ")) {
                *text = text.replace("MISSING_DOMAIN", "").replace("MISSING_MAILBOX", "");
            }
        },
    },
    Permitted {
        why: "\\Marked and \\Unmarked are a guess at what is interesting, and optional (RFC 9051 section 7.3.1)",
        forget: |_, sterna, dovecot| {
            both(sterna, dovecot, |seen| {
                for (_, attributes) in seen.iter_mut().filter(|(key, _)| key.starts_with("LIST ")) {
                    let kept = attributes.split(' ').filter(|attribute| !attribute.ends_with("marked"));
                    *attributes = kept.collect::<Vec<_>>().join(" ");
                }
            });
        },
    },
    Permitted {
        why: "Dovecot makes one of several blanks in an ENVELOPE; RFC 5322 section 2.2.3 takes away line ends only",
        forget: |_, sterna, dovecot| {
            both(sterna, dovecot, |seen| {
                for (_, envelope) in seen.iter_mut().filter(|(key, _)| !key.contains('[') && key.starts_with("FETCH "))
                {
                    *envelope = envelope.replace("\\t", " ").split_whitespace().collect::<Vec<_>>().join(" ");
                }
            });
        },
    },
    Permitted {
        why: "a text without a charset is in US-ASCII, said or not (RFC 2045 section 5.2)",
        forget: |_, sterna, dovecot| {
            both(sterna, dovecot, |seen| {
                for (_, structure) in seen.iter_mut().filter(|(key, _)| key.contains(" BODY") && !key.contains('[')) {
                    let without = structure.replace("\"charset\" \"us-ascii\"", "");
                    *structure = without.replace("( ", "(").replace(" )", ")").replace("()", "NIL");
                }
            });
        },
    },
    Permitted {
        why: "the line end before a boundary belongs to the boundary (RFC 2046 section 5.1.1); Dovecot gives it to parts \
              that are multiparts themselves",
        forget: |_, sterna, dovecot| {
            for (key, text) in sterna.iter_mut().filter(|(key, _)| key.contains('[')) {
                let told = dovecot.get(key).and_then(|told| told.strip_suffix("\\r\\n\""));
                if told.is_some() && told == text.strip_suffix('"') {
                    text.clone_from(&dovecot[key]);
                }
            }
        },
    },
    Permitted {
        why: "a header without its empty line may or may not have the line end before the next boundary",
        forget: |_, sterna, dovecot| {
            both(sterna, dovecot, |seen| {
                for (_, header) in seen.iter_mut().filter(|(key, _)| key.contains("HEADER") || key.contains("MIME]")) {
                    *header = header.trim_matches('"').trim_end_matches("\\r\\n").to_owned();
                }
            });
        },
    },
    Permitted {
        why: "Dovecot says OK to changes of a mailbox that is open read-only, and leaves them undone",
        forget: |command, sterna, dovecot| {
            let changes = ["STORE", "EXPUNGE"].iter().any(|verb| command.contains(verb));
            if changes && sterna.contains_key("read-only") && sterna["result"] == "NO" {
                dovecot.insert("result".to_owned(), "NO".to_owned());
            }
        },
    },
    Permitted {
        why: "where there is nothing to be copied, Dovecot doesn't look for the mailbox",
        forget: |command, sterna, dovecot| {
            let is_copy = command.contains("COPY ") || command.contains("MOVE ");
            if is_copy && sterna.remove("code TRYCREATE").is_some() && !dovecot.contains_key("code COPYUID") {
                dovecot.remove("code TRYCREATE");
                dovecot.insert("result".to_owned(), "NO".to_owned());
            }
        },
    },
    Permitted {
        why: "a result that is only saved is not told (RFC 5182 section 2.4); Dovecot tells of a MODSEQ in it",
        forget: |command, sterna, dovecot| {
            if command.contains("RETURN (SAVE)") {
                both(sterna, dovecot, |seen| seen.retain(|key, _| !key.starts_with("ESEARCH")));
            }
        },
    },
    Permitted {
        why: "what is wrong with a COPY that has several mistakes, its numbers or its mailbox, is said in any order",
        forget: |command, sterna, dovecot| {
            if !command.starts_with("UID ") {
                both(sterna, dovecot, |seen| drop(seen.remove("code TRYCREATE")));
            }
        },
    },
    Permitted {
        why: "of a message that was gone before the client could ask for its UID, each server shows what it likes",
        forget: |_, sterna, dovecot| both(sterna, dovecot, |seen| seen.retain(|key, _| !key.starts_with("FETCH ?"))),
    },
    Permitted {
        why: "Dovecot sometimes counts below zero for BINARY.SIZE, and shows what is left of 2^64",
        forget: |_, sterna, dovecot| {
            let is_nonsense = |size: &String| size.parse().is_ok_and(|size: u64| size > u64::from(u32::MAX));
            let is_it = |(key, size): &(&String, &String)| key.contains(" BINARY.SIZE[") && is_nonsense(size);
            let keys: Vec<String> = dovecot.iter().filter(is_it).map(|(key, _)| key.clone()).collect();
            for key in keys {
                sterna.remove(&key);
                dovecot.remove(&key);
            }
        },
    },
    Permitted {
        why: "Dovecot forgets how the encoding of a plain message is spelled",
        forget: |_, sterna, dovecot| {
            both(sterna, dovecot, |seen| {
                for (_, structure) in seen.iter_mut().filter(|(key, _)| key.contains(" BODY") && !key.contains('[')) {
                    *structure = structure.replace("\"7BIT\"", "\"7bit\"");
                }
            });
        },
    },
    Permitted {
        why: "and it counts it with messages that end with such a part",
        forget: |_, sterna, dovecot| {
            for (key, structure) in dovecot.iter_mut().filter(|(key, _)| key.contains(" BODY") && !key.contains('[')) {
                if let Some(ours) = sterna.get(key).filter(|ours| parts::alike(ours, structure)) {
                    structure.clone_from(ours);
                }
            }
        },
    },
    Permitted {
        why: "dates are shown in any time zone (RFC 9051 section 2.3.3)",
        forget: |_, sterna, dovecot| {
            both(sterna, dovecot, |seen| {
                for (_, date) in seen.iter_mut().filter(|(key, _)| key.ends_with(" INTERNALDATE")) {
                    *date = in_utc(date);
                }
            });
        },
    },
];

/// Messages of the zoo that are read differently, and rightly so: they are not given to both.
pub const MESSAGES: &[(&str, &str)] = &[
    ("an empty boundary", "a boundary has at least one character (RFC 2046 section 5.1.1)"),
    ("a boundary of 300 bytes", "and at most 70; both go beyond that, each to its own limit"),
    ("a boundary as last line, unfinished", "without its line end it is a boundary to one and text to the other"),
    ("boundaries that begin alike", "Dovecot takes the beginning of a line for a boundary"),
    ("dashes that are no boundary", "Dovecot takes the beginning of a line for a boundary"),
    ("a part without header or empty line", "what of it is header is anybody's guess"),
    ("parts without a byte", "whether a part's only line end is its header's or the next boundary's is undecided"),
    ("a content type of nonsense", "it is plain text (RFC 2045 section 5.2), and no type without a name"),
    ("400 nested comments", "Dovecot gives up on them, and shows no type"),
    ("base64 that is none", "Dovecot shows no encoding where no type is given"),
    ("quoted-printable that is none", "Dovecot shows no encoding where no type is given"),
    ("an encoded message inside", "messages can't be encoded (RFC 2046 section 5.2.1): to us it is bytes"),
    ("everything twice", "which of two subjects counts is undecided: we take the first"),
    ("addresses from hell", "every reader finds other addresses in them"),
    ("parameters in pieces", "Dovecot sorts them"),
    ("a fold before any field", "whether a first line that is folded belongs to a field is undecided"),
    ("text without a header", "whether a text without a colon or an empty line is a header is undecided"),
    ("an mbox line in front", "whether a line that is no field belongs to a header is undecided"),
    ("damaged UTF-8 header", "where a broken subject is sorted is undecided"),
    ("one byte", "whether a text without a colon or an empty line is a header is undecided"),
    ("200 nested multiparts", "each has its own limit"),
    ("200 nested messages", "each has its own limit"),
];

/// Whether a command is given to both. Not those after which both go on with different mailboxes, and rightly so, or
/// after which one of them is gone.
pub fn is_asked(command: &str, mailbox: Option<&Mailbox>) -> bool {
    // Dovecot moves messages out of a mailbox that is open read-only.
    let moves_read_only = command.contains("MOVE ") && mailbox.is_some_and(|mailbox| mailbox.read_only);
    // Dovecot 2.3.19 ends with a panic (mailbox-get.c: i == count-1; cmd-copy.c: match_not) where such a set names
    // messages twice.
    let panics = (command.starts_with("COPY ") || command.starts_with("MOVE "))
        && command.contains('*')
        && command.contains(',');
    // And with another one (imap-fetch.c: imap_fetch_send_vanished) where what vanished of a saved result is asked for.
    let panics_too = command.contains("FETCH $") && command.contains("VANISHED");
    !moves_read_only && !panics && !panics_too
}

/// Takes away whatever is permitted to differ.
pub fn forget(command: &str, sterna: &mut Observed, dovecot: &mut Observed) {
    for permitted in PERMITTED {
        (permitted.forget)(command, sterna, dovecot);
    }
}

fn both(sterna: &mut Observed, dovecot: &mut Observed, forget: impl Fn(&mut Observed)) {
    forget(sterna);
    forget(dovecot);
}

/// Minutes since some day long ago and seconds, of `"01-Feb-2024 10:00:00 +0200"`.
fn in_utc(date: &str) -> String {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let number =
        |range: std::ops::Range<usize>| date.get(range).and_then(|text| text.trim().parse::<i64>().ok()).unwrap_or(0);
    let month = date.get(4..7).and_then(|name| MONTHS.find(name)).unwrap_or(0) as i64 / 3;
    let (year, day) = (number(8..12), number(1..3));
    let west = if date.get(22..23) == Some("-") { -1 } else { 1 };
    let zone_minutes = west * (number(23..25) * 60 + number(25..27));
    // Days that rise with the calendar are enough for comparing: the zones here never lead over the end of a month.
    let days = (year * 12 + month) * 31 + day;
    format!("{} minutes {} s", (days * 24 + number(13..15)) * 60 + number(16..18) - zone_minutes, number(19..21))
}
