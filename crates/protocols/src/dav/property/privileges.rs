//! Rights (RFC 4314) as privileges (RFC 3744 section 3), and lists of rights as ACLs. The mapping is one table,
//! [`PRIVILEGES`]; decision 37 says why each privilege is the letters that it is.

use std::collections::HashMap;

use sterna_account::{Acl, AclEntry, Identifier, Rights};
use sterna_formats::dav::Name;
use sterna_formats::dav::name::{CALDAV, DAV};
use sterna_formats::dav::write;

/// What changes items, and nothing of the collection itself.
pub const WRITE: Rights = Rights::from_letters("wite");

/// What reads, the collection's name included.
pub const READ: Rights = Rights::from_letters("lr");

/// A privilege.
struct Privilege {
    /// With the prefix of answers.
    name: &'static str,
    /// For people.
    text: &'static str,
    /// Who has any of these sets has it.
    needs: &'static [Rights],
    /// What an entry that grants it gives; `None` when it is abstract: had, but not granted by itself (RFC 3744 section
    /// 5.3).
    gives: Option<Rights>,
    /// How deep it lies in the tree of `supported-privilege-set`; whatever is above contains it.
    level: usize,
}

const fn one(
    level: usize,
    name: &'static str,
    text: &'static str,
    needs: &'static [Rights],
    gives: Option<&str>,
) -> Privilege {
    let gives = match gives {
        Some(letters) => Some(Rights::from_letters(letters)),
        None => None,
    };
    Privilege { name, text, needs, gives, level }
}

const BUSY: &[Rights] = &[Rights::READ, Rights::FREE_BUSY];
const SCHEDULE: &[Rights] = &[WRITE];

/// All of them, each after the one that contains it.
const PRIVILEGES: [Privilege; 20] = [
    one(0, "D:all", "Everything", &[Rights::ALL], Some("lrswipkxtea")),
    one(1, "D:read", "Read", &[Rights::READ], Some("lr")),
    one(2, "C:read-free-busy", "See when somebody is busy", BUSY, Some("9")),
    one(2, "D:read-current-user-privilege-set", "See that it is there", &[Rights::LOOKUP], Some("l")),
    one(1, "D:write", "Write", &[WRITE], Some("wite")),
    one(2, "D:write-properties", "Change properties", &[Rights::WRITE], Some("w")),
    one(2, "D:write-content", "Change what is in it", &[Rights::from_letters("wi")], None),
    one(2, "D:bind", "Add", &[Rights::INSERT], Some("i")),
    one(2, "D:unbind", "Delete what is in it", &[Rights::DELETE], Some("te")),
    one(1, "D:write-acl", "Say who may do what", &[Rights::ADMINISTER], Some("a")),
    one(1, "D:read-acl", "See who may do what", &[Rights::ADMINISTER], None),
    one(1, "D:unlock", "Take locks of others away", &[Rights::ALL], None),
    one(1, "C:schedule-deliver", "Have invitations taken", BUSY, None),
    one(2, "C:schedule-deliver-invite", "Invite", BUSY, None),
    one(2, "C:schedule-deliver-reply", "Reply", BUSY, None),
    one(2, "C:schedule-query-freebusy", "Ask for free and busy times", BUSY, None),
    one(1, "C:schedule-send", "Schedule in the owner's name", SCHEDULE, None),
    one(2, "C:schedule-send-invite", "Invite in the owner's name", SCHEDULE, None),
    one(2, "C:schedule-send-reply", "Reply in the owner's name", SCHEDULE, None),
    one(2, "C:schedule-send-freebusy", "Ask for free and busy times in the owner's name", SCHEDULE, None),
];

/// Why privileges are no rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRights {
    /// Nobody knows the privilege: `not-supported-privilege`.
    Unknown,
    /// It is not granted by itself: `no-abstract`.
    Abstract,
}

/// The privileges that come with some rights, as `privilege` elements.
pub fn privileges_of(rights: Rights) -> String {
    let has = |privilege: &&Privilege| privilege.needs.iter().any(|needed| rights.has(*needed));
    PRIVILEGES.iter().filter(has).map(element).collect()
}

/// The privileges on a principal: it is read by everybody, and scheduled with, or for, by who has these rights on its
/// default calendar (RFC 6638 section 6).
pub fn privileges_on_principal(rights: Rights) -> String {
    let schedules = |privilege: &&Privilege| privilege.name.starts_with("C:schedule");
    let has = |privilege: &&Privilege| privilege.needs.iter().any(|needed| rights.has(*needed));
    let scheduling: String = PRIVILEGES.iter().filter(schedules).filter(has).map(element).collect();
    "<D:privilege><D:read/></D:privilege><D:privilege><D:read-current-user-privilege-set/></D:privilege>".to_owned()
        + &scheduling
}

/// The privileges of an entry: the fewest that say it, none of them abstract.
fn granted(rights: Rights) -> Vec<&'static Privilege> {
    let (mut told, mut covered): (Vec<&Privilege>, Rights) = (Vec::new(), Rights::NONE);
    for privilege in &PRIVILEGES {
        if let Some(gives) = privilege.gives
            && rights.has(gives)
            && !covered.has(gives)
        {
            told.push(privilege);
            covered = covered | gives;
        }
    }
    told
}

/// The rights that an entry with these privileges gives.
///
/// # Errors
/// [`NoRights`] for the first that gives none.
pub fn rights_of(privileges: &[Name]) -> Result<Rights, NoRights> {
    let right = |name: &Name| {
        let prefix = match &*name.namespace {
            DAV => "D",
            CALDAV => "C",
            _ => return Err(NoRights::Unknown),
        };
        let is_it = |privilege: &&Privilege| {
            privilege.name.split_once(':').is_some_and(|(of, local)| of == prefix && local == name.local)
        };
        PRIVILEGES.iter().find(is_it).ok_or(NoRights::Unknown)?.gives.ok_or(NoRights::Abstract)
    };
    privileges.iter().try_fold(Rights::NONE, |sum, name| Ok(sum | right(name)?))
}

/// Whether an ACL says the same of both: letters that no privilege means stay as they are when nothing else changes.
pub fn say_the_same(one: Rights, other: Rights) -> bool {
    let said = |rights| granted(rights).iter().map(|privilege| privilege.name).collect::<Vec<_>>();
    said(one) == said(other)
}

fn element(privilege: &Privilege) -> String {
    format!("<D:privilege><{}/></D:privilege>", privilege.name)
}

/// `DAV:supported-privilege-set` (RFC 3744 section 5.3)
pub fn supported() -> String {
    let (mut xml, mut open) = (String::new(), 0);
    for privilege in &PRIVILEGES {
        xml.push_str(&"</D:supported-privilege>".repeat(open - privilege.level));
        xml.push_str(&format!("<D:supported-privilege>{}", element(privilege)));
        if privilege.gives.is_none() {
            xml.push_str("<D:abstract/>");
        }
        xml.push_str(&format!("<D:description xml:lang=\"en\">{}</D:description>", privilege.text));
        open = privilege.level + 1;
    }
    xml.push_str(&"</D:supported-privilege>".repeat(open));
    xml
}

/// `DAV:acl-restrictions` (RFC 3744 section 5.6). What is taken away counts more than what anybody gives, so it stands
/// first.
pub const RESTRICTIONS: &str = "<D:deny-before-grant/><D:no-invert/>";

/// `DAV:acl` (RFC 3744 section 5.5): the owner's entry, which nobody can change, and those of the list. Of an item they
/// are all its collection's, whose path `inherited_from` is.
pub fn acl(owner: &str, acl: &Acl, hrefs: &HashMap<Identifier, String>, inherited_from: Option<&str>) -> String {
    let mut xml = String::new();
    let mut ace = |principal: &str, negative: bool, rights: Rights, is_protected: bool| {
        let word = if negative { "deny" } else { "grant" };
        let privileges: String = granted(rights).into_iter().map(element).collect();
        // An entry must say something.
        if privileges.is_empty() {
            return;
        }
        xml.push_str(&format!("<D:ace><D:principal>{principal}</D:principal><D:{word}>{privileges}</D:{word}>"));
        if is_protected {
            xml.push_str("<D:protected/>");
        }
        if let Some(path) = inherited_from {
            xml.push_str("<D:inherited>");
            write::href(path, &mut xml);
            xml.push_str("</D:inherited>");
        }
        xml.push_str("</D:ace>");
    };
    let href = |path: &str| {
        let mut xml = String::new();
        write::href(path, &mut xml);
        xml
    };
    let (taken, given): (Vec<&AclEntry>, Vec<&AclEntry>) = acl.entries().iter().partition(|entry| entry.negative);
    let of_entry = |entry: &AclEntry| match entry.identifier {
        Identifier::Anyone => Some("<D:authenticated/>".to_owned()),
        identifier => hrefs.get(&identifier).map(|path| href(path)),
    };
    for entry in &taken {
        of_entry(entry).inspect(|principal| ace(principal, true, entry.rights, false));
    }
    ace(&href(owner), false, Rights::ALL, true);
    for entry in &given {
        of_entry(entry).inspect(|principal| ace(principal, false, entry.rights, false));
    }
    xml
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(letters: &str) -> Rights {
        Rights::parse(letters).unwrap()
    }

    fn names(rights: Rights) -> Vec<&'static str> {
        granted(rights).iter().map(|privilege| privilege.name).collect()
    }

    #[test]
    fn what_an_entry_says_gives_the_same_rights_again() {
        for (letters, told) in [
            ("lrswipkxtea", &["D:all"][..]),
            ("9", &["C:read-free-busy"]),
            ("lr", &["D:read"]),
            ("lrwite", &["D:read", "D:write"]),
            ("lri", &["D:read", "D:bind"]),
            ("la", &["D:read-current-user-privilege-set", "D:write-acl"]),
        ] {
            let rights = rights(letters);
            assert_eq!(names(rights), told, "{letters}");
            let privileges: Vec<Name> = told
                .iter()
                .map(|name| match name.split_once(':').unwrap() {
                    ("D", local) => Name::dav(local),
                    (_, local) => Name::caldav(local),
                })
                .collect();
            assert_eq!(rights_of(&privileges), Ok(rights), "{letters}");
        }
        assert!(say_the_same(rights("lrs"), rights("lrp")) && !say_the_same(rights("lr"), rights("lri")));
        assert_eq!(rights_of(&[Name::dav("read-acl")]), Err(NoRights::Abstract));
        assert_eq!(rights_of(&[Name::dav("fly")]), Err(NoRights::Unknown));
    }

    #[test]
    fn each_level_has_its_privileges() {
        let has = |letters: &str, name: &str| privileges_of(rights(letters)).contains(&format!("<{name}/>"));
        assert!(has("9", "C:read-free-busy") && !has("9", "D:read"));
        assert!(!has("9", "D:read-current-user-privilege-set") && !has("9", "C:schedule-send"));
        assert!(has("lr", "C:read-free-busy") && has("lr", "D:read") && !has("lr", "D:bind"));
        assert!(has("lrwite", "D:write") && has("lrwite", "D:write-content") && has("lrwite", "C:schedule-send"));
        assert!(!has("lrwite", "D:write-acl") && has("lrwitea", "D:read-acl"));
    }

    #[test]
    fn the_tree_is_closed() {
        let xml = supported();
        assert_eq!(xml.matches("<D:supported-privilege>").count(), PRIVILEGES.len());
        assert_eq!(xml.matches("</D:supported-privilege>").count(), PRIVILEGES.len());
    }
}
