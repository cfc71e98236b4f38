//! PROPPATCH (RFC 4918 section 9.2): all changes or none.

use std::collections::BTreeMap;

use http::Response;
use sterna_account::{ContainerKind, Identifier, ItemParts, Rights};
use sterna_formats::calendar::Zone;
use sterna_formats::dav::Name;
use sterna_formats::dav::href::path_of;
use sterna_formats::dav::name::{CALDAV, DAV};
use sterna_formats::dav::request::{Change, proppatch};
use sterna_formats::dav::write;
use sterna_formats::dav::xml::BODY_BYTES_MAX;

use crate::dav::answer::{Problem, multistatus};
use crate::dav::body::{self, Body};
use crate::dav::context::{Context, Home, Request};
use crate::dav::locks::Write;
use crate::dav::mounted::{self, is_personal};
use crate::dav::paths::Proxy;
use crate::dav::precondition::check_write;
use crate::dav::property::is_protected;
use crate::dav::proxies;
use crate::dav::resource::{Collection, Resource};
use crate::dav::stored::{self, Setting};
use crate::grants;

pub async fn run(request: Request) -> Result<Response<Body>, Problem> {
    let context = request.context;
    let changes = proppatch(&body::whole(request.body, BODY_BYTES_MAX).await?)?;
    let resource = Resource::find(&context, context.uri.path(), ItemParts::default()).await?;
    let href = resource.href();
    let (collection, item) = match &resource {
        Resource::Collection(collection) => (collection, None),
        Resource::Item(collection, item) => (collection, Some(item.uid)),
        Resource::Missing(_) => return Err(Problem::not_found()),
        Resource::Proxy(home, proxy) => return set_members(&context, home, *proxy, &href, &changes).await,
        _ => return Err(Problem::new(http::StatusCode::FORBIDDEN, "Nothing can be set here")),
    };
    // Name, colour and the like of somebody else's collection are each user's own.
    let own = collection.mount().filter(|_| item.is_none());
    let (personal, common): (Vec<&Change>, Vec<&Change>) =
        changes.iter().partition(|change| own.is_some() && is_personal(change.name()));
    let path = resource.canonical();
    if !common.is_empty() {
        collection.check(Rights::WRITE, "write-properties")?;
        let write = Write { path: &path, changes_members: false, with_below: false };
        check_write(&context, &collection.home, &resource, write).await?;
    }
    let mut refused: Vec<(Name, &'static str)> = Vec::new();
    for change in &changes {
        if is_protected(change.name()) {
            refused.push((change.name().clone(), "<D:cannot-modify-protected-property/>"));
        } else if !is_zone(change) {
            refused.push((change.name().clone(), "<C:valid-timezone/>"));
        } else if !is_place_of_invitations(&context, collection, change).await? {
            refused.push((change.name().clone(), "<C:valid-schedule-default-calendar-URL/>"));
        }
    }
    if refused.is_empty() {
        let settings = common.into_iter().map(|change| setting(change, item)).collect();
        stored::set(collection.home.account.as_ref(), collection.container.id, settings).await?;
        if let Some(mounted) = own.filter(|_| !personal.is_empty()) {
            let settings = personal.into_iter().map(|change| setting(change, None)).map(|(_, name, xml)| (name, xml));
            mounted::set(mounted, settings.collect()).await?;
        }
    }
    multistatus(move |mut out| async move {
        tell(&href, &changes, &refused, &mut out.text);
        Ok(out)
    })
    .await
}

/// `group-member-set` of those who act for somebody: the one property of a principal that can be set.
async fn set_members(
    context: &Context,
    home: &Home,
    proxy: Proxy,
    href: &str,
    changes: &[Change],
) -> Result<Response<Body>, Problem> {
    if !home.is_own() {
        return Err(Problem::no_right(href, "write-properties"));
    }
    let [Change::Set(element)] = changes else {
        return Err(Problem::new(http::StatusCode::FORBIDDEN, "Only group-member-set can be set here"));
    };
    if !element.name.is(DAV, "group-member-set") {
        return Err(Problem::forbidden("<D:cannot-modify-protected-property/>", "That can't be set here"));
    }
    let mut members = Vec::new();
    for member in element.elements().filter(|element| element.name.is(DAV, "href")) {
        let text = member.text();
        let unknown = || Problem::forbidden("<D:recognized-principal/>", "There is no such principal");
        let path = path_of(text.trim()).ok_or_else(unknown)?;
        members.push(context.identifier_at(path).await?.ok_or_else(unknown)?);
    }
    members.retain(|member| *member != Identifier::Entry(home.account.id()));
    let grants = proxies::grants(home, proxy, &members).await?;
    if !grants.is_empty() {
        let shares = context.shared.shares.as_ref();
        grants::change(shares, &home.account, Vec::new(), &grants).await.map_err(super::acl::problem)?;
    }
    let (href, changes) = (href.to_owned(), changes.to_vec());
    multistatus(move |mut out| async move {
        tell(&href, &changes, &[], &mut out.text);
        Ok(out)
    })
    .await
}

fn setting(change: &Change, item: Option<sterna_base::Uid>) -> Setting {
    let xml = match change {
        Change::Set(element) => {
            let mut xml = String::new();
            element.write(&mut xml);
            Some(xml)
        }
        Change::Remove(_) => None,
    };
    (item, change.name().clone(), xml)
}

/// Whether a change of `calendar-timezone-id` names a zone that is known (RFC 7809 section 5.2); true of all other
/// changes.
fn is_zone(change: &Change) -> bool {
    let Change::Set(element) = change else { return true };
    !element.name.is(CALDAV, "calendar-timezone-id") || Zone::named(&element.text()).is_some()
}

/// Whether a change of `schedule-default-calendar-URL` names a calendar of the same owner (RFC 6638 section 9.2); true
/// of all other changes.
async fn is_place_of_invitations(context: &Context, collection: &Collection, change: &Change) -> Result<bool, Problem> {
    let Change::Set(element) = change else { return Ok(true) };
    if !element.name.is(CALDAV, "schedule-default-calendar-URL") {
        return Ok(true);
    }
    if collection.container.kind != ContainerKind::ScheduleInbox {
        return Ok(false);
    }
    let href = element.dav("href").map(|href| href.text());
    let Some(path) = href.as_deref().and_then(|href| path_of(href.trim())) else { return Ok(false) };
    Ok(match Resource::find(context, path, ItemParts::default()).await {
        Ok(Resource::Collection(chosen)) => {
            chosen.container.kind == ContainerKind::Calendar && chosen.home.account.id() == collection.home.account.id()
        }
        _ => false,
    })
}

fn tell(href: &str, changes: &[Change], refused: &[(Name, &'static str)], out: &mut String) {
    let mut told: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for change in changes {
        let why = refused.iter().find(|(name, _)| name == change.name());
        let status = match why {
            Some((_, condition)) => ("403 Forbidden", *condition),
            None if refused.is_empty() => ("200 OK", ""),
            None => ("424 Failed Dependency", ""),
        };
        write::empty(change.name(), told.entry(status).or_default());
    }
    out.push_str("<D:response>");
    write::href(href, out);
    for ((status, condition), names) in told {
        let error = if condition.is_empty() { String::new() } else { format!("<D:error>{condition}</D:error>") };
        out.push_str(&format!(
            "<D:propstat><D:prop>{names}</D:prop><D:status>HTTP/1.1 {status}</D:status>{error}</D:propstat>"
        ));
    }
    out.push_str("</D:response>\n");
}
