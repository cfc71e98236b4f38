//! Sterna's own change of the machine: it follows, it is switched account by account, goes back, and is switched at
//! once.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::probe::beside;
use super::{OBJECT_BYTES, Options, Took, addresses};
use crate::dav::DavServer;
use crate::dav::client::Client;
use crate::eprint_progress;
use crate::moves::copy::{SENDERS, deliver, empty_caches, sync};
use crate::moves::percentiles;
use crate::peers::sterna::{Layout, Sterna};
use crate::peers::{Server, USERS};

/// How long anything may take.
const WITHIN: Duration = Duration::from_secs(1800);
/// How often it is looked whether something is so.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Users who write while the machine is changed.
const WRITERS: u32 = 20;

/// Measures it with so many messages coming between hot synchronisation and switch; gives the median window of an
/// account in milliseconds, and what it took.
pub fn run(folder: &Path, options: &Options, changes: u32) -> Result<(f64, Took)> {
    eprint_progress("sterna: filling");
    let mut sterna = Sterna::start(folder, Layout::OneNode)?;
    sterna.make(USERS..options.users.max(USERS))?;
    Server::restart(&mut sterna, true)?;
    let addresses = addresses(&sterna, options.users);
    let messages = u64::from(options.messages);
    deliver(sterna.lmtp(), &addresses, 0..messages)?;
    put_objects(&sterna, options)?;
    Server::restart(&mut sterna, false)?;
    println!("\nsterna migrate, {messages} messages");

    empty_caches()?;
    let began = Instant::now();
    let new = sterna.successor("fresh")?;
    let old = sterna.folder().to_owned();
    until(&[&old], is_equal).context("the hot synchronisation")?;
    sync()?;
    let hot = began.elapsed().as_secs_f64();
    println!("  hot synchronisation, pairing included (caches empty)    {hot:>8.1} s");
    deliver(sterna.lmtp(), &addresses, messages..messages + u64::from(changes))?;
    until(&[&old], is_equal)?;

    let logins: Vec<_> = (0..WRITERS.min(options.users)).map(|user| Server::login(&sterna, user)).collect();
    let (windows, pauses) = beside(sterna.imap(), &logins, || turn([&old, &new], "switch", "rolling"))?;
    let window = percentiles("  rolling: nobody could write to an account for", windows);
    let pause = percentiles("  rolling: longest pause of users who write all the time", pauses);
    let began = Instant::now();
    Sterna::about(&new, &["check"])?;
    println!("  check of every account                                  {:>8.1} s", began.elapsed().as_secs_f64());
    turn([&new, &old], "back", "rolling")?;
    let (windows, pauses) = beside(sterna.imap(), &logins, || turn([&old, &new], "switch", "at-once"))?;
    percentiles("  at once: nobody could write to an account for", windows);
    percentiles("  at once: longest pause of users who write all the time", pauses);
    Server::stop(&mut sterna)?;
    std::fs::remove_dir_all(folder)?;
    Ok((window[0], Took { hot, outage: pause[1] / 1000.0 }))
}

/// Puts the calendar objects into the users' calendars.
fn put_objects(sterna: &Sterna, options: &Options) -> Result<()> {
    let next = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..SENDERS)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    loop {
                        // One connection for some objects of one user.
                        let first = next.fetch_add(1, Ordering::Relaxed);
                        if first >= options.users {
                            return Ok(());
                        }
                        let mut client = Client::new(sterna.http(), DavServer::login(sterna, first));
                        let calendar = sterna.calendar(first);
                        for number in (first..options.objects()).step_by(options.users as usize) {
                            let path = format!("{calendar}{number}.ics");
                            let headers = [("Content-Type", "text/calendar"), ("If-None-Match", "*")];
                            client.request("PUT", &path, &headers, event(number).as_bytes())?;
                        }
                    }
                })
            })
            .collect();
        writers.into_iter().try_for_each(|writer| writer.join().unwrap_or_else(|_| bail!("a writer panicked")))
    })
}

/// An event with a description of [`OBJECT_BYTES`].
fn event(number: u32) -> String {
    let mut text = format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Bench//Bench//EN\r\nBEGIN:VEVENT\r\nUID:{number}@bench.test\r\n\
         DTSTAMP:20260101T000000Z\r\nDTSTART:2026{:02}{:02}T090000Z\r\nDURATION:PT1H\r\nSUMMARY:Meeting {number}\r\n\
         DESCRIPTION:",
        1 + number % 12,
        1 + number % 28
    );
    let mut state = u64::from(number) + 1;
    while text.len() < OBJECT_BYTES as usize {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("{state:016x}\r\n "));
    }
    text.push_str("end\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n");
    text
}

fn state(node: &Path) -> Option<Value> {
    serde_json::from_str(&Sterna::admin_at(node, &["--json", "migrate", "status"]).ok()?).ok()
}

fn is_equal(state: &Value) -> bool {
    let copies = &state["copies"];
    copies["accounts"].as_u64().is_some_and(|all| all > 0) && copies["equal"] == copies["accounts"]
}

fn until(nodes: &[&Path], is: impl Fn(&Value) -> bool) -> Result<()> {
    let deadline = Instant::now() + WITHIN;
    while !nodes.iter().filter_map(|node| state(node)).any(|state| is(&state)) {
        ensure!(Instant::now() < deadline, "{:?}", nodes.iter().map(|node| state(node)).collect::<Vec<_>>());
        std::thread::park_timeout(LOOK_EVERY);
    }
    Ok(())
}

/// Switches or goes back, begun at the first of these nodes, which is the main one; for how long nobody could write to
/// each account.
fn turn([main, other]: [&Path; 2], action: &str, pace: &str) -> Result<Vec<Duration>> {
    until(&[main], |state| state["phase"] != "syncing" || is_equal(state))?;
    let pace: &[&str] = if pace == "at-once" { &["--at-once"] } else { &[] };
    Sterna::admin_at(main, &[&["migrate", action, "--yes", "--detach"], pace].concat())?;
    let phase = if action == "switch" { "switched" } else { "syncing" };
    until(&[other], |state| state["phase"] == phase && state["main"] == state[side(action)]["name"])?;
    windows(other)
}

/// Which machine is the main node afterwards.
fn side(action: &str) -> &'static str {
    if action == "switch" { "to" } else { "from" }
}

/// How long the accounts of the latest job were closed.
fn windows(main: &Path) -> Result<Vec<Duration>> {
    let jobs: Value = serde_json::from_str(&Sterna::admin_at(main, &["--json", "job", "list"])?)?;
    let job = jobs.as_array().and_then(|jobs| jobs.first()).context("there is no job")?;
    let id = job["id"].to_string();
    let log: Value = serde_json::from_str(&Sterna::admin_at(main, &["--json", "job", "log", id.trim_matches('"')])?)?;
    let lines = log.as_array().context("a log")?;
    let moved = lines.iter().filter(|line| line["what"] == "moved").filter_map(|line| line["cut_over_ms"].as_u64());
    Ok(moved.map(Duration::from_millis).collect())
}
