//! Properties that clients set: items of the container that holds what is noted about another one
//! ([`ContainerKind::Metadata`]), called `dav:{namespace}name` when they are about the collection, and
//! `dav:UID:{namespace}name` when they are about the item with that UID. Their content is the property's XML.

use std::collections::HashMap;

use bytes::Bytes;
use sterna_account::commit::{Expect, MADE};
use sterna_account::lookup::all_items;
use sterna_account::{
    Account, AccountError, Answer, ContainerKind, Content, ItemParts, Lookup, Mutation, NewItem, container_named,
};
use sterna_base::{ContainerId, OperationId, Uid};
use sterna_formats::dav::{Element, Name};

use super::answer::Problem;
use super::limits::{NAME_BYTES_MAX, PROPERTIES_MAX, PROPERTY_BYTES_MAX};

/// What of an item says what was set.
const BODY: ItemParts = ItemParts { body: true, summary: false, summary_start: false };

/// What was set about a collection and what is in it.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    container: Option<ContainerId>,
    values: HashMap<(Option<Uid>, Name), String>,
}

impl Stored {
    /// Reads it.
    ///
    /// # Errors
    /// When the account can't be read.
    pub async fn read(account: &dyn Account, about: ContainerId) -> Result<Self, AccountError> {
        let (kinds, name) = (vec![ContainerKind::Metadata], ContainerKind::about(Some(about)));
        let lookups = [Lookup::Container { kinds, name }, Lookup::Items { of: 0, parts: BODY }];
        let mut answers = account.look_up(&lookups).await?.into_iter();
        Self::found(account, &mut answers).await
    }

    /// The questions that find what is about the container that another one finds, when the first of them is that one
    /// of those that are asked.
    pub fn lookups(first: usize, of: usize) -> [Lookup; 2] {
        [Lookup::About { of, kind: ContainerKind::Metadata }, Lookup::Items { of: first, parts: BODY }]
    }

    /// What the answers tell of.
    ///
    /// # Errors
    /// When there is more, and the account can't be read.
    pub async fn found(
        account: &dyn Account,
        answers: &mut impl Iterator<Item = Answer>,
    ) -> Result<Self, AccountError> {
        let (container, items) = (answers.next(), answers.next());
        let Some(container) = container.as_ref().and_then(Answer::container) else { return Ok(Stored::default()) };
        let items = items.map(Answer::items).unwrap_or_default();
        let items = all_items(account, container, items, BODY, PROPERTIES_MAX).await?;
        let values = items.into_iter().filter_map(|item| {
            let key = parse_key(item.name.as_deref()?)?;
            Some((key, String::from_utf8(item.body?.to_vec()).ok()?))
        });
        Ok(Stored { container: Some(container.id), values: values.collect() })
    }

    /// The XML of a property: the whole element.
    pub fn get(&self, item: Option<Uid>, name: &Name) -> Option<&str> {
        self.values.get(&(item, name.clone())).map(String::as_str)
    }

    /// Puts a value in the place of a property of the collection: the user's own, for the answer only.
    pub fn put_over(&mut self, name: Name, xml: String) {
        self.values.insert((None, name), xml);
    }

    /// The text of a property.
    pub fn text(&self, name: &Name) -> Option<String> {
        Element::parse(self.get(None, name)?.as_bytes()).ok().map(|element| element.text())
    }

    /// The names of what was set about an item, or about the collection.
    pub fn names(&self, item: Option<Uid>) -> Vec<Name> {
        let mut names: Vec<Name> =
            self.values.keys().filter(|(of, _)| *of == item).map(|(_, name)| name.clone()).collect();
        names.sort();
        names
    }

    /// The steps that make what is set about an item the same about another one of this collection.
    pub fn copied(&self, from: Uid, to: Uid, target: ContainerId) -> Vec<Mutation> {
        let of = self.values.iter().filter(|((item, _), _)| *item == Some(from));
        of.map(|((_, name), xml)| put(target, Some(to), name, xml.clone())).collect()
    }

    /// The steps that forget what is set about an item.
    pub fn forgotten(&self, item: Uid) -> Vec<Mutation> {
        let Some(container) = self.container else { return Vec::new() };
        let of = self.names(Some(item)).into_iter();
        of.map(|name| Mutation::Remove { container, name: key(Some(item), &name) }).collect()
    }
}

/// A change of a property; `None` removes it.
pub type Setting = (Option<Uid>, Name, Option<String>);

/// Sets and removes properties of a collection and what is in it, all or none.
///
/// # Errors
/// When one is too long, or the account can't be written.
pub async fn set(account: &dyn Account, about: ContainerId, settings: Vec<Setting>) -> Result<(), Problem> {
    check_sizes(&settings)?;
    if settings.is_empty() {
        return Ok(());
    }
    let steps = steps(container(account, about).await?, settings);
    account.commit(OperationId::random(), steps).await?;
    Ok(())
}

/// The steps that note properties of the collection that was made last in the same commit.
///
/// # Errors
/// When one is too long.
pub fn at_first(settings: Vec<Setting>) -> Result<Vec<Mutation>, Problem> {
    check_sizes(&settings)?;
    Ok(steps(MADE, settings))
}

fn check_sizes(settings: &[Setting]) -> Result<(), Problem> {
    let too_long = |(item, name, xml): &Setting| {
        xml.as_ref().is_some_and(|xml| xml.len() > PROPERTY_BYTES_MAX) || key(*item, name).len() > NAME_BYTES_MAX
    };
    if settings.iter().any(too_long) {
        return Err(Problem::new(http::StatusCode::INSUFFICIENT_STORAGE, "A property is too long"));
    }
    Ok(())
}

/// The steps that change what is noted in this container.
fn steps(container: ContainerId, settings: Vec<Setting>) -> Vec<Mutation> {
    let step = |(item, name, xml): Setting| match xml {
        Some(xml) => put(container, item, &name, xml),
        None => Mutation::Remove { container, name: key(item, &name) },
    };
    settings.into_iter().map(step).collect()
}

/// Where notes about a collection are; made when there is none.
///
/// # Errors
/// When the account can't be written.
pub async fn container(account: &dyn Account, about: ContainerId) -> Result<ContainerId, AccountError> {
    Ok(container_named(account, ContainerKind::Metadata, &ContainerKind::about(Some(about))).await?.id)
}

/// The step that forgets all notes about a collection, if there are any.
///
/// # Errors
/// When the account can't be read.
pub async fn forget(account: &dyn Account, about: ContainerId) -> Result<Option<Mutation>, AccountError> {
    let path = [ContainerKind::about(Some(about))];
    let found = account.containers_on_path(ContainerKind::Metadata, &path).await?.pop();
    Ok(found.map(|container| Mutation::DeleteContainer { container: container.id }))
}

fn put(container: ContainerId, item: Option<Uid>, name: &Name, xml: String) -> Mutation {
    let item = NewItem::named(key(item, name), Content::Inline(Bytes::from(xml)));
    Mutation::Put { container, item, expect: Expect::Any }
}

fn key(item: Option<Uid>, name: &Name) -> String {
    match item {
        None => format!("dav:{}", name.clark()),
        Some(uid) => format!("dav:{uid}:{}", name.clark()),
    }
}

fn parse_key(text: &str) -> Option<(Option<Uid>, Name)> {
    let rest = text.strip_prefix("dav:")?;
    if rest.starts_with('{') {
        return Some((None, Name::from_clark(rest)?));
    }
    let (uid, name) = rest.split_once(':')?;
    Some((Some(uid.parse().ok()?), Name::from_clark(name)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lead_back() {
        let name = Name::from_clark("{http://x/:y}z").unwrap();
        for item in [None, Some(Uid(7))] {
            assert_eq!(parse_key(&key(item, &name)), Some((item, name.clone())));
        }
        for other in ["/private/comment", "dav:", "dav:x:{a}b", "dav:1:b"] {
            assert_eq!(parse_key(other), None, "{other}");
        }
    }
}
