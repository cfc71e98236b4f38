//! `sterna import sieve`: scripts of another server.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::client::CliError;
use super::exit::Exit;
use super::import_run::{AccountsArgs, Encryption, Words, follow, mode};
use super::resource::Session;

/// How what comes is called.
const WORDS: Words = Words {
    collections: "accounts",
    objects: "scripts",
    object: "script",
    remedy: "; mend here what can't run (sterna sieve), and switch it on",
};

/// Where from, and which accounts.
#[derive(Clone, Debug, Args)]
pub struct SieveArgs {
    /// The server that scripts come from
    #[arg(long, value_name = "HOST")]
    host: String,
    /// Its port; 4190 when left out
    #[arg(long)]
    port: Option<u16>,
    /// How the connection is encrypted
    #[arg(long, value_enum, default_value = "starttls")]
    encryption: Encryption,
    /// A PEM file, on the node, with certificates to trust besides those that the system trusts
    #[arg(long, value_name = "FILE")]
    source_ca: Option<PathBuf>,
    #[command(flatten)]
    who: AccountsArgs,
    /// Who logs in for all accounts (SASL PLAIN with another authorization identity)
    #[arg(long, value_name = "LOGIN")]
    master: Option<String>,
    /// A sweep, after users work here: only scripts that are new there are brought, and none is switched on
    #[arg(long)]
    sweep: bool,
}

impl SieveArgs {
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
            // Each pass compares everything.
            "mode": mode(!self.sweep, self.sweep),
        }))
    }
}

pub(super) async fn run(session: &Session<'_>, args: SieveArgs) -> Result<Exit, CliError> {
    follow(session, "/api/v1/imports/sieve", &args.body()?, WORDS).await
}
