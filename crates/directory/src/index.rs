//! The indexes over the rows, kept in the transaction that writes the rows, on the main node and on followers alike.
//!
//! While a follower catches up, a name can have passed from one row to another of which it has seen only the new one.
//! So whoever claims a name last gets it, and who gives a name up removes only what is still its own: at the head the
//! result is the main node's.

use rusqlite::{Connection, params};

use crate::model::{
    Copy, CopyPurpose, Domain, Entry, Group, Job, Member, Membership, Move, MovePhase, PendingStore, Placement, Server,
    SharedMailbox, User,
};
use crate::row::RowKind;
use crate::{StorageError, contact, job_event, share, source};

/// Brings the indexes from a row's old content to its new one.
pub(crate) fn update(
    conn: &Connection,
    kind: RowKind,
    key: &str,
    old: Option<&str>,
    new: Option<&str>,
) -> Result<(), StorageError> {
    if let Some(content) = old {
        remove(conn, kind, key, content)?;
    }
    if let Some(content) = new {
        insert(conn, kind, key, content)?;
    }
    Ok(())
}

/// Reads a content; one that can't be read is damage, because this kind is known.
pub(crate) fn read<T: serde::de::DeserializeOwned>(kind: RowKind, key: &str, content: &str) -> Result<T, StorageError> {
    serde_json::from_str(content).map_err(|error| StorageError::Damaged(format!("row {kind:?} {key}: {error}")))
}

fn remove(conn: &Connection, kind: RowKind, key: &str, content: &str) -> Result<(), StorageError> {
    match kind {
        RowKind::Counter | RowKind::DkimKey | RowKind::Setting | RowKind::SettingChange => {}
        RowKind::Certificate | RowKind::Acme | RowKind::Firewall => {}
        RowKind::Role | RowKind::Grant | RowKind::ApiToken | RowKind::AppPassword | RowKind::SecondFactor => {}
        RowKind::Passkey | RowKind::Subject => {}
        RowKind::Source => {}
        RowKind::Link => source::names::remove(conn, key, content)?,
        RowKind::Deleted | RowKind::DeletedParts => {}
        RowKind::MainNode | RowKind::Migration | RowKind::Update | RowKind::UpdateEvent => {}
        RowKind::Domain => {
            let domain: Domain = read(kind, key, content)?;
            execute(conn, "DELETE FROM dir_domain_name WHERE domain_id = $1", params![number(domain.id.0)])?;
            count(conn, "domains", -1)?;
        }
        RowKind::User => {
            let user: User = read(kind, key, content)?;
            remove_entry(conn, kind, &user.entry)?;
            execute(conn, "DELETE FROM dir_login WHERE account_id = $1", params![number(user.entry.id.0)])?;
            execute(conn, "DELETE FROM dir_admin WHERE account_id = $1", params![number(user.entry.id.0)])?;
        }
        RowKind::Group => remove_entry(conn, kind, &read::<Group>(kind, key, content)?.entry)?,
        RowKind::Shared => remove_entry(conn, kind, &read::<SharedMailbox>(kind, key, content)?.entry)?,
        RowKind::Member => {
            let row: Membership = read(kind, key, content)?;
            let sql = "DELETE FROM dir_member WHERE group_id = $1 AND member_key = $2";
            execute(conn, sql, params![number(row.group.0), row.member.key()])?;
            count(conn, &format!("members/{:016x}", row.group.0), -1)?;
        }
        RowKind::Placement => {
            let row: Placement = read(kind, key, content)?;
            execute(conn, "DELETE FROM dir_placement WHERE account_id = $1", params![number(row.account.0)])?;
            count(conn, &format!("server/{}", row.server), -1)?;
        }
        RowKind::PendingStore => {
            execute(conn, "DELETE FROM dir_pending_store WHERE row_key = $1", params![key])?;
        }
        RowKind::Copy => {
            let row: Copy = read(kind, key, content)?;
            let sql = "DELETE FROM dir_copy WHERE account_id = $1 AND server = $2";
            execute(conn, sql, params![number(row.account.0), row.server.to_string()])?;
            count(conn, &format!("copies/{}", row.server), -1)?;
        }
        RowKind::Move => {
            let row: Move = read(kind, key, content)?;
            execute(conn, "DELETE FROM dir_move WHERE account_id = $1", params![number(row.account.0)])?;
            count_move(conn, &row, -1)?;
        }
        RowKind::Job => {
            let row: Job = read(kind, key, content)?;
            execute(conn, "DELETE FROM dir_job WHERE job_id = $1", params![number(row.id.0)])?;
        }
        RowKind::Share => share::remove(conn, key, content)?,
        RowKind::Contact => contact::unindex(conn, key, content)?,
        RowKind::JobEvent => job_event::unindex(conn, key, content)?,
        RowKind::Server => {
            let row: Server = read(kind, key, content)?;
            execute(conn, "DELETE FROM dir_server_name WHERE server = $1", params![row.id.to_string()])?;
        }
    }
    Ok(())
}

fn insert(conn: &Connection, kind: RowKind, key: &str, content: &str) -> Result<(), StorageError> {
    match kind {
        RowKind::Counter | RowKind::DkimKey | RowKind::Setting | RowKind::SettingChange => {}
        RowKind::Certificate | RowKind::Acme | RowKind::Firewall => {}
        RowKind::Role | RowKind::Grant | RowKind::ApiToken | RowKind::AppPassword | RowKind::SecondFactor => {}
        RowKind::Passkey | RowKind::Subject => {}
        RowKind::Source => {}
        RowKind::Link => source::names::insert(conn, key, content)?,
        RowKind::Deleted | RowKind::DeletedParts => {}
        RowKind::MainNode | RowKind::Migration | RowKind::Update | RowKind::UpdateEvent => {}
        RowKind::Domain => {
            let domain: Domain = read(kind, key, content)?;
            for (name, is_main) in
                std::iter::once((&domain.name, true)).chain(domain.aliases.iter().map(|a| (a, false)))
            {
                let sql = "INSERT INTO dir_domain_name (name, domain_id, is_main) VALUES ($1, $2, $3)
                    ON CONFLICT (name) DO UPDATE SET domain_id = excluded.domain_id, is_main = excluded.is_main";
                execute(conn, sql, params![name, number(domain.id.0), i64::from(is_main)])?;
            }
            count(conn, "domains", 1)?;
        }
        RowKind::User => {
            let user: User = read(kind, key, content)?;
            insert_entry(conn, kind, &user.entry)?;
            if let Some(login) = &user.login {
                let sql = "INSERT INTO dir_login (login, account_id) VALUES ($1, $2)
                    ON CONFLICT (login) DO UPDATE SET account_id = excluded.account_id";
                execute(conn, sql, params![login, number(user.entry.id.0)])?;
            }
            if user.admin {
                let sql = "INSERT INTO dir_admin (account_id) VALUES ($1) ON CONFLICT (account_id) DO NOTHING";
                execute(conn, sql, params![number(user.entry.id.0)])?;
            }
        }
        RowKind::Group => insert_entry(conn, kind, &read::<Group>(kind, key, content)?.entry)?,
        RowKind::Shared => insert_entry(conn, kind, &read::<SharedMailbox>(kind, key, content)?.entry)?,
        RowKind::Member => {
            let row: Membership = read(kind, key, content)?;
            let account = match &row.member {
                Member::Local(id) => Some(number(id.0)),
                Member::External(_) => None,
            };
            let sql = "INSERT INTO dir_member (group_id, member_key, account_id) VALUES ($1, $2, $3)
                ON CONFLICT (group_id, member_key) DO NOTHING";
            execute(conn, sql, params![number(row.group.0), row.member.key(), account])?;
            count(conn, &format!("members/{:016x}", row.group.0), 1)?;
        }
        RowKind::Placement => {
            let row: Placement = read(kind, key, content)?;
            let sql = "INSERT INTO dir_placement (account_id, server) VALUES ($1, $2)
                ON CONFLICT (account_id) DO UPDATE SET server = excluded.server";
            execute(conn, sql, params![number(row.account.0), row.server.to_string()])?;
            count(conn, &format!("server/{}", row.server), 1)?;
        }
        RowKind::PendingStore => {
            let row: PendingStore = read(kind, key, content)?;
            let sql = "INSERT INTO dir_pending_store (row_key, account_id, server) VALUES ($1, $2, $3)
                ON CONFLICT (row_key) DO UPDATE SET account_id = excluded.account_id, server = excluded.server";
            execute(conn, sql, params![key, number(row.account.0), row.server.to_string()])?;
        }
        RowKind::Copy => {
            let row: Copy = read(kind, key, content)?;
            let kept_until = match row.purpose {
                CopyPurpose::Kept { until } => Some(until.0),
                CopyPurpose::Moving | CopyPurpose::Migrating | CopyPurpose::Standby { .. } => None,
            };
            let sql = "INSERT INTO dir_copy (account_id, server, kept_until) VALUES ($1, $2, $3)
                ON CONFLICT (account_id, server) DO UPDATE SET kept_until = excluded.kept_until";
            execute(conn, sql, params![number(row.account.0), row.server.to_string(), kept_until])?;
            count(conn, &format!("copies/{}", row.server), 1)?;
        }
        RowKind::Move => {
            let row: Move = read(kind, key, content)?;
            let sql = "INSERT INTO dir_move (account_id, job_id, phase) VALUES ($1, $2, $3)
                ON CONFLICT (account_id) DO UPDATE SET job_id = excluded.job_id, phase = excluded.phase";
            execute(conn, sql, params![number(row.account.0), number(row.job.0), row.phase.number()])?;
            count_move(conn, &row, 1)?;
        }
        RowKind::Job => {
            let row: Job = read(kind, key, content)?;
            let sql = "INSERT INTO dir_job (job_id, is_over) VALUES ($1, $2)
                ON CONFLICT (job_id) DO UPDATE SET is_over = excluded.is_over";
            execute(conn, sql, params![number(row.id.0), i64::from(row.state.is_over())])?;
        }
        RowKind::Share => share::insert(conn, key, content)?,
        RowKind::Contact => contact::index(conn, key, content)?,
        RowKind::JobEvent => job_event::index(conn, key, content)?,
        RowKind::Server => {
            let row: Server = read(kind, key, content)?;
            let sql = "INSERT INTO dir_server_name (name, server) VALUES ($1, $2)
                ON CONFLICT (name) DO UPDATE SET server = excluded.server";
            execute(conn, sql, params![row.name, row.id.to_string()])?;
        }
    }
    Ok(())
}

fn remove_entry(conn: &Connection, kind: RowKind, entry: &Entry) -> Result<(), StorageError> {
    execute(conn, "DELETE FROM dir_address WHERE account_id = $1", params![number(entry.id.0)])?;
    execute(conn, "DELETE FROM dir_entry WHERE account_id = $1", params![number(entry.id.0)])?;
    count(conn, &kind_count(kind), -1)?;
    count(conn, &domain_count(kind, entry), -1)
}

fn insert_entry(conn: &Connection, kind: RowKind, entry: &Entry) -> Result<(), StorageError> {
    for (address, is_main) in std::iter::once((&entry.address, true)).chain(entry.aliases.iter().map(|a| (a, false))) {
        let sql = "INSERT INTO dir_address (domain_id, local_part, account_id, kind, is_main)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (domain_id, local_part) DO UPDATE SET account_id = excluded.account_id,
                kind = excluded.kind, is_main = excluded.is_main";
        let domain = number(address.domain.0);
        execute(conn, sql, params![domain, address.local, number(entry.id.0), kind as u16, i64::from(is_main)])?;
    }
    let sql = "INSERT INTO dir_entry (account_id, kind) VALUES ($1, $2)
        ON CONFLICT (account_id) DO UPDATE SET kind = excluded.kind";
    execute(conn, sql, params![number(entry.id.0), kind as u16])?;
    count(conn, &kind_count(kind), 1)?;
    count(conn, &domain_count(kind, entry), 1)
}

/// The counter of all rows of a kind of entry.
pub(crate) fn kind_count(kind: RowKind) -> String {
    format!("kind/{}", kind as u16)
}

fn domain_count(kind: RowKind, entry: &Entry) -> String {
    format!("kind/{}/{:016x}", kind as u16, entry.address.domain.0)
}

/// A move that was given up needs its target no longer.
fn count_move(conn: &Connection, row: &Move, by: i64) -> Result<(), StorageError> {
    if row.phase == MovePhase::Failed {
        return Ok(());
    }
    count(conn, &format!("moves/{}", row.to), by)
}

fn count(conn: &Connection, name: &str, by: i64) -> Result<(), StorageError> {
    let sql = "INSERT INTO dir_count (name, value) VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET value = dir_count.value + excluded.value";
    execute(conn, sql, params![name, by])?;
    execute(conn, "DELETE FROM dir_count WHERE name = $1 AND value = 0", params![name])
}

fn execute(conn: &Connection, sql: &str, params: &[&dyn rusqlite::ToSql]) -> Result<(), StorageError> {
    conn.prepare_cached(sql)?.execute(params)?;
    Ok(())
}

/// Ids stay below 2^63 (see [`sterna_base::AccountId`]).
pub(crate) fn number(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}
