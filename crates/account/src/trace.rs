//! Where a message went: what edges remember of each, and how it is asked for. It lies here because nodes ask each
//! other for it, and neither those who write it down nor those who carry the question know the other.

use serde::{Deserialize, Serialize};
use sterna_base::Timestamp;

/// Most messages of one answer.
pub const TRACED_MAX: usize = 100;
/// Most events of one message in an answer; of more, the latest.
pub const EVENTS_MAX: usize = 1000;
/// Events after which an answer has no further message.
pub const EVENTS_OF_ANSWER_MAX: usize = 2000;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceQuery {
    /// An address (of the sender or of a recipient), a Message-ID, or the id that the queue and the `250` named.
    pub text: String,
    /// Only messages since then.
    pub since: Timestamp,
    /// Most messages, the latest first; [`TRACED_MAX`] at most.
    pub limit: usize,
    /// Only messages that one of these addresses sent or was to get; empty is all messages.
    #[serde(default)]
    pub involving: Vec<String>,
}

/// A message, or an attempt to send one that was refused before it had a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedMessage {
    /// Its id in queue, log and `Received` field; `None` when it was refused before it had one.
    pub id: Option<String>,
    /// When it came in.
    pub at: Timestamp,
    /// Its Message-ID, with its brackets.
    pub message_id: Option<String>,
    /// The reverse-path; empty for notifications.
    pub sender: String,
    /// Who handed it in.
    pub origin: String,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// What happened to it, in order.
    pub events: Vec<TraceEvent>,
}

/// Something that happened to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEvent {
    /// When.
    pub at: Timestamp,
    /// For which recipient; empty for all of them.
    pub recipient: String,
    /// What.
    pub what: Traced,
    /// Where to, as the queue writes it; empty where it doesn't matter.
    #[serde(default)]
    pub destination: String,
    /// Which server answered; empty when none did.
    #[serde(default)]
    pub host: String,
    /// Why, or what the other server said.
    #[serde(default)]
    pub detail: String,
    /// When it is tried again.
    #[serde(default)]
    pub next: Option<Timestamp>,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Traced {
    /// It was not taken: the sender knows.
    Refused,
    /// What was found out about its origin and content.
    Verdict,
    /// It is in the account.
    Delivered,
    /// It waits in the queue.
    Queued,
    /// Another server has taken it.
    Sent,
    /// It could not be delivered yet.
    Deferred,
    /// It was given up.
    Failed,
}

impl Traced {
    /// Its name in stored rows.
    pub fn name(self) -> &'static str {
        match self {
            Traced::Refused => "refused",
            Traced::Verdict => "verdict",
            Traced::Delivered => "delivered",
            Traced::Queued => "queued",
            Traced::Sent => "sent",
            Traced::Deferred => "deferred",
            Traced::Failed => "failed",
        }
    }

    /// From its name; what a later version may have written counts as a verdict.
    pub fn from_name(name: &str) -> Self {
        let all = [Traced::Refused, Traced::Delivered, Traced::Queued, Traced::Sent, Traced::Deferred, Traced::Failed];
        all.into_iter().find(|what| what.name() == name).unwrap_or(Traced::Verdict)
    }
}
