//! Flags by their names on another server.

use sterna_account::{FlagSet, Keyword, SystemFlag};

/// The flags that can be kept. The others are given to `lost`: a keyword is an atom here (RFC 9051 section 9), and some
/// servers take more. `\Recent` and flags of the protocol itself are no loss.
pub fn flags<'a>(names: impl Iterator<Item = &'a [u8]>, mut lost: impl FnMut(&[u8])) -> FlagSet {
    let mut flags = FlagSet::default();
    for name in names {
        let text = std::str::from_utf8(name).unwrap_or_default();
        if let Some(flag) = SystemFlag::parse(text) {
            flags = flags.with(flag);
        } else if name.first() == Some(&b'\\') {
        } else if let Ok(keyword) = Keyword::new(text) {
            flags.insert(keyword);
        } else {
            lost(name);
        }
    }
    flags
}

/// The same set whatever order and case it came in: what flags are compared and grouped by.
pub fn key(flags: &FlagSet) -> (u8, Vec<String>) {
    let mut keywords: Vec<String> = flags.keywords.iter().map(|word| word.as_str().to_ascii_lowercase()).collect();
    keywords.sort_unstable();
    keywords.dedup();
    (flags.system, keywords)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_kept_is_named() {
        let mut lost = Vec::new();
        let names = [&b"\\seen"[..], b"\\Recent", b"$Forwarded", b"caf\xe9", b"NonJunk"];
        let kept = flags(names.into_iter(), |name| lost.push(name.to_vec()));
        assert_eq!(key(&kept), (SystemFlag::Seen as u8, vec!["$forwarded".to_owned(), "nonjunk".to_owned()]));
        assert_eq!(lost, [b"caf\xe9"]);
    }
}
