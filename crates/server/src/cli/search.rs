//! `sterna search`

use clap::{Args, Subcommand};
use hyper::Method;

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::{Column, Listing};
use super::resource::{Session, WriteArgs};
use super::{GlobalArgs, output};

const COLUMNS: &[Column] = &[
    ("ACCOUNT", "address"),
    ("STATE", "state"),
    ("LAG", "lag"),
    ("MESSAGES", "messages"),
    ("PARTIAL", "partial"),
    ("WORDS", "words"),
    ("BYTES", "size_bytes"),
];

/// Accounts asked for at once.
const PAGE_ACCOUNTS: &str = "100";

/// Look at the search indexes of this server's accounts, make them again
#[derive(Debug, Subcommand)]
pub enum SearchCommand {
    /// Show how far the indexes are; searches are complete all the same, and slower where one is behind
    Status {
        /// Addresses or ids; all of this server when none is given
        #[arg(value_name = "ACCOUNT")]
        accounts: Vec<String>,
    },
    /// Make indexes again from the messages, in the background
    Rebuild(RebuildArgs),
}

/// Options of `rebuild`.
#[derive(Clone, Debug, Args)]
pub struct RebuildArgs {
    /// Addresses or ids
    #[arg(value_name = "ACCOUNT", required_unless_present = "all", conflicts_with = "all")]
    accounts: Vec<String>,
    /// Those of all accounts of this server
    #[arg(long)]
    all: bool,
    /// See [`WriteArgs`].
    #[command(flatten)]
    write: WriteArgs,
}

pub(super) async fn run(session: &Session<'_>, global: &GlobalArgs, command: SearchCommand) -> Result<Exit, CliError> {
    match command {
        SearchCommand::Status { accounts } if accounts.is_empty() => session.list(&["search"], &[], COLUMNS).await,
        SearchCommand::Status { accounts } => {
            let mut listing = Listing::new(global.format(), COLUMNS);
            for account in &accounts {
                let item = session.client.get(&path(&["search", account], &[])).await?;
                listing.page(&[item])?;
            }
            listing.end()?;
            Ok(Exit::Done)
        }
        SearchCommand::Rebuild(args) => rebuild(session, args).await,
    }
}

async fn rebuild(session: &Session<'_>, args: RebuildArgs) -> Result<Exit, CliError> {
    for account in &args.accounts {
        rebuild_one(session, account, &args.write).await?;
    }
    let mut done = args.accounts.len();
    let mut next = args.all.then(|| "0".to_owned());
    while let Some(after) = next {
        let page = path(&["search"], &[("limit", Some(PAGE_ACCOUNTS)), ("after", Some(&after))]);
        let page = session.client.get(&page).await?;
        for item in page["items"].as_array().into_iter().flatten().filter(|item| item["state"] != "none") {
            rebuild_one(session, &item["account"].to_string(), &args.write).await?;
            done += 1;
        }
        next = page["next"].as_str().map(str::to_owned);
    }
    let what = if args.write.dry_run { "would be made again" } else { "are made again" };
    session.say(&format!("{done} indexes {what} in the background; sterna search status tells how far they are\n"));
    Ok(Exit::Done)
}

async fn rebuild_one(session: &Session<'_>, account: &str, write: &WriteArgs) -> Result<(), CliError> {
    let path = path(&["search", account], &[write.parameter()]);
    match session.client.send(Method::DELETE, &path, None).await {
        Ok(_) => Ok(()),
        Err(error) => {
            output::note(&format!("{account}: not done\n"));
            Err(error)
        }
    }
}
