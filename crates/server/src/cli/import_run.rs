//! Imports from other servers: the list of accounts, the run on the node, and what became of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use hyper::Method;
use serde_json::{Value, json};
use sterna_migration::imap;

use super::client::{CliError, path};
use super::exit::Exit;
use super::output;
use super::prompt;
use super::resource::Session;

/// How often a run is asked how it is.
const ASK: Duration = Duration::from_millis(500);

/// How what comes is called.
#[derive(Clone, Copy)]
pub(super) struct Words {
    /// Mailboxes, collections.
    pub collections: &'static str,
    /// What is in them.
    pub objects: &'static str,
    /// One of it.
    pub object: &'static str,
    /// What to do when not all of it came: the end of a sentence.
    pub remedy: &'static str,
}

/// How connections to the source are encrypted.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Encryption {
    /// TLS from the first byte
    Tls,
    /// STARTTLS
    Starttls,
    /// None: passwords and what comes travel in the clear
    None,
}

impl Encryption {
    /// As the API calls it.
    pub fn name(self) -> &'static str {
        match self {
            Encryption::Tls => "tls",
            Encryption::Starttls => "starttls",
            Encryption::None => "none",
        }
    }

    /// For who connects from here.
    pub fn known(self) -> imap::client::Encryption {
        match self {
            Encryption::Tls => imap::client::Encryption::Tls,
            Encryption::Starttls => imap::client::Encryption::Starttls,
            Encryption::None => imap::client::Encryption::None,
        }
    }
}

/// Which accounts.
#[derive(Clone, Debug, Args)]
pub(super) struct AccountsArgs {
    /// A file with one account a line: LOGIN;PASSWORD;ADDRESS, the address being the one here; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["login", "to"], required_unless_present = "login")]
    accounts: Option<PathBuf>,
    /// One account: who it is there
    #[arg(long, value_name = "LOGIN", requires = "to")]
    login: Option<String>,
    /// One account: whose it is here
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// A file with the password, of the master or of the one account; it is asked for when left out
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Accounts read at the same time
    #[arg(long, value_name = "NUMBER")]
    pub parallel: Option<usize>,
}

impl AccountsArgs {
    /// The accounts and, where somebody logs in for all, that one, as the API wants them.
    ///
    /// # Errors
    /// A file that can't be read, or a line that names no account.
    pub fn read(&self, master: Option<&str>) -> Result<(Vec<Value>, Option<Value>), CliError> {
        let password = || prompt::known_password(self.password_file.as_deref());
        let master = match master {
            Some(login) => Some(json!({ "login": login, "password": password()?.expose() })),
            None => None,
        };
        if let Some(file) = &self.accounts {
            return Ok((accounts_in(file)?, master));
        }
        let own = if master.is_none() { password()?.expose().to_owned() } else { String::new() };
        Ok((vec![json!({ "login": self.login, "password": own, "target": self.to })], master))
    }
}

/// What a run is for.
pub(super) fn mode(is_final: bool, is_sweep: bool) -> &'static str {
    match (is_final, is_sweep) {
        (true, _) => "final",
        (_, true) => "sweep",
        _ => "pass",
    }
}

/// The accounts in a file; `-` is standard input.
///
/// # Errors
/// A file that can't be read, or a line that names no account.
fn accounts_in(file: &Path) -> Result<Vec<Value>, CliError> {
    let unreadable = |source| CliError::Io { what: format!("{} can't be read", file.display()), source };
    let text = match file.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()).map_err(unreadable)?,
        false => fs::read_to_string(file).map_err(unreadable)?,
    };
    accounts_of(&text).map_err(CliError::Usage)
}

/// The accounts of a file. A password may have semicolons in it; logins and addresses have none.
fn accounts_of(text: &str) -> Result<Vec<Value>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let one = |(at, line): (usize, &str)| {
        let parts = line.trim_end().split_once(';').and_then(|(login, rest)| Some((login, rest.rsplit_once(';')?)));
        let Some((login, (password, target))) = parts else {
            return Err(format!("line {}: expected LOGIN;PASSWORD;ADDRESS", at + 1));
        };
        Ok(json!({ "login": login.trim(), "password": password, "target": target.trim() }))
    };
    lines.map(one).collect()
}

/// Begins an import on the node, tells how far it is, and what became of it.
pub(super) async fn follow(session: &Session<'_>, at: &str, body: &Value, words: Words) -> Result<Exit, CliError> {
    let begun = session.client.send(Method::POST, at, Some(body)).await?.body;
    let id = begun["id"].to_string();
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let mut told = String::new();
    loop {
        let view = session.client.get(&path(&["imports", &id], &[])).await?;
        if view["is_over"] == true {
            return end(session, &view, words);
        }
        let line = progress(&view, words);
        if line != told {
            output::note(&format!("{line}\n"));
            told = line;
        }
        tokio::select! {
            () = tokio::time::sleep(ASK) => {}
            _ = &mut interrupted => {
                session.client.send(Method::DELETE, &path(&["imports", &id], &[]), None).await?;
                output::note("stopped; run it again to go on from here\n");
                return Ok(Exit::Interrupted);
            }
        }
    }
}

fn accounts(view: &Value) -> &[Value] {
    view["accounts"].as_array().map_or(&[], Vec::as_slice)
}

fn progress(view: &Value, words: Words) -> String {
    let is = |stage: &str| accounts(view).iter().filter(|one| one["stage"] == stage).count();
    let over = accounts(view).len() - is("waiting") - is("running");
    let sum = |name: &str| accounts(view).iter().filter_map(|one| one[name].as_u64()).sum::<u64>();
    format!(
        "{over} of {} accounts, {} running: {} of {} {}, {} {}, {} MB",
        accounts(view).len(),
        is("running"),
        sum("folders_done"),
        sum("folders"),
        words.collections,
        sum("messages"),
        words.objects,
        sum("bytes") / 1_000_000
    )
}

/// What became of it: people are told what each account needs; programs get all of it.
fn end(session: &Session<'_>, view: &Value, words: Words) -> Result<Exit, CliError> {
    for one in accounts(view) {
        let login = one["login"].as_str().unwrap_or_default();
        let lists = [
            ("damaged", "can't be read"),
            ("set_aside", "set aside"),
            ("differences", "differs"),
            ("renumbered", "has other UIDs here"),
            ("notes", "note"),
        ];
        for (field, what) in lists {
            for text in one[field].as_array().into_iter().flatten() {
                output::note(&format!("{login}: {what}: {}\n", text.as_str().unwrap_or_default()));
            }
        }
        if let Some(error) = one["error"].as_str() {
            output::note(&format!("{login}: {error}\n"));
        }
    }
    let all_done = accounts(view).iter().all(|one| one["stage"] == "done");
    let object = words.object;
    output::note(&match (view["mode"].as_str(), all_done) {
        (Some("final"), true) => {
            format!("That was the final pass: every {object} here is the one there. Users can be switched.\n")
        }
        (Some("sweep"), true) => {
            "That was a sweep after the switch: what was new there is here; nothing else changed.\n".to_owned()
        }
        (_, true) => {
            "That was a pass while the source is in use. Run it again; the last time with --final.\n".to_owned()
        }
        (_, false) => format!("Not all of it is here. See above{}.\n", words.remedy),
    });
    session.show(view)?;
    Ok(if all_done { Exit::Done } else { Exit::Failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_lines_and_passwords_may_have_semicolons() {
        let text = "# who\n\nana;s;e;cret;ana@x.test\nben;;ben@x.test\n";
        let accounts = accounts_of(text).unwrap();
        assert_eq!(accounts[0], json!({ "login": "ana", "password": "s;e;cret", "target": "ana@x.test" }));
        assert_eq!(accounts[1]["password"], "");
        assert_eq!(accounts_of("ana;ana@x.test"), Err("line 1: expected LOGIN;PASSWORD;ADDRESS".to_owned()));
    }
}
