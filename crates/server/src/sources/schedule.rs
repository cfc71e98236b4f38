//! Begins runs by itself, on the main node.

use std::time::Duration;

use sterna_base::Timestamp;
use sterna_directory::{Source, Versioned};

use super::run::Mode;
use super::runs::Position;
use crate::admin::AdminState;

/// How often it is looked whether a source is due.
const LOOK_INTERVAL: Duration = Duration::from_secs(20);

const MINUTE_MS: i64 = 60_000;

/// Looks for as long as the node runs.
pub async fn run_forever(state: AdminState) {
    let Some(sources) = state.sources.clone() else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Another node became the main one, and reads them.
        if !state.directory.is_main() {
            continue;
        }
        let found = match state.directory.read(|reader| reader.sources()).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "the sources can't be read");
                continue;
            }
        };
        for source in found.into_iter().filter(|found| found.value.enabled) {
            let name = source.value.name.clone();
            let position = sources.book.position(name.clone()).await.ok().flatten();
            let tried = sources.tried_at(&name);
            if let Some(mode) = due(&source, position.as_ref(), tried, state.directory.now()) {
                // What came of it is in the book. One that is slow doesn't hold up the others; none is run twice at
                // once.
                let (sources, state) = (sources.clone(), state.clone());
                tokio::spawn(async move { sources.run_now(&state, &name, mode, String::new(), false).await });
            }
        }
    }
}

/// Whether a source is due, and how it is read.
fn due(
    source: &Versioned<Source>,
    position: Option<&Position>,
    tried: Option<Timestamp>,
    now: Timestamp,
) -> Option<Mode> {
    let every_ms = i64::from(source.value.every_minutes) * MINUTE_MS;
    let full_ms = i64::from(source.value.full_every_hours) * 60 * MINUTE_MS;
    if tried.is_some_and(|at| now.0 - at.0 < every_ms) {
        return None;
    }
    match position {
        Some(position) if position.config == source.modseq && now.0 - position.full_at.0 < full_ms => {
            Some(Mode::Changes)
        }
        _ => Some(Mode::Full),
    }
}
