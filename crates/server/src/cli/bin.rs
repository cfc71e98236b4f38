//! `sterna bin`

use clap::Subcommand;
use hyper::Method;
use serde_json::Value;

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::Column;
use super::resource::{DeleteArgs, Fields, Session, WriteArgs};

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("KIND", "kind"),
    ("ADDRESS", "address"),
    ("NAME", "display_name"),
    ("DELETED", "deleted_at"),
    ("BY", "deleted_by"),
    ("UNTIL", "deleted_until"),
];

/// Bring back users, groups and mailboxes that were deleted
#[derive(Debug, Subcommand)]
pub enum BinCommand {
    /// List what can be had back, and until when
    List {
        /// Only what was in this domain
        #[arg(long, value_name = "DOMAIN")]
        domain: Option<String>,
    },
    /// Bring one back, with the mailbox, the memberships and what was shared
    Restore {
        /// The id, as the list shows it
        id: String,
        /// Under another main address
        #[arg(long, value_name = "ADDRESS")]
        address: Option<String>,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Delete one for good, before its time
    Delete {
        /// The id, as the list shows it
        id: String,
        /// See [`DeleteArgs`].
        #[command(flatten)]
        delete: DeleteArgs,
    },
}

pub(super) async fn run(session: &Session<'_>, command: BinCommand) -> Result<Exit, CliError> {
    match command {
        BinCommand::List { domain } => session.list(&["bin"], &[("domain", domain.as_deref())], COLUMNS).await,
        BinCommand::Restore { id, address, write } => {
            let body = Fields::default().add("address", address).0;
            let path = path(&["bin", &id], &[write.parameter()]);
            let answer = session.client.send(Method::POST, &path, Some(&Value::Object(body))).await?;
            session.written(&answer, &write)
        }
        BinCommand::Delete { id, delete } => {
            let question = format!("Delete {id} for good, with everything in it? There is no way back.");
            session.delete(&["bin", &id], &question, &delete).await
        }
    }
}
