//! What scripts send: redirected messages, answers, notifications.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use sterna_account::AccountError;
use sterna_account::service::{MessageBody, Rcpt, RouteError, SpoolFile};
use sterna_base::limits::INLINE_BLOB_BYTES_MAX;
use sterna_base::{BlobHash, OperationId, Timestamp};

use super::Sieve;
use super::action::{Form, Notify, Vacation};
use super::answer::Asked;
use super::limits::SENT_RETENTION_MS;
use super::material::Material;
use super::plan::{Delivery, PlanError};
use crate::delivery::Keep;
use crate::provenance::Provenance;
use crate::queue::{NewMessage, QueueId, QueuedEnvelope};
use crate::sent_on;
use crate::trace;
use crate::waiting::Waiting;

/// Accounts behind a reverse-path that are looked at: a user's mail goes on to at most 32 others.
const OWNERS_ASKED_MAX: usize = 33;

/// A message that a script sends.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The same for every try of the same delivery.
    pub id: OperationId,
    /// The reverse-path; empty for what must not be answered.
    pub mail_from: String,
    /// To whom.
    pub recipients: Vec<Rcpt>,
    /// The content.
    pub body: MessageBody,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Its name.
    pub hash: BlobHash,
    /// Whether it has bytes over 127, or addresses outside ASCII.
    pub eight_bit: bool,
    /// See `eight_bit`.
    pub utf8: bool,
    /// Whether nobody has the message if it is not sent.
    pub must_arrive: bool,
    /// For the administrator.
    pub origin: String,
    /// What it calls itself.
    pub message_id: Option<String>,
    /// The message that is sent on, and whose recipient sends it on.
    pub sent_on: Option<(OperationId, String)>,
}

impl Sieve {
    /// Puts messages into the queue, each once, however often this is tried.
    ///
    /// # Errors
    /// [`PlanError::Queue`]; [`PlanError::Account`] when what must arrive has no way any more.
    pub async fn send(&self, messages: Vec<Outgoing>) -> Result<(), PlanError> {
        let Some(ways) = &self.ways else { return Ok(()) };
        for message in messages {
            let now = self.clock.now();
            let expires = now.plus_ms(ways.outbound.times().lifetime_ms);
            let deliveries = ways.outbound.deliveries(message.recipients, now, expires).await;
            if deliveries.is_empty() {
                if message.must_arrive {
                    let why = format!("what is {} leads nowhere just now", message.origin);
                    return Err(AccountError::Unavailable(why).into());
                }
                tracing::warn!(origin = message.origin, "there is no way to whom a Sieve script writes to");
                continue;
            }
            let envelope = QueuedEnvelope {
                mail_from: message.mail_from,
                envelope_id: None,
                return_headers_only: true,
                eight_bit: message.eight_bit,
                utf8: message.utf8,
                keep: Keep::Inbox,
                provenance: Provenance::default(),
                origin: message.origin,
                received: now,
                expires,
            };
            let new = NewMessage {
                id: QueueId(message.id),
                envelope,
                body: message.body,
                size_bytes: message.size_bytes,
                hash: message.hash,
                deliveries,
            };
            let until = now.plus_ms(SENT_RETENTION_MS);
            ways.queue.add_once(new.clone(), now, until).await.map_err(PlanError::Queue)?;
            if let Some((transaction, from)) = &message.sent_on {
                ways.trace.sent_on(*transaction, from, &new);
            }
            ways.trace.enqueued(&new, message.message_id);
        }
        Ok(())
    }

    /// The reverse-path of a message that is sent on: the sender's own for senders of ours, and for bounces none; else
    /// one of ours that leads back to the sender.
    async fn reverse_path(&self, sender: &str, material: &Material) -> String {
        if sender.is_empty() || !matches!(self.recipients.route(sender).await, Err(RouteError::NotLocal)) {
            return sender.to_owned();
        }
        let domain = material.owner.addresses.first().and_then(|address| address.rsplit_once('@'));
        let rewritten = domain.and_then(|(_, domain)| material.settings.srs.forward(sender, domain, self.clock.now()));
        rewritten.unwrap_or_else(|| sender.to_owned())
    }
}

impl Delivery<'_> {
    /// A message on its way to somebody else.
    ///
    /// # Errors
    /// [`PlanError::Script`] when it goes around in circles, or can't be sent.
    pub(super) async fn redirect(
        &self,
        address: &str,
        notify: Option<String>,
        form: Form,
        forms: &[Bytes],
        material: &Material,
    ) -> Result<Outgoing, PlanError> {
        let Some(ways) = &self.sieve.ways else {
            return Err(PlanError::Script("this node sends no mail".to_owned()));
        };
        self.leads_somewhere(address, ways).await?;
        let own = material.owner.addresses.first().unwrap_or(&material.rcpt_to);
        let addresses = &material.owner.addresses;
        let is_own = |found: &str| addresses.iter().any(|own| own.eq_ignore_ascii_case(found)) || found == own;
        if sent_on::was_here(&material.message, is_own) {
            return Err(PlanError::Script(
                "the message was redirected from here before: it goes in circles".to_owned(),
            ));
        }
        let content = form.0.checked_sub(1).and_then(|at| forms.get(at)).unwrap_or(&material.message);
        let seal = if self.wanted.provenance.is_verified {
            // What the script made of the message is sealed, with what was found out before it ran.
            let [before, after] = [&material.message, content].map(|bytes| MessageBody::Inline(bytes.clone()));
            ways.outbound.seal(own, &before, &after).await
        } else {
            String::new()
        };
        let content = sent_on::behind_return_path(content, &sent_on::fields(own, &seal));
        let (size_bytes, hash) = (content.len() as u64, BlobHash::of(&content));
        let id = self.name("redirect", &address.to_ascii_lowercase());
        let body = self.body(content, id).await?;
        Ok(Outgoing {
            id,
            mail_from: self.sieve.reverse_path(&material.mail_from, material).await,
            recipients: vec![Rcpt { address: address.to_owned(), original: None, notify }],
            body,
            size_bytes,
            hash,
            eight_bit: true,
            utf8: self.wanted.utf8,
            must_arrive: true,
            origin: format!("redirected by {own}"),
            message_id: trace::message_id(&self.message.summary),
            sent_on: Some((self.transaction, material.rcpt_to.clone())),
        })
    }

    /// Who redirects has no copy: an address that takes nothing keeps the message here instead.
    async fn leads_somewhere(&self, address: &str, ways: &Waiting) -> Result<(), PlanError> {
        let nowhere = |why: &str| Err(PlanError::Script(format!("no mail can be sent to {address}: {why}")));
        match self.sieve.recipients.route(address).await {
            Ok(route) if route.targets.is_empty() && route.external.is_empty() => nowhere("nobody is behind it"),
            Ok(_) => Ok(()),
            Err(RouteError::NotLocal) if ways.outbound.destination(address).is_some() => Ok(()),
            Err(RouteError::NotLocal) => nowhere("it is no address"),
            Err(RouteError::Unavailable(why)) => Err(AccountError::Unavailable(why).into()),
            Err(error) => nowhere(&error.to_string()),
        }
    }

    /// Whether a reverse-path stands for several: an answer to it would reach people who have written nothing. A user
    /// whose mail goes on to others, too, is one.
    async fn is_group(&self, address: &str) -> bool {
        let recipients = &self.sieve.recipients;
        let Ok(route) = recipients.route(address).await else { return false };
        if route.targets.len() + route.external.len() <= 1 {
            return false;
        }
        for target in route.targets.iter().take(OWNERS_ASKED_MAX) {
            let owner = recipients.owner(target.account).await.unwrap_or_default();
            if owner.addresses.iter().any(|own| own.eq_ignore_ascii_case(address)) {
                return false;
            }
        }
        true
    }

    pub(super) async fn vacation(&self, vacation: &Vacation, material: &Material, asked: &Asked) -> Option<Outgoing> {
        if self.is_group(&material.mail_from).await {
            return None;
        }
        let (own_name, id) = (self.sieve.ways.as_ref()?.outbound.own_name(), self.name("vacation", ""));
        let (text, now) = (id.to_string(), self.sieve.clock.now());
        let sender = material.mail_from.clone();
        let content = asked.vacation(vacation, &material.owner, &sender, (&own_name, &text, now));
        Some(self.own(id, vec![sender], content, format!("vacation of {}", material.rcpt_to)))
    }

    pub(super) fn notify(&self, notify: &Notify, material: &Material, asked: &Asked) -> Option<Outgoing> {
        let (own_name, id) = (self.sieve.ways.as_ref()?.outbound.own_name(), self.name("notify", &notify.method));
        let (text, now): (String, Timestamp) = (id.to_string(), self.sieve.clock.now());
        let (to, content) = asked.notify(notify, &material.owner, (&own_name, &text, now))?;
        Some(self.own(id, to, content, format!("notification for {}", material.rcpt_to)))
    }

    /// One of our own messages, which nobody may answer automatically.
    fn own(&self, id: OperationId, to: Vec<String>, content: Vec<u8>, origin: String) -> Outgoing {
        let content = Bytes::from(content);
        let rcpt = |address| Rcpt { address, original: None, notify: Some("NEVER".to_owned()) };
        let recipients: Vec<Rcpt> = to.into_iter().map(rcpt).collect();
        Outgoing {
            id,
            mail_from: String::new(),
            utf8: recipients.iter().any(|rcpt| !rcpt.address.is_ascii()),
            recipients,
            size_bytes: content.len() as u64,
            hash: BlobHash::of(&content),
            body: MessageBody::Inline(content),
            eight_bit: true,
            must_arrive: false,
            origin,
            message_id: None,
            sent_on: None,
        }
    }

    /// A name that is the same for every try of this delivery.
    fn name(&self, kind: &str, what: &str) -> OperationId {
        let mut hasher = blake3::Hasher::new_derive_key("sterna mailflow sieve message 1");
        hasher.update(&self.transaction.0);
        hasher.update(&self.account.id().0.to_be_bytes());
        hasher.update(kind.as_bytes());
        hasher.update(b"\0");
        hasher.update(what.as_bytes());
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        OperationId(id)
    }

    /// A large content goes into a file beside the one that it came in.
    async fn body(&self, content: Bytes, id: OperationId) -> Result<MessageBody, PlanError> {
        if content.len() <= INLINE_BLOB_BYTES_MAX {
            return Ok(MessageBody::Inline(content));
        }
        let folder = match &self.message.body {
            MessageBody::Spooled(spooled) => spooled.path.parent().map(std::path::Path::to_owned),
            MessageBody::Inline(_) => None,
        };
        let folder = folder.unwrap_or_else(std::env::temp_dir);
        let writing = tokio::task::spawn_blocking(move || {
            let path = folder.join(format!("{id}.{}", OperationId::random()));
            let file = SpoolFile { path: path.clone(), is_temporary: true };
            std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?.write_all(&content)?;
            Ok::<_, std::io::Error>(MessageBody::Spooled(Arc::new(file)))
        });
        let written = writing.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let failed = |error| AccountError::Unavailable(format!("a redirected message can't be spooled: {error}"));
        Ok(written.map_err(failed)?)
    }
}
