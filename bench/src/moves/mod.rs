//! `cargo xtask bench move`: what moves cost those who are moved and those who are not, and how fast data is carried.

pub mod copy;
mod pause;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Messages in the smaller accounts; the larger ones have four times as many.
const MESSAGES: u32 = 500;

/// What the command line asked for.
pub struct Options {
    /// Moves of accounts of each size.
    pub moves: u32,
    /// Messages in the account that is copied for its own sake.
    pub messages: u32,
    /// Only the parts whose name contains this: `pause`, `copy`, `others`.
    pub only: Option<String>,
}

/// The options when these are arguments of this benchmark:
/// `move [--moves N] [--messages N] [--only pause|copy|others]`.
pub fn arguments(arguments: &[String]) -> Result<Option<Options>> {
    let Some(("move", rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) else {
        return Ok(None);
    };
    let mut options = Options { moves: 1000, messages: 200_000, only: None };
    let mut rest = rest.iter();
    while let Some(argument) = rest.next() {
        let value = rest.next().with_context(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--moves" => options.moves = value.parse()?,
            "--messages" => options.messages = value.parse()?,
            "--only" => options.only = Some(value.clone()),
            _ => bail!("unknown argument {argument}: move [--moves N] [--messages N] [--only pause|copy|others]"),
        }
    }
    Ok(Some(options))
}

/// Runs the parts that the options ask for.
pub fn run(folder: &Path, options: &Options) -> Result<()> {
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| name.contains(only));
    if wanted("pause") {
        pause::run(folder, options.moves, [MESSAGES, 4 * MESSAGES])?;
    }
    if wanted("copy") {
        copy::run(folder, options.messages)?;
    }
    if wanted("others") {
        copy::others(folder)?;
    }
    Ok(())
}

/// Prints the median, the 99th percentile and the largest of these, and returns them in milliseconds.
pub fn percentiles(what: &str, mut values: Vec<Duration>) -> [f64; 3] {
    values.sort_unstable();
    let at = |share: f64| {
        let place = ((values.len() as f64 * share) as usize).min(values.len().saturating_sub(1));
        values.get(place).map_or(f64::NAN, |value| value.as_secs_f64() * 1000.0)
    };
    let found = [at(0.5), at(0.99), at(1.0)];
    println!("{what:<66} p50 {:.1} ms  p99 {:.0} ms  max {:.0} ms", found[0], found[1], found[2]);
    found
}
