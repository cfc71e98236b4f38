//! One try to deliver, from the row to the row.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use sterna_base::{Clock, Timestamp};

use super::backoff::Times;
use super::error::QueueError;
use super::message::{Again, Delivered, Delivery, DeliveryId, Destination, NewMessage, Outcome, Said};
use super::store::{Content, Queue};
use crate::trace::Trace;

/// How long to wait before something is written down again that a full disk refused; twice as long each time.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// How long to wait for that at most.
const WRITE_AGAIN_MOST: Duration = Duration::from_secs(60);

/// How long a message rests whose try came to nothing by a fault on this side, in milliseconds.
pub const TRY_AGAIN_MS: i64 = 60_000;

/// How long a message rests that an administrator is just changing, in milliseconds.
const CHANGED_AGAIN_MS: i64 = 1_000;

/// Brings messages to their destinations: to the accounts, or to other servers.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Tries it for all recipients of the delivery. What it says `Done` of, the next host has taken over.
    async fn carry(&self, delivery: &Delivery, content: Content) -> Carried;
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// The host was there: one result for each recipient, in their order.
    Reached(Vec<Delivered>),
    /// The destination could not be reached, for whatever message.
    Unreachable(Said),
}

/// Writes the messages that tell senders what became of theirs (RFC 3464).
#[async_trait]
pub trait Notifier: Send + Sync {
    /// The message for these outcomes; `None` when nobody is to be told. `warned` tells that those deferred are told of
    /// now.
    async fn notification(&self, delivery: &Delivery, outcomes: &[Outcome], warned: bool) -> Option<NewMessage>;
}

/// What the runner learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The destination was there.
    Reached,
    /// It was not, and this is why.
    NotReached(Said),
    /// Nothing was tried, or nothing is known of the destination by it.
    Nothing,
    /// The try came to nothing by a fault on this side: the message must be tried again.
    BrokeOff,
    /// The queue can't be written any more.
    Stopped,
}

/// What a try needs.
pub struct Attempt {
    /// The queue.
    pub queue: Arc<Queue>,
    /// Who carries.
    pub carrier: Arc<dyn Carrier>,
    /// Who notifies.
    pub notifier: Arc<dyn Notifier>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where the runner takes it to be for: an administrator may have sent it somewhere else since.
    pub destination: Destination,
    /// The queue's times.
    pub times: Times,
    /// How often in a row the destination could not be reached before.
    pub failures: u32,
    /// Where it is written down.
    pub trace: Trace,
}

impl Attempt {
    /// Tries a delivery and writes down what became of it. With `assumed`, the destination is known to be unreachable
    /// and nobody asks it: only its sender's deadline is at hand. Gives also when to try again.
    pub async fn run(self, id: DeliveryId, assumed: Option<Said>) -> (Ended, Option<Timestamp>) {
        let Some(_lease) = self.queue.tries.take(id) else {
            return (Ended::Nothing, Some(self.clock.now().plus_ms(CHANGED_AGAIN_MS)));
        };
        let cause = match caught(self.try_delivery(id, assumed)).await {
            Some(Ok(ended)) => return ended,
            Some(Err(QueueError::Stopped | QueueError::Stopping)) => return (Ended::Stopped, None),
            Some(Err(error)) => error.cause(),
            None => "it panicked".to_owned(),
        };
        tracing::error!(delivery = id.0, cause, "a message of the queue could not be tried; it will be tried again");
        (Ended::BrokeOff, Some(self.clock.now().plus_ms(TRY_AGAIN_MS)))
    }

    async fn try_delivery(
        &self,
        id: DeliveryId,
        assumed: Option<Said>,
    ) -> Result<(Ended, Option<Timestamp>), QueueError> {
        let delivery = self.queue.delivery(id).await?.filter(|delivery| delivery.destination == self.destination);
        let Some(delivery) = delivery else { return Ok((Ended::Nothing, None)) };
        let (carried, ended) = match assumed {
            Some(said) => (Carried::Unreachable(said), Ended::Nothing),
            None => {
                let Some(content) = self.queue.content(delivery.message).await? else {
                    return Ok((Ended::Nothing, None));
                };
                let carried = caught(self.carrier.carry(&delivery, content)).await;
                let carried = carried.unwrap_or_else(|| panicked(&delivery));
                let ended = match &carried {
                    Carried::Reached(_) => Ended::Reached,
                    Carried::Unreachable(said) => Ended::NotReached(said.clone()),
                };
                (carried, ended)
            }
        };
        let now = self.clock.now();
        let failures = match &ended {
            Ended::NotReached(_) => self.failures + 1,
            _ => delivery.attempts + 1,
        };
        let next = self.times.next(&delivery.destination, failures, now);
        self.settle(&delivery, results(&delivery, carried), now, next).await?;
        if let Ended::NotReached(said) = &ended {
            let postponed = self.queue.postpone(delivery.destination.clone(), now, next, said.clone()).await;
            match postponed {
                Err(error @ (QueueError::Stopped | QueueError::Stopping)) => return Err(error),
                // What was not postponed together is postponed one by one: the runner knows the destination as dead.
                Err(error) => tracing::error!(cause = error.cause(), "the queue could not be written"),
                Ok(()) => {}
            }
        }
        Ok((ended, Some(next)))
    }

    /// Writes it down, with the notifications that are due.
    async fn settle(
        &self,
        delivery: &Delivery,
        mut outcomes: Vec<Outcome>,
        now: Timestamp,
        next: Timestamp,
    ) -> Result<(), QueueError> {
        let envelope = &delivery.envelope;
        if now >= envelope.expires {
            outcomes.iter_mut().for_each(give_up);
        }
        let deferred = outcomes.iter().find_map(|outcome| match &outcome.result {
            Delivered::Deferred(said) => Some(said.clone()),
            _ => None,
        });
        let warns = deferred.is_some()
            && !delivery.warned
            && now >= self.times.deadline(envelope.received, envelope.expires, false);
        let notification = self.notifier.notification(delivery, &outcomes, warns).await;
        let warned = warns || delivery.warned;
        let deadline = self.times.deadline(envelope.received, envelope.expires, warned);
        let again = deferred.map(|said| Again {
            tried: delivery.destination.clone(),
            next: next.min(envelope.expires),
            said,
            warned: warns,
            deadline,
        });
        log(delivery, &outcomes, again.as_ref());
        self.trace.tried(delivery, &outcomes, again.as_ref().map(|again| again.next));
        if let Some(notification) = &notification {
            self.trace.enqueued(notification, None);
        }
        let mut wait = WRITE_AGAIN;
        loop {
            let result =
                self.queue.settle(delivery.id, now, outcomes.clone(), again.clone(), notification.clone()).await;
            let error = match result {
                Ok(()) | Err(QueueError::Stopped | QueueError::Stopping) => return result,
                Err(error) => error,
            };
            // The disk is full, or whatever it is: what was delivered must not be sent again, so this goes on until it
            // is written down.
            tracing::error!(
                delivery = delivery.id.0,
                cause = error.cause(),
                "what became of a message can't be written"
            );
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WRITE_AGAIN_MOST);
        }
    }
}

/// `None` when it panicked: one message must not take the others' places.
async fn caught<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

/// The message waits as after any failure, and its sender is told in time.
fn panicked(delivery: &Delivery) -> Carried {
    tracing::error!(queue_id = %delivery.message, "a try to deliver panicked");
    let text = "the try broke off by a fault of this program".to_owned();
    let said = Said { text, status: (4, 3, 0), ..Said::default() };
    Carried::Reached(vec![Delivered::Deferred(said); delivery.recipients.len()])
}

/// One result for each recipient. A carrier that answers for too few has not answered for them.
fn results(delivery: &Delivery, carried: Carried) -> Vec<Outcome> {
    let (mut given, rest) = match carried {
        Carried::Reached(results) => (results.into_iter(), Said::default()),
        Carried::Unreachable(said) => (Vec::new().into_iter(), said),
    };
    let result = |recipient: &super::message::QueuedRecipient| Outcome {
        recipient: recipient.id,
        result: given.next().unwrap_or_else(|| Delivered::Deferred(rest.clone())),
    };
    delivery.recipients.iter().map(result).collect()
}

/// "Delivery time expired" (RFC 3463 section 3.5), which is for good.
fn give_up(outcome: &mut Outcome) {
    if let Delivered::Deferred(said) = &outcome.result {
        outcome.result = Delivered::Failed(Said { status: (5, 4, 7), ..said.clone() });
    }
}

fn log(delivery: &Delivery, outcomes: &[Outcome], again: Option<&Again>) {
    for (outcome, recipient) in outcomes.iter().zip(&delivery.recipients) {
        let (what, said) = match &outcome.result {
            Delivered::Done(said) => ("delivered", said),
            Delivered::Relayed { said, .. } => ("relayed", said),
            Delivered::Deferred(said) => ("deferred", said),
            Delivered::Failed(said) => ("failed", said),
        };
        tracing::info!(
            queue_id = %delivery.message,
            from = delivery.envelope.mail_from,
            to = recipient.rcpt.address,
            destination = %delivery.destination,
            host = said.host,
            said = said.text,
            attempts = delivery.attempts + 1,
            next_ms = again.map(|again| again.next.0),
            "{what}"
        );
    }
}
