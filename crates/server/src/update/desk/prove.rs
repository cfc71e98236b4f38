//! After a change of version: accounts open, mail is taken and can be read, logging in is answered, services greet.
//!
//! Mail is delivered into an account that is made for it, beside the others on the same disk, and removed again:
//! nobody's account has traces of it, and no directory knows it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sterna_account::local::LocalAccounts;
use sterna_account::service::{Authenticator, LoginAttempt, LoginError};
use sterna_account::{Account, AccountError, ContainerKind, Content, FlagSet, Mutation, NewItem, first_containers};
use sterna_base::{AccountId, Epoch, OperationId, Secret, SystemClock};
use sterna_cluster::update::TaskFinding;
use sterna_engines::sqlite::SqliteEngine;

use super::{Bench, Progress};

/// Accounts that are opened: spread over all of them. All of them were looked at before the update.
const OPENED_MAX: usize = 200;

/// How long an edge may take until its services are there.
const SERVICES_WAIT: Duration = Duration::from_secs(60);
const SERVICES_LOOK: Duration = Duration::from_millis(200);

/// The folder of the account that mail is tried with, in the node's folder.
const TRIAL_FOLDER: &str = "update-trial";

const MESSAGE: &[u8] = b"From: <>\r\nSubject: Trial of an update\r\n\r\nNobody reads this.\r\n";

const LOOK: &str = "Look at the log of that server.";

pub(super) async fn run(bench: &Bench, progress: &Progress) -> Result<(), TaskFinding> {
    if let Some(local) = &bench.local {
        open_accounts(local, progress).await?;
        deliver(&bench.folder).await?;
    }
    log_in(bench).await?;
    if bench.is_edge { services(bench).await } else { Ok(()) }
}

async fn open_accounts(local: &LocalAccounts, progress: &Progress) -> Result<(), TaskFinding> {
    let listed = local.list().await;
    let all = listed.map_err(|error| TaskFinding::blocks(format!("the accounts can't be listed: {error}"), LOOK))?;
    let step = all.len().div_ceil(OPENED_MAX).max(1);
    let total = all.len().div_ceil(step) as u64;
    for (done, account) in (1..).zip(all.into_iter().step_by(step)) {
        let opened = async { local.get(account).await?.head_of_copy().await };
        match opened.await {
            // It was deleted meanwhile.
            Ok(_) | Err(AccountError::NoSuchAccount(_)) => progress.at(done, total),
            Err(error) => {
                return Err(TaskFinding::blocks(format!("account {account} does not open: {error}"), LOOK));
            }
        }
    }
    Ok(())
}

/// Takes a message in, reads it, and removes the account.
async fn deliver(folder: &Path) -> Result<(), TaskFinding> {
    let folder = folder.join(TRIAL_FOLDER);
    let failed = |cause: String| TaskFinding::blocks(format!("a message can't be delivered: {cause}"), LOOK);
    match tokio::fs::remove_dir_all(&folder).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error.to_string())),
        _ => {}
    }
    let tried = tried(&folder).await.map_err(|error| failed(error.to_string()));
    let removed = tokio::fs::remove_dir_all(&folder).await.map_err(|error| failed(error.to_string()));
    tried.and(removed)
}

async fn tried(folder: &Path) -> Result<(), AccountError> {
    let (id, engine) = (AccountId(1), SqliteEngine::new(folder));
    let accounts = LocalAccounts::new(Arc::new(engine), Arc::new(SystemClock));
    accounts.create(id, Epoch(1)).await?;
    let account = accounts.get(id).await?;
    account.commit(OperationId::random(), first_containers::mutations()).await?;
    let wrong = |what: &str| AccountError::Unavailable(what.to_owned());
    let inboxes = account.containers_on_path(ContainerKind::Mail, &["INBOX".to_owned()]).await?;
    let inbox = inboxes.last().ok_or_else(|| wrong("the account made for it has no INBOX"))?.id;
    let item = NewItem {
        content: Content::Inline(Bytes::from_static(MESSAGE)),
        summary: None,
        internal_date: None,
        flags: FlagSet::default(),
        name: None,
        object_uid: None,
    };
    account.commit(OperationId::random(), vec![Mutation::Append { container: inbox, item }]).await?;
    let counts = account.container(inbox).await?.map(|found| found.counts.items).unwrap_or_default();
    accounts.close().await;
    if counts == 1 { Ok(()) } else { Err(wrong("it is not there after it was acknowledged")) }
}

/// A wrong password is answered as wrong: the directory is read, and the password is looked at.
async fn log_in(bench: &Bench) -> Result<(), TaskFinding> {
    let password = Secret::new(OperationId::random().to_string());
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let attempt = LoginAttempt { login: "update-trial@invalid", password: &password, protocol: "update", peer };
    match bench.authentication.authenticate(attempt).await {
        Err(LoginError::Invalid | LoginError::TooMany { .. }) => Ok(()),
        Ok(_) => Err(TaskFinding::blocks("somebody who doesn't exist can log in", LOOK)),
        Err(error) => Err(TaskFinding::blocks(format!("nobody can log in: {error}"), LOOK)),
    }
}

/// Every service that the edge is to offer greets.
async fn services(bench: &Bench) -> Result<(), TaskFinding> {
    let there = async {
        loop {
            if let Some(check) = bench.edge_check.get() {
                return check.report().await;
            }
            tokio::time::sleep(SERVICES_LOOK).await;
        }
    };
    let late = |_| TaskFinding::blocks("its services are not there", LOOK);
    let report = tokio::time::timeout(SERVICES_WAIT, there).await.map_err(late)?;
    let report = report.map_err(|cause| TaskFinding::blocks(cause, LOOK))?;
    match report.silent.first() {
        None => Ok(()),
        Some(silent) => {
            let says = format!("{} at {} does not answer: {}", silent.service, silent.address, silent.cause);
            Err(TaskFinding::blocks(says, LOOK))
        }
    }
}
