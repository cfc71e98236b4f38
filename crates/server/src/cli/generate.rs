//! `sterna completion` and `sterna man`: made from the grammar, so that they never say anything else.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;
use super::client::CliError;
use super::exit::Exit;

/// Prints a completion script.
pub(super) fn completion(shell: Shell) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sterna", &mut script);
    super::output::line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Done)
}

/// Writes a man page for the program and each of its commands (`sterna-user-create.1`).
pub(super) fn man(folder: &Path) -> Result<Exit, CliError> {
    let failed = |source| CliError::Io { what: format!("man pages can't be written to {}", folder.display()), source };
    fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(failed)?;
    Ok(Exit::Done)
}
