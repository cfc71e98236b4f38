//! Accounts that are moved between the nodes of an installation.

use std::time::Duration;

use serde_json::Value;

use crate::installation::Installation;
use crate::wait::until;

/// How long a move of a small account may take, on a machine that does other things as well: a cut-over that was given
/// up comes again after a minute.
const MOVED_WITHIN: Duration = Duration::from_secs(150);

/// How long it may take until a job that was aborted is over.
const ABORTED_WITHIN: Duration = Duration::from_secs(30);

/// How long it may take until a copy is let go.
const RELEASED_WITHIN: Duration = Duration::from_secs(30);

impl Installation {
    /// Where the account lives, by the main node.
    pub fn server_of(&self, address: &str) -> Option<String> {
        let value = self.json(&["account", "where", address])?;
        value["server"].as_str().map(str::to_owned)
    }

    /// Begins a move, and does not wait for its end.
    ///
    /// # Panics
    /// When it is refused.
    pub fn begin_move(&self, address: &str, to: &str) {
        self.admin_ok("main", &["account", "move", address, "--to", to, "--detach"]);
    }

    /// The same, but says whether it was begun: a target or main node that is just ending refuses.
    pub fn try_begin_move(&self, address: &str, to: &str) -> bool {
        self.admin("main", &["account", "move", address, "--to", to, "--detach"]).status.success()
    }

    /// Waits until the account lives there.
    ///
    /// # Panics
    /// When it doesn't in time.
    pub fn is_moved(&self, address: &str, to: &str) {
        until(&format!("{address} is on {to}"), MOVED_WITHIN, || {
            (self.server_of(address).as_deref() == Some(to)).then_some(())
        });
    }

    /// Moves an account, and waits for the end. A move that was given up once, which comes again after a minute, is
    /// begun anew.
    ///
    /// # Panics
    /// When it doesn't get there in time.
    pub fn move_to(&self, address: &str, to: &str) {
        until(&format!("{address} is on {to}"), MOVED_WITHIN, || {
            if self.server_of(address)? == to {
                return Some(());
            }
            self.begin_again(address, to);
            None
        });
    }

    /// Begins a move unless one is under way. On a busy machine a cut-over may be given up, and comes again after a
    /// minute: such a move is aborted, to be begun anew.
    pub fn begin_again(&self, address: &str, to: &str) {
        match self.moves_under_way().first() {
            None => drop(self.try_begin_move(address, to)),
            Some((job, 1..)) => drop(self.admin("main", &["job", "abort", job])),
            Some(_) => {}
        }
    }

    /// Aborts whatever is under way, and waits until nothing is.
    ///
    /// # Panics
    /// When something still is after a while.
    pub fn give_up_moves(&self) {
        until("no job is active", ABORTED_WITHIN, || {
            let jobs = self.json(&["job", "list", "--active"])?;
            let jobs = jobs.as_array()?;
            for id in jobs.iter().filter_map(id) {
                drop(self.admin("main", &["job", "abort", &id]));
            }
            jobs.is_empty().then_some(())
        });
    }

    /// Deletes the copy that a server keeps of an account that was moved away from it, if it does.
    ///
    /// # Panics
    /// When there still is one after a while.
    pub fn release(&self, address: &str, server: &str) {
        until(&format!("{server} keeps no copy of {address}"), RELEASED_WITHIN, || {
            drop(self.admin("main", &["account", "release", address, "--on", server, "--yes"]));
            let copies = self.json(&["account", "standby", address])?;
            copies.as_array()?.is_empty().then_some(())
        });
    }

    /// The jobs with moves that have not ended, and how often the cut-over of one of them was given up.
    pub fn moves_under_way(&self) -> Vec<(String, u64)> {
        let jobs = self.json(&["job", "list", "--active"]).unwrap_or_default();
        let ids = jobs.as_array().into_iter().flatten().filter_map(id);
        let attempts = |id: &str| {
            let moves = self.json(&["job", "moves", id]).unwrap_or_default();
            moves.as_array().into_iter().flatten().filter_map(|row| row["attempts"].as_u64()).max().unwrap_or(0)
        };
        ids.map(|id| (id.clone(), attempts(&id))).collect()
    }

    /// What the moves under way complain of, by `sterna job show`.
    pub fn trouble_of_moves(&self) -> String {
        let jobs = self.moves_under_way();
        let shown = jobs.iter().filter_map(|(id, _)| self.json(&["job", "show", id]));
        shown.map(|job| job["moving"].to_string()).collect()
    }

    fn json(&self, arguments: &[&str]) -> Option<Value> {
        let output = self.admin("main", &[&["--json"], arguments].concat());
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Every account of all nodes holds every invariant, in whatever role it is.
    ///
    /// # Panics
    /// When one doesn't.
    pub fn is_sound(&self) {
        for node in self.nodes() {
            let output = crate::binary::run(&["check", "--deep", "--dir", &node.dir.to_string_lossy()]);
            crate::installation::succeeded(&format!("check of {}", node.name), &output);
        }
    }
}

fn id(job: &Value) -> Option<String> {
    let id = &job["id"];
    id.as_str().map(str::to_owned).or_else(|| id.as_u64().map(|id| id.to_string()))
}

/// Shows the nodes' logs when a test fails.
pub struct ShowLogs<'a>(pub &'a Installation);

impl Drop for ShowLogs<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[allow(clippy::print_stderr)] // what a failed test shows
            for node in self.0.nodes() {
                eprintln!("--- {}\n{}", node.name, node.log());
            }
        }
    }
}
