//! `sterna config`

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::json;

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::Column;
use super::resource::{Fields, Session, WriteArgs};

const COLUMNS: &[Column] = &[("NAME", "name"), ("VALUE", "value"), ("FROM", "from"), ("DEFAULT", "default")];
const CHANGES: &[Column] = &[
    ("CHANGE", "change"),
    ("AT", "at"),
    ("BY", "by"),
    ("DOMAIN", "domain"),
    ("NAME", "name"),
    ("BEFORE", "before"),
    ("AFTER", "after"),
    ("REVERTS", "reverts"),
];

/// Look at and change the settings of the whole installation or of a domain
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// List the settings
    List {
        /// See [`DomainArg`].
        #[command(flatten)]
        domain: DomainArg,
    },
    /// Show a setting
    Get {
        /// Its name
        name: String,
        /// See [`DomainArg`].
        #[command(flatten)]
        domain: DomainArg,
    },
    /// Change a setting
    Set {
        /// Its name
        name: String,
        /// Its value; '' goes back to the default, or to the installation's for a domain
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// See [`DomainArg`].
        #[command(flatten)]
        domain: DomainArg,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// List who changed what, the newest first
    History {
        /// Only changes of this setting
        name: Option<String>,
        /// See [`DomainArg`].
        #[command(flatten)]
        domain: DomainArg,
    },
    /// Undo a change
    Revert {
        /// Its number, as the history shows it
        change: u64,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
}

/// Of whom.
#[derive(Clone, Debug, Default, Args)]
pub struct DomainArg {
    /// Of this domain, instead of the installation
    #[arg(long)]
    domain: Option<String>,
}

impl DomainArg {
    fn parameter(&self) -> (&'static str, Option<&str>) {
        ("domain", self.domain.as_deref())
    }
}

pub(super) async fn run(session: &Session<'_>, command: ConfigCommand) -> Result<Exit, CliError> {
    match command {
        ConfigCommand::List { domain } => session.list(&["settings"], &[domain.parameter()], COLUMNS).await,
        ConfigCommand::Get { name, domain } => {
            let value = session.client.get(&path(&["settings", &name], &[domain.parameter()])).await?;
            session.show(&value)
        }
        ConfigCommand::Set { name, value, domain, write } => {
            let fields = Fields::default().clearable("value", Some(&value));
            session.set_with(&["settings", &name], &[domain.parameter()], fields.0, &write).await
        }
        ConfigCommand::History { name, domain } => {
            let filters = [("name", name.as_deref()), domain.parameter()];
            session.list(&["setting-changes"], &filters, CHANGES).await
        }
        ConfigCommand::Revert { change, write } => {
            let path = path(&["setting-changes"], &[write.parameter()]);
            let answer = session.client.send(Method::POST, &path, Some(&json!({ "revert": change }))).await?;
            session.written(&answer, &write)
        }
    }
}
