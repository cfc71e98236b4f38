//! Reading: indexed point reads and pages; nothing here looks at all rows of anything.

use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};
use sterna_account::Digest;
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, DomainId, InstallationId, Modseq, NodeId};

use crate::index::{self, number};
use crate::model::{
    Address, Counter, Domain, Entry, Group, Member, Membership, PendingStore, Placement, Scope, Server, Setting,
    SharedMailbox, User,
};
use crate::placement_policy::Candidate;
use crate::row::{Change, Changes, Content, Cursor, Head, RowKind};
use crate::{StorageError, names, row};

/// A value with the commit that last changed it: what an ETag is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// When it last changed.
    pub modseq: Modseq,
}

/// A user, group or shared mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnyEntry {
    /// A person.
    User(User),
    /// A list of recipients.
    Group(Group),
    /// A mailbox without a log-in.
    Shared(SharedMailbox),
}

impl AnyEntry {
    /// Name and addresses.
    pub fn entry(&self) -> &Entry {
        match self {
            AnyEntry::User(user) => &user.entry,
            AnyEntry::Group(group) => &group.entry,
            AnyEntry::Shared(shared) => &shared.entry,
        }
    }

    /// Which of them.
    pub fn kind(&self) -> RowKind {
        match self {
            AnyEntry::User(_) => RowKind::User,
            AnyEntry::Group(_) => RowKind::Group,
            AnyEntry::Shared(_) => RowKind::Shared,
        }
    }
}

/// Reads one directory through one connection. Several calls see one state only inside [`Reader::snapshot`].
pub struct Reader<'c> {
    pub(crate) conn: &'c Connection,
}

impl<'c> Reader<'c> {
    /// Over a connection.
    pub(crate) fn new(conn: &'c Connection) -> Self {
        Reader { conn }
    }

    /// Runs several reads on one state of the directory.
    ///
    /// # Errors
    /// What the reads say, or the file.
    pub fn snapshot<T, E: From<StorageError>>(&self, reads: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        let tx = self.conn.unchecked_transaction().map_err(StorageError::from)?;
        let result = reads(self)?;
        tx.commit().map_err(StorageError::from)?;
        Ok(result)
    }

    /// How far the directory is.
    ///
    /// # Errors
    /// When the file can't be read; the same holds for every method here.
    pub fn head(&self) -> Result<Head, StorageError> {
        let sql = "SELECT installation, modseq, digest, is_copy, position_modseq, position_kind, position_key
            FROM dir_head WHERE id = 1";
        let (mut head, digest, is_copy) = self.conn.prepare_cached(sql)?.query_row([], |row| {
            let position = Cursor { modseq: Modseq(id(row, 4)?), kind: row.get(5)?, key: row.get(6)? };
            let head = Head {
                installation: row.get::<_, String>(0)?.parse().ok(),
                modseq: Modseq(id(row, 1)?),
                digest: Digest::default(),
                position,
            };
            Ok((head, row.get::<_, String>(2)?, row.get::<_, bool>(3)?))
        })?;
        let digest = u128::from_str_radix(&digest, 16)
            .map_err(|_| StorageError::Damaged("the digest is no hexadecimal number".to_owned()))?;
        head.digest = Digest(digest);
        if !is_copy {
            head.position = Cursor::since(head.modseq);
        }
        Ok(head)
    }

    /// Rows after a cursor, in order, at most `limit` (and [`PAGE_ITEMS_MAX`]).
    pub fn changes_since(&self, after: &Cursor, limit: usize) -> Result<Changes, StorageError> {
        self.snapshot(|reader| reader.changes_page(after, limit))
    }

    /// [`Reader::changes_since`] inside a snapshot that is already open.
    pub(crate) fn changes_page(&self, after: &Cursor, limit: usize) -> Result<Changes, StorageError> {
        let head = self.head()?;
        let limit = limit.clamp(1, PAGE_ITEMS_MAX);
        let sql = "SELECT kind, row_key, modseq, content FROM dir_row
                WHERE (modseq, kind, row_key) > ($1, $2, $3) ORDER BY modseq, kind, row_key LIMIT $4";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement
            .query_map(params![number(after.modseq.0), after.kind, after.key, number(limit as u64 + 1)], |row| {
                Ok(Change { kind: row.get(0)?, key: row.get(1)?, modseq: Modseq(id(row, 2)?), content: row.get(3)? })
            })?
            .collect::<Result<Vec<_>, _>>()?;
        let mut rows = rows;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(Change::cursor) } else { None };
        Ok(Changes {
            installation: head.installation.unwrap_or(InstallationId([0; 16])),
            after: after.clone(),
            rows,
            head: head.modseq,
            digest: head.digest,
            next,
        })
    }

    pub(crate) fn content(&self, kind: RowKind, key: &str) -> Result<Option<(String, Modseq)>, StorageError> {
        let sql = "SELECT content, modseq FROM dir_row WHERE kind = $1 AND row_key = $2 AND content IS NOT NULL";
        let found = self
            .conn
            .prepare_cached(sql)?
            .query_row(params![kind as u16, key], |row| Ok((row.get(0)?, Modseq(id(row, 1)?))))
            .optional()?;
        Ok(found)
    }

    pub(crate) fn row<T: Content>(&self, key: &str) -> Result<Option<Versioned<T>>, StorageError> {
        let Some((content, modseq)) = self.content(T::KIND, key)? else { return Ok(None) };
        Ok(Some(Versioned { value: index::read(T::KIND, key, &content)?, modseq }))
    }

    pub(crate) fn counter(&self, name: &str) -> Result<u64, StorageError> {
        match self.content(RowKind::Counter, name)? {
            None => Ok(0),
            Some((content, _)) => Ok(index::read::<Counter>(RowKind::Counter, name, &content)?.last),
        }
    }

    /// A domain by id.
    pub fn domain(&self, id: DomainId) -> Result<Option<Versioned<Domain>>, StorageError> {
        self.row(&row::domain_key(id))
    }

    /// The domain that has this name or alias, in any case.
    pub fn domain_named(&self, name: &str) -> Result<Option<Versioned<Domain>>, StorageError> {
        let Some(name) = names::domain(name) else { return Ok(None) };
        match self.domain_id(&name)? {
            Some(id) => self.domain(id),
            None => Ok(None),
        }
    }

    pub(crate) fn domain_id(&self, normalized: &str) -> Result<Option<DomainId>, StorageError> {
        let sql = "SELECT domain_id FROM dir_domain_name WHERE name = $1";
        let found = self.conn.prepare_cached(sql)?.query_row([normalized], |row| id(row, 0)).optional()?;
        Ok(found.map(DomainId))
    }

    /// Domains by name after `after`, at most `limit`.
    pub fn domains(&self, after: &str, limit: usize) -> Result<Vec<Versioned<Domain>>, StorageError> {
        let sql = "SELECT domain_id FROM dir_domain_name WHERE is_main = 1 AND name > $1 ORDER BY name LIMIT $2";
        let ids = self.ids(sql, params![after, page(limit)])?;
        self.collect(ids, |id| self.domain(DomainId(id)))
    }

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

    /// Where an account lives.
    pub fn placement(&self, account: AccountId) -> Result<Option<Versioned<Placement>>, StorageError> {
        self.row(&row::account_key(account))
    }

    /// The store that is being made or deleted for an account.
    pub fn pending_store(&self, account: AccountId) -> Result<Option<Versioned<PendingStore>>, StorageError> {
        self.row(&row::account_key(account))
    }

    /// Stores that are being made or deleted, by account after `after`, at most `limit`.
    pub fn pending_stores(&self, after: AccountId, limit: usize) -> Result<Vec<PendingStore>, StorageError> {
        let sql = "SELECT account_id FROM dir_pending_store WHERE account_id > $1 ORDER BY account_id LIMIT $2";
        let ids = self.ids(sql, params![number(after.0), page(limit)])?;
        self.collect(ids, |id| Ok(self.pending_store(AccountId(id))?.map(|found| found.value)))
    }

    /// The accounts placed on a server, by id after `after`, at most `limit`.
    pub fn placed_on(&self, server: NodeId, after: AccountId, limit: usize) -> Result<Vec<AccountId>, StorageError> {
        let sql = "SELECT account_id FROM dir_placement WHERE server = $1 AND account_id > $2
            ORDER BY account_id LIMIT $3";
        let ids = self.ids(sql, params![server.to_string(), number(after.0), page(limit)])?;
        Ok(ids.into_iter().map(AccountId).collect())
    }

    /// A server by id.
    pub fn server(&self, id: NodeId) -> Result<Option<Versioned<Server>>, StorageError> {
        self.row(&row::server_key(id))
    }

    /// A server by name.
    pub fn server_named(&self, name: &str) -> Result<Option<Versioned<Server>>, StorageError> {
        let sql = "SELECT server FROM dir_server_name WHERE name = $1";
        let key: Option<String> =
            self.conn.prepare_cached(sql)?.query_row([name.trim().to_lowercase()], |row| row.get(0)).optional()?;
        key.map_or(Ok(None), |key| self.row(&key))
    }

    /// The servers by name: few, at most [`crate::SERVERS_MAX`].
    pub fn servers(&self) -> Result<Vec<Versioned<Server>>, StorageError> {
        let mut statement = self.conn.prepare_cached("SELECT server FROM dir_server_name ORDER BY name LIMIT $1")?;
        let keys = statement
            .query_map([page(crate::SERVERS_MAX)], |row| row.get::<_, String>(0))?
            .collect::<Result<Vec<_>, _>>()?;
        let found = keys.into_iter().map(|key| self.row(&key)).collect::<Result<Vec<_>, _>>()?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The servers as the placement policy sees them.
    pub fn candidates(&self) -> Result<Vec<Candidate>, StorageError> {
        self.servers()?
            .into_iter()
            .map(|server| {
                let accounts = self.accounts_on(server.value.id)?;
                Ok(Candidate { server: server.value, accounts })
            })
            .collect()
    }

    /// How many accounts are placed on a server.
    pub fn accounts_on(&self, server: NodeId) -> Result<u64, StorageError> {
        self.count(&format!("server/{server}"))
    }

    /// How many entries of a kind there are.
    pub fn entry_count(&self, kind: RowKind) -> Result<u64, StorageError> {
        self.count(&index::kind_count(kind))
    }

    /// How many domains there are.
    pub fn domain_count(&self) -> Result<u64, StorageError> {
        self.count("domains")
    }

    /// How many members a group has itself.
    pub fn member_count(&self, group: AccountId) -> Result<u64, StorageError> {
        self.count(&format!("members/{:016x}", group.0))
    }

    /// A setting's value in exactly this scope.
    pub fn setting(&self, scope: Scope, name: &str) -> Result<Option<Versioned<Setting>>, StorageError> {
        self.row(&row::setting_key(scope, name))
    }

    /// The keys of a domain's own settings: few, each name once.
    pub(crate) fn setting_keys(&self, domain: DomainId) -> Result<Vec<String>, StorageError> {
        // "0" is the character after "/".
        let (from, to) = (format!("{:016x}/", domain.0), format!("{:016x}0", domain.0));
        let sql = "SELECT row_key FROM dir_row WHERE kind = $1 AND row_key > $2 AND row_key < $3
            AND content IS NOT NULL";
        let mut statement = self.conn.prepare_cached(sql)?;
        let keys = statement.query_map(params![RowKind::Setting as u16, from, to], |row| row.get(0))?;
        Ok(keys.collect::<Result<Vec<_>, _>>()?)
    }

    /// An address as text; `None` when its domain is gone (a copy that is catching up).
    pub fn address_text(&self, address: &Address) -> Result<Option<String>, StorageError> {
        Ok(self.domain(address.domain)?.map(|domain| format!("{}@{}", address.local, domain.value.name)))
    }

    pub(crate) fn count(&self, name: &str) -> Result<u64, StorageError> {
        let sql = "SELECT value FROM dir_count WHERE name = $1";
        Ok(self.conn.prepare_cached(sql)?.query_row([name], |row| id(row, 0)).optional()?.unwrap_or(0))
    }

    fn ids(&self, sql: &str, params: &[&dyn rusqlite::ToSql]) -> Result<Vec<u64>, StorageError> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let ids = statement.query_map(params, |row| id(row, 0))?.collect::<Result<Vec<_>, _>>()?;
        Ok(ids)
    }

    fn collect<T>(
        &self,
        ids: Vec<u64>,
        read: impl Fn(u64) -> Result<Option<T>, StorageError>,
    ) -> Result<Vec<T>, StorageError> {
        let found = ids.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(found.into_iter().flatten().collect())
    }
}

fn id(row: &SqlRow<'_>, at: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(at).map(i64::unsigned_abs)
}

fn page(limit: usize) -> i64 {
    number(limit.clamp(1, PAGE_ITEMS_MAX) as u64)
}
