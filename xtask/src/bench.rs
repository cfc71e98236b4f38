//! The benchmark against the peers.

use anyhow::{Result, bail};

use crate::{packages, run, strs};

/// Installs the peers, builds everything optimised, and runs the same work on all.
pub fn run(arguments: &[String]) -> Result<()> {
    if !(packages::ensure(packages::PEERS)? & packages::ensure(packages::CYRUS)?) {
        bail!("the benchmark needs the peers; run it as root on Debian");
    }
    if !run::has("getent", &["passwd", "cyrus"]) {
        run::program("useradd", &["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "cyrus"])?;
    }
    run::cargo(&["build", "--release", "--package", "sterna-server", "--package", "sterna-bench"])?;
    run::cargo(&[&["run", "--quiet", "--release", "--package", "sterna-bench", "--"], &strs(arguments)[..]].concat())
}
