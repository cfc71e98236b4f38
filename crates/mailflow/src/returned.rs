//! Mail for addresses that stand for senders elsewhere ([`crate::srs`]): notifications about mail that was sent on.

use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::service::{Login, Owner, Recipients, Route, RouteError};
use sterna_base::{AccountId, Clock};
use tokio::sync::watch;

use crate::sieve::SieveSettings;

/// The directory's recipients, and those behind rewritten reverse-paths.
pub struct Returned {
    recipients: Arc<dyn Recipients>,
    clock: Arc<dyn Clock>,
    settings: watch::Receiver<SieveSettings>,
}

impl Returned {
    /// With the secrets in the settings.
    pub fn new(
        recipients: Arc<dyn Recipients>,
        clock: Arc<dyn Clock>,
        settings: watch::Receiver<SieveSettings>,
    ) -> Self {
        Returned { recipients, clock, settings }
    }
}

#[async_trait]
impl Recipients for Returned {
    async fn route(&self, address: &str) -> Result<Route, RouteError> {
        let found = self.recipients.route(address).await;
        if found != Err(RouteError::NoSuchAddress) {
            return found;
        }
        let sender = self.settings.borrow().srs.reverse(address, self.clock.now());
        sender.map(|sender| Route { targets: Vec::new(), external: vec![sender] }).ok_or(RouteError::NoSuchAddress)
    }

    async fn may_write_to(&self, login: Option<&Login>, address: &str) -> Result<bool, RouteError> {
        self.recipients.may_write_to(login, address).await
    }

    async fn refuses_when_full(&self, account: AccountId) -> bool {
        self.recipients.refuses_when_full(account).await
    }

    async fn language(&self, address: &str) -> Option<String> {
        self.recipients.language(address).await
    }

    async fn owner(&self, account: AccountId) -> Option<Owner> {
        self.recipients.owner(account).await
    }

    async fn may_send_as(&self, login: &Login, address: &str) -> Result<bool, RouteError> {
        self.recipients.may_send_as(login, address).await
    }
}
