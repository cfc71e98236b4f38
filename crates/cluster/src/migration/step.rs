//! What the main node does next for a migration: a pure function of its row and of what can be seen now.
//!
//! It runs on whichever machine is the main node at present. It remembers nothing: after any crash it is asked again.

use serde::{Deserialize, Serialize};

/// How far a migration is; the directory's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The new machine follows.
    Syncing,
    /// Main role and accounts go over.
    Switching,
    /// All is on the new machine.
    Switched,
    /// All goes back.
    Returning,
    /// The old machine is let go.
    Finishing,
    /// It was let go.
    Done,
    /// The copies are given up.
    Aborting,
    /// It was given up.
    Aborted,
}

/// Which of the two machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that is left.
    Old,
    /// The one that takes its place.
    New,
}

/// The migration, and what the directory says around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// How far it is.
    pub phase: Phase,
    /// Which of the two is the main node; `None` when it is another machine, and stays so.
    pub main: Option<Side>,
    /// Accounts on the old machine.
    pub on_old: u64,
    /// Accounts on the new machine.
    pub on_new: u64,
    /// Of those on the old machine, how many the new one has no copy of.
    pub uncopied: u64,
    /// Accounts that live on the wrong machine for this phase and for which no move is planned.
    pub unplanned: u64,
    /// Moves of its job that failed.
    pub failed: u64,
    /// Copies that this phase gives up and that are still declared.
    pub copies_left: u64,
    /// Whether the old machine is still a server of the installation.
    pub is_old_known: bool,
    /// The directory's modseq.
    pub head: u64,
    /// How long ago the phase changed, in milliseconds.
    pub phase_ms: u64,
}

/// What the other machine said just now, if it answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Up to where its copy of the directory is; `None` when it doesn't answer.
    pub modseq: Option<u64>,
    /// Whether it has fetched what the main node alone has, in this run of the driver and not long ago.
    pub has_files: bool,
    /// Messages that wait in the old machine's queue; `None` when it can't be asked.
    pub waiting_mail: Option<u64>,
}

/// The one thing to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Let the new machine hold copies of what it has none of.
    Follow,
    /// Let the machine that becomes the main node fetch what this one alone has.
    Fetch(Side),
    /// Make that machine the main node: the only commit point of that.
    HandOver(Side),
    /// Plan moves of the accounts that have none.
    Plan,
    /// Everything is where it is to be: the next phase.
    Enter(Phase),
    /// Give copies up.
    DropCopies,
    /// Remove the old machine from the servers.
    Forget,
    /// Nothing but to wait.
    Wait(Waits),
}

/// What a migration waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Waits {
    /// An administrator, who says when to switch.
    Switch,
    /// An administrator, who says whether it stays so or goes back.
    Verdict,
    /// The machine that is to become the main node doesn't answer.
    Successor,
    /// Its copy of the directory has to catch up first.
    Directory {
        /// Changes that it lacks.
        behind: u64,
    },
    /// Accounts are moving.
    Accounts {
        /// How many are not there yet.
        left: u64,
        /// How many of them were given up.
        failed: u64,
    },
    /// The old machine's queue has mail that waits.
    Mail {
        /// Messages; `None` when it can't be asked.
        left: Option<u64>,
    },
    /// The old machine has not heard yet that it is done.
    Farewell,
    /// Nothing: it is over.
    Nothing,
}

/// How far a copy of the directory may be behind when the role is handed over: the rest is one page.
pub const BEHIND_MAX: u64 = 100;
/// How long the old machine has to hear that it is done, in milliseconds: after that it is forgotten all the same, and
/// learns it from nobody answering.
pub const FAREWELL_MS: u64 = 60_000;

/// Says what to do next. Every step can be repeated.
pub fn next_step(view: &View, heard: &Heard) -> Step {
    match view.phase {
        Phase::Syncing if view.uncopied > 0 => Step::Follow,
        Phase::Syncing => Step::Wait(Waits::Switch),
        // The main node goes first. So the one that drives the moves is the one that stays, and its restart as the main
        // node is over before anybody is served there.
        Phase::Switching if view.main == Some(Side::Old) => hand_over(view, heard, Side::New),
        Phase::Switching => go_over(view, view.on_old, Phase::Switched),
        Phase::Switched => Step::Wait(Waits::Verdict),
        Phase::Returning if view.on_new == 0 && view.main == Some(Side::New) => hand_over(view, heard, Side::Old),
        Phase::Returning => go_over(view, view.on_new, Phase::Syncing),
        Phase::Finishing => finish(view, heard),
        Phase::Done if !view.is_old_known => Step::Wait(Waits::Nothing),
        Phase::Done if heard.modseq >= Some(view.head) || view.phase_ms > FAREWELL_MS => Step::Forget,
        Phase::Done => Step::Wait(Waits::Farewell),
        Phase::Aborting if view.copies_left > 0 => Step::DropCopies,
        Phase::Aborting => Step::Enter(Phase::Aborted),
        Phase::Aborted => Step::Wait(Waits::Nothing),
    }
}

fn hand_over(view: &View, heard: &Heard, to: Side) -> Step {
    let Some(modseq) = heard.modseq else { return Step::Wait(Waits::Successor) };
    let behind = view.head.saturating_sub(modseq);
    match heard {
        _ if behind > BEHIND_MAX => Step::Wait(Waits::Directory { behind }),
        Heard { has_files: false, .. } => Step::Fetch(to),
        _ => Step::HandOver(to),
    }
}

fn go_over(view: &View, left: u64, then: Phase) -> Step {
    match view {
        View { unplanned: 1.., .. } => Step::Plan,
        _ if left > 0 => Step::Wait(Waits::Accounts { left, failed: view.failed }),
        _ => Step::Enter(then),
    }
}

fn finish(view: &View, heard: &Heard) -> Step {
    match heard.waiting_mail {
        // Nothing that was accepted is left behind.
        None | Some(1..) => Step::Wait(Waits::Mail { left: heard.waiting_mail }),
        Some(0) if view.copies_left > 0 => Step::DropCopies,
        Some(0) => Step::Enter(Phase::Done),
    }
}
