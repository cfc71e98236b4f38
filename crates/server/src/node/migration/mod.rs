//! A machine takes another one's place (decision 48): what a node does for that besides following accounts.
//!
//! [`standing`] says what a node is when it starts, and when that changes. [`files`] accounts for every file of a
//! node's folder and brings those over that nothing else brings. [`driver`] does, on the main node, what
//! [`sterna_cluster::migration::step`] says.

pub mod driver;
pub mod files;
pub mod standing;

use sterna_base::NodeId;
use sterna_directory::{Migration, MigrationPhase};

/// Which machine takes the main role over next in this phase, and from whom; `None` when none does.
pub(super) fn successor(row: &Migration) -> Option<(NodeId, NodeId)> {
    match row.phase {
        MigrationPhase::Syncing | MigrationPhase::Switching if row.with_main => Some((row.to, row.from)),
        MigrationPhase::Switched | MigrationPhase::Returning if row.with_main => Some((row.from, row.to)),
        _ => None,
    }
}
