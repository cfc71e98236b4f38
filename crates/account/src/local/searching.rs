//! Searches in the accounts of this node: steps on blocking threads, and all of them together hold a bounded number of
//! bytes.

use std::sync::Arc;

use sterna_base::{ContainerId, Uid};
use tokio::sync::Semaphore;

use super::LocalAccount;
use super::open_store::Use;
use crate::search::relevancy::relevancy;
use crate::search::step::STEP_TIME_MAX;
use crate::search::{Allowance, Filter, Found, Stepped, step};
use crate::{AccountError, CommitError, UidSet};

/// Bytes of messages that the searches of all sessions hold at once. Decoding takes a few times that for a moment.
pub const SEARCHED_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// What a step holds as long as messages are small: a run of them, and a piece of this length. So many steps go on at
/// the same time as fit.
const STEP_BYTES: u64 = 8 * 1024 * 1024;

/// The bytes that searches may hold, a permit for each KiB.
pub struct SearchMemory(Arc<Semaphore>);

impl Default for SearchMemory {
    fn default() -> Self {
        SearchMemory(Arc::new(Semaphore::new((SEARCHED_BYTES_MAX / 1024) as usize)))
    }
}

impl LocalAccount {
    /// The scores that the index gives; see [`crate::Account::relevancy`].
    pub(super) async fn scores(
        &self,
        container: ContainerId,
        filter: &Filter,
        uids: &UidSet,
    ) -> Result<Vec<(Uid, u8)>, AccountError> {
        let store = self.store().await?;
        if !store.serves(Use::Read) {
            return Err(AccountError::Refused(CommitError::Sealed));
        }
        self.check_gate()?;
        let (filter, uids) = (filter.clone(), uids.clone());
        let answer = store
            .with_index(move |read, slot| {
                slot.ask(|index, trouble| {
                    let Some(index) = index else { return Ok(Vec::new()) };
                    let mut scores = Vec::new();
                    let asked = index.snapshot(&mut || {
                        scores = relevancy(read, index, container, &filter, &uids)?;
                        Ok(())
                    });
                    // Without it nothing is known of them.
                    Ok(asked.map_or_else(
                        |error| {
                            trouble(error);
                            Vec::new()
                        },
                        |()| scores,
                    ))
                })
            })
            .await;
        let scores = self.noted(&store, answer).await?;
        self.check_gate()?;
        Ok(scores)
    }

    /// A step of a search; see [`crate::Account::search`].
    pub(super) async fn search_step(
        &self,
        container: ContainerId,
        filter: &Filter,
        uids: &UidSet,
    ) -> Result<Found, AccountError> {
        let memory = self.shared()?.search_memory.0.clone();
        let mut piece_bytes_max = STEP_BYTES;
        loop {
            let kibibytes = piece_bytes_max.clamp(STEP_BYTES, SEARCHED_BYTES_MAX).div_ceil(1024) as u32;
            let ending = |_| AccountError::Unavailable("the node is ending".into());
            let held = memory.clone().acquire_many_owned(kibibytes).await.map_err(ending)?;
            let store = self.store().await?;
            if !store.serves(Use::Read) {
                return Err(AccountError::Refused(CommitError::Sealed));
            }
            self.check_gate()?;
            let allowance = Allowance { piece_bytes_max, time_max: STEP_TIME_MAX };
            let (filter, uids) = (filter.clone(), uids.clone());
            let reader = self.shared()?.document_reader.get().cloned();
            let answer = store
                .with_index(move |read, slot| {
                    let _held = held;
                    slot.ask(|index, trouble| {
                        step(read, index, reader.as_deref(), container, &filter, &uids, allowance, trouble)
                    })
                })
                .await;
            let stepped = self.noted(&store, answer).await?;
            self.check_gate()?;
            match stepped {
                Stepped::Found(found) => return Ok(found),
                Stepped::Needs(bytes) => piece_bytes_max = bytes,
            }
        }
    }
}
