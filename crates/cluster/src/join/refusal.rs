//! Why the main node doesn't let a machine in; each with what to do next.

use serde::{Deserialize, Serialize};
use sterna_base::NodeId;

/// The main node's reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum JoinRefused {
    /// No token has this secret.
    #[error("the token is not one of this installation; make a new one on the main node: sterna server invite")]
    WrongToken,
    /// Another node has used it.
    #[error(
        "the token was used by node {by}; a token lets one node in: make a new one on the main node: sterna server invite"
    )]
    TokenUsed {
        /// Which.
        by: NodeId,
    },
    /// It is too old.
    #[error("the token expired {} ago; make a new one on the main node: sterna server invite", span(*.ago_ms))]
    TokenExpired {
        /// Milliseconds.
        ago_ms: i64,
    },
    /// The two clocks differ too much; certificates would not be believed.
    #[error(
        "this machine's clock is {} {} the main node's; set it (timedatectl set-ntp true), then join again with the same token",
        span(.ahead_ms.abs()),
        if *.ahead_ms > 0 { "ahead of" } else { "behind" }
    )]
    Clock {
        /// How far the joining machine's clock is ahead, in milliseconds.
        ahead_ms: i64,
    },
    /// The releases are not neighbours.
    #[error(
        "this machine runs Sterna {theirs}, the main node {ours}; install the main node's version here, then join again with the same token"
    )]
    Version {
        /// The joining machine's.
        theirs: String,
        /// The main node's.
        ours: String,
    },
    /// This node id is in the installation already.
    #[error(
        "node {0} is in the installation already; remove it first (sterna server delete) or join with an empty data directory"
    )]
    NodeKnown(NodeId),
    /// The name is taken.
    #[error("a server of the name {0:?} exists; choose another with --name, then join again with the same token")]
    NameTaken(String),
    /// The token doesn't allow the roles that were asked for.
    #[error(
        "the token doesn't allow these roles; ask for others with --roles, or invite with them: sterna server invite --roles"
    )]
    Roles,
    /// The request makes no sense.
    #[error("the join request is not valid: {0}")]
    Invalid(String),
    /// The main node could not write something down.
    #[error("the main node could not let the node in: {0}; look into its log, then try again")]
    Failed(String),
}

/// A span of time as people say it.
fn span(ms: i64) -> String {
    let minutes = ms / 60_000;
    match (minutes / 1440, minutes / 60, minutes) {
        (0, 0, 0) => format!("{} s", ms / 1000),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {} min", minutes % 60),
        (days, hours, _) => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_fitting_units() {
        let said: Vec<String> = [5_000, 360_000, 5_400_000, 93_600_000].map(span).into();
        assert_eq!(said, ["5 s", "6 min", "1 h 30 min", "1 d 2 h"]);
    }

    #[test]
    fn every_refusal_says_which_way_the_clock_is_wrong() {
        let text = JoinRefused::Clock { ahead_ms: -86_400_000 }.to_string();
        assert!(text.contains("1 d 0 h behind"), "{text}");
    }
}
