//! Reports about principals (RFC 3744 section 9) and expand-property (RFC 3253 section 3.8).

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use http::{Response, StatusCode};
use sterna_account::{Identifier, ItemParts, Rights};
use sterna_formats::content_line::filter::Test;
use sterna_formats::dav::href::path_of;
use sterna_formats::dav::report::{Expanded, PropertySearch};
use sterna_formats::dav::request::{Propfind, Wanted};
use sterna_formats::dav::{Element, Name, write};

use crate::dav::answer::{Problem, XML, multistatus, response};
use crate::dav::body::Body;
use crate::dav::context::{Context, Home};
use crate::dav::home;
use crate::dav::limits::EXPANDED_MAX;
use crate::dav::paths;
use crate::dav::property::{Selection, Teller};
use crate::dav::resource::Resource;

/// principal-match (RFC 3744 section 9.3): with `self` the principals that the user is, groups and the domain among
/// them; with a property the collections in a home whose value is the user, which only `owner` can be.
pub async fn matching(
    context: Arc<Context>,
    props: Propfind,
    property: Option<Name>,
) -> Result<Response<Body>, Problem> {
    let own = paths::principal(&context.login.address);
    let Some(property) = property else {
        let who = context.who().await?;
        let groups = who.groups.iter().map(|group| Identifier::Entry(*group));
        let all: Vec<Identifier> = groups.chain(who.domain.map(Identifier::Domain)).collect();
        let mut paths: Vec<String> = context.hrefs(all.into_iter()).await?.into_values().collect();
        paths.sort_unstable();
        paths.insert(0, own);
        return tell_paths(&context, &props, paths).await;
    };
    let resource = Resource::find(&context, context.uri.path(), ItemParts::default()).await?;
    let selection = Selection::of(&props, context.prefer().minimal)?;
    let teller = Teller { context: context.clone(), selection };
    multistatus(move |mut out| async move {
        if let Resource::Home(space, home) = resource
            && home.is_own()
            && property.is("DAV:", "owner")
        {
            for collection in home::collections(&home, space).await? {
                let background = teller.background(&collection).await?;
                teller.collection(&collection, &background, &mut out.text);
                out.pause().await?;
            }
        }
        Ok(out)
    })
    .await
}

/// principal-property-search. Nobody is found by a part of a name but rooms and things: who may be found by whom is for
/// the directory's books to say. Whoever is known by an address is found by it.
pub async fn search(
    context: Arc<Context>,
    searches: Vec<PropertySearch>,
    test: Test,
    props: Propfind,
) -> Result<Response<Body>, Problem> {
    let mut homes = vec![context.own_home().await?];
    let mut names: HashMap<String, String> = HashMap::new();
    for search in &searches {
        let text = search.text.text();
        let address = text.strip_prefix("mailto:").unwrap_or(text);
        if !address.contains('@') {
            // Rooms and things are to be found by everybody.
            let Some(scheduling) = &context.shared.scheduling else { continue };
            for found in scheduling.resources(address).await {
                let Some(address) = found.addresses.into_iter().next() else { continue };
                if names.insert(address.clone(), found.name).is_none() && address != homes[0].address {
                    homes.push(context.home(&address).await?);
                }
            }
            continue;
        }
        match context.home(address).await {
            Ok(home) if homes.iter().all(|known| known.address != home.address) => homes.push(home),
            Ok(_) => {}
            Err(problem) if problem.status == StatusCode::NOT_FOUND => {}
            Err(problem) => return Err(problem),
        }
    }
    homes.retain(|home| {
        let name = names.get(&home.address).cloned().unwrap_or_default();
        let values = [home.address.clone(), format!("mailto:{}", home.address), paths::principal(&home.address), name];
        test.holds(searches.iter().map(|search| values.iter().any(|value| search.text.matches(value))))
    });
    tell(&context, &props, homes).await
}

/// principal-search-property-set
pub fn search_properties() -> Response<Body> {
    let mut xml = String::new();
    write::root("D:principal-search-property-set", &mut xml);
    for (name, text) in [("D:displayname", "Name"), ("C:calendar-user-address-set", "Address")] {
        xml.push_str(&format!(
            "<D:principal-search-property><D:prop><{name}/></D:prop>\
             <D:description xml:lang=\"en\">{text}</D:description></D:principal-search-property>"
        ));
    }
    xml.push_str("</D:principal-search-property-set>\n");
    response(StatusCode::OK, XML, xml)
}

/// acl-principal-prop-set: those who are named in a list of rights.
pub async fn of_acl(context: Arc<Context>, props: Propfind) -> Result<Response<Body>, Problem> {
    let resource = Resource::find(&context, context.uri.path(), ItemParts::default()).await?;
    let collection = match resource {
        Resource::Collection(collection) | Resource::Item(collection, _) => collection,
        Resource::Missing(_) => return Err(Problem::not_found()),
        _ => return Err(Problem::forbidden("<D:supported-report/>", "It has no list of rights")),
    };
    collection.check(Rights::ADMINISTER, "read-acl")?;
    let named = collection.container.acl.entries().iter().map(|entry| entry.identifier);
    let mut paths: Vec<String> = context.hrefs(named).await?.into_values().collect();
    paths.sort_unstable();
    paths.insert(0, paths::principal(&collection.home.address));
    tell_paths(&context, &props, paths).await
}

async fn tell(context: &Arc<Context>, props: &Propfind, homes: Vec<Home>) -> Result<Response<Body>, Problem> {
    let paths = homes.iter().map(|home| paths::principal(&home.address)).collect();
    tell_paths(context, props, paths).await
}

/// Tells of principals by their paths; who is gone meanwhile is left out.
async fn tell_paths(context: &Arc<Context>, props: &Propfind, paths: Vec<String>) -> Result<Response<Body>, Problem> {
    let selection = Selection::of(props, context.prefer().minimal)?;
    let teller = Teller { context: context.clone(), selection };
    multistatus(move |mut out| async move {
        for path in paths {
            match Resource::find(&teller.context, &path, ItemParts::default()).await {
                Ok(Resource::Principal(home)) => teller.principal(&home, &path, &mut out.text).await?,
                Ok(Resource::Crowd(crowd)) => teller.crowd(&crowd, &mut out.text),
                Ok(_) => {}
                Err(problem) if problem.status == StatusCode::NOT_FOUND => {}
                Err(problem) => return Err(problem),
            }
            out.pause().await?;
        }
        Ok(out)
    })
    .await
}

/// expand-property
pub async fn expand(context: Arc<Context>, properties: Vec<Expanded>) -> Result<Response<Body>, Problem> {
    let resource = Resource::find(&context, context.uri.path(), ItemParts::default()).await?;
    if let Resource::Missing(_) = resource {
        return Err(Problem::not_found());
    }
    multistatus(move |mut out| async move {
        let mut room = EXPANDED_MAX;
        expand_one(&context, &resource, &properties, &mut room, &mut out.text).await?;
        Ok(out)
    })
    .await
}

/// One resource with its properties, and in those the resources that they lead to.
fn expand_one<'a>(
    context: &'a Arc<Context>,
    resource: &'a Resource,
    properties: &'a [Expanded],
    room: &'a mut usize,
    out: &'a mut String,
) -> Pin<Box<dyn Future<Output = Result<(), Problem>> + Send + 'a>> {
    Box::pin(async move {
        *room = room.checked_sub(1).ok_or_else(|| Problem::new(StatusCode::FORBIDDEN, "That leads too far"))?;
        let (mut found, mut missing) = (String::new(), String::new());
        for property in properties {
            let Some(element) = property_of(context, resource, property).await? else {
                write::empty(&property.name, &mut missing);
                continue;
            };
            let hrefs: Vec<String> =
                element.elements().filter(|below| below.name.is("DAV:", "href")).map(Element::text).collect();
            let mut inner = String::new();
            if property.below.is_empty() || hrefs.is_empty() {
                element.write(&mut found);
                continue;
            }
            for href in hrefs {
                let Some(path) = path_of(&href) else { continue };
                match Resource::find(context, path, ItemParts::default()).await {
                    Ok(Resource::Missing(_)) => write::status_response(path, "404 Not Found", None, &mut inner),
                    Ok(below) => expand_one(context, &below, &property.below, room, &mut inner).await?,
                    Err(problem) if problem.status == StatusCode::NOT_FOUND => {
                        write::status_response(path, "404 Not Found", None, &mut inner);
                    }
                    Err(problem) => return Err(problem),
                }
            }
            write::element(&property.name, &inner, &mut found);
        }
        write::response(&resource.href(), &[("200 OK", &found), ("404 Not Found", &missing)], out);
        Ok(())
    })
}

/// One property as an element that was read back: told as PROPFIND tells it.
async fn property_of(
    context: &Arc<Context>,
    resource: &Resource,
    property: &Expanded,
) -> Result<Option<Element>, Problem> {
    let wanted = Propfind::Prop(vec![Wanted { name: property.name.clone(), element: None }]);
    let teller = Teller { context: context.clone(), selection: Selection::of(&wanted, true)? };
    let (mut xml, href) = (String::new(), resource.href());
    write::multistatus_start(&mut xml);
    match resource {
        Resource::Principal(home) => teller.principal(home, &href, &mut xml).await?,
        Resource::Proxy(home, proxy) => teller.proxy(home, *proxy, &href, &mut xml).await?,
        Resource::Crowd(crowd) => teller.crowd(crowd, &mut xml),
        Resource::Home(space, home) => teller.home(home, *space, &href, &mut xml),
        Resource::Collection(collection) => {
            let background = teller.background(collection).await?;
            teller.collection(collection, &background, &mut xml);
        }
        Resource::Item(collection, item) => {
            let background = teller.background(collection).await?;
            teller.item(collection, item, &background, None, &mut xml);
        }
        _ => teller.virtual_collection(&href, "", &mut xml),
    }
    write::multistatus_end(&mut xml);
    let root = Element::parse(xml.as_bytes()).ok();
    let prop = root.as_ref().and_then(|root| root.dav("response")?.dav("propstat")?.dav("prop"));
    Ok(prop.and_then(|prop| prop.elements().next()).cloned())
}
