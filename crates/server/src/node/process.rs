//! The process of a node: from its start, which may be a version's first, to its end, which may be another version's
//! start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use sterna_base::{Version, failpoint, version};

use super::migration::standing;
use super::{Node, init, notify, owner};
use crate::cli::{Exit, GlobalArgs};
use crate::config::Config;
use crate::update::handover::{Handover, replace};
use crate::update::record::{Record, Start};
use crate::update::sockets::Sockets;
use crate::update::trial;

/// How long a version on trial may take until it serves.
const TRIAL_START_MAX: Duration = Duration::from_secs(300);

/// How long the service manager is told that a start goes on; whoever hangs for longer is ended by its watchdog. As
/// TimeoutStartSec in `packaging/sterna.service`.
const START_MAX: Duration = Duration::from_secs(600);

/// Runs the node of this folder until it is told to end.
#[allow(clippy::print_stderr)]
pub async fn serve(global: &GlobalArgs, sockets: Sockets) -> Exit {
    let folder = global.folder();
    let config = match init::first_start(&folder).await {
        Ok(Some(config)) => Ok(config),
        Ok(None) => Config::read(&folder),
        Err(error) => {
            eprintln!("sterna serve: {error:#}");
            return Exit::Failed;
        }
    };
    let mut config = match config {
        Ok(config) => config,
        Err(error) => {
            eprintln!("sterna serve: {error}");
            return Exit::BadConfig;
        }
    };
    if let Some(socket) = &global.socket {
        config.admin_socket = Some(socket.clone());
    }
    let sockets = Arc::new(sockets);
    let handover = Arc::new(Handover::new(Record::of(&folder)));
    match run(&folder, config, sockets.clone(), handover.clone()).await {
        Ok(End::Told) => Exit::Done,
        Ok(End::Anew) => begin_anew(&sockets),
        Ok(End::Other(version)) => give_way(version, &handover, &sockets),
        Err(error) => {
            eprintln!("sterna serve: {error:#}");
            trial::exit_of(&error, &folder)
        }
    }
}

/// Why a node ends.
enum End {
    /// It was told to.
    Told,
    /// To start again with another configuration.
    Anew,
    /// Another version of the program takes over, or the one before.
    Other(Version),
}

/// This program: by its path, and by the open file where the path leads nowhere since an update has replaced it.
fn own_program() -> PathBuf {
    std::env::current_exe().ok().filter(|path| path.exists()).unwrap_or_else(|| "/proc/self/exe".into())
}

/// The program in its own place, with the same arguments: what only a start reads is read again, and the service
/// manager sees one process. Returns when that can't be.
#[allow(clippy::print_stderr)]
fn begin_anew(sockets: &Sockets) -> Exit {
    let error = replace(own_program(), sockets);
    eprintln!("sterna serve: it could not start again by itself, start it: {error}");
    Exit::Failed
}

/// Another version in the place of this one; if that can't be, this one again.
fn give_way(version: Version, handover: &Handover, sockets: &Sockets) -> Exit {
    let error = handover.replace(version, sockets);
    tracing::error!(%version, %error, "the version could not be started; the one of before goes on");
    begin_anew(sockets)
}

async fn run(folder: &Path, config: Config, sockets: Arc<Sockets>, handover: Arc<Handover>) -> Result<End> {
    owner::is_ours(folder)?;
    let place = folder.to_owned();
    let config = tokio::task::spawn_blocking(move || standing::settle(&place, config)).await??;
    let record = handover.record();
    // Where the program was replaced in its place, the watchdog of the one before goes on.
    let starts = tokio::spawn(tokio::time::timeout(START_MAX, notify::stay_alive()));
    let start = record.settle(version::own()).context("the record of the version that runs here")?;
    tell_start(start, record);
    failpoint::reached("version-starts");
    let starting = Node::start(folder, config, sockets.clone(), handover.clone());
    let node = match start {
        Start::OnTrial { back } => match tokio::time::timeout(TRIAL_START_MAX, starting).await {
            Ok(Ok(node)) => node,
            failed => {
                let cause = failed.map_or_else(|_| "it took too long".to_owned(), |error| cause_of(error.err()));
                return trial::give_up(&handover, folder, back, cause).await.map(End::Other);
            }
        },
        _ => starting.await?,
    };
    // Before anybody knows that it serves: who tells it to end then must not find the system's own way of ending.
    let mut ending = Ending::heard()?;
    sockets.close_unused();
    failpoint::reached("version-serves");
    // Goes on until this program ends or is replaced.
    tokio::spawn(notify::stay_alive());
    starts.abort();
    if let Start::OnTrial { .. } = start {
        record.confirm(version::own()).context("the record of the version that runs here")?;
    }
    notify::ready("serving");
    let end = tokio::select! {
        () = ending.told() => End::Told,
        () = node.restart.notified() => End::Anew,
        version = handover.wait() => End::Other(version),
    };
    tracing::info!("the node is ending");
    match end {
        End::Told => {
            notify::stopping();
            node.stop().await;
        }
        End::Anew => node.stop().await,
        End::Other(version) => {
            notify::reloading(&format!("version {version} takes over"));
            node.make_way().await;
        }
    }
    Ok(end)
}

fn cause_of(error: Option<anyhow::Error>) -> String {
    error.map_or_else(String::new, |error| format!("{error:#}"))
}

/// What is worth knowing of the version that starts.
fn tell_start(start: Start, record: &Record) {
    let own = version::own();
    match start {
        Start::Usual => {}
        Start::OnTrial { back } => tracing::info!(version = %own, %back, "this version has its try"),
        Start::Other { recorded } => {
            tracing::warn!(version = %own, %recorded, "this version was started by hand; another one is to run here");
        }
    }
    if let Ok(Some(failed)) = record.failed() {
        tracing::error!(version = %failed, runs = %own, "a version was tried and did not come to serve");
    }
}

/// SIGTERM and SIGINT.
struct Ending {
    term: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Ending {
    /// From now on they don't end the program by themselves.
    fn heard() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Ending { term: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one of them.
    async fn told(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
