//! How updates stand.

use super::{Reader, Versioned};
use crate::model::{Update, UpdateEvent};
use crate::row::{RowKind, UPDATE_EVENTS_MAX};
use crate::{StorageError, index, row};

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// How updates stand; `None` while nobody ever asked for one.
    pub fn update(&self) -> Result<Option<Versioned<Update>>, StorageError> {
        self.row(row::ONLY_KEY)
    }

    /// What happened, the latest first.
    pub fn update_events(&self) -> Result<Vec<UpdateEvent>, StorageError> {
        let sql = "SELECT row_key, content FROM dir_row WHERE kind = $1 AND content IS NOT NULL";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query([RowKind::UpdateEvent as u16])?;
        let mut events = Vec::with_capacity(UPDATE_EVENTS_MAX as usize);
        while let Some(found) = rows.next()? {
            let (key, content): (String, String) = (found.get(0)?, found.get(1)?);
            events.push(index::read::<UpdateEvent>(RowKind::UpdateEvent, &key, &content)?);
        }
        events.sort_by_key(|event| std::cmp::Reverse(event.number));
        Ok(events)
    }
}
