//! Names in Maildirs: of messages (their flags stand in them), and of folders (Maildir++: `.Archive.2026`).

use sterna_account::{FlagSet, Keyword, SystemFlag};
use sterna_formats::mutf7;

/// The letters of flags, in the order in which they stand in names.
const FLAGS: [(char, SystemFlag); 5] = [
    ('D', SystemFlag::Draft),
    ('F', SystemFlag::Flagged),
    ('R', SystemFlag::Answered),
    ('S', SystemFlag::Seen),
    ('T', SystemFlag::Deleted),
];

/// Keywords that have letters: `a` to `z`.
pub const LETTERS_MAX: usize = 26;

/// What stands before the flags.
const INFO: &str = ":2,";

/// The name of a message without its flags: it never changes.
pub fn base(uid: u32, seconds: i64, size: u64) -> String {
    format!("{seconds}.U{uid}.sterna,S={size},U={uid}")
}

/// The flags as they stand behind it; keywords without a letter are not among them.
pub fn info(flags: &FlagSet, keywords: &[String]) -> String {
    let mut text = INFO.to_owned();
    let has_flag = |flag: SystemFlag| flags.system & flag as u8 != 0;
    text.extend(FLAGS.iter().filter(|(_, flag)| has_flag(*flag)).map(|(letter, _)| *letter));
    let letters = keywords.iter().take(LETTERS_MAX).zip('a'..='z');
    let has = |word: &str| flags.keywords.iter().any(|keyword| keyword.as_str().eq_ignore_ascii_case(word));
    text.extend(letters.filter(|(word, _)| has(word)).map(|(_, letter)| letter));
    text
}

/// What the name of a message says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Its UID, where that stands in it.
    pub uid: Option<u32>,
    /// Its flags; letters without a keyword are passed over.
    pub flags: FlagSet,
}

/// Reads the name of a message.
pub fn named(name: &str, keywords: &[String]) -> Named {
    let (base, info) = name.rsplit_once(INFO).unwrap_or((name, ""));
    let uid = base.split(',').skip(1).find_map(|field| field.strip_prefix("U=")?.parse().ok());
    let mut flags = FlagSet::default();
    for letter in info.chars() {
        if let Some((_, flag)) = FLAGS.iter().find(|(known, _)| *known == letter) {
            flags = flags.with(*flag);
        } else if let Some(at) = ('a'..='z').position(|known| known == letter)
            && let Some(Ok(keyword)) = keywords.get(at).map(|word| Keyword::new(word.as_str()))
        {
            flags.insert(keyword);
        }
    }
    Named { uid, flags }
}

/// The name without its flags: what a list of UIDs calls it.
pub fn without_flags(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}

/// The directory of a folder below that of the mail: empty for the INBOX. What separates there can't stand in a part.
pub fn dir_of(path: &[String]) -> String {
    if matches!(path, [name] if name.eq_ignore_ascii_case("INBOX")) {
        return String::new();
    }
    let part = |part: &String| format!(".{}", mutf7::encode(part).replace(['.', '/'], "_"));
    path.iter().map(part).collect()
}

/// The path of a folder that a directory stands for.
pub fn path_of(dir: &str) -> Vec<String> {
    let parts = dir.split('.').filter(|part| !part.is_empty());
    let path: Vec<String> =
        parts.map(|part| mutf7::decode(part.as_bytes()).unwrap_or_else(|_| part.to_owned())).collect();
    if path.is_empty() { vec!["INBOX".to_owned()] } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_the_messages_are() {
        let keywords = ["$Forwarded".to_owned(), "work".to_owned()];
        let mut flags = FlagSet::default().with(SystemFlag::Seen).with(SystemFlag::Draft);
        flags.insert(Keyword::new("Work").unwrap());
        let name = format!("{}{}", base(7, 1_700_000_000, 42), info(&flags, &keywords));
        assert_eq!(name, "1700000000.U7.sterna,S=42,U=7:2,DSb");
        let read = named(&name, &keywords);
        assert_eq!((read.uid, read.flags.system), (Some(7), flags.system));
        assert_eq!(read.flags.keywords, flags.keywords);
        assert_eq!(named("1.x.host", &keywords), Named::default());
        assert_eq!(named("1.x,U=x:2,Qz", &keywords), Named::default());
        assert_eq!(without_flags(&name), "1700000000.U7.sterna,S=42,U=7");
    }

    #[test]
    fn folders_are_found_by_their_directories() {
        let path = |parts: &[&str]| -> Vec<String> { parts.iter().map(|part| (*part).to_owned()).collect() };
        for (parts, dir) in [
            (&["INBOX"][..], ""),
            (&["Archive", "2026"], ".Archive.2026"),
            (&["Entwürfe"], ".Entw&APw-rfe"),
            (&["INBOX", "x"], ".INBOX.x"),
        ] {
            assert_eq!(dir_of(&path(parts)), dir);
            assert_eq!(path_of(dir), path(parts));
        }
        assert_eq!(dir_of(&path(&["a.b/c"])), ".a_b_c");
    }
}
