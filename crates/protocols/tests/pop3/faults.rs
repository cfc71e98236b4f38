//! An account that fails: what the client is told.

use std::sync::Arc;

use sterna_account::service::Accounts;
use sterna_account::{AccountError, CommitError, ContainerKind, Mutation, StoreError, UidSet};
use sterna_base::limits::BLOB_CHUNK_BYTES;
use sterna_base::{OperationId, Uid};

use crate::dialog::ANA;
use crate::failing::{Failing, Fault, Only};
use crate::pop::Pop;

#[tokio::test]
async fn what_fails_is_told_and_the_session_lives_on() {
    let mut pop = Pop::with(&["Subject: a\r\n\r\n", "Subject: b\r\n\r\n"]).await;
    let account = pop.server.accounts.open(ANA).await.unwrap();
    let fault = Fault::default();
    pop.through(Arc::new(Only(Arc::new(Failing { fault: fault.clone(), ..Failing::new(account) }))));
    let store = AccountError::Store;
    *fault.lock().unwrap() = Some(AccountError::Unavailable("no route".into()));
    let mut client = pop.connect().await;
    client.say("C: USER ana\nS: +OK *\nC: PASS pw\nS: -ERR [SYS/TEMP] *\nC: STAT\nS: -ERR Log in first").await;
    *fault.lock().unwrap() = None;
    client.say("C: USER ana\nS: +OK *\nC: PASS pw\nS: +OK 2 messages").await;
    for (error, code) in [
        (store(StoreError::Corrupt("page 7".into())), "SYS/PERM"),
        (store(StoreError::Io("the wire is loose".into())), "SYS/TEMP"),
        (AccountError::Refused(CommitError::Sealed), "SYS/TEMP"),
        (AccountError::Unavailable("no route".into()), "SYS/TEMP"),
        (AccountError::NoSuchAccount(ANA), "SYS/PERM"),
    ] {
        *fault.lock().unwrap() = Some(error);
        client.say(&format!("C: RETR 1\nS: -ERR [{code}] *\nC: STAT\nS: +OK 2 28")).await;
    }
    *fault.lock().unwrap() = None;
    client.say("C: RETR 1\nS: +OK 14 octets\nS: Subject: a\nS:\nS: .\nC: DELE 1\nS: +OK *").await;
    *fault.lock().unwrap() = Some(AccountError::Unavailable("no route".into()));
    client.say("C: QUIT\nS: -ERR [SYS/TEMP] Nobody knows whether the marked messages were removed; *").await;
    assert_eq!(client.rest().await, "");
    *fault.lock().unwrap() = None;
    let mut client = pop.login().await;
    client.say("C: DELE 2\nS: +OK *").await;
    *fault.lock().unwrap() = Some(AccountError::Refused(CommitError::Sealed));
    client.say("C: QUIT\nS: -ERR [SYS/TEMP] None of the marked messages was removed").await;
    *fault.lock().unwrap() = None;
    pop.dialog("C: STAT\nS: +OK 2 28").await;
}

#[tokio::test]
async fn a_message_that_breaks_off_has_no_end() {
    let message = format!("Subject: large\r\n\r\n{}", "a line\r\n".repeat(BLOB_CHUNK_BYTES / 4));
    let mut pop = Pop::with(&[&message]).await;
    let account = pop.server.accounts.open(ANA).await.unwrap();
    let broken_from = BLOB_CHUNK_BYTES as u64;
    pop.through(Arc::new(Only(Arc::new(Failing { broken_from, ..Failing::new(account) }))));
    let mut client = pop.login().await;
    client.say("C: RETR 1\nS: +OK *").await;
    let rest = client.rest().await;
    assert_eq!(rest, message[..rest.len()], "nothing of the server's own behind it");
    assert!(rest.len() >= BLOB_CHUNK_BYTES / 2, "{}", rest.len());
    // It was not retrieved.
    pop.imap("C: a STATUS INBOX (UNSEEN)\nS: * STATUS INBOX (UNSEEN 1)\nS: a OK *").await;
}

#[tokio::test]
async fn who_comes_again_reads_no_message_again() {
    let mut pop = Pop::with(&["Subject: a\r\n\r\n", "Subject: b\r\n\r\n"]).await;
    let account = pop.server.accounts.open(ANA).await.unwrap();
    let fault = Fault::default();
    pop.through(Arc::new(Only(Arc::new(Failing { fault: fault.clone(), ..Failing::new(account.clone()) }))));
    pop.dialog("C: STAT\nS: +OK 2 28").await;
    let path = ["INBOX".to_owned()];
    let container = account.containers_on_path(ContainerKind::Mail, &path).await.unwrap()[0].id;
    let expunge = Mutation::Expunge { container, uids: UidSet::one(Uid(1)), deleted_only: false };
    account.commit(OperationId::random(), vec![expunge]).await.unwrap();
    // From here on no items can be read there, only what changed.
    *fault.lock().unwrap() = Some(AccountError::Unavailable("no items".into()));
    for _ in 0..2 {
        pop.dialog("C: STAT\nS: +OK 1 14\nC: UIDL\nS: +OK *\nS: 1 *.2\nS: .").await;
    }
}
