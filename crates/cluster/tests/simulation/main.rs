//! Moves in a simulated world: the decisions of `moving::core` and real stores, everything around them simulated.
//!
//! A seed gives one run: nodes die and stand still, the network loses, repeats and delays, clocks jump, disks fail, and
//! administrators move accounts while clients use them. After every event the invariants are checked. A failure prints
//! its seed; `STERNA_SEED=n cargo test -p sterna-cluster --test simulation` tells the story of that run again.
//! `STERNA_SEEDS=n` runs so many instead of the usual number, from `STERNA_FIRST_SEED=n` on.
#![allow(clippy::print_stdout)] // figures, and the story of a run that failed

mod client;
mod copies;
mod data_server;
mod directory;
mod edge;
mod faults;
mod leases;
mod main_node;
mod message;
mod mutant;
mod oracle;
mod rng;
mod run;
mod world;
