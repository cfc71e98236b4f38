//! The same commands by several clients at once to Sterna and to Debian's Dovecot: what the clients may observe must be
//! the same, but for what `permitted` names.
//!
//! `STERNA_SEEDS=n` runs so many sequences instead of the usual number, from `STERNA_FIRST_SEED=n` on.

mod commands;
mod fetches;
mod mailbox;
mod messages;
mod names;
mod observed;
mod pair;
mod parts;
mod permitted;
mod searches;
mod shorten;
mod side;
mod structures;
mod wire;

use std::collections::BTreeMap;
use std::fmt::Write;

use sterna_testkit::demo::Demo;
use sterna_testkit::dovecot::Dovecot;

use crate::rng::Rng;
use pair::{Difference, Pair, Step};

/// Sequences without `STERNA_SEEDS`.
const SEEDS: u64 = 40;
/// Commands of each, after its opening.
const STEPS: usize = 60;
/// Mistakes of different shapes after which it is enough.
const FAILURES_MAX: usize = 6;

/// How much of Dovecot's log a failure shows.
const LOG_LINES: usize = 10;

/// Both servers, and new connections where a failure has left the old ones anywhere.
struct Bench {
    demo: Demo,
    dovecot: Dovecot,
    pair: Pair,
    runs: usize,
}

/// A sequence that shows a difference.
struct Failure {
    steps: Vec<Step>,
    differences: Vec<Difference>,
}

#[test]
fn sterna_and_dovecot_show_their_clients_the_same() {
    let Some(dovecot) = Dovecot::start() else { return };
    let demo = Demo::start();
    let pair = connect(&demo, &dovecot);
    let mut bench = Bench { demo, dovecot, pair, runs: 0 };
    let first = number("STERNA_FIRST_SEED").unwrap_or(0);
    let mut failures: BTreeMap<String, String> = BTreeMap::new();
    for seed in first..first + number("STERNA_SEEDS").unwrap_or(SEEDS) {
        let Some(failure) = bench.draw(seed) else { continue };
        let shape = failure.differences[0].shape();
        failures.entry(shape).or_insert_with(|| bench.report(seed, failure));
        if failures.len() == FAILURES_MAX {
            break;
        }
    }
    let reports: Vec<String> = failures.into_values().collect();
    assert!(reports.is_empty(), "{}", reports.join("\n\n"));
}

#[test]
fn sterna_and_dovecot_see_the_same_in_every_message() {
    let Some(dovecot) = Dovecot::start() else { return };
    let demo = Demo::start();
    let report = structures::compare(&mut connect(&demo, &dovecot), number("STERNA_FIRST_SEED").unwrap_or(0) as usize);
    assert!(report.is_empty(), "{report}");
}

impl Bench {
    /// Draws a sequence while it runs; what came of it.
    fn draw(&mut self, seed: u64) -> Option<Failure> {
        self.begin();
        let mut random = Rng::new(seed);
        let mut steps = Vec::new();
        let mut opening = commands::opening(&mut random).into_iter();
        for id in 0.. {
            let (client, text) = match opening.next() {
                Some(next) => next,
                None if id < STEPS => commands::next(&mut random, &self.pair),
                None if id < STEPS + side::CLIENTS => (id - STEPS, "AUDIT".to_owned()),
                None => break,
            };
            let step = Step { id, client, text };
            let differences = self.pair.step(&step);
            steps.push(step);
            if !differences.is_empty() {
                return Some(Failure { steps, differences });
            }
        }
        None
    }

    /// Runs these steps; the differences at the first that shows some.
    fn replay(&mut self, steps: &[Step]) -> Vec<Difference> {
        self.begin();
        steps.iter().map(|step| self.pair.step(step)).find(|differences| !differences.is_empty()).unwrap_or_default()
    }

    fn begin(&mut self) {
        self.runs += 1;
        self.pair.begin(&format!("q{}", self.runs));
    }

    /// The shortest sequence that still shows the same, and what both servers said.
    fn report(&mut self, seed: u64, failure: Failure) -> String {
        let shape = failure.differences[0].shape();
        let steps = shorten::shorten(failure.steps, |steps| {
            self.pair = connect(&self.demo, &self.dovecot);
            self.replay(steps).first().is_some_and(|difference| difference.shape() == shape)
        });
        self.pair = connect(&self.demo, &self.dovecot);
        let mut differences = self.replay(&steps);
        if differences.is_empty() {
            differences = failure.differences;
        }
        let transcript = self.pair.transcript();
        self.pair = connect(&self.demo, &self.dovecot);
        let mut report = format!("STERNA_FIRST_SEED={seed} STERNA_SEEDS=1 shows:\n");
        for difference in &differences {
            let _ = writeln!(report, "{difference}");
        }
        for Step { id, client, text } in &steps {
            let _ = writeln!(report, "  step {id}, client {client}: {text}");
        }
        let log: Vec<String> = self.dovecot.log().lines().rev().take(LOG_LINES).map(str::to_owned).collect();
        format!("{report}{transcript}==== Dovecot's log, the last first\n{}", log.join("\n"))
    }
}

fn connect(demo: &Demo, dovecot: &Dovecot) -> Pair {
    Pair::connect((&demo.at.imap.host, demo.at.imap.port), demo.user('a'), dovecot.port)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
