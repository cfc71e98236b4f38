//! How fast a job goes, and when it will be over: from what was left of it whenever somebody looked.

use std::collections::VecDeque;

use sterna_base::Timestamp;

/// Looks that are remembered; with [`SAMPLE_MS_MIN`] between them the speed is that of the last minute.
const SAMPLES_MAX: usize = 30;
/// Looks that follow each other faster are not remembered.
const SAMPLE_MS_MIN: i64 = 2_000;
/// Farthest end that is told, in milliseconds: what lies beyond is a guess.
const EXPECTED_MS_MAX: f64 = 30.0 * 24.0 * 3_600_000.0;

/// What is left of a job at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub at: Timestamp,
    pub accounts: u64,
    /// Of those whose size is known.
    pub bytes: u64,
}

/// The speed of one job.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    /// The most bytes that were ever left: what there is to do in all.
    bytes_total: u64,
    samples: VecDeque<Left>,
}

impl Meter {
    /// Notes what is left now. More bytes than ever before were found only now to be part of the job.
    pub(super) fn note(&mut self, left: Left) {
        self.bytes_total = self.bytes_total.max(left.bytes);
        match self.samples.back() {
            Some(last) if left.at.0 - last.at.0 < SAMPLE_MS_MIN && left.at >= last.at => {}
            // The clock went back, or accounts were added: what was measured before says nothing.
            Some(last) if left.at < last.at || left.accounts > last.accounts => {
                self.samples.clear();
                self.samples.push_back(left);
            }
            _ => self.samples.push_back(left),
        }
        if self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
    }

    /// Forgets the speed: while a job is paused there is none.
    pub(super) fn pause(&mut self) {
        self.samples.clear();
    }

    /// Bytes of the whole job, as far as they are known.
    pub(super) fn bytes_total(&self) -> u64 {
        self.bytes_total
    }

    /// Bytes a second; `None` while nothing was measured.
    pub(super) fn bytes_per_second(&self, now: Left) -> Option<u64> {
        let (first, ms) = self.window(now)?;
        let bytes = first.bytes.saturating_sub(now.bytes);
        (bytes > 0).then(|| (bytes as f64 * 1000.0 / ms) as u64)
    }

    /// When all of it will be done at this speed. Small accounts take time by their number, large ones by their bytes:
    /// the later of both.
    pub(super) fn expected_end(&self, now: Left) -> Option<Timestamp> {
        let (first, ms) = self.window(now)?;
        let rest_ms = |left: u64, done: u64| match (left, done) {
            (0, _) => Some(0.0),
            (_, 0) => None,
            (left, done) => Some(left as f64 * ms / done as f64),
        };
        let by_bytes = rest_ms(now.bytes, first.bytes.saturating_sub(now.bytes));
        let by_accounts = rest_ms(now.accounts, first.accounts.saturating_sub(now.accounts));
        let rest = match (by_bytes, by_accounts) {
            (Some(bytes), Some(accounts)) => bytes.max(accounts),
            // The first account of many is still being copied: bytes alone tell.
            (Some(bytes), None) if now.bytes > 0 => bytes,
            _ => return None,
        };
        (rest <= EXPECTED_MS_MAX).then(|| now.at.plus_ms(rest as i64))
    }

    fn window(&self, now: Left) -> Option<(Left, f64)> {
        let first = *self.samples.front()?;
        let ms = now.at.0 - first.at.0;
        (ms >= SAMPLE_MS_MIN).then_some((first, ms as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(at_s: i64, accounts: u64, bytes: u64) -> Left {
        Left { at: Timestamp(at_s * 1000), accounts, bytes }
    }

    fn meter(samples: &[Left]) -> Meter {
        let mut meter = Meter::default();
        samples.iter().for_each(|sample| meter.note(*sample));
        meter
    }

    #[test]
    fn the_end_follows_from_bytes_and_from_accounts() {
        let many_small = meter(&[left(0, 100, 1000)]);
        assert_eq!(many_small.expected_end(left(10, 90, 100)), Some(Timestamp(100_000)), "accounts are the slow part");
        let few_large = meter(&[left(0, 2, 1000)]);
        assert_eq!(few_large.expected_end(left(10, 2, 900)), Some(Timestamp(100_000)), "none is done, bytes tell");
        assert_eq!(few_large.bytes_per_second(left(10, 2, 900)), Some(10));
        assert_eq!((few_large.bytes_total(), few_large.expected_end(left(10, 2, 1000))), (1000, None));
    }

    #[test]
    fn nothing_is_told_before_it_is_known() {
        let now = left(1, 9, 900);
        assert_eq!((Meter::default().expected_end(now), meter(&[left(0, 10, 1000)]).expected_end(now)), (None, None));
        let mut paused = meter(&[left(0, 10, 1000), left(10, 5, 500)]);
        paused.pause();
        assert_eq!((paused.expected_end(left(60, 5, 500)), paused.bytes_total()), (None, 1000));
        let slow = meter(&[left(0, 10_000_000, 0)]);
        assert_eq!(slow.expected_end(left(10, 9_999_999, 0)), None, "a year is no answer");
    }

    #[test]
    fn the_speed_is_that_of_the_last_minute() {
        let mut meter = Meter::default();
        (0..100).for_each(|n| meter.note(left(n * 2, 1, 10_000 - n as u64)));
        (100..200).for_each(|n| meter.note(left(n * 2, 1, 9_900 - (n as u64 - 99) * 10)));
        assert_eq!(meter.bytes_per_second(left(398, 1, 8_900)), Some(5));
        assert!(meter.samples.len() <= SAMPLES_MAX);
        meter.note(left(400, 3, 9_000));
        assert_eq!(meter.samples.len(), 1, "accounts were added");
    }
}
