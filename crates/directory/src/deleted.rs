//! The bin: entries that were deleted, and can be had back for a while.
//!
//! An entry's row goes at once, and with it its addresses, its log-in and every answer by its id. What stays is the
//! placement: the store is kept, copied, moved and drained like any other until the bin's time is over. What else the
//! entry was part of is noted in [`Part`]s. What it was permitted to administer is not: whoever brings somebody back
//! would give what they may not have themselves.

use serde::{Deserialize, Serialize};
use sterna_account::Identifier;
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, Timestamp};

use crate::model::{Member, Membership};
use crate::read::{AnyEntry, Reader, Versioned};
use crate::rights::{AppPassword, LAST_KEY, Passkey, SecondFactor, Subject};
use crate::row::{Content, RowKind, account_key};
use crate::write::Write;
use crate::{Link, RequestError, Share, StorageError};

/// Parts in one row.
const PARTS_PER_ROW: usize = 500;
/// Rows of parts of one entry: far more than the members of a group and what is shared come to.
const PART_ROWS_MAX: usize = 10_000;
/// Groups and shares of one entry that are noted; more of them are not brought back.
const LINKS_MAX: usize = 10_000;

/// An entry in the bin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// Its id, which it keeps.
    pub id: AccountId,
    /// What it was.
    pub was: AnyEntry,
    /// When it was deleted.
    pub at: Timestamp,
    /// When it goes for good.
    pub until: Timestamp,
    /// Who deleted it, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// Who it was at providers of OpenID Connect. Not among the [`Part`]s: an older version can't read one that it
    /// doesn't know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) subjects: Vec<Subject>,
    /// Rows of [`Part`]s.
    #[serde(default)]
    part_rows: usize,
}

impl Content for Deleted {
    const KIND: RowKind = RowKind::Deleted;
    fn key(&self) -> String {
        account_key(self.id)
    }
}

/// Something that an entry was part of, or that was part of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// A member of the group that it was.
    Member(Member),
    /// A group that it was in.
    InGroup(AccountId),
    /// What it shared, or what was shared with it.
    Share(Share),
    /// One of its programs.
    AppPassword(AppPassword),
    /// What it had besides a password.
    SecondFactor(SecondFactor),
    /// One of its passkeys.
    Passkey(Passkey),
    /// Where it came from.
    Link(Link),
}

/// Some of the parts of one entry.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Parts {
    pub(crate) id: AccountId,
    number: usize,
    parts: Vec<Part>,
}

impl Content for Parts {
    const KIND: RowKind = RowKind::DeletedParts;
    fn key(&self) -> String {
        parts_key(self.id, self.number)
    }
}

fn parts_key(id: AccountId, number: usize) -> String {
    format!("{}/{number:08x}", account_key(id))
}

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// An entry in the bin.
    pub fn deleted(&self, id: AccountId) -> Result<Option<Versioned<Deleted>>, StorageError> {
        self.row(&account_key(id))
    }

    /// The entries in the bin by id, after `after`, at most `limit`.
    pub fn all_deleted(&self, after: AccountId, limit: usize) -> Result<Vec<Versioned<Deleted>>, StorageError> {
        let start = account_key(AccountId(after.0.saturating_add(1)));
        self.rows_from(&start, LAST_KEY, limit.min(PAGE_ITEMS_MAX))
    }

    /// Where an entry in the bin came from, if not from here.
    pub fn deleted_link(&self, id: AccountId) -> Result<Option<Link>, StorageError> {
        let mut links = self.parts_of(id)?.into_iter();
        Ok(links.find_map(|part| if let Part::Link(link) = part { Some(link) } else { None }))
    }

    fn parts_of(&self, id: AccountId) -> Result<Vec<Part>, StorageError> {
        let rows: Vec<Versioned<Parts>> = self.rows_under(&format!("{}/", account_key(id)), PART_ROWS_MAX)?;
        Ok(rows.into_iter().flat_map(|row| row.value.parts).collect())
    }

    /// What an entry is part of now.
    fn parts_now(&self, entry: &AnyEntry) -> Result<Vec<Part>, StorageError> {
        let id = entry.entry().id;
        let mut parts: Vec<Part> = self.all_members(id)?.into_iter().map(Part::Member).collect();
        let mut after = AccountId(0);
        loop {
            let groups = self.groups_of(id, after, PAGE_ITEMS_MAX)?;
            let Some(end) = groups.last() else { break };
            after = *end;
            parts.extend(groups.into_iter().map(Part::InGroup));
        }
        let shared = self.grantees_of(id)?.into_iter().map(|grantee| Share { owner: id, grantee });
        let grantee = Identifier::Entry(id);
        let got = self.owners_of(grantee, LINKS_MAX)?.into_iter().map(|owner| Share { owner, grantee });
        parts.extend(shared.take(LINKS_MAX).chain(got).map(Part::Share));
        parts.extend(self.app_passwords(id)?.into_iter().map(|found| Part::AppPassword(found.value)));
        parts.extend(self.passkeys(id)?.into_iter().map(|found| Part::Passkey(found.value)));
        let factor: Option<Versioned<SecondFactor>> = self.row(&account_key(id))?;
        parts.extend(self.link(id)?.map(Part::Link));
        parts.extend(factor.map(|found| Part::SecondFactor(found.value)));
        Ok(parts)
    }
}

/// Writes an entry and its parts into the bin; the caller deletes its row and what hangs on it.
pub(crate) fn put(write: &mut Write<'_>, entry: AnyEntry, until: Timestamp, by: &str) -> Result<(), RequestError> {
    let id = entry.entry().id;
    let parts = write.reader.parts_now(&entry)?;
    let part_rows = parts.len().div_ceil(PARTS_PER_ROW);
    for (number, parts) in parts.chunks(PARTS_PER_ROW).enumerate() {
        write.put(&Parts { id, number, parts: parts.to_vec() })?;
    }
    let subjects = write.reader.subjects_of(id)?;
    let mut was = entry;
    if let AnyEntry::User(user) = &mut was {
        user.admin = false;
    }
    Ok(write.put(&Deleted { id, was, at: write.now, until, by: by.to_owned(), subjects, part_rows })?)
}

/// Takes an entry out of the bin, with its parts.
pub(crate) fn take(write: &mut Write<'_>, id: AccountId) -> Result<(Deleted, Vec<Part>), RequestError> {
    let Some(found) = write.reader.deleted(id)? else {
        return Err(RequestError::NoSuch { what: "deleted entry", id: id.to_string() });
    };
    let parts = write.reader.parts_of(id)?;
    for number in 0..found.value.part_rows {
        write.delete(RowKind::DeletedParts, &parts_key(id, number))?;
    }
    write.delete(RowKind::Deleted, &account_key(id))?;
    Ok((found.value, parts))
}

/// Binds an entry again to who it was at providers, unless that is somebody else meanwhile.
pub(crate) fn bind_again(write: &mut Write<'_>, subjects: &[Subject]) -> Result<(), RequestError> {
    for subject in subjects {
        match crate::rights::bind_subject(write, subject) {
            Ok(()) | Err(RequestError::InUse { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes an entry part again of what is still there.
pub(crate) fn rejoin(write: &mut Write<'_>, id: AccountId, parts: Vec<Part>) -> Result<(), RequestError> {
    for part in parts {
        match part {
            Part::Member(member) => {
                let is_there = match &member {
                    Member::Local(member) => write.reader.entry(*member)?.is_some(),
                    Member::External(address) => match write.reader.group(id)? {
                        Some(group) if !group.value.external_members => {
                            write.reader.as_contact(&group.value, address.clone())?.1
                        }
                        _ => true,
                    },
                };
                if is_there {
                    write.put(&Membership { group: id, member })?;
                }
            }
            Part::InGroup(group) => {
                if write.reader.group(group)?.is_some() {
                    write.put(&Membership { group, member: Member::Local(id) })?;
                }
            }
            Part::Share(share) => {
                let set = crate::share::set(write, share, true);
                // Whoever it was shared with is gone meanwhile.
                if let Err(error) = set
                    && !matches!(error, RequestError::NoSuch { .. })
                {
                    return Err(error);
                }
            }
            Part::AppPassword(password) => write.put(&password)?,
            Part::SecondFactor(factor) => write.put(&factor)?,
            Part::Passkey(passkey) => write.put(&passkey)?,
            Part::Link(link) => {
                // A source that found them again meanwhile has made somebody new of them.
                // Programs that provision need not have ids of their own.
                let has_id = !link.external_id.is_empty();
                let same_id = has_id && !write.reader.links_with_id(&link.source, &link.external_id)?.is_empty();
                let is_scim = link.source == crate::source::SCIM && !link.login.is_empty();
                let same_name = is_scim && !write.reader.links_named(&link.source, &link.login)?.is_empty();
                let is_free = !same_id && !same_name;
                let has_source = link.source == crate::source::SCIM || write.reader.source(&link.source)?.is_some();
                if is_free && has_source {
                    write.put(&link)?;
                }
            }
        }
    }
    Ok(())
}
