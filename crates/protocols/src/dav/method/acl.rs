//! ACL (RFC 3744 section 8.1): the list of rights of a collection, as a whole.
//!
//! Below a folder of files the same entries are changed: what is in a folder is shared with it.

use std::collections::BTreeMap;

use http::{Response, StatusCode};
use sterna_account::acl::ACL_ENTRIES_MAX;
use sterna_account::commit::MUTATIONS_MAX;
use sterna_account::{Container, Identifier, ItemParts, Mutation, Rights};
use sterna_base::ContainerId;
use sterna_formats::dav::href::path_of;
use sterna_formats::dav::request::{Ace, AcePrincipal, acl};
use sterna_formats::dav::xml::BODY_BYTES_MAX;

use super::delete::{noticed_above, tree_of};
use crate::dav::answer::{Problem, done};
use crate::dav::body::{self, Body};
use crate::dav::context::{Context, Request, no_directory};
use crate::dav::limits::TRIES;
use crate::dav::locks::Write;
use crate::dav::precondition::{came_too_late, check_write};
use crate::dav::property::{NoRights, rights_of, say_the_same};
use crate::dav::resource::{Collection, Resource};
use crate::grants::{self, Grant, GrantError};

/// Entries by whose they are, and whether they take away.
type Entries = BTreeMap<(Identifier, bool), Rights>;

pub async fn run(request: Request) -> Result<Response<Body>, Problem> {
    let context = request.context;
    let aces = acl(&body::whole(request.body, BODY_BYTES_MAX).await?)?;
    for _ in 0..TRIES {
        match set(&context, &aces).await {
            Err(problem) if came_too_late(&problem) => {}
            result => return result,
        }
    }
    Err(Problem::unavailable(1))
}

async fn set(context: &Context, aces: &[Ace]) -> Result<Response<Body>, Problem> {
    let resource = Resource::find(context, context.uri.path(), ItemParts::default()).await?;
    let collection = match &resource {
        Resource::Collection(collection) => collection,
        Resource::Missing(_) => return Err(Problem::not_found()),
        Resource::Item(collection, _) => {
            collection.check(Rights::ADMINISTER, "write-acl")?;
            let text = "Rights are those of the collection";
            return Err(Problem::forbidden("<D:no-inherited-ace-conflict/>", text));
        }
        _ => return Err(Problem::new(StatusCode::FORBIDDEN, "Nobody can be given rights here")),
    };
    collection.check(Rights::ADMINISTER, "write-acl")?;
    let href = resource.canonical();
    let write = Write { path: &href, changes_members: false, with_below: false };
    let (locks, _) = check_write(context, &collection.home, &resource, write).await?;
    let wanted = entries(context, collection, aces).await?;
    let changes = changes(&collection.container, &wanted);
    let grants = on_tree(collection, &changes).await?;
    if !grants.is_empty() {
        let (shares, mut steps) = (context.shared.shares.as_ref(), vec![locks.expectation()]);
        steps.extend(noticed(&grants));
        if steps.len() + grants.len() > MUTATIONS_MAX {
            return Err(Problem::new(StatusCode::FORBIDDEN, "There are too many collections in it; share those"));
        }
        grants::change(shares, &collection.home.account, steps, &grants).await.map_err(problem)?;
    }
    Ok(done(StatusCode::OK))
}

/// Why rights could not be given.
pub fn problem(error: GrantError) -> Problem {
    match error {
        GrantError::Account(error) => error.into(),
        GrantError::Directory(error) => no_directory(error),
    }
}

/// What the request says, as a list of rights.
async fn entries(context: &Context, collection: &Collection, aces: &[Ace]) -> Result<Entries, Problem> {
    let mut entries = Entries::new();
    let mut has_granted = false;
    for ace in aces {
        let rights = rights_of(&ace.privileges).map_err(|error| match error {
            NoRights::Unknown => Problem::forbidden("<D:not-supported-privilege/>", "There is no such privilege"),
            NoRights::Abstract => Problem::forbidden("<D:no-abstract/>", "That privilege comes with others only"),
        })?;
        if ace.deny && has_granted {
            let text = "What is taken away counts more than what is given, and so stands first";
            return Err(Problem::forbidden("<D:deny-before-grant/>", text));
        }
        has_granted |= !ace.deny;
        let identifier = match &ace.principal {
            AcePrincipal::Authenticated => Identifier::Anyone,
            AcePrincipal::Owner => Identifier::Entry(collection.home.account.id()),
            AcePrincipal::Inverted => {
                return Err(Problem::forbidden("<D:no-invert/>", "Who is not somebody can't be given rights"));
            }
            // Who has not logged in gets at nothing here: public links are for that.
            AcePrincipal::All | AcePrincipal::Other => {
                return Err(Problem::forbidden("<D:allowed-principal/>", "Only who logs in can be given rights"));
            }
            AcePrincipal::Href(href) => {
                let unknown = || Problem::forbidden("<D:recognized-principal/>", "There is no such principal");
                let path = path_of(href).ok_or_else(unknown)?;
                context.identifier_at(path).await?.ok_or_else(unknown)?
            }
        };
        if identifier == Identifier::Entry(collection.home.account.id()) {
            // The owner's entry stands whatever is said; only taking from it is a conflict.
            if ace.deny {
                let text = "The owner has every right, and keeps it";
                return Err(Problem::forbidden("<D:no-protected-ace-conflict/>", text));
            }
            continue;
        }
        let entry = entries.entry((identifier, ace.deny)).or_default();
        *entry = *entry | rights;
    }
    if entries.len() > ACL_ENTRIES_MAX {
        return Err(Problem::forbidden("<D:limited-number-of-aces/>", "There are too many; give rights to a group"));
    }
    Ok(entries)
}

/// The entries of a list that are to be others. One that says the same as before keeps its letters: some say nothing in
/// an ACL.
fn changes(container: &Container, wanted: &Entries) -> Entries {
    let mut changes = Entries::new();
    for entry in container.acl.entries() {
        let key = (entry.identifier, entry.negative);
        if !wanted.contains_key(&key) {
            changes.insert(key, Rights::NONE);
        }
    }
    for ((identifier, negative), rights) in wanted {
        let before = container.acl.get(*identifier, *negative);
        if before.is_empty() || !say_the_same(before, *rights) {
            changes.insert((*identifier, *negative), *rights);
        }
    }
    changes
}

/// The same changes on everything that is shared with it.
async fn on_tree(collection: &Collection, changes: &Entries) -> Result<Vec<Grant>, Problem> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let all = collection.home.account.containers().await?;
    let mut grants = Vec::new();
    for container in tree_of(&collection.container, &all) {
        if !collection.home.rights(&container).has(Rights::ADMINISTER) {
            continue;
        }
        for ((identifier, negative), rights) in changes {
            let (identifier, negative, rights) = (*identifier, *negative, *rights);
            if container.acl.get(identifier, negative) != rights {
                grants.push(Grant { container: container.clone(), identifier, negative, rights });
            }
        }
    }
    Ok(grants)
}

/// The steps by which the folders above hear of it, each once: whoever keeps those in step sees more or less in them.
fn noticed(grants: &[Grant]) -> Vec<Mutation> {
    let by_id: BTreeMap<ContainerId, &Container> =
        grants.iter().map(|grant| (grant.container.id, &grant.container)).collect();
    by_id.into_values().flat_map(noticed_above).collect()
}
