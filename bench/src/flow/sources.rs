//! Postfix's own test programs: `smtp-source` sends, `smtp-sink` takes.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

/// How long the sink may take to listen, and to get the last message after all were sent.
const PATIENCE: Duration = Duration::from_secs(600);

/// What one `smtp-source` sends.
#[derive(Clone)]
pub struct Source {
    /// To whom.
    pub recipient: String,
    /// Over so many connections at the same time, each of which carries many messages.
    pub connections: u32,
    /// In all.
    pub messages: u32,
    /// Bytes of each.
    pub bytes: u32,
}

impl Source {
    /// Sends them to this server; an error when it refuses one.
    fn send(&self, server: SocketAddr) -> Result<()> {
        let mut command = Command::new("smtp-source");
        command.args(["-d", "-s", &self.connections.to_string(), "-m", &self.messages.to_string()]);
        command.args(["-l", &self.bytes.to_string(), "-f", "sender@out.test", "-t", &self.recipient]);
        let output = command.arg(format!("{}:{}", server.ip(), server.port())).output();
        let output = output.context("smtp-source: is postfix installed?")?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success() && errors.is_empty(), "smtp-source to {}: {errors}", self.recipient);
        Ok(())
    }
}

/// Runs these, so many at the same time.
pub fn send_all(server: SocketAddr, sources: &[Source], at_once: usize) -> Result<()> {
    let share = sources.len().div_ceil(at_once.max(1)).max(1);
    thread::scope(|scope| {
        let send = |sources: &[Source]| sources.iter().try_for_each(|source| source.send(server));
        let senders: Vec<_> = sources.chunks(share).map(|chunk| scope.spawn(move || send(chunk))).collect();
        senders.into_iter().try_for_each(|sender| sender.join().map_err(|_| anyhow!("a sender panicked"))?)
    })
}

/// An `smtp-sink` on all addresses of this machine, which ends after so many messages.
pub struct Sink(Child);

impl Sink {
    /// Starts it.
    pub fn start(port: u16, messages: u32) -> Result<Self> {
        let mut command = Command::new("smtp-sink");
        command.args(["-u", "postfix", "-M", &messages.to_string(), &format!("0.0.0.0:{port}"), "1000"]);
        let child = command.stdout(Stdio::null()).spawn().context("smtp-sink: is postfix installed?")?;
        let mut sink = Sink(child);
        crate::peers::wait_for(crate::peers::loopback(port), &mut sink.0)?;
        Ok(sink)
    }

    /// Waits until it has all.
    pub fn wait(mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.0.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("the sink still waits for messages after {} s", PATIENCE.as_secs());
            }
            thread::park_timeout(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
