//! The setup of an installation: from a link that works once to a message that came back.
//!
//! [`Setup`] is what there is of it while a node runs, [`router`] its pages. What answers do is in [`steps`], which
//! pages and [`unattended`] answers share; what they do it with is [`door::Installation`]. Decision 45 has the reasons.

pub mod answers;
mod asked;
pub mod door;
mod guard;
mod guesses;
mod http_routes;
mod live;
pub mod pages;
pub mod reach;
mod state;
mod steps;
pub mod unattended;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use sterna_base::{Clock, Timestamp, ids::random_hex};

use crate::code;
use asked::Asked;
use door::{CertificateState, Check, Finding, Installation, Invitation, Proof, Records, Refusal, ServerRow};
use guesses::Guesses;
use state::{Secured, State, StateFile};

pub use http_routes::router;
pub use state::FILE_NAME;

/// How long a link is good for, in milliseconds: an hour.
pub const LINK_MS: i64 = 3600 * 1000;

/// How long a browser can go on, in milliseconds: a day. Then, a new link leads back to the same answers.
pub const SESSION_MS: i64 = 24 * 3600 * 1000;

/// The path of the pages.
pub const PATH: &str = "/setup";

/// The setup of the node of a folder.
pub struct Setup {
    file: StateFile,
    installation: Arc<dyn Installation>,
    clock: Arc<dyn Clock>,
    guesses: Guesses,
    /// One form after the other: a second click waits for the first.
    taking: tokio::sync::Mutex<()>,
    checks: BTreeMap<Check, Asked<Finding>>,
    records: Asked<Result<Records, Refusal>>,
    servers: Asked<Result<Vec<ServerRow>, Refusal>>,
    proof: Asked<Result<Proof, Refusal>>,
    certificate: Asked<CertificateState>,
    /// Who came from outside.
    reach: reach::Reach,
    /// Invitations with their secrets, by the name they are for. A restart forgets them, and new ones can be had.
    invitations: Mutex<BTreeMap<String, Invitation>>,
}

/// Why a code was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotEntered {
    /// It is wrong, was used, or is too old: it is not said which.
    Wrong,
    /// Whoever asks has been wrong too often.
    Wait {
        /// For how long.
        seconds: i64,
    },
    /// The file could not be written.
    Failed,
}

/// Whether the node of a folder waits for answers: its setup was begun and is not over. Blocking.
///
/// # Errors
/// When `setup.toml` can't be read.
pub fn waits(folder: &Path) -> io::Result<bool> {
    let file = StateFile::open(folder)?;
    Ok(file.is_there() && file.get().finished_at.is_none())
}

impl Setup {
    /// The setup of a node, where it was left. Blocking.
    ///
    /// # Errors
    /// When `setup.toml` can't be read.
    pub fn open(folder: &Path, installation: Arc<dyn Installation>, clock: Arc<dyn Clock>) -> io::Result<Arc<Self>> {
        let checks = Check::ALL.into_iter().map(|check| (check, Asked::default())).collect();
        Ok(Arc::new(Setup {
            file: StateFile::open(folder)?,
            installation,
            clock,
            guesses: Guesses::default(),
            taking: tokio::sync::Mutex::default(),
            checks,
            records: Asked::default(),
            servers: Asked::default(),
            proof: Asked::default(),
            certificate: Asked::default(),
            reach: reach::Reach::default(),
            invitations: Mutex::default(),
        }))
    }

    /// Whether it was begun and is not over yet.
    pub fn is_open(&self) -> bool {
        self.file.is_there() && !self.is_over()
    }

    /// Whether it is over, for ever.
    pub fn is_over(&self) -> bool {
        self.file.get().finished_at.is_some()
    }

    /// Begins it on a node that was made without; one that is over stays so.
    ///
    /// # Errors
    /// When it can't be written down.
    pub async fn begin_now(&self) -> io::Result<()> {
        self.file.change(|_| ()).await
    }

    /// Whether somebody was made its administrator already: from then on nobody is led in unasked.
    pub fn has_administrator(&self) -> bool {
        self.file.get().made.administrator.is_some()
    }

    /// What makes a folder one that is being set up: the file without any answer. Blocking.
    ///
    /// # Errors
    /// What the file system says.
    pub fn begin(folder: &Path) -> io::Result<()> {
        sterna_base::atomic_file::write(&folder.join(FILE_NAME), b"", 0o600)
    }

    /// A new code; the one before is worth nothing from now on. `None` when the setup is over.
    ///
    /// # Errors
    /// When it can't be written down.
    pub async fn new_code(&self) -> io::Result<Option<String>> {
        if !self.is_open() {
            return Ok(None);
        }
        let code = code::new();
        let expires_at = self.clock.now().plus_ms(LINK_MS);
        let link = code::hash(&code).map(|hash| Secured { hash, expires_at });
        self.file.change(|state| state.link = link).await?;
        Ok(Some(code))
    }

    /// The link with a code, on this host.
    pub fn link(host: &str, https_port: u16, code: &str) -> String {
        let port = if https_port == 443 { String::new() } else { format!(":{https_port}") };
        format!("https://{host}{port}{PATH}#{code}")
    }

    /// Takes a code, once, and begins the session of a browser, whose secret is returned. The session before ends.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn enter(&self, typed: &str, address: IpAddr) -> Result<String, NotEntered> {
        let now = self.clock.now();
        if let Some(seconds) = self.guesses.wait_seconds(address, now) {
            return Err(NotEntered::Wait { seconds });
        }
        let given = code::hash(typed);
        let secret = random_hex::<32>();
        let session = Secured { hash: secret_hash(&secret), expires_at: now.plus_ms(SESSION_MS) };
        let entered = self.file.change(|state| {
            let link = state.link.as_ref().filter(|link| link.expires_at > now && state.finished_at.is_none());
            let is_right = link.is_some_and(|link| given.as_deref() == Some(&link.hash));
            if is_right {
                state.link = None;
                state.session = Some(session);
            }
            is_right
        });
        match entered.await {
            Ok(true) => {
                self.guesses.right(address);
                tracing::info!(target: "audit", peer = %address, "the link of the setup was used");
                Ok(secret)
            }
            Ok(false) => {
                self.guesses.wrong(address, now);
                tracing::warn!(peer = %address, "a wrong code for the setup");
                Err(NotEntered::Wrong)
            }
            Err(error) => {
                tracing::error!(%error, "setup.toml can't be written");
                Err(NotEntered::Failed)
            }
        }
    }

    /// Whether this is the secret of the browser that goes through the pages.
    fn knows(&self, secret: &str) -> bool {
        let state = self.file.get();
        let session = state.session.as_ref().filter(|session| session.expires_at > self.clock.now());
        session.is_some_and(|session| session.hash == secret_hash(secret))
    }

    fn state(&self) -> Arc<State> {
        self.file.get()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// What is kept of a secret.
fn secret_hash(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}
