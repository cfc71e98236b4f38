//! Programs that tests start beside the nodes, each with a folder of its own.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::wait::until;

/// How long one may take to begin.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program that runs until it is stopped or dropped.
pub struct Daemon {
    name: &'static str,
    folder: TempDir,
    process: Option<Child>,
}

impl Daemon {
    /// A folder for one; nothing runs yet.
    ///
    /// # Panics
    /// When there is no folder to be had.
    pub fn new(name: &'static str) -> Self {
        let folder = tempfile::Builder::new().prefix("sterna-").tempdir_in("/var/tmp").unwrap();
        Daemon { name, folder, process: None }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its standard output and errors.
    fn log(&self) -> PathBuf {
        self.folder.path().join("output.log")
    }

    /// Starts it, and waits until it is ready.
    ///
    /// # Panics
    /// When it doesn't begin.
    pub fn start<T>(&mut self, command: &mut Command, ready: impl Fn() -> Option<T>) -> T {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        // A group of its own, so that those whom it starts itself end with it.
        let command = command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.name)));
        until(self.name, PATIENCE, || {
            if let Ok(Some(status)) = self.process.as_mut().unwrap().try_wait() {
                panic!("{} ended: {status}\n{}", self.name, self.said());
            }
            ready()
        })
        .0
    }

    /// Ends it.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended.
            let _ = rustix::process::kill_process_group(Pid::from_child(&process), Signal::KILL);
            let _ = process.wait();
        }
    }

    /// What it wrote, with the files that end in `.log` in its folder.
    pub fn said(&self) -> String {
        let files = fs::read_dir(self.folder.path()).into_iter().flatten().flatten().map(|file| file.path());
        let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.filter_map(|path| fs::read_to_string(path).ok()).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Daemon {
    #[allow(clippy::print_stderr)] // a test that fails is understood from it
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("{}: {}", self.name, self.said());
        }
    }
}
