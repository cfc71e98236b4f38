//! `sterna import dav`: calendars, task lists and address books of another server.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::client::CliError;
use super::exit::Exit;
use super::import_run::{AccountsArgs, Words, follow, mode};
use super::resource::Session;

/// How what comes is called.
const WORDS: Words =
    Words { collections: "collections", objects: "objects", object: "object", remedy: "; mend it at the source" };

/// Where from, and which accounts.
#[derive(Clone, Debug, Args)]
pub struct DavArgs {
    /// Where the source begins: https://old.example.org/, a user's home, or one collection; {login} in it is the login
    /// of each account
    #[arg(long)]
    url: String,
    /// A PEM file, on the node, with certificates to trust besides those that the system trusts
    #[arg(long, value_name = "FILE")]
    source_ca: Option<PathBuf>,
    #[command(flatten)]
    who: AccountsArgs,
    /// The final pass, after nobody writes at the source any more: what is here is compared afterwards
    #[arg(long = "final", conflicts_with = "sweep")]
    is_final: bool,
    /// A sweep, after users work here: only what is new there is brought
    #[arg(long)]
    sweep: bool,
    /// What the server is called, so that it is known again at another address; its host when left out
    #[arg(long, value_name = "NAME")]
    source_name: Option<String>,
    /// The server is another one than the one whose collections came into the account before
    #[arg(long)]
    another_source: bool,
    /// Most of a collection may go at once, because it is gone at the source
    #[arg(long)]
    allow_removals: bool,
}

impl DavArgs {
    fn body(&self) -> Result<Value, CliError> {
        let (accounts, _) = self.who.read(None)?;
        Ok(json!({
            "url": self.url,
            "ca": self.source_ca,
            "accounts": accounts,
            "parallel": self.who.parallel,
            "mode": mode(self.is_final, self.sweep),
            "source_name": self.source_name,
            "another_source": self.another_source,
            "allow_removals": self.allow_removals,
        }))
    }
}

pub(super) async fn run(session: &Session<'_>, args: DavArgs) -> Result<Exit, CliError> {
    follow(session, "/api/v1/imports/dav", &args.body()?, WORDS).await
}
