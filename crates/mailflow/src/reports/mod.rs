//! Reports to other domains: of mail in their names (DMARC, RFC 9990) and of TLS to their servers (RFC 8460).
//!
//! What is seen is counted in memory and written down every minute; once a day each domain that asks for it gets one
//! report, from one of the edges for all. Nothing waits for any of it. The reasons are in
//! docs/decisions/0031-reports.md.

pub mod dmarc;
mod edges;
mod mail;
mod record;
mod send;
mod store;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use sterna_account::edge_reports::{ROWS_MAX, SeenAnswer, SeenQuestion};
use sterna_base::{Clock, Timestamp};
use tokio::sync::watch;

pub use edges::{Edges, OneEdge};
pub use send::Sender;
pub use store::{Kind, StoreError};

use crate::remote::{Observation, TlsObserver};
use store::{Store, Subject};

/// Different things that are counted in memory between two writes; others are not told.
const COUNTED_MAX: usize = 20_000;

/// Seconds of a day.
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// What administrators set.
#[derive(Clone, Debug, Default)]
pub struct ReportSettings {
    /// Whether DMARC aggregate reports are made.
    pub dmarc: bool,
    /// Whether TLS reports are made.
    pub tls: bool,
    /// Who makes them.
    pub organization: String,
    /// Whom to ask about them, and from whom they come; without it none are made.
    pub contact: Option<String>,
    /// This host.
    pub own_name: String,
}

impl ReportSettings {
    fn makes(&self, kind: Kind) -> bool {
        let is_on = match kind {
            Kind::Dmarc => self.dmarc,
            Kind::Tls => self.tls,
        };
        is_on && self.contact.is_some()
    }
}

/// What a report says of itself.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    kind: Kind,
    /// The domain that it is for.
    domain: &'a str,
    /// The day: days since 1970, UTC.
    day: i64,
    organization: &'a str,
    contact: &'a str,
    id: &'a str,
}

impl About<'_> {
    fn begin_seconds(&self) -> i64 {
        self.day * DAY_SECONDS
    }

    /// The last second of the day.
    fn end_seconds(&self) -> i64 {
        self.begin_seconds() + DAY_SECONDS - 1
    }
}

/// A time as RFC 3339 writes it.
fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}

fn day(now: Timestamp) -> i64 {
    now.seconds().div_euclid(DAY_SECONDS)
}

/// Counts what reports will say.
pub struct Reports {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    settings: watch::Receiver<ReportSettings>,
    counted: Mutex<HashMap<(Subject, String), u64>>,
}

impl Reports {
    /// With a file, which is made if it isn't there. Blocks.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn open(
        path: &Path,
        clock: Arc<dyn Clock>,
        settings: watch::Receiver<ReportSettings>,
    ) -> Result<Self, StoreError> {
        Ok(Reports { store: Arc::new(Store::open(path)?), clock, settings, counted: Mutex::default() })
    }

    /// One more message of a domain that has a DMARC record.
    pub fn saw_message(&self, seen: &dmarc::Seen) {
        self.count(Kind::Dmarc, &seen.header_from, seen);
    }

    fn count(&self, kind: Kind, domain: &str, what: &impl Serialize) {
        if !self.settings.borrow().makes(kind) {
            return;
        }
        let Ok(what) = serde_json::to_string(what) else { return };
        let subject = Subject { kind, day: day(self.clock.now()), domain: domain.to_ascii_lowercase() };
        let mut counted = self.counted.lock();
        let is_full = counted.len() >= COUNTED_MAX;
        match counted.get_mut(&(subject.clone(), what.clone())) {
            Some(count) => *count += 1,
            None if is_full => tracing::debug!("too much is seen at once to tell all of it in reports"),
            None => drop(counted.insert((subject, what), 1)),
        }
    }

    /// Writes down what was counted since.
    pub async fn flush(&self) {
        let counted = std::mem::take(&mut *self.counted.lock());
        if counted.is_empty() {
            return;
        }
        let seen: Vec<_> = counted.into_iter().map(|((subject, what), count)| (subject, what, count)).collect();
        let store = self.store.clone();
        match tokio::task::spawn_blocking(move || store.add(&seen)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(left_out)) => tracing::warn!(left_out, "there is no room to tell everything in reports"),
            Ok(Err(error)) => tracing::warn!(%error, "what was seen can't be kept for reports"),
            Err(error) => tracing::warn!(%error, "what was seen can't be kept for reports"),
        }
    }
}

impl Reports {
    /// What this edge has seen on a day, for the one that makes its reports.
    ///
    /// # Errors
    /// When the file can't be read.
    pub async fn seen(&self, question: SeenQuestion) -> Result<SeenAnswer, StoreError> {
        self.flush().await;
        let is_over = day(self.clock.now()) > question.day;
        let store = self.store.clone();
        let read = move || {
            let rows = if is_over { store.rows_after(&question, ROWS_MAX)? } else { Vec::new() };
            Ok(SeenAnswer { is_over, is_maker: store.is_ours(question.day)?, has_more: rows.len() == ROWS_MAX, rows })
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Ok(SeenAnswer::default()))
    }
}

impl TlsObserver for Reports {
    fn observe(&self, seen: Observation) {
        self.count(Kind::Tls, &seen.domain, &tls::Seen::new(&seen));
    }
}
