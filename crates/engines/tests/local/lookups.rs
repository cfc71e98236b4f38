//! Several questions in one.

use std::sync::Arc;

use bytes::Bytes;
use sterna_account::local::{LocalAccount, LocalAccounts};
use sterna_account::lookup::{ITEMS_MAX, LOOKUPS_MAX, all_items, one_by_one};
use sterna_account::*;
use sterna_base::*;
use sterna_engines::sqlite::SqliteEngine;

use crate::watched::NOW;

const ACCOUNT: AccountId = AccountId(1);

const BODY: ItemParts = ItemParts { body: true, summary: false, summary_start: false };

fn named(name: &str) -> NewItem {
    NewItem::named(name.to_owned(), Content::Inline(Bytes::from(format!("of {name}"))))
}

fn container(kinds: &[ContainerKind], name: &str) -> Lookup {
    Lookup::Container { kinds: kinds.to_vec(), name: name.to_owned() }
}

async fn asked(account: &LocalAccount, lookups: &[Lookup]) -> Vec<Answer> {
    let at_once = account.look_up(lookups).await.unwrap();
    assert_eq!(at_once, one_by_one(account, lookups).await.unwrap());
    at_once
}

#[tokio::test]
async fn one_question_finds_what_several_find() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Arc::new(SqliteEngine::new(folder.path()));
    let accounts = LocalAccounts::new(engine, Arc::new(ManualClock::at(NOW)));
    accounts.create(ACCOUNT, Epoch(1)).await.unwrap();
    let account = accounts.get(ACCOUNT).await.unwrap();
    let calendar = container_named(account.as_ref(), ContainerKind::Calendar, "work").await.unwrap().id;
    let about = ContainerKind::about(Some(calendar));
    let notes = container_named(account.as_ref(), ContainerKind::Metadata, &about).await.unwrap().id;
    let put = |container, name: &str| Mutation::Put { container, item: named(name), expect: commit::Expect::Any };
    let notes_put = (0..=ITEMS_MAX).map(|n| put(notes, &format!("n{n:02}")));
    let steps = [put(calendar, "a.ics")].into_iter().chain(notes_put).collect();
    account.commit(OperationId::random(), steps).await.unwrap();

    let kinds = [ContainerKind::AddressBook, ContainerKind::Calendar, ContainerKind::Tasks];
    let lookups = [
        container(&kinds, "work"),
        Lookup::Item { of: 0, name: "a.ics".into(), parts: BODY },
        Lookup::Item { of: 0, name: "b.ics".into(), parts: BODY },
        Lookup::About { of: 0, kind: ContainerKind::Metadata },
        Lookup::Items { of: 3, parts: BODY },
    ];
    let answers = asked(&account, &lookups).await;
    assert_eq!(answers[0].container().unwrap().id, calendar);
    assert_eq!(answers[1].clone().item().unwrap().body.unwrap(), "of a.ics");
    assert_eq!(answers[2].clone().item(), None);
    let (kept, first) = (answers[3].container().unwrap().clone(), answers[4].clone().items());
    assert_eq!((kept.id, first.len()), (notes, ITEMS_MAX));
    let all = all_items(account.as_ref(), &kept, first, BODY, 1000).await.unwrap();
    assert_eq!(all.len(), ITEMS_MAX + 1);

    // What is about nothing finds nothing: a container that isn't there, a question that comes later, or no container.
    let lookups = [
        container(&kinds, "home"),
        Lookup::Item { of: 0, name: "a.ics".into(), parts: BODY },
        Lookup::Items { of: 5, parts: BODY },
        Lookup::About { of: 1, kind: ContainerKind::Metadata },
        Lookup::Items { of: usize::MAX, parts: BODY },
        container(&kinds, "work"),
        container(&[], "work"),
    ];
    let nothing = [Answer::Container(None), Answer::Item(None), Answer::Items(vec![]), Answer::Container(None)];
    let answers = asked(&account, &lookups).await;
    assert_eq!(answers[..4], nothing);
    assert_eq!(answers[4], Answer::Items(vec![]));
    assert_eq!(answers[5].container().unwrap().id, calendar);
    assert_eq!(answers[6], Answer::Container(None));

    let many = vec![container(&kinds, "work"); LOOKUPS_MAX + 1];
    assert_eq!(asked(&account, &many).await.len(), LOOKUPS_MAX);
}
