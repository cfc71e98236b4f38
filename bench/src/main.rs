//! The same work on Sterna, Dovecot and Cyrus, one after the other on the same disk, all with durable acknowledgements.
//!
//! Prints for each piece of work the median of several rounds, the spread, and Sterna's ratio to the better peer; above
//! one means that Sterna is faster (or needs less memory).
#![allow(clippy::print_stdout)] // printing is what a benchmark is for

mod client;
mod dav;
mod flow;
mod migrate;
mod moves;
mod peers;
mod report;
mod tls;
mod work;

use anyhow::{Context, Result, bail};
use report::Report;

/// What the command line asked for.
pub struct Options {
    /// How often each measurement is repeated; the median counts.
    pub rounds: usize,
    /// Messages in the large mailbox.
    pub large: u32,
    /// Only the works whose name contains this.
    pub only: Option<String>,
    /// Only the servers of these names.
    pub servers: Vec<String>,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (moves, flow, dav) = (moves::arguments(&arguments)?, flow::arguments(&arguments)?, dav::arguments(&arguments)?);
    let migrate = migrate::arguments(&arguments)?;
    let is_other = moves.is_some() || flow.is_some() || dav.is_some() || migrate.is_some();
    let options = if is_other { parse(std::iter::empty())? } else { parse(arguments.into_iter())? };
    let folder = tempfile::Builder::new().prefix("sterna-bench").tempdir_in(bench_disk())?;
    report::print_machine(folder.path());
    if let Some(moves) = moves {
        return moves::run(folder.path(), &moves);
    }
    if let Some(migrate) = migrate {
        return migrate::run(folder.path(), &migrate);
    }
    if let Some(flow) = flow {
        return flow::run(folder.path(), &flow);
    }
    if let Some(dav) = dav {
        return dav::run(folder.path(), &dav);
    }
    let mut report = Report::default();
    for name in &options.servers {
        eprint_progress(&format!("{name}: starting"));
        peers::set_apart(folder.path())?;
        let mut server = peers::start(name, folder.path()).with_context(|| format!("starting {name}"))?;
        work::run_all(server.as_mut(), &options, &mut report).with_context(|| format!("measuring {name}"))?;
        server.stop().with_context(|| format!("stopping {name}"))?;
    }
    report.print();
    Ok(())
}

/// Where the servers' data goes: the disk of the build folder, not a temporary file system in memory.
fn bench_disk() -> std::path::PathBuf {
    std::env::var_os("STERNA_BENCH_DIR").map_or_else(|| "/var/tmp".into(), Into::into)
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options {
        rounds: 5,
        large: 100_000,
        only: None,
        servers: ["dovecot", "cyrus", "sterna", "sterna-two"].map(String::from).to_vec(),
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--rounds" => options.rounds = value()?.parse()?,
            "--large" => options.large = value()?.parse()?,
            "--only" => options.only = Some(value()?),
            "--servers" => options.servers = value()?.split(',').map(String::from).collect(),
            _ => bail!("unknown argument {argument}: --rounds N, --large N, --only WORK, --servers a,b"),
        }
    }
    Ok(options)
}

/// One line on standard error, so that standard output holds nothing but the result.
#[allow(clippy::print_stderr)]
pub fn eprint_progress(line: &str) {
    eprintln!("bench: {line}");
}
