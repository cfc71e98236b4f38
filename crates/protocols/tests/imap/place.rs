//! Where the account of the dialogs is: here, in the same process. The workspace's own tests run the same dialogs with
//! another `place`, where a network of nodes is in between.

use std::any::Any;
use std::sync::Arc;

use sterna_account::first_containers;
use sterna_account::local::LocalAccounts;
use sterna_account::service::Accounts;
use sterna_base::{AccountId, Epoch, OperationId, SystemClock};
use sterna_engines::sqlite::SqliteEngine;

/// Accounts with their first folders.
pub struct Place {
    /// What the sessions are given.
    pub accounts: Arc<dyn Accounts>,
    /// Where the first account is kept.
    pub local: Arc<LocalAccounts>,
    /// Where the others are.
    pub elsewhere: Arc<LocalAccounts>,
    /// What must live as long.
    pub kept: Box<dyn Any + Send + Sync>,
}

impl Place {
    pub async fn of(first: AccountId, others: &[AccountId]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = Arc::new(LocalAccounts::new(Arc::new(SqliteEngine::new(folder.path())), Arc::new(SystemClock)));
        for account in [first].iter().chain(others) {
            local.create(*account, Epoch(1)).await.unwrap();
            let handle = local.open(*account).await.unwrap();
            handle.commit(OperationId::random(), first_containers::mutations()).await.unwrap();
        }
        Place { accounts: local.clone(), elsewhere: local.clone(), local, kept: Box::new(folder) }
    }
}
