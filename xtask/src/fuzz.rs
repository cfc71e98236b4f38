//! Fuzzing the parsers. Not part of `test`: it needs a nightly compiler and time.

use anyhow::{Result, bail};

use crate::run;

/// How long each target runs when none is named.
const SECONDS_EACH: &str = "60";

/// One target until it is stopped, or all for a minute each.
pub fn run(target: Option<&str>) -> Result<()> {
    if !run::has("cargo", &["fuzz", "--version"]) {
        bail!("cargo-fuzz is missing: cargo install cargo-fuzz (it needs a nightly toolchain as well)");
    }
    if let Some(target) = target {
        return run::program("cargo", &["+nightly", "fuzz", "run", target]);
    }
    for target in run::output("cargo", &["+nightly", "fuzz", "list"])?.lines() {
        let seconds = format!("-max_total_time={SECONDS_EACH}");
        run::program("cargo", &["+nightly", "fuzz", "run", target, "--", &seconds])?;
    }
    Ok(())
}
