//! The reception behind every session.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::service::{
    Envelope, Following, InboundProtocol, Message, Rcpt, Reception, Recipients, Refusal, Route, RouteError, Sender,
};
use sterna_base::{AccountId, BlobHash, Clock, OperationId};
use tokio::task::JoinSet;

use crate::auth::{self, Authoring, Gate, Passed};
use crate::call_forward::{CallForward, Existence};
use crate::collected::Collecting;
use crate::deliverer::Deliverer;
use crate::delivery::Keep;
use crate::detached::Detaching;
use crate::filter::{self, Direction, Examined, Filters};
use crate::guard::{Guard, LISTED_FIELD};
use crate::outbound::Outbound;
use crate::provenance::{Provenance, Vouched};
use crate::queue::{Destination, Queue};
use crate::refusals;
use crate::repeats::{self, Repeats};
use crate::sent_on;
use crate::sieve::Wanted;
use crate::targets::{self, Delivered, Routed, Way};
use crate::trace::Trace;
use crate::waiting::{Tried, Waiting};

/// Takes mail in, delivers it to the accounts of this installation, and puts the rest into the queue.
pub struct Mailflow {
    recipients: Arc<dyn Recipients>,
    clock: Arc<dyn Clock>,
    repeats: Repeats,
    deliverer: Arc<Deliverer>,
    waiting: Option<Waiting>,
    trace: Trace,
    gate: Option<Gate>,
    authoring: Option<Authoring>,
    guard: Option<Arc<Guard>>,
    filters: Option<Arc<Filters>>,
    detaching: Option<Detaching>,
    collecting: Option<Collecting>,
    call_forward: Option<Arc<CallForward>>,
}

impl Mailflow {
    /// With the directory's recipients, the way to accounts, and what is remembered of earlier tries. Without a queue
    /// only addresses of our own take mail, and senders come again when an account can't be reached.
    pub fn new(
        recipients: Arc<dyn Recipients>,
        deliverer: Arc<Deliverer>,
        clock: Arc<dyn Clock>,
        repeats: Repeats,
    ) -> Self {
        let trace = Trace::none();
        let (waiting, gate, authoring, guard, filters) = (None, None, None, None, None);
        let (detaching, collecting, call_forward) = (None, None, None);
        Mailflow {
            recipients,
            clock,
            repeats,
            deliverer,
            waiting,
            trace,
            gate,
            authoring,
            guard,
            filters,
            detaching,
            collecting,
            call_forward,
        }
    }

    /// With links in the place of large attachments.
    pub fn with_detaching(self, detaching: Detaching) -> Self {
        Mailflow { detaching: Some(detaching), ..self }
    }

    /// With an address book of those whom users write to.
    pub fn with_collecting(self, collecting: Collecting) -> Self {
        Mailflow { collecting: Some(collecting), ..self }
    }

    /// With questions to the other servers of split domains.
    pub fn with_call_forward(self, call_forward: Arc<CallForward>) -> Self {
        Mailflow { call_forward: Some(call_forward), ..self }
    }

    /// With a queue for mail to other servers, and to accounts that can't be reached.
    pub fn with_queue(self, queue: Arc<Queue>, outbound: Arc<Outbound>) -> Self {
        let trace = self.trace.clone();
        Mailflow { waiting: Some(Waiting { queue, outbound, trace }), ..self }
    }

    /// With a place to write down what becomes of messages; comes before the queue.
    pub fn with_trace(self, trace: Trace) -> Self {
        Mailflow { trace, ..self }
    }

    /// With a look at what comes from other servers.
    pub fn with_gate(self, gate: Gate) -> Self {
        Mailflow { gate: Some(gate), ..self }
    }

    /// With limits for those who bring mail.
    pub fn with_guard(self, guard: Arc<Guard>) -> Self {
        Mailflow { guard: Some(guard), ..self }
    }

    /// With signatures on what users and trusted hosts send.
    pub fn with_authoring(self, authoring: Authoring) -> Self {
        Mailflow { authoring: Some(authoring), ..self }
    }

    /// With other programs that look at mail.
    pub fn with_filters(self, filters: Arc<Filters>) -> Self {
        Mailflow { filters: Some(filters), ..self }
    }

    /// The message as it is delivered, and where to; `None` when a filter throws it away. What users and trusted hosts
    /// hand in is filtered, then signed, and not verified; who hands in by LMTP has done all that already.
    async fn examine(&self, envelope: Envelope, message: Message) -> Result<Option<Examined>, Refusal> {
        let Some(direction) = self.direction(&envelope.sender) else {
            let provenance = Provenance { vouched: Vouched::Host, ..Provenance::default() };
            return Ok(Some(Examined { provenance, ..Examined::new(envelope, message, Keep::Inbox) }));
        };
        let is_ours = direction == Direction::Submitted;
        let is_submitted = envelope.sender.login.is_some();
        let (message, keep, is_verified, vouched) = match &self.gate {
            Some(gate) if !is_ours => {
                let Passed { message, keep, domains } = gate.examine(&envelope, message).await?;
                let message = self.mark(&envelope, gate, message).await?;
                (message, keep, true, Vouched::Domains(domains))
            }
            _ => (message, Keep::Inbox, false, if is_ours { Vouched::Host } else { Vouched::Nobody }),
        };
        let provenance = Provenance { is_verified, is_submitted, vouched };
        let examined = match &self.filters {
            Some(filters) => filters.examine(envelope, message, keep, direction).await?,
            None => Some(Examined::new(envelope, message, keep)),
        };
        let examined = examined.map(|examined| Examined { provenance, ..examined });
        let examined = match (examined, &self.detaching) {
            // Behind the filters, which see the attachments, and before the signature, which must fit what goes out.
            (Some(examined), Some(detaching)) if is_ours => {
                let message = detaching.lighten(&examined.envelope, examined.message).await;
                Some(Examined { message, ..examined })
            }
            (examined, _) => examined,
        };
        match (examined, &self.authoring) {
            (Some(examined), Some(authoring)) if is_ours => {
                let message = authoring.sign(&examined.envelope, examined.message).await;
                Ok(Some(Examined { message, ..examined }))
            }
            (examined, _) => Ok(examined),
        }
    }

    /// Ends loops: what was sent on from a recipient before is not sent on again. A copy that is kept is kept; without
    /// one the sender is told. Two people who send their mail on to each other and keep copies lose nothing by it.
    async fn end_loops(&self, envelope: &Envelope, message: &Message, routed: &mut [Routed]) {
        let goes_on = |rcpt: &Rcpt, way: &Way| way.external.iter().any(|address| *address != rcpt.address);
        let is_any = |(rcpt, way): (&Rcpt, &Routed)| way.as_ref().is_ok_and(|way| goes_on(rcpt, way));
        if !envelope.recipients.iter().zip(&*routed).any(is_any) {
            return;
        }
        let Ok(Some(header)) = auth::header_of(&message.body).await else { return };
        for (rcpt, routed) in envelope.recipients.iter().zip(routed) {
            let Ok(way) = routed else { continue };
            let is_own = |found: &str| found.eq_ignore_ascii_case(&rcpt.address);
            if !goes_on(rcpt, way) || !sent_on::was_here(&header, is_own) {
                continue;
            }
            tracing::info!(transaction = %envelope.transaction, rcpt = rcpt.address, "a loop of forwards ends here");
            if way.accounts.is_empty() {
                *routed = Err(refusals::of_loop());
            } else {
                way.external.clear();
            }
        }
    }

    /// The message with what block lists say of its client, where that is wanted.
    async fn mark(&self, envelope: &Envelope, gate: &Gate, message: Message) -> Result<Message, Refusal> {
        let Some(guard) = &self.guard else { return Ok(message) };
        let Some(lists) = guard.mark(&envelope.sender).await else { return Ok(message) };
        self.trace.verdict(envelope.transaction, format!("listed by {lists}"));
        gate.with_field(message, LISTED_FIELD, &lists).await
    }

    /// Who stands between a sender and us: nobody for hosts that are trusted.
    fn guard_for(&self, sender: &Sender) -> Option<&Arc<Guard>> {
        let is_trusted = match sender.protocol {
            InboundProtocol::Smtp => self.may_relay(sender),
            InboundProtocol::Submission => false,
            InboundProtocol::Lmtp => true,
        };
        self.guard.as_ref().filter(|_| !is_trusted)
    }

    /// Whose mail it is; `None` when somebody has looked at it already.
    fn direction(&self, sender: &Sender) -> Option<Direction> {
        let is_ours = sender.login.is_some() || self.may_relay(sender);
        match sender.protocol {
            InboundProtocol::Lmtp => None,
            _ if is_ours => Some(Direction::Submitted),
            _ => Some(Direction::Incoming),
        }
    }

    fn may_relay(&self, sender: &Sender) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.may_relay(sender))
    }

    /// Whether an address elsewhere can be written to.
    fn leaves(&self, address: &str) -> Result<(), Refusal> {
        let known = self.waiting.as_ref().and_then(|waiting| waiting.outbound.destination(address));
        known.map(drop).ok_or_else(|| Refusal::new(553, (5, 1, 2), "That is not a domain that mail can go to"))
    }

    /// The other server of a split domain is asked last: strangers are counted, and wait where they are greylisted,
    /// before they make us ask.
    async fn may_receive(&self, sender: &Sender, mail_from: &str, address: &str) -> Result<(), Refusal> {
        let guard = self.guard_for(sender);
        if let Some(guard) = guard {
            guard.client(sender, address).await?;
        }
        let route = self.has_way(sender, mail_from, address).await?;
        if let Some(guard) = guard {
            guard.recipient(sender, mail_from, address).await?;
        }
        match route {
            Some(route) => self.is_there(sender, &route, address).await,
            None => Ok(()),
        }
    }

    /// The way to an address of our domains; `None` when it is elsewhere and may be written to.
    async fn has_way(&self, sender: &Sender, mail_from: &str, address: &str) -> Result<Option<Route>, Refusal> {
        let refused = |error| refusals::of_route(&error, sender.protocol);
        let route = match self.recipients.route(address).await {
            Err(RouteError::NotLocal) if self.may_relay(sender) => return self.leaves(address).map(|()| None),
            route => route.map_err(refused)?,
        };
        if !self.may_write_to(sender, mail_from, address).await.map_err(refused)? {
            return Err(refused(RouteError::NotPermitted));
        }
        Ok(Some(route))
    }

    /// Whether the other server of a split domain has an address that is not here.
    async fn is_there(&self, sender: &Sender, route: &Route, address: &str) -> Result<(), Refusal> {
        let Some(call_forward) = &self.call_forward else { return Ok(()) };
        match call_forward.existence(route, address, Some(sender.peer)).await {
            // It waits in our queue, and whom we would notify is a user of ours, or on a host that we trust.
            Existence::Unknown(_) if self.may_relay(sender) => Ok(()),
            existence => existence.or_refusal(),
        }
    }

    /// Whether a sender may write to an address that is there. LMTP knows no log-ins: the server in front has those,
    /// and sees to it that addresses of ours are used by their owners only. So it is the reverse-path that counts
    /// there.
    async fn may_write_to(&self, sender: &Sender, mail_from: &str, address: &str) -> Result<bool, RouteError> {
        let may = self.recipients.may_write_to(sender.login.as_ref(), address).await?;
        if may || sender.protocol != InboundProtocol::Lmtp || mail_from.is_empty() {
            return Ok(may);
        }
        self.recipients.is_held(mail_from).await
    }

    /// Users send with their own addresses, or with none (disposition notifications, RFC 8098). Other servers'
    /// senders are taken as they are.
    async fn may_send_as(&self, sender: &Sender, mail_from: &str) -> Result<(), Refusal> {
        let login = match (&sender.login, sender.protocol) {
            (Some(login), InboundProtocol::Submission) if !mail_from.is_empty() => login,
            (None, InboundProtocol::Submission) => {
                return Err(Refusal::new(530, (5, 7, 0), "Log in first"));
            }
            _ => return Ok(()),
        };
        match self.recipients.may_send_as(login, mail_from).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::new(553, (5, 7, 1), "You may not send with this address")
                .because(format!("{} wants to send as {mail_from}", login.address))),
            Err(error) => Err(refusals::of_route(&RouteError::Unavailable(error.to_string()), sender.protocol)),
        }
    }

    /// Delivers to all accounts, side by side.
    async fn deliver_to(
        &self,
        accounts: BTreeMap<AccountId, OperationId>,
        message: Arc<Message>,
        envelope: &Envelope,
        routed: &[Routed],
        (keep, provenance): (Keep, &Provenance),
    ) -> BTreeMap<AccountId, Delivered> {
        let firsts = firsts(envelope, routed);
        let mut running = JoinSet::new();
        for (account, transaction) in accounts {
            let (deliverer, message) = (self.deliverer.clone(), message.clone());
            let provenance = provenance.clone();
            let wanted = Wanted { keep, provenance, ..wanted(envelope, firsts.get(&account).copied()) };
            running.spawn(async move { (account, deliverer.deliver(account, transaction, &message, &wanted).await) });
        }
        let mut delivered = BTreeMap::new();
        while let Some(joined) = running.join_next().await {
            match joined {
                Ok((account, result)) => drop(delivered.insert(account, result)),
                // It has no entry then, which counts as uncertain.
                Err(error) => tracing::error!(%error, "a delivery broke off"),
            }
        }
        delivered
    }

    /// What became of each recipient, but for what waits in the queue: that was written down already.
    fn write_down(
        &self,
        envelope: &Envelope,
        routed: &[Routed],
        delivered: &BTreeMap<AccountId, Delivered>,
        answers: &[Result<(), Refusal>],
        keep: Keep,
    ) {
        let detail = if keep == Keep::Junk { "into Junk" } else { "" };
        for ((rcpt, routed), answer) in envelope.recipients.iter().zip(routed).zip(answers) {
            for account in routed.iter().flat_map(|way| &way.accounts) {
                if delivered.get(account) == Some(&Delivered::Done) {
                    let destination = Destination::Account(*account);
                    self.trace.delivered(envelope.transaction, &rcpt.address, &destination, detail);
                }
            }
            if let Err(refusal) = answer {
                self.trace.refused(envelope.transaction, &rcpt.address, refusal);
            }
        }
    }

    /// Remembers the recipients whose sender will come again, and forgets those with a final answer. Even where nothing
    /// was taken something may have left: a script redirects before the mailbox turns out to be full.
    async fn remember(
        &self,
        key: BlobHash,
        envelope: &Envelope,
        routed: &[Routed],
        transactions: &BTreeMap<AccountId, OperationId>,
        answers: &[Result<(), Refusal>],
    ) {
        let temporary = |answer: &Result<(), Refusal>| answer.as_ref().is_err_and(Refusal::is_temporary);
        // LMTP has a reply for each recipient; with SMTP, one recipient's 451 brings the message back for all.
        let lmtp = envelope.sender.protocol == InboundProtocol::Lmtp;
        let any_temporary = answers.iter().any(temporary);
        let (mut again, mut settled) = (Vec::new(), Vec::new());
        for ((rcpt, routed), answer) in envelope.recipients.iter().zip(routed).zip(answers) {
            let comes_again = if lmtp { temporary(answer) } else { any_temporary };
            if !comes_again {
                settled.push(&*rcpt.address);
            } else if let Ok(way) = routed {
                let of_account = way.accounts.iter().filter_map(|id| transactions.get(id)).next();
                let of_account = of_account.filter(|_| way.external.is_empty()).copied();
                again.push((rcpt.address.clone(), of_account.unwrap_or(way.transaction)));
            }
        }
        self.repeats.settle(key, again, &settled, self.clock.now()).await;
    }
}

/// For each account the first of the recipients that lead to it.
fn firsts<'a>(envelope: &'a Envelope, routed: &[Routed]) -> HashMap<AccountId, &'a str> {
    let mut firsts = HashMap::new();
    for (rcpt, routed) in envelope.recipients.iter().zip(routed) {
        for account in routed.iter().flat_map(|way| &way.accounts) {
            firsts.entry(*account).or_insert(&*rcpt.address);
        }
    }
    firsts
}

/// What scripts are told of a delivery to an account, with the first of the recipients that lead there.
fn wanted(envelope: &Envelope, rcpt_to: Option<&str>) -> Wanted {
    Wanted {
        mail_from: envelope.mail_from.clone(),
        rcpt_to: rcpt_to.unwrap_or_default().to_owned(),
        peer: Some((envelope.sender.helo.clone(), envelope.sender.peer)),
        eight_bit: envelope.eight_bit,
        utf8: envelope.utf8,
        keep: Keep::Inbox,
        provenance: Provenance::default(),
    }
}

#[async_trait]
impl Reception for Mailflow {
    fn connected(&self, protocol: InboundProtocol, peer: IpAddr) {
        let is_trusted = || self.waiting.as_ref().is_some_and(|waiting| waiting.outbound.is_trusted(peer));
        if let Some(guard) = self.guard.as_ref().filter(|_| protocol == InboundProtocol::Smtp && !is_trusted()) {
            guard.connected(peer);
        }
    }

    async fn recipient(&self, sender: &Sender, mail_from: &str, address: &str) -> Result<(), Refusal> {
        let taken = self.may_receive(sender, mail_from, address).await;
        if let Err(refusal) = &taken {
            self.trace.refused_recipient(sender, address, refusal);
        }
        taken
    }

    async fn sender(&self, sender: &Sender, mail_from: &str) -> Result<(), Refusal> {
        self.may_send_as(sender, mail_from).await?;
        self.guard_for(sender).map_or(Ok(()), |guard| guard.mail(sender, mail_from))
    }

    async fn begin(&self, envelope: &Envelope) -> Result<Option<Box<dyn Following>>, Refusal> {
        let Some(filters) = &self.filters else { return Ok(None) };
        let Some(direction) = self.direction(&envelope.sender) else { return Ok(None) };
        let followed = filters.begin(envelope, direction).await?;
        Ok(followed.map(|followed| Box::new(followed) as Box<dyn Following>))
    }

    async fn deliver(&self, envelope: Envelope, message: Message) -> Vec<Result<(), Refusal>> {
        self.trace.accepted(&envelope, &message);
        let (key, transaction) = (repeats::key(&envelope), envelope.transaction);
        let asked: Vec<String> = envelope.recipients.iter().map(|rcpt| rcpt.address.clone()).collect();
        let Examined { envelope, message, keep, provenance, added } = match self.examine(envelope, message).await {
            Ok(Some(examined)) => examined,
            Ok(None) => return vec![Ok(()); asked.len()],
            Err(refusal) => {
                for address in &asked {
                    self.trace.refused(transaction, address, &refusal);
                }
                return vec![Err(refusal); asked.len()];
            }
        };
        let now = self.clock.now();
        let remembered = |address: &str| self.repeats.transaction(key, address, now);
        let relays = self.may_relay(&envelope.sender);
        let may_relay = |address: &str| relays || added.iter().any(|added| added == address);
        let (mut routed, transactions) = targets::resolve(&*self.recipients, &envelope, may_relay, remembered).await;
        self.end_loops(&envelope, &message, &mut routed).await;
        let message = Arc::new(message);
        let examined = (keep, &provenance);
        let delivered = self.deliver_to(transactions.clone(), message.clone(), &envelope, &routed, examined).await;
        let mut answers: Vec<_> = routed.iter().map(|routed| targets::answer(routed, &delivered)).collect();
        if let Some(waiting) = &self.waiting {
            let (transactions, delivered) = (&transactions, &delivered);
            let tried = Tried { routed: &routed, transactions, delivered, keep, provenance: &provenance };
            waiting.take_over(&envelope, &message, &tried, &mut answers, now).await;
        }
        self.remember(key, &envelope, &routed, &transactions, &answers).await;
        self.write_down(&envelope, &routed, &delivered, &answers, keep);
        if let Some(collecting) = &self.collecting {
            collecting.note(&envelope, &message, &answers);
        }
        filter::answers(&asked, &envelope, answers)
    }
}
