//! Items told one after the other: read in pages, so that a collection of any size costs the same memory.

use bytes::Bytes;
use http::StatusCode;
use sterna_account::{Item, ItemParts, UidSet};
use sterna_base::{ContainerId, Uid};
use sterna_formats::calendar::{Calendar, Zone};
use sterna_formats::card;

use super::floating_zone;
use crate::dav::answer::{Out, Problem};
use crate::dav::limits::{BODIES_AT_ONCE, ROWS_AT_ONCE};
use crate::dav::paths::Space;
use crate::dav::property::{Background, Teller};
use crate::dav::resource::Collection;
use crate::message;

/// Tells of all items of a collection.
///
/// # Errors
/// When they can't be read, or nobody reads the answer.
pub async fn all(
    teller: &Teller,
    collection: &Collection,
    background: &Background,
    out: &mut Out,
) -> Result<(), Problem> {
    let parts = teller.selection.parts();
    let mut pages = Pages::new(collection, parts);
    while let Some(items) = pages.next().await? {
        for item in items {
            one(teller, collection, item, background, out).await?;
        }
    }
    Ok(())
}

/// Tells of one item.
///
/// # Errors
/// As [`all`].
pub async fn one(
    teller: &Teller,
    collection: &Collection,
    item: Item,
    background: &Background,
    out: &mut Out,
) -> Result<(), Problem> {
    let floating = || floating_zone(None, &background.stored);
    let data = data(teller, collection, &item, &floating).await?;
    teller.item(collection, &item, background, data.as_deref(), &mut out.text);
    out.pause().await
}

/// The object as it is asked for, if it is.
///
/// # Errors
/// When it can't be read, or has too many single times.
pub async fn data(
    teller: &Teller,
    collection: &Collection,
    item: &Item,
    floating: &(dyn Fn() -> Zone + Send + Sync),
) -> Result<Option<String>, Problem> {
    let selection = &teller.selection;
    match collection.space {
        Space::Calendars if let Some(wanted) = &selection.calendar_data => {
            let bytes = body(collection, item).await?;
            let definitions = teller.context.definitions();
            if wanted.is_everything() {
                return Ok(Some(definitions.apply(&text(&bytes)).into_owned()));
            }
            // What was stored was read before; what can't be any more is told as it is.
            let Ok(calendar) = Calendar::parse(&bytes) else { return Ok(Some(text(&bytes))) };
            let too_many = || {
                let problem = Problem::new(StatusCode::FORBIDDEN, "There are too many single times");
                problem.condition("<C:max-instances/>")
            };
            let told = wanted.apply(&calendar, &floating()).ok_or_else(too_many)?;
            // Who chooses components says so; single times are in UTC.
            let is_whole = wanted.comp.is_none() && wanted.expand.is_none();
            Ok(Some(if is_whole { definitions.apply(&told).into_owned() } else { told }))
        }
        Space::AddressBooks if let Some(wanted) = &selection.address_data => {
            let bytes = body(collection, item).await?;
            match card::parse(&bytes) {
                Ok(card) if wanted.props.is_some() => Ok(Some(wanted.apply(&card))),
                _ => Ok(Some(text(&bytes))),
            }
        }
        _ => Ok(None),
    }
}

/// All bytes of an item.
///
/// # Errors
/// When they can't be read.
pub async fn body(collection: &Collection, item: &Item) -> Result<Bytes, Problem> {
    match &item.body {
        Some(body) => Ok(body.clone()),
        None => Ok(message::read_all(collection.home.account.as_ref(), item, 0..item.size).await?.freeze()),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The items of a collection by UID, page by page.
pub struct Pages<'a> {
    collection: &'a Collection,
    parts: ItemParts,
    after: Option<Uid>,
}

impl<'a> Pages<'a> {
    /// From the first on.
    pub fn new(collection: &'a Collection, parts: ItemParts) -> Self {
        Pages { collection, parts, after: Some(Uid(0)) }
    }

    /// The next page; `None` at the end.
    ///
    /// # Errors
    /// When the account can't be read.
    pub async fn next(&mut self) -> Result<Option<Vec<Item>>, Problem> {
        let Some(after) = self.after.filter(|after| *after < Uid::MAX) else { return Ok(None) };
        let at_once = if self.parts.body { BODIES_AT_ONCE } else { ROWS_AT_ONCE };
        let uids = UidSet::range(after.next(), Uid::MAX);
        let account = self.collection.home.account.as_ref();
        let items = account.items(self.collection.container.id, &uids, self.parts, at_once).await?;
        self.after = items.last().map(|item| item.uid).filter(|_| items.len() == at_once);
        let named: Vec<Item> = items.into_iter().filter(|item| item.name.is_some()).collect();
        Ok(if named.is_empty() && self.after.is_none() { None } else { Some(named) })
    }
}

/// The named items with these UIDs, which rise.
///
/// # Errors
/// When the account can't be read.
pub async fn with_uids(collection: &Collection, uids: &[Uid], parts: ItemParts) -> Result<Vec<Item>, Problem> {
    let set = UidSet::from_ranges(uids.iter().map(|uid| (*uid, *uid)).collect());
    let (account, id) = (collection.home.account.as_ref(), collection.container.id);
    let mut items = account.items(id, &set, parts, uids.len().max(1)).await?;
    items.retain(|item| item.name.is_some());
    Ok(items)
}

/// These items with what was not read of them.
///
/// # Errors
/// When the account can't be read.
pub async fn with_bodies(
    collection: &Collection,
    container: ContainerId,
    items: &[Item],
    parts: ItemParts,
) -> Result<Vec<Item>, Problem> {
    let uids = UidSet::from_ranges(items.iter().map(|item| (item.uid, item.uid)).collect());
    Ok(collection.home.account.items(container, &uids, parts, items.len().max(1)).await?)
}
