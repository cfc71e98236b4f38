//! Which version an installation wants.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sterna_base::Version;
use sterna_base::version::NoVersion;

/// What an administrator wants of updates. Nothing moves by itself under any of them: a policy says what the next plan
/// aims at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Policy {
    /// The latest.
    Open,
    /// This one, whatever else there is.
    Pinned(Version),
    /// The one that the main node runs: servers that have another one follow.
    #[default]
    Current,
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Policy::Open => f.write_str("open"),
            Policy::Pinned(version) => write!(f, "pinned {version}"),
            Policy::Current => f.write_str("current"),
        }
    }
}

/// What is no policy.
#[derive(Debug, thiserror::Error)]
pub enum NoPolicy {
    /// Another word.
    #[error("{0:?} is no policy; there are open, pinned X.Y.Z and current")]
    Unknown(String),
    /// A version that is none.
    #[error(transparent)]
    Version(#[from] NoVersion),
}

impl FromStr for Policy {
    type Err = NoPolicy;

    fn from_str(text: &str) -> Result<Self, NoPolicy> {
        match (text, text.strip_prefix("pinned ")) {
            ("open", _) => Ok(Policy::Open),
            ("current", _) => Ok(Policy::Current),
            (_, Some(version)) => Ok(Policy::Pinned(version.trim().parse()?)),
            _ => Err(NoPolicy::Unknown(text.to_owned())),
        }
    }
}

impl From<Policy> for String {
    fn from(policy: Policy) -> String {
        policy.to_string()
    }
}

impl TryFrom<String> for Policy {
    type Error = NoPolicy;

    fn try_from(text: String) -> Result<Self, NoPolicy> {
        text.parse()
    }
}
