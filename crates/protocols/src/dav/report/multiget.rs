//! calendar-multiget (RFC 4791 section 7.9) and addressbook-multiget (RFC 6352 section 8.7).

use std::collections::HashMap;
use std::sync::Arc;

use http::Response;
use sterna_account::Rights;
use sterna_formats::dav::href::path_of;
use sterna_formats::dav::request::Propfind;
use sterna_formats::dav::write;

use super::listing;
use crate::dav::answer::{Out, Problem, multistatus};
use crate::dav::body::Body;
use crate::dav::context::Context;
use crate::dav::paths::{Place, Space};
use crate::dav::property::{Background, Selection, Teller};
use crate::dav::resource::{Collection, collection};

pub async fn run(context: Arc<Context>, props: Propfind, hrefs: Vec<String>) -> Result<Response<Body>, Problem> {
    let selection = Selection::of(&props, context.prefer().minimal)?;
    let multiget = Multiget { teller: Teller { context, selection }, known: HashMap::new() };
    multistatus(move |out| multiget.tell(hrefs, out)).await
}

struct Multiget {
    teller: Teller,
    /// Collections that were looked up: requests are mostly about one.
    known: HashMap<(Space, String, String), Option<Arc<(Collection, Background)>>>,
}

impl Multiget {
    async fn tell(mut self, hrefs: Vec<String>, mut out: Out) -> Result<Out, Problem> {
        for href in hrefs {
            if !self.tell_one(&href, &mut out).await? {
                write::status_response(path_of(&href).unwrap_or(&href), "404 Not Found", None, &mut out.text);
            }
            out.pause().await?;
        }
        Ok(out)
    }

    async fn tell_one(&mut self, href: &str, out: &mut Out) -> Result<bool, Problem> {
        let place = path_of(href).map(Place::parse);
        let Some(Ok(Place::In(space, owner, path))) = place else { return Ok(false) };
        let [first, name] = &path[..] else { return Ok(false) };
        let Some(known) = self.collection(space, owner, first.clone()).await? else { return Ok(false) };
        let (collection, background) = &*known;
        let (account, id) = (collection.home.account.as_ref(), collection.container.id);
        let Some(item) = account.item_named(id, name, self.teller.selection.parts()).await? else { return Ok(false) };
        listing::one(&self.teller, collection, item, background, out).await?;
        Ok(true)
    }

    async fn collection(
        &mut self,
        space: Space,
        owner: String,
        name: String,
    ) -> Result<Option<Arc<(Collection, Background)>>, Problem> {
        let key = (space, owner, name);
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let found = match self.teller.context.home(&key.1).await {
            Ok(home) => collection(&home, space, &key.2).await?,
            Err(problem) if problem.status == http::StatusCode::NOT_FOUND => None,
            Err(problem) => return Err(problem),
        };
        let known = match found.filter(|collection| collection.rights.has(Rights::READ)) {
            Some(collection) => {
                let background = self.teller.background(&collection).await?;
                Some(Arc::new((collection, background)))
            }
            None => None,
        };
        self.known.insert(key, known.clone());
        Ok(known)
    }
}
