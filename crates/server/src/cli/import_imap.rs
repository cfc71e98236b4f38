//! `sterna import imap`: the list of accounts, the run on the node, and what became of it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{CliError, path};
use super::exit::Exit;
use super::output;
use super::prompt;
use super::resource::Session;

/// How often a run is asked how it is.
const ASK: Duration = Duration::from_millis(500);

/// How connections to the source are encrypted.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Encryption {
    /// TLS from the first byte, on port 993
    Tls,
    /// STARTTLS, on port 143
    Starttls,
    /// None, on port 143: passwords and mail travel in the clear
    None,
}

/// Where from, and which accounts.
#[derive(Clone, Debug, Args)]
pub struct ImapArgs {
    /// The server that mail comes from
    #[arg(long, value_name = "HOST")]
    host: String,
    /// Its port; that of the encryption when left out
    #[arg(long)]
    port: Option<u16>,
    /// How the connection is encrypted
    #[arg(long, value_enum, default_value = "tls")]
    encryption: Encryption,
    /// A PEM file, on the node, with certificates to trust besides those that the system trusts
    #[arg(long, value_name = "FILE")]
    source_ca: Option<PathBuf>,
    /// A file with one account a line: LOGIN;PASSWORD;ADDRESS, the address being the one here; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["login", "to"], required_unless_present = "login")]
    accounts: Option<PathBuf>,
    /// One account: whose mail is read there
    #[arg(long, value_name = "LOGIN", requires = "to")]
    login: Option<String>,
    /// One account: whose it is here
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// Who logs in for all accounts (SASL PLAIN with another authorization identity)
    #[arg(long, value_name = "LOGIN")]
    master: Option<String>,
    /// A file with the password, of the master or of the one account; it is asked for when left out
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Accounts read at the same time
    #[arg(long, value_name = "NUMBER")]
    parallel: Option<usize>,
    /// The final pass, after nobody writes at the source any more: every message is compared afterwards
    #[arg(long = "final", conflicts_with = "sweep")]
    is_final: bool,
    /// A sweep, after users work here: only messages that came there since the last pass are brought
    #[arg(long)]
    sweep: bool,
    /// Leave out what the source can't give: LOGIN/MAILBOX, or LOGIN/MAILBOX;UID=NUMBER (repeatable)
    #[arg(long = "set-aside", value_name = "WHAT")]
    set_aside: Vec<String>,
    /// What the server is called, so that it is known again at another address; its host when left out
    #[arg(long, value_name = "NAME")]
    source_name: Option<String>,
    /// The server is another one than the one whose mail came into the account before
    #[arg(long)]
    another_source: bool,
    /// Bring the rights of others too (RFC 4314), those who exist here
    #[arg(long)]
    rights: bool,
    /// Most of an account may go at once, because it is gone at the source
    #[arg(long)]
    allow_removals: bool,
}

impl ImapArgs {
    fn body(&self) -> Result<Value, CliError> {
        let password = || prompt::known_password(self.password_file.as_deref());
        let (mut master, mut accounts) = (None, Vec::new());
        if let Some(login) = &self.master {
            master = Some(json!({ "login": login, "password": password()?.expose() }));
        }
        if let Some(login) = &self.login {
            let own = if master.is_none() { password()?.expose().to_owned() } else { String::new() };
            accounts.push(json!({ "login": login, "password": own, "target": self.to }));
        }
        if let Some(file) = &self.accounts {
            let unreadable = |source| CliError::Io { what: format!("{} can't be read", file.display()), source };
            let text = match file.as_os_str() == "-" {
                true => std::io::read_to_string(std::io::stdin()).map_err(unreadable)?,
                false => fs::read_to_string(file).map_err(unreadable)?,
            };
            accounts = accounts_of(&text).map_err(CliError::Usage)?;
        }
        Ok(json!({
            "host": self.host,
            "port": self.port,
            "encryption": match self.encryption {
                Encryption::Tls => "tls",
                Encryption::Starttls => "starttls",
                Encryption::None => "none",
            },
            "ca": self.source_ca,
            "master": master,
            "accounts": accounts,
            "parallel": self.parallel,
            "mode": match (self.is_final, self.sweep) {
                (true, _) => "final",
                (_, true) => "sweep",
                _ => "pass",
            },
            "set_aside": self.set_aside,
            "source_name": self.source_name,
            "another_source": self.another_source,
            "rights": self.rights,
            "allow_removals": self.allow_removals,
        }))
    }
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

pub(super) async fn run(session: &Session<'_>, args: ImapArgs) -> Result<Exit, CliError> {
    let body = args.body()?;
    let begun = session.client.send(Method::POST, "/api/v1/imports", Some(&body)).await?.body;
    let id = begun["id"].to_string();
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let mut told = String::new();
    loop {
        let view = session.client.get(&path(&["imports", &id], &[])).await?;
        if view["is_over"] == true {
            return end(session, &view);
        }
        let line = progress(&view);
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

fn progress(view: &Value) -> String {
    let is = |stage: &str| accounts(view).iter().filter(|one| one["stage"] == stage).count();
    let over = accounts(view).len() - is("waiting") - is("running");
    let sum = |name: &str| accounts(view).iter().filter_map(|one| one[name].as_u64()).sum::<u64>();
    format!(
        "{over} of {} accounts, {} running: {} of {} mailboxes, {} messages, {} MB",
        accounts(view).len(),
        is("running"),
        sum("folders_done"),
        sum("folders"),
        sum("messages"),
        sum("bytes") / 1_000_000
    )
}

/// What became of it: people are told what each account needs; programs get all of it.
fn end(session: &Session<'_>, view: &Value) -> Result<Exit, CliError> {
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
    output::note(match (view["mode"].as_str(), all_done) {
        (Some("final"), true) => {
            "That was the final pass: every message here is the one there. Users can be switched.\n"
        }
        (Some("sweep"), true) => {
            "That was a sweep after the switch: what was new there is here; nothing else changed.\n"
        }
        (_, true) => "That was a pass while the source is in use. Run it again; the last time with --final.\n",
        (_, false) => "Not all of it is here. See above; what is damaged is left out only with --set-aside.\n",
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
