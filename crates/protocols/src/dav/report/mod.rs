//! Reports, and the listings that they and PROPFIND have in common.

pub mod freebusy;
pub mod listing;
pub mod multiget;
pub mod principals;
pub mod query;
pub mod sync;

use std::sync::Arc;

use sterna_account::{ItemParts, Rights};
use sterna_formats::calendar::zone::zone_of;
use sterna_formats::calendar::{Calendar, Zone};
use sterna_formats::dav::Name;

use super::answer::Problem;
use super::context::{Context, Home};
use super::home;
use super::mounted;
use super::paths::{Place, Space};
use super::resource::{Collection, Resource, collection_with};
use super::scheduling::is_scheduling;
use super::stored::Stored;

/// The collections that a query is about: the one of the path, or all of a home. What may not be read is left out of a
/// home, and refused by itself.
///
/// # Errors
/// When there are none.
async fn queried(context: &Arc<Context>, space: Space) -> Result<Vec<Collection>, Problem> {
    let refused = || Problem::forbidden("<D:supported-report/>", "That is no report for this resource");
    match Resource::find(context, context.uri.path(), ItemParts::default()).await? {
        Resource::Collection(collection) if collection.space == space => {
            collection.check(Rights::READ, "read")?;
            Ok(vec![collection])
        }
        Resource::Home(of, home) if of == space => {
            let mut collections = home::collections(&home, space).await?;
            collections.retain(|found| found.rights.has(Rights::READ) && !is_scheduling(&found.container));
            Ok(collections)
        }
        Resource::Missing(_) => Err(Problem::not_found()),
        _ => Err(refused()),
    }
}

/// The calendars whose busy times are asked for: the one of the path, or all of a home. Who may ask for those and for
/// nothing else finds the calendar here and nowhere else. Where nothing may be asked nothing is said: an empty answer
/// would mean that somebody is free. With them whoever was asked for as a whole: then it also matters when that person
/// can be had.
///
/// # Errors
/// When there are none.
async fn asked_for_busy(context: &Arc<Context>) -> Result<(Vec<Collection>, Option<Home>), Problem> {
    let may_ask = |rights: Rights| rights.has_any(Rights::READ | Rights::FREE_BUSY);
    let (home, name) = match Place::parse(context.uri.path())? {
        Place::In(Space::Calendars, owner, path) if path.len() <= 1 => {
            (context.home(&owner).await?, path.into_iter().next())
        }
        _ => return Err(Problem::forbidden("<D:supported-report/>", "That is no report for this resource")),
    };
    if let Some(name) = &name
        && let Some(found) = mounted::find(context, &home, Space::Calendars, name).await?
    {
        return if may_ask(found.rights) { Ok((vec![found], None)) } else { Err(Problem::not_found()) };
    }
    let Some(name) = name else {
        let found = home::with_any(&home, Space::Calendars, Rights::READ | Rights::FREE_BUSY).await?;
        if found.is_empty() && !home.is_own() {
            return Err(Problem::no_right(context.uri.path(), "read-free-busy"));
        }
        return Ok((found, Some(home)));
    };
    let found = collection_with(&home, Space::Calendars, &name, Rights::ALL | Rights::FREE_BUSY).await?;
    let found = found.ok_or_else(Problem::not_found)?;
    // What lies in an inbox is nobody's time yet (RFC 6638 section 2.2).
    if is_scheduling(&found.container) {
        return Err(Problem::forbidden("<D:supported-report/>", "That is no report for this resource"));
    }
    if !may_ask(found.rights) {
        return Err(Problem::no_right(&found.href(), "read-free-busy"));
    }
    Ok((vec![found], None))
}

/// PRODID of what the server itself writes.
pub const PRODUCT: &str = "-//Sterna//Sterna//EN";

/// The zone of floating times: as the request says, or the calendar (RFC 4791 sections 5.2.2 and 9.8), or UTC.
fn floating_zone(asked: Option<&str>, stored: &Stored) -> Zone {
    let of_object = |text: &str| {
        let calendar = Calendar::parse(text.trim().as_bytes()).ok()?;
        let definition = calendar.root.components.iter().find(|component| component.name == "VTIMEZONE")?;
        zone_of(definition).map(|(_, zone)| zone)
    };
    let of_calendar = || stored.text(&Name::caldav("calendar-timezone")).as_deref().and_then(of_object);
    let of_name = || stored.text(&Name::caldav("calendar-timezone-id")).as_deref().and_then(Zone::named);
    asked.and_then(of_object).or_else(of_calendar).or_else(of_name).unwrap_or(Zone::Utc)
}
