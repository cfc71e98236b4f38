//! Invitations and answers (iTIP, RFC 5546) on their way: into accounts here wherever they live, by mail to everybody
//! else (iMIP, RFC 6047), and from mail into calendars.
//!
//! Whoever can't be reached now gets it from the queue, like mail: what is in there is a message with the invitation in
//! it, that goes into the calendar and not into a mailbox ([`Keep::Calendar`]).

mod incoming;
mod message;
mod resource;
mod texts;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use sterna_account::answered::Answered;
use sterna_account::calendars::busy::{Question, busy};
use sterna_account::calendars::pending;
use sterna_account::calendars::receive::{Incoming, Taken, receive};
use sterna_account::calendars::spans::KeptSpans;
use sterna_account::scheduling::{
    CalendarUser, Delivery, FreeBusyError, FreeBusyQuestion, Outgoing, Scheduling, UserKind,
};
use sterna_account::service::{
    Accounts, Envelope, InboundProtocol, Login, Message, MessageBody, Owner, Rcpt, Reception, Recipients, RouteError,
    Sender,
};
use sterna_account::{Account, AccountError, CommitError};
use sterna_base::{AccountId, BlobHash, Clock, OperationId};
use sterna_formats::calendar::Calendar;
use sterna_formats::calendar::booking::ResourceKind;
use sterna_formats::calendar::freebusy::FreeBusy;
use sterna_formats::calendar::itip;
use sterna_formats::calendar::itip::receive::Ignored;
use sterna_formats::mail::Scanner;

use crate::delivery::Keep;
use crate::dsn::Language;
use crate::provenance::Provenance;
use crate::queue::{NewMessage, QueueId, QueuedEnvelope};
use crate::refusals;
use crate::sieve::compose;
use crate::waiting::Waiting;

/// How long an account may take to take something in before it goes into the queue: somebody's program waits.
const RECEIVE_WAIT_MAX: Duration = Duration::from_secs(5);

/// Members of a group that are told at the same time.
const MEMBERS_AT_ONCE: usize = 16;

/// How long the same question of the same attendee is not answered again.
const ANSWERED_AGAIN_MS: i64 = 10 * 60 * 1000;

/// Attendees of a meeting beyond which nobody is told what the others answer: everybody's copy would be written for
/// everybody's answer.
const TOLD_OF_ANSWERS_MAX: usize = 100;

/// How long an account may take to say when its owner is busy.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(8);

/// See the module.
pub struct Scheduler {
    recipients: Arc<dyn Recipients>,
    accounts: Arc<dyn Accounts>,
    clock: Arc<dyn Clock>,
    ways: Option<Waiting>,
    /// What takes the mail of users: set when it is there, which is after this.
    reception: OnceLock<Arc<dyn Reception>>,
    spans: KeptSpans,
}

impl Scheduler {
    /// With the directory and the accounts; without a queue nothing waits, and nothing goes elsewhere.
    pub fn new(
        recipients: Arc<dyn Recipients>,
        accounts: Arc<dyn Accounts>,
        clock: Arc<dyn Clock>,
        ways: Option<Waiting>,
    ) -> Self {
        Scheduler { recipients, accounts, clock, ways, reception: OnceLock::new(), spans: KeptSpans::default() }
    }

    /// What is kept of calendars, for sessions that ask about the same.
    pub fn spans(&self) -> KeptSpans {
        self.spans.clone()
    }

    /// Says who takes the mail of users.
    pub fn send_with(&self, reception: Arc<dyn Reception>) {
        // A node starts once.
        let _ = self.reception.set(reception);
    }

    /// Into the accounts behind an address here, and to those elsewhere that it stands for.
    async fn carry(&self, from: AccountId, message: &Outgoing) -> Delivery {
        let route = match self.recipients.route(&message.recipient).await {
            Ok(route) => route,
            Err(RouteError::NotLocal) => return self.mail(from, message, &message.recipient).await,
            Err(RouteError::Unavailable(error)) => {
                tracing::warn!(recipient = message.recipient, error, "an invitation can't be routed now");
                return Delivery::Kept;
            }
            Err(_) => return Delivery::NoSuchUser,
        };
        // Nobody is told of one's own meetings as one of a group.
        let others = route.targets.iter().map(|target| target.account).filter(|account| *account != from);
        let taking: Vec<_> = others.map(|account| self.take_in(account, message)).collect();
        if taking.is_empty() && !route.targets.is_empty() && route.external.is_empty() {
            return Delivery::Delivered;
        }
        let mut results: Vec<Delivery> = stream::iter(taking).buffer_unordered(MEMBERS_AT_ONCE).collect().await;
        for address in &route.external {
            results.push(self.mail(from, message, address).await);
        }
        // What went worst is what is told.
        let order = [
            Delivery::Kept,
            Delivery::Pending,
            Delivery::Refused,
            Delivery::NoSuchUser,
            Delivery::Sent,
            Delivery::Delivered,
        ];
        order.into_iter().find(|found| results.contains(found)).unwrap_or(Delivery::NoSuchUser)
    }

    /// Into one account, or into the queue when it can't be reached.
    async fn take_in(&self, account: AccountId, message: &Outgoing) -> Delivery {
        let tried = tokio::time::timeout(RECEIVE_WAIT_MAX, self.receive(account, message, false)).await;
        match tried {
            Ok(Ok(_)) => Delivery::Delivered,
            Ok(Err(error)) if !error.is_temporary() => {
                tracing::warn!(%account, %error, "an account does not take an invitation");
                Delivery::Refused
            }
            Ok(Err(error)) => self.wait(account, message, &message.sender, &error.to_string()).await,
            Err(_) => self.wait(account, message, &message.sender, "the account takes too long").await,
        }
    }

    /// Takes a message into an account, and does what follows from it.
    async fn receive(&self, id: AccountId, message: &Outgoing, only_known: bool) -> Result<Taken, AccountError> {
        let account = self.accounts.open(id).await?;
        let owner = self.recipients.owner(id).await.unwrap_or_default();
        let own: Vec<String> = owner.addresses.iter().map(|address| address.to_lowercase()).collect();
        let (sender, recipient, text) = (&*message.sender, &*message.recipient, &message.text);
        let incoming = Incoming { id: message.id, sender, recipient, text, own: &own, only_known, is_silent: false };
        let taken = receive(&*account, incoming, self.clock.now()).await?;
        match &taken {
            Taken::Ignored(why) => log_ignored(id, message, *why),
            Taken::Answered(answer) => self.answer(&*account, answer).await?,
            Taken::Stored { object, method: itip::Method::Reply } => {
                let telling = self.tell_others(object, message, &own);
                if tokio::time::timeout(RECEIVE_WAIT_MAX, telling).await.is_err() {
                    tracing::info!(account = %id, "not all attendees were told in time what one has answered");
                }
            }
            Taken::Stored { .. } | Taken::Shown => {}
        }
        // Also when it was here before: whoever took it may have gone down before it was answered.
        self.book(&*account, &owner, message).await?;
        Ok(taken)
    }

    async fn addresses(&self, account: AccountId) -> Vec<String> {
        let owner = self.recipients.owner(account).await.unwrap_or_default();
        owner.addresses.into_iter().map(|address| address.to_lowercase()).collect()
    }

    /// Attendees who have accounts here see what one of them has answered (RFC 6638 section 3.2.6): their copies become
    /// the organizer's, without a word. Whoever can't be reached now sees it with the next change.
    async fn tell_others(&self, object: &Calendar, answer: &Outgoing, own: &[String]) {
        let mut others = itip::attendees(object);
        others.retain(|address| *address != answer.sender && !own.contains(address));
        if others.len() > TOLD_OF_ANSWERS_MAX {
            return;
        }
        let now = self.clock.now();
        let telling = others.into_iter().map(|address| async move {
            let Some(message) = itip::organizer::again(object, &address, now.seconds()) else { return };
            let Ok(route) = self.recipients.route(&address).await else { return };
            let ([target], []) = (&route.targets[..], &route.external[..]) else { return };
            let outgoing = Outgoing { id: derived(answer.id, &address), ..pending::outgoing(&message) };
            let told = self.tell_silently(target.account, &outgoing).await;
            if let Err(error) = told {
                tracing::info!(account = %target.account, %error, "what another attendee has answered is not told now");
            }
        });
        stream::iter(telling).for_each_concurrent(MEMBERS_AT_ONCE, |telling| telling).await;
    }

    async fn tell_silently(&self, id: AccountId, message: &Outgoing) -> Result<(), AccountError> {
        let account = self.accounts.open(id).await?;
        let own = self.addresses(id).await;
        let (sender, recipient, text) = (&*message.sender, &*message.recipient, &message.text);
        let (id, only_known, is_silent) = (message.id, true, true);
        let incoming = Incoming { id, sender, recipient, text, own: &own, only_known, is_silent };
        receive(&*account, incoming, self.clock.now()).await.map(drop)
    }

    /// Answers a question that nobody has to decide about, each once in a while: two programs that ask each other would
    /// do so for ever. Whoever asked asks again if it is lost.
    async fn answer(&self, account: &dyn Account, answer: &itip::Message) -> Result<(), AccountError> {
        let now = self.clock.now();
        let uid = answer.calendar.components.iter().find_map(|component| component.text("UID")).unwrap_or_default();
        let key = format!("itip {} {} {uid}", answer.method.name(), answer.recipient);
        let answered = Answered::read(account, std::slice::from_ref(&key), now).await?;
        if answered.contains(&key) {
            tracing::info!(account = %account.id(), to = answer.recipient, "a calendar was asked the same again");
            return Ok(());
        }
        let steps = answered.remember(account, &[(key, now.plus_ms(ANSWERED_AGAIN_MS))], now).await?;
        match account.commit(OperationId::random(), steps).await {
            Ok(_) => {}
            // Somebody else answers it.
            Err(AccountError::Refused(CommitError::Unexpected)) => return Ok(()),
            Err(error) => return Err(error),
        }
        let answer = Outgoing { is_automatic: true, ..pending::outgoing(answer) };
        let delivery = Box::pin(self.carry(account.id(), &answer)).await;
        tracing::debug!(account = %account.id(), ?delivery, "a message of a calendar was answered");
        Ok(())
    }

    /// Puts a message for an account into the queue. Whoever has the reverse-path hears of it if it is given up: nobody
    /// of what came by mail, because that is in the mailbox, and anybody can write a sender into it.
    async fn wait(&self, account: AccountId, message: &Outgoing, reverse_path: &str, why: &str) -> Delivery {
        let Some(ways) = &self.ways else { return Delivery::Kept };
        let content = Bytes::from(self.compose(message, &message.recipient).await);
        let now = self.clock.now();
        let (expires, times) = (now.plus_ms(ways.outbound.times().lifetime_ms), ways.outbound.times());
        let mut deliveries = crate::outbound::Deliveries::new(now, times.deadline(now, expires, false));
        deliveries.add(
            crate::queue::Destination::Account(account),
            Rcpt { address: message.recipient.clone(), ..Rcpt::default() },
        );
        let envelope = QueuedEnvelope {
            mail_from: reverse_path.to_owned(),
            envelope_id: None,
            return_headers_only: true,
            eight_bit: true,
            utf8: !message.sender.is_ascii() || !message.recipient.is_ascii(),
            keep: Keep::Calendar,
            provenance: Provenance::default(),
            origin: format!("calendar of {}", message.sender),
            received: now,
            expires,
        };
        let new = NewMessage {
            // Several members of a group may have to wait.
            id: QueueId(derived(message.id, &account.to_string())),
            envelope,
            size_bytes: content.len() as u64,
            hash: BlobHash::of(&content),
            body: MessageBody::Inline(content),
            deliveries: deliveries.all(),
        };
        tracing::info!(%account, recipient = message.recipient, why, "an invitation waits in the queue");
        let until = now.plus_ms(times.lifetime_ms);
        match ways.queue.add_once(new, now, until).await {
            Ok(()) => Delivery::Pending,
            Err(error) => {
                tracing::error!(%account, %error, "an invitation could not be queued; it stays with its sender");
                Delivery::Kept
            }
        }
    }

    /// By mail, as if its sender had written it: signed, filtered, queued and traced like everything that users send.
    async fn mail(&self, from: AccountId, message: &Outgoing, to: &str) -> Delivery {
        let (Some(reception), Some(ways)) = (self.reception.get(), &self.ways) else { return Delivery::Refused };
        if ways.outbound.destination(to).is_none() {
            return Delivery::NoSuchUser;
        }
        let content = Bytes::from(self.compose(message, to).await);
        let to = [to.to_owned()];
        let sender = &*message.sender;
        let (envelope, body) = self.submitted(from, (sender, sender), &to, derived(message.id, &to[0]), content);
        match reception.deliver(envelope, body).await.pop() {
            Some(Ok(())) => Delivery::Sent,
            Some(Err(refusal)) if refusal.is_temporary() => Delivery::Kept,
            Some(Err(refusal)) => {
                tracing::info!(to = to[0], %refusal, "an invitation could not be sent");
                Delivery::Refused
            }
            None => Delivery::Refused,
        }
    }

    /// What somebody here hands in, with this address and this reverse-path.
    fn submitted(
        &self,
        from: AccountId,
        (address, mail_from): (&str, &str),
        to: &[String],
        transaction: OperationId,
        content: Bytes,
    ) -> (Envelope, Message) {
        let mut scanner = Scanner::new();
        scanner.push(&content);
        let hash = BlobHash::of(&content);
        let own_name = self.ways.as_ref().map(|ways| ways.outbound.own_name()).unwrap_or_default();
        let envelope = Envelope {
            sender: Sender {
                protocol: InboundProtocol::Submission,
                login: Some(Login { account: from, address: address.to_owned(), is_sudo: false, app_password: None }),
                peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
                helo: own_name,
                tls: true,
            },
            mail_from: mail_from.to_owned(),
            recipients: to.iter().map(|to| Rcpt { address: to.clone(), ..Rcpt::default() }).collect(),
            envelope_id: None,
            return_headers_only: true,
            eight_bit: true,
            utf8: !address.is_ascii() || to.iter().any(|to| !to.is_ascii()),
            transaction,
            received_hash: hash,
        };
        let (size, summary) = (content.len() as u64, scanner.finish().encode().into());
        (envelope, Message { body: MessageBody::Inline(content), size, hash, summary })
    }

    /// Writes to people about a resource, in its name.
    async fn write_to(&self, from: AccountId, address: &str, about: (&str, &[String]), subject: &str, text: &str) {
        let (Some(reception), Some(ways), (name, to)) = (self.reception.get(), &self.ways, about) else { return };
        let id = OperationId::random();
        let draft = compose::Draft {
            from: compose::mailbox(name, address),
            to: to.to_vec(),
            subject: subject.to_owned(),
            answers: None,
            references: String::new(),
            auto_submitted: "auto-generated",
            importance: 2,
            text,
            is_mime: false,
        };
        let content = Bytes::from(draft.message(&ways.outbound.own_name(), &id.to_string(), self.clock.now()));
        let (envelope, body) = self.submitted(from, (address, ""), to, id, content);
        for refusal in reception.deliver(envelope, body).await.into_iter().filter_map(Result::err) {
            tracing::warn!(resource = address, %refusal, "a manager could not be written to");
        }
    }

    /// The message with the invitation in it, in the language of its sender.
    async fn compose(&self, message: &Outgoing, to: &str) -> Vec<u8> {
        let own_name = self.ways.as_ref().map(|ways| ways.outbound.own_name()).unwrap_or_default();
        let language = self.recipients.language(&message.sender).await;
        let language = language.map_or(Language::default(), |tag| Language::of(&tag));
        let name = match self.recipients.route(&message.sender).await {
            Ok(route) => match route.targets.first() {
                Some(target) => self.recipients.owner(target.account).await.map(|owner| owner.name),
                None => None,
            },
            Err(_) => None,
        };
        let draft = message::Draft { message, to, name: name.as_deref().unwrap_or_default(), language };
        draft.compose(&own_name, self.clock.now())
    }
}

/// Who an account belongs to, as one who schedules.
fn user(owner: Owner) -> CalendarUser {
    let kind = owner.resource.map_or(UserKind::Individual, |rules| match rules.kind {
        ResourceKind::Room => UserKind::Room,
        ResourceKind::Equipment => UserKind::Resource,
    });
    let addresses = owner.addresses.into_iter().map(|address| address.to_lowercase()).collect();
    CalendarUser { addresses, name: owner.name, kind }
}

/// The name of a message on its way to one of those whom it is for: the same for every try.
fn derived(id: OperationId, to: &str) -> OperationId {
    let mut hasher = blake3::Hasher::new_derive_key("sterna scheduling message 1");
    hasher.update(&id.0).update(to.as_bytes());
    let mut derived = [0; 16];
    hasher.finalize_xof().fill(&mut derived);
    OperationId(derived)
}

fn log_ignored(account: AccountId, message: &Outgoing, why: Ignored) {
    tracing::info!(%account, sender = message.sender, %why, "a message for a calendar changes nothing");
}

#[async_trait]
impl Scheduling for Scheduler {
    async fn user(&self, account: AccountId) -> Option<CalendarUser> {
        let owner = self.recipients.owner(account).await?;
        Some(user(owner))
    }

    async fn resources(&self, text: &str) -> Vec<CalendarUser> {
        self.recipients.resources(text).await.into_iter().map(user).collect()
    }

    async fn deliver(&self, from: AccountId, message: &Outgoing) -> Delivery {
        self.carry(from, message).await
    }

    async fn free_busy(&self, question: FreeBusyQuestion<'_>) -> Result<FreeBusy, FreeBusyError> {
        let route = self.recipients.route(question.address).await.map_err(|error| match error {
            RouteError::NotLocal => FreeBusyError::Elsewhere,
            RouteError::Unavailable(why) => FreeBusyError::Unavailable(why),
            _ => FreeBusyError::NoSuchUser,
        })?;
        // Of a group nobody knows when it has time.
        let [target] = &route.targets[..] else { return Err(FreeBusyError::NoSuchUser) };
        let own = self.addresses(target.account).await;
        let ask = async {
            let account: Arc<dyn Account> = self.accounts.open(target.account).await?;
            let asked = Question { range: question.range, own: &own, without: question.without, floating: None };
            busy(&*account, asked, &self.spans).await
        };
        match tokio::time::timeout(BUSY_WAIT_MAX, ask).await {
            Ok(Ok(found)) if found.is_cut => Err(FreeBusyError::TooMuch),
            Ok(Ok(found)) => Ok(found),
            Ok(Err(AccountError::NoSuchAccount(_))) => Err(FreeBusyError::NoSuchUser),
            Ok(Err(error)) => Err(FreeBusyError::Unavailable(refusals::of_account(&error).to_string())),
            Err(_) => Err(FreeBusyError::Unavailable("no answer in time".to_owned())),
        }
    }
}
