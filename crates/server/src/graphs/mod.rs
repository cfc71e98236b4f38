//! A node's numbers over a day and a month, for graphs: kept in memory with a bound, and in a small file, so that a
//! restart leaves a gap and not an empty picture. Whoever wants more asks `/metrics` and keeps it elsewhere.

mod recorder;
mod ring;

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::{Timestamp, atomic_file};

pub(crate) use recorder::{Reading, Recorder};
use ring::Ring;

/// The file in the node's folder.
const FILE: &str = "graphs.json";

/// What is measured. The number of each is its place in a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "GraphMetric")]
pub(crate) enum Metric {
    /// Messages that wait in the node's queue.
    QueueMessages,
    /// Recipients that got a message in a minute, here or at other servers.
    DeliveriesPerMinute,
    /// Sessions of mail programs with this node.
    Sessions,
    /// How long ago the copy on this node that lags most was equal to its account.
    ReplicationLagSeconds,
    /// Bytes that are taken on the disk with the accounts.
    DiskUsedBytes,
    /// The size of that disk.
    DiskBytes,
    /// The load average of the last minute.
    Load,
}

impl Metric {
    /// All of them, by their numbers.
    pub const ALL: [Metric; 7] = [
        Metric::QueueMessages,
        Metric::DeliveriesPerMinute,
        Metric::Sessions,
        Metric::ReplicationLagSeconds,
        Metric::DiskUsedBytes,
        Metric::DiskBytes,
        Metric::Load,
    ];
}

/// What was measured at one time; `None` where a node has no such thing.
pub(crate) type Sample = [Option<f64>; Metric::ALL.len()];

/// How far back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "GraphSpan")]
pub(crate) enum Span {
    /// 24 hours, a value for every 5 minutes.
    #[default]
    Day,
    /// 30 days, a value for every 2 hours.
    Month,
}

impl Span {
    /// Seconds that one value stands for.
    pub fn step_seconds(self) -> i64 {
        match self {
            Span::Day => 300,
            Span::Month => 7200,
        }
    }

    /// How many values there are.
    pub fn values(self) -> usize {
        match self {
            Span::Day => 288,
            Span::Month => 360,
        }
    }

    /// The number of the step in which a time lies.
    pub fn step_of(self, at: Timestamp) -> i64 {
        at.seconds().div_euclid(self.step_seconds())
    }
}

/// The means of one metric, step by step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    /// Which.
    pub metric: Metric,
    /// One for each step; `None` where nothing was measured.
    pub values: Vec<Option<f64>>,
}

/// What one node has measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// The number of the step of the first values.
    pub first: i64,
    /// Those of which there is something.
    pub series: Vec<Series>,
}

/// See the module.
pub(crate) struct Graphs {
    path: PathBuf,
    rings: Mutex<Rings>,
}

#[derive(Serialize, Deserialize)]
struct Rings {
    day: Ring,
    month: Ring,
}

impl Rings {
    fn empty() -> Self {
        Rings { day: Ring::new(Span::Day), month: Ring::new(Span::Month) }
    }

    fn of(&self, span: Span) -> &Ring {
        match span {
            Span::Day => &self.day,
            Span::Month => &self.month,
        }
    }
}

impl Graphs {
    /// Those of a node's folder. A file that can't be read is one that isn't there: nothing depends on it.
    pub fn open(folder: &Path) -> Self {
        let path = folder.join(FILE);
        let kept = std::fs::read(&path).ok().and_then(|content| serde_json::from_slice::<Rings>(&content).ok());
        let rings = kept.filter(|rings| rings.day.is_sound(Span::Day) && rings.month.is_sound(Span::Month));
        Graphs { path, rings: Mutex::new(rings.unwrap_or_else(Rings::empty)) }
    }

    /// Takes a sample down.
    pub fn note(&self, at: Timestamp, sample: &Sample) {
        let mut rings = self.rings.lock();
        rings.day.note(Span::Day, at, sample);
        rings.month.note(Span::Month, at, sample);
    }

    /// What was measured up to now.
    pub fn measured(&self, span: Span, now: Timestamp) -> Measured {
        self.rings.lock().of(span).measured(span, now)
    }

    /// Writes the file; blocks.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn write(&self) -> std::io::Result<()> {
        let content = serde_json::to_vec(&*self.rings.lock())?;
        atomic_file::write(&self.path, &content, 0o600)
    }
}
