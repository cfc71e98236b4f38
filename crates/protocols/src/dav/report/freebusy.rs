//! free-busy-query (RFC 4791 section 7.10).

use std::sync::Arc;

use http::{Response, StatusCode};
use sterna_account::{Item, ItemParts};
use sterna_formats::calendar::filter::Range;
use sterna_formats::calendar::freebusy::FreeBusy;
use sterna_formats::calendar::{Calendar, Facts, Kind};

use super::listing::{Pages, body, with_bodies};
use super::{floating_zone, queried};
use crate::dav::answer::{Problem, response};
use crate::dav::body::Body;
use crate::dav::context::Context;
use crate::dav::limits::BODIES_AT_ONCE;
use crate::dav::paths::Space;
use crate::dav::stored::Stored;

/// PRODID of what the server itself writes.
const PRODUCT: &str = "-//Sterna//Sterna//EN";

pub async fn run(context: Arc<Context>, range: Range) -> Result<Response<Body>, Problem> {
    let mut busy = FreeBusy::default();
    for collection in queried(&context, Space::Calendars).await? {
        let stored = Stored::read(collection.home.account.as_ref(), collection.container.id).await?;
        let floating = floating_zone(None, &stored);
        let parts = ItemParts { summary: true, ..ItemParts::default() };
        let mut pages = Pages::new(&collection, parts);
        while let Some(items) = pages.next().await? {
            let may_count = |item: &Item| {
                let facts = item.summary.as_deref().and_then(Facts::decode);
                facts.is_none_or(|facts| matches!(facts.kind, Kind::Event | Kind::FreeBusy) && facts.may_be_in(range))
            };
            let possible: Vec<Item> = items.into_iter().filter(may_count).collect();
            for some in possible.chunks(BODIES_AT_ONCE) {
                let parts = ItemParts { body: true, ..parts };
                for item in with_bodies(&collection, collection.container.id, some, parts).await? {
                    if let Ok(calendar) = Calendar::parse(&body(&collection, &item).await?) {
                        busy.add(&calendar, &floating, range);
                    }
                }
            }
        }
    }
    if busy.is_cut {
        let problem = Problem::new(StatusCode::FORBIDDEN, "There is too much in that time");
        return Err(problem.condition("<C:max-instances/>"));
    }
    let text = busy.write(range, context.now().seconds(), PRODUCT);
    Ok(response(StatusCode::OK, "text/calendar; charset=utf-8", text))
}
