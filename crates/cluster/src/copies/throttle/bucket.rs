//! A token bucket with debts: what something costs is known only when it is done.

use std::time::Duration;

/// What may be used at once after a pause, in seconds of the rate.
const BURST_SECONDS: f64 = 0.25;

/// Bytes that may go now; below zero is what must be waited for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    balance: f64,
}

impl Bucket {
    /// Time passed. `None` is no limit: whatever was owed is forgotten.
    pub fn pass(&mut self, time: Duration, bytes_per_second: Option<f64>) {
        self.balance = match bytes_per_second {
            None => 0.0,
            Some(rate) => (self.balance + rate * time.as_secs_f64()).min(rate * BURST_SECONDS),
        };
    }

    /// So many bytes went.
    pub fn take(&mut self, bytes: u64) {
        self.balance -= bytes as f64;
    }

    /// How long to wait at this rate before more may go.
    pub fn wait(&self, bytes_per_second: Option<f64>) -> Duration {
        match bytes_per_second {
            Some(rate) if self.balance < 0.0 => Duration::from_secs_f64(-self.balance / rate.max(1.0)),
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Option<f64> = Some(1000.0);

    #[test]
    fn what_went_is_waited_for_afterwards() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.wait(RATE), Duration::ZERO);
        bucket.take(500);
        assert_eq!(bucket.wait(RATE), Duration::from_millis(500));
        bucket.pass(Duration::from_millis(200), RATE);
        assert_eq!(bucket.wait(RATE), Duration::from_millis(300));
        assert_eq!(bucket.wait(Some(3000.0)), Duration::from_millis(100), "a debt is paid sooner at a higher rate");
        assert_eq!(bucket.wait(None), Duration::ZERO);
        bucket.pass(Duration::ZERO, None);
        assert_eq!(bucket.wait(RATE), Duration::ZERO, "without a limit nothing is owed");
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let mut bucket = Bucket::default();
        bucket.pass(Duration::from_secs(3600), RATE);
        bucket.take(1250);
        assert_eq!(bucket.wait(RATE), Duration::from_secs(1));
    }
}
