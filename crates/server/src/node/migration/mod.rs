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

/// How much mail a machine says that it has, by its queue: one that starts answers before it has opened that, and
/// what it
/// accepted must not be left behind meanwhile. Without the role edge there is no queue.
pub(super) fn waiting_mail(queue: Option<u64>, is_edge: bool) -> Option<u64> {
    queue.or((!is_edge).then_some(0))
}

#[cfg(test)]
mod tests {
    use super::waiting_mail;

    #[test]
    fn a_queue_that_is_not_open_yet_is_not_an_empty_one() {
        assert_eq!(waiting_mail(None, true), None);
        assert_eq!(waiting_mail(None, false), Some(0));
        assert_eq!(waiting_mail(Some(3), true), Some(3));
    }
}
