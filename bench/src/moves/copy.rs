//! How fast an account is carried to another data server, beside `rsync -a` of a Cyrus spool that holds the same
//! messages, and what the other people on the same servers feel of it.
//!
//! Both read what no cache holds and write to the same disk; rsync's time includes the flush that Sterna's copy did on
//! its way.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::percentiles;
use crate::client::{Imap, Lmtp};
use crate::eprint_progress;
use crate::peers::{self, Server, sterna};
use crate::work::message_of;

/// Bytes of each message: 200,000 of them are three gigabytes.
pub const MESSAGE_BYTES: usize = 15_000;
/// Connections that fill a mailbox.
pub const SENDERS: u64 = 8;
/// How often each is measured; the median counts.
const ROUNDS: usize = 3;
/// Users who are not moved and write ten times a second.
const OTHERS: Range<u32> = 1..5;
/// How long the others are watched while nothing is moved.
const QUIET: Duration = Duration::from_secs(30);
/// How often each of the others writes.
const PERIOD: Duration = Duration::from_millis(100);

/// Messages of the account that is moved while others are watched: enough for a minute or more.
const MOVED_BESIDE_OTHERS: u32 = 20_000;

/// Measures how fast an account of so many messages is carried.
pub fn run(folder: &Path, messages: u32) -> Result<()> {
    let rsync = with_rsync(&folder.join("copy"), messages)?;
    let mut server = sterna::Sterna::start(&folder.join("sterna-copy"), sterna::Layout::ThreeNodes)?;
    eprint_progress("sterna: filling");
    fill(&mut server, messages)?;
    let mut seconds = Vec::new();
    for round in 0..ROUNDS {
        seconds.push(move_away(&mut server, round)?);
    }
    let sterna = median(&mut seconds);
    let megabytes = f64::from(messages) * MESSAGE_BYTES as f64 / 1e6;
    println!("copy of {messages} messages, {megabytes:.0} MB, caches empty, flushed at the end (median of {ROUNDS})");
    println!("  sterna account move      {sterna:>7.1} s  {:>6.0} MB/s", megabytes / sterna);
    println!("  rsync -a of Cyrus' spool {rsync:>7.1} s  {:>6.0} MB/s", megabytes / rsync);
    println!("  rsync : sterna           {:>7.2} (above one: Sterna is faster)", rsync / sterna);
    server.stop()
}

/// Seconds that `rsync -a` takes for a Cyrus spool.
fn with_rsync(folder: &Path, messages: u32) -> Result<f64> {
    std::fs::create_dir_all(folder)?;
    let mut cyrus = peers::start("cyrus", folder).context("starting cyrus")?;
    eprint_progress("cyrus: filling");
    fill(cyrus.as_mut(), messages)?;
    cyrus.stop()?;
    let (spool, target) = (folder.join("cyrus/spool/"), folder.join("spool-copy"));
    let mut seconds = Vec::new();
    for _ in 0..ROUNDS {
        empty_caches()?;
        let began = Instant::now();
        let status = Command::new("rsync").arg("-a").arg(&spool).arg(&target).status().context("running rsync")?;
        ensure!(status.success(), "rsync ended with {status}");
        sync()?;
        seconds.push(began.elapsed().as_secs_f64());
        eprint_progress(&format!("rsync: {:.1} s", began.elapsed().as_secs_f64()));
        std::fs::remove_dir_all(&target)?;
    }
    std::fs::remove_dir_all(folder)?;
    Ok(median(&mut seconds))
}

/// Seconds that the account of the first user takes to the other data server, where nothing of it is.
fn move_away(server: &mut sterna::Sterna, round: usize) -> Result<f64> {
    let (from, to) = (["alpha", "beta"][round % 2], ["beta", "alpha"][round % 2]);
    server.restart(false)?;
    empty_caches()?;
    let address = server.address(0);
    let began = Instant::now();
    server.admin(&["account", "move", &address, "--to", to])?;
    let seconds = began.elapsed().as_secs_f64();
    eprint_progress(&format!("sterna: {seconds:.1} s"));
    server.admin(&["account", "release", &address, "--on", from, "--yes"])?;
    Ok(seconds)
}

/// Latency of the other users' writes while nothing is moved and while a large account is.
pub fn others(folder: &Path) -> Result<()> {
    let mut server = sterna::Sterna::start(&folder.join("sterna-others"), sterna::Layout::ThreeNodes)?;
    eprint_progress("sterna: filling");
    fill(&mut server, MOVED_BESIDE_OTHERS)?;
    watch(&mut server)?;
    server.stop()
}

fn watch(server: &mut sterna::Sterna) -> Result<()> {
    for user in OTHERS {
        let (login, password) = server.login(user);
        Imap::login(server.imap(), &login, &password)?.append("INBOX", &message_of(u64::from(user), 1000))?;
    }
    let (ended, latencies) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let (quiet, moving, seconds) = std::thread::scope(|scope| {
        let writers: Vec<_> = OTHERS
            .map(|user| {
                scope.spawn({
                    let (server, ended, latencies) = (&*server, &ended, &latencies);
                    move || write(server, user, ended, latencies)
                })
            })
            .collect();
        std::thread::park_timeout(QUIET);
        let quiet = latencies.lock().map(|mut seen| std::mem::take(&mut *seen)).unwrap_or_default();
        let began = Instant::now();
        let moved = server.admin(&["account", "move", &server.address(0), "--to", "beta"]);
        let seconds = began.elapsed().as_secs_f64();
        let moving = latencies.lock().map(|mut seen| std::mem::take(&mut *seen)).unwrap_or_default();
        ended.store(true, Ordering::SeqCst);
        writers
            .into_iter()
            .try_for_each(|writer| writer.join().unwrap_or_else(|_| anyhow::bail!("a writer panicked")))?;
        moved.map(|_| (quiet, moving, seconds))
    })?;
    println!("\nwrites of {} users on the same servers who are not moved", OTHERS.len());
    let quiet = percentiles("  while nothing is moved", quiet)[1];
    let moving = percentiles(&format!("  while the large account is moved, which takes {seconds:.0} s"), moving)[1];
    println!("  p99 while moving : p99 while quiet {:.2}", moving / quiet);
    Ok(())
}

fn write(server: &sterna::Sterna, user: u32, ended: &AtomicBool, latencies: &Mutex<Vec<Duration>>) -> Result<()> {
    let (login, password) = server.login(user);
    let mut imap = Imap::login(server.imap(), &login, &password)?;
    imap.command("SELECT INBOX")?;
    for number in 0_u32.. {
        if ended.load(Ordering::SeqCst) {
            break;
        }
        let began = Instant::now();
        imap.command(&format!("STORE 1 {}FLAGS.SILENT (\\Flagged)", ["+", "-"][number as usize % 2]))?;
        let took = began.elapsed();
        latencies.lock().map_err(|_| anyhow::anyhow!("another writer panicked"))?.push(took);
        let due = began + PERIOD;
        while Instant::now() < due {
            std::thread::park_timeout(due.saturating_duration_since(Instant::now()));
        }
    }
    imap.command("LOGOUT").map(drop).or(Ok(()))
}

/// Puts so many messages into the INBOX of the first user, with flushes switched off.
fn fill(server: &mut dyn Server, messages: u32) -> Result<()> {
    server.restart(true)?;
    deliver(server.lmtp(), &[server.address(0)], 0..u64::from(messages))?;
    server.restart(false)
}

/// Delivers messages of [`MESSAGE_BYTES`] to these addresses in turn, over several connections.
pub fn deliver(lmtp: SocketAddr, addresses: &[String], numbers: Range<u64>) -> Result<()> {
    let next = AtomicU64::new(numbers.start);
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let mut lmtp = Lmtp::connect(lmtp)?;
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= numbers.end {
                            return Ok(());
                        }
                        let recipient = &addresses[(number % addresses.len() as u64) as usize];
                        lmtp.deliver(recipient, &message_of(number, MESSAGE_BYTES))?;
                    }
                })
            })
            .collect();
        senders.into_iter().try_for_each(|sender| sender.join().unwrap_or_else(|_| anyhow::bail!("a sender panicked")))
    })
}

/// Everything that was written is on the disk.
pub fn sync() -> Result<()> {
    ensure!(Command::new("sync").status()?.success(), "sync failed");
    Ok(())
}

/// Everything is read from the disk afterwards.
pub fn empty_caches() -> Result<()> {
    sync()?;
    let status = Command::new("sysctl").args(["-q", "vm.drop_caches=3"]).stdout(Stdio::null()).status()?;
    if !status.success() {
        eprint_progress("the caches can't be emptied here: both read what may be in memory");
    }
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
