//! `sterna dkim`

use clap::{Subcommand, ValueEnum};
use serde_json::Map;

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::Column;
use super::resource::{CreateArgs, DeleteArgs, Fields, Session, WriteArgs};

const COLUMNS: &[Column] = &[
    ("SELECTOR", "selector"),
    ("ALGORITHM", "algorithm"),
    ("STATE", "state"),
    ("SINCE", "since"),
    ("DNS", "dns"),
    ("RECORD", "record_name"),
];

/// Kinds of keys
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Algorithm {
    /// RSA with 2048 bits: everybody understands it
    #[default]
    #[value(name = "rsa-2048")]
    Rsa2048,
    /// Ed25519, beside an RSA key
    Ed25519,
}

/// Manage the keys that domains sign their mail with
#[derive(Debug, Subcommand)]
pub enum DkimCommand {
    /// List the keys of a domain, and whether DNS has them
    List {
        /// Its name
        domain: String,
    },
    /// Make a key; nothing is signed with it before it is active
    Generate {
        /// The name of the domain
        domain: String,
        /// The kind of key
        #[arg(long, value_enum, default_value_t)]
        algorithm: Algorithm,
        /// Its name in DNS; one with the date when left out
        #[arg(long)]
        selector: Option<String>,
    },
    /// Show a key with the record to publish
    Show {
        /// The name of the domain
        domain: String,
        /// The key
        selector: String,
    },
    /// Make a new key for each kind that is active; activate them when they are published
    Rotate {
        /// The name of the domain
        domain: String,
    },
    /// Sign with new keys from now on, if DNS has them; the former ones of their kinds retire
    Activate {
        /// The name of the domain
        domain: String,
        /// The key; all new ones when left out
        selector: Option<String>,
        /// Don't ask DNS
        #[arg(long)]
        unchecked: bool,
    },
    /// Sign no more with a key
    Retire {
        /// The name of the domain
        domain: String,
        /// The key
        selector: String,
    },
    /// Delete a key that is not active; take its record out of DNS a week after it retired
    Remove {
        /// The name of the domain
        domain: String,
        /// The key
        selector: String,
        /// See [`DeleteArgs`].
        #[command(flatten)]
        delete: DeleteArgs,
    },
}

pub(super) async fn run(session: &Session<'_>, command: DkimCommand) -> Result<Exit, CliError> {
    match command {
        DkimCommand::List { domain } => session.list(&["domains", &domain, "dkim"], &[], COLUMNS).await,
        DkimCommand::Generate { domain, algorithm, selector } => {
            let name = if algorithm == Algorithm::Ed25519 { "ed25519" } else { "rsa-2048" };
            generate(session, &domain, name, selector).await
        }
        DkimCommand::Show { domain, selector } => session.get(&["domains", &domain, "dkim", &selector]).await,
        DkimCommand::Rotate { domain } => rotate(session, &domain).await,
        DkimCommand::Activate { domain, selector: Some(selector), unchecked } => {
            set(session, &domain, &selector, "active", unchecked).await
        }
        DkimCommand::Activate { domain, selector: None, unchecked } => {
            let new = selectors(session, &domain, "new", "selector").await?;
            for selector in &new {
                set(session, &domain, selector, "active", unchecked).await?;
            }
            Ok(if new.is_empty() { Exit::NothingToDo } else { Exit::Done })
        }
        DkimCommand::Retire { domain, selector } => set(session, &domain, &selector, "retired", false).await,
        DkimCommand::Remove { domain, selector, delete } => {
            let question = format!("Delete the key {selector} of {domain}? It can't be had again.");
            session.delete(&["domains", &domain, "dkim", &selector], &question, &delete).await
        }
    }
}

async fn generate(
    session: &Session<'_>,
    domain: &str,
    algorithm: &str,
    selector: Option<String>,
) -> Result<Exit, CliError> {
    let body = Fields::default().add("algorithm", Some(algorithm)).add("selector", selector);
    let made = session.create(&["domains", domain, "dkim"], body.0, &CreateArgs::default()).await?;
    session.say(&format!("publish the record, then: sterna dkim activate {domain}\n"));
    Ok(made)
}

async fn rotate(session: &Session<'_>, domain: &str) -> Result<Exit, CliError> {
    let kinds = selectors(session, domain, "active", "algorithm").await?;
    if kinds.is_empty() {
        session.say("no key is active; nothing to rotate (sterna dkim generate)\n");
        return Ok(Exit::NothingToDo);
    }
    for algorithm in &kinds {
        generate(session, domain, algorithm, None).await?;
    }
    Ok(Exit::Done)
}

async fn set(
    session: &Session<'_>,
    domain: &str,
    selector: &str,
    state: &str,
    unchecked: bool,
) -> Result<Exit, CliError> {
    let mut body = Map::new();
    body.insert("state".to_owned(), state.into());
    body.insert("unchecked".to_owned(), unchecked.into());
    session.set(&["domains", domain, "dkim", selector], body, &WriteArgs::default()).await
}

/// One field of all keys that are in a state.
async fn selectors(session: &Session<'_>, domain: &str, state: &str, field: &str) -> Result<Vec<String>, CliError> {
    let page = session.client.get(&path(&["domains", domain, "dkim"], &[])).await?;
    let keys = page["items"].as_array().map_or(&[][..], Vec::as_slice);
    let of_state = keys.iter().filter(|key| key["state"] == state);
    Ok(of_state.filter_map(|key| key[field].as_str()).map(str::to_owned).collect())
}
