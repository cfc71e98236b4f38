//! Leaves steps out while the rest still shows the same mistake.

use super::pair::Step;

/// Runs that looking for a shorter sequence may take.
const RUNS_MAX: usize = 120;

/// A sequence from which no step can be left out, as far as [`RUNS_MAX`] goes.
pub fn shorten(mut steps: Vec<Step>, mut still_fails: impl FnMut(&[Step]) -> bool) -> Vec<Step> {
    let mut runs = 0;
    let mut piece = steps.len() / 2;
    while piece > 0 {
        let mut start = 0;
        let mut shorter = false;
        while start < steps.len() && runs < RUNS_MAX {
            let end = (start + piece).min(steps.len());
            let without = [&steps[..start], &steps[end..]].concat();
            runs += 1;
            if still_fails(&without) {
                steps = without;
                shorter = true;
            } else {
                start = end;
            }
        }
        // What could not go before may go now.
        if !shorter || piece > 1 {
            piece /= 2;
        }
    }
    steps
}
