//! Calendars and address books, as DAV keeps them, for what comes from files and from other servers.

use async_trait::async_trait;
use bytes::Bytes;
use sterna_account::{Account, AccountError, ContainerKind};
use sterna_base::ContainerId;
use sterna_migration::archive::manifest::Published;
use sterna_migration::objects::{self, Objects, Put, There};
use sterna_protocols::dav::import::{Brought, Imported, bring, restore};

use super::external;

/// See the module.
pub(super) struct DavObjects;

#[async_trait]
impl Objects for DavObjects {
    async fn put(
        &self,
        account: &dyn Account,
        container: (ContainerId, ContainerKind),
        name: &str,
        text: Bytes,
    ) -> Result<Put, AccountError> {
        Ok(match restore(account, container, name, text).await? {
            Imported::Created | Imported::Changed => Put::Done,
            Imported::Unchanged => Put::Unchanged,
            Imported::Refused(why) => Put::Refused(why),
        })
    }

    async fn bring(
        &self,
        account: &dyn Account,
        container: (ContainerId, ContainerKind),
        there: There<'_>,
    ) -> Result<objects::Brought, AccountError> {
        let brought = bring(account, container, (there.name, there.text), there.known, there.replaces).await?;
        Ok(match brought {
            Brought::Here { name, blob, is_new, is_over } => objects::Brought::Here { name, blob, is_new, is_over },
            Brought::Kept => objects::Brought::Kept,
            Brought::Refused(why) => objects::Brought::Refused(why),
        })
    }

    async fn subscribe(&self, account: &dyn Account, published: &Published) -> Result<Put, AccountError> {
        external::ensure(account, published).await
    }
}
