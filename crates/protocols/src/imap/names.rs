//! Mailbox names: the tree of containers as paths.

use std::collections::{HashMap, HashSet};

use sterna_account::{Account, Container, ContainerKind, SpecialUse};
use sterna_base::ContainerId;
use sterna_base::limits::{CONTAINER_DEPTH_MAX, CONTAINER_NAME_BYTES_MAX};

use super::reply::{Fail, Reply};

/// The hierarchy separator.
pub const SEPARATOR: char = '/';

/// The mail folders of an account with their full names, ordered by name, INBOX first.
pub struct Names {
    /// By [`order`].
    folders: Vec<(String, Container)>,
    parents: HashSet<ContainerId>,
    /// Containers of notes by what they are called.
    notes: HashMap<String, ContainerId>,
}

impl Names {
    /// Reads them.
    pub async fn load(account: &dyn Account) -> Result<Self, Fail> {
        Ok(Names::of(&account.containers().await?))
    }

    /// Those among these containers.
    pub fn of(containers: &[Container]) -> Self {
        let by_id: HashMap<ContainerId, &Container> = containers.iter().map(|c| (c.id, c)).collect();
        let mail = containers.iter().filter(|container| container.kind == ContainerKind::Mail);
        let mut folders: Vec<_> = mail.map(|container| (path(container, &by_id), container.clone())).collect();
        folders.sort_by_cached_key(|(name, _)| order(name));
        let parents = folders.iter().filter_map(|(_, container)| container.parent).collect();
        let notes = containers.iter().filter(|container| container.kind == ContainerKind::Metadata);
        let notes = notes.map(|container| (container.name.clone(), container.id)).collect();
        Names { folders, parents, notes }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Container)> {
        self.folders.iter().map(|(name, container)| (name.as_str(), container))
    }

    /// Where the notes about a folder are (METADATA), if it has any.
    pub fn notes(&self, id: ContainerId) -> Option<ContainerId> {
        self.notes.get(&ContainerKind::about(Some(id))).copied()
    }

    /// Whether folders hang under this one.
    pub fn has_children(&self, id: ContainerId) -> bool {
        self.parents.contains(&id)
    }
}

fn order(name: &str) -> (bool, String) {
    (name != "INBOX", name.to_lowercase())
}

fn path(container: &Container, by_id: &HashMap<ContainerId, &Container>) -> String {
    let mut parts = vec![container.name.as_str()];
    let mut above = container.parent;
    while let Some(parent) = above.and_then(|id| by_id.get(&id)) {
        parts.push(&parent.name);
        above = parent.parent;
        if parts.len() > by_id.len() {
            break; // a tree that is none is `sterna check`'s business
        }
    }
    parts.reverse();
    parts.join("/")
}

/// Refuses a name that no mailbox can have, before anything is made on the way to it.
///
/// # Errors
/// The answer, NO with a code.
pub fn check(name: &str, bytes_max: u64) -> Result<(), Reply> {
    if name.len() as u64 > bytes_max {
        return Err(Reply::no("The name is too long").code("LIMIT"));
    }
    let is_part =
        |part: &str| !part.is_empty() && part.len() <= CONTAINER_NAME_BYTES_MAX && !part.chars().any(char::is_control);
    if !name.split(SEPARATOR).all(is_part) {
        return Err(Reply::no("A mailbox can't have that name").code("CANNOT"));
    }
    if name.split(SEPARATOR).count() > CONTAINER_DEPTH_MAX {
        return Err(Reply::no("Mailboxes can't be nested that deep").code("LIMIT"));
    }
    Ok(())
}

/// The special-use attribute of RFC 6154; INBOX has none.
pub fn use_attribute(special_use: SpecialUse) -> Option<&'static str> {
    match special_use {
        SpecialUse::Inbox => None,
        SpecialUse::Archive => Some("\\Archive"),
        SpecialUse::Drafts => Some("\\Drafts"),
        SpecialUse::Junk => Some("\\Junk"),
        SpecialUse::Sent => Some("\\Sent"),
        SpecialUse::Trash => Some("\\Trash"),
    }
}

/// The use of this attribute.
pub fn use_of_attribute(attribute: &str) -> Option<SpecialUse> {
    SpecialUse::ALL
        .into_iter()
        .find(|special_use| use_attribute(*special_use).is_some_and(|name| name.eq_ignore_ascii_case(attribute)))
}

/// Whether a mailbox matches a pattern of LIST. INBOX does in any case (RFC 9051 section 5.1).
pub fn mailbox_matches(pattern: &str, name: &str) -> bool {
    matches(pattern, name) || name == "INBOX" && matches(&pattern.to_ascii_uppercase(), name)
}

/// Whether a pattern can match something that begins with this.
pub fn matches_below(pattern: &str, start: &str) -> bool {
    // A part of the pattern that matches the start leaves the rest of it for what follows.
    let ends = pattern.char_indices().map(|(at, _)| at).skip(1).chain([pattern.len()]);
    let wild = |end: usize| end < pattern.len() || pattern.ends_with(['*', '%']);
    ends.into_iter().any(|end| wild(end) && matches(&pattern[..end], start))
}

/// Whether a name matches a pattern: `*` is anything, `%` anything without the separator. Takes time in
/// proportion to name times pattern, whatever the pattern.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for p in pattern {
        if matches!(p, '*' | '%') {
            for at in 0..name.len() {
                reached[at + 1] |= reached[at] && (p == '*' || name[at] != SEPARATOR);
            }
        } else {
            for at in (0..name.len()).rev() {
                reached[at + 1] = reached[at] && name[at] == p;
            }
            reached[0] = false;
        }
    }
    reached[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inbox_matches_in_any_case() {
        for (pattern, name, expected) in
            [("inb%", "INBOX", true), ("*ox", "INBOX", true), ("inb%", "Inboxes", false), ("a%", "A", false)]
        {
            assert_eq!(mailbox_matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_can_match_below_a_name_is_known_before_it_is_looked_at() {
        for (pattern, expected) in [
            ("*", true),
            ("%", false),
            ("INBOX", false),
            ("Other users", false),
            ("Other users/%", true),
            ("Other users/ana@x.test/INBOX", true),
            ("%/%", true),
            ("Oth*", true),
            ("Oth%", false),
            ("Other users/", false),
        ] {
            assert_eq!(matches_below(pattern, "Other users/"), expected, "{pattern}");
        }
    }

    #[test]
    fn patterns_match_as_in_the_rfc() {
        for (pattern, name, expected) in [
            ("*", "a/b", true),
            ("%", "a/b", false),
            ("%", "a", true),
            ("a/%", "a/b", true),
            ("a/%", "a/b/c", false),
            ("a*c", "a/b/c", true),
            ("", "", true),
            ("", "a", false),
            ("%/%", "a/b", true),
            ("INBOX", "INBOX", true),
            ("*a*a*a*b", &"a".repeat(200), false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
