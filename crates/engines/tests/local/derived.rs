//! Calendars that are made of something else, in a real store.

use std::sync::Arc;

use sterna_account::calendars::external::{self, External, Keep, Replaced};
use sterna_account::local::{LocalAccount, LocalAccounts};
use sterna_account::*;
use sterna_base::*;
use sterna_engines::sqlite::SqliteEngine;
use sterna_formats::calendar::feed::{Feed, FeedObject};

use crate::watched::NOW;

const ACCOUNT: AccountId = AccountId(1);

/// An account, and the node's accounts: whoever drops these ends the node.
async fn account(folder: &tempfile::TempDir) -> (LocalAccounts, Arc<LocalAccount>) {
    let engine = Arc::new(SqliteEngine::new(folder.path()));
    let accounts = LocalAccounts::new(engine, Arc::new(ManualClock::at(NOW)));
    accounts.create(ACCOUNT, Epoch(1)).await.unwrap();
    let account = accounts.get(ACCOUNT).await.unwrap();
    account.commit(OperationId::random(), first_containers::mutations()).await.unwrap();
    (accounts, account)
}

fn objects(uids: &[&str]) -> Vec<FeedObject> {
    let event = |uid: &&str| format!("BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTART:20250601T100000Z\r\nEND:VEVENT\r\n");
    let events: String = uids.iter().map(event).collect();
    Feed::parse(format!("BEGIN:VCALENDAR\r\n{events}END:VCALENDAR\r\n").as_bytes(), || false).unwrap().objects
}

#[tokio::test]
async fn what_is_missing_in_a_file_goes_unless_it_is_to_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (_accounts, account) = account(&folder).await;
    let account = account.as_ref();
    let external = External::new("https://x.test/a.ics".to_owned(), None);
    let calendar = external::subscribe(account, "external-x", None, &external).await.unwrap();
    let all = external::replace(account, calendar, objects(&["a", "b", "c"]), Keep::Uids(&[])).await.unwrap();
    assert_eq!(all, Replaced { created: 3, ..Replaced::default() });
    let kept = external::replace(account, calendar, objects(&["a"]), Keep::Uids(&["b".to_owned()])).await.unwrap();
    assert_eq!(kept, Replaced { removed: 1, ..Replaced::default() });
    let broken = external::replace(account, calendar, objects(&["d"]), Keep::All).await.unwrap();
    assert_eq!(broken, Replaced { created: 1, ..Replaced::default() });
    assert_eq!(account.container(calendar).await.unwrap().unwrap().counts.items, 3);
}

#[tokio::test]
async fn a_calendar_that_was_taken_away_is_not_made_anew_by_what_a_fetch_has_to_say() {
    let folder = tempfile::tempdir().unwrap();
    let (_accounts, account) = account(&folder).await;
    let account = account.as_ref();
    let external = External::new("https://x.test/a.ics".to_owned(), None);
    let calendar = external::subscribe(account, "external-x", None, &external).await.unwrap();
    let failed = |known: &mut External| {
        known.failures = 7;
        true
    };
    assert!(external::update(account, calendar, failed).await.unwrap());
    assert!(!external::update(account, calendar, |_| false).await.unwrap());
    assert_eq!(external::read(account, calendar).await.unwrap().map(|known| known.failures), Some(7));
    let steps = external::removed(account, calendar).await.unwrap();
    account.commit(OperationId::random(), steps).await.unwrap();
    let before = account.containers().await.unwrap().len();
    assert!(!external::update(account, calendar, failed).await.unwrap());
    external::name_by_file(account, calendar, "Holidays").await.unwrap();
    assert_eq!(account.containers().await.unwrap().len(), before);
}
