//! `cargo xtask package`: packages for Debian. Each version of the program is a package of its own (`sterna-X.Y.Z`), so
//! that several lie beside each other; `sterna` has what runs one of them. See decision 54.

mod contents;
mod deb;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::run;

/// Most lines of what is new that a package says: administrators read them before an update.
const NOTES_MAX: usize = 100;

/// What `cargo xtask package` was asked for.
struct Wish {
    /// The program; built for release when left out.
    binary: Option<PathBuf>,
    /// The version it must say it is.
    version: String,
    /// Where the packages go.
    out: PathBuf,
    /// Compress little: for tests.
    fast: bool,
}

/// A program to be packed, and what it says of itself.
struct Program {
    /// The file.
    pub path: PathBuf,
    /// Its version, `X.Y.Z`.
    pub version: String,
    /// Its release as nodes compare it, and the newest formats that it writes.
    pub facts: Vec<(&'static str, u64)>,
    /// Its hash.
    pub sha256: String,
    /// What is new.
    pub notes: Vec<String>,
}

/// Builds all packages; prints their files.
pub fn run(arguments: &[String]) -> Result<()> {
    let wish = wish(arguments)?;
    let binary = match wish.binary {
        Some(binary) => binary,
        None => build()?,
    };
    fs::create_dir_all(&wish.out)?;
    // Below a folder with the version's name, as it will be installed.
    let staging = wish.out.join("staging");
    let folder = staging.join("program").join(&wish.version);
    fs::create_dir_all(&folder)?;
    let path = folder.join("sterna");
    run::program("strip", &["--strip-debug", "-o", &text(&path), &text(&binary)])?;
    let changes = fs::read_to_string(run::root().join("CHANGELOG.md"))?;
    let notes = notes(&changes, &wish.version);
    let program = Program { version: says_version(&path)?, facts: facts(&path)?, sha256: sha256(&path)?, notes, path };
    ensure!(
        program.version == wish.version,
        "{} is version {}, and version {} was to be packed",
        binary.display(),
        program.version,
        wish.version
    );
    for package in contents::all(&program, &staging)? {
        println!("{}", package.build(&wish.out, wish.fast)?.display());
    }
    fs::remove_dir_all(&staging)?;
    Ok(())
}

fn wish(arguments: &[String]) -> Result<Wish> {
    let out = run::root().join("target/packages");
    let mut wish = Wish { binary: None, version: env!("CARGO_PKG_VERSION").to_owned(), out, fast: false };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--binary" => wish.binary = Some(value()?.into()),
            "--version" => wish.version = value()?.clone(),
            "--out" => wish.out = value()?.into(),
            "--fast" => wish.fast = true,
            other => bail!("there is no option {other}; there are --binary, --version, --out and --fast"),
        }
    }
    Ok(wish)
}

/// A build for release.
fn build() -> Result<PathBuf> {
    run::cargo(&["build", "--release", "--locked", "--package", "sterna-server"])?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| run::root().join("target"), PathBuf::from);
    Ok(target.join("release/sterna"))
}

fn says_version(program: &Path) -> Result<String> {
    let said = run::output(&text(program), &["--version"])?;
    let version = said.trim().strip_prefix("sterna ").context("the program doesn't say its version")?;
    Ok(version.to_owned())
}

/// What the planner of updates must know before the program is installed anywhere.
fn facts(program: &Path) -> Result<Vec<(&'static str, u64)>> {
    let said: serde_json::Value = serde_json::from_str(&run::output(&text(program), &["facts"])?)?;
    let number = |field, name: &str| {
        let number = said[name].as_u64().with_context(|| format!("the program doesn't say its {name}"))?;
        Ok((field, number))
    };
    let fields = [
        ("Sterna-Release", "release"),
        ("Sterna-Store-Format", "store_format"),
        ("Sterna-Directory-Format", "directory_format"),
    ];
    fields.into_iter().map(|(field, name)| number(field, name)).collect()
}

/// The hash of the program as it is packed: one that somebody replaced by hand is found by it.
fn sha256(program: &Path) -> Result<String> {
    let said = run::output("sha256sum", &[&text(program)])?;
    Ok(said.split(' ').next().unwrap_or_default().to_owned())
}

/// What is new, of the changes' part about this version, or else about what is not released yet: its list, a line each.
fn notes(changes: &str, version: &str) -> Vec<String> {
    let part = |name: &str| {
        changes.split("\n## ").find(|part| part.lines().next().is_some_and(|title| title.starts_with(name)))
    };
    let Some(part) = part(version).or_else(|| part("Unreleased")) else { return Vec::new() };
    let mut notes: Vec<String> = Vec::new();
    for line in part.lines().skip(1) {
        if let Some(item) = line.strip_prefix("- ") {
            notes.push(item.trim().to_owned());
        } else if let (true, Some(last)) = (line.starts_with("  "), notes.last_mut()) {
            last.push(' ');
            last.push_str(line.trim());
        }
    }
    notes.truncate(NOTES_MAX);
    notes
}

/// A path as an argument of a program.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_those_of_the_version() {
        let changes = "# Changes\n\n## Unreleased\n- New.\n\n## 0.2.0 (2026-12-01)\nText.\n- Mail is\n  faster.\n- More.\n\n## 0.1.0\n- First.\n";
        assert_eq!(notes(changes, "0.2.0"), ["Mail is faster.", "More."]);
        assert_eq!(notes(changes, "0.3.0"), ["New."]);
        assert_eq!(notes("", "0.3.0"), Vec::<String>::new());
    }
}
