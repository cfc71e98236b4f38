//! Running other programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| ".".into(), Path::to_path_buf)
}

/// Runs cargo; its failure is ours.
pub fn cargo(arguments: &[&str]) -> Result<()> {
    program("cargo", arguments)
}

/// Runs cargo with these variables in its environment; its failure is ours.
pub fn cargo_with(variables: &[(&str, &str)], arguments: &[&str]) -> Result<()> {
    program_with("cargo", variables, arguments)
}

/// Runs a program; its failure is ours.
pub fn program(name: &str, arguments: &[&str]) -> Result<()> {
    program_with(name, &[], arguments)
}

fn program_with(name: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Result<()> {
    println!("+ {name} {}", arguments.join(" "));
    let mut command = Command::new(name);
    let status = command.args(arguments).envs(variables.iter().copied()).status();
    let status = status.with_context(|| format!("running {name}"))?;
    ensure!(status.success(), "{name} {} ended with {status}", arguments.join(" "));
    Ok(())
}

/// What a program prints; its failure is ours.
pub fn output(name: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(name).args(arguments).output().with_context(|| format!("running {name}"))?;
    ensure!(output.status.success(), "{name} {} ended with {}", arguments.join(" "), output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// What a program prints that is run in a folder; its failure is ours.
pub fn output_in(name: &str, arguments: &[&str], folder: &Path) -> Result<String> {
    let output = Command::new(name).args(arguments).current_dir(folder).output();
    let output = output.with_context(|| format!("running {name}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} {} ended with {}: {said}", arguments.join(" "), output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// Whether a program of this name answers to `--version`.
pub fn has(name: &str, arguments: &[&str]) -> bool {
    Command::new(name).args(arguments).output().is_ok_and(|output| output.status.success())
}
