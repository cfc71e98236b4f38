//! A node as a child process of this same program: those of a demonstration, and the one of a rehearsal.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a node may take to answer.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a node may take to end before it is killed: longer than it gives its own sessions.
const STOP_TIMEOUT: Duration = Duration::from_secs(40);

/// A running node.
pub struct Node {
    name: String,
    child: Child,
}

impl Node {
    /// Starts `sterna serve` for this folder and waits until it says that it is ready, in systemd's way (READY=1 on
    /// NOTIFY_SOCKET).
    pub async fn start(folder: &Path) -> Result<Self> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let socket = folder.join("notify.sock");
        let _ = std::fs::remove_file(&socket);
        let ready = UnixDatagram::bind(&socket).with_context(|| format!("binding {}", socket.display()))?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg("--dir")
            .arg(folder)
            .env("NOTIFY_SOCKET", &socket)
            .env("STERNA_END_WITH_PARENT", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log_file(folder)?)
            .process_group(0) // Ctrl-C reaches us alone; we end the nodes in their order
            .kill_on_drop(true)
            .spawn()?;
        let mut message = [0; 256];
        let waiting = async {
            loop {
                let length = ready.recv(&mut message).await?;
                if message[..length].split(|&byte| byte == b'\n').any(|line| line == b"READY=1") {
                    return Ok::<(), std::io::Error>(());
                }
            }
        };
        tokio::select! {
            answer = timeout(READY_TIMEOUT, waiting) => {
                answer.with_context(|| format!("{name} is not ready after {READY_TIMEOUT:?}; see {}", log(folder)))??;
            }
            status = child.wait() => {
                bail!("{name} ended with {}; see {}", status?, log(folder));
            }
        }
        let _ = std::fs::remove_file(&socket);
        Ok(Node { name, child })
    }

    /// Ends it as systemd would.
    ///
    /// # Errors
    /// When it had to be killed, or didn't end well.
    pub async fn stop(mut self) -> Result<()> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            let _ = kill_process(id, Signal::TERM);
        }
        let Ok(ended) = timeout(STOP_TIMEOUT, self.child.wait()).await else {
            self.child.kill().await.with_context(|| format!("ending {}", self.name))?;
            bail!("{} did not end within {STOP_TIMEOUT:?} and was killed", self.name);
        };
        let status = ended?;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }

    /// Waits until it ends by itself; a demonstration with a missing node is over.
    pub async fn ended(&mut self) -> String {
        let status = self.child.wait().await;
        format!("{} ended: {}", self.name, status.map_or_else(|error| error.to_string(), |status| status.to_string()))
    }
}

/// Runs a command of this program to its end.
pub async fn run(arguments: &[&str]) -> Result<String> {
    let output = Command::new(std::env::current_exe()?).args(arguments).stdin(Stdio::null()).output().await?;
    if !output.status.success() {
        bail!("sterna {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn log(folder: &Path) -> String {
    log_path(folder).display().to_string()
}

fn log_path(folder: &Path) -> PathBuf {
    folder.join("log")
}

fn log_file(folder: &Path) -> Result<std::fs::File> {
    Ok(std::fs::OpenOptions::new().create(true).append(true).open(log_path(folder))?)
}
