//! Shares: that an account has given somebody something. What and how much is in the account; these rows only say whom
//! a listing must ask.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use sterna_account::shares::{Owner, Principal, PrincipalKind, Shares, SharesError, Sharing};
use sterna_account::{Account, Identifier};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, DomainId};

use crate::index::{self, number};
use crate::read::{AnyEntry, Reader};
use crate::row::{Content, RowKind};
use crate::write::Write;
use crate::{Directory, DomainBook, Request, RequestError, StorageError};

/// Groups that one entry is in, itself and through others; more of them count for nothing.
const GROUPS_OF_ONE_MAX: usize = 10_000;
/// Accounts that share with one entry; more of them are not found by its listings.
const OWNERS_MAX: usize = 10_000;
/// Rows of one account or one grantee that are deleted together with it.
const SHARES_DELETED_MAX: usize = 1_000_000;

/// One account that has given one identifier something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Whose account it is.
    pub owner: AccountId,
    /// Who was given something.
    pub grantee: Identifier,
}

impl Content for Share {
    const KIND: RowKind = RowKind::Share;
    fn key(&self) -> String {
        format!("{:016x}/{}", self.owner.0, self.grantee)
    }
}

/// The index over these rows: format 3 of the directory's file.
pub(crate) const TABLES_3: &str = "
CREATE TABLE dir_share (
    grantee TEXT NOT NULL,
    owner_id BIGINT NOT NULL,
    PRIMARY KEY (grantee, owner_id)
);
CREATE INDEX dir_share_by_owner ON dir_share (owner_id);
";

/// Its name.
pub(crate) const TABLE_NAME: &str = "dir_share";

pub(crate) fn insert(conn: &Connection, key: &str, content: &str) -> Result<(), StorageError> {
    let row: Share = index::read(RowKind::Share, key, content)?;
    let sql = "INSERT INTO dir_share (grantee, owner_id) VALUES ($1, $2) ON CONFLICT (grantee, owner_id) DO NOTHING";
    conn.prepare_cached(sql)?.execute(params![row.grantee.to_string(), number(row.owner.0)])?;
    Ok(())
}

pub(crate) fn remove(conn: &Connection, key: &str, content: &str) -> Result<(), StorageError> {
    let row: Share = index::read(RowKind::Share, key, content)?;
    let sql = "DELETE FROM dir_share WHERE grantee = $1 AND owner_id = $2";
    conn.prepare_cached(sql)?.execute(params![row.grantee.to_string(), number(row.owner.0)])?;
    Ok(())
}

/// Notes a share, or that there is none any more.
pub(crate) fn set(write: &mut Write<'_>, share: Share, shares: bool) -> Result<(), RequestError> {
    if !shares {
        return Ok(write.delete(RowKind::Share, &share.key())?);
    }
    let missing = |what, id: AccountId| RequestError::NoSuch { what, id: id.to_string() };
    if write.reader.entry(share.owner)?.is_none() {
        return Err(missing("account", share.owner));
    }
    match share.grantee {
        Identifier::Entry(id) if write.reader.entry(id)?.is_none() => {
            return Err(missing("user, group or shared mailbox", id));
        }
        Identifier::Domain(id) if write.reader.domain(id)?.is_none() => {
            return Err(RequestError::NoSuch { what: "domain", id: id.to_string() });
        }
        _ => {}
    }
    Ok(write.put(&share)?)
}

/// Deletes the rows of an entry that is deleted: what it shared, and what was shared with it.
pub(crate) fn forget(write: &mut Write<'_>, id: AccountId) -> Result<(), RequestError> {
    let shared = write.reader.grantees_of(id)?;
    forget_grantee(write, Identifier::Entry(id))?;
    let mut shares = shared.into_iter().map(|grantee| Share { owner: id, grantee });
    shares.try_for_each(|share| write.delete(RowKind::Share, &share.key()).map_err(Into::into))
}

/// Deletes the rows of what was shared with somebody who is gone.
pub(crate) fn forget_grantee(write: &mut Write<'_>, grantee: Identifier) -> Result<(), RequestError> {
    let owners = write.reader.owners_of(grantee, SHARES_DELETED_MAX)?;
    let mut shares = owners.into_iter().map(|owner| Share { owner, grantee });
    shares.try_for_each(|share| write.delete(RowKind::Share, &share.key()).map_err(Into::into))
}

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// The accounts that have given this identifier something, by id.
    pub(crate) fn owners_of(&self, grantee: Identifier, limit: usize) -> Result<Vec<AccountId>, StorageError> {
        let sql = "SELECT owner_id FROM dir_share WHERE grantee = $1 ORDER BY owner_id LIMIT $2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![grantee.to_string(), number(limit as u64)], |row| row.get(0))?;
        rows.map(|id| Ok(AccountId(id.map(i64::unsigned_abs)?))).collect()
    }

    /// Whom an account has given something.
    pub fn grantees_of(&self, owner: AccountId) -> Result<Vec<Identifier>, StorageError> {
        let sql = "SELECT grantee FROM dir_share WHERE owner_id = $1 ORDER BY grantee LIMIT $2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let limit = number(SHARES_DELETED_MAX as u64);
        let rows = statement.query_map(params![number(owner.0), limit], |row| row.get::<_, String>(0))?;
        rows.map(|text| {
            let text = text?;
            text.parse().map_err(|_| StorageError::Damaged(format!("a share with {text}")))
        })
        .collect()
    }

    /// The groups that an entry is in, itself and through other groups. Cycles end, because each is passed once.
    pub fn groups_around(&self, id: AccountId) -> Result<HashSet<AccountId>, StorageError> {
        let (mut groups, mut queue) = (HashSet::new(), VecDeque::from([id]));
        while let Some(member) = queue.pop_front() {
            let mut after = AccountId(0);
            loop {
                let page = self.groups_of(member, after, PAGE_ITEMS_MAX)?;
                let Some(last) = page.last() else { break };
                after = *last;
                for group in page {
                    if groups.len() < GROUPS_OF_ONE_MAX && groups.insert(group) {
                        queue.push_back(group);
                    }
                }
            }
        }
        Ok(groups)
    }

    /// Who shares with an account, and its groups.
    pub fn sharing(&self, account: AccountId) -> Result<Sharing, StorageError> {
        let groups = self.groups_around(account)?;
        let mut ids: Vec<AccountId> = self.owners_of(Identifier::Anyone, OWNERS_MAX)?;
        for id in groups.iter().copied().chain([account]) {
            ids.extend(self.owners_of(Identifier::Entry(id), OWNERS_MAX)?);
        }
        let domain = self.entry(account)?.map(|found| found.value.entry().address.domain);
        if let Some(domain) = domain {
            ids.extend(self.owners_of(Identifier::Domain(domain), OWNERS_MAX)?);
        }
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| *id != account);
        ids.truncate(OWNERS_MAX);
        let mut owners = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(entry) = self.entry(id)? else { continue };
            let Some(address) = self.address_text(&entry.value.entry().address)? else { continue };
            match entry.value {
                AnyEntry::User(_) => owners.push(Owner { address, account: id, shared_mailbox: false }),
                AnyEntry::Shared(_) => owners.push(Owner { address, account: id, shared_mailbox: true }),
                // Has no mailboxes.
                AnyEntry::Group(_) => {}
            }
        }
        owners.sort_unstable();
        Ok(Sharing { groups, domain, owners })
    }

    /// An entry as a principal.
    fn principal(&self, id: AccountId) -> Result<Option<Principal>, StorageError> {
        let Some(found) = self.entry(id)? else { return Ok(None) };
        let kind = match &found.value {
            AnyEntry::User(_) => PrincipalKind::User,
            AnyEntry::Group(_) => PrincipalKind::Group,
            AnyEntry::Shared(_) => PrincipalKind::SharedMailbox,
        };
        let entry = found.value.entry();
        let address = self.address_text(&entry.address)?;
        Ok(address.map(|address| Principal { id, address, name: entry.display_name.clone(), kind }))
    }
}

#[async_trait]
impl Shares for Directory {
    async fn sharing(&self, account: AccountId) -> Result<Sharing, SharesError> {
        Ok(self.read(move |reader| reader.sharing(account)).await?)
    }

    async fn entry(&self, address: &str) -> Result<Option<AccountId>, SharesError> {
        let address = address.to_owned();
        let found = self.read(move |reader| reader.entry_at(&address)).await?;
        Ok(found.map(|found| found.value.entry().id))
    }

    async fn addresses(&self, ids: Vec<AccountId>) -> Result<HashMap<AccountId, String>, SharesError> {
        let read = move |reader: &Reader<'_>| {
            let mut addresses = HashMap::with_capacity(ids.len());
            for id in ids {
                let Some(entry) = reader.entry(id)? else { continue };
                if let Some(address) = reader.address_text(&entry.value.entry().address)? {
                    addresses.insert(id, address);
                }
            }
            Ok::<_, StorageError>(addresses)
        };
        Ok(self.read(read).await?)
    }

    async fn identifier(&self, name: &str) -> Result<Option<Identifier>, SharesError> {
        let Some(domain) = name.strip_prefix('@') else {
            return Ok(self.entry(name).await?.map(Identifier::Entry));
        };
        let domain = domain.to_owned();
        let found = self.read(move |reader| reader.domain_named(&domain)).await?;
        Ok(found.map(|found| Identifier::Domain(found.value.id)))
    }

    async fn domains(&self, ids: Vec<DomainId>) -> Result<HashMap<DomainId, String>, SharesError> {
        let read = move |reader: &Reader<'_>| {
            let mut names = HashMap::with_capacity(ids.len());
            for id in ids {
                names.extend(reader.domain(id)?.map(|found| (id, found.value.name)));
            }
            Ok::<_, StorageError>(names)
        };
        Ok(self.read(read).await?)
    }

    async fn principals(&self, ids: Vec<AccountId>) -> Result<Vec<Principal>, SharesError> {
        let read = move |reader: &Reader<'_>| {
            let found = ids.into_iter().map(|id| reader.principal(id)).collect::<Result<Vec<_>, StorageError>>()?;
            Ok::<_, StorageError>(found.into_iter().flatten().collect())
        };
        Ok(self.read(read).await?)
    }

    async fn book(&self, account: AccountId) -> Result<Option<Arc<dyn Account>>, SharesError> {
        let found = self.read(move |reader| reader.entry(account)).await?;
        let domain = found.map(|found| found.value.entry().address.domain);
        Ok(domain.map(|domain| Arc::new(DomainBook::new(self.clone(), domain)) as Arc<dyn Account>))
    }

    /// On the main node; the others have to ask it.
    async fn set(&self, owner: AccountId, grantee: Identifier, shares: bool) -> Result<(), SharesError> {
        let request = Request::SetShare { share: Share { owner, grantee }, shares };
        match self.submit(request).await {
            Ok(_) => Ok(()),
            Err(error @ (RequestError::Storage(_) | RequestError::NotMain)) => {
                Err(SharesError::Unavailable(error.to_string()))
            }
            Err(error) => Err(SharesError::Refused(error.to_string())),
        }
    }
}

impl From<StorageError> for SharesError {
    fn from(error: StorageError) -> Self {
        SharesError::Unavailable(error.to_string())
    }
}
