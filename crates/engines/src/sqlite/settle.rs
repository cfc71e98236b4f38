//! A copy takes over: see [`crate::settle`].

use rusqlite::{OptionalExtension, Row, params};
use sterna_account::follow::Progress;
use sterna_account::fork::{CONTAINERS_SKIPPED, Fork, MODSEQS_SKIPPED, uid_next_after};
use sterna_account::{CommitError, Read, SpecialUse};
use sterna_base::{Epoch, Modseq, Timestamp};

use super::error::store_error;
use super::forks;
use super::read::Reader;
use super::rows::sql;
use super::transaction::{Transaction, answer_of};
use crate::settle::{Equality, settled};

/// A copy that follows takes over as it is: what is half there is put in order, and numbers that the lost server may
/// have given out are skipped, in a commit of its own.
pub fn take_over(reader: &Reader, epoch: Epoch, now: Timestamp) -> Result<(), CommitError> {
    let (mut at, equality) = reader.progress_now()?;
    let (head, numbers) = reader.head_row()?;
    let modseq = Modseq(head.modseq.max(at.rows.modseq).0 + MODSEQS_SKIPPED);
    let mut transaction = Transaction::new(reader, head, numbers, modseq, now);
    if equality == Equality::Before {
        at.answers = at.answers.min(forget_answers(reader, &at)?);
        put_in_order(&mut transaction)?;
    }
    for container in reader.containers()? {
        transaction.container_mut(container.id)?.uid_next = uid_next_after(container.uid_next);
    }
    transaction.numbers.next_container += CONTAINERS_SKIPPED;
    transaction.numbers.last_uid_validity += CONTAINERS_SKIPPED;
    transaction.change_account();
    transaction.write()?;
    forks::add(reader, Fork { epoch, at })
}

/// Answers may have come before the rows of their commits. Repeating such a commit must do it, not answer it. Returns
/// the number up to which nothing was forgotten.
fn forget_answers(reader: &Reader, at: &Progress) -> Result<u64, CommitError> {
    let last = "SELECT number, answer FROM operation WHERE account = ?1 ORDER BY number DESC LIMIT 1";
    let mut until = u64::MAX;
    loop {
        let mut statement = reader.conn.prepare_cached(last).map_err(store_error)?;
        let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?));
        let Some((number, answer)) = statement.query_row([reader.id()], row).optional().map_err(store_error)? else {
            return Ok(until);
        };
        if at.rows.is_past(answer_of(&answer)?.modseq) {
            return Ok(until);
        }
        reader.execute("DELETE FROM operation WHERE account = ?1 AND number = ?2", params![reader.id(), number])?;
        until = number.cast_unsigned() - 1;
    }
}

fn put_in_order(transaction: &mut Transaction<'_>) -> Result<(), CommitError> {
    bury_orphans(transaction)?;
    let reader = transaction.reader;
    for new in settled(&reader.containers()?) {
        let ours = transaction.container_mut(new.id)?;
        (ours.parent, ours.special_use) = (new.parent, new.special_use);
        ours.name.clone_from(&new.name);
        transaction.write_place(new.id, new.parent, &new.name)?;
        let special_use = new.special_use.map_or(0, |special_use: SpecialUse| special_use as u8);
        let statement = "UPDATE container SET special_use = ?3 WHERE account = ?1 AND container = ?2";
        reader.execute(statement, params![reader.id(), sql(new.id.0), special_use])?;
    }
    Ok(())
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
