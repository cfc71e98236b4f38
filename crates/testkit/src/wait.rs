//! Waiting for something to become true, with a deadline instead of a guess.

use std::time::{Duration, Instant};

/// How often it is looked.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks until there is an answer, and returns it with the time it took.
///
/// # Panics
/// When there is none within the time.
pub fn until<T>(what: &str, within: Duration, mut probe: impl FnMut() -> Option<T>) -> (T, Duration) {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return (found, start.elapsed());
        }
        assert!(start.elapsed() < within, "not within {within:?}: {what}");
        std::thread::park_timeout(PAUSE);
    }
}

/// Lets time pass: for faults whose length is what is tested. Whatever can be waited for is waited for with [`until`].
pub fn pass(time: Duration) {
    let start = Instant::now();
    while let Some(left) = time.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}
