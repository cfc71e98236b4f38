//! What lets somebody in besides a password.

use sterna_base::AccountId;
use sterna_directory::{Reader, Request, StorageError};

use super::doors::AdminState;
use super::passkeys;
use super::problem::Problem;

/// Whoever comes back, or may be somebody else, begins anew: app passwords, passkeys, the second factor and who they
/// are at a provider of OpenID Connect end.
///
/// # Errors
/// When the directory can't be changed.
pub(crate) async fn forget(state: &AdminState, account: AccountId) -> Result<(), Problem> {
    let read = move |reader: &Reader<'_>| {
        let passwords = reader.app_passwords(account)?.into_iter().map(|found| found.value.id).collect::<Vec<_>>();
        let is_bound = !reader.subjects_of(account)?.is_empty();
        Ok::<_, StorageError>((passwords, reader.second_factor(account)?.is_some(), is_bound))
    };
    let (passwords, has_factor, is_bound) = state.directory.read(read).await?;
    for id in passwords {
        state.write(Request::DeleteAppPassword { account, id }, false).await?;
    }
    passkeys::remove_all(state, account, false).await?;
    if has_factor {
        state.write(Request::SetSecondFactor { account, factor: None }, false).await?;
    }
    if is_bound {
        state.write(Request::ForgetSubjects { account }, false).await?;
    }
    Ok(())
}
