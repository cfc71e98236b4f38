//! Asking people: passwords and confirmations. Passwords come from a terminal, a file or standard input, never from the
//! command line, which every process of the machine can read.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use sterna_base::Secret;
use sterna_directory::password::PASSWORD_BYTES_MAX;

use super::client::CliError;
use super::output::note;

/// Reads a new password: from a file (`-` is standard input), or asked for twice on the terminal.
///
/// # Errors
/// When there is neither, the two differ, or the file can't be read.
pub fn new_password(file: Option<&Path>) -> Result<Secret, CliError> {
    match file {
        Some(path) if path == Path::new("-") => first_line(io::stdin().lock(), "standard input"),
        Some(path) => {
            let what = path.display().to_string();
            let file = fs::File::open(path)
                .map_err(|source| CliError::Io { what: format!("{what} can't be read"), source })?;
            first_line(io::BufReader::new(file), &what)
        }
        None if io::stdin().is_terminal() => {
            let first = hidden("Password: ")?;
            if first.expose() != hidden("Again: ")?.expose() {
                return Err(CliError::Usage("the two passwords differ".to_owned()));
            }
            Ok(first)
        }
        None => Err(CliError::Usage(
            "there is no terminal to ask for the password; use --password-file FILE (- is standard input) or \
             --no-password"
                .to_owned(),
        )),
    }
}

/// Reads a password that another server knows: from a file (`-` is standard input), or asked for on the terminal.
///
/// # Errors
/// As [`new_password`].
pub fn known_password(file: Option<&Path>) -> Result<Secret, CliError> {
    match file {
        Some(_) => new_password(file),
        None if io::stdin().is_terminal() => hidden("Password at the source: "),
        None => {
            let text = "there is no terminal to ask for the password; use --password-file FILE (- is standard input)";
            Err(CliError::Usage(text.to_owned()))
        }
    }
}

/// The first line without its end: what `echo secret |` and editors leave behind is not part of the password.
fn first_line(reader: impl BufRead, what: &str) -> Result<Secret, CliError> {
    let mut line = String::new();
    let mut bounded = reader.take(PASSWORD_BYTES_MAX as u64 + 2);
    bounded.read_line(&mut line).map_err(|source| CliError::Io { what: format!("{what} can't be read"), source })?;
    let password = line.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        return Err(CliError::Usage(format!("{what} has no password in its first line")));
    }
    Ok(Secret::new(password))
}

/// Asks on the terminal without showing what is typed.
fn hidden(question: &str) -> Result<Secret, CliError> {
    note(question);
    let echo = NoEcho::start();
    let answer = first_line(io::stdin().lock(), "the terminal");
    drop(echo);
    note("\n");
    answer
}

/// The terminal doesn't show what is typed as long as this lives.
struct NoEcho(bool);

impl NoEcho {
    fn start() -> Self {
        NoEcho(stty("-echo"))
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        if self.0 {
            stty("echo");
        }
    }
}

/// `stty` is on every system that has terminals; a binding for this one switch would cost more than it gives.
fn stty(mode: &str) -> bool {
    let status = Command::new("stty").arg(mode).stdin(Stdio::inherit()).stdout(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Asks whether to go on with something that can't be undone. Without a terminal only `--yes` is a yes.
///
/// # Errors
/// [`CliError::Usage`] when the answer is not yes or nobody can be asked.
pub fn confirm(question: &str, yes: bool) -> Result<(), CliError> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(CliError::Usage(format!("{question} Nobody is there to be asked; give --yes if it is meant")));
    }
    note(&format!("{question} [y/N] "));
    let _ = io::stderr().flush();
    let mut answer = String::new();
    let read = io::stdin().lock().take(64).read_line(&mut answer);
    read.map_err(|source| CliError::Io { what: "the terminal can't be read".to_owned(), source })?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CliError::Usage("nothing was done".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_without_its_end() {
        assert_eq!(first_line(&b"s e same\r\nmore"[..], "x").unwrap().expose(), "s e same");
        assert!(first_line(&b"\n"[..], "x").is_err());
        assert!(first_line(&b""[..], "x").is_err());
    }
}
