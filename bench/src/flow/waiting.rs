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

/// How fast it takes them, how much memory it has then, and what it costs to look through all of them: to say what
/// waits, to look for one recipient, and to do something with each.
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
    report.add("the whole queue listed", name, Unit::Milliseconds, timed(options, || list(&sender))?);
    // Postfix has no such question: its list is what is looked through.
    if let Sender::Sterna(sterna) = &sender {
        let nobody = || sterna.admin(&["--json", "queue", "list", "--recipient", "nobody@nowhere.test"]).map(drop);
        report.add("a recipient looked for who is not there", name, Unit::Milliseconds, timed(options, nobody)?);
        let start = Instant::now();
        sterna.admin(&["queue", "hold", "--all"])?;
        let rate = f64::from(options.waiting) / start.elapsed().as_secs_f64();
        report.add("all of them held", name, Unit::PerSecond, vec![rate]);
    }
    Ok(())
}

/// How long it takes in each round, in milliseconds.
fn timed(options: &Options, work: impl Fn() -> Result<()>) -> Result<Vec<f64>> {
    let mut figures = Vec::new();
    for _ in 0..options.rounds {
        let start = Instant::now();
        work()?;
        figures.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(figures)
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
