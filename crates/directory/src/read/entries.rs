//! Users, groups and shared mailboxes.

use rusqlite::{OptionalExtension, params};
use sterna_base::{AccountId, DomainId};

use super::{AnyEntry, Reader, Versioned, id, page};
use crate::index::number;
use crate::model::{Address, Group, Member, Membership, SharedMailbox, User};
use crate::row::{Content, RowKind};
use crate::{StorageError, names, row};

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// A user by id.
    pub fn user(&self, id: AccountId) -> Result<Option<Versioned<User>>, StorageError> {
        self.row(&row::account_key(id))
    }

    /// A group by id.
    pub fn group(&self, id: AccountId) -> Result<Option<Versioned<Group>>, StorageError> {
        self.row(&row::account_key(id))
    }

    /// A shared mailbox by id.
    pub fn shared(&self, id: AccountId) -> Result<Option<Versioned<SharedMailbox>>, StorageError> {
        self.row(&row::account_key(id))
    }

    /// A user, group or shared mailbox by id.
    pub fn entry(&self, id: AccountId) -> Result<Option<Versioned<AnyEntry>>, StorageError> {
        let sql = "SELECT kind FROM dir_entry WHERE account_id = $1";
        let kind: Option<u16> =
            self.conn.prepare_cached(sql)?.query_row([number(id.0)], |row| row.get(0)).optional()?;
        Ok(match kind.and_then(RowKind::from_number) {
            Some(RowKind::User) => {
                self.user(id)?.map(|v| Versioned { value: AnyEntry::User(v.value), modseq: v.modseq })
            }
            Some(RowKind::Group) => {
                self.group(id)?.map(|v| Versioned { value: AnyEntry::Group(v.value), modseq: v.modseq })
            }
            Some(RowKind::Shared) => {
                self.shared(id)?.map(|v| Versioned { value: AnyEntry::Shared(v.value), modseq: v.modseq })
            }
            _ => None,
        })
    }

    /// The entry that has exactly this address (domain aliases count, plus-addressing doesn't).
    pub fn entry_at(&self, address: &str) -> Result<Option<Versioned<AnyEntry>>, StorageError> {
        let Some((local, domain)) = names::address(address) else { return Ok(None) };
        let Some(domain) = self.domain_id(&domain)? else { return Ok(None) };
        match self.owner(&Address { local, domain })? {
            Some((id, _)) => self.entry(id),
            None => Ok(None),
        }
    }

    /// Who has an address.
    pub(crate) fn owner(&self, address: &Address) -> Result<Option<(AccountId, RowKind)>, StorageError> {
        let sql = "SELECT account_id, kind FROM dir_address WHERE domain_id = $1 AND local_part = $2";
        let found = self
            .conn
            .prepare_cached(sql)?
            .query_row(params![number(address.domain.0), address.local], |row| Ok((id(row, 0)?, row.get::<_, u16>(1)?)))
            .optional()?;
        Ok(found.and_then(|(id, kind)| Some((AccountId(id), RowKind::from_number(kind)?))))
    }

    /// The user who logs in with this name: a login, or any of a user's addresses.
    pub fn user_by_login(&self, login: &str) -> Result<Option<Versioned<User>>, StorageError> {
        if login.contains('@') {
            let found = self.entry_at(login)?;
            return Ok(found.and_then(|found| match found.value {
                AnyEntry::User(value) => Some(Versioned { value, modseq: found.modseq }),
                _ => None,
            }));
        }
        match self.login_owner(&login.trim().to_lowercase())? {
            Some(id) => self.user(id),
            None => Ok(None),
        }
    }

    pub(crate) fn login_owner(&self, login: &str) -> Result<Option<AccountId>, StorageError> {
        let sql = "SELECT account_id FROM dir_login WHERE login = $1";
        Ok(self.conn.prepare_cached(sql)?.query_row([login], |row| id(row, 0)).optional()?.map(AccountId))
    }

    /// Entries of a kind by domain and main address, after `after`, at most `limit`; of one domain or of all.
    pub fn entries(
        &self,
        kind: RowKind,
        domain: Option<DomainId>,
        after: Option<&Address>,
        limit: usize,
    ) -> Result<Vec<Versioned<AnyEntry>>, StorageError> {
        let start = Address { local: String::new(), domain: domain.unwrap_or_default() };
        let after = after.unwrap_or(&start);
        let ids = match domain {
            Some(domain) => {
                let sql = "SELECT account_id FROM dir_address
                    WHERE kind = $1 AND is_main = 1 AND domain_id = $2 AND local_part > $3
                    ORDER BY local_part LIMIT $4";
                self.ids(sql, params![kind as u16, number(domain.0), after.local, page(limit)])?
            }
            None => {
                let sql = "SELECT account_id FROM dir_address
                    WHERE kind = $1 AND is_main = 1 AND (domain_id, local_part) > ($2, $3)
                    ORDER BY domain_id, local_part LIMIT $4";
                self.ids(sql, params![kind as u16, number(after.domain.0), after.local, page(limit)])?
            }
        };
        self.collect(ids, |id| self.entry(AccountId(id)))
    }

    /// Members of a group in the order of their keys, after `after`, at most `limit`.
    pub fn members(&self, group: AccountId, after: Option<&Member>, limit: usize) -> Result<Vec<Member>, StorageError> {
        let sql = "SELECT member_key, account_id FROM dir_member WHERE group_id = $1 AND member_key > $2
            ORDER BY member_key LIMIT $3";
        let after = after.map(Member::key).unwrap_or_default();
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![number(group.0), after, page(limit)], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?))
        })?;
        rows.map(|row| {
            let (key, account) = row?;
            match (account, key.strip_prefix('x')) {
                (Some(id), _) => Ok(Member::Local(AccountId(id.unsigned_abs()))),
                (None, Some(address)) => Ok(Member::External(address.to_owned())),
                (None, None) => Err(StorageError::Damaged(format!("member key {key}"))),
            }
        })
        .collect()
    }

    /// Whether a group has this member itself (not through another group).
    pub(crate) fn is_member(&self, row: &Membership) -> Result<bool, StorageError> {
        Ok(self.content(RowKind::Member, &row.key())?.is_some())
    }

    /// The groups that have this entry as a member themselves, by id after `after`, at most `limit`.
    pub fn groups_of(&self, member: AccountId, after: AccountId, limit: usize) -> Result<Vec<AccountId>, StorageError> {
        let sql = "SELECT group_id FROM dir_member WHERE account_id = $1 AND group_id > $2 ORDER BY group_id LIMIT $3";
        let ids = self.ids(sql, params![number(member.0), number(after.0), page(limit)])?;
        Ok(ids.into_iter().map(AccountId).collect())
    }

    /// The administrators, at most `limit`.
    pub fn admins(&self, limit: usize) -> Result<Vec<AccountId>, StorageError> {
        let ids = self.ids("SELECT account_id FROM dir_admin ORDER BY account_id LIMIT $1", params![page(limit)])?;
        Ok(ids.into_iter().map(AccountId).collect())
    }
}
