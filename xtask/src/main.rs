//! `cargo xtask TASK`: what people and CI run. CI runs `cargo xtask test` and nothing else of substance.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a command line program speaks to a person

mod arrows;
mod bench;
mod fuzz;
mod imap;
mod package;
mod packages;
mod pop3;
mod releases;
mod repository;
mod run;
mod soak;
mod test;
mod tidy;
mod ui;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "cargo xtask TASK

  demo [ARGS]    start the demonstration: a main node and two data servers (cargo run --release -- demo)
  test           everything that must hold: format, lints, tidy, licences, all tests, real clients
  tidy           rules of the house that no lint knows; also part of `test`
  imap-table     write the tables of IMAP's and POP3's RFCs (docs/internals/imap.md), which tidy keeps true
  bench [ARGS]   the same work on Sterna, Dovecot and Cyrus, in one run (installs the peers; needs root);
                 bench move: what moves cost, and how fast they are; bench flow: mail; bench dav: calendars;
                 bench migrate: a change of the machine, beside rsync and pg_dump
  soak [ROUNDS]  new seeds for what the tests draw and simulate, and moves under faults again
  package [ARGS] packages for Debian, in target/packages (--binary FILE, --version X.Y.Z, --out DIR)
  repository DIR --key FINGERPRINT [DEB...]
                 put packages into a signed repository for apt, or sign it again
  keep-release   keep a small folder of a node as this version leaves it, and the commit (tests/releases)
  fuzz [TARGET]  fuzz one target, or each for a minute
";

fn main() -> ExitCode {
    match run_task() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_task() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    std::env::set_current_dir(run::root())?;
    match task.as_str() {
        "demo" => run::cargo(&[&["run", "--release", "--", "demo"], &strs(&rest)[..]].concat()),
        "test" => test::run(),
        "tidy" => tidy::run(),
        "imap-table" => imap::write(),
        "bench" => bench::run(&rest),
        "soak" => soak::run(rest.first().map(String::as_str)),
        "fuzz" => fuzz::run(rest.first().map(String::as_str)),
        "keep-release" => releases::keep(),
        "package" => package::run(&rest),
        "repository" => repository::run(&rest),
        "" | "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("there is no task {other}\n\n{USAGE}"),
    }
}

fn strs(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}
