//! Nodes that stand still in the middle of a move for longer than anybody waits, and go on as if nothing had happened.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sterna_cluster::limits::{CALL_TIMEOUT_MS, HOLD_MS_MAX};
use sterna_testkit::wait::pass;

use crate::moving_stage::{BEN, Setting, Stage, play};

/// Longer than every time that anybody waits for an answer, a ping, a cut-over, or for a sealed account.
const PAUSE: Duration = Duration::from_secs(30);
const _: () = assert!(PAUSE.as_millis() as u64 > CALL_TIMEOUT_MS + HOLD_MS_MAX);

/// Everybody who may stand is an edge too: who awakes has sessions of its own, and they must not be served from what
/// it knew before.
const SETTING: Setting<'static> =
    Setting { data_roles: "data,edge", doors: &["edge", "alpha", "beta"], ..Setting::PLAIN };

/// Who stands at which step is thawed after the pause; meanwhile something holds.
fn stands(stage: &mut Stage<'_>, node: &str, failpoint: &str, meanwhile: impl FnOnce(&mut Stage<'_>)) {
    stage.begin_and_stand(node, failpoint);
    meanwhile(stage);
    pass(PAUSE);
    stage.installation.thaw(node);
    stage.is_served(&format!("after {node} stood at {failpoint}"));
}

fn nobody_notices(stage: &mut Stage<'_>) {
    let refused = stage.ledger.refusals();
    stage.ledger.grows_by(20);
    assert_eq!(stage.ledger.refusals(), refused);
}

fn main_stands(stage: &mut Stage<'_>) {
    stands(stage, "main", "main-copying", nobody_notices);
    stage.arrives();
    // Sealed, and nobody but the main node can know the outcome.
    stands(stage, "main", "main-sealed", |stage| stage.ledger.is_refused());
    stage.home();
    stands(stage, "main", "main-committing", |stage| stage.ledger.is_refused());
    stage.arrives();
}

fn source_stands(stage: &mut Stage<'_>) {
    stands(stage, "beta", "source-paging", |stage| stage.ledger.is_refused());
    stage.arrives();
    stands(stage, "beta", "source-sealing", |stage| stage.ledger.is_refused());
    stage.stayed();
    stands(stage, "beta", "source-sealed", |stage| stage.ledger.is_refused());
    stage.stayed();
}

/// The target has everything, the source stands: the move is committed, and the source awakes in another time.
fn source_awakes_after_the_commit(stage: &mut Stage<'_>) {
    stage.begin_and_stand("alpha", "target-ready");
    stage.installation.freeze("beta");
    stage.installation.wait_for_stop("beta");
    stage.installation.thaw("alpha");
    stage.installation.is_moved(BEN, "alpha");
    stage.is_served("while the old server stands");
    pass(PAUSE);
    stage.installation.thaw("beta");
    stage.arrives();
}

fn target_stands(stage: &mut Stage<'_>) {
    stands(stage, "alpha", "target-applied", |_| {});
    stage.arrives();
    for failpoint in ["target-readying", "target-ready"] {
        stands(stage, "alpha", failpoint, |stage| stage.is_served("by the source, when the cut-over was given up"));
        stage.stayed();
    }
}

/// The commit finds the new server standing: the account waits for it.
fn target_stands_at_the_commit(stage: &mut Stage<'_>) {
    stage.begin_and_stand("main", "main-committing");
    stage.installation.freeze("alpha");
    stage.installation.wait_for_stop("alpha");
    stage.installation.thaw("main");
    stage.installation.is_moved(BEN, "alpha");
    pass(PAUSE);
    stage.installation.thaw("alpha");
    stage.arrives();
}

fn edge_stands(stage: &mut Stage<'_>) {
    stage.begin_and_stand("alpha", "target-applied");
    stage.installation.freeze("edge");
    stage.installation.thaw("alpha");
    stage.installation.is_moved(BEN, "alpha");
    pass(PAUSE);
    stage.installation.thaw("edge");
    stage.arrives();
    stands(stage, "edge", "edge-holding", |stage| stage.installation.is_moved(BEN, "alpha"));
    stage.arrives();
}

#[test]
fn who_stands_for_half_a_minute_in_a_move_neither_serves_nor_loses_what_is_elsewhere_now() {
    let parts: [fn(&mut Stage<'_>); 6] = [
        main_stands,
        source_stands,
        source_awakes_after_the_commit,
        target_stands,
        target_stands_at_the_commit,
        edge_stands,
    ];
    // At the same time: most of it is waiting.
    std::thread::scope(|scope| {
        for part in parts {
            scope.spawn(move || {
                play(SETTING, |stage| {
                    stage.ledger.stands.store(true, Ordering::SeqCst);
                    part(stage);
                })
            });
        }
    });
}
