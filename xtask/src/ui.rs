//! The console in the browser: its types, its unit tests, and how much a browser has to load.

use anyhow::Result;

use crate::{packages, run};

/// What builds it and runs its tests.
const PACKAGES: &[&str] = &["nodejs", "npm"];

/// Checks all of it, where there is Node; in CI there must be.
pub fn run() -> Result<()> {
    let has_node = || run::has("node", &["--version"]) && run::has("npm", &["--version"]);
    if !has_node() && !packages::ensure(PACKAGES)? {
        println!("skipped: the console's types, tests and budgets (apt install nodejs npm)");
        return Ok(());
    }
    run::program("npm", &["--prefix", "ui", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"])?;
    for script in ["check", "test", "budgets"] {
        run::program("npm", &["--prefix", "ui", "--silent", "run", script])?;
    }
    Ok(())
}
