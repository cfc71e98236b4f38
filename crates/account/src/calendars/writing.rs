//! Many objects into a calendar, in commits of a bounded size.

use sterna_base::OperationId;

use crate::{Account, AccountError, Content, Mutation};

/// Most steps in one commit: small, so that nobody's write waits behind it.
const STEPS_MAX: usize = 200;

/// Most bytes of contents in one commit.
const BYTES_MAX: usize = 1024 * 1024;

/// Steps that are committed some at a time, in their order.
pub struct Writer<'a> {
    account: &'a dyn Account,
    waiting: Vec<Mutation>,
    bytes: usize,
}

impl<'a> Writer<'a> {
    /// Into an account.
    pub fn new(account: &'a dyn Account) -> Self {
        Writer { account, waiting: Vec::new(), bytes: 0 }
    }

    /// One more step; what has waited is committed when there is enough of it.
    ///
    /// # Errors
    /// When the account can't be written. What was committed before stays.
    pub async fn push(&mut self, step: Mutation) -> Result<(), AccountError> {
        let bytes = match &step {
            Mutation::Put { item, .. } | Mutation::Append { item, .. } => match &item.content {
                Content::Inline(bytes) => bytes.len(),
                Content::Stored(_) => 0,
            },
            _ => 0,
        };
        if self.waiting.len() >= STEPS_MAX || self.bytes + bytes > BYTES_MAX {
            self.flush().await?;
        }
        self.bytes += bytes;
        self.waiting.push(step);
        Ok(())
    }

    /// Commits what waits.
    ///
    /// # Errors
    /// When the account can't be written.
    pub async fn flush(&mut self) -> Result<(), AccountError> {
        self.bytes = 0;
        match std::mem::take(&mut self.waiting) {
            steps if steps.is_empty() => Ok(()),
            steps => self.account.commit(OperationId::random(), steps).await.map(drop),
        }
    }
}
