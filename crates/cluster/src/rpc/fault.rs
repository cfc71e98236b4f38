//! Errors of calls: what a node answers ([`Fault`]) and what its caller sees ([`CallError`]).

use serde::{Deserialize, Serialize};
use sterna_account::{AccountError, CommitError, StoreError};
use sterna_base::{AccountId, NodeId};

use crate::join::JoinRefused;
use crate::rpc::body::BodyError;

/// An error as it travels: JSON, so that a person with a packet in hand can read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What it is; a kind that only a newer release knows becomes [`FaultKind::Other`].
    #[serde(deserialize_with = "lenient")]
    pub kind: FaultKind,
    /// The same in words, for the operator.
    pub text: String,
}

/// What went wrong on the other node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The caller showed no certificate.
    #[error("this needs a node's certificate: join this machine to the installation first")]
    NoCertificate,
    /// The caller's certificate has expired; all it can be used for is its renewal.
    #[error("this node's certificate has expired; the main node renews it as soon as it can be reached")]
    Expired,
    /// The caller's node is not in the directory (any more).
    #[error("node {0} is not in the directory: it was removed, or the change has not arrived yet")]
    UnknownNode(NodeId),
    /// Only the main node may ask for this.
    #[error("only the main node may ask for this")]
    NotMain,
    /// The releases are too far apart.
    #[error("release {theirs} can't talk to release {ours}; only neighbouring releases can: update the older one")]
    Release {
        /// The caller's.
        theirs: u32,
        /// The answering node's.
        ours: u32,
    },
    /// There is no such route on this node.
    #[error("this node doesn't serve that")]
    NoRoute,
    /// The body is too large.
    #[error("the request is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// The body stood still.
    #[error("the request stood still and was given up")]
    Stalled,
    /// The body or a header could not be read.
    #[error("the request could not be read: {0}")]
    Malformed(String),
    /// There is no such account, or it is not on this node.
    #[error("there is no account {0} here")]
    NoSuchAccount(AccountId),
    /// The directory doesn't say that the caller holds a copy of the account.
    #[error("the directory names no copy of this account on node {0}")]
    NoCopyThere(NodeId),
    /// A copy does not do what it was asked.
    #[error("the copy: {0}")]
    Copy(String),
    /// The account can't be reached from the answering node.
    #[error("{0}")]
    Unavailable(String),
    /// A commit was refused.
    #[error(transparent)]
    Commit(CommitError),
    /// The store could not answer.
    #[error(transparent)]
    Store(StoreError),
    /// A join request was refused.
    #[error(transparent)]
    Join(JoinRefused),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

fn lenient<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<FaultKind, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value.clone()).unwrap_or_else(|_| FaultKind::Other(value.to_string())))
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        let text = kind.to_string();
        Fault { kind, text }
    }
}

impl FaultKind {
    /// The HTTP status (RFC 9110 section 15) that goes with it.
    pub fn status(&self) -> http::StatusCode {
        use http::StatusCode;
        match self {
            FaultKind::NoCertificate | FaultKind::Expired => StatusCode::UNAUTHORIZED,
            FaultKind::UnknownNode(_) | FaultKind::NotMain | FaultKind::Join(_) | FaultKind::NoCopyThere(_) => {
                StatusCode::FORBIDDEN
            }
            FaultKind::Release { .. } => StatusCode::UPGRADE_REQUIRED,
            FaultKind::NoRoute | FaultKind::NoSuchAccount(_) => StatusCode::NOT_FOUND,
            FaultKind::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            FaultKind::Stalled => StatusCode::REQUEST_TIMEOUT,
            FaultKind::Malformed(_) => StatusCode::BAD_REQUEST,
            FaultKind::Commit(_) | FaultKind::Copy(_) => StatusCode::CONFLICT,
            FaultKind::Store(_) | FaultKind::Other(_) => StatusCode::INTERNAL_SERVER_ERROR,
            FaultKind::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<AccountError> for FaultKind {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::NoSuchAccount(account) => FaultKind::NoSuchAccount(account),
            AccountError::Unavailable(text) => FaultKind::Unavailable(text),
            AccountError::Refused(error) => FaultKind::Commit(error),
            AccountError::Store(error) => FaultKind::Store(error),
        }
    }
}

impl From<BodyError> for FaultKind {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge(bytes_max) => FaultKind::TooLarge { bytes_max },
            BodyError::Stalled(_) => FaultKind::Stalled,
            BodyError::Broken(error) => FaultKind::Malformed(error.to_string()),
        }
    }
}

/// Why a call has no answer, as its caller sees it. `node` is the display name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The directory knows no such node.
    #[error("there is no node {0} in the directory")]
    UnknownNode(NodeId),
    /// The node was known to be down; nothing was sent.
    #[error("node {node} can't be reached: {cause}")]
    Down {
        /// Who.
        node: String,
        /// What the last attempt met.
        cause: String,
    },
    /// The connection broke after the request may have been sent: nobody knows whether it was done.
    #[error("the connection to node {node} broke: {cause}")]
    Lost {
        /// Who.
        node: String,
        /// Why.
        cause: String,
    },
    /// No answer in time: nobody knows whether it was done.
    #[error("node {node} didn't answer within {timeout_ms} ms")]
    TimedOut {
        /// Who.
        node: String,
        /// How long it was waited for.
        timeout_ms: u64,
    },
    /// The node answered with an error.
    #[error("node {node}: {}", fault.text)]
    Refused {
        /// Who.
        node: String,
        /// What it said.
        fault: Fault,
    },
    /// The answer could not be read.
    #[error("the answer of node {node} could not be read: {cause}")]
    Malformed {
        /// Who.
        node: String,
        /// Why.
        cause: String,
    },
}

impl CallError {
    /// Whether the same request may be repeated at once over a new connection.
    pub fn is_lost(&self) -> bool {
        matches!(self, CallError::Lost { .. })
    }
}

impl From<CallError> for AccountError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused { fault: Fault { kind: FaultKind::NoSuchAccount(account), .. }, .. } => {
                AccountError::NoSuchAccount(account)
            }
            CallError::Refused { fault: Fault { kind: FaultKind::Commit(error), .. }, .. } => error.into(),
            CallError::Refused { fault: Fault { kind: FaultKind::Store(error), .. }, .. } => error.into(),
            error => AccountError::Unavailable(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sterna_base::Epoch;

    fn round_trip(error: AccountError) -> AccountError {
        let fault = Fault::from(FaultKind::from(error));
        let fault: Fault = serde_json::from_slice(&serde_json::to_vec(&fault).unwrap()).unwrap();
        CallError::Refused { node: "alpha".into(), fault }.into()
    }

    #[test]
    fn account_errors_arrive_as_they_were_sent() {
        for error in [
            AccountError::NoSuchAccount(AccountId(3)),
            AccountError::Refused(CommitError::WrongEpoch { current: Epoch(9) }),
            AccountError::Refused(CommitError::OverQuota),
            AccountError::Refused(CommitError::Limit("keywords".into())),
            AccountError::Store(StoreError::NewerFormat { found: 2, supported: 1 }),
            AccountError::Store(StoreError::NoSuchBlob(sterna_base::BlobHash::of(b"x"))),
        ] {
            assert_eq!(round_trip(error.clone()), error);
        }
    }

    #[test]
    fn a_kind_of_a_newer_release_keeps_its_words() {
        let fault: Fault = serde_json::from_str(r#"{"kind":{"newer":{"a":1}},"text":"words","more":1}"#).unwrap();
        assert_eq!(fault.text, "words");
        assert!(matches!(fault.kind, FaultKind::Other(_)));
    }
}
