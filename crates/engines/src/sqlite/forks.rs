//! Where standby copies took over in the account's history.

use rusqlite::params;
use sterna_account::follow::Progress;
use sterna_account::fork::{Fork, remember};
use sterna_account::{CommitError, Cursor, StoreError};
use sterna_base::{ContainerId, Epoch, Modseq, Uid};

use super::read::Reader;
use super::rows::sql;

impl Reader {
    /// See [`sterna_account::Read::forks`]; inside a transaction.
    pub fn forks_now(&self) -> Result<Vec<Fork>, StoreError> {
        let statement = "SELECT epoch, modseq, container, uid, answers FROM fork WHERE account = ?1 ORDER BY epoch";
        self.list(statement, [self.id()], |row| {
            let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
            let rows = Cursor { modseq: Modseq(number(1)?), container: ContainerId(number(2)?), uid: Uid(row.get(3)?) };
            Ok(Fork { epoch: Epoch(number(0)?), at: Progress { rows, answers: number(4)? } })
        })
    }
}

/// Notes that this copy takes over.
pub fn add(reader: &Reader, fork: Fork) -> Result<(), CommitError> {
    let mut forks = reader.forks_now()?;
    remember(&mut forks, fork);
    set(reader, &forks)
}

/// Makes the forks those of the account that is followed.
pub fn set(reader: &Reader, forks: &[Fork]) -> Result<(), CommitError> {
    reader.execute("DELETE FROM fork WHERE account = ?1", [reader.id()])?;
    for Fork { epoch, at } in forks {
        let statement =
            "INSERT INTO fork (account, epoch, modseq, container, uid, answers) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let (rows, answers) = (at.rows, sql(at.answers));
        let place = params![reader.id(), sql(epoch.0), sql(rows.modseq.0), sql(rows.container.0), rows.uid.0, answers];
        reader.execute(statement, place)?;
    }
    Ok(())
}
