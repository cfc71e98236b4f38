//! The folder of a node that is what this one would be after the switch, with some of its accounts.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::{Context, Result};
use sterna_account::{Engine, Role, Store};
use sterna_base::{AccountId, Clock, SystemClock};
use sterna_cluster::Identity;
use sterna_cluster::ca::Authority;
use sterna_directory::Core;
use sterna_engines::sqlite::SqliteEngine;

use super::Followed;
use super::trial::{IMAP, LMTP};
use crate::config::{Config, FILE_NAME};
use crate::node::{accounts_folder, directory_file};

/// How long a snapshot waits for whoever writes.
const BUSY: std::time::Duration = std::time::Duration::from_secs(10);
/// What says who the node is.
const IDENTITY: [&str; 3] = ["node.json", "node.pem", "ca.pem"];

/// Makes it. Gives the accounts that can't serve, and why. Blocking.
///
/// # Errors
/// When it can't be made.
pub fn make(
    folder: &Path,
    fork: &Path,
    (config, identity): (&Config, &Identity),
    chosen: &[Followed],
) -> Result<Vec<(AccountId, String)>> {
    let cluster = fork.join("cluster");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&cluster)
        .with_context(|| cluster.display().to_string())?;
    for name in IDENTITY {
        let file = folder.join("cluster").join(name);
        fs::copy(&file, cluster.join(name)).with_context(|| file.display().to_string())?;
    }
    // The installation's own stays where it is: this one signs nothing that anybody else believes.
    Authority::create(&cluster, identity.facts().installation, &SystemClock)?;
    fs::write(fork.join(FILE_NAME), configuration(config)).context("the configuration of the rehearsal")?;

    let conn = rusqlite::Connection::open(directory_file(folder)).context("the directory")?;
    conn.busy_timeout(BUSY).context("the directory")?;
    let target = directory_file(fork);
    conn.execute("VACUUM INTO ?1", [target.to_string_lossy()]).context("the directory")?;
    let accounts: Vec<AccountId> = chosen.iter().map(|one| one.account).collect();
    let placed = Core::rehearse(&target, identity.node(), &accounts, &SystemClock).context("the directory")?;

    let (engine, copies) = (SqliteEngine::new(accounts_folder(folder)), SqliteEngine::new(accounts_folder(fork)));
    let mut failed = Vec::new();
    for (account, epoch) in placed {
        let serve = || {
            engine.duplicate(account, &copies).map_err(|error| error.to_string())?;
            let mut store: Box<dyn Store> = copies.open(account).map_err(|error| error.to_string())?;
            store.set_role(epoch, Role::Active, SystemClock.now()).map_err(|error| error.to_string())
        };
        if let Err(cause) = serve() {
            failed.push((account, cause));
        }
    }
    Ok(failed)
}

/// Doors are opened only for those who are in the same network: nobody but the trial.
fn configuration(config: &Config) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    format!(
        "name = {name}\nroles = [\"main\", \"data\", \"edge\"]\nplaintext_login = \"loopback\"\nhostname = {host}\n\n\
         [cluster]\nlisten = \"127.0.0.1:7700\"\naddress = {address}\n\n[listen]\nimap = \"{IMAP}\"\nlmtp = \"{LMTP}\"\n",
        name = quoted(&config.name),
        host = quoted(config.hostname()),
        address = quoted(&config.cluster.address),
    )
}
