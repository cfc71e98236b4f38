//! `sterna account acl`

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::json;
use sterna_migration::archive::manifest::Share;

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::{self, Column};
use super::resource::{Fields, Session, WriteArgs};

const COLUMNS: &[Column] = &[("KIND", "kind"), ("NAME", "mailbox"), ("IDENTIFIER", "identifier"), ("RIGHTS", "rights")];

/// What rights are given on; all mailboxes when nothing is named
#[derive(Clone, Debug, Default, Args)]
#[group(multiple = false)]
pub struct Target {
    /// Only this mailbox
    #[arg(long, value_name = "NAME")]
    mailbox: Option<String>,
    /// This calendar, task list or journal
    #[arg(long, value_name = "NAME")]
    calendar: Option<String>,
    /// This address book
    #[arg(long, value_name = "NAME")]
    address_book: Option<String>,
    /// This folder of files and all below it; / is the topmost one
    #[arg(long, value_name = "PATH")]
    folder: Option<String>,
}

impl Target {
    fn add_to(self, fields: Fields) -> Fields {
        fields
            .add("mailbox", self.mailbox)
            .add("calendar", self.calendar)
            .add("address_book", self.address_book)
            .add("folder", self.folder)
    }
}

/// See and change who may do what with an account's mailboxes, calendars, address books and files
#[derive(Debug, Subcommand)]
pub enum AclCommand {
    /// List the rights of others
    List {
        /// Address or id
        account: String,
    },
    /// Give somebody rights, in the place of those they had
    Set {
        /// Address or id
        account: String,
        /// A user, a group, a shared mailbox, @ and a domain, or anyone; with - before it the rights are taken
        /// away, whoever gave them
        #[arg(allow_hyphen_values = true)]
        identifier: String,
        /// Letters: l look up, r read, s seen, w other flags, i insert, p post, k create below, x delete the mailbox,
        /// t delete messages, e expunge, a administer, 9 see when busy. Of calendars, address books and folders also
        /// freebusy, read, write, manage
        rights: String,
        /// See [`Target`].
        #[command(flatten)]
        target: Target,
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
        /// See [`Target`].
        #[command(flatten)]
        target: Target,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
}

pub(super) async fn run(session: &Session<'_>, command: AclCommand) -> Result<Exit, CliError> {
    let (account, identifier, rights, target, write) = match command {
        AclCommand::List { account } => return session.list(&["accounts", &account, "acl"], &[], COLUMNS).await,
        AclCommand::Set { account, identifier, rights, target, write } => (account, identifier, rights, target, write),
        AclCommand::Delete { account, identifier, target, write } => {
            (account, identifier, String::new(), target, write)
        }
    };
    let fields = Fields::default().add("identifier", Some(identifier)).add("rights", Some(rights));
    session.change_list(&["accounts", &account, "acl"], target.add_to(fields).0, COLUMNS, &write).await
}

/// Gives the rights of an archive again; how many were not there, and how many could not be given, each of which is
/// told.
pub(super) async fn give(session: &Session<'_>, account: &str, shares: &[Share]) -> Result<(u64, u64), CliError> {
    let (mut given, mut failed) = (0, 0);
    for share in shares {
        match give_one(session, account, share).await {
            Ok(is_new) => given += u64::from(is_new),
            Err(CliError::Refused(problem)) => {
                failed += 1;
                let what = share.name.as_deref().unwrap_or("all mailboxes");
                output::note(&format!("{account}, {what}, for {}: {}\n", share.identifier, problem.detail));
            }
            Err(error) => return Err(error),
        }
    }
    Ok((given, failed))
}

/// Gives a right; whether it was not there.
async fn give_one(session: &Session<'_>, account: &str, share: &Share) -> Result<bool, CliError> {
    let path = path(&["accounts", account, "acl"], &[]);
    let before = session.client.get(&path).await?;
    let mut body = json!({"identifier": share.identifier, "rights": share.rights});
    if let Some(name) = &share.name {
        // A folder is shared with all below it, which an archive lists as well.
        let (kind, name) = match share.kind.as_str() {
            "address-book" => ("address_book", name.as_str()),
            "folder" => ("folder", name.split_once('/').map_or("/", |(_, below)| below)),
            kind => (kind, name.as_str()),
        };
        body[kind] = json!(name);
    }
    let after = session.client.send(Method::PATCH, &path, Some(&body)).await?;
    Ok(before["items"] != after.body["items"])
}
