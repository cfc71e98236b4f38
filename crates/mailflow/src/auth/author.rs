//! What our users and trusted hosts hand in is signed here, in the name of its author's domain.

use std::path::PathBuf;
use std::sync::Arc;

use mail_auth::AuthenticatedMessage;
use sterna_account::service::{Envelope, Message, Recipients};
use tokio::sync::watch;

use super::gate::replace;
use super::header;
use super::sign::{Signer, Signers};
use super::verify::header_of;

/// Signs messages.
pub struct Authoring {
    recipients: Arc<dyn Recipients>,
    signers: watch::Receiver<Signers>,
    spool_folder: PathBuf,
}

impl Authoring {
    /// With a folder for messages that are too large for memory.
    pub fn new(recipients: Arc<dyn Recipients>, signers: watch::Receiver<Signers>, spool_folder: PathBuf) -> Self {
        Authoring { recipients, signers, spool_folder }
    }

    /// The message with its signatures in front; as it was when nobody signs for its author's domain. A message that
    /// can't be signed is sent without: it is less believed, and not lost.
    pub async fn sign(&self, envelope: &Envelope, message: Message) -> Message {
        let header = match header_of(&message.body).await {
            Ok(Some(header)) => header,
            Ok(None) => return message,
            Err(error) => return unsigned(message, envelope, &error),
        };
        let Some(signer) = self.signer(envelope, &header).await else { return message };
        let body = message.body.clone();
        let signing = tokio::task::spawn_blocking(move || signer.sign(&body)).await;
        let fields = match signing.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            Ok(fields) => fields,
            Err(error) => return unsigned(message, envelope, &error),
        };
        let new = header::with(&header, &fields, |_| true);
        match replace(message.clone(), header.len(), new, self.spool_folder.clone()).await {
            Ok(signed) => signed,
            Err(error) => unsigned(message, envelope, &error),
        }
    }

    /// Who signs for the one author. Users are believed only where they may send as that author: or the users of one
    /// domain could sign in the name of another that is here, too.
    async fn signer(&self, envelope: &Envelope, header: &[u8]) -> Option<Arc<Signer>> {
        let parsed = AuthenticatedMessage::parse(header)?;
        let [author] = &parsed.from[..] else { return None };
        let (_, domain) = author.rsplit_once('@')?;
        let signer = self.signers.borrow().of(domain)?;
        match &envelope.sender.login {
            None => Some(signer),
            Some(login) => self.recipients.may_send_as(login, author).await.unwrap_or(false).then_some(signer),
        }
    }
}

fn unsigned(message: Message, envelope: &Envelope, error: &std::io::Error) -> Message {
    tracing::error!(transaction = %envelope.transaction, %error, "a message could not be signed and goes without");
    message
}
