//! A power cut at any instant loses nothing that was acknowledged.

use super::history::History;

/// Steps of one history.
const STEPS: usize = 40;

/// Power cuts in one history.
const CUTS: u64 = 60;

fn cut_everywhere(seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new(folder.path(), seed);
    history.create().unwrap();
    for _ in 0..STEPS {
        history.step().unwrap();
    }
    let last = history.disk.events() as u64;
    for cut in 0..CUTS {
        let events = history.dice.roll(last + 1) as usize;
        history.check_cut(events, seed << 32 | cut);
    }
    // The instants right after an answer are the ones that users notice.
    for (n, (events, ..)) in history.acknowledged.iter().enumerate() {
        history.check_cut(*events, n as u64);
    }
}

#[test]
fn first_history() {
    cut_everywhere(1);
}

#[test]
fn second_history() {
    cut_everywhere(2);
}

#[test]
fn third_history() {
    cut_everywhere(3);
}

#[test]
fn fourth_history() {
    cut_everywhere(4);
}
