//! A queue in which very many messages wait for hosts that don't answer.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};

use super::Options;
use super::outbound::{AT_ONCE, Sender, sources};
use crate::peers;
use crate::report::{Report, Unit};

const CONNECTIONS: u32 = 2;
const BYTES: u32 = 1_000;

/// How fast it takes them, how much memory it has then, and how long it takes to say what waits.
pub fn run(name: &str, folder: &Path, options: &Options, report: &mut Report) -> Result<()> {
    // Nothing listens there.
    let sender = Sender::start(name, folder, peers::free_port()?)?;
    let before = peers::memory_kib(sender.processes()?)?;
    let start = Instant::now();
    send_all(&sender, options)?;
    let rate = f64::from(options.waiting) / start.elapsed().as_secs_f64();
    report.add("accepted while nothing can be sent", name, Unit::PerSecond, vec![rate]);
    let after = peers::memory_kib(sender.processes()?)?;
    let works = [("memory before, all processes", before), ("memory with all waiting", after)];
    for (work, kib) in works {
        report.add(work, name, Unit::Kib, vec![kib as f64]);
    }
    let mut figures = Vec::new();
    for _ in 0..options.rounds {
        let start = Instant::now();
        list(&sender)?;
        figures.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    report.add("the whole queue listed", name, Unit::Milliseconds, figures);
    Ok(())
}

fn send_all(sender: &Sender, options: &Options) -> Result<()> {
    super::sources::send_all(sender.smtp(), &sources(options.waiting, CONNECTIONS, BYTES), AT_ONCE)
}

/// What an administrator types to see it.
fn list(sender: &Sender) -> Result<()> {
    match sender {
        Sender::Postfix(postfix) => {
            let mut command = Command::new("postqueue");
            command.arg("-c").arg(postfix.configuration()).arg("-j").stdout(Stdio::null());
            ensure!(command.status()?.success(), "postqueue failed");
        }
        Sender::Sterna(sterna) => {
            sterna.admin(&["--json", "queue", "list"])?;
        }
    }
    Ok(())
}
