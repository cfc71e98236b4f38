//! Runs, and what they must show.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::mutant::Mutant;
use crate::oracle::Stats;
use crate::world::World;

/// Seeds of a usual run.
const SEEDS: u64 = 150;
/// Seeds within which each mutant must be found.
const MUTANT_SEEDS: u64 = 400;
/// After the last fault everybody is served within this time.
const SERVED_MS: i64 = 6_000;
/// After the last fault all moves end within this time: attempts that failed are repeated after a while.
const SETTLED_MS: i64 = 2 * 3_600_000;
/// Runs at a time.
const THREADS: usize = 2;

/// One run.
///
/// # Errors
/// What was wrong, and the story if it was to be told.
fn run(seed: u64, mutant: Option<Mutant>, is_traced: bool) -> Result<Stats, (String, Vec<String>)> {
    let mut world = World::new(seed, mutant, is_traced);
    let result = live(&mut world);
    world.oracle.stats.events = world.events;
    world.oracle.stats.seconds = world.elapsed_ms() as u64 / 1000;
    (world.oracle.stats.moves, world.oracle.stats.cut_overs) =
        (world.main().directory.commits, world.main().directory.cut_overs);
    match result {
        Ok(()) => Ok(world.oracle.stats),
        Err(wrong) => Err((wrong, world.trace.take().unwrap_or_default())),
    }
}

fn live(world: &mut World) -> Result<(), String> {
    let healed = World::moment(8_000 + world.rng.between(0, 12_000));
    world.begin(healed);
    world.run_until(healed + SERVED_MS + 1_000)?;
    world.check_served(healed)?;
    world.clients_act = false;
    let last = healed + SETTLED_MS;
    while world.is_moving() && world.now_ms < last {
        world.run_until(world.now_ms + 10_000)?;
    }
    // Copies get to the end.
    world.run_until(world.now_ms + 10_000)?;
    world.check_end()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs seeds on several threads; the first failure, by seed.
fn run_all(seeds: std::ops::Range<u64>, mutant: Option<Mutant>) -> (Stats, Option<(u64, String)>) {
    let (next, total) = (AtomicU64::new(seeds.start), Mutex::new(Stats::default()));
    let failed: Mutex<Option<(u64, String)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || failed.lock().unwrap().is_some() {
                        return;
                    }
                    match run(seed, mutant, false) {
                        Ok(stats) => total.lock().unwrap().add(stats),
                        Err((wrong, _)) => {
                            let mut failed = failed.lock().unwrap();
                            if failed.as_ref().is_none_or(|(first, _)| seed < *first) {
                                *failed = Some((seed, wrong));
                            }
                        }
                    }
                }
            });
        }
    });
    (total.into_inner().unwrap(), failed.into_inner().unwrap())
}

fn tell_and_fail(seed: u64, mutant: Option<Mutant>, wrong: &str) -> ! {
    if let Err((_, story)) = run(seed, mutant, true) {
        // All of it when it was asked for by its seed.
        let lines_max = if number("STERNA_SEED").is_some() { usize::MAX } else { 200 };
        let skipped = story.len().saturating_sub(lines_max);
        story.iter().skip(skipped).for_each(|line| println!("{line}"));
    }
    panic!("seed {seed}: {wrong}\nSTERNA_SEED={seed} cargo test -p sterna-cluster --test simulation");
}

#[test]
fn moves_hold_in_every_weather() {
    if let Some(seed) = number("STERNA_SEED") {
        match run(seed, None, false) {
            Ok(stats) => println!("seed {seed}: {stats:?}"),
            Err((wrong, _)) => tell_and_fail(seed, None, &wrong),
        }
        return;
    }
    let (started, seeds) = (Instant::now(), number("STERNA_SEEDS").unwrap_or(SEEDS));
    let first = number("STERNA_FIRST_SEED").unwrap_or(0);
    let (stats, failed) = run_all(first..first + seeds, None);
    if let Some((seed, wrong)) = failed {
        tell_and_fail(seed, None, &wrong);
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{seeds} seeds in {seconds:.1} s, {:.0} moves each second; {stats:?}", stats.moves as f64 / seconds);
    assert!(stats.moves > seeds / 2, "hardly anything was moved: {stats:?}");
    assert!(
        stats.cut_overs > stats.moves && stats.crashes > 0 && stats.repairs > 0,
        "hardly anything went wrong: {stats:?}"
    );
}

#[test]
fn a_seed_repeats_its_run() {
    let story = |seed| {
        let mut world = World::new(seed, None, true);
        let result = live(&mut world);
        (result, world.trace, world.events)
    };
    for seed in 1_000..1_005 {
        assert_eq!(story(seed), story(seed));
    }
}

#[test]
fn every_mutant_is_found() {
    let mut survivors = Vec::new();
    for mutant in Mutant::ALL {
        match run_all(0..MUTANT_SEEDS, Some(mutant)).1 {
            Some((seed, wrong)) => println!("{mutant:?}: found by seed {seed}: {wrong}"),
            None => survivors.push(mutant),
        }
    }
    assert!(survivors.is_empty(), "not found within {MUTANT_SEEDS} seeds: {survivors:?}");
}

impl Stats {
    fn add(&mut self, other: Stats) {
        self.commits += other.commits;
        self.reads += other.reads;
        self.moves += other.moves;
        self.cut_overs += other.cut_overs;
        self.crashes += other.crashes;
        self.spoiled += other.spoiled;
        self.repairs += other.repairs;
        self.copied_anew += other.copied_anew;
        self.orphans += other.orphans;
        self.events += other.events;
        self.seconds += other.seconds;
    }
}
