//! Several questions in one, each about what an earlier one found: what lies on another node, or behind another thread,
//! is asked once and not four times.

use serde::{Deserialize, Serialize};

use crate::{Account, AccountError, Container, ContainerKind, Head, Item, ItemParts, Read, StoreError, UidSet};

/// A question. `of` is the number of the question before it, from 0, that finds the container it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lookup {
    /// The account as a whole.
    Head,
    /// The container of this name at the top, of the first of these kinds that has one.
    Container {
        /// Of which kinds.
        kinds: Vec<ContainerKind>,
        /// Its name.
        name: String,
    },
    /// The container of this kind that is about another one ([`ContainerKind::about`]).
    About {
        /// About which.
        of: usize,
        /// Of which kind.
        kind: ContainerKind,
    },
    /// The item of this name.
    Item {
        /// In which container.
        of: usize,
        /// Its name.
        name: String,
        /// What of it.
        parts: ItemParts,
    },
    /// The first items, at most [`ITEMS_MAX`].
    Items {
        /// In which container.
        of: usize,
        /// What of them.
        parts: ItemParts,
    },
}

/// How many items [`Lookup::Items`] gives: who gets so many asks for them with [`Account::items`].
pub const ITEMS_MAX: usize = 32;

/// How many questions may be asked in one; those beyond are not answered.
pub const LOOKUPS_MAX: usize = 64;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Of [`Lookup::Head`].
    Head(Head),
    /// Of [`Lookup::Container`] and [`Lookup::About`].
    Container(Option<Container>),
    /// Of [`Lookup::Item`].
    Item(Option<Item>),
    /// Of [`Lookup::Items`]; none where there is no container.
    Items(Vec<Item>),
}

impl Answer {
    /// The account that was asked for.
    pub fn head(self) -> Option<Head> {
        match self {
            Answer::Head(head) => Some(head),
            _ => None,
        }
    }

    /// The container that was asked for.
    pub fn container(&self) -> Option<&Container> {
        match self {
            Answer::Container(container) => container.as_ref(),
            _ => None,
        }
    }

    /// The item that was asked for.
    pub fn item(self) -> Option<Item> {
        match self {
            Answer::Item(item) => item,
            _ => None,
        }
    }

    /// The items that were asked for.
    pub fn items(self) -> Vec<Item> {
        match self {
            Answer::Items(items) => items,
            _ => Vec::new(),
        }
    }
}

/// All items of a container, at most `limit`, when [`Lookup::Items`] gave these.
///
/// # Errors
/// When the account can't be read.
pub async fn all_items(
    account: &dyn Account,
    container: &Container,
    first: Vec<Item>,
    parts: ItemParts,
    limit: usize,
) -> Result<Vec<Item>, AccountError> {
    if first.len() < ITEMS_MAX {
        return Ok(first);
    }
    account.items(container.id, &UidSet::all(), parts, limit).await
}

fn found(answers: &[Answer], of: usize) -> Option<&Container> {
    answers.get(of)?.container()
}

/// Answers them; all see what is there, but a commit may lie between two of them.
///
/// # Errors
/// When the store can't be read.
pub fn look_up(read: &dyn Read, lookups: &[Lookup]) -> Result<Vec<Answer>, StoreError> {
    let mut answers = Vec::with_capacity(lookups.len().min(LOOKUPS_MAX));
    for lookup in lookups.iter().take(LOOKUPS_MAX) {
        let answer = match lookup {
            Lookup::Head => Answer::Head(read.head()?),
            Lookup::Container { kinds, name } => {
                let path = [name.clone()];
                let mut container = None;
                for kind in kinds {
                    container = read.containers_on_path(*kind, &path)?.pop();
                    if container.is_some() {
                        break;
                    }
                }
                Answer::Container(container)
            }
            Lookup::About { of, kind } => Answer::Container(match found(&answers, *of) {
                Some(of) => read.containers_on_path(*kind, &[ContainerKind::about(Some(of.id))])?.pop(),
                None => None,
            }),
            Lookup::Item { of, name, parts } => Answer::Item(match found(&answers, *of) {
                Some(of) => read.item_named(of.id, name, *parts)?,
                None => None,
            }),
            Lookup::Items { of, parts } => Answer::Items(match found(&answers, *of) {
                Some(of) if of.counts.items > 0 => read.items(of.id, &UidSet::all(), *parts, ITEMS_MAX)?,
                _ => Vec::new(),
            }),
        };
        answers.push(answer);
    }
    Ok(answers)
}

/// The same with one question after the other, for accounts that are not far.
///
/// # Errors
/// As [`Account::look_up`].
pub async fn one_by_one<A: Account + ?Sized>(account: &A, lookups: &[Lookup]) -> Result<Vec<Answer>, AccountError> {
    let mut answers = Vec::with_capacity(lookups.len().min(LOOKUPS_MAX));
    for lookup in lookups.iter().take(LOOKUPS_MAX) {
        let answer = match lookup {
            Lookup::Head => Answer::Head(account.head().await?),
            Lookup::Container { kinds, name } => {
                let path = [name.clone()];
                let mut container = None;
                for kind in kinds {
                    container = account.containers_on_path(*kind, &path).await?.pop();
                    if container.is_some() {
                        break;
                    }
                }
                Answer::Container(container)
            }
            Lookup::About { of, kind } => Answer::Container(match found(&answers, *of) {
                Some(of) => account.containers_on_path(*kind, &[ContainerKind::about(Some(of.id))]).await?.pop(),
                None => None,
            }),
            Lookup::Item { of, name, parts } => Answer::Item(match found(&answers, *of) {
                Some(of) => account.item_named(of.id, name, *parts).await?,
                None => None,
            }),
            Lookup::Items { of, parts } => Answer::Items(match found(&answers, *of) {
                Some(of) if of.counts.items > 0 => account.items(of.id, &UidSet::all(), *parts, ITEMS_MAX).await?,
                _ => Vec::new(),
            }),
        };
        answers.push(answer);
    }
    Ok(answers)
}
