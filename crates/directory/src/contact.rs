//! External contacts: people outside of the organisation that its administrators keep. They are in the address book of
//! their domain and can be members of its groups; they have no account and no log-in. Decision 64.
//!
//! A group has them by their address, as it has any member outside: so mail goes to them from a node of a version that
//! knows no contacts, too. When a contact's address changes, the groups of its domain follow.

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, DomainId, Modseq, Timestamp};

use crate::index::{self, number};
use crate::model::{Group, Member, Membership};
use crate::names::{self, invalid};
use crate::read::{Reader, Versioned, id, page};
use crate::rights::check_unit;
use crate::row::{Content, RowKind, account_key};
use crate::write::Write;
use crate::{RequestError, StorageError, requests};

/// External contacts of one domain.
pub const CONTACTS_PER_DOMAIN_MAX: usize = 100_000;
/// Longest telephone number, in bytes.
const PHONE_BYTES_MAX: usize = 64;

/// A person outside of the organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// From the number space of users and groups, so that it is the card's number in the directory's address book.
    pub id: AccountId,
    /// The domain that keeps it.
    pub domain: DomainId,
    /// Where mail reaches the person; of no domain of the installation, and once in the contacts of its domain.
    pub address: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// What the person works for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub organisation: String,
    /// A telephone number, as it was written.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub phone: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// See [`crate::Entry::unit`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a contact is to be; in a change, what is `None` stays.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContactPatch {
    /// See [`Contact::address`]; a new one needs it.
    pub address: Option<String>,
    /// For people.
    pub display_name: Option<String>,
    /// See [`Contact::organisation`].
    pub organisation: Option<String>,
    /// See [`Contact::phone`].
    pub phone: Option<String>,
    /// For people.
    pub note: Option<String>,
    /// See [`crate::Entry::unit`].
    pub unit: Option<String>,
}

impl Content for Contact {
    const KIND: RowKind = RowKind::Contact;
    fn key(&self) -> String {
        account_key(self.id)
    }
}

/// The index over these rows. An older version, for which the file's format is the same, leaves it alone; so it is
/// made again whenever the file is opened.
const TABLE: &str = "
CREATE TABLE IF NOT EXISTS dir_contact (
    account_id BIGINT NOT NULL PRIMARY KEY,
    domain_id BIGINT NOT NULL,
    address TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS dir_contact_by_domain ON dir_contact (domain_id, address);
CREATE INDEX IF NOT EXISTS dir_contact_by_address ON dir_contact (address);
DELETE FROM dir_contact;
";

/// Makes the index of the rows that are there.
pub(crate) fn make_index(conn: &Connection) -> Result<(), StorageError> {
    conn.execute_batch(TABLE)?;
    crate::schema::index_rows(conn, RowKind::Contact)
}

pub(crate) fn index(conn: &Connection, key: &str, content: &str) -> Result<(), StorageError> {
    let row: Contact = index::read(RowKind::Contact, key, content)?;
    let sql = "INSERT INTO dir_contact (account_id, domain_id, address) VALUES ($1, $2, $3)
        ON CONFLICT (account_id) DO UPDATE SET domain_id = excluded.domain_id, address = excluded.address";
    conn.prepare_cached(sql)?.execute(params![number(row.id.0), number(row.domain.0), compared(&row.address)])?;
    Ok(())
}

pub(crate) fn unindex(conn: &Connection, key: &str, content: &str) -> Result<(), StorageError> {
    let row: Contact = index::read(RowKind::Contact, key, content)?;
    conn.prepare_cached("DELETE FROM dir_contact WHERE account_id = $1")?.execute([number(row.id.0)])?;
    Ok(())
}

/// Nobody expects two people behind addresses that differ in capital letters.
fn compared(address: &str) -> String {
    address.to_lowercase()
}

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// A contact by id.
    pub fn contact(&self, id: AccountId) -> Result<Option<Versioned<Contact>>, StorageError> {
        self.row(&account_key(id))
    }

    /// The contact of a domain with this address.
    pub fn contact_at(&self, domain: DomainId, address: &str) -> Result<Option<Versioned<Contact>>, StorageError> {
        let sql = "SELECT account_id FROM dir_contact WHERE domain_id = $1 AND address = $2";
        let params = params![number(domain.0), compared(address.trim())];
        match self.conn.prepare_cached(sql)?.query_row(params, |row| id(row, 0)).optional()? {
            Some(found) => self.contact(AccountId(found)),
            None => Ok(None),
        }
    }

    /// The contacts with this address, each of another domain; at most [`PAGE_ITEMS_MAX`].
    pub fn contacts_at(&self, address: &str) -> Result<Vec<Versioned<Contact>>, StorageError> {
        let sql = "SELECT account_id FROM dir_contact WHERE address = $1 ORDER BY account_id LIMIT $2";
        let ids = self.ids(sql, params![compared(address.trim()), page(PAGE_ITEMS_MAX)])?;
        self.collect(ids, |id| self.contact(AccountId(id)))
    }

    /// Contacts by domain and address, after a place, at most `limit`; of one domain or of all.
    pub fn contacts(
        &self,
        domain: Option<DomainId>,
        after: Option<(DomainId, &str)>,
        limit: usize,
    ) -> Result<Vec<Versioned<Contact>>, StorageError> {
        let (after_domain, after) = after.unwrap_or((domain.unwrap_or_default(), ""));
        let ids = match domain {
            Some(domain) => {
                let sql = "SELECT account_id FROM dir_contact WHERE domain_id = $1 AND address > $2
                    ORDER BY address LIMIT $3";
                self.ids(sql, params![number(domain.0), compared(after), page(limit)])?
            }
            None => {
                let sql = "SELECT account_id FROM dir_contact WHERE (domain_id, address) > ($1, $2)
                    ORDER BY domain_id, address LIMIT $3";
                self.ids(sql, params![number(after_domain.0), compared(after), page(limit)])?
            }
        };
        self.collect(ids, |id| self.contact(AccountId(id)))
    }

    /// How many contacts of all domains have addresses in a domain by one of these names, at most `limit`.
    pub fn contacts_within(&self, names: &[&str], limit: usize) -> Result<usize, StorageError> {
        let mut statement = self.conn.prepare_cached("SELECT address FROM dir_contact")?;
        let mut rows = statement.query([])?;
        let mut count = 0;
        while let Some(row) = rows.next()?.filter(|_| count < limit) {
            let address: String = row.get(0)?;
            count += usize::from(address.rsplit_once('@').is_some_and(|(_, name)| names.contains(&name)));
        }
        Ok(count)
    }

    /// The groups of a contact's domain that have its address as a member, by id, at most `limit`.
    pub fn groups_with(&self, contact: &Contact, limit: usize) -> Result<Vec<AccountId>, StorageError> {
        let sql = "SELECT account_id FROM dir_address a WHERE kind = $1 AND is_main = 1 AND domain_id = $2
            AND EXISTS (SELECT 1 FROM dir_member m WHERE m.group_id = a.account_id AND m.member_key = $3)
            ORDER BY account_id LIMIT $4";
        let key = Member::External(contact.address.clone()).key();
        let (kind, domain) = (RowKind::Group as u16, number(contact.domain.0));
        let ids = self.ids(sql, params![kind, domain, key, number(limit as u64)])?;
        Ok(ids.into_iter().map(AccountId).collect())
    }

    /// What a contact is a member of in its domain, by whichever letters.
    fn memberships_of(&self, contact: &Contact) -> Result<Vec<Membership>, StorageError> {
        // Keys of external members are a range of their own; the letters are compared as those of mail addresses are.
        let sql = "SELECT m.group_id, substr(m.member_key, 2) FROM dir_address a JOIN dir_member m
            ON m.group_id = a.account_id AND m.member_key > 'x' AND m.member_key < 'y'
            WHERE a.kind = $1 AND a.is_main = 1 AND a.domain_id = $2 AND m.member_key = $3 COLLATE NOCASE
            ORDER BY m.group_id, m.member_key";
        let key = Member::External(contact.address.clone()).key();
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![RowKind::Group as u16, number(contact.domain.0), key], |row| {
            Ok(Membership { group: AccountId(id(row, 0)?), member: Member::External(row.get(1)?) })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The member that an address outside is to be of a group: of a contact as it is written there, whatever the
    /// letters; and whether it is one.
    pub(crate) fn as_contact(&self, group: &Group, address: String) -> Result<(String, bool), StorageError> {
        let found = self.contact_at(group.entry.address.domain, &address)?;
        Ok(found.map_or((address, false), |found| (found.value.address, true)))
    }

    /// The first member outside of a group that is no contact of its domain.
    pub(crate) fn stranger_in(&self, group: &Group) -> Result<Option<String>, StorageError> {
        // Keys of external members sort after those of local ones.
        let mut after = Member::Local(AccountId(u64::MAX));
        loop {
            let found = self.members(group.entry.id, Some(&after), PAGE_ITEMS_MAX)?;
            let Some(last) = found.last() else { return Ok(None) };
            after = last.clone();
            for member in found {
                if let Member::External(address) = member
                    && self.contact_at(group.entry.address.domain, &address)?.is_none()
                {
                    return Ok(Some(address));
                }
            }
        }
    }
}

pub(crate) fn create(write: &mut Write<'_>, domain: DomainId, new: &ContactPatch) -> Result<AccountId, RequestError> {
    requests::found(write.reader.domain(domain)?, "domain", domain, None)?;
    let sql = "SELECT COUNT(*) FROM dir_contact WHERE domain_id = $1";
    let count = write.reader.conn.prepare_cached(sql)?.query_row([number(domain.0)], |row| id(row, 0));
    if count.map_err(StorageError::from)? >= CONTACTS_PER_DOMAIN_MAX as u64 {
        return Err(RequestError::Limit { what: "external contacts of a domain", limit: CONTACTS_PER_DOMAIN_MAX });
    }
    if new.address.is_none() {
        return Err(invalid("address", "an external contact needs one"));
    }
    let empty = Contact {
        id: requests::reserve(write)?,
        domain,
        address: String::new(),
        display_name: String::new(),
        organisation: String::new(),
        phone: String::new(),
        note: String::new(),
        unit: String::new(),
        created_at: write.now,
    };
    let contact = changed(write, empty, new)?;
    respell(write, &contact, &contact.address)?;
    write.put(&contact)?;
    Ok(contact.id)
}

pub(crate) fn set(
    write: &mut Write<'_>,
    id: AccountId,
    expect: Option<Modseq>,
    patch: &ContactPatch,
) -> Result<(), RequestError> {
    let before = requests::found(write.reader.contact(id)?, "external contact", id, expect)?;
    let contact = changed(write, before.clone(), patch)?;
    if contact.address != before.address {
        respell(write, &before, &contact.address)?;
        respell(write, &contact, &contact.address)?;
    }
    Ok(write.put(&contact)?)
}

/// Makes members of groups of a contact's domain that have its address, whatever the letters, have this one.
fn respell(write: &mut Write<'_>, contact: &Contact, address: &str) -> Result<(), RequestError> {
    for row in write.reader.memberships_of(contact)? {
        let wanted = Membership { group: row.group, member: Member::External(address.to_owned()) };
        if row.member != wanted.member {
            write.delete(RowKind::Member, &row.key())?;
            write.put(&wanted)?;
        }
    }
    Ok(())
}

pub(crate) fn delete(write: &mut Write<'_>, id: AccountId, expect: Option<Modseq>) -> Result<(), RequestError> {
    let contact = requests::found(write.reader.contact(id)?, "external contact", id, expect)?;
    for row in write.reader.memberships_of(&contact)? {
        write.delete(RowKind::Member, &row.key())?;
    }
    Ok(write.delete(RowKind::Contact, &contact.key())?)
}

/// Deletes the contacts of a domain that is deleted; its groups are gone before.
pub(crate) fn forget_domain(write: &mut Write<'_>, domain: DomainId) -> Result<(), RequestError> {
    loop {
        let found = write.reader.contacts(Some(domain), None, PAGE_ITEMS_MAX)?;
        if found.is_empty() {
            return Ok(());
        }
        for contact in found {
            write.delete(RowKind::Contact, &contact.value.key())?;
        }
    }
}

fn changed(write: &Write<'_>, mut contact: Contact, patch: &ContactPatch) -> Result<Contact, RequestError> {
    let text = |field: &'static str, new: &Option<String>, old: String| match new {
        Some(new) => names::display(field, new),
        None => Ok(old),
    };
    contact.display_name = text("display_name", &patch.display_name, contact.display_name)?;
    contact.organisation = text("organisation", &patch.organisation, contact.organisation)?;
    contact.phone = text("phone", &patch.phone, contact.phone)?;
    contact.note = text("note", &patch.note, contact.note)?;
    if contact.phone.len() > PHONE_BYTES_MAX {
        return Err(invalid("phone", format!("it is longer than {PHONE_BYTES_MAX} bytes")));
    }
    if let Some(unit) = &patch.unit {
        check_unit(unit)?;
        contact.unit.clone_from(unit);
    }
    if let Some(address) = &patch.address {
        contact.address = free_address(write, &contact, address)?;
    }
    Ok(contact)
}

/// An address that is outside, and not another contact's of the same domain.
fn free_address(write: &Write<'_>, contact: &Contact, text: &str) -> Result<String, RequestError> {
    let not_one = || invalid("address", format!("“{text}” is not an address"));
    let address = names::external(text).ok_or_else(not_one)?;
    if address == contact.address {
        return Ok(address);
    }
    let name = address.rsplit_once('@').map_or("", |(_, name)| name);
    if write.reader.domain_id(name)?.is_some() {
        let reason = format!(
            "{address} is in a domain of this installation; make a user there, or a shared mailbox that forwards"
        );
        return Err(invalid("address", reason));
    }
    match write.reader.contact_at(contact.domain, &address)? {
        Some(other) if other.value.id != contact.id => {
            Err(RequestError::Taken { name: address, owner: "external contact", owner_id: other.value.id.to_string() })
        }
        _ => Ok(address),
    }
}
