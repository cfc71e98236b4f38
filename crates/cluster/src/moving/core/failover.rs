//! When the main node fails a server over by itself: pure decisions.
//!
//! It never does when it is not sure that the fault is not its own: shortly after its start, or when it hears of few
//! others. It does one server at a time, and none while two are silent: that is more likely to be the network.

use sterna_base::NodeId;

use super::lease::{LEASE_ASK_MS, LEASE_MS};

/// A server that asked for a lease within this time is there.
pub const HEARD_MS: u64 = 3 * LEASE_ASK_MS + LEASE_MS;

/// What was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// After how long without a server; zero is never.
    pub after_ms: u64,
    /// How long before its server fell silent a copy at durability 1 may have been equal for the last time; zero takes
    /// over only what acknowledgements waited for.
    pub lag_ms: u64,
}

/// One server that holds accounts, other than the main node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Which.
    pub node: NodeId,
    /// How long the main node did not hear of it.
    pub silent_ms: u64,
    /// Whether it holds accounts that have a standby copy.
    pub has_standby: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// All servers are there, or it is switched off, or nobody could take over.
    Nothing,
    /// A server is silent, and that is not long enough yet.
    Waits(NodeId),
    /// A server is lost, and is not failed over.
    Refused(NodeId, Refusal),
    /// Fail this server over.
    FailOver(NodeId),
}

/// Why a server that is lost is not failed over without being told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The main node does not know yet whom it should hear of.
    #[error("the main node was started only just now")]
    JustStarted,
    /// A failover is under way.
    #[error("another failover is under way")]
    Busy,
    /// More than one server is silent.
    #[error("more than one server doesn't answer: the network may be at fault")]
    Several,
    /// The main node may be the one that is cut off.
    #[error("too few other servers answer to tell whether the main node is cut off")]
    CutOff,
}

/// What the main node does about these servers. `running_ms` is how long it runs, `is_busy` whether a failover is under
/// way.
pub fn decide(settings: Settings, servers: &[Heard], running_ms: u64, is_busy: bool) -> Decision {
    if settings.after_ms == 0 {
        return Decision::Nothing;
    }
    let silent = || servers.iter().filter(|server| server.silent_ms > HEARD_MS);
    let Some(lost) = silent().filter(|server| server.has_standby).max_by_key(|server| server.silent_ms) else {
        return Decision::Nothing;
    };
    if lost.silent_ms < settings.after_ms {
        return Decision::Waits(lost.node);
    }
    let others = servers.len() - 1;
    let heard = servers.len() - silent().count();
    let refusal = if running_ms < settings.after_ms.max(HEARD_MS) + HEARD_MS {
        Some(Refusal::JustStarted)
    } else if is_busy {
        Some(Refusal::Busy)
    } else if heard == 0 || 2 * heard <= others {
        Some(Refusal::CutOff)
    } else if silent().count() > 1 {
        Some(Refusal::Several)
    } else {
        None
    };
    refusal.map_or(Decision::FailOver(lost.node), |refusal| Decision::Refused(lost.node, refusal))
}

/// The standby copy of one account of a lost server, as its holder says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandbySaid {
    /// Whether it ever was equal to its account.
    pub is_complete: bool,
    /// Whether it has every change that was ever acknowledged.
    pub is_awaited: bool,
    /// How long ago it was equal for the last time; `None` when it was not since its server was started.
    pub equal_ms: Option<u64>,
    /// How long its server did not hear of the lost one.
    pub silent_ms: u64,
}

/// Why an account of a lost server stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Kept {
    /// The server is cut off from the main node only.
    #[error("the server with its standby copy still hears of its server")]
    StillHeard,
    /// Parts of the account may be missing altogether.
    #[error("its standby copy was never complete; it is completed when its server is back")]
    Incomplete,
    /// More would be lost than was allowed.
    #[error("its standby copy lacks more than failover.lag-seconds allows")]
    Behind,
}

/// Whether an account may be taken over without anybody being asked. `silent_ms` is how long the main node did not hear
/// of its server.
///
/// # Errors
/// Why not.
pub fn check_account(settings: Settings, said: &StandbySaid, silent_ms: u64) -> Result<(), Kept> {
    if said.silent_ms <= HEARD_MS {
        return Err(Kept::StillHeard);
    }
    if !said.is_complete {
        return Err(Kept::Incomplete);
    }
    let lag_ms = said.equal_ms.map(|equal_ms| equal_ms.saturating_sub(silent_ms));
    let is_close = settings.lag_ms > 0 && lag_ms.is_some_and(|lag_ms| lag_ms <= settings.lag_ms);
    if said.is_awaited || is_close { Ok(()) } else { Err(Kept::Behind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings { after_ms: 60_000, lag_ms: 15_000 };
    const LONG_MS: u64 = 10_000_000;

    fn servers(silent: &[u64]) -> Vec<Heard> {
        let heard = |(at, silent_ms): (usize, &u64)| Heard {
            node: NodeId([at as u8 + 1; 16]),
            silent_ms: *silent_ms,
            has_standby: true,
        };
        silent.iter().enumerate().map(heard).collect()
    }

    fn decided(silent: &[u64]) -> Decision {
        decide(SETTINGS, &servers(silent), LONG_MS, false)
    }

    const FIRST: NodeId = NodeId([1; 16]);

    #[test]
    fn one_server_that_is_gone_for_long_enough_is_failed_over() {
        assert_eq!(decided(&[0, 900, 1_000]), Decision::Nothing);
        assert_eq!(decided(&[HEARD_MS, 0, 0]), Decision::Nothing);
        assert_eq!(decided(&[59_999, 0, 0]), Decision::Waits(FIRST));
        assert_eq!(decided(&[60_000, 0, 0]), Decision::FailOver(FIRST));
        let off = Settings { after_ms: 0, ..SETTINGS };
        assert_eq!(decide(off, &servers(&[LONG_MS, 0, 0]), LONG_MS, false), Decision::Nothing);
        let mut none = servers(&[LONG_MS, 0, 0]);
        none[0].has_standby = false;
        assert_eq!(decide(SETTINGS, &none, LONG_MS, false), Decision::Nothing);
    }

    #[test]
    fn a_main_node_that_may_be_cut_off_does_nothing() {
        // Nobody else is there to tell the one from the other.
        assert_eq!(decided(&[60_000]), Decision::Refused(FIRST, Refusal::CutOff));
        assert_eq!(decided(&[60_000, 20_000]), Decision::Refused(FIRST, Refusal::CutOff));
        assert_eq!(decided(&[60_000, 0]), Decision::FailOver(FIRST));
        assert_eq!(decided(&[60_000, 20_000, 0]), Decision::Refused(FIRST, Refusal::CutOff));
        // The other silent one need not have been silent for as long.
        assert_eq!(decided(&[60_000, 20_000, 0, 0]), Decision::Refused(FIRST, Refusal::Several));
        assert_eq!(decided(&[60_000, 60_000, 0, 0, 0]), Decision::Refused(NodeId([2; 16]), Refusal::Several));
    }

    #[test]
    fn a_main_node_that_was_just_started_or_is_at_it_waits() {
        let lost = servers(&[60_000, 0, 0]);
        let young = 60_000 + HEARD_MS;
        assert_eq!(decide(SETTINGS, &lost, young - 1, false), Decision::Refused(FIRST, Refusal::JustStarted));
        assert_eq!(decide(SETTINGS, &lost, young, false), Decision::FailOver(FIRST));
        assert_eq!(decide(SETTINGS, &lost, young, true), Decision::Refused(FIRST, Refusal::Busy));
    }

    #[test]
    fn an_account_is_taken_over_with_what_was_allowed_to_be_lost_only() {
        let said = StandbySaid { is_complete: true, is_awaited: false, equal_ms: Some(70_000), silent_ms: 60_000 };
        assert_eq!(check_account(SETTINGS, &said, 60_000), Ok(()));
        assert_eq!(check_account(SETTINGS, &StandbySaid { equal_ms: Some(75_001), ..said }, 60_000), Err(Kept::Behind));
        assert_eq!(check_account(SETTINGS, &StandbySaid { equal_ms: None, ..said }, 60_000), Err(Kept::Behind));
        let strict = Settings { lag_ms: 0, ..SETTINGS };
        assert_eq!(check_account(strict, &StandbySaid { equal_ms: Some(1), ..said }, 60_000), Err(Kept::Behind));
        let awaited = StandbySaid { is_awaited: true, equal_ms: None, ..said };
        assert_eq!(check_account(strict, &awaited, 60_000), Ok(()));
        let incomplete = StandbySaid { is_complete: false, ..said };
        assert_eq!(check_account(SETTINGS, &incomplete, 60_000), Err(Kept::Incomplete));
        // It is cut off from the main node, and served.
        assert_eq!(
            check_account(SETTINGS, &StandbySaid { silent_ms: 1_000, ..awaited }, 60_000),
            Err(Kept::StillHeard)
        );
    }
}
