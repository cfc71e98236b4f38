//! Verifying every invariant of a directory: the digest, the indexes, and what rows say of each other.
//!
//! The rows are read once, in one snapshot, and written into a temporary database of the same form; its digest and its
//! indexes must then be those of the file. So the check is done online as well as offline, needs no memory that grows
//! with the installation, and knows nothing that the writing code doesn't.

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use sterna_account::{Digest, Identifier};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, NodeId};

use crate::model::{Copy, CopyPurpose, Job, Member, Move, MovePhase};
use crate::read::{AnyEntry, Reader};
use crate::row::{Change, Cursor, RowKind};
use crate::{StorageError, index, schema, write};

/// Most problems that one check reports.
pub const PROBLEMS_MAX: usize = 1000;

impl Reader<'_> {
    /// Verifies every invariant; empty when all is well. Takes time in proportion to the directory. On a copy that is
    /// catching up, rows may name others that have not come yet.
    ///
    /// # Errors
    /// When the file or the temporary database can't be read or written.
    pub fn check(&self) -> Result<Vec<String>, StorageError> {
        let mut problems = Vec::new();
        // An empty name is a temporary file that SQLite deletes by itself.
        let mut copy = Connection::open("")?;
        schema::migrate(&mut copy)?;
        copy.execute_batch("BEGIN")?;
        let mut digest = Digest::default();
        let mut addresses = 0;
        let mut after = Cursor::start();
        loop {
            let page = self.changes_page(&after, PAGE_ITEMS_MAX)?;
            for change in &page.rows {
                write::store(&copy, &mut digest, change)?;
                addresses += self.check_row(change, &mut problems)?;
            }
            match page.next {
                Some(next) => after = next,
                None => break,
            }
            problems.truncate(PROBLEMS_MAX);
        }
        let head = self.head()?;
        if digest != head.digest {
            problems.push(format!("the digest is {}, its rows add up to {digest}", head.digest));
        }
        for table in schema::CONTENT_TABLES {
            let (ours, expected) = (sum(self.conn, table)?, sum(&copy, table)?);
            if ours != expected {
                problems.push(format!("{table} differs from what the rows say"));
            }
        }
        let distinct: i64 = copy.query_row("SELECT COUNT(*) FROM dir_address", [], |row| row.get(0))?;
        if distinct != addresses {
            problems.push(format!("{addresses} addresses are given out, {distinct} of them different"));
        }
        problems.truncate(PROBLEMS_MAX);
        Ok(problems)
    }

    /// What a row says of others; gives how many addresses it has.
    fn check_row(&self, change: &Change, problems: &mut Vec<String>) -> Result<i64, StorageError> {
        let (Some(kind), Some(content)) = (RowKind::from_number(change.kind), &change.content) else { return Ok(0) };
        let mut expect = |holds: bool, what: &str| {
            if !holds {
                problems.push(format!("{kind:?} {}: {what}", change.key));
            }
        };
        match kind {
            RowKind::Member => {
                let row: crate::Membership = index::read(kind, &change.key, content)?;
                expect(self.group(row.group)?.is_some(), "there is no such group");
                if let Member::Local(id) = row.member {
                    expect(self.entry(id)?.is_some(), "there is no such member");
                }
            }
            RowKind::Contact => {
                let row: crate::Contact = index::read(kind, &change.key, content)?;
                expect(self.domain(row.domain)?.is_some(), "there is no such domain");
            }
            RowKind::DkimKey => {
                let row: crate::DkimKey = index::read(kind, &change.key, content)?;
                expect(self.domain(row.domain)?.is_some(), "there is no such domain");
            }
            RowKind::Grant => {
                let row: crate::rights::Grant = index::read(kind, &change.key, content)?;
                expect(
                    matches!(self.entry(row.account)?, Some(found) if found.value.kind() == RowKind::User),
                    "there is no such user",
                );
                expect(self.role(&row.role)?.is_some(), "there is no such role");
                if let crate::Scope::Domain(id) = row.scope {
                    expect(self.domain(id)?.is_some(), "there is no such domain");
                }
            }
            RowKind::AppPassword => {
                let row: crate::rights::AppPassword = index::read(kind, &change.key, content)?;
                expect(self.entry(row.account)?.is_some(), "there is no such user");
            }
            RowKind::Subject => {
                let row: crate::rights::Subject = index::read(kind, &change.key, content)?;
                expect(self.entry(row.account)?.is_some(), "there is no such user");
            }
            RowKind::Passkey => {
                let row: crate::rights::Passkey = index::read(kind, &change.key, content)?;
                expect(self.entry(row.account)?.is_some(), "there is no such user");
            }
            RowKind::Link => {
                let row: crate::Link = index::read(kind, &change.key, content)?;
                expect(self.entry(row.account)?.is_some(), "there is no such user or group");
                let is_there = row.source == crate::source::SCIM || self.source(&row.source)?.is_some();
                expect(is_there, "there is no such source");
            }
            RowKind::Source => {
                let row: crate::Source = index::read(kind, &change.key, content)?;
                expect(self.domain(row.domain)?.is_some(), "there is no such domain");
            }
            RowKind::Share => {
                let row: crate::Share = index::read(kind, &change.key, content)?;
                expect(self.entry(row.owner)?.is_some(), "nobody has this account");
                let is_there = match row.grantee {
                    Identifier::Anyone => true,
                    Identifier::Entry(id) => self.entry(id)?.is_some(),
                    Identifier::Domain(id) => self.domain(id)?.is_some(),
                };
                expect(is_there, "there is nobody of that id to share with");
            }
            RowKind::Placement => {
                let row: crate::Placement = index::read(kind, &change.key, content)?;
                let is_known = self.entry(row.account)?.is_some() || self.deleted(row.account)?.is_some();
                expect(is_known, "nobody has this account");
                expect(self.holds_accounts(row.server)?, "its server holds no accounts");
            }
            RowKind::Deleted => {
                let row: crate::Deleted = index::read(kind, &change.key, content)?;
                expect(self.entry(row.id)?.is_none(), "it is in the bin and not deleted");
                let placed = self.placement(row.id)?.is_some();
                expect(placed == row.was.has_account(), "its placement is missing or too much");
            }
            RowKind::DeletedParts => {
                let row: crate::deleted::Parts = index::read(kind, &change.key, content)?;
                expect(self.deleted(row.id)?.is_some(), "nobody in the bin had these parts");
            }
            RowKind::PendingStore => {
                let row: crate::PendingStore = index::read(kind, &change.key, content)?;
                let placement = self.placement(row.account)?.map(|found| found.value);
                let is_used = match placement {
                    Some(placement) => !row.deleting || placement.server == row.server,
                    None => false,
                };
                expect(!is_used, "its account is placed and in use");
                expect(self.copy(row.account, row.server)?.is_none(), "a copy is to be there");
            }
            RowKind::Server => {
                let row: crate::Server = index::read(kind, &change.key, content)?;
                let is_held = match row.standby {
                    Some(standby) => self.holds_accounts(standby.server)?,
                    None => true,
                };
                expect(is_held, "what stands by for it holds no accounts");
            }
            RowKind::MainNode => {
                let row: crate::MainNode = index::read(kind, &change.key, content)?;
                let is_main = self.server(row.server)?.is_some_and(|found| found.value.roles.main);
                expect(is_main, "it names a server that isn't the main one");
            }
            RowKind::Copy => self.check_copy(&index::read(kind, &change.key, content)?, &mut expect)?,
            RowKind::Move => self.check_move(&index::read(kind, &change.key, content)?, &mut expect)?,
            RowKind::Job => self.check_job(&index::read(kind, &change.key, content)?, &mut expect)?,
            kind if kind.is_entry() => {
                let id = u64::from_str_radix(&change.key, 16).map(AccountId).unwrap_or_default();
                let Some(found) = self.entry(id)? else {
                    expect(false, "it is in no index");
                    return Ok(0);
                };
                let placed = self.placement(id)?.is_some();
                expect(placed != matches!(found.value, AnyEntry::Group(_)), "its placement is missing or too much");
                let mut count = 0;
                for address in found.value.entry().addresses() {
                    count += 1;
                    expect(self.domain(address.domain)?.is_some(), "the domain of an address doesn't exist");
                }
                return Ok(count);
            }
            _ => {}
        }
        Ok(0)
    }
}

impl Reader<'_> {
    fn check_copy(&self, row: &Copy, expect: &mut dyn FnMut(bool, &str)) -> Result<(), StorageError> {
        let placement = self.placement(row.account)?;
        expect(placement.is_some_and(|found| found.value.server != row.server), "its account doesn't live elsewhere");
        expect(self.holds_accounts(row.server)?, "its server holds no accounts");
        if row.purpose == CopyPurpose::Moving {
            let is_wanted = self
                .move_of(row.account)?
                .is_some_and(|found| found.value.to == row.server && found.value.phase.has_copy());
            expect(is_wanted, "its account isn't moving there");
        }
        Ok(())
    }

    fn check_move(&self, row: &Move, expect: &mut dyn FnMut(bool, &str)) -> Result<(), StorageError> {
        let Some(placement) = self.placement(row.account)?.map(|found| found.value) else {
            expect(false, "its account is not placed");
            return Ok(());
        };
        let is_cut_over = matches!(row.phase, MovePhase::CutOver { .. });
        expect(row.epoch.is_some() == is_cut_over, "it has an epoch and no cut-over, or the other way round");
        expect(row.epoch.is_none_or(|epoch| epoch > placement.epoch), "its epoch is not a new one");
        let job = self.job(row.job)?.map(|found| found.value);
        expect(job.is_some(), "its job doesn't exist");
        if row.phase == MovePhase::Failed {
            return Ok(());
        }
        expect(job.is_some_and(|job| !job.state.is_over()), "its job is over");
        expect(row.from == placement.server, "its account lives elsewhere");
        expect(row.to != placement.server, "its account is there already");
        expect(self.holds_accounts(row.to)?, "its target holds no accounts");
        if row.phase.has_copy() {
            expect(self.copy(row.account, row.to)?.is_some(), "its target is to hold no copy");
        }
        Ok(())
    }

    fn check_job(&self, row: &Job, expect: &mut dyn FnMut(bool, &str)) -> Result<(), StorageError> {
        expect(row.left() == self.moves_left(row.id)?, "it counts its moves wrongly");
        expect(row.done + row.failed + row.aborted <= row.total, "it counts more than there are");
        expect(row.state.is_over() == (row.left() == 0), "it is over with moves left, or goes on without any");
        expect(row.ended_at.is_some() == row.state.is_over(), "it is over and has no end, or the other way round");
        Ok(())
    }

    fn holds_accounts(&self, server: NodeId) -> Result<bool, StorageError> {
        Ok(self.server(server)?.is_some_and(|server| server.value.roles.data))
    }
}

/// An order-free sum over a table's rows.
fn sum(conn: &Connection, table: &str) -> Result<Digest, StorageError> {
    let mut statement = conn.prepare(&format!("SELECT * FROM {table}"))?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut sum = Digest::default();
    while let Some(row) = rows.next()? {
        let mut hasher = blake3::Hasher::new();
        for at in 0..columns {
            match row.get_ref(at)? {
                ValueRef::Null => hasher.update(&[0]),
                ValueRef::Integer(number) => hasher.update(&[1]).update(&number.to_le_bytes()),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                    hasher.update(&[2]).update(&(bytes.len() as u64).to_le_bytes()).update(bytes)
                }
                ValueRef::Real(number) => hasher.update(&[3]).update(&number.to_le_bytes()),
            };
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        sum.add(Digest(u128::from_le_bytes(bytes)));
    }
    Ok(sum)
}
