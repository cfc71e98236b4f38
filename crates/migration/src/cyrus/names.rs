//! Internal names of Cyrus' mailboxes: `user.ana.Sent`, `example.org!user.ana^b.Sent`, `DELETED.user.ana.Sent.5F3A`.
//! Dots separate; a dot within a part is a caret; parts are modified UTF-7.

use sterna_formats::mutf7;

use crate::target::folders::part;

/// What an internal name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The domain before the exclamation mark.
    pub domain: Option<String>,
    /// Whose it is; for a shared mailbox its first part.
    pub owner: String,
    /// Whether it stands below `user`.
    pub is_users: bool,
    /// Whether it is only kept until it expires.
    pub is_deleted: bool,
    /// Below the owner's, which is the INBOX; decoded where that can be done.
    pub path: Vec<String>,
}

/// Takes a name apart; `None` when it has no owner.
pub fn read(name: &str) -> Option<Name> {
    let (domain, rest) = match name.split_once('!') {
        Some((domain, rest)) => (Some(domain.to_owned()), rest),
        None => (None, name),
    };
    let mut parts: Vec<&str> = rest.split('.').collect();
    let is_deleted = parts.first() == Some(&"DELETED") && parts.len() > 2;
    if is_deleted {
        parts.remove(0);
        parts.pop();
    }
    let is_users = parts.first() == Some(&"user") && parts.len() > 1;
    if is_users {
        parts.remove(0);
    }
    let mut parts = parts.into_iter().map(decoded);
    let owner = parts.next().filter(|owner| !owner.is_empty())?;
    Some(Name { domain, owner, is_users, is_deleted, path: parts.collect() })
}

fn decoded(part: &str) -> String {
    let part = part.replace('^', ".");
    mutf7::decode(part.as_bytes()).unwrap_or(part)
}

impl Name {
    /// Its owner as a user id: with the domain, if the name says it.
    pub fn user(&self) -> String {
        match &self.domain {
            Some(domain) => format!("{}@{domain}", self.owner),
            None => self.owner.clone(),
        }
    }

    /// Where it comes to; `None` when a part can't be called so here.
    pub fn target(&self) -> Option<Vec<String>> {
        if self.path.is_empty() {
            return Some(vec!["INBOX".to_owned()]);
        }
        self.path.iter().map(|name| part(name)).collect()
    }

    /// Whether it is none of mail: calendars, address books, scripts and what Cyrus keeps for itself.
    pub fn is_special(&self) -> bool {
        self.path.first().is_some_and(|first| first.starts_with('#'))
    }
}

/// The beginnings of the internal names of a user's mailboxes: the INBOX and what is below, and what was deleted.
pub fn prefixes(user: &str) -> [String; 2] {
    let (local, domain) = user.split_once('@').map_or((user, None), |(local, domain)| (local, Some(domain)));
    let domain = domain.map(|domain| format!("{domain}!")).unwrap_or_default();
    let local = local.replace('.', "^");
    [format!("{domain}user.{local}"), format!("{domain}DELETED.user.{local}")]
}

/// Whether a name is that of a mailbox that begins so.
pub fn is_below(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let name = read("x.test!user.ana^b.Gr&APwA3w-e.c^d").unwrap();
        assert_eq!((name.user().as_str(), name.is_users), ("ana.b@x.test", true));
        assert_eq!(name.path, ["Grüße", "c.d"]);
        assert_eq!(read("user.ana").unwrap().target(), Some(vec!["INBOX".to_owned()]));
        let deleted = read("DELETED.user.ana.x y.6B0327A8").unwrap();
        assert!(deleted.is_deleted && deleted.owner == "ana" && deleted.path == ["x y"]);
        let shared = read("shared.a").unwrap();
        assert!(!shared.is_users && shared.owner == "shared" && shared.path == ["a"]);
        assert!(read("user.ana.#calendars.Default").unwrap().is_special());
        assert_eq!(read(""), None);
        assert_eq!(prefixes("ana.b@x.test")[0], "x.test!user.ana^b");
        assert!(is_below("user.ana.x", "user.ana") && !is_below("user.anab", "user.ana"));
    }
}
