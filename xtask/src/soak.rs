//! `cargo xtask soak [ROUNDS]`: the tests that draw their input, with seeds nobody has seen yet, Sterna beside Dovecot
//! among them, moves under faults over and over, and a change of machine under hundreds of accounts: at which moment a
//! fault meets a move is never the same twice.
//!
//! `cargo xtask test` draws the same input everywhere: what lands is judged by the change alone, new input
//! is looked for here. A round that fails prints the seed that fails again.

use std::hash::{BuildHasher, RandomState};

use anyhow::{Context, Result};

use crate::run;
use crate::test::PROPTEST_SEED;

/// Rounds without an argument: about half an hour on two cores.
const ROUNDS: u64 = 10;
/// The packages whose tests draw input.
const DRAWING: &[&str] = &["sterna-formats", "sterna-engines", "sterna-directory"];
/// Sequences of commands per round that Sterna and Dovecot are given.
const SEQUENCES: u64 = 200;
/// Simulated systems per round; the tests run 150 from the first seed on, these begin after them.
const SIMULATIONS: u64 = 500;

/// Accounts under which a machine is changed, with an end at each step.
const MIGRATED_ACCOUNTS: &str = "500";

/// Runs all rounds; the first failure ends it.
pub fn run(rounds: Option<&str>) -> Result<()> {
    let rounds = rounds.map_or(Ok(ROUNDS), str::parse).context("usage: cargo xtask soak [ROUNDS]")?;
    let first = RandomState::new().hash_one(ROUNDS) & u64::from(u32::MAX);
    for round in 0..rounds {
        let seed = (first + round).to_string();
        println!("round {} of {rounds}: {PROPTEST_SEED}={seed}", round + 1);
        for package in DRAWING {
            run::cargo_with(&[(PROPTEST_SEED, &seed)], &["test", "--quiet", "--locked", "--package", package])?;
        }
        let first = ((first + round) * SIMULATIONS).to_string();
        let seeds = [("STERNA_FIRST_SEED", first.as_str()), ("STERNA_SEEDS", &SIMULATIONS.to_string())];
        run::cargo_with(
            &seeds,
            &["test", "--locked", "--package", "sterna-cluster", "--test", "simulation", "moves_hold"],
        )?;
        run::cargo(&["build", "--locked", "--package", "sterna-server"])?;
        let seeds = [("STERNA_FIRST_SEED", first.as_str()), ("STERNA_SEEDS", &SEQUENCES.to_string())];
        run::cargo_with(&seeds, &["test", "--locked", "--package", "sterna-tests", "--test", "all", "alike::"])?;
        let many = [("STERNA_MIGRATED_ACCOUNTS", MIGRATED_ACCOUNTS)];
        run::cargo_with(&many, &["test", "--locked", "--package", "sterna-tests", "--test", "all", "migration_proof"])?;
        let moves = ["test", "--locked", "--package", "sterna-tests", "--test", "all", "moves_"];
        run::cargo(&moves)?;
    }
    Ok(())
}
