//! Measures once a minute, and writes the file now and then.

use std::sync::Arc;
use std::time::Duration;

use sterna_base::{Clock, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{Graphs, Metric, Sample};

/// How often it measures.
const SAMPLE_EVERY: Duration = Duration::from_secs(60);

/// After how many samples the file is written: what a crash may cost is that much of a picture.
const SAMPLES_PER_WRITE: u32 = 15;

/// What is measured of a node; `None` where it has no such thing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// Messages in its queue.
    pub queue_messages: Option<u64>,
    /// Recipients that got a message since the node started.
    pub delivered_count: Option<u64>,
    /// Sessions of mail programs.
    pub sessions: Option<u64>,
    /// How far the copy that lags most is behind.
    pub lag_ms: Option<u64>,
    /// Free and all bytes of its disk.
    pub disk: Option<(u64, u64)>,
    /// The load average of the last minute, in hundredths.
    pub load_hundredths: Option<u32>,
}

/// See the module.
pub(crate) struct Recorder {
    graphs: Arc<Graphs>,
    clock: Arc<dyn Clock>,
    before: Option<(Timestamp, u64)>,
}

impl Recorder {
    pub fn new(graphs: Arc<Graphs>, clock: Arc<dyn Clock>) -> Self {
        Recorder { graphs, clock, before: None }
    }

    /// Until `stop`.
    pub async fn run(mut self, read: impl Fn() -> Reading, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(SAMPLE_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut unwritten = 0;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.note(read());
            unwritten += 1;
            if unwritten >= SAMPLES_PER_WRITE {
                self.write().await;
                unwritten = 0;
            }
        }
        self.write().await;
    }

    async fn write(&self) {
        let graphs = self.graphs.clone();
        match tokio::task::spawn_blocking(move || graphs.write()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the numbers for graphs can't be written"),
            Err(error) => tracing::error!(%error, "the numbers for graphs were not written"),
        }
    }

    fn note(&mut self, reading: Reading) {
        let now = self.clock.now();
        let per_minute = reading.delivered_count.and_then(|count| {
            let (at, before) = self.before.replace((now, count))?;
            let passed_ms = u32::try_from(now.0 - at.0).ok().filter(|ms| *ms > 0)?;
            Some(number(count.saturating_sub(before)) * 60_000.0 / f64::from(passed_ms))
        });
        let mut sample: Sample = [None; Metric::ALL.len()];
        let mut set = |metric: Metric, value: Option<f64>| sample[metric as usize] = value;
        set(Metric::QueueMessages, reading.queue_messages.map(number));
        set(Metric::DeliveriesPerMinute, per_minute);
        set(Metric::Sessions, reading.sessions.map(number));
        set(Metric::ReplicationLagSeconds, reading.lag_ms.map(|ms| number(ms) / 1000.0));
        set(Metric::DiskUsedBytes, reading.disk.map(|(free, all)| number(all.saturating_sub(free))));
        set(Metric::DiskBytes, reading.disk.map(|(_, all)| number(all)));
        set(Metric::Load, reading.load_hundredths.map(|load| f64::from(load) / 100.0));
        self.graphs.note(now, &sample);
    }
}

/// What graphs show needs no more digits.
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use sterna_base::ManualClock;

    use super::super::Span;
    use super::*;

    #[test]
    fn deliveries_are_told_per_minute_and_a_restart_leaves_what_was_measured() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_seconds(600_000));
        let graphs = Arc::new(Graphs::open(folder.path()));
        let mut recorder = Recorder::new(graphs.clone(), Arc::new(clock.clone()));
        for delivered in [10, 40] {
            let disk = Some((25, 100));
            recorder.note(Reading { delivered_count: Some(delivered), disk, ..Reading::default() });
            clock.advance_ms(120_000);
        }
        graphs.write().unwrap();
        let again = Graphs::open(folder.path());
        let told = again.measured(Span::Day, clock.now());
        let last = |metric: Metric| told.series.iter().find(|series| series.metric == metric).unwrap().values.clone();
        assert_eq!(last(Metric::DeliveriesPerMinute).last().unwrap(), &Some(15.0));
        assert_eq!(last(Metric::DiskUsedBytes).last().unwrap(), &Some(75.0));
        assert!(told.series.iter().all(|series| series.metric != Metric::Sessions));
        // A file that was cut off is no reason not to start.
        std::fs::write(folder.path().join("graphs.json"), "{\"day\":").unwrap();
        assert!(Graphs::open(folder.path()).measured(Span::Month, clock.now()).series.is_empty());
    }
}
