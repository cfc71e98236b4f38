//! A copy takes over that is behind: see [`crate::settle`].

use rusqlite::params;
use sterna_account::{CommitError, Read, SpecialUse};
use sterna_base::Timestamp;

use super::error::store_error;
use super::read::Reader;
use super::rows::sql;
use super::transaction::Transaction;
use crate::settle::settled;

/// Puts in order what is half there, as a commit of its own if there is anything.
pub fn settle(reader: &Reader, now: Timestamp) -> Result<(), CommitError> {
    let (head, numbers) = reader.head_row()?;
    let modseq = head.modseq.next();
    let mut transaction = Transaction::new(reader, head, numbers, modseq, now);
    bury_orphans(&mut transaction)?;
    for new in settled(&reader.containers()?) {
        let ours = transaction.container_mut(new.id)?;
        (ours.parent, ours.special_use) = (new.parent, new.special_use);
        ours.name.clone_from(&new.name);
        transaction.write_place(new.id, new.parent, &new.name)?;
        let special_use = new.special_use.map_or(0, |special_use: SpecialUse| special_use as u8);
        let statement = "UPDATE container SET special_use = ?3 WHERE account = ?1 AND container = ?2";
        reader.execute(statement, params![reader.id(), sql(new.id.0), special_use])?;
    }
    transaction.write()
}

/// Items whose container is deleted, and whose tombstones never came, are expunged now.
fn bury_orphans(transaction: &mut Transaction<'_>) -> Result<(), CommitError> {
    let of_deleted = "FROM container_deleted d JOIN item i ON i.account = d.account AND i.container = d.container \
         WHERE d.account = ?1";
    let sums = format!("SELECT count(*), coalesce(sum(i.size), 0) {of_deleted}");
    let mut statement = transaction.conn().prepare_cached(&sums).map_err(store_error)?;
    let sums = statement.query_row([transaction.id()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
    let (items, bytes) = sums.map_err(store_error)?;
    if items == 0 {
        return Ok(());
    }
    let bury = format!(
        "INSERT INTO expunged (account, container, uid, modseq, expunged_at, blob, size, flags, keywords_low, \
         keywords_high, internal_date, name) SELECT i.account, i.container, i.uid, ?2, ?3, i.blob, i.size, i.flags, \
         i.keywords_low, i.keywords_high, i.internal_date, i.name {of_deleted}"
    );
    let values = params![transaction.id(), sql(transaction.modseq.0), transaction.now.0];
    transaction.reader.execute(&bury, values)?;
    let delete = "DELETE FROM item WHERE account = ?1 AND container IN \
         (SELECT container FROM container_deleted WHERE account = ?1)";
    transaction.reader.execute(delete, [transaction.id()])?;
    let quota = &mut transaction.head.quota;
    quota.items_used -= items.cast_unsigned();
    quota.bytes_used -= bytes.cast_unsigned();
    transaction.change_account();
    Ok(())
}
