//! Large attachments of what users send become links: the file goes into the sender's file space, and a part with the
//! link takes its place in the message.
//!
//! Nothing is lost by it: a message whose attachments can't be stored, whatever the reason, is sent as it came. What is
//! encrypted or signed is left alone, because it would be neither any more.

mod find;
mod rewrite;
mod texts;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use sterna_account::commit::{Expect, MADE};
use sterna_account::links::{self, Link, Target, Token};
use sterna_account::service::{Accounts, Envelope, Login, Message};
use sterna_account::{
    Account, AccountError, Acl, CommitError, ContainerKind, Content, ItemParts, Mutation, NewItem, files,
};
use sterna_base::{BlobHash, Clock, ContainerId, OperationId, Timestamp};
use sterna_formats::mail::transfer::Base64Decoder;
use sterna_formats::mail::{Part, Summary};

use crate::filter::{Change, Draft};
use crate::repeats;

/// The folder that attachments go to.
pub const FOLDER: &str = "Attachments";

/// Attachments of one message that become links; more stay in it.
const ATTACHMENTS_MAX: usize = 50;

/// Names that are tried for a file that has the name of another.
const NAMES_MAX: u32 = 200;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// What holds for one sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachPolicy {
    /// From which length on, decoded, in bytes.
    pub from_bytes: u64,
    /// How many days the links are good for.
    pub days: u32,
    /// What stands before `/share/`: `https://mail.example.org`.
    pub base: String,
    /// The sender's language (RFC 5646).
    pub language: String,
}

/// Who knows what holds.
#[async_trait]
pub trait DetachPolicies: Send + Sync {
    /// For this sender; `None` leaves attachments where they are.
    async fn policy(&self, login: &Login) -> Option<DetachPolicy>;
}

/// Makes links of attachments.
pub struct Detaching {
    accounts: Arc<dyn Accounts>,
    policies: Arc<dyn DetachPolicies>,
    clock: Arc<dyn Clock>,
    spool_folder: PathBuf,
}

/// Why a message goes as it came.
#[derive(Debug, thiserror::Error)]
enum DetachError {
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("there are too many files of that name")]
    Names,
}

/// A file that lies in the sender's space now.
struct Stored {
    name: String,
    size: u64,
    url: String,
    ends_at: Timestamp,
}

/// Where an attachment goes.
struct Place<'a> {
    account: &'a dyn Account,
    folder: ContainerId,
    /// The links into the folder, by the names of their files.
    links: &'a HashMap<String, (Token, Link)>,
    now: Timestamp,
    ends_at: Timestamp,
}

impl Detaching {
    /// With a folder for messages that are too large for memory.
    pub fn new(
        accounts: Arc<dyn Accounts>,
        policies: Arc<dyn DetachPolicies>,
        clock: Arc<dyn Clock>,
        spool_folder: PathBuf,
    ) -> Self {
        Detaching { accounts, policies, clock, spool_folder }
    }

    /// The message with links in the place of large attachments, if its sender wants that.
    pub async fn lighten(&self, envelope: &Envelope, message: Message) -> Message {
        let Some(login) = &envelope.sender.login else { return message };
        let Ok(summary) = Summary::decode(&message.summary) else { return message };
        let Some(policy) = self.policies.policy(login).await else { return message };
        let found = find::detachable(&summary.root, policy.from_bytes, ATTACHMENTS_MAX);
        if found.is_empty() {
            return message;
        }
        let origin = repeats::key(envelope);
        match self.detach(login, &policy, (&message, origin), &summary.root, &found).await {
            Ok(light) => {
                let (before, after, count) = (message.size, light.size, found.len());
                tracing::info!(transaction = %envelope.transaction, count, before, after, "attachments became links");
                light
            }
            Err(error) => {
                tracing::warn!(
                    transaction = %envelope.transaction, %error,
                    "attachments could not become links; the message goes with them"
                );
                message
            }
        }
    }

    async fn detach(
        &self,
        login: &Login,
        policy: &DetachPolicy,
        (message, origin): (&Message, BlobHash),
        root: &Part,
        found: &[&Part],
    ) -> Result<Message, DetachError> {
        let account = self.accounts.open(login.account).await?;
        let folder = folder(account.as_ref()).await?;
        let now = self.clock.now();
        let ends_at = now.plus_ms(i64::from(policy.days) * DAY_MS);
        let links = links_into(account.as_ref(), folder).await?;
        let place = Place { account: account.as_ref(), folder, links: &links, now, ends_at };
        let mut replaced = Vec::with_capacity(found.len());
        for (at, part) in found.iter().enumerate() {
            let stored = place.store(part, message, &format!("{origin}.{at}"), policy).await?;
            let text = texts::text(&policy.language, &stored.name, stored.size, &stored.url, stored.ends_at);
            replaced.push((part.header_start..part.end, rewrite::text_part(&text)));
        }
        let (body, start, size) = (message.body.clone(), root.body_start, message.size);
        let path = self.spool_folder.join(format!("{}.detached", OperationId::random()));
        let written = tokio::task::spawn_blocking(move || rewrite::write(&body, start..size, &replaced, path));
        let (body, size) = written.await.map_err(io::Error::other)??;
        let Some(mut draft) = Draft::of(message.clone()).await? else { return Ok(message.clone()) };
        draft.change(Change::Body { body, size });
        Ok(draft.finish(self.spool_folder.clone()).await?)
    }
}

/// The folder for attachments; made when there is none.
async fn folder(account: &dyn Account) -> Result<ContainerId, AccountError> {
    let path = [FOLDER.to_owned()];
    for _ in 0..2 {
        if let Some(found) = files::folder(account, &path).await? {
            return Ok(found.id);
        }
        let root = files::folder(account, &[]).await?.map(|root| root.id);
        let (parent, name) = match root {
            Some(root) => (Some(root), FOLDER),
            None => (None, files::ROOT),
        };
        match account.commit(OperationId::random(), made_in(parent, name)).await {
            Ok(_) => {}
            // Another message was faster.
            Err(AccountError::Refused(CommitError::NameTaken)) => {}
            Err(error) => return Err(error),
        }
    }
    let found = files::folder(account, &path).await?;
    found.map(|folder| folder.id).ok_or(AccountError::Refused(CommitError::Unexpected))
}

/// The steps that make a folder. Whoever the sender's files are shared with need not see what the sender sends to
/// others: it is made at the top, where nothing is shared with anybody, and put where it belongs in the same commit.
fn made_in(parent: Option<ContainerId>, name: &str) -> Vec<Mutation> {
    let kind = ContainerKind::Files;
    let create = |name: String| Mutation::CreateContainer { parent: None, kind, name, special_use: None };
    let Some(parent) = parent else { return vec![create(name.to_owned())] };
    // Programs that keep the files in step hear of it.
    let mut steps = files::folder_changed(parent, name, &Acl::default());
    // A name that nothing else has there; nobody ever sees it.
    steps.push(create(format!("{name}-{}", OperationId::random())));
    steps.push(Mutation::RenameContainer { container: MADE, parent: Some(parent), name: name.to_owned() });
    steps
}

/// The links into the folder, by the names that they lead to. The name of a file that is gone leads to nothing, and
/// must not lead to another one.
async fn links_into(
    account: &dyn Account,
    folder: ContainerId,
) -> Result<HashMap<String, (Token, Link)>, AccountError> {
    let of = |(token, link): (Token, Link)| match &link.target {
        Target::File { container, name } if *container == folder => Some((name.clone(), (token, link))),
        _ => None,
    };
    Ok(links::list(account).await?.into_iter().filter_map(of).collect())
}

impl Place<'_> {
    /// Puts an attachment into the folder, and makes the link. A file knows which attachment of which message it was
    /// (`origin`), so that a message that its program sends again, because it was told to come later, gets the links
    /// that it has already.
    async fn store(
        &self,
        part: &Part,
        message: &Message,
        origin: &str,
        policy: &DetachPolicy,
    ) -> Result<Stored, DetachError> {
        let wanted = find::file_name(part);
        if let Some(item) = self.account.object(self.folder, origin, ItemParts::default()).await?
            && let Some(name) = item.name
        {
            let known = self.links.get(&name).filter(|(_, link)| !link.has_ended(self.now) && !link.has_password());
            let (token, ends_at) = match known {
                Some((token, link)) => (*token, link.expires_at.unwrap_or(self.ends_at)),
                None => (self.link(name).await?, self.ends_at),
            };
            return Ok(Stored { name: wanted, size: item.size, url: url(policy, &token), ends_at });
        }
        let (blob, size) = self.upload(part, message).await?;
        for attempt in 0..NAMES_MAX {
            let name = files::numbered(&wanted, attempt);
            if self.links.contains_key(&name) {
                continue;
            }
            let object_uid = Some(origin.to_owned());
            let item = NewItem { object_uid, ..NewItem::named(name.clone(), Content::Stored(blob)) };
            let step = Mutation::Put { container: self.folder, item, expect: Expect::Absent };
            match self.account.commit(OperationId::random(), vec![step]).await {
                Ok(_) => {
                    let token = self.link(name).await?;
                    return Ok(Stored { name: wanted, size, url: url(policy, &token), ends_at: self.ends_at });
                }
                Err(AccountError::Refused(CommitError::Unexpected | CommitError::NameTaken)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(DetachError::Names)
    }

    async fn upload(&self, part: &Part, message: &Message) -> Result<(BlobHash, u64), DetachError> {
        let mut upload = self.account.stage_blob().await?;
        let is_base64 = find::is_base64(part);
        let mut decoder = Base64Decoder::default();
        let mut reader = rewrite::Reader::new(message.body.clone(), part.body_start..part.end);
        let mut size = 0;
        while let Some(piece) = reader.next().await? {
            let piece = if is_base64 { Bytes::from(decoder.push(&piece)) } else { piece };
            size += piece.len() as u64;
            upload.write(piece).await?;
        }
        Ok((upload.finish().await?.0, size))
    }

    async fn link(&self, name: String) -> Result<Token, AccountError> {
        let mut link = Link::new(Target::File { container: self.folder, name }, self.now);
        link.expires_at = Some(self.ends_at);
        links::create(self.account, &link, self.now).await
    }
}

fn url(policy: &DetachPolicy, token: &Token) -> String {
    format!("{}/share/{token}", policy.base)
}

#[cfg(test)]
mod tests {
    use sterna_account::service::MessageBody;

    /// The bytes of a message, wherever they are.
    pub fn bytes_of(body: &MessageBody) -> Vec<u8> {
        match body {
            MessageBody::Inline(bytes) => bytes.to_vec(),
            MessageBody::Spooled(spooled) => std::fs::read(&spooled.path).unwrap(),
        }
    }
}
