//! Messages on their way from an account, and what became of them.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use sterna_account::calendars::receive::put;
use sterna_account::calendars::{self, OUTBOX, pending};
use sterna_account::commit::Expect;
use sterna_account::scheduling::{Delivery, Outgoing, Scheduling};
use sterna_account::{Account, AccountError, CommitError, ContainerKind, ItemParts};
use sterna_base::{ContainerId, OperationId, Timestamp, Uid};
use sterna_formats::calendar::itip::set_statuses;
use sterna_formats::calendar::{Calendar, Facts};

use crate::dav::context::Home;
use crate::dav::limits::{CARRIED_AT_ONCE, CARRY_WAIT_MAX, LEFT_BEHIND_MS, TRIES};

/// Messages of one change, kept in the outbox.
pub struct Carried {
    account: Arc<dyn Account>,
    scheduling: Arc<dyn Scheduling>,
    outbox: ContainerId,
    /// The object that they are about, if it is still there.
    object: Option<(ContainerId, String)>,
}

/// Carries messages, and notes in the object what became of them. Whoever waits for it waits a while; what takes longer
/// goes on.
pub async fn carry(
    account: Arc<dyn Account>,
    scheduling: Arc<dyn Scheduling>,
    outbox: ContainerId,
    object: Option<(ContainerId, String)>,
    messages: Vec<(Uid, Outgoing)>,
) {
    if messages.is_empty() {
        return;
    }
    let carried = Carried { account, scheduling, outbox, object };
    let carrying = tokio::spawn(async move { carried.run(messages).await });
    if tokio::time::timeout(CARRY_WAIT_MAX, carrying).await.is_err() {
        tracing::info!("invitations take longer than their sender waits; they go on");
    }
}

impl Carried {
    async fn run(self, messages: Vec<(Uid, Outgoing)>) {
        let one = |(uid, message): (Uid, Outgoing)| {
            let (scheduling, from) = (self.scheduling.clone(), self.account.id());
            async move {
                let delivery = scheduling.deliver(from, &message).await;
                (uid, message.recipient, delivery)
            }
        };
        let results: Vec<_> =
            stream::iter(messages.into_iter().map(one)).buffer_unordered(CARRIED_AT_ONCE).collect().await;
        if let Err(error) = self.note(&results).await {
            tracing::warn!(account = %self.account.id(), %error, "what became of invitations could not be noted");
        }
    }

    /// The outbox forgets what somebody has, and the object says so. Answers may have changed it meanwhile.
    async fn note(&self, results: &[(Uid, String, Delivery)]) -> Result<(), AccountError> {
        let taken = results.iter().filter(|(.., delivery)| *delivery != Delivery::Kept);
        let taken: Vec<Uid> = taken.map(|(uid, ..)| *uid).collect();
        for _ in 0..TRIES {
            let mut steps = vec![pending::forget(self.outbox, &taken)];
            if let Some((container, name)) = &self.object {
                let parts = ItemParts { body: true, ..ItemParts::default() };
                if let Some(item) = self.account.item_named(*container, name, parts).await?
                    && let Ok(mut object) = Calendar::parse(&calendars::body(&*self.account, &item).await?)
                {
                    let told = results
                        .iter()
                        .map(|(_, recipient, delivery)| (recipient.as_str(), delivery.status()))
                        .collect();
                    // Who has answered already was reached.
                    set_statuses(&mut object.root, &told, |said| said == Some("1.0"));
                    if let Ok(facts) = Facts::of(&object) {
                        let place = (*container, name.clone());
                        let text = object.text();
                        steps.push(put(&*self.account, place, &text, &facts, Expect::Content(item.blob)).await?);
                    }
                }
            }
            match self.account.commit(OperationId::random(), steps).await {
                Ok(_) => return Ok(()),
                Err(AccountError::Refused(CommitError::Unexpected | CommitError::NoSuchContainer(_))) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Sends what an edge has left in the outbox that went down between a change and its messages. Costs a look-up of a
/// name when there is nothing.
///
/// # Errors
/// When the account can't be read.
pub async fn send_left_behind(
    home: &Home,
    scheduling: Arc<dyn Scheduling>,
    now: Timestamp,
) -> Result<(), AccountError> {
    let path = [OUTBOX.to_owned()];
    let Some(outbox) = home.account.containers_on_path(ContainerKind::ScheduleOutbox, &path).await?.pop() else {
        return Ok(());
    };
    if outbox.counts.items == 0 {
        return Ok(());
    }
    let kept = pending::kept(&*home.account, outbox.id, now.plus_ms(-LEFT_BEHIND_MS)).await?;
    let (account, id) = (home.account.clone(), outbox.id);
    if !kept.is_empty() {
        tracing::info!(account = %account.id(), messages = kept.len(), "invitations that were left behind are sent");
        tokio::spawn(carry(account, scheduling, id, None, kept));
    }
    Ok(())
}
