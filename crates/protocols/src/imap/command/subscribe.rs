//! SUBSCRIBE and UNSUBSCRIBE (RFC 9051 sections 6.3.7 and 6.3.8): names kept as items, because a name may stay when its
//! mailbox goes.

use std::collections::BTreeSet;

use sterna_account::first_containers::{SUBSCRIPTIONS, subscription, subscriptions_container};
use sterna_account::{Account, ContainerKind, ItemParts, Mutation, Outcome as Done, Rights, UidSet};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{ContainerId, OperationId, Uid};

use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::Session;

pub async fn run(session: &mut Session, mailbox: &str, subscribe: bool) -> Outcome {
    let account = session.account()?;
    let mut name = mailbox.to_owned();
    let known = container(account.as_ref()).await?;
    let step = match (subscribe, known) {
        (true, known) => {
            let located = session.locate(mailbox).await?;
            located.get(Rights::LOOKUP)?;
            name = located.shown();
            let container = match known {
                Some(container) => container,
                None => create(account.as_ref()).await?,
            };
            subscription(container, name)
        }
        (false, Some(container)) => Mutation::Remove { container, name },
        (false, None) => return Ok(Reply::ok("Done")),
    };
    account.commit(OperationId::random(), vec![step]).await?;
    Ok(Reply::ok("Done"))
}

async fn container(account: &dyn Account) -> Result<Option<ContainerId>, Fail> {
    let found = account.containers_on_path(ContainerKind::Subscriptions, &[SUBSCRIPTIONS.to_owned()]).await?;
    Ok(found.first().map(|container| container.id))
}

async fn create(account: &dyn Account) -> Result<ContainerId, Fail> {
    let committed = account.commit(OperationId::random(), vec![subscriptions_container()]).await?;
    match committed.outcomes.first() {
        Some(Done::Container { id, .. }) => Ok(*id),
        _ => Err(Reply::no("The server could not do that").code("SERVERBUG").into()),
    }
}

/// The names that the user subscribed to.
pub async fn names(account: &dyn Account) -> Result<BTreeSet<String>, Fail> {
    let mut names = BTreeSet::new();
    let Some(container) = container(account).await? else { return Ok(names) };
    let mut after = Uid(0);
    loop {
        let uids = UidSet::range(after.next(), Uid::MAX);
        let page = account.items(container, &uids, ItemParts::default(), PAGE_ITEMS_MAX).await?;
        let Some(last) = page.last() else { return Ok(names) };
        after = last.uid;
        names.extend(page.into_iter().filter_map(|item| item.name));
    }
}
