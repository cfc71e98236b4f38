//! `sterna import imap`: mail of another server.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::client::CliError;
use super::exit::Exit;
use super::import_run::{AccountsArgs, Encryption, Words, follow, mode};
use super::resource::Session;

/// How what comes is called.
const WORDS: Words = Words {
    collections: "mailboxes",
    objects: "messages",
    object: "message",
    remedy: "; what is damaged is left out only with --set-aside",
};

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
    #[command(flatten)]
    who: AccountsArgs,
    /// Who logs in for all accounts (SASL PLAIN with another authorization identity)
    #[arg(long, value_name = "LOGIN")]
    master: Option<String>,
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
        let (accounts, master) = self.who.read(self.master.as_deref())?;
        Ok(json!({
            "host": self.host,
            "port": self.port,
            "encryption": self.encryption.name(),
            "ca": self.source_ca,
            "master": master,
            "accounts": accounts,
            "parallel": self.who.parallel,
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
