//! Sources: directories of others (LDAP, Active Directory) that the people and groups of a domain come from, and which
//! of them each came from.
//!
//! A source is a row, a [`Link`] is another: it ties a user or group here to the entry there by what never changes of
//! it (`entryUUID`, `objectGUID`, the `id` of SCIM), so that people who are renamed keep their account. Rows travel to
//! every node, because every node checks log-ins; the password that a source is read with is sealed.

mod mapping;
pub(crate) mod names;

use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, DomainId, Modseq, Timestamp};

use crate::names::invalid;
use crate::read::{AnyEntry, Reader, Versioned};
use crate::request::{Created, Request};
use crate::requests::found;
use crate::row::{Content, RowKind, account_key};
use crate::write::Write;
use crate::{RequestError, StorageError};

pub use mapping::{Mapping, SourceKind};

/// Sources of an installation.
pub const SOURCES_MAX: usize = 100;
/// URLs of one source: servers that hold the same.
pub const SOURCE_URLS_MAX: usize = 8;
/// Longest certificate bundle of a source, in bytes.
const CA_BYTES_MAX: usize = 64 * 1024;
/// Longest filter, DN or URL, in bytes.
const TEXT_BYTES_MAX: usize = 4096;
/// Longest sealed password, in bytes.
const SEALED_BYTES_MAX: usize = 4096;
/// Longest stable id of an entry elsewhere, in bytes.
const EXTERNAL_ID_BYTES_MAX: usize = 512;
/// Links of an installation that are read at once: as many as there are people.
const LINKS_MAX: usize = 10_000_000;

/// The source that people belong to who were made by SCIM; it has no row of its own.
pub const SCIM: &str = "scim";

/// A directory elsewhere.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// For people and the command line; unique.
    pub name: String,
    /// Which sort of directory it is.
    pub kind: SourceKind,
    /// The domain that it fills: it makes and changes nobody elsewhere.
    pub domain: DomainId,
    /// `ldap://host[:port]` or `ldaps://host[:port]`; the first one that answers is asked.
    pub urls: Vec<String>,
    /// Whether a connection to `ldap://` is secured by StartTLS (RFC 4511 section 4.14).
    #[serde(default)]
    pub start_tls: bool,
    /// The certificates that the server's is checked with, PEM; empty is those that the system trusts.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ca: String,
    /// As whom it is read; empty is anonymously.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub bind_dn: String,
    /// The password for that, sealed; empty is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub password_sealed: String,
    /// Where people are searched.
    pub base: String,
    /// Who of the entries there is a person.
    pub user_filter: String,
    /// Where groups are searched; empty is where people are.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group_base: String,
    /// What of the entries there is a group; empty is no groups.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group_filter: String,
    /// Which attributes mean what.
    pub mapping: Mapping,
    /// Whether passwords of its people are checked by binding to it.
    pub logins: bool,
    /// While it doesn't answer, for how many minutes after a successful log-in the same password is good; 0 is never.
    pub outage_minutes: u32,
    /// Whether users of the domain whose address it names, and who came from nowhere, become its own.
    pub adopt: bool,
    /// Minutes between two looks at what changed.
    pub every_minutes: u32,
    /// Hours after which everything is compared again: only that finds who is gone.
    pub full_every_hours: u32,
    /// Most of its people and groups, in percent, that one run suspends or takes from groups by itself.
    pub removals_percent_max: u32,
    /// Whether it is looked at by itself.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({} {:?})", self.name, self.urls)
    }
}

impl Content for Source {
    const KIND: RowKind = RowKind::Source;
    fn key(&self) -> String {
        self.name.clone()
    }
}

/// Where a user or group came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Who; zero in a request that makes them.
    pub account: AccountId,
    /// Which source.
    pub source: String,
    /// What never changes of the entry there.
    pub external_id: String,
    /// The entry's present name there: what a log-in binds as.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub dn: String,
    /// What groups call a member who is named by a log-in (`memberUid`).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub login: String,
    /// Whether the source suspended them, and may take that back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
}

impl Content for Link {
    const KIND: RowKind = RowKind::Link;
    fn key(&self) -> String {
        account_key(self.account)
    }
}

/// Makes or changes a source.
pub(crate) fn put(write: &mut Write<'_>, source: &Source, expect: Option<Modseq>) -> Result<(), RequestError> {
    let before = write.reader.source(&source.name)?;
    if expect.is_some() {
        found(before.clone(), "source", &source.name, expect)?;
    }
    if before.is_none() && write.reader.sources()?.len() >= SOURCES_MAX {
        return Err(RequestError::Limit { what: "sources", limit: SOURCES_MAX });
    }
    if before.as_ref().is_some_and(|before| before.value.domain != source.domain) {
        return Err(invalid("domain", "a source stays with its domain: make another one"));
    }
    found(write.reader.domain(source.domain)?, "domain", source.domain, None)?;
    check(source)?;
    let created_at = before.map_or(write.now, |before| before.value.created_at);
    Ok(write.put(&Source { created_at, ..source.clone() })?)
}

fn check(source: &Source) -> Result<(), RequestError> {
    if crate::names::server_name(&source.name)? != source.name || source.name == SCIM {
        return Err(invalid("name", "small letters, digits, hyphens and dots, and not “scim”"));
    }
    if source.urls.is_empty() || source.urls.len() > SOURCE_URLS_MAX {
        return Err(invalid("urls", format!("one to {SOURCE_URLS_MAX} addresses such as ldaps://ldap.example.org")));
    }
    let is_url = |url: &String| {
        let rest = url.strip_prefix("ldaps://").or_else(|| url.strip_prefix("ldap://"));
        rest.is_some_and(|rest| {
            !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c))
        })
    };
    if let Some(bad) = source.urls.iter().find(|url| !is_url(url)) {
        return Err(invalid("urls", format!("“{bad}” is not ldap://HOST[:PORT] or ldaps://HOST[:PORT]")));
    }
    let texts = [&source.bind_dn, &source.base, &source.user_filter, &source.group_base, &source.group_filter];
    if texts.iter().any(|text| text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control)) {
        return Err(invalid("base", format!("names and filters are one line of at most {TEXT_BYTES_MAX} bytes")));
    }
    if source.ca.len() > CA_BYTES_MAX || source.password_sealed.len() > SEALED_BYTES_MAX {
        return Err(invalid("ca", format!("at most {CA_BYTES_MAX} bytes of certificates")));
    }
    if source.base.is_empty() || source.user_filter.is_empty() {
        return Err(invalid("base", "say where people are searched, and which filter finds them"));
    }
    if !(1..=10_080).contains(&source.every_minutes) || !(1..=8_760).contains(&source.full_every_hours) {
        return Err(invalid("every_minutes", "1 to 10080 minutes, and 1 to 8760 hours between full comparisons"));
    }
    if source.removals_percent_max > 100 || source.outage_minutes > 43_200 {
        return Err(invalid("removals_percent_max", "at most 100 percent, and at most 43200 minutes of outage"));
    }
    source.mapping.check()
}

/// Forgets a source; its people stay as they are, as people of this installation without a password.
pub(crate) fn delete(write: &mut Write<'_>, name: &str, expect: Option<Modseq>) -> Result<(), RequestError> {
    found(write.reader.source(name)?, "source", name, expect)?;
    for link in write.reader.links_of(name)? {
        write.delete(RowKind::Link, &link.key())?;
    }
    Ok(write.delete(RowKind::Source, name)?)
}

/// Does a request about one user or group, and notes within it where they come from.
pub(crate) fn linked(write: &mut Write<'_>, link: &Link, request: &Request) -> Result<Option<Created>, RequestError> {
    let created = match request {
        Request::CreateUser { .. } | Request::CreateGroup(_) | Request::SetUser { .. } | Request::SetGroup { .. } => {
            crate::requests::run(write, request)?
        }
        _ => return Err(invalid("request", "only users and groups come from elsewhere")),
    };
    let account = match (request, created) {
        (_, Some(Created::Account(id))) => id,
        (Request::CreateUser { id, .. }, _) if id.0 == 0 && write.dry_run => return Ok(created),
        (Request::CreateUser { id, .. } | Request::SetUser { id, .. } | Request::SetGroup { id, .. }, _) => *id,
        _ => link.account,
    };
    set(write, &Link { account, ..link.clone() })?;
    Ok(created)
}

/// Notes where somebody comes from.
pub(crate) fn set(write: &mut Write<'_>, link: &Link) -> Result<(), RequestError> {
    // Programs that provision need not have ids of their own.
    let needs_id = link.source != SCIM && link.external_id.is_empty();
    if needs_id || link.external_id.len() > EXTERNAL_ID_BYTES_MAX || link.login.len() > EXTERNAL_ID_BYTES_MAX {
        return Err(invalid("external_id", format!("1 to {EXTERNAL_ID_BYTES_MAX} bytes")));
    }
    let entry = found(write.reader.entry(link.account)?, "user or group", link.account, None)?;
    if matches!(entry, AnyEntry::Shared(_)) {
        return Err(invalid("account", "a mailbox that nobody logs in to comes from nowhere"));
    }
    let before = write.reader.link(link.account)?;
    if link.source != SCIM {
        found(write.reader.source(&link.source)?, "source", &link.source, None)?;
    } else {
        names::check(write, link, &entry, before.as_ref())?;
    }
    if let Some(before) = before
        && before.source != link.source
    {
        let by = format!("{} comes from the source “{}”", link.account, before.source);
        return Err(RequestError::InUse { by });
    }
    Ok(write.put(link)?)
}

/// What somebody is, for people.
fn kind_of(entry: &AnyEntry) -> &'static str {
    match entry {
        AnyEntry::User(_) => "user",
        AnyEntry::Group(_) => "group",
        AnyEntry::Shared(_) => "shared mailbox",
    }
}

/// Whom an administrator suspends, no source lets in again, whatever it suspended before. (A request of a source writes
/// the link afterwards, as the source has it.) Who was deleted through SCIM stays so: that is what it means there.
pub(crate) fn suspended_here(
    write: &mut Write<'_>,
    account: AccountId,
    suspended: Option<bool>,
) -> Result<(), RequestError> {
    if suspended.is_none() {
        return Ok(());
    }
    match write.reader.link(account)?.filter(|link| link.suspended && link.source != SCIM) {
        Some(link) => Ok(write.put(&Link { suspended: false, ..link })?),
        None => Ok(()),
    }
}

/// Forgets where somebody came from: they are administered here from now on.
pub(crate) fn unlink(write: &mut Write<'_>, account: AccountId) -> Result<(), RequestError> {
    Ok(write.delete(RowKind::Link, &account_key(account))?)
}

/// Forgets the sources of a domain that is deleted.
pub(crate) fn forget_domain(write: &mut Write<'_>, domain: DomainId) -> Result<(), RequestError> {
    for source in write.reader.sources()?.into_iter().filter(|source| source.value.domain == domain) {
        delete(write, &source.value.name, None)?;
    }
    Ok(())
}

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// All sources, by name.
    pub fn sources(&self) -> Result<Vec<Versioned<Source>>, StorageError> {
        self.rows_under("", SOURCES_MAX)
    }

    /// A source by name.
    pub fn source(&self, name: &str) -> Result<Option<Versioned<Source>>, StorageError> {
        self.row(name)
    }

    /// Where somebody comes from, if not from here.
    pub fn link(&self, account: AccountId) -> Result<Option<Link>, StorageError> {
        Ok(self.row::<Link>(&account_key(account))?.map(|found| found.value))
    }

    /// Everybody who comes from a source. Looks at all links: for what is done now and then.
    pub fn links_of(&self, source: &str) -> Result<Vec<Link>, StorageError> {
        let links = self.rows_under::<Link>("", LINKS_MAX)?.into_iter().map(|found| found.value);
        Ok(links.filter(|link| link.source == source).collect())
    }

    /// All members that a group has itself, in the order of their keys: see [`Reader::members`].
    pub fn all_members(&self, group: AccountId) -> Result<Vec<crate::Member>, StorageError> {
        let mut found = Vec::new();
        loop {
            let page = self.members(group, found.last(), sterna_base::limits::PAGE_ITEMS_MAX)?;
            if page.is_empty() {
                return Ok(found);
            }
            found.extend(page);
        }
    }
}
