//! What our users and trusted hosts hand in is signed here, in the name of its author's domain, and what it says in our
//! name about itself is taken out.

use std::path::PathBuf;
use std::sync::Arc;

use mail_auth::AuthenticatedMessage;
use sterna_account::service::{Envelope, Message, Recipients};
use tokio::sync::watch;

use super::gate::{GateSettings, replace};
use super::sign::{Signer, Signers};
use super::verify::header_of;
use super::{header, results};

/// Signs messages.
pub struct Authoring {
    recipients: Arc<dyn Recipients>,
    signers: watch::Receiver<Signers>,
    settings: watch::Receiver<GateSettings>,
    spool_folder: PathBuf,
}

impl Authoring {
    /// With a folder for messages that are too large for memory.
    pub fn new(
        recipients: Arc<dyn Recipients>,
        signers: watch::Receiver<Signers>,
        settings: watch::Receiver<GateSettings>,
        spool_folder: PathBuf,
    ) -> Self {
        Authoring { recipients, signers, settings, spool_folder }
    }

    /// The message with its signatures in front and without results that its sender wrote in our name: those who read
    /// mail here believe them. A message that can't be signed is sent without: it is less believed, and not lost.
    pub async fn sign(&self, envelope: &Envelope, message: Message) -> Message {
        let header = match header_of(&message.body).await {
            Ok(Some(header)) => header,
            Ok(None) => return message,
            Err(error) => return unsigned(message, envelope, &error),
        };
        let fields = match self.signer(envelope, &header).await {
            Some(signer) => {
                let body = message.body.clone();
                let signing = tokio::task::spawn_blocking(move || signer.sign(&body)).await;
                signing.unwrap_or_else(|error| Err(std::io::Error::other(error)))
            }
            None => Ok(String::new()),
        };
        let fields = fields.unwrap_or_else(|error| {
            tell(envelope, &error);
            String::new()
        });
        let own_id = self.settings.borrow().authserv_id.clone();
        let is_forged = |field: &[u8]| results::is_forged(field, &own_id);
        if fields.is_empty() && !header::fields(&header).any(is_forged) {
            return message;
        }
        let new = header::with(&header, &fields, |field| !is_forged(field));
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
    tell(envelope, error);
    message
}

fn tell(envelope: &Envelope, error: &std::io::Error) {
    tracing::error!(transaction = %envelope.transaction, %error, "a message could not be signed and goes without");
}
