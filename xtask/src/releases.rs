//! `cargo xtask keep-release`: a small folder of a node, as this version leaves it, for the tests of all later ones.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::run;

/// Lets the test that makes it make it, of a tree in which everything is committed: the commit is written beside it.
pub fn keep() -> Result<()> {
    let changed = run::output("git", &["status", "--porcelain", "--", "crates"])?;
    ensure!(changed.trim().is_empty(), "commit first: the release is to be built again from its commit");
    let commit = run::output("git", &["rev-parse", "HEAD"])?;
    let mut test = Command::new(env!("CARGO"));
    test.args(["test", "--package", "sterna-tests", "--test", "all", "--", "--exact", "releases::keep_a_release"]);
    let status = test.env("STERNA_KEEP_RELEASE", commit.trim()).status()?;
    ensure!(status.success(), "the folder could not be made");
    Ok(())
}
