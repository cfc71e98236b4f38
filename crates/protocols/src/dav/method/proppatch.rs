//! PROPPATCH (RFC 4918 section 9.2): all changes or none.

use http::Response;
use sterna_account::{Identifier, ItemParts, Rights};
use sterna_formats::dav::href::path_of;
use sterna_formats::dav::name::DAV;
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
use crate::dav::resource::Resource;
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
    let own = collection.mounted.as_ref().filter(|_| item.is_none());
    let (personal, common): (Vec<&Change>, Vec<&Change>) =
        changes.iter().partition(|change| own.is_some() && is_personal(change.name()));
    let path = resource.canonical();
    if !common.is_empty() {
        collection.check(Rights::WRITE, "write-properties")?;
        let write = Write { path: &path, changes_members: false, with_below: false };
        check_write(&context, &collection.home, &resource, write).await?;
    }
    let is_refused = changes.iter().any(|change| is_protected(change.name()));
    if !is_refused {
        let settings = common.into_iter().map(|change| setting(change, item)).collect();
        stored::set(collection.home.account.as_ref(), collection.container.id, settings).await?;
        if let Some(mounted) = own.filter(|_| !personal.is_empty()) {
            let settings = personal.into_iter().map(|change| setting(change, None)).map(|(_, name, xml)| (name, xml));
            mounted::set(mounted, settings.collect()).await?;
        }
    }
    multistatus(move |mut out| async move {
        tell(&href, &changes, is_refused, &mut out.text);
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
        tell(&href, &changes, false, &mut out.text);
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

fn tell(href: &str, changes: &[Change], is_refused: bool, out: &mut String) {
    let (mut set, mut protected, mut failed) = (String::new(), String::new(), String::new());
    for change in changes {
        let list = match is_refused {
            false => &mut set,
            true if is_protected(change.name()) => &mut protected,
            true => &mut failed,
        };
        write::empty(change.name(), list);
    }
    out.push_str("<D:response>");
    write::href(href, out);
    let mut propstat = |status: &str, names: &str, condition: &str| {
        if !names.is_empty() {
            out.push_str(&format!(
                "<D:propstat><D:prop>{names}</D:prop><D:status>HTTP/1.1 {status}</D:status>{condition}</D:propstat>"
            ));
        }
    };
    propstat("200 OK", &set, "");
    propstat("403 Forbidden", &protected, "<D:error><D:cannot-modify-protected-property/></D:error>");
    propstat("424 Failed Dependency", &failed, "");
    out.push_str("</D:response>\n");
}
