//! Nodes that end or stop at an exact step of their work ([`sterna_base::failpoint`]).

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::installation::Installation;
use crate::wait::until;

/// How long a node may take to come by, on a machine that does other things as well.
const REACHED_WITHIN: Duration = Duration::from_secs(60);

/// What a node does when it comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    /// What kill -9 does.
    End,
    /// SIGSTOP.
    Stop,
}

impl Installation {
    /// Lets a node end or stop when it comes by this failpoint for the next time.
    ///
    /// # Panics
    /// When the file can't be written.
    pub fn arm(&self, node: &str, failpoint: &str, strike: Strike) {
        let text = if strike == Strike::Stop { sterna_base::failpoint::STOP } else { "" };
        let path = self.failpoint(node, failpoint);
        // A node that comes by must not read half of it.
        let half = path.with_extension("new");
        let written = fs::write(&half, text).and_then(|()| fs::rename(&half, &path));
        written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Takes an armed failpoint back, if nobody came by.
    pub fn disarm(&self, node: &str, failpoint: &str) {
        let _ = fs::remove_file(self.failpoint(node, failpoint));
    }

    /// Waits until the node came by and has ended.
    ///
    /// # Panics
    /// When it doesn't come by in time.
    pub fn ends_at(&mut self, node: &str, failpoint: &str) {
        let reached = || self.is_reached(node, failpoint).then_some(());
        until(&format!("{node} reaches {failpoint}"), REACHED_WITHIN, reached);
        self.wait_for_end(node);
    }

    /// Whether somebody came by the failpoint since it was armed.
    pub fn is_reached(&self, node: &str, failpoint: &str) -> bool {
        !self.failpoint(node, failpoint).exists()
    }

    /// Waits until a node that was sent SIGSTOP stands.
    ///
    /// # Panics
    /// When it goes on.
    pub fn wait_for_stop(&self, node: &str) {
        let path = format!("/proc/{}/stat", self.node(node).process_id());
        until(&format!("{node} stands"), REACHED_WITHIN, || {
            let stat = fs::read_to_string(&path).unwrap_or_default();
            stat.rsplit_once(") ").filter(|(_, state)| state.starts_with('T')).map(drop)
        });
    }

    fn failpoint(&self, node: &str, failpoint: &str) -> PathBuf {
        self.failpoints(node).join(failpoint)
    }
}
