//! `sterna check`: every invariant of the accounts and of the directory of a node, whether it runs or not.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::json;
use sterna_account::Engine;
use sterna_account::check::{Depth, check};
use sterna_base::{AccountId, SystemClock};
use sterna_cluster::Identity;
use sterna_directory::{Directory, Mode};
use sterna_engines::sqlite::SqliteEngine;

use super::{accounts_folder, directory_file};
use crate::cli::{CheckArgs, Exit, GlobalArgs, Output};
use crate::config::{Config, Role};

/// One thing that is not as it must be.
struct Finding {
    place: String,
    what: String,
}

/// Prints what was found and ends with 1 if anything was.
#[allow(clippy::print_stderr, clippy::print_stdout)]
pub async fn run(global: &GlobalArgs, arguments: CheckArgs) -> Exit {
    let (count, findings) = match look(&arguments).await {
        Ok(found) => found,
        Err(error) => {
            eprintln!("sterna check: {error:#}");
            return Exit::Failed;
        }
    };
    if global.format() == Output::Table {
        for finding in &findings {
            println!("{}: {}", finding.place, finding.what);
        }
        println!("{count} accounts checked, {} findings", findings.len());
        if !findings.is_empty() {
            println!("Keep a copy of the node's folder before anything else is done with it.");
        }
    } else {
        let list: Vec<_> = findings.iter().map(|f| json!({ "place": f.place, "what": f.what })).collect();
        println!("{}", json!({ "accounts": count, "findings": list }));
    }
    if findings.is_empty() { Exit::Done } else { Exit::Failed }
}

async fn look(arguments: &CheckArgs) -> Result<(usize, Vec<Finding>)> {
    let folder = &arguments.node.dir;
    let config = Config::read(folder)?;
    let mut findings = check_directory(folder, &config).await?;
    let root = accounts_folder(folder);
    let (accounts, depth) = (arguments.accounts.clone(), Depth { contents: arguments.deep });
    let checked = tokio::task::spawn_blocking(move || check_accounts(&root, &accounts, depth)).await??;
    findings.extend(checked.1);
    Ok((checked.0, findings))
}

async fn check_directory(folder: &Path, config: &Config) -> Result<Vec<Finding>> {
    let mode =
        if config.has(Role::Main) { Mode::Main(Identity::load(folder)?.facts().installation) } else { Mode::Copy };
    let directory = Directory::open(&directory_file(folder), mode, Arc::new(SystemClock)).context("the directory")?;
    let found = directory.check().await.context("the directory")?;
    Ok(found.into_iter().map(|what| Finding { place: "directory".to_owned(), what }).collect())
}

fn check_accounts(root: &Path, wanted: &[u64], depth: Depth) -> Result<(usize, Vec<Finding>)> {
    let engine = SqliteEngine::new(root);
    let mut accounts = engine.accounts().context("listing the accounts")?;
    if !wanted.is_empty() {
        accounts = wanted.iter().map(|id| AccountId(*id)).collect();
    }
    let mut findings = Vec::new();
    for account in &accounts {
        let place = format!("account {account}");
        let checked = engine.open(*account).and_then(|store| {
            let mut found = store.check_files()?;
            found.extend(check(store.as_ref(), depth)?.iter().map(ToString::to_string));
            Ok(found)
        });
        match checked {
            Ok(found) => findings.extend(found.into_iter().map(|what| Finding { place: place.clone(), what })),
            Err(error) => findings.push(Finding { place, what: error.to_string() }),
        }
    }
    Ok((accounts.len(), findings))
}
