//! An object and all that a write of it depends on, found with one look at its account: each look is a way to other
//! threads, or to another node, and a client that waits for each of its writes waits for each of them.

use sterna_account::{Answer, ItemParts, Lookup};

use super::answer::Problem;
use super::context::Context;
use super::locks::Locks;
use super::mounted::Mount;
use super::paths::{Place, Space};
use super::resource::{Resource, SEEING, item_or_missing, seen_with};
use super::stored::Stored;

/// What was found besides.
pub struct Beside {
    /// The account's locks.
    pub locks: Locks,
    /// What is set about the collection.
    pub stored: Stored,
}

/// What a path of an object leads to; `None` when it has to be looked for as [`Resource::find`] does: in files, in what
/// others share, where there is no such collection.
///
/// # Errors
/// As [`Resource::find`].
pub async fn object(context: &Context, path: &str, parts: ItemParts) -> Result<Option<(Resource, Beside)>, Problem> {
    let Place::In(space, owner, names) = Place::parse(path)? else { return Ok(None) };
    let Ok([collection, name]) = <[String; 2]>::try_from(names) else { return Ok(None) };
    if space == Space::Files || collection.parse::<Mount>().is_ok() {
        return Ok(None);
    }
    let home = context.home(&owner).await?;
    let mut lookups = vec![
        Lookup::Container { kinds: space.kinds().to_vec(), name: collection.clone() },
        Lookup::Item { of: 0, name: name.clone(), parts },
    ];
    lookups.extend(Locks::lookups(lookups.len()));
    lookups.extend(Stored::lookups(lookups.len(), 0));
    let account = home.account.clone();
    let mut answers = account.look_up(&lookups).await?.into_iter();
    let container = answers.next().as_ref().and_then(Answer::container).cloned();
    let item = answers.next().and_then(Answer::item);
    let Some(container) = container else { return Ok(None) };
    let Some(collection) = seen_with(&home, space, vec![collection], container, SEEING) else { return Ok(None) };
    let locks = Locks::found(account.as_ref(), context.now(), &mut answers).await?;
    let stored = Stored::found(account.as_ref(), &mut answers).await?;
    Ok(Some((item_or_missing(collection, name, item)?, Beside { locks, stored })))
}
