//! Whether a change may have been done although its last answer is a refusal.

use sterna_account::{AccountError, CommitError};

/// The answer to a change of which an earlier try may have been done. A copy that takes no commits says nothing of what
/// it did before: its refusal must not be taken for a certain one, or the change is made a second time under another
/// operation id.
pub(super) fn after_doubt(error: AccountError) -> AccountError {
    match error {
        AccountError::NoSuchAccount(_)
        | AccountError::Refused(CommitError::Sealed | CommitError::WrongEpoch { .. }) => {
            AccountError::Unavailable(format!("an earlier try may have been done; the last one: {error}"))
        }
        error => error,
    }
}
