//! calendar-multiget (RFC 4791 section 7.9) and addressbook-multiget (RFC 6352 section 8.7).

use std::collections::HashMap;
use std::sync::Arc;

use http::Response;
use sterna_account::{Item, Rights};
use sterna_base::Uid;
use sterna_formats::dav::href::path_of;
use sterna_formats::dav::request::Propfind;
use sterna_formats::dav::write;

use super::listing;
use crate::dav::answer::{Out, Problem, multistatus};
use crate::dav::body::Body;
use crate::dav::context::Context;
use crate::dav::limits::BODIES_AT_ONCE;
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
    known: HashMap<(Space, String, String), Option<Arc<Known>>>,
}

/// A collection, and what is said of everything in it.
type Known = (Collection, Background);

const NOT_FOUND: &str = "404 Not Found";

impl Multiget {
    async fn tell(mut self, hrefs: Vec<String>, mut out: Out) -> Result<Out, Problem> {
        for some in hrefs.chunks(BODIES_AT_ONCE) {
            let found = self.find(some).await?;
            for (href, found) in some.iter().zip(found) {
                match found {
                    Some((known, item)) => {
                        let (collection, background) = &*known;
                        listing::one(&self.teller, collection, item, background, &mut out).await?;
                    }
                    None => write::status_response(path_of(href).unwrap_or(href), NOT_FOUND, None, &mut out.text),
                }
                out.pause().await?;
            }
        }
        Ok(out)
    }

    /// What these lead to, in their order. All names of one collection are one question: the account may be on another
    /// node.
    async fn find(&mut self, hrefs: &[String]) -> Result<Vec<Option<(Arc<Known>, Item)>>, Problem> {
        let mut found: Vec<_> = hrefs.iter().map(|_| None).collect();
        let mut asked: Vec<(Arc<Known>, Vec<(usize, String)>)> = Vec::new();
        for (at, href) in hrefs.iter().enumerate() {
            let place = path_of(href).map(Place::parse);
            let Some(Ok(Place::In(space, owner, path))) = place else { continue };
            let [first, name] = &path[..] else { continue };
            let Some(known) = self.collection(space, owner, first.clone()).await? else { continue };
            match asked.iter_mut().find(|(other, _)| Arc::ptr_eq(other, &known)) {
                Some((_, names)) => names.push((at, name.clone())),
                None => asked.push((known, vec![(at, name.clone())])),
            }
        }
        for (known, names) in asked {
            let (places, names): (Vec<usize>, Vec<String>) = names.into_iter().unzip();
            for (at, item) in places.into_iter().zip(self.items(&known.0, &names).await?) {
                found[at] = item.map(|item| (known.clone(), item));
            }
        }
        Ok(found)
    }

    /// The items of these names, in their order.
    async fn items(&self, collection: &Collection, names: &[String]) -> Result<Vec<Option<Item>>, Problem> {
        let uids = collection.home.account.uids_named(collection.container.id, names).await?;
        let mut rising: Vec<Uid> = uids.iter().flatten().copied().collect();
        rising.sort_unstable();
        rising.dedup();
        let items = listing::with_uids(collection, &rising, self.teller.selection.parts()).await?;
        let by_uid: HashMap<Uid, Item> = items.into_iter().map(|item| (item.uid, item)).collect();
        Ok(uids.into_iter().map(|uid| by_uid.get(&uid?).cloned()).collect())
    }

    async fn collection(&mut self, space: Space, owner: String, name: String) -> Result<Option<Arc<Known>>, Problem> {
        let key = (space, owner, name);
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let found = match self.teller.context.home(&key.1).await {
            Ok(home) => collection(&self.teller.context, &home, space, &key.2).await,
            Err(problem) => Err(problem),
        };
        let found = match found {
            Ok(found) => found,
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
