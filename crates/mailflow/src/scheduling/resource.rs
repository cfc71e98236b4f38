//! Rooms and things answer invitations by their rules; their managers are asked where the rules say so.

use sterna_account::calendars::busy::{Question, busy};
use sterna_account::calendars::receive::put;
use sterna_account::calendars::{self, pending, scheduling_collection};
use sterna_account::commit::Expect;
use sterna_account::scheduling::{Delivery, Outgoing};
use sterna_account::service::Owner;
use sterna_account::{Account, AccountError, CommitError, ContainerKind, Mutation, Outcome};
use sterna_base::OperationId;
use sterna_formats::calendar::booking::{Decision, Rules};
use sterna_formats::calendar::itip::{self, Method, Role, attendee};
use sterna_formats::calendar::{Calendar, Facts};

use super::{Scheduler, texts};
use crate::dsn::Language;

/// How often it is decided again because another booking came first.
const TRIES: usize = 8;

/// How long an answer may be on its way before it is sent once more; it is taken in once.
const UNDER_WAY_MS: i64 = 30_000;

impl Scheduler {
    /// Answers an invitation that a resource has got, if that still has to be. Of two bookings for one time the first
    /// has it: the answer expects that the calendar is as it was when it was looked at.
    pub(super) async fn book(
        &self,
        account: &dyn Account,
        owner: &Owner,
        message: &Outgoing,
    ) -> Result<(), AccountError> {
        let Some(rules) = &owner.resource else { return Ok(()) };
        let Some(asked) = Calendar::parse(&message.text).ok() else { return Ok(()) };
        let (Some(Method::Request | Method::Add), Ok(facts)) = (Method::of(&asked), itip::facts(&asked)) else {
            return Ok(());
        };
        self.send_kept(account).await?;
        let own: Vec<String> = owner.addresses.iter().map(|address| address.to_lowercase()).collect();
        for _ in 0..TRIES {
            match self.book_once(account, (owner, rules), &own, &facts.uid).await {
                Err(AccountError::Refused(CommitError::Unexpected)) => {}
                result => return result,
            }
        }
        Err(AccountError::Unavailable("it is booked again and again".to_owned()))
    }

    /// Answers that were decided and did not go out: their server was away, or the time for the invitation was over.
    /// Nobody logs in as a room, so that nobody else sends them.
    async fn send_kept(&self, account: &dyn Account) -> Result<(), AccountError> {
        let path = [calendars::OUTBOX.to_owned()];
        let found = account.containers_on_path(ContainerKind::ScheduleOutbox, &path).await?.pop();
        let Some(outbox) = found.filter(|outbox| outbox.counts.items > 0) else { return Ok(()) };
        let before = self.clock.now().plus_ms(-UNDER_WAY_MS);
        for (uid, message) in pending::kept(account, outbox.id, before).await? {
            let message = Outgoing { is_automatic: true, ..message };
            if Box::pin(self.carry(account.id(), &message)).await != Delivery::Kept {
                account.commit(OperationId::random(), vec![pending::forget(outbox.id, &[uid])]).await?;
            }
        }
        Ok(())
    }

    async fn book_once(
        &self,
        account: &dyn Account,
        (owner, rules): (&Owner, &Rules),
        own: &[String],
        uid: &str,
    ) -> Result<(), AccountError> {
        let Some((container, item)) = calendars::find(account, uid).await? else { return Ok(()) };
        let Ok(mut object) = Calendar::parse(&calendars::body(account, &item).await?) else { return Ok(()) };
        let Ok(Role::Attendee { own: address, organizer }) = itip::role(&object, own) else { return Ok(()) };
        if !itip::is_open(&object, &address) {
            return Ok(());
        }
        let now = self.clock.now();
        let (without, range) = ([uid.to_owned()], (now.seconds(), rules.horizon(now.seconds())));
        let zone = match rules.zone() {
            Some(zone) => zone,
            None => calendars::zone(account, container.id).await?,
        };
        let question = Question { range, own, without: &without, floating: Some(&zone) };
        let taken = busy(account, question, &self.spans).await?;
        let decision = rules.decide(&object, &zone, (&taken, itip::people(&object)), now.seconds());
        let language = self.recipients.language(&address).await.map_or(Language::default(), |tag| Language::of(&tag));
        let (answer, comment) = match decision {
            Decision::Silence => return Ok(()),
            Decision::Accept => ("ACCEPTED", None),
            Decision::Ask => ("TENTATIVE", Some(texts::of(language).asks)),
            Decision::Decline(why) => ("DECLINED", Some(texts::of(language).why(why))),
        };
        let reply = attendee::reply(&object, &address, answer, comment, now.seconds());
        itip::answer(&mut object.root, &address, answer);
        let Ok(facts) = Facts::of(&object) else { return Ok(()) };
        let outbox = scheduling_collection(account, ContainerKind::ScheduleOutbox).await?;
        let message = reply.as_ref().map(|reply| Outgoing { is_automatic: true, ..pending::outgoing(reply) });
        let mut steps = vec![Mutation::ExpectContainer {
            kind: container.kind,
            name: container.name.clone(),
            highest_modseq: Some(container.highest_modseq),
        }];
        let place = (container.id, item.name.clone().unwrap_or_default());
        steps.push(put(account, place, &object.text(), &facts, Expect::Content(item.blob)).await?);
        if let Some(message) = &message {
            steps.extend(pending::keep(account, outbox.id, std::slice::from_ref(message)).await?);
        }
        let committed = account.commit(OperationId::random(), steps).await?;
        tracing::info!(resource = address, organizer, answer, "a resource has answered an invitation");
        if decision == Decision::Ask {
            self.ask_managers(account, owner, (&address, &organizer), &object, language).await;
        }
        if let (Some(message), Some(Outcome::Appended { uid, .. })) = (message, committed.outcomes.last()) {
            let delivery = Box::pin(self.carry(account.id(), &message)).await;
            if delivery != Delivery::Kept {
                account.commit(OperationId::random(), vec![pending::forget(outbox.id, &[*uid])]).await?;
            }
        }
        Ok(())
    }

    /// Those who decide hear of it by mail. They answer in the resource's calendar.
    async fn ask_managers(
        &self,
        account: &dyn Account,
        owner: &Owner,
        (address, organizer): (&str, &str),
        object: &Calendar,
        language: Language,
    ) {
        if owner.managers.is_empty() {
            tracing::warn!(resource = address, "a booking is to be decided, and there is nobody to decide it");
            return;
        }
        let texts = texts::of(language);
        let name = if owner.name.is_empty() { address } else { &owner.name };
        let when = super::message::summary(texts, object);
        let text = format!("{}\r\n\r\n{when}", texts.booking.replace("{}", organizer));
        let subject = texts.booking_subject.replace("{}", name);
        self.write_to(account.id(), address, (name, &owner.managers), &subject, &text).await;
    }
}
