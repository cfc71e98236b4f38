//! Milters (sendmail's mail filters), as the mail server's side of them.
//!
//! A milter follows a transaction from MAIL on, so that what it refuses at RCPT is refused at RCPT; the message is told
//! it from the spool, when it is complete. It has a connection of its own for each transaction.

mod body;
mod dialog;
mod following;
mod steps;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use sterna_base::OperationId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Action, Common, ContentFilter, Draft, Facts, FilterError, Verdict};
use dialog::{Dialog, Said};
pub use following::Followed;

/// How long a milter may take for one step before the message.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(30);

/// One milter.
pub struct Milter {
    name: String,
    common: Common,
    spool_folder: PathBuf,
    places: Arc<Semaphore>,
    /// What is known of transactions that it follows.
    kept: Mutex<HashMap<OperationId, Kept>>,
}

/// What a milter said about a transaction so far.
enum Kept {
    /// To go on.
    Open(Dialog, OwnedSemaphorePermit),
    /// Everything: it need not see the message.
    Settled(Action),
    /// Nothing, because it failed; it is not asked again about this one.
    Absent(String),
}

impl Milter {
    /// With a folder for bodies that it puts in the place of others.
    pub fn new(common: Common, spool_folder: PathBuf) -> Self {
        let places = Arc::new(Semaphore::new(common.at_once));
        Milter { name: format!("milter {}", common.endpoint), common, spool_folder, places, kept: Mutex::default() }
    }

    /// A new dialog, up to the reverse-path.
    async fn opened(&self, facts: &Facts<'_>) -> Result<(Dialog, OwnedSemaphorePermit, Said), FilterError> {
        // Closed never: the semaphore lives as long as this.
        let place = self.places.clone().acquire_owned().await;
        let place = place.map_err(|error| FilterError::Unable(error.to_string()))?;
        let mut dialog = Dialog::open(&self.common.endpoint, &self.spool_folder).await?;
        for step in [steps::connect(facts), steps::helo(facts), steps::mail(facts)] {
            let said = dialog.step(&step).await?;
            if said != Said::Continue {
                return Ok((dialog, place, said));
            }
        }
        Ok((dialog, place, Said::Continue))
    }

    /// Begins to follow a transaction.
    ///
    /// # Errors
    /// [`FilterError`].
    async fn begin(&self, facts: &Facts<'_>) -> Result<Said, FilterError> {
        let (dialog, place, said) = self.opened(facts).await?;
        self.keep(facts.envelope.transaction, dialog, place, &said);
        Ok(said)
    }

    /// Tells it of a recipient.
    ///
    /// # Errors
    /// [`FilterError`].
    async fn recipient(&self, facts: &Facts<'_>, rcpt: &sterna_account::service::Rcpt) -> Result<Said, FilterError> {
        let id = facts.envelope.transaction;
        let kept = self.kept.lock().remove(&id);
        let (mut dialog, place) = match kept {
            Some(Kept::Open(dialog, place)) => (dialog, place),
            Some(settled) => {
                self.kept.lock().insert(id, settled);
                return Ok(Said::Continue);
            }
            None => return Ok(Said::Continue),
        };
        let said = dialog.step(&steps::rcpt(facts, rcpt)).await?;
        self.keep(id, dialog, place, &said);
        Ok(said)
    }

    fn keep(&self, id: OperationId, dialog: Dialog, place: OwnedSemaphorePermit, said: &Said) {
        let kept = match said {
            Said::Continue | Said::Refuse(_) => Kept::Open(dialog, place),
            Said::Accept => Kept::Settled(Action::Accept),
            Said::Discard => Kept::Settled(Action::Discard),
        };
        self.kept.lock().insert(id, kept);
    }

    /// It failed, and is not asked about this transaction again.
    fn let_go(&self, id: OperationId, why: String) {
        self.kept.lock().insert(id, Kept::Absent(why));
    }

    /// The transaction is over.
    fn forget(&self, id: OperationId) {
        self.kept.lock().remove(&id);
    }

    /// All of a transaction that was not followed: because its settings are new.
    async fn replay(&self, facts: &Facts<'_>, draft: &Draft) -> Result<Verdict, FilterError> {
        let (mut dialog, _place, mut said) = self.opened(facts).await?;
        for rcpt in &facts.envelope.recipients {
            if said == Said::Continue {
                said = dialog.step(&steps::rcpt(facts, rcpt)).await?;
            }
        }
        match said {
            Said::Continue => dialog.message(facts, draft).await,
            Said::Accept => Ok(settled(Action::Accept)),
            Said::Discard => Ok(settled(Action::Discard)),
            Said::Refuse(refusal) => Ok(Verdict::new(Action::Refuse(refusal), "said about the envelope")),
        }
    }
}

fn settled(action: Action) -> Verdict {
    Verdict::new(action, "said before the message came")
}

#[async_trait]
impl ContentFilter for Milter {
    fn name(&self) -> &str {
        &self.name
    }

    async fn look(&self, facts: &Facts<'_>, draft: &Draft) -> Result<Verdict, FilterError> {
        let kept = self.kept.lock().remove(&facts.envelope.transaction);
        match kept {
            Some(Kept::Open(mut dialog, _place)) => dialog.message(facts, draft).await,
            Some(Kept::Settled(action)) => Ok(settled(action)),
            Some(Kept::Absent(why)) => Err(FilterError::Resting(why)),
            None => self.replay(facts, draft).await,
        }
    }

    async fn health(&self) -> Result<String, FilterError> {
        let mut dialog = Dialog::open(&self.common.endpoint, &self.spool_folder).await?;
        dialog.quit().await;
        Ok(format!("version {} of the milter protocol", dialog.version()))
    }
}
