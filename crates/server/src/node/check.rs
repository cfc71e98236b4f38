//! `sterna check`: every invariant of the accounts and of the directory of a node, whether it runs or not.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::json;
use sterna_account::check::{Depth, check};
use sterna_account::search;
use sterna_account::{Engine, StoreError};
use sterna_base::{AccountId, NodeId, SystemClock};
use sterna_cluster::Identity;
use sterna_directory::{Directory, Reader, StorageError};
use sterna_engines::sqlite::SqliteEngine;

use super::{accounts_folder, directory_file};
use crate::cli::{CheckArgs, Exit, GlobalArgs, Output};
use crate::config::{Config, Role};

/// Placements read at once.
const PLACEMENTS_PAGE: usize = 1000;

/// How often an account in which something is found is looked at before that is said.
const LOOKS_MAX: usize = 3;

/// One thing that is not as it must be.
struct Finding {
    place: String,
    what: String,
}

/// Prints what was found and ends with 1 if anything was.
#[allow(clippy::print_stderr, clippy::print_stdout)]
pub async fn run(global: &GlobalArgs, arguments: CheckArgs) -> Exit {
    let folder = global.folder();
    let config = match Config::read(&folder) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("sterna check: {error}");
            return Exit::BadConfig;
        }
    };
    let (count, findings) = match look(&folder, &config, &arguments).await {
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

async fn look(folder: &Path, config: &Config, arguments: &CheckArgs) -> Result<(usize, Vec<Finding>)> {
    let Some(directory) = open_directory(folder)? else { return look_without_directory(folder) };
    let found = directory.check().await.context("the directory")?;
    let mut findings: Vec<_> = found.into_iter().map(|what| Finding { place: "directory".to_owned(), what }).collect();
    let mut accounts = Vec::new();
    for account in &arguments.accounts {
        accounts.push(resolve(&directory, account).await?);
    }
    findings.extend(check_placements(folder, config, &directory, &accounts).await?);
    let (root, depth) = (accounts_folder(folder), Depth { contents: arguments.deep });
    let checked = tokio::task::spawn_blocking(move || check_accounts(&root, &accounts, depth)).await??;
    findings.extend(checked.1);
    Ok((checked.0, findings))
}

/// The directory as it is, whether the node runs or not; `None` when it has none, because it never ran.
pub(crate) fn open_directory(folder: &Path) -> Result<Option<Directory>> {
    let file = directory_file(folder);
    if !file.exists() {
        return Ok(None);
    }
    Directory::inspect(&file, Arc::new(SystemClock)).map(Some).context("the directory")
}

/// A node that never ran has nothing to be checked. One that has accounts did run.
fn look_without_directory(folder: &Path) -> Result<(usize, Vec<Finding>)> {
    let accounts = SqliteEngine::new(accounts_folder(folder)).accounts().context("listing the accounts")?;
    if accounts.is_empty() {
        return Ok((0, Vec::new()));
    }
    let what = format!("there are stores of {} accounts, and the file of the directory is missing", accounts.len());
    Ok((0, vec![Finding { place: "directory".to_owned(), what }]))
}

/// An account by id or address.
async fn resolve(directory: &Directory, text: &str) -> Result<AccountId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let address = text.to_owned();
    let found = directory.read(move |reader| reader.entry_at(&address)).await?;
    found.map(|found| found.value.entry().id).with_context(|| format!("there is no account {text}"))
}

/// Accounts that the directory places here and that have no store: their owners are told that nothing is there.
async fn check_placements(
    folder: &Path,
    config: &Config,
    directory: &Directory,
    wanted: &[AccountId],
) -> Result<Vec<Finding>> {
    if !config.has(Role::Data) {
        return Ok(Vec::new());
    }
    let node = Identity::load(folder)?.node();
    let placed = directory.read(move |reader| placed_on(reader, node)).await.context("the directory")?;
    let root = accounts_folder(folder);
    let stored = tokio::task::spawn_blocking(move || SqliteEngine::new(&root).accounts()).await?;
    let stored: HashSet<AccountId> = stored.context("listing the accounts")?.into_iter().collect();
    let missing = placed.into_iter().filter(|id| !stored.contains(id));
    let what = "the directory places it on this server, and there is no store of it".to_owned();
    let finding = |id: AccountId| Finding { place: format!("account {id}"), what: what.clone() };
    Ok(missing.filter(|id| wanted.is_empty() || wanted.contains(id)).map(finding).collect())
}

fn placed_on(reader: &Reader<'_>, node: NodeId) -> Result<Vec<AccountId>, StorageError> {
    let (mut all, mut after) = (Vec::new(), AccountId(0));
    loop {
        let page = reader.placed_on(node, after, PLACEMENTS_PAGE)?;
        let Some(last) = page.last() else { return Ok(all) };
        after = *last;
        all.extend(page);
    }
}

fn check_accounts(root: &Path, wanted: &[AccountId], depth: Depth) -> Result<(usize, Vec<Finding>)> {
    let engine = SqliteEngine::new(root);
    let mut accounts = engine.accounts().context("listing the accounts")?;
    if !wanted.is_empty() {
        accounts.retain(|id| wanted.contains(id));
    }
    let mut findings = Vec::new();
    for account in &accounts {
        let found = check_account(&engine, *account, depth);
        findings.extend(found.into_iter().map(|what| Finding { place: format!("account {account}"), what }));
    }
    Ok((accounts.len(), findings))
}

/// What is found in one account. What the node purges meanwhile is missing from the state that is looked at, so only
/// what is found again counts.
pub(crate) fn check_account(engine: &SqliteEngine, account: AccountId, depth: Depth) -> Vec<String> {
    let look = || {
        let inspection = engine.inspect(account)?;
        let mut found = inspection.check_files()?;
        found.extend(check(inspection.read(), depth)?.iter().map(ToString::to_string));
        if depth.contents {
            found.extend(check_index(engine, account));
        }
        Ok(found)
    };
    let mut findings = Vec::new();
    for _ in 0..LOOKS_MAX {
        findings = look().unwrap_or_else(|error: StoreError| vec![error.to_string()]);
        if findings.is_empty() {
            break;
        }
    }
    findings
}

/// What is wrong with an account's search index, and what to do.
fn check_index(engine: &SqliteEngine, account: AccountId) -> Vec<String> {
    let findings = compare_index(engine, account).unwrap_or_else(|error| vec![error.to_string()]);
    findings.into_iter().map(|what| format!("search index: {what}; sterna search rebuild mends it")).collect()
}

/// Holds the index against the account in a state that is not older.
fn compare_index(engine: &SqliteEngine, account: AccountId) -> Result<Vec<String>, StoreError> {
    let mut findings = Vec::new();
    let Some(index) = engine.inspect_search_index(account)? else { return Ok(findings) };
    index.snapshot(&mut || {
        index.progress()?;
        findings = search::check(engine.inspect(account)?.read(), index.as_ref())?;
        Ok(())
    })?;
    Ok(findings)
}
