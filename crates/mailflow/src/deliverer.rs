//! Delivery to accounts: at once for sessions, and from the queue for what could not be delivered at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::AccountError;
use sterna_account::service::{Accounts, Message, MessageBody, Recipients, SpoolFile};
use sterna_base::{AccountId, OperationId};
use sterna_formats::mail::Scanner;
use tokio::sync::Semaphore;

use crate::delivery::{self, DeliveryError, Inboxes, Keep, Task};
use crate::full::FullMailboxes;
use crate::limits::{DELIVERIES_AT_ONCE_MAX, DELIVERY_TIMEOUT, SPOOL_CHUNK_BYTES};
use crate::queue::{self, Carried, Carrier, Content, Delivery, Destination, Said};
use crate::refusals;
use crate::scheduling::Scheduler;
use crate::sieve::{Sieve, Wanted};
use crate::targets::Delivered;

/// What the delivery to one account needs.
pub struct Deliverer {
    recipients: Arc<dyn Recipients>,
    accounts: Arc<dyn Accounts>,
    inboxes: Inboxes,
    sieve: Arc<Sieve>,
    scheduler: Option<Arc<Scheduler>>,
    full: FullMailboxes,
    at_once: Semaphore,
}

impl Deliverer {
    /// With the accounts wherever they live, and what their scripts need.
    pub fn new(recipients: Arc<dyn Recipients>, accounts: Arc<dyn Accounts>, sieve: Arc<Sieve>) -> Self {
        let at_once = Semaphore::new(DELIVERIES_AT_ONCE_MAX);
        let (inboxes, full) = (Inboxes::default(), FullMailboxes::default());
        Deliverer { recipients, accounts, inboxes, sieve, scheduler: None, full, at_once }
    }

    /// With calendars that take in invitations by mail.
    pub fn with_scheduler(self, scheduler: Arc<Scheduler>) -> Self {
        Deliverer { scheduler: Some(scheduler), ..self }
    }

    async fn deliver_now(
        &self,
        account: AccountId,
        transaction: OperationId,
        message: &Message,
        wanted: &Wanted,
    ) -> Result<(), DeliveryError> {
        if wanted.keep == Keep::Calendar {
            let none = || AccountError::Unavailable("this node carries no invitations".to_owned());
            let scheduler = self.scheduler.as_ref().ok_or_else(none)?;
            return Ok(scheduler.from_queue(account, transaction, message, wanted).await?);
        }
        let (accounts, inboxes, sieve) = (&*self.accounts, &self.inboxes, &*self.sieve);
        let task = Task { accounts, inboxes, sieve, account, transaction, message, wanted };
        let is_kept = delivery::deliver(task).await?;
        // What its owner threw away is no invitation either.
        if let Some(scheduler) = self.scheduler.as_ref().filter(|_| is_kept) {
            scheduler.mail_arrived(account, transaction, message, wanted).await;
        }
        Ok(())
    }

    /// Delivers the message as the account's scripts want it.
    pub async fn deliver(
        &self,
        account: AccountId,
        transaction: OperationId,
        message: &Message,
        wanted: &Wanted,
    ) -> Delivered {
        let work = async {
            // Closed never: the semaphore lives as long as this.
            let _permit = self.at_once.acquire().await.ok();
            self.deliver_now(account, transaction, message, wanted).await
        };
        let error = match tokio::time::timeout(DELIVERY_TIMEOUT, work).await {
            Ok(Ok(())) => {
                self.full.has_room(account);
                return Delivered::Done;
            }
            Ok(Err(DeliveryError::Rejected(reason))) => return Delivered::Rejected(refusals::of_script(&reason)),
            Ok(Err(DeliveryError::Queue(error))) => return Delivered::Refused(refusals::of_queue(&error)),
            Ok(Err(DeliveryError::Account(error))) => error,
            Err(_) => return Delivered::Uncertain(refusals::of_timeout()),
        };
        if error.is_uncertain() {
            return Delivered::Uncertain(refusals::of_account(&error));
        }
        if refusals::is_over_quota(&error) {
            let full_ms = self.full.is_full(account, self.sieve.clock.now());
            let deferred_ms = self.recipients.deferred_when_full_ms(account).await;
            if deferred_ms.is_some_and(|deferred_ms| full_ms >= deferred_ms) {
                return Delivered::Refused(refusals::of_full(&error));
            }
        }
        Delivered::Refused(refusals::of_account(&error))
    }
}

#[async_trait]
impl Carrier for Deliverer {
    /// The transaction is the one of the first try, so that an account that has the message already answers from
    /// memory.
    async fn carry(&self, delivery: &Delivery, content: Content) -> Carried {
        let Destination::Account(account) = &delivery.destination else { return Carried::Reached(Vec::new()) };
        let summary = match summary(&content).await {
            Ok(summary) => summary.into(),
            Err(error) => return Carried::Unreachable(said(format!("the message can't be read: {error}"), (4, 3, 0))),
        };
        let body = match content {
            Content::Inline(bytes) => MessageBody::Inline(bytes),
            Content::File(path) => MessageBody::Spooled(Arc::new(SpoolFile { path, is_temporary: false })),
        };
        let message = Message { body, size: delivery.size_bytes, hash: delivery.hash, summary };
        let wanted = Wanted {
            mail_from: delivery.envelope.mail_from.clone(),
            rcpt_to: delivery.recipients.first().map(|found| found.rcpt.address.clone()).unwrap_or_default(),
            eight_bit: delivery.envelope.eight_bit,
            utf8: delivery.envelope.utf8,
            keep: delivery.envelope.keep,
            provenance: delivery.envelope.provenance.clone(),
            ..Wanted::default()
        };
        let result = match self.deliver(*account, delivery.message.0, &message, &wanted).await {
            Delivered::Rejected(refusal) => queue::Delivered::Failed(said(refusal.text, refusal.enhanced)),
            Delivered::Done => queue::Delivered::Done(said("delivered".to_owned(), (2, 0, 0))),
            Delivered::Refused(refusal) | Delivered::Uncertain(refusal) if refusals::is_outage(&refusal) => {
                return Carried::Unreachable(said(refusal.text, refusal.enhanced));
            }
            Delivered::Refused(refusal) if !refusal.is_temporary() => {
                queue::Delivered::Failed(said(refusal.text, refusal.enhanced))
            }
            Delivered::Refused(refusal) | Delivered::Uncertain(refusal) => {
                queue::Delivered::Deferred(said(refusal.text, refusal.enhanced))
            }
        };
        Carried::Reached(vec![result; delivery.recipients.len()])
    }
}

fn said(text: String, status: (u8, u16, u16)) -> Said {
    Said { host: String::new(), text, status, is_reply: false }
}

async fn summary(content: &Content) -> std::io::Result<Vec<u8>> {
    match content {
        Content::Inline(bytes) => {
            let mut scanner = Scanner::new();
            scanner.push(bytes);
            Ok(scanner.finish().encode())
        }
        Content::File(path) => {
            let path: PathBuf = path.clone();
            let scanning = tokio::task::spawn_blocking(move || summary_of_file(&path)).await;
            scanning.unwrap_or_else(|error| Err(std::io::Error::other(error)))
        }
    }
}

fn summary_of_file(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let (mut file, mut scanner) = (std::fs::File::open(path)?, Scanner::new());
    let mut chunk = vec![0; SPOOL_CHUNK_BYTES];
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok(scanner.finish().encode());
        }
        scanner.push(&chunk[..count]);
    }
}

/// Both ways: to the accounts here, and to other servers.
pub struct Carriers {
    /// To accounts.
    pub accounts: Arc<dyn Carrier>,
    /// To other servers.
    pub remote: Arc<dyn Carrier>,
}

#[async_trait]
impl Carrier for Carriers {
    async fn carry(&self, delivery: &Delivery, content: Content) -> Carried {
        match &delivery.destination {
            Destination::Account(_) => self.accounts.carry(delivery, content).await,
            Destination::Domain(_) | Destination::Host(_) => self.remote.carry(delivery, content).await,
        }
    }
}
