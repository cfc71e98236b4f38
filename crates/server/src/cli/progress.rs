//! Watching a job: one line that rewrites itself on a terminal, a line now and then elsewhere, JSON for programs.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::{CliError, path};
use super::exit::Exit;
use super::output;
use super::resource::Session;
use super::{GlobalArgs, Output};

/// How often a job is asked how it is, in milliseconds.
const ASK_MS: u64 = 1_000;
/// How often a line is printed where lines can't be rewritten, in milliseconds.
const LINE_MS: u64 = 10_000;
/// How long the main node may be silent (a restart) before watching ends, in milliseconds. The job doesn't end.
const SILENCE_MS_MAX: u64 = 120_000;
/// Widest line that is rewritten: one that wraps could not be.
const LINE_CHARS_MAX: usize = 150;
/// Longest reason that a line has room for.
const REASON_CHARS_MAX: usize = 300;

/// Goes to the beginning of the line and empties it.
const REWRITE: &str = "\r\x1b[K";

/// Watches a job until it is over, or Ctrl-C.
///
/// # Errors
/// When there is no such job, or the node doesn't answer for long.
pub(super) async fn follow(session: &Session<'_>, global: &GlobalArgs, job: &str) -> Result<Exit, CliError> {
    let mut screen = Screen::new(global);
    let mut answered = Instant::now();
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        let asked = path(&["jobs", job], &[]);
        let answer = tokio::select! {
            answer = session.client.get(&asked) => answer,
            _ = &mut interrupted => return Ok(detached(&mut screen, job)),
        };
        match answer {
            Ok(progress) => {
                answered = Instant::now();
                if is_over(&progress) {
                    return screen.end(&progress);
                }
                screen.show(&progress)?;
            }
            Err(error @ (CliError::Unreachable { .. } | CliError::TimedOut { .. } | CliError::Unreadable { .. })) => {
                if answered.elapsed() > Duration::from_millis(SILENCE_MS_MAX) {
                    screen.clear();
                    return Err(error);
                }
                screen.line("the main node doesn't answer; the job goes on once it does");
            }
            Err(error) => {
                screen.clear();
                return Err(error);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(ASK_MS)) => {}
            _ = &mut interrupted => return Ok(detached(&mut screen, job)),
        }
    }
}

fn detached(screen: &mut Screen, job: &str) -> Exit {
    screen.clear();
    output::note(&format!("no longer watching; job {job} goes on\n{}", hints(job)));
    Exit::Interrupted
}

/// What can be done with a job that nobody watches.
pub(super) fn hints(job: &str) -> String {
    format!(
        "  follow it:  sterna job follow {job}\n  pause it:   sterna job pause {job}\n  abort it:   sterna job abort \
         {job}   (accounts that have moved stay where they are)\n"
    )
}

fn is_over(progress: &Value) -> bool {
    matches!(progress["state"].as_str(), Some("done" | "aborted"))
}

/// Where progress is shown.
struct Screen {
    format: Output,
    is_quiet: bool,
    is_terminal: bool,
    /// What is in the line that will be rewritten.
    has_line: bool,
    printed_at: Option<Instant>,
}

impl Screen {
    fn new(global: &GlobalArgs) -> Self {
        Screen {
            format: global.format(),
            is_quiet: global.quiet,
            is_terminal: io::stderr().is_terminal(),
            has_line: false,
            printed_at: None,
        }
    }

    fn show(&mut self, progress: &Value) -> Result<(), CliError> {
        if self.format != Output::Table {
            return output::line(&progress.to_string());
        }
        self.line(&line(progress));
        Ok(())
    }

    /// On a terminal the line is rewritten; elsewhere a log wants one now and then, not one for each account.
    fn line(&mut self, text: &str) {
        if self.is_quiet || self.format != Output::Table {
            return;
        }
        if self.is_terminal {
            let cut: String = text.chars().take(LINE_CHARS_MAX).collect();
            output::note(&format!("{REWRITE}{cut}"));
            self.has_line = true;
        } else if self.printed_at.is_none_or(|at| at.elapsed() >= Duration::from_millis(LINE_MS)) {
            output::note(&format!("{text}\n"));
            self.printed_at = Some(Instant::now());
        }
    }

    fn clear(&mut self) {
        if self.has_line {
            output::note(REWRITE);
            self.has_line = false;
        }
    }

    /// The result: JSON for programs, a sentence and what failed for people.
    fn end(&mut self, progress: &Value) -> Result<Exit, CliError> {
        self.clear();
        match self.format {
            Output::Table => {
                output::line(&outcome(progress))?;
                for failure in progress["failures"].as_array().map_or(&[][..], Vec::as_slice) {
                    output::line(&format!("  {}", reason(failure)))?;
                }
                if progress["failed"] != 0 {
                    output::line(&format!("  try these again: sterna job retry {}", progress["id"]))?;
                }
            }
            _ => output::line(&progress.to_string())?,
        }
        let all_done = progress["failed"] == 0 && progress["state"] == "done";
        Ok(if all_done { Exit::Done } else { Exit::Failed })
    }
}

/// Prints how a job is.
///
/// # Errors
/// When standard output can't be written.
pub(super) fn show(session: &Session<'_>, global: &GlobalArgs, progress: &Value) -> Result<Exit, CliError> {
    if global.format() != Output::Table {
        return session.show(progress);
    }
    output::line(progress["what"].as_str().unwrap_or_default())?;
    output::line(&line(progress))?;
    for server in progress["servers"].as_array().map_or(&[][..], Vec::as_slice) {
        output::line(&format!("  {}: {}", server["server"].as_str().unwrap_or("?"), speed(server)))?;
    }
    for one in progress["moving"].as_array().map_or(&[][..], Vec::as_slice) {
        output::line(&format!("  {}", under_way(one)))?;
    }
    for failure in progress["failures"].as_array().map_or(&[][..], Vec::as_slice) {
        output::line(&format!("  {}", reason(failure)))?;
    }
    Ok(Exit::Done)
}

/// How fast copies go on a server, and why not faster.
pub(super) fn speed(server: &Value) -> String {
    let mut text = format!("copies {}/s", output::bytes(server["bytes_per_second"].as_u64().unwrap_or(0)));
    if let Some(allowed) = server["allowed_bytes_per_second"].as_u64() {
        text.push_str(&format!(" of {}/s allowed", output::bytes(allowed)));
    }
    if let Some(slowed) = server["slowed"].as_str() {
        text.push_str(&format!(", {slowed}"));
    }
    text
}

/// One account on its way.
fn under_way(one: &Value) -> String {
    let text = |name: &str| one[name].as_str().unwrap_or("?").to_owned();
    let mut line = format!("{}: {} from {} to {}", text("address"), text("phase"), text("from"), text("to"));
    if let (Some(copied), Some(bytes)) = (one["copied_bytes"].as_u64(), one["bytes"].as_u64()) {
        line.push_str(&format!(", {} of {}", output::bytes(copied.min(bytes)), output::bytes(bytes)));
    }
    if let Some(lag) = one["lag"].as_u64().filter(|lag| *lag > 0) {
        line.push_str(&format!(", {lag} changes behind"));
    }
    if let Some(why) = one["trouble"].as_str().or_else(|| one["failed"].as_str()) {
        line.push_str(&format!(": {why}"));
    }
    line
}

fn reason(failure: &Value) -> String {
    let text = |name: &str| failure[name].as_str().unwrap_or("?").to_owned();
    let why: String = text("failed").chars().take(REASON_CHARS_MAX).collect();
    format!("{} stays on {}: {why}", text("address"), text("from"))
}

/// How a job is, in one line.
pub(super) fn line(progress: &Value) -> String {
    let number = |name: &str| progress[name].as_u64().unwrap_or(0);
    let mut parts = vec![format!("job {}: {} of {} accounts", progress["id"], number("done"), number("total"))];
    let (total, left) = (number("bytes_total"), number("bytes_left"));
    if total > 0 {
        let copied = total.saturating_sub(left);
        parts.push(format!("{} of {}", output::bytes(copied), output::bytes(total)));
    }
    if number("unknown_sizes") > 0 {
        parts.push(format!("{} of unknown size", number("unknown_sizes")));
    }
    for (name, word) in [("failed", "failed"), ("aborted", "aborted")] {
        if number(name) > 0 {
            parts.push(format!("{} {word}", number(name)));
        }
    }
    match progress["state"].as_str() {
        Some("running") => {
            if number("lag") > 0 {
                parts.push(format!("{} changes behind", number("lag")));
            }
            if let Some(speed) = progress["bytes_per_second"].as_u64() {
                parts.push(format!("{}/s", output::bytes(speed)));
            }
            if let Some(end) = progress["expected_end_at"].as_str() {
                parts.push(ends(end));
            }
            let servers = progress["servers"].as_array().map_or(&[][..], Vec::as_slice);
            if let Some((server, slowed)) =
                servers.iter().find_map(|one| Some((&one["server"], one["slowed"].as_str()?)))
            {
                parts.push(format!("{slowed} ({})", server.as_str().unwrap_or("?")));
            }
            let moving = progress["moving"].as_array().map_or(&[][..], Vec::as_slice);
            if let Some(trouble) = moving.iter().find_map(trouble) {
                parts.push(trouble);
            }
        }
        Some(state) => parts.push(state.to_owned()),
        None => {}
    }
    parts.join(", ")
}

/// Why one of the accounts under way doesn't get on.
fn trouble(moving: &Value) -> Option<String> {
    let why = moving["trouble"].as_str().or_else(|| moving["failed"].as_str())?;
    Some(format!("{}: {why}", moving["address"].as_str().unwrap_or("?")))
}

fn ends(end: &str) -> String {
    let Ok(end) = end.parse::<jiff::Timestamp>() else { return format!("until {end}") };
    let seconds = end.duration_since(jiff::Timestamp::now()).as_secs().max(0);
    format!("{} left", duration(seconds.unsigned_abs()))
}

/// A time span as people say it.
pub(super) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

/// How a job ended, in one sentence.
fn outcome(progress: &Value) -> String {
    let number = |name: &str| progress[name].as_u64().unwrap_or(0);
    let mut text = format!(
        "job {} ({}) is {}: {} of {} accounts moved",
        progress["id"],
        progress["what"].as_str().unwrap_or_default(),
        progress["state"].as_str().unwrap_or("over"),
        number("done"),
        number("total"),
    );
    for (name, words) in [("failed", "failed"), ("aborted", "taken back")] {
        if number(name) > 0 {
            text.push_str(&format!(", {} {words}", number(name)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn running() -> Value {
        json!({
            "id": 7, "what": "move domain x to beta", "state": "running", "total": 200, "done": 41, "failed": 0,
            "aborted": 0, "bytes_total": 12_u64 << 30, "bytes_left": 9_u64 << 30, "unknown_sizes": 0,
            "bytes_per_second": 58 << 20, "expected_end_at": null, "lag": 17, "moving": [], "failures": [],
        })
    }

    fn with(changes: Value) -> Value {
        let mut progress = running();
        for (name, value) in changes.as_object().unwrap() {
            progress[name] = value.clone();
        }
        progress
    }

    #[test]
    fn one_line_says_how_far_it_is() {
        assert_eq!(line(&running()), "job 7: 41 of 200 accounts, 3.0 GiB of 12.0 GiB, 17 changes behind, 58.0 MiB/s");
        let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(90);
        let told = line(&with(json!({"expected_end_at": soon.to_string(), "bytes_total": 0, "lag": 0})));
        assert!(told.starts_with("job 7: 41 of 200 accounts, 58.0 MiB/s, 1 h "), "{told}");
        let stuck = json!([{"address": "ana@x", "trouble": null, "failed": "beta: refused"}]);
        let told = line(&with(json!({"moving": stuck, "failed": 2, "unknown_sizes": 3})));
        assert!(told.contains("3 of unknown size, 2 failed") && told.ends_with("ana@x: beta: refused"), "{told}");
        assert!(line(&with(json!({"state": "paused"}))).ends_with("12.0 GiB, paused"));
        let slowed = json!([{
            "server": "alpha", "bytes_per_second": 3 << 20, "allowed_bytes_per_second": 4 << 20,
            "slowed": "slowed by users' latency: p99 38 ms, usual 12 ms",
        }]);
        let said = "copies 3.0 MiB/s of 4.0 MiB/s allowed, slowed by users' latency: p99 38 ms, usual 12 ms";
        assert_eq!(speed(&slowed[0]), said);
        let told = line(&with(json!({"servers": slowed})));
        assert!(told.ends_with("58.0 MiB/s, slowed by users' latency: p99 38 ms, usual 12 ms (alpha)"), "{told}");
    }

    #[test]
    fn the_end_says_what_became_of_all() {
        let over = with(json!({"state": "aborted", "failed": 1, "aborted": 8}));
        let said = "job 7 (move domain x to beta) is aborted: 41 of 200 accounts moved, 1 failed, 8 taken back";
        assert_eq!(outcome(&over), said);
        let failure = json!({"address": "ana@x", "from": "alpha", "failed": "its disk is full"});
        assert_eq!(reason(&failure), "ana@x stays on alpha: its disk is full");
        assert!(is_over(&over) && !is_over(&running()) && !is_over(&with(json!({"state": "aborting"}))));
    }

    #[test]
    fn time_spans_are_short() {
        let told = [5, 65, 3_725, 90_000].map(duration);
        assert_eq!(told, ["5 s", "1 min 5 s", "1 h 2 min", "25 h"]);
    }
}
