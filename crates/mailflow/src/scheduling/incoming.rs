//! Invitations and answers that come as mail (RFC 6047), and those that have waited in the queue.

use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use bytes::Bytes;
use sterna_account::calendars;
use sterna_account::calendars::receive::Taken;
use sterna_account::calendars::{MAIL_POLICY, note};
use sterna_account::scheduling::{MailPolicy, Outgoing};
use sterna_account::service::{Message, MessageBody, RouteError};
use sterna_account::{AccountError, ContainerKind};
use sterna_base::{AccountId, OperationId};
use sterna_formats::mail::text::characters;
use sterna_formats::mail::{Part, PartBody, Summary, transfer};

use super::Scheduler;
use crate::delivery::Keep;
use crate::sieve::Wanted;

/// Longest calendar part of a message that is looked at, in bytes as it is sent.
const PART_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// Most parts of a message that are looked at.
const PARTS_MAX: usize = 100;

impl Scheduler {
    /// A message is in somebody's mailbox: if it is an invitation, or an answer to one, it goes into the calendar, too,
    /// as its owner wants. Nothing of it is the sender's concern any more.
    pub async fn mail_arrived(&self, account: AccountId, transaction: OperationId, message: &Message, wanted: &Wanted) {
        if wanted.keep != Keep::Inbox {
            return;
        }
        let Ok(summary) = Summary::decode(&message.summary) else { return };
        let Some(part) = calendar_part(&summary.root) else { return };
        let Some(sender) = author(&summary) else { return };
        if !self.is_believed(&sender, wanted).await {
            tracing::info!(%account, sender, "nobody answers for the author of an invitation; it stays a message");
            return;
        }
        let Some(text) = text_of(message, part).await else { return };
        let recipient = wanted.rcpt_to.to_lowercase();
        let outgoing = Outgoing { id: transaction, sender, recipient, text: text.into(), is_automatic: false };
        match self.by_policy(account, &outgoing).await {
            Ok(_) => {}
            Err(error) if error.is_temporary() => drop(self.wait(account, &outgoing, "", &error.to_string()).await),
            Err(error) => tracing::warn!(%account, %error, "an invitation by mail could not go into the calendar"),
        }
    }

    async fn by_policy(&self, id: AccountId, message: &Outgoing) -> Result<Option<Taken>, AccountError> {
        let policy = self.policy(id).await?;
        match policy {
            MailPolicy::Off => Ok(None),
            policy => self.receive(id, message, policy == MailPolicy::Update).await.map(Some),
        }
    }

    /// What the owner says, else the domain.
    async fn policy(&self, id: AccountId) -> Result<MailPolicy, AccountError> {
        let account = self.accounts.open(id).await?;
        let path = [calendars::INBOX.to_owned()];
        if let Some(inbox) = account.containers_on_path(ContainerKind::ScheduleInbox, &path).await?.pop()
            && let Some(said) = note(&*account, inbox.id, MAIL_POLICY).await?
            && let Some(policy) = MailPolicy::named(&said.text())
        {
            return Ok(policy);
        }
        Ok(self.recipients.owner(id).await.map(|owner| owner.mail_policy).unwrap_or_default())
    }

    /// Whoever writes in the name of somebody here must have logged in as them: their address is the reverse-path then,
    /// which submission checks. For others their domain must answer, by SPF, DKIM or DMARC: anybody can write a From.
    async fn is_believed(&self, sender: &str, wanted: &Wanted) -> bool {
        let is_elsewhere = matches!(self.recipients.route(sender).await, Err(RouteError::NotLocal));
        let domain = sender.rsplit_once('@').map_or("", |(_, domain)| domain);
        (is_elsewhere && wanted.provenance.vouched.is_by(domain))
            || (wanted.provenance.is_submitted && wanted.mail_from.eq_ignore_ascii_case(sender))
    }

    /// Takes in what has waited in the queue. The queue is ours: who has sent it was known then.
    ///
    /// # Errors
    /// When the account can't take it now, or ever.
    pub async fn from_queue(
        &self,
        account: AccountId,
        id: OperationId,
        message: &Message,
        wanted: &Wanted,
    ) -> Result<(), AccountError> {
        let Ok(summary) = Summary::decode(&message.summary) else { return Ok(()) };
        let Some(part) = calendar_part(&summary.root) else { return Ok(()) };
        let Some(text) = text_of(message, part).await else {
            return Err(AccountError::Unavailable("the queued invitation can't be read".to_owned()));
        };
        // The author: of what came by mail the reverse-path is nobody's.
        let sender = author(&summary).unwrap_or_else(|| wanted.mail_from.to_lowercase());
        let recipient = wanted.rcpt_to.to_lowercase();
        // Taken in once, also by an account that has it although nobody heard so.
        let id = named(&summary).unwrap_or(id);
        let is_mail = matches!(self.recipients.route(&sender).await, Err(RouteError::NotLocal));
        let outgoing = Outgoing { id, sender, recipient, text: text.into(), is_automatic: false };
        if is_mail {
            self.by_policy(account, &outgoing).await?;
        } else {
            self.receive(account, &outgoing, false).await?;
        }
        self.confirm(&outgoing).await;
        Ok(())
    }

    /// Notes in the sender's own object that the message arrived. Whoever changed that meanwhile knows better.
    async fn confirm(&self, message: &Outgoing) {
        let Ok(route) = self.recipients.route(&message.sender).await else { return };
        let [target] = &route.targets[..] else { return };
        let Ok(account) = self.accounts.open(target.account).await else { return };
        let noted = calendars::receive::note_delivery(&*account, &message.text, &message.recipient).await;
        if let Err(error) = noted {
            tracing::info!(account = %target.account, %error, "that an invitation arrived could not be noted");
        }
    }
}

/// The part with the invitation: the first that is one and says what it asks.
fn calendar_part(root: &Part) -> Option<&Part> {
    let mut open = vec![root];
    let mut seen = 0;
    while let Some(part) = open.pop() {
        seen += 1;
        if seen > PARTS_MAX {
            return None;
        }
        match &part.body {
            PartBody::Single => {
                let kind = &part.content_type;
                if kind.is("text", "calendar")
                    && kind.parameter("method").is_some()
                    && part.body_size() <= PART_BYTES_MAX
                {
                    return Some(part);
                }
            }
            PartBody::Multipart(parts) => open.extend(parts.iter().rev()),
            // What somebody sends on is not said to whom it is sent.
            PartBody::Message(_) => {}
        }
    }
    None
}

/// The name of the message that waited, in its Message-ID.
fn named(summary: &Summary) -> Option<OperationId> {
    let id = summary.envelope.message_id.as_deref().and_then(|id| std::str::from_utf8(id).ok())?;
    id.trim().trim_start_matches('<').split('@').next()?.parse().ok()
}

/// The one author.
fn author(summary: &Summary) -> Option<String> {
    let [one] = &summary.envelope.from[..] else { return None };
    let part = |part: &Option<Vec<u8>>| part.as_ref().map(|bytes| String::from_utf8_lossy(bytes).to_lowercase());
    Some(format!("{}@{}", part(&one.mailbox)?, part(&one.host)?))
}

async fn text_of(message: &Message, part: &Part) -> Option<String> {
    let bytes = match &message.body {
        MessageBody::Inline(bytes) => {
            let (start, end) = (usize::try_from(part.body_start).ok()?, usize::try_from(part.end).ok()?);
            bytes.get(start..end).map(Bytes::copy_from_slice)?
        }
        MessageBody::Spooled(spooled) => {
            let (path, start, length) = (spooled.path.clone(), part.body_start, part.body_size());
            let reading = tokio::task::spawn_blocking(move || range(path, start, length)).await;
            reading.ok()?.inspect_err(|error| tracing::warn!(%error, "a spooled invitation can't be read")).ok()?
        }
    };
    let decoded = transfer::decode(part.encoding.as_deref(), &bytes);
    Some(characters(&part.content_type, &decoded))
}

fn range(path: PathBuf, start: u64, length: u64) -> std::io::Result<Bytes> {
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}
