//! People who write ten times a second while their machine is changed, and how long they waited at most.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::client::Imap;

/// How often each writes.
const PERIOD: Duration = Duration::from_millis(100);
/// How long they go on after what was done.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// Lets these users write while something is done; gives what it gives, and the longest pause of each.
pub fn beside<T>(
    imap: SocketAddr,
    logins: &[(String, String)],
    work: impl FnOnce() -> Result<T>,
) -> Result<(T, Vec<Duration>)> {
    let (ended, pauses) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let writers: Vec<_> = logins
            .iter()
            .map(|login| {
                let (ended, pauses) = (&ended, &pauses);
                scope.spawn(move || -> Result<()> {
                    let longest = write(imap, login, ended)?;
                    pauses.lock().map_err(|_| anyhow::anyhow!("another writer panicked"))?.push(longest);
                    Ok(())
                })
            })
            .collect();
        std::thread::park_timeout(AFTERWARDS);
        let done = work();
        std::thread::park_timeout(AFTERWARDS);
        ended.store(true, Ordering::SeqCst);
        writers.into_iter().try_for_each(|writer| writer.join().unwrap_or_else(|_| bail!("a writer panicked")))?;
        done
    })
    .and_then(|done| Ok((done, pauses.into_inner().map_err(|_| anyhow::anyhow!("a writer panicked"))?)))
}

/// The longest time between two acknowledgements, less the pause that was meant.
fn write(imap: SocketAddr, (login, password): &(String, String), ended: &AtomicBool) -> Result<Duration> {
    let mut imap = Imap::login(imap, login, password)?;
    imap.command("SELECT INBOX")?;
    let (mut longest, mut last) = (Duration::ZERO, Instant::now());
    let mut due = last;
    for number in 0_usize.. {
        if ended.load(Ordering::SeqCst) {
            break;
        }
        while Instant::now() < due {
            std::thread::park_timeout(due.saturating_duration_since(Instant::now()));
        }
        let sign = ["+", "-"][number % 2];
        imap.command(&format!("STORE 1 {sign}FLAGS.SILENT (\\Flagged)")).context("a user was refused")?;
        let now = Instant::now();
        longest = longest.max((now - last).saturating_sub(PERIOD));
        (last, due) = (now, now + PERIOD);
    }
    Ok(longest)
}
