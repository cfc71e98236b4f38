//! The accounts of those who share, asked for a listing: all at once, each for so long and no longer.

use std::sync::Arc;
use std::time::Duration;

use sterna_account::service::Accounts;
use sterna_account::shares::Owner;
use sterna_account::{Account, AccountError, Container};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

/// How long the account of one owner is waited for in a listing: a little more than a handle holds a call for a move.
pub const OWNER_WAIT: Duration = Duration::from_millis(3000);

/// How long a listing waits for the accounts of all owners together.
pub const OWNERS_WAIT_ALTOGETHER: Duration = Duration::from_secs(10);

/// Owners whose accounts are asked at the same time for one listing.
const OWNERS_AT_ONCE: usize = 16;

/// What became of the question to one owner's account; `None` when it didn't answer.
pub type Answer = Option<(Arc<dyn Account>, Vec<Container>)>;

/// Asks them all for their containers. One whose account is gone is left out.
pub async fn ask_all(accounts: &Arc<dyn Accounts>, owners: &[Owner]) -> Vec<(Owner, Answer)> {
    let turns = Arc::new(Semaphore::new(OWNERS_AT_ONCE));
    let end = Instant::now() + OWNERS_WAIT_ALTOGETHER;
    let asked: Vec<_> = owners
        .iter()
        .map(|owner| {
            let (accounts, turns, id) = (accounts.clone(), turns.clone(), owner.account);
            tokio::spawn(async move {
                let asked = async {
                    let _turn = turns.acquire_owned().await.ok()?;
                    timeout(OWNER_WAIT, ask(accounts, id)).await.ok()
                };
                timeout_at(end, asked).await.ok().flatten()
            })
        })
        .collect();
    let mut answers = Vec::with_capacity(owners.len());
    for (owner, asked) in owners.iter().cloned().zip(asked) {
        match asked.await.ok().flatten() {
            Some(Err(AccountError::NoSuchAccount(_))) => {}
            Some(Ok(answer)) => answers.push((owner, Some(answer))),
            Some(Err(_)) | None => answers.push((owner, None)),
        }
    }
    answers
}

async fn ask(
    accounts: Arc<dyn Accounts>,
    id: sterna_base::AccountId,
) -> Result<(Arc<dyn Account>, Vec<Container>), AccountError> {
    let account = accounts.open(id).await?;
    let containers = account.containers().await?;
    Ok((account, containers))
}
