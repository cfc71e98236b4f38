//! Walks through pages in a real browser: programs of Node that say what they did, and ask for what a browser can't do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use sterna_testkit::addresses;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, Place};

/// How long a walk may take. One that forgets to say that it asks no more would otherwise never end.
const WALK_WITHIN: Duration = Duration::from_secs(600);

/// Runs a walk. For each line `? WORDS` of its output `answer` does what the words say, and its text goes back.
///
/// # Panics
/// With all that was said, when the walk fails.
pub fn run(command: &mut Command, mut answer: impl FnMut(&[&str]) -> String) {
    command.env("ANSWERS", "yes").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut walk = command.spawn().unwrap_or_else(|error| panic!("node: {error}"));
    let (mut to, from) = (walk.stdin.take().unwrap(), BufReader::new(walk.stdout.take().unwrap()));
    let mut errors = walk.stderr.take().unwrap();
    let errors = thread::spawn(move || {
        let mut said = String::new();
        let _ = errors.read_to_string(&mut said);
        said
    });
    let (over, is_over) = mpsc::channel::<()>();
    let walk = Arc::new(Mutex::new(walk));
    let late = walk.clone();
    let watch = thread::spawn(move || {
        let is_late = is_over.recv_timeout(WALK_WITHIN) == Err(mpsc::RecvTimeoutError::Timeout);
        // It may have ended just now.
        let _ = is_late.then(|| late.lock().kill());
        is_late
    });
    let mut said = String::new();
    for line in from.lines() {
        let line = line.unwrap_or_else(|error| panic!("{said}: {error}"));
        said.push_str(&line);
        said.push('\n');
        if let Some(words) = line.strip_prefix("? ") {
            let words: Vec<&str> = words.split_whitespace().collect();
            // Who has failed meanwhile says why at its end.
            let _ = writeln!(to, "{}", answer(&words));
        }
    }
    let errors = errors.join().unwrap();
    drop(over);
    assert!(!watch.join().unwrap(), "it did not end within {WALK_WITHIN:?}: {said}{errors}");
    assert!(walk.lock().wait().is_ok_and(|status| status.success()), "{said}{errors}");
}

/// Does what walks ask for, whatever they are about.
pub struct Hands {
    /// Where they walk.
    pub installation: Installation,
    /// The mail program that was connected last.
    pub client: Option<Imap>,
}

impl Hands {
    /// Of this installation.
    pub fn of(installation: Installation) -> Self {
        Hands { installation, client: None }
    }

    /// Does what the words say, and tells what became of it.
    ///
    /// # Panics
    /// When it fails, or nobody knows what it is.
    pub fn answer(&mut self, words: &[&str]) -> String {
        let done = match words {
            ["closed"] => return nobody_there(),
            ["connect", address] => {
                self.client = Some(connect(&self.installation, address));
                "connected"
            }
            ["goes-on"] => {
                let appended = self.client.as_mut().unwrap().append("INBOX", b"Subject: goes on\r\n\r\nx\r\n");
                assert!(appended.as_ref().is_ok_and(|answer| answer.ok()), "{appended:?}");
                "the session lives"
            }
            ["join", name, command @ ..] => {
                join(&mut self.installation, name, command);
                "joined"
            }
            ["succeed", name, command @ ..] => {
                succeed(&mut self.installation, name, command);
                "prepared"
            }
            ["stop", name] => {
                self.installation.stop(name);
                "stopped"
            }
            ["start", name] => {
                self.installation.serve(name);
                "started"
            }
            other => panic!("what is {other:?}?"),
        };
        done.to_owned()
    }
}

/// An address at which nobody is: the port was free a moment ago, and nobody else is told of it.
fn nobody_there() -> String {
    let [free] = addresses::free(Ipv4Addr::LOCALHOST);
    free.to_string()
}

/// A mail program of a user who walks nowhere, connected to the main node and looking at the inbox.
///
/// # Panics
/// When it is kept out.
pub fn connect(installation: &Installation, address: &str) -> Imap {
    // Not by a new password: who comes within seconds of one may have come with the old one, and is ended.
    let made = installation.admin_ok("main", &["--json", "app-password", "create", address, "phone"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    let (at, password) = (installation.node("main").at, made["password"].as_str().unwrap());
    let mut imap = Imap::login(&at.host.to_string(), at.ports.imap, address, password).unwrap();
    imap.command("SELECT INBOX").unwrap();
    imap
}

/// Lets a data server join by the command that a page shows.
///
/// # Panics
/// When it is kept out.
fn join(installation: &mut Installation, name: &str, command: &[&str]) {
    let (main, token) = invitation(command);
    let joined = installation.init(name, "data", Place::default(), &["--join", &main, "--token", &token]);
    assert!(joined.status.success(), "{joined:?}");
    installation.serve(name);
}

/// Lets a machine take another one's place by the command that a page shows.
///
/// # Panics
/// When it is kept out.
fn succeed(installation: &mut Installation, name: &str, command: &[&str]) {
    let (main, token) = (after(command, "from"), after(command, "--token"));
    assert_eq!(main, installation.node("main").at.cluster.to_string());
    let prepared = installation.migrate_from(name, "main", &token, Place::default());
    assert!(prepared.status.success(), "{prepared:?}");
    installation.serve(name);
}

/// The address and the token in a command that lets a server join.
fn invitation(words: &[&str]) -> (String, String) {
    (after(words, "--join"), after(words, "--token"))
}

/// The word after this one.
fn after(words: &[&str], name: &str) -> String {
    let at = words.iter().position(|word| *word == name).unwrap_or_else(|| panic!("no {name}: {words:?}"));
    words[at + 1].to_owned()
}
