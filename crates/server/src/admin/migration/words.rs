//! What goes on, in one sentence for people.

use sterna_cluster::migration::step::Waits;
use sterna_directory::MigrationPhase;

use super::lag::Lag;
use crate::node::migration::driver::Pulse;

/// How long a phase usually lasts at most, in milliseconds; `None` where it waits for people.
pub(super) fn deadline_ms(phase: MigrationPhase) -> Option<i64> {
    const MINUTE: i64 = 60 * 1000;
    match phase {
        MigrationPhase::Switching | MigrationPhase::Returning => Some(60 * MINUTE),
        // As long as mail may wait for other servers.
        MigrationPhase::Finishing => Some(5 * 24 * 60 * MINUTE),
        MigrationPhase::Aborting => Some(10 * MINUTE),
        _ => None,
    }
}

/// The sentence. The old machine is known until it has heard that it is let go.
pub(super) fn says(
    phase: MigrationPhase,
    (from, is_old_known): (&str, bool),
    to: &str,
    pulse: &Pulse,
    lag: &Lag,
) -> String {
    let waits = pulse.waits.as_ref();
    match phase {
        MigrationPhase::Syncing if lag.accounts == 0 => {
            format!("{to} follows {from}; there are no accounts. Switch when you want: sterna migrate switch")
        }
        MigrationPhase::Syncing if lag.equal < lag.accounts => {
            format!("{to} copies from {from}: {} of {} accounts are equal", lag.equal, lag.accounts)
        }
        MigrationPhase::Syncing => {
            format!("{to} has everything that {from} has, and follows. Switch when you want: sterna migrate switch")
        }
        MigrationPhase::Switching => going(from, to, waits),
        MigrationPhase::Returning => going(to, from, waits),
        MigrationPhase::Switched => format!(
            "everything is on {to}. {from} follows, and passes on what still reaches it. Look at what still names {from} \
             (sterna migrate afterwards), then sterna migrate finish; or all of it back: sterna migrate back"
        ),
        MigrationPhase::Finishing => match waits {
            Some(Waits::Mail { left: Some(left) }) => {
                format!(
                    "{from} is let go when the mail in its queue has left: {left} messages wait (sterna queue list)"
                )
            }
            Some(Waits::Mail { left: None }) => {
                format!("{from} doesn't answer, and mail may wait in its queue: start it again until that has left")
            }
            _ => format!("{from} is being let go"),
        },
        MigrationPhase::Done if is_old_known => format!("{to} has taken {from}'s place; {from} has not heard that yet"),
        MigrationPhase::Done => format!("{to} has taken {from}'s place; that machine can be switched off"),
        MigrationPhase::Aborting => format!("the copies on {to} are given up"),
        MigrationPhase::Aborted => {
            format!("it was given up; {from} serves as before. {to} can be removed: sterna server remove {to}")
        }
    }
}

fn going(from: &str, to: &str, waits: Option<&Waits>) -> String {
    match waits {
        Some(Waits::Successor) => {
            format!("{to} is to become the main node and doesn't answer; start it, everything goes on meanwhile")
        }
        Some(Waits::Directory { behind }) => {
            format!("{to} is to become the main node and lacks {behind} changes of the directory")
        }
        Some(Waits::Accounts { left, failed: 0 }) => format!("{left} accounts go from {from} to {to}"),
        Some(Waits::Accounts { left, failed }) => format!(
            "{left} accounts are still on {from}; {failed} of them could not be moved (sterna job list says why; sterna \
             job retry ID tries again)"
        ),
        _ => format!("everything goes from {from} to {to}"),
    }
}
