//! What SORT and THREAD have in common: reading what they compare, within bounds.

use std::sync::Arc;

use sterna_account::{Item, ItemParts, UidSet};
use sterna_base::Timestamp;
use sterna_formats::mail::Envelope;
use sterna_formats::mail::text::sent_time;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::section;
use crate::imap::limits::{SORTED_BYTES_MAX, SORTED_TEXT_BYTES_MAX, SORTED_VALUE_BYTES, STEP_MESSAGES};
use crate::imap::picture::Picked;
use crate::imap::reply::{Fail, Reply};
use crate::imap::session::Session;

/// What SORT and THREAD of all sessions share: one permit for each KiB that may be held.
pub struct SortMemory(Arc<Semaphore>);

impl Default for SortMemory {
    fn default() -> Self {
        SortMemory(Arc::new(Semaphore::new((SORTED_BYTES_MAX / 1024) as usize)))
    }
}

/// Waits for room for so many values, or for all there is. Whoever holds some must not wait for more.
pub async fn hold(session: &Session, values: usize) -> Result<OwnedSemaphorePermit, Fail> {
    let kibibytes = (values as u64 * SORTED_VALUE_BYTES).min(SORTED_BYTES_MAX).div_ceil(1024) as u32;
    let held = session.shared.sort_memory.0.clone().acquire_many_owned(kibibytes).await;
    held.map_err(|_| Reply::no("The server is ending").code("UNAVAILABLE").into())
}

/// Reads the rows of these messages, with their envelopes if these are needed, in steps. A message that was expunged
/// meanwhile is passed over: the client will be told.
pub async fn each(
    session: &mut Session,
    found: &[Picked],
    needs_envelope: bool,
    mut take: impl FnMut(&Picked, &Item, &Envelope) + Send,
) -> Result<(), Fail> {
    let account = session.selected_account()?;
    let container = session.selected()?.id;
    let parts = ItemParts { summary: needs_envelope, body: false, ..ItemParts::default() };
    for (at, step) in found.chunks(STEP_MESSAGES).enumerate() {
        session.tell_progress(at * STEP_MESSAGES, Some(found.len())).await?;
        let uids: UidSet = step.iter().map(|picked| picked.uid).collect();
        let mut picked = step.iter();
        for item in account.items(container, &uids, parts, step.len()).await? {
            let Some(picked) = picked.by_ref().find(|picked| picked.uid == item.uid) else { break };
            if needs_envelope {
                take(picked, &item, &section::envelope(account.as_ref(), &item).await?);
            } else {
                take(picked, &item, &Envelope::default());
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// The sent date (RFC 5256 section 2.2).
pub fn sent(item: &Item, envelope: &Envelope) -> Timestamp {
    envelope.date.as_deref().and_then(sent_time).unwrap_or(item.internal_date)
}

/// As much of a text as is compared.
pub fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(SORTED_TEXT_BYTES_MAX)]
}
