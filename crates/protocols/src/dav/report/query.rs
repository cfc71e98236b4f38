//! calendar-query (RFC 4791 section 7.8) and addressbook-query (RFC 6352 section 8.6).

use std::sync::Arc;

use http::Response;
use sterna_account::{Item, ItemParts};
use sterna_formats::calendar::filter::CompFilter;
use sterna_formats::calendar::{Calendar, Facts, Kind, Zone};
use sterna_formats::card::{self, Filter};
use sterna_formats::dav::request::Propfind;
use sterna_formats::dav::write;

use super::listing::{Pages, body, data, with_uids};
use super::{floating_zone, queried};
use crate::dav::answer::{Out, Problem, multistatus};
use crate::dav::body::Body;
use crate::dav::context::Context;
use crate::dav::limits::{BODIES_AT_ONCE, ROWS_AT_ONCE};
use crate::dav::paths::Space;
use crate::dav::property::{Background, Selection, Teller};
use crate::dav::resource::Collection;
use crate::dav::stored::Stored;

/// What is kept beside objects, and nothing else.
const FACTS: ItemParts = ItemParts { summary: true, body: false, summary_start: false };

pub async fn calendar(
    context: Arc<Context>,
    props: Propfind,
    filter: CompFilter,
    timezone: Option<String>,
) -> Result<Response<Body>, Problem> {
    let selection = Selection::of(&props, context.prefer().minimal)?;
    let collections = queried(&context, Space::Calendars).await?;
    let teller = Teller { context, selection };
    multistatus(move |mut out| async move {
        for collection in collections {
            let background = teller.background(&collection).await?;
            let stored = Stored::read(collection.home.account.as_ref(), collection.container.id).await?;
            let floating = floating_zone(timezone.as_deref(), &stored);
            let query = CalendarQuery { teller: &teller, collection: &collection, filter: &filter, floating };
            query.tell(&background, &mut out).await?;
        }
        Ok(out)
    })
    .await
}

struct CalendarQuery<'a> {
    teller: &'a Teller,
    collection: &'a Collection,
    filter: &'a CompFilter,
    floating: Zone,
}

impl CalendarQuery<'_> {
    /// What is kept beside the objects says which need not be read.
    async fn tell(&self, background: &Background, out: &mut Out) -> Result<(), Problem> {
        let (account, id) = (self.collection.home.account.as_ref(), self.collection.container.id);
        let spans = &self.teller.context.shared.spans;
        let possible = spans.possible(account, id, |span| self.filter.may_match(span)).await?;
        // Then nothing of an object has to be read but what is stored beside it.
        let decides = decided_by_kind(self.filter).filter(|_| self.teller.selection.calendar_data.is_none());
        let (parts, at_once) = match decides {
            Some(_) => (FACTS, ROWS_AT_ONCE),
            None => (ItemParts { body: true, ..FACTS }, BODIES_AT_ONCE),
        };
        for some in possible.chunks(at_once) {
            for item in with_uids(self.collection, some, parts).await? {
                let facts = item.summary.as_deref().and_then(Facts::decode);
                if decides.is_some() && facts.is_some_and(|facts| Some(facts.kind) == decides) {
                    self.teller.item(self.collection, &item, background, None, &mut out.text);
                    out.pause().await?;
                } else {
                    self.tell_if_meant(item, background, out).await?;
                }
            }
        }
        Ok(())
    }

    async fn tell_if_meant(&self, item: Item, background: &Background, out: &mut Out) -> Result<(), Problem> {
        let bytes = body(self.collection, &item).await?;
        let is_meant = Calendar::parse(&bytes).is_ok_and(|calendar| self.filter.matches(&calendar, &self.floating));
        if !is_meant {
            return Ok(());
        }
        let floating = || self.floating.clone();
        let data = data(self.teller, self.collection, &item, &floating).await?;
        self.teller.item(self.collection, &item, background, data.as_deref(), &mut out.text);
        out.pause().await
    }
}

/// The kind of object that a filter asks for, if it asks for nothing else.
fn decided_by_kind(filter: &CompFilter) -> Option<Kind> {
    let [only] = &filter.comps[..] else { return None };
    let says_more = !filter.props.is_empty()
        || filter.is_not_defined
        || only.is_not_defined
        || only.range.is_some()
        || !only.props.is_empty()
        || !only.comps.is_empty();
    if says_more { None } else { Kind::named(&only.name) }
}

pub async fn cards(
    context: Arc<Context>,
    props: Propfind,
    filter: Filter,
    limit: Option<usize>,
) -> Result<Response<Body>, Problem> {
    let selection = Selection::of(&props, context.prefer().minimal)?;
    let collections = queried(&context, Space::AddressBooks).await?;
    let (teller, root) = (Teller { context: context.clone(), selection }, context.uri.path().to_owned());
    multistatus(move |mut out| async move {
        let mut room = limit.unwrap_or(usize::MAX);
        for collection in collections {
            let background = teller.background(&collection).await?;
            let is_whole = cards_of(&teller, &collection, &filter, &background, &mut room, &mut out).await?;
            if !is_whole {
                let condition = "<D:number-of-matches-within-limits/>";
                write::status_response(&root, "507 Insufficient Storage", Some(condition), &mut out.text);
                break;
            }
        }
        Ok(out)
    })
    .await
}

/// Whether there was room for all.
async fn cards_of(
    teller: &Teller,
    collection: &Collection,
    filter: &Filter,
    background: &Background,
    room: &mut usize,
    out: &mut Out,
) -> Result<bool, Problem> {
    let mut pages = Pages::new(collection, ItemParts { body: true, ..FACTS });
    while let Some(items) = pages.next().await? {
        for item in items {
            let bytes = body(collection, &item).await?;
            if !card::parse(&bytes).is_ok_and(|card| filter.matches(&card)) {
                continue;
            }
            if *room == 0 {
                return Ok(false);
            }
            *room -= 1;
            let data = data(teller, collection, &item, &|| Zone::Utc).await?;
            teller.item(collection, &item, background, data.as_deref(), &mut out.text);
            out.pause().await?;
        }
    }
    Ok(true)
}
