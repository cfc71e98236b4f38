//! The servers under test: each started by us, on free ports, with its data in our folder.

pub mod cyrus;
mod dovecot;
pub mod sterna;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// How many users each server gets: `u0` to `u100`, all with the password `x`... except where a server wants better.
pub const USERS: u32 = 101;

/// A running server.
pub trait Server {
    /// Its name in the report.
    fn name(&self) -> &'static str;
    /// Where it speaks IMAP.
    fn imap(&self) -> SocketAddr;
    /// Where it speaks IMAP with TLS from the first byte.
    fn imaps(&self) -> SocketAddr;
    /// Where it speaks LMTP.
    fn lmtp(&self) -> SocketAddr;
    /// Login and password of a user.
    fn login(&self, user: u32) -> (String, String);
    /// The address that LMTP takes for a user.
    fn address(&self, user: u32) -> String;
    /// Stops and starts it; with `lazy_writes` it runs with flushes switched off, which only filling mailboxes may use.
    fn restart(&mut self, lazy_writes: bool) -> Result<()>;
    /// The processes that, with their descendants, are the server.
    fn processes(&self) -> Vec<u32>;
    /// Puts these messages into a user's INBOX without the protocol, where the server takes that; false where not.
    fn fill(&self, _user: u32, _messages: &mut dyn Iterator<Item = Vec<u8>>) -> Result<bool> {
        Ok(false)
    }
    /// Waits until everything that helps a search for texts in a user's INBOX is there; false where nothing does.
    fn index(&self, user: u32) -> Result<bool>;
    /// How many idle sessions this machine can hold with it.
    fn most_sessions(&self) -> u32 {
        10_000
    }
    /// Stops it.
    fn stop(&mut self) -> Result<()>;
}

/// Starts a server by its name.
pub fn start(name: &str, folder: &Path) -> Result<Box<dyn Server>> {
    match name {
        "dovecot" => Ok(Box::new(dovecot::Dovecot::start(&folder.join(name))?)),
        "cyrus" => Ok(Box::new(cyrus::Cyrus::start(&folder.join(name))?)),
        "sterna" => Ok(Box::new(sterna::Sterna::start(&folder.join(name), sterna::Layout::OneNode)?)),
        "sterna-two" => Ok(Box::new(sterna::Sterna::start(&folder.join(name), sterna::Layout::TwoNodes)?)),
        _ => bail!("no server is called {name}: sterna, sterna-two, dovecot, cyrus"),
    }
}

/// Ports that the kernel doesn't give to outgoing connections: a server that is restarted finds its own still free.
const PORTS: std::ops::Range<u16> = 21_000..30_000;

/// Makes the folder in which a system is to be started, so that none pays for what others did before it: what they
/// wrote is on the disk, and folders in this one lie apart. Ext4 without a journal leaves inodes alone that were
/// given up within the last minutes, and looks at each of them for every new file near them: beside a mail queue that
/// was just emptied, a new file took 650 us instead of 16.
pub fn set_apart(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    // Other file systems have no such mark, and need none.
    let _ = Command::new("chattr").arg("+T").arg(folder).stderr(Stdio::null()).status();
    ensure!(Command::new("sync").status()?.success(), "sync failed");
    Ok(())
}

/// A port that is free now and was not given before.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(PORTS.start);
    let next = || NEXT.fetch_add(1, Ordering::Relaxed);
    let mut ports = std::iter::repeat_with(next).take_while(|port| PORTS.contains(port));
    ports.find(|&port| TcpListener::bind(loopback(port)).is_ok()).context("no port is free")
}

/// This port of this machine.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Waits until something listens there, or the process has ended.
pub fn wait_for(address: SocketAddr, process: &mut Child) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(address).is_err() {
        if let Some(status) = process.try_wait()? {
            bail!("the server ended with {status}");
        }
        if Instant::now() > deadline {
            bail!("nothing listens on {address} after 30 s");
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}

/// Ends a process with SIGTERM and waits for it.
pub fn terminate(process: &mut Child) -> Result<()> {
    let status = std::process::Command::new("kill").args(["-TERM", &process.id().to_string()]).status();
    status.context("running kill")?;
    process.wait()?;
    Ok(())
}

/// The library that switches flushes off, for filling mailboxes only.
pub fn lazy_writes_library() -> Result<&'static str> {
    let path = "/usr/lib/x86_64-linux-gnu/libeatmydata.so";
    if !Path::new(path).exists() {
        bail!("{path} is missing: apt-get install libeatmydata1");
    }
    Ok(path)
}

/// Waits until nobody listens there any more: a peer's children outlive its first process for a moment.
pub fn wait_until_free(port: u16) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpListener::bind(loopback(port)).is_err() {
        if Instant::now() > deadline {
            bail!("something still listens on port {port}");
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}

/// Memory of processes and all their descendants that they don't share with others (PSS), in KiB.
pub fn memory_kib(roots: Vec<u32>) -> Result<u64> {
    let mut total = 0;
    let mut pending = roots;
    while let Some(process) = pending.pop() {
        let rollup = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
        let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or("0");
        total += pss.trim().trim_end_matches("kB").trim().parse::<u64>()?;
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            pending.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
    }
    Ok(total)
}
