//! What a move costs the people whose account is moved.
//!
//! Several users write ten times a second (a flag on, a flag off) while their accounts go back and forth between two
//! data servers. A write is due every 100 ms; what is measured for each move is how much longer than that the longest
//! pause between two acknowledgements was. Other sessions of the same users stay selected through all of it.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::percentiles;
use crate::client::Imap;
use crate::peers::{Server, sterna};

/// Users whose accounts are moved at the same time.
const USERS: u32 = 4;
/// How often a user writes.
const PERIOD: Duration = Duration::from_millis(100);
/// Sessions of each user that stay selected.
const SESSIONS: u32 = 25;

/// Moves accounts of each of two sizes `moves` times altogether and prints what their users saw. Both sizes are moved
/// at the same time, so that whatever else the machine does happens to both.
pub fn run(folder: &Path, moves: u32, sizes: [u32; 2]) -> Result<()> {
    let mut server = sterna::Sterna::start(&folder.join("moves"), sterna::Layout::ThreeNodes)?;
    crate::eprint_progress("filling the accounts");
    let size_of = |user: u32| usize::from(user >= USERS / 2);
    for user in 0..USERS {
        let (login, password) = server.login(user);
        let mut imap = Imap::login(server.imap(), &login, &password)?;
        for number in 0..sizes[size_of(user)] {
            imap.append("INBOX", &message(number))?;
        }
    }
    let mut sessions = open_sessions(&server)?;
    let left = [AtomicU32::new(moves), AtomicU32::new(moves)];
    let pauses = [Mutex::new(Vec::new()), Mutex::new(Vec::new())];
    let began = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..USERS)
            .map(|user| {
                let size = size_of(user);
                let (server, left, pauses) = (&server, &left[size], &pauses[size]);
                scope.spawn(move || move_user(server, user, sizes[size], left, pauses))
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| anyhow::bail!("a user panicked")))
    })?;
    let survivors = sessions.iter_mut().filter_map(|session| session.command("NOOP").ok()).count();
    let seconds = began.elapsed().as_secs_f64();
    println!("moves: {moves} of each of two sizes in {seconds:.0} s, {USERS} accounts at a time");
    let mut medians = Vec::new();
    for (messages, pauses) in sizes.iter().zip(pauses) {
        let (seen, took): (Vec<Duration>, Vec<Duration>) = pauses.into_inner().unwrap_or_default().into_iter().unzip();
        println!("accounts of {messages} messages");
        medians.push(percentiles("  longest pause of a user who writes 10 times a second, less 100 ms", seen)[0]);
        percentiles("  a move from command to end", took);
    }
    println!("sessions that lived through all moves: {survivors} of {}", sessions.len());
    let ratio = medians[1] / medians[0];
    println!("median pause with {} messages: {ratio:.2} of that with {}\n", sizes[1], sizes[0]);
    server.stop()
}

fn open_sessions(server: &sterna::Sterna) -> Result<Vec<Imap>> {
    let mut sessions = Vec::new();
    for user in 0..USERS {
        let (login, password) = server.login(user);
        for _ in 0..SESSIONS {
            let mut session = Imap::login(server.imap(), &login, &password)?;
            session.command("SELECT INBOX")?;
            sessions.push(session);
        }
    }
    Ok(sessions)
}

/// One user: a thread that writes, and this one that moves the account.
fn move_user(
    server: &sterna::Sterna,
    user: u32,
    messages: u32,
    left: &AtomicU32,
    pauses: &Mutex<Vec<(Duration, Duration)>>,
) -> Result<()> {
    let (ended, acknowledged) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let address = server.address(user);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(server, user, messages, &ended, &acknowledged));
        let mut moved = Ok(());
        for number in 0_u32.. {
            if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err() {
                break;
            }
            acknowledged.lock().map_err(|_| anyhow::anyhow!("the writer panicked"))?.clear();
            let began = Instant::now();
            moved =
                server.admin(&["account", "move", &address, "--to", ["beta", "alpha"][number as usize % 2]]).map(drop);
            if moved.is_err() {
                break;
            }
            let took = began.elapsed();
            // The pause may end after the command.
            std::thread::park_timeout(3 * PERIOD);
            let times = std::mem::take(&mut *acknowledged.lock().map_err(|_| anyhow::anyhow!("the writer panicked"))?);
            let longest = times.windows(2).map(|pair: &[Instant]| pair[1] - pair[0]).max().context("nobody wrote")?;
            pauses.lock().map_err(|_| anyhow::anyhow!("a user panicked"))?.push((longest.saturating_sub(PERIOD), took));
        }
        ended.store(true, Ordering::SeqCst);
        writer.join().unwrap_or_else(|_| anyhow::bail!("the writer panicked"))?;
        moved
    })
}

fn write(
    server: &sterna::Sterna,
    user: u32,
    messages: u32,
    ended: &AtomicBool,
    acknowledged: &Mutex<Vec<Instant>>,
) -> Result<()> {
    let (login, password) = server.login(user);
    let mut imap = Imap::login(server.imap(), &login, &password)?;
    imap.command("SELECT INBOX")?;
    let mut due = Instant::now();
    for number in 0_u32.. {
        if ended.load(Ordering::SeqCst) {
            break;
        }
        std::thread::park_timeout(due.saturating_duration_since(Instant::now()));
        if Instant::now() < due {
            continue;
        }
        imap.command(&format!(
            "STORE {} {}FLAGS.SILENT (\\Flagged)",
            1 + number / 2 % messages,
            ["+", "-"][number as usize % 2]
        ))?;
        let now = Instant::now();
        acknowledged.lock().map_err(|_| anyhow::anyhow!("the mover panicked"))?.push(now);
        due = (due + PERIOD).max(now);
    }
    Ok(())
}

fn message(number: u32) -> Vec<u8> {
    let line = "A line of a message that is as long as such lines are, or nearly so.\r\n";
    format!("From: a@bench.test\r\nSubject: message {number}\r\n\r\n{}", line.repeat(40)).into_bytes()
}
