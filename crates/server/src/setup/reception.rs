//! Mail that comes before there is a domain is to come again later. A node begins anew in an empty folder, and a folder
//! may be empty because a disk is not mounted: the world must not be told then that nobody lives here.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::service::{Envelope, Following, InboundProtocol, Message, Reception, Refusal, Sender};
use sterna_directory::Directory;

/// A reception that takes nothing until there is a domain.
pub struct Waiting {
    inner: Arc<dyn Reception>,
    directory: Directory,
}

impl Waiting {
    /// In front of this one.
    pub fn around(inner: Arc<dyn Reception>, directory: Directory) -> Arc<dyn Reception> {
        Arc::new(Waiting { inner, directory })
    }

    async fn must_have_domain(&self) -> Result<(), Refusal> {
        match self.directory.read(|reader| reader.domains("", 1)).await {
            Ok(found) if !found.is_empty() => Ok(()),
            _ => Err(Refusal::new(451, (4, 3, 0), "This server is being set up; try again later")),
        }
    }
}

#[async_trait]
impl Reception for Waiting {
    fn connected(&self, protocol: InboundProtocol, peer: IpAddr) {
        self.inner.connected(protocol, peer);
    }

    async fn recipient(&self, sender: &Sender, mail_from: &str, address: &str) -> Result<(), Refusal> {
        self.must_have_domain().await?;
        self.inner.recipient(sender, mail_from, address).await
    }

    async fn sender(&self, sender: &Sender, mail_from: &str) -> Result<(), Refusal> {
        self.inner.sender(sender, mail_from).await
    }

    async fn begin(&self, envelope: &Envelope) -> Result<Option<Box<dyn Following>>, Refusal> {
        self.inner.begin(envelope).await
    }

    async fn deliver(&self, envelope: Envelope, message: Message) -> Vec<Result<(), Refusal>> {
        self.inner.deliver(envelope, message).await
    }
}
