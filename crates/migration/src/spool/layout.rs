//! Where files are. Mailboxes of Cyrus 3.6 and later have folders named by their ids, `uuid/f/q/fq4c..`; those of
//! earlier ones, and those that were never moved, folders named as they are: `user/ana/Sent`, with a letter before the
//! name where `hashimapspool` is on (`a/user/ana/Sent`), below `domain/x/x.test` where the name begins with a domain.
//!
//! What users have besides mailboxes is named by the id of their INBOX (`user/uuid/f/q/fq4c../seen.db`) or by
//! themselves (`user/a/ana.seen`), always with that letter.

use std::path::{Path, PathBuf};

use super::config::Config;

/// The letter of a name, up to its first dot.
pub fn letter(name: &str, is_full: bool) -> char {
    if !is_full {
        let first = name.bytes().next().unwrap_or_default().to_ascii_lowercase();
        return if first.is_ascii_lowercase() { char::from(first) } else { 'q' };
    }
    let bytes = name.bytes().take_while(|byte| *byte != b'.');
    let sum = bytes.fold(0_u32, |sum, byte| ((sum << 3) ^ (sum >> 5)) ^ u32::from(byte));
    char::from(b'A' + (sum % 23) as u8)
}

/// The letters that a name can have, the likelier one first: some versions take a caret for a dot.
fn letters(name: &str, is_full: bool) -> Vec<char> {
    let first = name.split('^').next().unwrap_or_default();
    let mut found = vec![letter(first, is_full), letter(name, is_full)];
    found.dedup();
    found
}

/// Whether a name or an id may become part of a path.
pub fn is_safe(name: &str) -> bool {
    let parts = || name.split(['.', '/']);
    !name.is_empty()
        && !name.contains(['/', '\0'])
        && (name != "." && name != "..")
        && parts().all(|part| part.len() < 256)
}

/// The folder of a mailbox below its partition, by its id.
pub fn by_id(unique_id: &str) -> Option<PathBuf> {
    let is_plain = unique_id.len() > 2 && unique_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_plain.then(|| Path::new("uuid").join(&unique_id[..1]).join(&unique_id[1..2]).join(unique_id))
}

/// Where the folder of a mailbox can be below its partition, by its internal name; nowhere when the name is none.
pub fn by_name(config: &Config, name: &str) -> Vec<PathBuf> {
    let (domain, local) = split(name);
    if !local.split('.').all(is_safe) || !domain.is_none_or(is_safe) {
        return Vec::new();
    }
    let (is_hashed, is_full) = (config.is_on("hashimapspool"), config.is_on("fulldirhash"));
    let mut root = PathBuf::new();
    if let Some(domain) = domain {
        root.push("domain");
        if is_hashed {
            root.push(letter(domain, is_full).to_string());
        }
        root.push(domain);
    }
    let path: PathBuf = local.split('.').collect();
    if !is_hashed {
        return vec![root.join(path)];
    }
    let hashed = local.split_once('.').map_or(local, |(_, rest)| rest);
    letters(hashed, is_full).into_iter().map(|letter| root.join(letter.to_string()).join(&path)).collect()
}

/// The domain of an internal name, and the rest.
pub fn split(name: &str) -> (Option<&str>, &str) {
    name.split_once('!').map_or((None, name), |(domain, rest)| (Some(domain), rest))
}

/// The folder of a user's domain, `config/domain/x/x.test`, or the one above.
fn domain_folder(config: &Config, root: &Path, domain: Option<&str>) -> PathBuf {
    match domain {
        Some(domain) => root.join("domain").join(letter(domain, config.is_on("fulldirhash")).to_string()).join(domain),
        None => root.to_owned(),
    }
}

/// A user of whom files are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The part before the domain.
    pub local: String,
    /// The domain, if the names of the mailboxes say it.
    pub domain: Option<String>,
    /// The id of the INBOX, if there is one.
    pub inbox_id: Option<String>,
}

impl Person {
    /// Where a file of theirs can be: `sub` or `seen`.
    pub fn files(&self, config: &Config, kind: &str) -> Vec<PathBuf> {
        let Some(root) = config.path("configdirectory") else { return Vec::new() };
        let by_id = self.inbox_id.as_deref().and_then(by_id);
        let mut found: Vec<PathBuf> =
            by_id.into_iter().map(|path| root.join("user").join(path).join(format!("{kind}.db"))).collect();
        let users = domain_folder(config, &root, self.domain.as_deref()).join("user");
        found.extend(self.named(config).map(|path| users.join(path).with_added_extension(kind)));
        found
    }

    /// Where their scripts can be.
    pub fn script_folders(&self, config: &Config) -> Vec<PathBuf> {
        let Some(root) = config.path("sievedir") else { return Vec::new() };
        let by_id = self.inbox_id.as_deref().and_then(by_id);
        let mut found: Vec<PathBuf> = by_id.into_iter().map(|path| root.join(path)).collect();
        let users = domain_folder(config, &root, self.domain.as_deref());
        found.extend(self.named(config).map(|path| users.join(path)));
        found
    }

    /// `a/ana`; dots in names are carets in most versions.
    fn named(&self, config: &Config) -> impl Iterator<Item = PathBuf> {
        let is_full = config.is_on("fulldirhash");
        let mut names = vec![self.local.replace('.', "^"), self.local.clone()];
        names.dedup();
        let is_known = self.domain.as_deref().is_none_or(is_safe);
        names.retain(|name| is_known && is_safe(name));
        names.into_iter().flat_map(move |name| {
            let letters = letters(&name, is_full);
            letters.into_iter().map(move |letter| Path::new(&letter.to_string()).join(&name))
        })
    }
}

/// Where the file of a quota root can be.
pub fn quota_files(config: &Config, root: &str) -> Vec<PathBuf> {
    let (domain, local) = split(root);
    let Some(folder) = config.path("configdirectory").filter(|_| is_safe(local) && domain.is_none_or(is_safe)) else {
        return Vec::new();
    };
    let hashed = local.split_once('.').map_or(local, |(_, rest)| rest);
    let quotas = domain_folder(config, &folder, domain).join("quota");
    let letters = letters(hashed, config.is_on("fulldirhash")).into_iter();
    letters.map(|letter| quotas.join(letter.to_string()).join(local)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        let mut config = Config::default();
        for (name, value) in [("configdirectory", "/c"), ("sievedir", "/s")].iter().chain(pairs) {
            config.set(name, value);
        }
        config
    }

    #[test]
    fn mailboxes_have_folders_by_name_or_by_id() {
        let plain = config(&[]);
        assert_eq!(by_name(&plain, "user.joe^smith.a b"), [PathBuf::from("user/joe^smith/a b")]);
        let hashed = config(&[("hashimapspool", "yes")]);
        assert_eq!(by_name(&hashed, "x.test!user.ana.Sent"), [PathBuf::from("domain/x/x.test/a/user/ana/Sent")]);
        assert_eq!(by_name(&hashed, "DELETED.user.ana.x"), [PathBuf::from("u/DELETED/user/ana/x")]);
        assert_eq!(by_name(&hashed, "shared"), [PathBuf::from("s/shared")]);
        for bad in ["user../etc", "user.a/b", "", "../x!user.a", "a/b!user.c"] {
            assert!(by_name(&hashed, bad).is_empty(), "{bad}");
        }
        assert_eq!(by_id("fq4cmv"), Some("uuid/f/q/fq4cmv".into()));
        assert_eq!((by_id("a/../b"), by_id("\u{fc}\u{fc}\u{fc}"), by_id("a")), (None, None, None));
        // As Debian's Cyrus 3.6.1 made them with `fulldirhash`.
        for (name, wanted) in [("ana", 'C'), ("user.ana", 'C'), ("shared", 'T'), ("joe^smith", 'B'), ("*U*ben", 'H')] {
            assert_eq!(letters(name, true)[0], wanted, "{name}");
        }
        assert_eq!((letter("Ana", false), letter("7", false), letter("", false)), ('a', 'q', 'q'));
    }

    #[test]
    fn users_have_files_by_name_or_by_id() {
        let config = config(&[]);
        let inbox_id = Some("fq4c".to_owned());
        let joe = Person { local: "joe.smith".into(), domain: Some("x.test".into()), inbox_id };
        let named = ["/c/domain/x/x.test/user/j/joe^smith.seen", "/c/domain/x/x.test/user/j/joe.smith.seen"];
        let wanted = [&["/c/user/uuid/f/q/fq4c/seen.db"][..], &named].concat();
        assert_eq!(joe.files(&config, "seen"), wanted.iter().map(PathBuf::from).collect::<Vec<_>>());
        let ana = Person { local: "ana".into(), domain: None, inbox_id: None };
        assert_eq!(ana.script_folders(&config), [PathBuf::from("/s/a/ana")]);
        let wanted = [PathBuf::from("/c/domain/x/x.test/quota/j/user.joe^smith")];
        assert_eq!(quota_files(&config, "x.test!user.joe^smith"), wanted);
        assert!(quota_files(&config, "user.a/../../x").is_empty());
    }
}
