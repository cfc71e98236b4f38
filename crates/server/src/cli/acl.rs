//! `sterna account acl`

use clap::Subcommand;

use super::client::CliError;
use super::exit::Exit;
use super::output::Column;
use super::resource::{Fields, Session, WriteArgs};

const COLUMNS: &[Column] = &[("MAILBOX", "mailbox"), ("IDENTIFIER", "identifier"), ("RIGHTS", "rights")];

/// See and change who may do what with an account's mailboxes
#[derive(Debug, Subcommand)]
pub enum AclCommand {
    /// List the rights of others on every mailbox
    List {
        /// Address or id
        account: String,
    },
    /// Give somebody rights, in the place of those they had
    Set {
        /// Address or id
        account: String,
        /// A user, a group, a shared mailbox, or anyone; with - before it the rights are taken away, whoever gave them
        #[arg(allow_hyphen_values = true)]
        identifier: String,
        /// Letters: l look up, r read, s seen, w other flags, i insert, p post, k create below, x delete the mailbox,
        /// t delete messages, e expunge, a administer
        rights: String,
        /// Only on this mailbox, and not on all there are
        #[arg(long, value_name = "NAME")]
        mailbox: Option<String>,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Take away what somebody was given
    Delete {
        /// Address or id
        account: String,
        /// As it is listed
        #[arg(allow_hyphen_values = true)]
        identifier: String,
        /// Only on this mailbox, and not on all there are
        #[arg(long, value_name = "NAME")]
        mailbox: Option<String>,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
}

pub(super) async fn run(session: &Session<'_>, command: AclCommand) -> Result<Exit, CliError> {
    let (account, identifier, rights, mailbox, write) = match command {
        AclCommand::List { account } => return session.list(&["accounts", &account, "acl"], &[], COLUMNS).await,
        AclCommand::Set { account, identifier, rights, mailbox, write } => {
            (account, identifier, rights, mailbox, write)
        }
        AclCommand::Delete { account, identifier, mailbox, write } => {
            (account, identifier, String::new(), mailbox, write)
        }
    };
    let fields = Fields::default().add("identifier", Some(identifier)).add("rights", Some(rights));
    session.change_list(&["accounts", &account, "acl"], fields.add("mailbox", mailbox).0, COLUMNS, &write).await
}
