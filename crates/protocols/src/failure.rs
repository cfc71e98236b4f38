//! What an account could not do, as the operator sees it: for the sessions of IMAP and POP3, which have words of their
//! own for their clients.

use sterna_account::{AccountError, CommitError, StoreError};

/// Whether the operator should hear of this. Refusals that the client brought about are between it and us.
pub fn concerns_operator(error: &AccountError) -> bool {
    match error {
        AccountError::Store(error) => !matches!(error, StoreError::NoSuchContainer(_)),
        AccountError::Refused(error) => matches!(
            error,
            CommitError::Store(_)
                | CommitError::Sealed
                | CommitError::WrongEpoch { .. }
                | CommitError::NotEqual
                | CommitError::NoSuchBlob(_)
                | CommitError::Unexpected
                | CommitError::Invalid(_)
        ),
        AccountError::NoSuchAccount(_) | AccountError::Unavailable(_) => true,
    }
}

/// Whether it passes by itself: a data server that is down, an account on its way to another one.
pub fn is_passing(error: &AccountError) -> bool {
    matches!(
        error,
        AccountError::Unavailable(_) | AccountError::Refused(CommitError::Sealed | CommitError::WrongEpoch { .. })
    )
}
