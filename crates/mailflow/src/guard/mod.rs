//! Who may bring mail at all, and how much: rates of clients and users, DNS block lists, greylisting.
//!
//! Hosts in `mail.networks` and servers that speak LMTP are asked nothing of this, and users are counted only. Nobody
//! is kept from writing to postmaster for being on a list (RFC 5321 section 4.5.1).

mod block_lists;
mod dns;
mod greylist;
mod greylist_read;
mod greylist_shared;
mod greylist_store;
mod rates;
mod shared;
#[cfg(test)]
mod shared_tests;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use sterna_account::service::{InboundProtocol, Refusal, Sender};
use sterna_base::Clock;
use sterna_formats::dnsbl::ListSpec;
use sterna_formats::passage::Passage;
use tokio::sync::watch;

use crate::auth::{Origin, Verifier};
use crate::networks::client_network;
use crate::trace::Trace;
use block_lists::{BlockLists, Verdict};
use greylist::{Answer, Greylist, Triple};
use rates::{Rates, Taken};

pub use block_lists::ListDns;
pub use greylist::Delays;
pub use greylist_shared::{GreylistFilter, GreylistKey, GreylistState, Greylisted};
pub use rates::{OverLimit, Unit};
pub use shared::NoGreylist;

/// The field that says which lists have the client of a message.
pub const LISTED_FIELD: &str = "X-DNSBL-Listed";

/// How much may be handed in in an hour; zero is as much as anybody likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Messages of one client on port 25.
    pub client_messages: u64,
    /// Its recipients.
    pub client_recipients: u64,
    /// Messages of one user.
    pub user_messages: u64,
    /// Their recipients.
    pub user_recipients: u64,
}

/// What administrators set.
#[derive(Clone, Debug, Default)]
pub struct GuardSettings {
    /// Of clients and users.
    pub rates: RateLimits,
    /// Block lists, and lists of good hosts.
    pub block_lists: Arc<Vec<ListSpec>>,
    /// From which sum of weights on.
    pub block_lists_score: i64,
    /// Whether clients on lists are let in with a field that says so.
    pub block_lists_mark: bool,
    /// How long unknown senders wait; `None` lets everybody in at once.
    pub greylist: Option<Delays>,
    /// Whom it lets in at once.
    pub greylist_allow: Arc<Vec<Passage>>,
    /// The name of this host.
    pub own_name: String,
}

/// See the module.
pub struct Guard {
    settings: watch::Receiver<GuardSettings>,
    clock: Arc<dyn Clock>,
    trace: Trace,
    rates: Rates,
    block_lists: BlockLists,
    greylist: Option<Greylist>,
    verifier: Option<Verifier>,
}

impl Guard {
    /// With these settings, which may change.
    pub fn new(settings: watch::Receiver<GuardSettings>, dns: Arc<dyn ListDns>, clock: Arc<dyn Clock>) -> Self {
        let block_lists = BlockLists::new(dns, clock.clone());
        let (rates, trace) = (Rates::default(), Trace::none());
        Guard { settings, clock, trace, rates, block_lists, greylist: None, verifier: None }
    }

    /// With a place to write down what was refused.
    pub fn with_trace(self, trace: Trace) -> Self {
        Guard { trace, ..self }
    }

    /// With a greylist in this file. One that can't be used is done without: mail is not kept out for it. Blocks.
    pub fn with_greylist(self, file: &Path) -> Self {
        match Greylist::open(file) {
            Ok(greylist) => Guard { greylist: Some(greylist), ..self },
            Err(error) => {
                tracing::warn!(%error, file = %file.display(), "there is no greylist; remove the file and start again");
                self
            }
        }
    }

    /// With what looks whether a client may send for its sender's domain: those don't wait.
    pub fn with_verifier(self, verifier: Verifier) -> Self {
        Guard { verifier: Some(verifier), ..self }
    }

    /// A client is there: lists can be asked while it says hello.
    pub fn connected(self: &Arc<Self>, peer: IpAddr) {
        let lists = self.settings.borrow().block_lists.clone();
        if !lists.is_empty() {
            let guard = self.clone();
            tokio::spawn(async move { guard.block_lists.look_up(peer, &lists).await });
        }
    }

    /// Whether somebody may begin a message.
    ///
    /// # Errors
    /// What to answer.
    pub fn mail(&self, sender: &Sender, mail_from: &str) -> Result<(), Refusal> {
        let taken = self.count(sender, Unit::Messages);
        if taken == Taken::Yes {
            return Ok(());
        }
        let refusal = too_many(sender, Unit::Messages);
        // The others of this hour would say the same.
        if taken == Taken::FirstOver {
            let about = sender.login.as_ref().map_or(mail_from, |login| &login.address);
            self.trace.refused_recipient(sender, about, &refusal);
        }
        Err(refusal)
    }

    /// Whether a client may write to an address, before it is told whether there is one.
    ///
    /// # Errors
    /// What to answer.
    pub async fn client(&self, sender: &Sender, address: &str) -> Result<(), Refusal> {
        if sender.protocol != InboundProtocol::Smtp || is_postmaster(address) {
            return Ok(());
        }
        let (lists, score, marks) = {
            let settings = self.settings.borrow();
            (settings.block_lists.clone(), settings.block_lists_score, settings.block_lists_mark)
        };
        if lists.is_empty() || marks {
            return Ok(());
        }
        let verdict = self.block_lists.look_up(sender.peer, &lists).await;
        if !is_over(&verdict, score) { Ok(()) } else { Err(listed(sender.peer, &verdict)) }
    }

    /// Whether an address that exists is written to now.
    ///
    /// # Errors
    /// What to answer.
    pub async fn recipient(&self, sender: &Sender, mail_from: &str, address: &str) -> Result<(), Refusal> {
        if self.count(sender, Unit::Recipients) != Taken::Yes {
            return Err(too_many(sender, Unit::Recipients));
        }
        if sender.protocol == InboundProtocol::Smtp && !is_postmaster(address) {
            return self.greylisted(sender, mail_from, address).await;
        }
        Ok(())
    }

    fn count(&self, sender: &Sender, unit: Unit) -> Taken {
        let limits = self.settings.borrow().rates;
        let of = |messages, recipients| if unit == Unit::Messages { messages } else { recipients };
        let (now, peer, what) = (self.clock.now(), sender.peer, unit.name());
        match &sender.login {
            Some(login) => {
                let most = of(limits.user_messages, limits.user_recipients);
                let taken = self.rates.user(login, peer, unit, now, most);
                if taken == Taken::FirstOver {
                    tracing::warn!(
                        user = login.address, %peer, what, most,
                        "a user sends more than users may in an hour; the password may be in other hands"
                    );
                }
                taken
            }
            None => {
                let most = of(limits.client_messages, limits.client_recipients);
                let taken = self.rates.client(client_network(peer), unit, now, most);
                if taken == Taken::FirstOver {
                    tracing::info!(%peer, what, most, "a client sends more than clients may in an hour");
                }
                taken
            }
        }
    }

    async fn greylisted(&self, sender: &Sender, mail_from: &str, address: &str) -> Result<(), Refusal> {
        let (delays, allowed, own_name) = {
            let settings = self.settings.borrow();
            (settings.greylist, settings.greylist_allow.clone(), settings.own_name.clone())
        };
        let (Some(delays), Some(greylist)) = (delays, &self.greylist) else { return Ok(()) };
        if allowed.iter().any(|passage| passage.lets_in(sender.peer, mail_from)) {
            return Ok(());
        }
        let triple = Triple::new(sender.peer, mail_from, address);
        let Answer::Wait { ms } = greylist.check(triple, delays, self.clock.now()).await else { return Ok(()) };
        let origin = Origin { peer: sender.peer, helo: &sender.helo, mail_from, own_name: &own_name };
        if let Some(verifier) = &self.verifier
            && verifier.passes_spf(&origin).await
        {
            return Ok(());
        }
        let seconds = ms.unsigned_abs().div_ceil(1000);
        let text = format!("You are new here: come again in {seconds} seconds (greylisted, RFC 6647)");
        Err(Refusal::new(450, (4, 7, 1), text))
    }

    /// A client brought mail that is from whom it says.
    pub fn note_good(&self, peer: IpAddr) {
        if let Some(greylist) = self.greylist.as_ref().filter(|_| self.settings.borrow().greylist.is_some()) {
            greylist.note_good(peer, self.clock.now());
        }
    }

    /// The field for a message of a client that is on lists, where those are marked.
    pub async fn mark(&self, sender: &Sender) -> Option<String> {
        let (lists, score, marks) = {
            let settings = self.settings.borrow();
            (settings.block_lists.clone(), settings.block_lists_score, settings.block_lists_mark)
        };
        if lists.is_empty() || !marks || sender.protocol != InboundProtocol::Smtp {
            return None;
        }
        let verdict = self.block_lists.look_up(sender.peer, &lists).await;
        is_over(&verdict, score).then(|| in_short(&verdict))
    }

    /// Users who wanted to send more than they may.
    pub fn over(&self) -> Vec<OverLimit> {
        self.rates.over(self.clock.now())
    }
}

fn too_many(sender: &Sender, unit: Unit) -> Refusal {
    match (&sender.login, unit) {
        (Some(_), unit) => {
            let text = format!("You have sent too many {} within an hour; try again later", unit.name());
            Refusal::new(450, (4, 7, 1), text)
        }
        (None, Unit::Messages) => Refusal::new(421, (4, 7, 0), "Too many messages from your host; try again later"),
        (None, Unit::Recipients) => Refusal::new(450, (4, 7, 1), "Too many recipients from your host; try again later"),
    }
}

fn is_over(verdict: &Verdict, score: i64) -> bool {
    !verdict.listed.is_empty() && verdict.score >= score
}

/// "zen.example.org (127.0.0.4), ..."
fn in_short(verdict: &Verdict) -> String {
    let listed = verdict.listed.iter().map(|(zone, answer)| format!("{zone} ({answer})"));
    listed.collect::<Vec<_>>().join(", ")
}

/// RFC 5782 has no code of its own for this; what is not authorised is 5.7.1 (RFC 3463).
fn listed(peer: IpAddr, verdict: &Verdict) -> Refusal {
    let zone = verdict.listed.first().map_or("a block list", |(zone, _)| zone);
    let text = match &verdict.text {
        Some(text) => format!("{peer} is listed by {zone}: {text}"),
        None => format!("{peer} is listed by {zone}"),
    };
    Refusal::new(550, (5, 7, 1), text).because(format!("{}, score {}", in_short(verdict), verdict.score))
}

fn is_postmaster(address: &str) -> bool {
    let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
    local.eq_ignore_ascii_case("postmaster")
}
