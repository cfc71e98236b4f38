//! Call-forward: asks the server that has the other half of a split domain whether it takes mail for an address, while
//! our own client still waits for the reply to RCPT. What it would refuse is refused here, so that nobody gets a
//! notification about mail that somebody else sent in his name (backscatter).
//!
//! Answers are kept. One that is not fresh is asked for again, and used when that fails; where nothing is known and the
//! server can't be asked, the client comes again.

mod answers;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use sterna_account::service::{Refusal, Route};
use sterna_base::Clock;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::filter::Breaker;
use crate::outbound::Outbound;
use crate::queue::{Destination, Said};
use answers::{Answers, Kept, Key};

/// Questions to one server at the same time.
pub const QUESTIONS_PER_SERVER_MAX: usize = 10;

/// How long an answer may take, with waiting for a place. Clients wait five minutes for the reply to RCPT (RFC 5321
/// section 4.5.3.2.3), and have more than one recipient.
pub const ANSWER_WAIT_MAX: Duration = Duration::from_secs(20);

/// What a server said of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It takes mail for it.
    Taken,
    /// It takes none, for good.
    Refused(Said),
    /// It doesn't say now.
    Unknown(Said),
    /// It can't be asked, whatever the address.
    Unreachable(Said),
}

/// Whoever can ask another server.
#[async_trait]
pub trait AsksRecipients: Send + Sync {
    /// Whether the server takes mail for an address.
    async fn ask(&self, destination: &Destination, address: &str) -> Asked;
}

/// What is known of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Existence {
    /// Mail for it is taken there.
    Exists,
    /// None is.
    Refused(Said),
    /// Nobody can say now, and nobody has said before.
    Unknown(Said),
}

/// See the module.
pub struct CallForward {
    outbound: Arc<Outbound>,
    asker: Arc<dyn AsksRecipients>,
    clock: Arc<dyn Clock>,
    answers: Mutex<Answers>,
    servers: Mutex<HashMap<Destination, Arc<Server>>>,
}

/// A server that is asked.
struct Server {
    places: Semaphore,
    breaker: Breaker,
}

impl CallForward {
    /// With the ways out, and who asks.
    pub fn new(outbound: Arc<Outbound>, asker: Arc<dyn AsksRecipients>, clock: Arc<dyn Clock>) -> Self {
        CallForward { outbound, asker, clock, answers: Mutex::default(), servers: Mutex::default() }
    }

    /// Whether mail for an address with this route will be taken: all but the unknown ones of a split domain are.
    pub async fn existence(&self, route: &Route, address: &str) -> Existence {
        let is_elsewhere = route.targets.is_empty() && matches!(&route.external[..], [only] if only == address.trim());
        match self.outbound.asked_about(address.trim()) {
            Some(destination) if is_elsewhere => self.ask(destination, address.trim()).await,
            _ => Existence::Exists,
        }
    }

    async fn ask(&self, destination: Destination, address: &str) -> Existence {
        let key = Key::new(&destination, address);
        let known = self.answers.lock().get(&key, self.clock.now());
        if let Some(known) = known.as_ref().filter(|known| known.is_fresh) {
            return existence(known.clone());
        }
        let asked = self.ask_now(&destination, &key, address).await;
        let now = self.clock.now();
        match (asked, known) {
            (Asked::Taken, _) => {
                self.answers.lock().put(key, None, now);
                Existence::Exists
            }
            (Asked::Refused(said), _) => {
                tracing::info!(%destination, address, said = said.text, "the other server of a split domain refuses");
                self.answers.lock().put(key, Some(said.clone()), now);
                Existence::Refused(said)
            }
            (Asked::Unknown(_) | Asked::Unreachable(_), Some(known)) => existence(known),
            (Asked::Unknown(said) | Asked::Unreachable(said), None) => Existence::Unknown(said),
        }
    }

    /// Asks the server, unless it rests or somebody has asked it for the same meanwhile.
    async fn ask_now(&self, destination: &Destination, key: &Key, address: &str) -> Asked {
        let server = self.server(destination);
        let unreachable = |text: String| {
            let host = destination.to_string();
            Asked::Unreachable(Said { host, text, status: (4, 4, 1), is_reply: false })
        };
        if let Err(cause) = server.breaker.may_ask(Instant::now()) {
            return unreachable(cause);
        }
        let asking = async {
            let _place = server.places.acquire().await;
            let known = self.answers.lock().get(key, self.clock.now());
            match known.filter(|known| known.is_fresh).map(existence) {
                Some(Existence::Exists) => Asked::Taken,
                Some(Existence::Refused(said)) => Asked::Refused(said),
                _ => self.asker.ask(destination, address).await,
            }
        };
        let late = |_| unreachable(format!("no answer within {} s", ANSWER_WAIT_MAX.as_secs()));
        let asked = timeout(ANSWER_WAIT_MAX, asking).await.unwrap_or_else(late);
        let now = self.clock.now();
        match &asked {
            Asked::Unreachable(said) => {
                tracing::info!(%destination, cause = said.text, "the other server of a split domain can't be asked");
                if server.breaker.failed(Instant::now(), now, said.text.clone()) {
                    tracing::warn!(
                        %destination, cause = said.text,
                        "the other server of a split domain can't be asked which addresses it has: unknown ones are told \
                         to come again. Is it up, and does it take MAIL FROM:<> from here?"
                    );
                }
            }
            _ => drop(server.breaker.worked(now)),
        }
        asked
    }

    fn server(&self, destination: &Destination) -> Arc<Server> {
        let mut servers = self.servers.lock();
        // Settings name them, and settings change: those that nobody asks now are forgotten.
        if !servers.contains_key(destination) {
            servers.retain(|_, server| Arc::strong_count(server) > 1);
        }
        let new = || Server { places: Semaphore::new(QUESTIONS_PER_SERVER_MAX), breaker: Breaker::default() };
        servers.entry(destination.clone()).or_insert_with(|| Arc::new(new())).clone()
    }
}

fn existence(known: Kept) -> Existence {
    known.refused.map_or(Existence::Exists, Existence::Refused)
}

impl Existence {
    /// What a client is told.
    ///
    /// # Errors
    /// That there is no such address, or that nobody knows now.
    pub fn or_refusal(self) -> Result<(), Refusal> {
        match self {
            Existence::Exists => Ok(()),
            Existence::Refused(said) => {
                let status = if said.status.0 == 5 { said.status } else { (5, 1, 1) };
                // Without a code of its own it is about the address: that is what was asked.
                let status = if status == (5, 0, 0) { (5, 1, 1) } else { status };
                let text = match status {
                    (5, 1, _) => "No such address here",
                    _ => "The server that has this address does not take mail for it",
                };
                Err(Refusal::new(550, status, text).because(format!("{} says {}", said.host, said.text)))
            }
            Existence::Unknown(said) => {
                let text = "The server that may have this address can't be asked at present; try again later";
                Err(Refusal::new(451, (4, 4, 1), text).because(format!("{}: {}", said.host, said.text)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
