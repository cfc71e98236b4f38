//! Nodes that end at a step of a move: each party at each step, and what comes after their return.

#![allow(clippy::print_stdout)] // how long each return took

use std::time::{Duration, Instant};

use sterna_base::limits::INLINE_BLOB_BYTES_MAX;
use sterna_testkit::failpoints::Strike;
use sterna_testkit::installation::{Doors, Installation};
use sterna_testkit::ledger::{Ledger, Message, messages, uid_status};
use sterna_testkit::moving::ShowLogs;
use sterna_testkit::wait::{pass, until};

const BEN: &str = "ben@tern.test";

/// How long a restarted node may take until its users are served, however busy this machine is.
const SERVED_WITHIN: Duration = Duration::from_secs(20);

/// Acknowledgements before a move, so that it has something to copy.
const ACKNOWLEDGED_BEFORE: usize = 5;

/// Long enough for each writer to begin something that waits, and shorter than anybody waits.
const EVERYBODY_WRITES_WITHIN: Duration = Duration::from_millis(500);

/// Steps of a move to where no copy is. One message is too large to be fetched with others.
const COPYING: [(&str, &str); 3] = [("store-made", "alpha"), ("target-fetched", "alpha"), ("target-staged", "alpha")];

/// Steps of a move to where a copy was kept.
const MOVING: [(&str, &str); 19] = [
    ("main-planned", "main"),
    ("main-copying", "main"),
    ("source-paging", "beta"),
    ("target-applied", "alpha"),
    ("main-cut-over", "main"),
    ("source-sealing", "beta"),
    ("source-sealed", "beta"),
    ("main-sealed", "main"),
    ("target-readying", "alpha"),
    ("target-ready", "alpha"),
    ("main-ready", "main"),
    ("main-committing", "main"),
    ("main-committed", "main"),
    ("store-activating", "alpha"),
    ("store-active", "alpha"),
    ("store-leaving", "beta"),
    ("store-following", "beta"),
    ("directory-followed", "beta"),
    ("directory-followed", "alpha"),
];

/// Steps of a cut-over that is given up, because alpha stands where it should have become ready.
const GIVING_UP: [(&str, &str); 7] = [
    ("main-aborting", "main"),
    ("main-aborted", "main"),
    ("store-activating", "beta"),
    ("store-active", "beta"),
    ("store-leaving", "alpha"),
    ("store-following", "alpha"),
    ("directory-followed", "beta"),
];

/// Steps of the end of a kept copy.
const RELEASING: [(&str, &str); 3] =
    [("store-deleting", "alpha"), ("store-deleted", "alpha"), ("main-store-gone", "main")];

/// Steps of the edge, whose sessions end with it.
const EDGE: [&str; 3] = ["edge-holding", "edge-rerouting", "directory-followed"];

/// Ben on beta, and everything that is known of him.
struct Stage<'a> {
    installation: &'a mut Installation,
    ledger: &'a Ledger,
    edge: Doors,
    validity: u32,
    dump: Vec<Message>,
    returns: Vec<Duration>,
}

impl Stage<'_> {
    /// Starts a node that has ended, and waits until ben is served by somebody.
    fn returns(&mut self, node: &str, failpoint: &str) {
        self.installation.ends_at(node, failpoint);
        let returned = Instant::now();
        self.installation.serve(node);
        self.is_served(failpoint);
        println!("{node} at {failpoint}: ben is served {} ms after the restart", returned.elapsed().as_millis());
        self.returns.push(returned.elapsed());
    }

    fn is_served(&self, when: &str) {
        let _show = ShowLogs(self.installation);
        until(&format!("ben is served after {when}"), SERVED_WITHIN, || {
            let mut imap = self.edge.login(BEN).ok()?;
            uid_status(&mut imap, "INBOX").filter(|status| status.0 == self.validity)
        });
        self.ledger.grows_by(1);
    }

    /// What was in the mailbox is in it, as it was.
    fn keeps_what_it_had(&mut self) {
        let now = messages(&mut self.edge.login(BEN).unwrap(), "INBOX");
        assert_eq!(now.get(..self.dump.len()), Some(&self.dump[..]), "what is there changed");
        self.dump = now;
    }

    /// Brings everything to where it was.
    fn home(&mut self) {
        let _show = ShowLogs(self.installation);
        self.installation.give_up_moves();
        self.installation.move_to(BEN, "beta");
        self.installation.give_up_moves();
    }

    fn ends_while_moving(&mut self, failpoint: &str, node: &str) {
        self.ledger.grows_by(ACKNOWLEDGED_BEFORE);
        self.installation.arm(node, failpoint, Strike::End);
        // Who ends may be who is asked for the move, or was to be asked for it.
        self.installation.try_begin_move(BEN, "alpha");
        self.returns(node, failpoint);
        let show = ShowLogs(self.installation);
        self.installation.move_to(BEN, "alpha");
        drop(show);
        self.keeps_what_it_had();
        self.home();
    }

    /// The main node stands for a moment before it commits: so commands wait at the edge, and are sent again.
    fn edge_ends(&mut self, failpoint: &str) {
        self.ledger.grows_by(ACKNOWLEDGED_BEFORE);
        self.installation.arm("edge", failpoint, Strike::End);
        self.installation.arm("main", "main-committing", Strike::Stop);
        let mut command =
            self.installation.admin_command("main", &["account", "move", BEN, "--to", "alpha", "--detach"]);
        let asked = std::thread::spawn(move || command.output());
        until("the main node stands", SERVED_WITHIN, || {
            self.installation.is_reached("main", "main-committing").then_some(())
        });
        self.installation.wait_for_stop("main");
        pass(EVERYBODY_WRITES_WITHIN);
        self.installation.thaw("main");
        assert!(asked.join().unwrap().is_ok());
        self.returns("edge", failpoint);
        self.installation.move_to(BEN, "alpha");
        self.keeps_what_it_had();
        self.home();
    }

    fn ends_while_giving_up(&mut self, failpoint: &str, node: &str) {
        let show = ShowLogs(self.installation);
        self.ledger.grows_by(ACKNOWLEDGED_BEFORE);
        self.installation.arm("alpha", "target-readying", Strike::Stop);
        until("alpha stands", SERVED_WITHIN, || {
            if !self.installation.is_reached("alpha", "target-readying") {
                self.installation.begin_again(BEN, "alpha");
                return None;
            }
            Some(())
        });
        self.installation.wait_for_stop("alpha");
        drop(show);
        self.installation.arm(node, failpoint, Strike::End);
        if node == "alpha" {
            // It awakes, and finds that it was not waited for.
            self.is_served("the cut-over was given up");
            self.installation.thaw("alpha");
        }
        self.returns(node, failpoint);
        if node != "alpha" {
            self.installation.thaw("alpha");
        }
        assert_eq!(self.installation.server_of(BEN).as_deref(), Some("beta"));
        self.keeps_what_it_had();
        self.home();
    }

    /// An administrator aborts the job while it copies.
    fn main_ends_while_aborting(&mut self) {
        self.installation.release(BEN, "alpha");
        self.installation.arm("alpha", "target-applied", Strike::Stop);
        self.installation.try_begin_move(BEN, "alpha");
        self.installation.wait_for_stop("alpha");
        self.installation.arm("main", "main-given-up", Strike::End);
        let (job, _) = self.installation.moves_under_way().remove(0);
        drop(self.installation.admin("main", &["job", "abort", &job]));
        self.returns("main", "main-given-up");
        self.installation.thaw("alpha");
        assert_eq!(self.installation.server_of(BEN).as_deref(), Some("beta"));
        self.keeps_what_it_had();
        self.home();
    }

    fn ends_while_releasing(&mut self, failpoint: &str, node: &str) {
        self.installation.move_to(BEN, "alpha");
        self.installation.move_to(BEN, "beta");
        self.installation.give_up_moves();
        self.installation.arm(node, failpoint, Strike::End);
        drop(self.installation.admin("main", &["account", "release", BEN, "--on", "alpha", "--yes"]));
        self.returns(node, failpoint);
        self.keeps_what_it_had();
    }
}

#[test]
fn a_node_that_ends_at_any_step_of_a_move_loses_nothing() {
    let mut installation = Installation::new();
    installation.start_main("main", Default::default());
    for (name, roles) in [("edge", "edge"), ("alpha", "data"), ("beta", "data")] {
        installation.join_and_serve(name, roles, Default::default());
    }
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(BEN, "beta");
    let edge = installation.node("edge").at;
    let mut observer = until("ben may log in", SERVED_WITHIN, || edge.login(BEN).ok()).0;
    let validity = until("ben is served", SERVED_WITHIN, || uid_status(&mut observer, "INBOX")).0.0;
    assert!(observer.command("CREATE Work").unwrap().ok());
    assert!(observer.command("CREATE Large").unwrap().ok());
    assert!(observer.append("Large", &vec![b'x'; 2 * INLINE_BLOB_BYTES_MAX]).unwrap().ok());
    let work_validity = uid_status(&mut observer, "Work").unwrap().0;

    let ledger = Ledger::default();
    std::thread::scope(|scope| {
        let ledger = &ledger;
        let _end = ledger.end_later();
        scope.spawn(move || ledger.deliver(|| edge.lmtp(), BEN, 0));
        scope.spawn(move || ledger.work(|| edge.login(BEN), "Work", 0));
        let (dump, returns) = Default::default();
        let mut stage = Stage { installation: &mut installation, ledger, edge, validity, dump, returns };
        for (failpoint, node) in COPYING {
            stage.installation.release(BEN, "alpha");
            stage.ends_while_moving(failpoint, node);
        }
        MOVING.iter().for_each(|(failpoint, node)| stage.ends_while_moving(failpoint, node));
        GIVING_UP.iter().for_each(|(failpoint, node)| stage.ends_while_giving_up(failpoint, node));
        stage.main_ends_while_aborting();
        RELEASING.iter().for_each(|(failpoint, node)| stage.ends_while_releasing(failpoint, node));
        assert_eq!(ledger.interruptions(), [""; 0], "nobody's session ended with another node");
        EDGE.iter().for_each(|failpoint| stage.edge_ends(failpoint));
        stage.returns.sort_unstable();
        println!(
            "half of the returns took at most {:?}; all: {:?}",
            stage.returns[stage.returns.len() / 2],
            stage.returns
        );
    });
    let mut observer = edge.login(BEN).unwrap();
    ledger.compare(&mut observer, "INBOX", "lmtp-", validity);
    ledger.compare(&mut observer, "Work", "work-", work_validity);
    installation.is_sound();
}
