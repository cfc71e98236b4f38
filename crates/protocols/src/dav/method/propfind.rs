//! PROPFIND (RFC 4918 section 9.1).

use std::sync::Arc;

use http::Response;
use sterna_account::Rights;
use sterna_formats::dav::headers::Depth;
use sterna_formats::dav::request::Propfind;
use sterna_formats::dav::xml::BODY_BYTES_MAX;

use crate::dav::answer::{Out, Problem, multistatus};
use crate::dav::body::{self, Body};
use crate::dav::context::{Context, Request};
use crate::dav::home;
use crate::dav::mounted::{self, Listed};
use crate::dav::paths::{self, Proxy, Space};
use crate::dav::property::{Selection, Teller};
use crate::dav::report::listing;
use crate::dav::resource::Resource;
use crate::dav::scheduling::send_left_behind;

pub async fn run(request: Request) -> Result<Response<Body>, Problem> {
    let context = request.context;
    let depth = context.depth(Depth::Infinity)?;
    let wanted = Propfind::parse(&body::whole(request.body, BODY_BYTES_MAX).await?)?;
    let prefer = context.prefer();
    let selection = Selection::of(&wanted, prefer.minimal)?;
    let resource = Resource::find(&context, context.uri.path(), selection.parts()).await?;
    if let Resource::Missing(_) = resource {
        return Err(Problem::not_found());
    }
    // RFC 4918 section 9.1: a server need not answer for everything below.
    if depth == Depth::Infinity && !matches!(resource, Resource::Item(..)) {
        let text = "Ask for one level after the other";
        return Err(Problem::forbidden("<D:propfind-finite-depth/>", text));
    }
    let teller = Teller { context: context.clone(), selection };
    let with_members = depth == Depth::One;
    let with_root = !(prefer.no_root && with_members);
    multistatus(move |out| tell(context, teller, resource, with_root, with_members, out)).await
}

async fn tell(
    context: Arc<Context>,
    teller: Teller,
    resource: Resource,
    with_root: bool,
    with_members: bool,
    mut out: Out,
) -> Result<Out, Problem> {
    let href = resource.href();
    match resource {
        Resource::Root => {
            if with_root {
                teller.virtual_collection(&href, "Sterna", &mut out.text);
            }
            if with_members {
                teller.virtual_collection("/dav/principals/", "Principals", &mut out.text);
                for space in Space::ALL {
                    teller.virtual_collection(&format!("/dav/{}/", space.part()), space.part(), &mut out.text);
                }
            }
        }
        Resource::Principals => {
            if with_root {
                teller.virtual_collection(&href, "Principals", &mut out.text);
            }
            if with_members {
                teller.virtual_collection("/dav/principals/users/", "Users", &mut out.text);
            }
        }
        // Of others only what is asked for by name is told.
        Resource::Users => {
            if with_root {
                teller.virtual_collection(&href, "Users", &mut out.text);
            }
            if with_members {
                let home = context.own_home().await?;
                teller.principal(&home, &paths::principal(&home.address), &mut out.text).await?;
            }
        }
        Resource::Principal(home) => {
            teller.principal(&home, &href, &mut out.text).await?;
            if with_members {
                for proxy in [Proxy::Read, Proxy::Write] {
                    teller.proxy(&home, proxy, &paths::proxy(&home.address, proxy), &mut out.text).await?;
                }
            }
        }
        Resource::Proxy(home, proxy) => teller.proxy(&home, proxy, &href, &mut out.text).await?,
        Resource::Crowd(crowd) => teller.crowd(&crowd, &mut out.text),
        Resource::Homes(space) => {
            if with_root {
                teller.virtual_collection(&href, space.part(), &mut out.text);
            }
            if with_members {
                let home = context.own_home().await?;
                teller.home(&home, space, &paths::home(space, &home.address), &mut out.text);
            }
        }
        Resource::Home(space, home) => {
            if with_root {
                teller.home(&home, space, &href, &mut out.text);
            }
            if with_members {
                if let Some(scheduling) = context.shared.scheduling.clone().filter(|_| home.is_own()) {
                    send_left_behind(&home, scheduling, context.now()).await?;
                }
                for collection in home::collections(&home, space).await? {
                    let background = teller.background(&collection).await?;
                    teller.collection(&collection, &background, &mut out.text);
                    out.pause().await?;
                }
                if home.is_own() {
                    for listed in mounted::all(&context, &home, space).await? {
                        one_of_others(&teller, &listed, &mut out).await?;
                    }
                }
            }
        }
        Resource::Collection(mut collection) => {
            let is_asked = with_members || teller.selection.asks_for_state();
            let of_others = match is_asked {
                true => mounted::in_own_files(&context, &mut collection).await?,
                false => Vec::new(),
            };
            let background = teller.background(&collection).await?;
            if with_root {
                teller.collection(&collection, &background, &mut out.text);
            }
            if with_members {
                for below in home::folders(&collection).await? {
                    let background = teller.background(&below).await?;
                    teller.collection(&below, &background, &mut out.text);
                    out.pause().await?;
                }
                if collection.rights.has(Rights::READ) {
                    listing::all(&teller, &collection, &background, &mut out).await?;
                }
                for listed in &of_others {
                    one_of_others(&teller, listed, &mut out).await?;
                }
            }
        }
        Resource::Item(collection, item) => {
            let background = teller.background(&collection).await?;
            listing::one(&teller, &collection, item, &background, &mut out).await?;
        }
        Resource::Missing(_) => return Err(Problem::not_found()),
    }
    Ok(out)
}

/// A collection of somebody else in the user's home. One whose server goes away is told as it was seen.
///
/// # Errors
/// When it can't be read, or nobody reads the answer.
pub async fn one_of_others(teller: &Teller, listed: &Listed, out: &mut Out) -> Result<(), Problem> {
    match listed {
        Listed::Away(away) => teller.away(away, &mut out.text),
        Listed::Here(collection) => {
            let background = teller.background(collection).await?;
            teller.collection(collection, &background, &mut out.text);
        }
    }
    out.pause().await
}
