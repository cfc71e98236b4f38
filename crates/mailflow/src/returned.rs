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

    fn sender(&self, address: &str) -> Option<String> {
        self.settings.borrow().srs.reverse(address, self.clock.now())
    }
}

#[async_trait]
impl Recipients for Returned {
    async fn route(&self, address: &str) -> Result<Route, RouteError> {
        let found = self.recipients.route(address).await;
        // A catch-all, or the other half of a split domain, can't do anything with them. A domain of somebody else's
        // has its own.
        let is_elsewhere = matches!(found, Err(RouteError::NotLocal | RouteError::Unavailable(_)));
        match self.sender(address) {
            Some(sender) if !is_elsewhere => Ok(Route { targets: Vec::new(), external: vec![sender] }),
            _ => found,
        }
    }

    async fn may_write_to(&self, login: Option<&Login>, address: &str) -> Result<bool, RouteError> {
        match self.sender(address) {
            Some(_) => Ok(true),
            None => self.recipients.may_write_to(login, address).await,
        }
    }

    async fn is_held(&self, address: &str) -> Result<bool, RouteError> {
        self.recipients.is_held(address).await
    }

    async fn deferred_when_full_ms(&self, account: AccountId) -> Option<i64> {
        self.recipients.deferred_when_full_ms(account).await
    }

    async fn language(&self, address: &str) -> Option<String> {
        self.recipients.language(address).await
    }

    async fn resources(&self, text: &str) -> Vec<Owner> {
        self.recipients.resources(text).await
    }

    async fn owner(&self, account: AccountId) -> Option<Owner> {
        self.recipients.owner(account).await
    }

    async fn may_send_as(&self, login: &Login, address: &str) -> Result<bool, RouteError> {
        self.recipients.may_send_as(login, address).await
    }
}

#[cfg(test)]
mod tests {
    use sterna_account::service::Target;
    use sterna_base::{ManualClock, Timestamp};

    use super::*;
    use crate::srs::Srs;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    /// One domain that takes everything, and lets only its users write to it.
    struct CatchAll;

    #[async_trait]
    impl Recipients for CatchAll {
        async fn route(&self, address: &str) -> Result<Route, RouteError> {
            let target = Target { account: AccountId(1), detail: None };
            match address.rsplit_once('@') {
                Some((_, "demo.test")) => Ok(Route { targets: vec![target], external: Vec::new() }),
                Some((_, "down.test")) => Err(RouteError::Unavailable("no copy".into())),
                _ => Err(RouteError::NotLocal),
            }
        }

        async fn deferred_when_full_ms(&self, _: AccountId) -> Option<i64> {
            None
        }

        async fn may_write_to(&self, login: Option<&Login>, _: &str) -> Result<bool, RouteError> {
            Ok(login.is_some())
        }
    }

    #[tokio::test]
    async fn notifications_find_back_from_a_domain_that_takes_everything() {
        let srs = Srs::new(["secret"]);
        let settings = watch::channel(SieveSettings { srs: srs.clone(), ..SieveSettings::default() }).1;
        let returned = Returned::new(Arc::new(CatchAll), Arc::new(ManualClock::at(NOW)), settings);
        let address = |domain| srs.forward("zoe@far.test", domain, NOW).unwrap();
        let ours = address("demo.test");
        let back = Route { targets: Vec::new(), external: vec!["zoe@far.test".to_owned()] };
        assert_eq!(returned.route(&ours).await, Ok(back));
        assert_eq!(returned.may_write_to(None, &ours).await, Ok(true));
        for other in ["ana@demo.test".to_owned(), ours.replace("=zoe@", "=eve@")] {
            assert_eq!(returned.route(&other).await.unwrap().targets.len(), 1, "{other}");
            assert_eq!(returned.may_write_to(None, &other).await, Ok(false), "{other}");
        }
        assert_eq!(returned.route(&address("far.test")).await, Err(RouteError::NotLocal));
        assert!(matches!(returned.route(&address("down.test")).await, Err(RouteError::Unavailable(_))));
    }
}
