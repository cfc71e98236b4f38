//! Links between two nodes that are cut in the middle of a move, in both directions or in one, and come back.

use std::time::Duration;

use sterna_cluster::limits::{CONNECT_TIMEOUT_MS, HOLD_MS_MAX, PING_INTERVAL_MS, PING_TIMEOUT_MS, RECONNECT_MAX_MS};
use sterna_testkit::network::Network;
use sterna_testkit::wait::pass;

use crate::moving_stage::{Setting, Stage, play};

/// Until everybody has noticed, has tried again, and has given up a cut-over.
const CUT: Duration =
    Duration::from_millis(PING_INTERVAL_MS + PING_TIMEOUT_MS + RECONNECT_MAX_MS + CONNECT_TIMEOUT_MS + HOLD_MS_MAX);

/// A step in the middle of a phase: who stands there while the link is cut.
const COPYING: (&str, &str) = ("alpha", "target-applied");
/// The source is sealed, and the target was not asked yet.
const SEALED: (&str, &str) = ("main", "main-sealed");

/// What must hold while the link is cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    /// The account is read and written.
    Served,
    /// Nothing: an end of the link is what serves the account, or who must say who does.
    Anything,
}

/// Cuts what goes from the first to the second, or both ways, at a step of a move.
fn cut(network: &Network, stage: &mut Stage<'_>, at: (&str, &str), ways: &[(&str, &str)], meanwhile: Meanwhile) {
    let (node, failpoint) = at;
    stage.begin_and_stand(node, failpoint);
    ways.iter().for_each(|(from, to)| network.cut_way(from, to));
    stage.installation.thaw(node);
    pass(CUT);
    if meanwhile == Meanwhile::Served {
        stage.is_served(&format!("while {ways:?} is cut at {failpoint}"));
    }
    ways.iter().for_each(|(from, to)| network.heal_way(from, to));
    stage.is_served(&format!("after {ways:?} was cut at {failpoint}"));
    stage.keeps_what_it_had();
    stage.home();
}

/// All cuts of one link, at both steps.
fn cuts(one: &str, other: &str, copying: Meanwhile, sealed: Meanwhile) {
    let Some(network) = Network::new(&["main", "edge", "alpha", "beta"]) else { return };
    play(Setting { network: Some(&network), ..Setting::PLAIN }, |stage| {
        for ways in [&[(one, other), (other, one)][..], &[(one, other)], &[(other, one)]] {
            cut(&network, stage, COPYING, ways, copying);
            cut(&network, stage, SEALED, ways, sealed);
        }
    });
}

#[test]
fn links_that_are_cut_in_a_move_and_come_back_lose_nothing() {
    use Meanwhile::{Anything, Served};
    // Source and target: beta and alpha. A sealed account goes back to its source when the target can't be asked, or
    // can't ask the source. When the main node can't ask the source, that hears of its account's new epoch from alpha.
    let links = [
        ("main", "beta", Served, Served),
        ("main", "alpha", Served, Served),
        ("alpha", "beta", Served, Served),
        ("edge", "beta", Anything, Anything),
        // The move is not the edge's: it comes to its end, and the edge doesn't reach where the account is then.
        ("edge", "alpha", Anything, Anything),
    ];
    std::thread::scope(|scope| {
        for (one, other, copying, sealed) in links {
            scope.spawn(move || cuts(one, other, copying, sealed));
        }
    });
}
