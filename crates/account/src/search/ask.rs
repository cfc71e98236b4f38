//! What an index says of a filter.

use sterna_formats::mail::fold::{fold, words};

use super::Filter;
use super::index::{DocSet, Field, Matches, SearchIndex};
use super::needle::strict;
use super::phrase::Phrase;
use crate::StoreError;

impl Filter {
    /// The filters on texts in it, in the order in which everything here meets them.
    pub(super) fn leaves<'a>(&'a self, leaves: &mut Vec<&'a Filter>) {
        match self {
            Filter::Not(inner) => inner.leaves(leaves),
            Filter::And(inner) | Filter::Or(inner) => inner.iter().for_each(|filter| filter.leaves(leaves)),
            filter if filter.is_leaf() => leaves.push(filter),
            _ => {}
        }
    }

    /// Whether it is a filter on texts.
    pub(super) fn is_leaf(&self) -> bool {
        matches!(self, Filter::Header { .. } | Filter::Body(_) | Filter::Text(_) | Filter::Fuzzy(_))
    }

    /// Whether it is a filter on texts that the summary can decide.
    pub(super) fn is_on_subject(&self) -> bool {
        matches!(strict(self), Filter::Header { name, .. } if name.eq_ignore_ascii_case(b"subject"))
    }

    /// What the index says of a filter on texts; `None` when nothing.
    pub(super) fn ask(&self, index: &dyn SearchIndex) -> Result<Option<Matches>, StoreError> {
        let (fields, text): (&[Field], &str) = match strict(self) {
            Filter::Header { text, .. } if self.is_on_subject() => (&[Field::Subject], text),
            Filter::Header { name, text } => match Field::of_header(name) {
                Some(field) => return ask_for(self, index, &[field], text),
                None => {
                    let found = ask_for(self, index, &[Field::Header], text)?;
                    // It may stand in another field.
                    return Ok(found.map(Matches::unsure));
                }
            },
            Filter::Body(text) => (&[Field::Body, Field::Document], text),
            Filter::Text(text) => (&[Field::Header, Field::Body, Field::Document], text),
            _ => return Ok(None),
        };
        ask_for(self, index, fields, text)
    }
}

fn ask_for(
    filter: &Filter,
    index: &dyn SearchIndex,
    fields: &[Field],
    text: &str,
) -> Result<Option<Matches>, StoreError> {
    if matches!(filter, Filter::Fuzzy(_)) { fuzzily(index, fields, text) } else { exactly(index, fields, text) }
}

fn exactly(index: &dyn SearchIndex, fields: &[Field], text: &str) -> Result<Option<Matches>, StoreError> {
    let phrase = Phrase::of(text);
    if phrase.runs.is_empty() {
        return Ok(None);
    }
    let mut all = Matches::default();
    for field in fields {
        let Some(found) = index.find(*field, &phrase)? else { return Ok(None) };
        all.sure.unite(&found.sure);
        all.perhaps.unite(&found.perhaps);
    }
    Ok(Some(all))
}

/// Each word for itself.
fn fuzzily(index: &dyn SearchIndex, fields: &[Field], text: &str) -> Result<Option<Matches>, StoreError> {
    let folded = fold(text);
    let mut all: Option<Matches> = None;
    for word in words(&folded) {
        let Some(mut found) = exactly(index, fields, word)? else { return Ok(None) };
        for field in fields {
            found.sure.unite(&index.find_forms(*field, word)?);
        }
        all = Some(match all {
            None => found,
            Some(all) => all.and(found),
        });
    }
    Ok(all)
}

impl Matches {
    /// Nothing is sure.
    fn unsure(mut self) -> Self {
        self.perhaps.unite(&self.sure);
        Matches { sure: DocSet::default(), perhaps: self.perhaps }
    }

    /// Those that are in both.
    fn and(mut self, other: Matches) -> Self {
        let mut sure = self.sure.clone();
        sure.intersect(&other.sure);
        self = self.unsure();
        self.perhaps.intersect(&other.unsure().perhaps);
        Matches { sure, perhaps: self.perhaps }
    }
}

/// The documents that can match at most; `None` is all. `leaf` counts the filters on texts met so far, so every filter
/// is visited.
pub fn at_most(filter: &Filter, said: &[Option<Matches>], leaf: &mut usize) -> Option<DocSet> {
    match filter {
        Filter::Const(false) => Some(DocSet::default()),
        Filter::And(inner) => {
            let mut all: Option<DocSet> = None;
            for filter in inner {
                all = match (all, at_most(filter, said, leaf)) {
                    (Some(mut all), Some(other)) => {
                        all.intersect(&other);
                        Some(all)
                    }
                    (all, other) => all.or(other),
                };
            }
            all
        }
        Filter::Or(inner) => {
            let mut any = Some(DocSet::default());
            for filter in inner {
                any = match (any, at_most(filter, said, leaf)) {
                    (Some(mut any), Some(other)) => {
                        any.unite(&other);
                        Some(any)
                    }
                    _ => None,
                };
            }
            any
        }
        Filter::Not(inner) => {
            // Only to count what is inside.
            at_most(inner, said, leaf);
            None
        }
        filter if filter.is_leaf() => {
            *leaf += 1;
            said.get(*leaf - 1)?.clone().map(|matches| matches.unsure().perhaps)
        }
        _ => None,
    }
}
