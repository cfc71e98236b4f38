//! Call-forward: asks the server that has the other half of a split domain whether it takes mail for an address, while
//! our own client still waits for the reply to RCPT. What it would refuse is refused here, so that nobody gets a
//! notification about mail that somebody else sent in his name (backscatter).
//!
//! Answers are kept. One that is not fresh is asked for again, and used when that fails; where nothing is known and the
//! server can't be asked, the client comes again.

mod answers;

use std::collections::HashMap;
use std::net::IpAddr;
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

/// How long a question waits for its turn. Having many questions says nothing of the server.
pub const PLACE_WAIT_MAX: Duration = Duration::from_secs(10);

/// How long an answer may take. Clients wait five minutes for the reply to RCPT (RFC 5321 section 4.5.3.2.3), and have
/// more than one recipient.
pub const ANSWER_WAIT_MAX: Duration = Duration::from_secs(20);

/// Longest part of a reply that is kept, in characters: a reply may have many lines, and 100,000 of them are kept.
pub const TEXT_CHARS_MAX: usize = 300;

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
    /// It refuses the question for good, whatever the address: it doesn't take the null reverse-path.
    NoQuestions(Said),
}

/// Whoever can ask another server.
#[async_trait]
pub trait AsksRecipients: Send + Sync {
    /// Whether the server takes mail for an address.
    async fn ask(&self, destination: &Destination, address: &str) -> Asked;

    /// The addresses of a server; none when they can't be found out.
    async fn addresses(&self, _destination: &Destination) -> Vec<IpAddr> {
        Vec::new()
    }
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
    /// What it is being asked: as many as there are places.
    asking: Mutex<Vec<Key>>,
    /// What it said when it refused to be asked, until it answers.
    refuses: Mutex<Option<Said>>,
}

/// A question on its way.
struct Asking<'s>(&'s Server, &'s Key);

impl<'s> Asking<'s> {
    fn begin(server: &'s Server, key: &'s Key) -> Self {
        server.asking.lock().push(key.clone());
        Asking(server, key)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut asking = self.0.asking.lock();
        if let Some(at) = asking.iter().position(|key| key == self.1) {
            asking.swap_remove(at);
        }
    }
}

/// A server that refuses to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusesQuestions {
    /// Which.
    pub destination: Destination,
    /// What it says.
    pub said: Said,
}

impl CallForward {
    /// With the ways out, and who asks.
    pub fn new(outbound: Arc<Outbound>, asker: Arc<dyn AsksRecipients>, clock: Arc<dyn Clock>) -> Self {
        CallForward { outbound, asker, clock, answers: Mutex::default(), servers: Mutex::default() }
    }

    /// Whether mail for an address with this route will be taken: all but the unknown ones of a split domain are.
    /// `peer` is who wants to know. When it is the very server that is being asked for the same, it has the address as
    /// little as we: two servers that point at each other would ask in a circle.
    pub async fn existence(&self, route: &Route, address: &str, peer: Option<IpAddr>) -> Existence {
        let is_elsewhere = route.targets.is_empty() && matches!(&route.external[..], [only] if only == address.trim());
        match self.outbound.asked_about(address.trim()) {
            Some(destination) if is_elsewhere => self.ask(destination, address.trim(), peer).await,
            _ => Existence::Exists,
        }
    }

    /// Servers that refused to be asked, the last time.
    pub fn refusing(&self) -> Vec<RefusesQuestions> {
        let servers = self.servers.lock();
        let refusing = servers.iter().filter_map(|(destination, server)| {
            let said = server.refuses.lock().clone()?;
            Some(RefusesQuestions { destination: destination.clone(), said })
        });
        refusing.collect()
    }

    async fn ask(&self, destination: Destination, address: &str, peer: Option<IpAddr>) -> Existence {
        let key = Key::new(&destination, address);
        let known = self.answers.lock().get(&key, self.clock.now());
        if let Some(known) = known.as_ref().filter(|known| known.is_fresh) {
            return existence(known.clone());
        }
        let server = self.server(&destination);
        if let Some(peer) = peer
            && server.asking.lock().contains(&key)
            && self.asker.addresses(&destination).await.iter().any(|of| of.to_canonical() == peer.to_canonical())
        {
            let text = "it asks for the address itself, and is being asked for it".to_owned();
            let said = Said { host: destination.to_string(), text, status: (5, 1, 1), is_reply: false };
            return Existence::Refused(said);
        }
        let asked = self.ask_now(&server, &destination, &key, address).await;
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
            (Asked::Unknown(_) | Asked::Unreachable(_) | Asked::NoQuestions(_), Some(known)) => existence(known),
            (Asked::Unknown(said) | Asked::Unreachable(said) | Asked::NoQuestions(said), None) => {
                Existence::Unknown(said)
            }
        }
    }

    /// Asks the server, unless it rests or somebody has asked it for the same meanwhile.
    async fn ask_now(&self, server: &Server, destination: &Destination, key: &Key, address: &str) -> Asked {
        let said = |text: String| Said { host: destination.to_string(), text, status: (4, 4, 1), is_reply: false };
        if let Err(cause) = server.breaker.may_ask(Instant::now()) {
            return Asked::Unreachable(said(cause));
        }
        let Ok(place) = timeout(PLACE_WAIT_MAX, server.places.acquire()).await else {
            return Asked::Unknown(said(format!(
                "too many questions wait for it: {QUESTIONS_PER_SERVER_MAX} at a time"
            )));
        };
        let known = self.answers.lock().get(key, self.clock.now());
        if let Some(known) = known.filter(|known| known.is_fresh) {
            return known.refused.map_or(Asked::Taken, Asked::Refused);
        }
        let asking = Asking::begin(server, key);
        let late = |_| Asked::Unreachable(said(format!("no answer within {} s", ANSWER_WAIT_MAX.as_secs())));
        let asked = timeout(ANSWER_WAIT_MAX, self.asker.ask(destination, address)).await.unwrap_or_else(late);
        drop((asking, place));
        let asked = asked.shortened();
        self.note(server, destination, &asked);
        asked
    }

    /// What an answer says of the server.
    fn note(&self, server: &Server, destination: &Destination, asked: &Asked) {
        let now = self.clock.now();
        match asked {
            Asked::Unreachable(said) => {
                tracing::info!(%destination, cause = said.text, "the other server of a split domain can't be asked");
                if server.breaker.failed(Instant::now(), now, said.text.clone()) {
                    tracing::warn!(
                        %destination, cause = said.text,
                        "the other server of a split domain can't be asked which addresses it has: unknown ones are told \
                         to come again. Is it up?"
                    );
                }
            }
            Asked::NoQuestions(said) => {
                *server.refuses.lock() = Some(said.clone());
                if server.breaker.failed(Instant::now(), now, said.text.clone()) {
                    tracing::warn!(
                        %destination, said = said.text,
                        "the other server of a split domain refuses to be asked which addresses it has: unknown ones are \
                         told to come again. Let it take MAIL FROM:<> from here, or set unknown-recipients-check to accept"
                    );
                }
            }
            Asked::Taken | Asked::Refused(_) => {
                *server.refuses.lock() = None;
                server.breaker.worked(now);
            }
            Asked::Unknown(_) => drop(server.breaker.worked(now)),
        }
    }

    fn server(&self, destination: &Destination) -> Arc<Server> {
        let mut servers = self.servers.lock();
        // Settings name them, and settings change: those that nobody asks now are forgotten.
        if !servers.contains_key(destination) {
            servers.retain(|_, server| Arc::strong_count(server) > 1);
        }
        let new = || Server {
            places: Semaphore::new(QUESTIONS_PER_SERVER_MAX),
            breaker: Breaker::default(),
            asking: Mutex::default(),
            refuses: Mutex::default(),
        };
        servers.entry(destination.clone()).or_insert_with(|| Arc::new(new())).clone()
    }
}

impl Asked {
    /// With no more of the reply than is worth keeping.
    fn shortened(mut self) -> Self {
        let (Asked::Refused(said) | Asked::Unknown(said) | Asked::Unreachable(said) | Asked::NoQuestions(said)) =
            &mut self
        else {
            return self;
        };
        if let Some((end, _)) = said.text.char_indices().nth(TEXT_CHARS_MAX) {
            said.text.truncate(end);
        }
        self
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
