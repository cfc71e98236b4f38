//! Following: a copy takes the main node's changes, page by page.
//!
//! The position is kept with the rows, in the same transaction, so a copy goes on where it was after any crash. A page
//! that comes twice changes nothing; one that leaves something out is refused.

use rusqlite::{OptionalExtension, TransactionBehavior, params};
use sterna_base::Modseq;

use crate::core::{Core, Mode};
use crate::read::Reader;
use crate::row::{Changes, Cursor};
use crate::{ApplyError, StorageError, write};

/// What a page did to a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Where to ask on from.
    pub position: Cursor,
    /// Up to where the copy is complete.
    pub modseq: Modseq,
    /// Whether it has all that the main node had when the page was read.
    pub at_head: bool,
}

impl Core {
    /// Takes one page. When this returns `Ok`, a power cut loses nothing of it. At the head the digests are compared.
    ///
    /// # Errors
    /// [`ApplyError`]; nothing of the page was applied then. After [`ApplyError::Diverged`] call [`Core::start_again`].
    pub fn apply(&mut self, page: &Changes) -> Result<Applied, ApplyError> {
        if self.mode != Mode::Copy {
            return Err(ApplyError::IsMain);
        }
        self.check_running()?;
        let result = self.apply_page(page);
        if let Err(ApplyError::Storage(error)) = &result {
            self.note_doubt(error);
        }
        result
    }

    fn apply_page(&mut self, page: &Changes) -> Result<Applied, ApplyError> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let head = Reader::new(&tx).head()?;
        if let Some(expected) = head.installation
            && expected != page.installation
        {
            return Err(ApplyError::WrongInstallation { expected, found: page.installation });
        }
        let ours = head.position.clone();
        if page.after > ours {
            return Err(ApplyError::Gap(page.after.clone()));
        }
        if page.after == ours && page.head < ours.modseq {
            return Err(ApplyError::Behind { main: page.head, ours: ours.modseq });
        }
        check_order(page)?;
        let reached = page.next.clone().unwrap_or_else(|| Cursor::since(page.head));
        if reached < ours {
            // A page that was asked for long ago: all of it is here, or has been replaced since.
            return Ok(Applied { position: ours, modseq: head.modseq, at_head: false });
        }
        let mut digest = head.digest;
        for change in &page.rows {
            // A repeated or late page must not put an older state of a row in the place of a newer one.
            let newer = stored_modseq(&tx, change.kind, &change.key)?.is_none_or(|stored| stored < change.modseq);
            if newer {
                write::store(&tx, &mut digest, change)?;
            }
        }
        let at_head = page.next.is_none();
        let modseq = if at_head { page.head } else { head.modseq };
        if at_head && digest != page.digest {
            return Err(ApplyError::Diverged { modseq: page.head });
        }
        write::set_position(&tx, page.installation, modseq, digest, &reached)?;
        tx.commit()?;
        Ok(Applied { position: reached, modseq, at_head })
    }

    /// Empties a copy, to be filled from the start: after it diverged, or when the main node was restored from an older
    /// backup. It still belongs to its installation.
    ///
    /// # Errors
    /// When this is the main node, or the file can't be written.
    pub fn start_again(&mut self) -> Result<(), ApplyError> {
        if self.mode != Mode::Copy {
            return Err(ApplyError::IsMain);
        }
        self.check_running()?;
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for table in crate::schema::CONTENT_TABLES.into_iter().chain(crate::schema::LATER_INDEXES) {
            tx.execute(&format!("DELETE FROM {table}"), [])?;
        }
        let sql = "UPDATE dir_head SET modseq = 0, digest = $1, position_modseq = 0, position_kind = $2,
            position_key = '' WHERE id = 1";
        tx.execute(sql, params![sterna_account::Digest::default().to_string(), u16::MAX])?;
        tx.commit()?;
        Ok(())
    }
}

/// Rows rise, start after what was asked for, and none is later than the head.
fn check_order(page: &Changes) -> Result<(), ApplyError> {
    let mut last = page.after.clone();
    for change in &page.rows {
        let cursor = change.cursor();
        if cursor <= last || change.modseq > page.head {
            return Err(ApplyError::Disorder);
        }
        last = cursor;
    }
    match &page.next {
        Some(next) if *next != last => Err(ApplyError::Disorder),
        _ => Ok(()),
    }
}

fn stored_modseq(conn: &rusqlite::Connection, kind: u16, key: &str) -> Result<Option<Modseq>, StorageError> {
    let sql = "SELECT modseq FROM dir_row WHERE kind = $1 AND row_key = $2";
    let found: Option<i64> = conn.prepare_cached(sql)?.query_row(params![kind, key], |row| row.get(0)).optional()?;
    Ok(found.map(|modseq| Modseq(modseq.unsigned_abs())))
}
