//! `cargo xtask bench flow`: mail from senders into mailboxes, and from a queue to the world, against Debian's Postfix
//! in front of Dovecot and of Cyrus.

mod outbound;
mod reception;
mod sources;
mod waiting;

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::report::Report;

/// The domain whose mailboxes all systems have.
pub const DOMAIN: &str = "bench.test";

/// What the command line asked for.
pub struct Options {
    /// How often each measurement is repeated; the median counts.
    pub rounds: usize,
    /// Messages that are sent to the world in one round.
    pub outbound: u32,
    /// Messages that wait at the same time.
    pub waiting: u32,
    /// Only the parts whose name contains this: `reception`, `outbound`, `waiting`.
    pub only: Option<String>,
}

/// The options when these are arguments of this benchmark:
/// `flow [--rounds N] [--outbound N] [--waiting N] [--only reception|outbound|waiting]`.
pub fn arguments(arguments: &[String]) -> Result<Option<Options>> {
    let Some(("flow", rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) else {
        return Ok(None);
    };
    let mut options = Options { rounds: 3, outbound: 10_000, waiting: 100_000, only: None };
    let mut rest = rest.iter();
    while let Some(argument) = rest.next() {
        let value = rest.next().with_context(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--rounds" => options.rounds = value.parse()?,
            "--outbound" => options.outbound = value.parse()?,
            "--waiting" => options.waiting = value.parse()?,
            "--only" => options.only = Some(value.clone()),
            _ => bail!("unknown argument {argument}: flow [--rounds N] [--outbound N] [--waiting N] [--only PART]"),
        }
    }
    Ok(Some(options))
}

/// Runs the parts that the options ask for.
pub fn run(folder: &Path, options: &Options) -> Result<()> {
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| name.contains(only));
    if wanted("reception") {
        let mut report =
            Report::of(&[("sterna", "sterna"), ("dovecot", "postfix + dovecot"), ("cyrus", "postfix + cyrus")]);
        for server in ["dovecot", "cyrus", "sterna"] {
            crate::eprint_progress(&format!("{server}: starting"));
            crate::peers::set_apart(&folder.join("reception"))?;
            reception::run(server, &folder.join("reception"), options, &mut report)
                .with_context(|| format!("receiving with {server}"))?;
        }
        report.print();
    }
    for (name, run) in [("outbound", outbound::run as Part), ("waiting", waiting::run as Part)] {
        if !wanted(name) {
            continue;
        }
        let mut report = Report::of(&[("sterna", "sterna"), ("postfix", "postfix")]);
        for server in ["postfix", "sterna"] {
            crate::eprint_progress(&format!("{server}: starting"));
            crate::peers::set_apart(&folder.join(name))?;
            run(server, &folder.join(name), options, &mut report).with_context(|| format!("{name} of {server}"))?;
        }
        report.print();
    }
    Ok(())
}

type Part = fn(&str, &Path, &Options, &mut Report) -> Result<()>;
