//! What the main node asks of the others' mail and numbers, and does with their queues. Both ends are this program; the
//! cluster carries it and does not look inside.

use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sterna_base::Clock;
use sterna_mailflow::guard::{GreylistFilter, GreylistKey, Greylisted, Guard};
use sterna_mailflow::queue::{Action, DeliveryId, Filter, Listed, Queue, TRY_PATIENCE};

use crate::graphs::{Graphs, Span};

/// Recipients in one answer about the queue; what is beyond it comes with the next page.
const RECIPIENTS_TOLD_MAX: usize = 50_000;

/// What is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "kebab-case")]
pub(crate) enum Question {
    /// What waits: [`Rows`] of [`Listed`].
    Queue {
        /// Which.
        filter: Filter,
        /// After this one.
        after: DeliveryId,
        /// At most so many.
        limit: usize,
    },
    /// Does something with it: [`sterna_mailflow::queue::Acted`].
    QueueAction {
        /// With which.
        filter: Filter,
        /// What.
        action: Action,
    },
    /// The greylist: [`Rows`] of [`Greylisted`].
    Greylist {
        /// Which.
        filter: GreylistFilter,
        /// After this one.
        after: GreylistKey,
        /// At most so many.
        limit: usize,
    },
    /// Forgets some of them; how many it were.
    ForgetGreylisted {
        /// Which.
        filter: GreylistFilter,
    },
    /// What was measured: [`crate::graphs::Measured`].
    Graphs {
        /// How far back.
        span: Span,
    },
}

/// Some rows of a listing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rows<T> {
    /// Those.
    pub items: Vec<T>,
    /// Whether more are there than these, up to what was asked for.
    #[serde(default)]
    pub is_cut: bool,
}

/// What answers on this node; its parts come one after the other while the node starts.
#[derive(Clone)]
pub(crate) struct Answers {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Its queue, where mail comes in.
    pub queue: Arc<OnceLock<Arc<Queue>>>,
    /// Who lets mail in, where mail comes in.
    pub guard: Arc<OnceLock<Arc<Guard>>>,
    /// Its numbers.
    pub graphs: Arc<Graphs>,
}

impl Answers {
    /// The answer to a question as it came from another node.
    ///
    /// # Errors
    /// Why there is none, for the operator.
    pub async fn answer(&self, question: Value) -> Result<Value, String> {
        let question = serde_json::from_value(question).map_err(|error| format!("the question is unknown: {error}"))?;
        match question {
            Question::Queue { filter, after, limit } => told(self.list(filter, after, limit).await?),
            Question::QueueAction { filter, action } => {
                let (queue, now) = (self.queue()?.clone(), self.clock.now());
                // Whoever asked may go away or lose patience: what was begun is done to its end.
                let acting = tokio::spawn(async move { queue.act(filter, action, now, TRY_PATIENCE).await });
                let done = acting.await.map_err(|error| error.to_string())?;
                told(done.map_err(|error| error.cause())?)
            }
            Question::Greylist { filter, after, limit } => {
                let found: Vec<Greylisted> =
                    self.guard()?.greylisted_after(filter, after, limit).await.map_err(|error| error.to_string())?;
                told(Rows { items: found, is_cut: false })
            }
            Question::ForgetGreylisted { filter } => {
                told(self.guard()?.delete_greylisted(filter).await.map_err(|error| error.to_string())?)
            }
            Question::Graphs { span } => told(self.graphs.measured(span, self.clock.now())),
        }
    }

    async fn list(&self, filter: Filter, after: DeliveryId, limit: usize) -> Result<Rows<Listed>, String> {
        let found = self.queue()?.list(filter, after, limit).await.map_err(|error| error.cause())?;
        let (whole, mut recipients) = (found.len(), 0);
        let mut items: Vec<Listed> = Vec::with_capacity(whole);
        for listed in found {
            recipients += listed.recipients.len();
            if recipients > RECIPIENTS_TOLD_MAX && !items.is_empty() {
                break;
            }
            items.push(listed);
        }
        Ok(Rows { is_cut: items.len() < whole, items })
    }

    fn queue(&self) -> Result<&Arc<Queue>, String> {
        self.queue.get().ok_or_else(|| "no mail comes in on this server, or not yet".to_owned())
    }

    fn guard(&self) -> Result<&Arc<Guard>, String> {
        self.guard.get().ok_or_else(|| "no mail comes in on this server, or not yet".to_owned())
    }
}

fn told<T: Serialize>(answer: T) -> Result<Value, String> {
    serde_json::to_value(answer).map_err(|error| error.to_string())
}

/// What an answer says.
///
/// # Errors
/// When it is none to the question: the other node runs another version.
pub(crate) fn read<T: DeserializeOwned>(answer: Value) -> Result<T, String> {
    serde_json::from_value(answer).map_err(|error| format!("the answer is not understood: {error}"))
}
