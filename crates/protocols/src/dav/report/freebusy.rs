//! free-busy-query (RFC 4791 section 7.10, RFC 7953 section 7.2.3).

use std::sync::Arc;

use http::{Response, StatusCode};
use sterna_account::ItemParts;
use sterna_account::calendars::busy::availability_of_owner;
use sterna_formats::calendar::availability::Availability;
use sterna_formats::calendar::filter::Range;
use sterna_formats::calendar::freebusy::FreeBusy;
use sterna_formats::calendar::{Calendar, Kind, Span};

use super::listing::{body, with_uids};
use super::{PRODUCT, asked_for_busy, floating_zone};
use crate::dav::answer::{Problem, response};
use crate::dav::body::Body;
use crate::dav::context::Context;
use crate::dav::limits::BODIES_AT_ONCE;
use crate::dav::stored::Stored;

pub async fn run(context: Arc<Context>, range: Range) -> Result<Response<Body>, Problem> {
    let (mut busy, mut availability) = (FreeBusy::default(), Availability::default());
    let (collections, whole) = asked_for_busy(&context).await?;
    for collection in collections {
        let stored = Stored::read(collection.home.account.as_ref(), collection.container.id).await?;
        let floating = floating_zone(None, &stored);
        let (account, id) = (collection.home.account.as_ref(), collection.container.id);
        let counts = |span: Span| {
            matches!(span.kind, Kind::Event | Kind::FreeBusy | Kind::Availability) && span.may_be_in(range)
        };
        let possible = context.shared.spans.possible(account, id, counts).await?;
        let parts = ItemParts { body: true, ..ItemParts::default() };
        for some in possible.chunks(BODIES_AT_ONCE) {
            for item in with_uids(&collection, some, parts).await? {
                if let Ok(calendar) = Calendar::parse(&body(&collection, &item).await?) {
                    busy.add(&calendar, &floating, range);
                    availability.add(&calendar, &floating, range);
                }
            }
        }
    }
    if let Some(home) = whole
        && let Some((said, floating)) = availability_of_owner(home.account.as_ref()).await?
    {
        availability.add(&said, &floating, range);
    }
    busy.add_unavailable(availability, range);
    if busy.is_cut {
        let problem = Problem::new(StatusCode::FORBIDDEN, "There is too much in that time");
        return Err(problem.condition("<C:max-instances/>"));
    }
    let text = busy.write(range, context.now().seconds(), PRODUCT);
    Ok(response(StatusCode::OK, "text/calendar; charset=utf-8", text))
}
