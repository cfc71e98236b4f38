//! Does anything keep a version from running here? Every account is looked at, and the machine.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use sterna_account::Engine;
use sterna_account::check::Depth;
use sterna_base::{AccountId, version};
use sterna_cluster::InstalledVersion;
use sterna_cluster::update::TaskFinding;
use sterna_engines::sqlite::SqliteEngine;

use super::super::repository;
use super::{Bench, Progress};
use crate::node::{accounts_folder, check::check_account};

/// Bytes that stay free beside what an update takes: accounts go on growing meanwhile.
const SPARE_BYTES: u64 = 256 * 1024 * 1024;

/// Accounts that are looked at at the same time. Users wait for the same disk and processors.
const LOOKED_AT_ONCE: usize = 2;

pub(super) async fn run(
    bench: &Bench,
    progress: &Progress,
    target: InstalledVersion,
    program_sha256: Option<String>,
    bytes: u64,
) -> Result<(), TaskFinding> {
    program(bench, progress, target, program_sha256).await;
    let (folder, surroundings, told) = (bench.folder.clone(), bench.surroundings.clone(), progress.clone());
    let machine = tokio::task::spawn_blocking(move || {
        space(&folder, &told, bytes);
        surroundings.findings(&folder).into_iter().for_each(|finding| told.find(finding));
    });
    machine.await.map_err(|error| TaskFinding::blocks(format!("the machine can't be looked at: {error}"), LOOK))?;
    let directory = bench.directory.check().await;
    let said = directory.unwrap_or_else(|error| vec![error.to_string()]);
    for what in said {
        progress.find(TaskFinding::blocks(
            format!("the directory here: {what}"),
            "Look with sterna check on that server; a copy that is damaged is made anew from the main node.",
        ));
    }
    match bench.local {
        Some(_) => accounts(bench, progress).await,
        None => Ok(()),
    }
}

/// The program of that version, where it is there already; and whether this one is still the one that was started.
async fn program(bench: &Bench, progress: &Progress, target: InstalledVersion, sha256: Option<String>) {
    let programs = bench.handover.programs();
    let own = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    if own.to_string_lossy().ends_with(" (deleted)") {
        let says = format!("the file of the program that runs here ({}) was replaced or removed", own.display());
        progress.find(TaskFinding::notes(
            says,
            format!("Install it again: apt install --reinstall sterna-{}", version::own()),
        ));
    }
    let path = programs.path(target.version);
    if !path.is_file() {
        return;
    }
    let again = format!("Install it again: apt install --reinstall sterna-{}", target.version);
    if let Err(error) = programs.facts(target.version).await {
        progress.find(TaskFinding::blocks(error.to_string(), again));
        return;
    }
    let Some(wanted) = sha256 else { return };
    let hashed = tokio::task::spawn_blocking(move || repository::sha256_of_file(&path).map(|hash| (path, hash))).await;
    match hashed {
        Ok(Ok((path, hash))) if hash != wanted => {
            let says = format!("{} is not the program that was signed: it was replaced by hand", path.display());
            progress.find(TaskFinding::blocks(says, again));
        }
        Ok(Ok(_)) => {}
        Ok(Err(error)) => progress.find(TaskFinding::blocks(error.to_string(), again)),
        Err(_) => {}
    }
}

fn space(folder: &Path, progress: &Progress, bytes: u64) {
    let Ok(disk) = rustix::fs::statvfs(folder) else { return };
    let free = disk.f_bavail * disk.f_frsize;
    if free < bytes + SPARE_BYTES {
        let needed = (bytes + SPARE_BYTES) >> 20;
        let says = format!("{} MB are free in {}, and {needed} MB are needed", free >> 20, folder.display());
        progress.find(TaskFinding::blocks(says, "Make room there, and check again."));
    }
}

/// Says when it is dropped that nobody waits any more.
struct Unwanted(Arc<AtomicBool>);

impl Drop for Unwanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// What a look at one account found.
type Found = (AccountId, Vec<String>);

async fn accounts(bench: &Bench, progress: &Progress) -> Result<(), TaskFinding> {
    let root = accounts_folder(&bench.folder);
    let listed = tokio::task::spawn_blocking({
        let root = root.clone();
        move || SqliteEngine::new(&root).accounts()
    });
    let unreadable = |cause: String| TaskFinding::blocks(format!("the accounts can't be listed: {cause}"), LOOK);
    let accounts = listed.await.map_err(|error| unreadable(error.to_string()))?;
    let accounts = accounts.map_err(|error| unreadable(error.to_string()))?;
    let total = accounts.len() as u64;
    progress.at(0, total);
    let (left, done) = (Arc::new(Mutex::new(accounts)), Arc::new(AtomicU64::new(0)));
    // Who looks can't be aborted, and would go on beside those of the next check.
    let is_wanted = Arc::new(AtomicBool::new(true));
    let _unwanted = Unwanted(is_wanted.clone());
    let mut lookers = tokio::task::JoinSet::new();
    for _ in 0..LOOKED_AT_ONCE {
        let (root, left, done, progress) = (root.clone(), left.clone(), done.clone(), progress.clone());
        let is_wanted = is_wanted.clone();
        lookers.spawn_blocking(move || {
            let engine = SqliteEngine::new(&root);
            while is_wanted.load(Ordering::Relaxed) {
                let next = left.lock().ok().and_then(|mut left| left.pop());
                let Some(account) = next else { return };
                tell(&progress, (account, check_account(&engine, account, Depth::default())));
                progress.at(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            }
        });
    }
    while let Some(looked) = lookers.join_next().await {
        looked.map_err(|error| unreadable(error.to_string()))?;
    }
    Ok(())
}

const LOOK: &str = "Look with sterna check on that server, and keep a copy of its folder before anything is done.";

fn tell(progress: &Progress, (account, found): Found) {
    let Some(first) = found.first() else { return };
    let more = if found.len() > 1 { format!(" (and {} more)", found.len() - 1) } else { String::new() };
    progress.find(TaskFinding::blocks(format!("account {account}: {first}{more}"), LOOK));
}
