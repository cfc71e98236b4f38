//! An account that fails: what the client is told.

use std::sync::Arc;

use sterna_account::service::Accounts;
use sterna_account::{AccountError, CommitError, StoreError};

use crate::dialog::ANA;
use crate::failing::{Failing, Fault, Only};
use crate::sieve::Sieve;

#[tokio::test]
async fn what_fails_is_told_and_the_session_lives_on() {
    let mut sieve = Sieve::start().await;
    let account = sieve.server.accounts.open(ANA).await.unwrap();
    let fault = Fault::default();
    sieve.through(Arc::new(Only(Arc::new(Failing { fault: fault.clone(), ..Failing::new(account) }))));
    let mut client = sieve.login().await;
    client.say("C: PUTSCRIPT \"a\" \"keep;\"\nS: OK").await;
    for (error, answer) in [
        (AccountError::Unavailable("no route".into()), "NO (TRYLATER) *"),
        (AccountError::Refused(CommitError::Sealed), "NO (TRYLATER) *"),
        (AccountError::Refused(CommitError::OverQuota), "NO (QUOTA) *"),
        (AccountError::Store(StoreError::DiskFull("no space".into())), "NO (TRYLATER) *"),
        (AccountError::Store(StoreError::Corrupt("page 7".into())), "NO \"Your scripts can't be read; *"),
    ] {
        *fault.lock().unwrap() = Some(error);
        client.say(&format!("C: SETACTIVE \"a\"\nS: {answer}\nC: NOOP\nS: OK *")).await;
    }
    *fault.lock().unwrap() = None;
    client.say("C: SETACTIVE \"a\"\nS: OK\nC: LISTSCRIPTS\nS: \"a\" ACTIVE\nS: OK").await;
    sieve.server.check().await;
}
