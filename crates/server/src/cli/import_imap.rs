//! `sterna import imap`: mail of another server.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::client::CliError;
use super::exit::Exit;
use super::import_run::{Words, accounts_in, follow, mode};
use super::prompt;
use super::resource::Session;

/// How what comes is called.
const WORDS: Words = Words {
    collections: "mailboxes",
    objects: "messages",
    object: "message",
    remedy: "; what is damaged is left out only with --set-aside",
};

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
            accounts = accounts_in(file)?;
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
            "mode": mode(self.is_final, self.sweep),
            "set_aside": self.set_aside,
            "source_name": self.source_name,
            "another_source": self.another_source,
            "rights": self.rights,
            "allow_removals": self.allow_removals,
        }))
    }
}

pub(super) async fn run(session: &Session<'_>, args: ImapArgs) -> Result<Exit, CliError> {
    follow(session, "/api/v1/imports", &args.body()?, WORDS).await
}
