//! PROPPATCH (RFC 4918 section 9.2): all changes or none.

use http::Response;
use sterna_account::{ItemParts, Rights};
use sterna_formats::dav::request::{Change, proppatch};
use sterna_formats::dav::write;
use sterna_formats::dav::xml::BODY_BYTES_MAX;

use crate::dav::answer::{Problem, multistatus};
use crate::dav::body::{self, Body};
use crate::dav::context::Request;
use crate::dav::locks::Write;
use crate::dav::precondition::check_write;
use crate::dav::property::is_protected;
use crate::dav::resource::Resource;
use crate::dav::stored::{self, Setting};

pub async fn run(request: Request) -> Result<Response<Body>, Problem> {
    let context = request.context;
    let changes = proppatch(&body::whole(request.body, BODY_BYTES_MAX).await?)?;
    let resource = Resource::find(&context, context.uri.path(), ItemParts::default()).await?;
    let href = resource.href();
    let (collection, item) = match &resource {
        Resource::Collection(collection) => (collection, None),
        Resource::Item(collection, item) => (collection, Some(item.uid)),
        Resource::Missing(_) => return Err(Problem::not_found()),
        _ => return Err(Problem::new(http::StatusCode::FORBIDDEN, "Nothing can be set here")),
    };
    collection.check(Rights::WRITE, "write-properties")?;
    let write = Write { path: &href, changes_members: false, with_below: false };
    check_write(&context, &collection.home, &resource, write).await?;
    let is_refused = changes.iter().any(|change| is_protected(change.name()));
    if !is_refused {
        let settings = changes.iter().map(|change| setting(change, item)).collect();
        stored::set(collection.home.account.as_ref(), collection.container.id, settings).await?;
    }
    multistatus(move |mut out| async move {
        tell(&href, &changes, is_refused, &mut out.text);
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
