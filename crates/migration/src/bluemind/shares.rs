//! Who may do what with somebody's calendars, address books and mail.

use super::people::People;
use super::report::{Kind, Report};
use super::tables::{Tables, TablesError};
use crate::archive::manifest::Share;

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    Invitation,
    Freebusy,
    SendOnBehalf,
    Read,
    Write,
    Manage,
    All,
}

impl Verb {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "Invitation" => Verb::Invitation,
            "Freebusy" => Verb::Freebusy,
            "SendOnBehalf" | "SendAs" => Verb::SendOnBehalf,
            "Read" | "ReadExtended" => Verb::Read,
            "Write" => Verb::Write,
            "Manage" => Verb::Manage,
            "All" => Verb::All,
            _ => return None,
        })
    }

    /// Whether it lets send as the owner.
    pub fn sends(self) -> bool {
        matches!(self, Verb::SendOnBehalf | Verb::Write | Verb::All)
    }

    /// Whether it lets change what is there.
    pub fn writes(self) -> bool {
        matches!(self, Verb::Write | Verb::Manage | Verb::All)
    }

    /// The same for a calendar or an address book here; nothing for those that have no meaning.
    fn of_collection(self) -> Option<&'static str> {
        match self {
            Verb::Freebusy => Some("freebusy"),
            Verb::Read => Some("read"),
            Verb::Write => Some("write"),
            Verb::Manage | Verb::All => Some("manage"),
            // To be invited by anybody is nothing that has to be given here.
            Verb::Invitation | Verb::SendOnBehalf => None,
        }
    }

    /// The same for mailboxes (RFC 4314).
    fn of_mail(self) -> Option<&'static str> {
        match self {
            Verb::Read => Some("lr"),
            Verb::Write => Some("lrswipkte"),
            Verb::Manage | Verb::All => Some("lrswipkxtea"),
            Verb::Freebusy | Verb::Invitation | Verb::SendOnBehalf => None,
        }
    }
}

/// The rights on a container, by its name; a verb that isn't known is none.
///
/// # Errors
/// [`TablesError`]
pub fn acl_of(tables: &Tables, container: &str) -> Result<Vec<(String, Option<Verb>)>, TablesError> {
    let query = "SELECT a.* FROM t_container_acl a JOIN t_container c ON c.id = a.container_id WHERE c.uid = ?";
    let rows = tables.rows("t_container_acl", query, &[container])?;
    Ok(rows.iter().map(|row| (row.required("subject").to_owned(), Verb::of(row.required("verb")))).collect())
}

/// The word for all mailboxes of an account.
pub const MAIL: &str = "mailbox";

/// What somebody shares of a thing of this kind and name, as that container says.
///
/// # Errors
/// [`TablesError`]
pub fn of_container(
    tables: &Tables,
    container: &str,
    (account, owner): (&str, &str),
    (kind, name): (&str, Option<&str>),
    people: &People,
    report: &mut Report,
) -> Result<Vec<Share>, TablesError> {
    let mut found: Vec<(Share, Verb)> = Vec::new();
    for (subject, verb) in acl_of(tables, container)? {
        if subject == owner {
            continue;
        }
        let what = name.unwrap_or("mail");
        let rights = verb.and_then(|verb| if kind == MAIL { verb.of_mail() } else { verb.of_collection() });
        let (Some(verb), Some(rights)) = (verb, rights) else {
            // What is given without being asked for here, or goes with the sender's rights, is nothing that is missing.
            if verb.is_none() {
                report.left_out(Kind::Shares, format!("{account}, {what}: a right that isn't known, for {subject}"));
            }
            continue;
        };
        let identifiers = people.subjects(&subject);
        if identifiers.is_empty() {
            report.left_out(
                Kind::Shares,
                format!("{account}, {what}: {subject} is nobody here; make a public link anew"),
            );
        }
        for identifier in identifiers.into_iter().filter(|identifier| identifier != account) {
            let (name, rights) = (name.map(str::to_owned), rights.to_owned());
            // Several verbs for the same one: the most that was given holds.
            match found.iter_mut().find(|(share, _)| share.identifier == identifier) {
                Some((share, known)) if *known < verb => (share.rights, *known) = (rights, verb),
                Some(_) => {}
                None => found.push((Share { kind: kind.to_owned(), name, identifier, rights }, verb)),
            }
        }
    }
    found.iter().for_each(|_| report.written(Kind::Shares));
    Ok(found.into_iter().map(|(share, _)| share).collect())
}
