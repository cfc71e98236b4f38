//! MKCOL (RFC 4918 section 9.3, with properties: RFC 5689) and MKCALENDAR (RFC 4791 section 5.3.1).

use http::header::CACHE_CONTROL;
use http::{Response, StatusCode};
use sterna_account::calendars::external::{self, External};
use sterna_account::commit::{MADE, given_alike};
use sterna_account::shares::PrincipalKind;
use sterna_account::{AccountError, Acl, CommitError, Container, ContainerKind, ItemParts, Mutation, Rights, files};
use sterna_base::OperationId;
use sterna_formats::calendar::Kind;
use sterna_formats::dav::name::{CALDAV, CALENDARSERVER, CARDDAV, DAV};
use sterna_formats::dav::request::mkcol;
use sterna_formats::dav::xml::BODY_BYTES_MAX;
use sterna_formats::dav::{Element, Name};

use crate::dav::answer::{Problem, done, with_header};
use crate::dav::body::{self, Body};
use crate::dav::context::{Context, Request, no_directory};
use crate::dav::home;
use crate::dav::locks::Write;
use crate::dav::paths::Space;
use crate::dav::precondition::{came_too_late, check_write};
use crate::dav::property::{components_of, is_protected};
use crate::dav::resource::{Collection, Missing, Resource};
use crate::dav::stored;

pub async fn run(request: Request) -> Result<Response<Body>, Problem> {
    let context = request.context;
    let body = body::whole(request.body, BODY_BYTES_MAX).await?;
    let properties = mkcol(&body).map_err(|error| {
        // RFC 5689 section 3: a body of another kind is not understood.
        if body.starts_with(b"<") {
            error.into()
        } else {
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error.to_string())
        }
    })?;
    for _ in 0..crate::dav::limits::TRIES {
        match make(&context, &properties).await {
            Err(problem) if came_too_late(&problem) => {}
            result => return result,
        }
    }
    Err(Problem::unavailable(1))
}

async fn make(context: &Context, properties: &[Element]) -> Result<Response<Body>, Problem> {
    let resource = Resource::find(context, context.uri.path(), ItemParts::default()).await?;
    let Resource::Missing(missing) = &resource else { return Err(exists()) };
    let kind = kind_of(context, missing, properties)?;
    let source = if kind == ContainerKind::DerivedCalendar { Some(source_of(properties)?) } else { None };
    if let Some(property) = properties.iter().find(|property| is_set_in_vain(property)) {
        let text = format!("{} can't be set", property.name);
        return Err(Problem::forbidden("<D:cannot-modify-protected-property/>", text));
    }
    let like = match missing.parent.is_none() && !missing.home.is_own() {
        true => managed(context, missing).await?,
        false => None,
    };
    match &missing.parent {
        Some(parent) => parent.check_bind()?,
        None if missing.home.is_own() => {}
        None if like.is_some() => {}
        None => return Err(Problem::no_right(&missing.href(), "bind")),
    }
    if source.is_some() && !missing.home.is_own() {
        let text = "Only its owner reads where a subscribed calendar comes from, and only its owner says it";
        return Err(Problem::forbidden("<S:source/>", text));
    }
    let href = missing.canonical();
    let write = Write { path: &href, changes_members: true, with_below: false };
    let (locks, _) = check_write(context, &missing.home, &resource, write).await?;
    let (name, parent) = (missing.name.clone(), missing.parent.as_ref().map(|parent| parent.container.id));
    let mut steps = vec![locks.expectation()];
    if missing.parent.is_none() {
        // The other kinds of the space have no collection of that name either.
        for other in missing.space.kinds().iter().filter(|other| **other != kind) {
            let expect = Mutation::ExpectContainer { kind: *other, name: name.clone(), highest_modseq: None };
            steps.push(expect);
        }
    }
    if let Some(parent) = parent.filter(|_| kind == ContainerKind::Files) {
        steps.extend(files::folder_changed(parent, &name, &Acl::default()));
    }
    steps.push(Mutation::CreateContainer { parent, kind, name, special_use: None });
    // Whoever made it must find it, and so must those that the ones beside it are shared with.
    steps.extend(like.iter().flat_map(|like| given_alike(&like.acl)));
    steps.extend(noted(properties, source)?);
    let account = missing.home.account.as_ref();
    if kind == ContainerKind::DerivedCalendar {
        external::check_room(&account.containers().await?)?;
    }
    match account.commit(OperationId::random(), steps).await {
        Err(AccountError::Refused(CommitError::NameTaken)) => return Err(exists()),
        result => result?,
    };
    Ok(with_header(done(StatusCode::CREATED), CACHE_CONTROL, "no-cache"))
}

/// The steps that note what is asked for of the collection that was made before them in the same commit.
fn noted(properties: &[Element], source: Option<String>) -> Result<Vec<Mutation>, Problem> {
    let settings = properties.iter().filter(|property| !property.name.is(DAV, "resourcetype")).map(|property| {
        let mut xml = String::new();
        property.write(&mut xml);
        (None, property.name.clone(), Some(xml))
    });
    let mut steps = stored::at_first(settings.collect())?;
    steps.extend(source.map(|url| external::noted(MADE, &External::new(url, None))));
    if !steps.is_empty() {
        steps.insert(0, Mutation::CreateAbout { kind: ContainerKind::Metadata });
    }
    Ok(steps)
}

/// A collection of somebody else's home beside which the user may make another one: who may make folders in it and say
/// who may do what with it manages them, as the calendars of a group or a domain are managed. A person makes them
/// alone: whoever manages one calendar of somebody must not fill that person's home with others.
async fn managed(context: &Context, missing: &Missing) -> Result<Option<Container>, Problem> {
    let owner = vec![missing.home.account.id()];
    let found = context.shared.shares.principals(owner).await.map_err(no_directory)?;
    if !found.iter().any(|owner| owner.kind == PrincipalKind::SharedMailbox) {
        return Ok(None);
    }
    let wanted = Rights::CREATE | Rights::ADMINISTER;
    let found = home::with_any(&missing.home, missing.space, wanted).await?;
    let is_managed = |collection: &Collection| collection.rights.has(wanted);
    let mut found: Vec<Container> =
        found.into_iter().filter(is_managed).map(|collection| collection.container).collect();
    found.sort_by_key(|container| container.id);
    Ok(found.into_iter().next())
}

fn exists() -> Problem {
    Problem::not_allowed().condition("<D:resource-must-be-null/>")
}

/// Protected ones can't be set, but for those that only a new collection can be given.
fn is_set_in_vain(property: &Element) -> bool {
    let at_first = property.name.is(DAV, "resourcetype")
        || property.name.is(CALDAV, "supported-calendar-component-set")
        || property.name.is(CALENDARSERVER, "source");
    is_protected(&property.name) && !at_first
}

/// What is made: by the method, by what `resourcetype` says, and by what the space holds.
fn kind_of(context: &Context, missing: &Missing, properties: &[Element]) -> Result<ContainerKind, Problem> {
    let find = |name: Name| properties.iter().find(|property| property.name == name);
    let types = find(Name::dav("resourcetype"));
    let says = |namespace: &str, local: &str| types.is_some_and(|types| types.find(namespace, local).is_some());
    let wrong = || Problem::forbidden("<D:valid-resourcetype/>", "There can't be a collection of that kind here");
    let is_mkcalendar = context.method.as_str() == "MKCALENDAR";
    match missing.space {
        // What calendarserver.org calls a subscribed calendar: this server fetches it, so that every program sees it.
        Space::Calendars if missing.parent.is_none() && says(CALENDARSERVER, "subscribed") => {
            Ok(ContainerKind::DerivedCalendar)
        }
        Space::Calendars if missing.parent.is_none() => {
            if !is_mkcalendar && !says(CALDAV, "calendar") {
                return Err(wrong());
            }
            let set = find(Name::caldav("supported-calendar-component-set")).map(components_of);
            Ok(match set.as_deref() {
                Some([]) => {
                    return Err(Problem::forbidden("<C:supported-calendar-component/>", "Nothing could be in it"));
                }
                Some([Kind::Task]) => ContainerKind::Tasks,
                Some([Kind::Journal]) => ContainerKind::Notes,
                _ => ContainerKind::Calendar,
            })
        }
        Space::AddressBooks if missing.parent.is_none() && !is_mkcalendar => {
            let has_type = types.is_none() || says(CARDDAV, "addressbook");
            if has_type { Ok(ContainerKind::AddressBook) } else { Err(wrong()) }
        }
        Space::Files if !is_mkcalendar => {
            if says(CALDAV, "calendar") || says(CARDDAV, "addressbook") {
                Err(wrong())
            } else {
                Ok(ContainerKind::Files)
            }
        }
        Space::Calendars | Space::Files if is_mkcalendar => {
            Err(Problem::forbidden("<C:calendar-collection-location-ok/>", "There can't be a calendar here"))
        }
        _ => Err(wrong()),
    }
}

/// Where an external calendar is (`source`, which calendarserver.org wrote down).
fn source_of(properties: &[Element]) -> Result<String, Problem> {
    let source = properties.iter().find(|property| property.name.is(CALENDARSERVER, "source"));
    let url = source.and_then(|source| source.dav("href")).map(|href| href.text().trim().to_owned());
    let is_url = |url: &String| {
        let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        url.len() <= external::URL_BYTES_MAX
            && matches!(scheme.as_deref(), Some("http" | "https" | "webcal" | "webcals"))
    };
    let text = "A subscribed calendar has a source with the URL of a calendar file";
    url.filter(is_url).ok_or_else(|| Problem::forbidden("<S:source/>", text))
}
