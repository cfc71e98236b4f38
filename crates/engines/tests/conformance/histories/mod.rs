//! Random histories, lived by SQLite and by the model at the same time: after each step both must have answered the
//! same, hold the same, and break no invariant.

mod follow;
mod pair;
mod steps;

use proptest::prelude::*;
use proptest::test_runner::Config;

use pair::Pair;
use steps::Step;

/// How many histories one run lives through.
const HISTORIES: u32 = 64;

/// Most steps of one history.
const STEPS_MAX: usize = 30;

proptest! {
    #![proptest_config(Config { cases: HISTORIES, failure_persistence: None, ..Config::default() })]

    #[test]
    fn both_engines_live_the_same_history(history in prop::collection::vec(steps::any_step(), 1..=STEPS_MAX)) {
        let folder = tempfile::tempdir().unwrap();
        let mut pair = Pair::new(folder.path());
        for (number, step) in history.iter().enumerate() {
            pair.take(step);
            pair.compare(number as u64, &format!("after step {number}, {step:?}"));
        }
        pair.take(&Step::Reopen);
        pair.compare(0, "after the end");
    }
}
