//! How well messages match a fuzzy search (RFC 6203 section 4): a score of the index.
//!
//! BM25 with what the index knows: in how many documents a word is, in which field of a message, and how many different
//! words the message has; how often a word is in it is not kept. A form of a word counts half. The sum is told as a
//! part of the most that a message could have, so that scores of different mailboxes can be compared.

use sterna_base::{ContainerId, Uid};
use sterna_formats::mail::fold::{fold, words};

use super::Filter;
use super::feed::is_of;
use super::index::{DocSet, Field, SearchIndex};
use super::needle::strict;
use super::phrase::Phrase;
use crate::{Read, StoreError, UidSet};

/// How soon the length of a text matters (`b` of BM25), and how much (`k1`).
const B: f64 = 0.75;
const K1: f64 = 1.2;

/// What a form of a word counts, the word itself being 1.
const OF_FORM: f64 = 0.5;

/// The score of a message of which no index knows anything: that of one in the middle.
pub const UNKNOWN: u8 = 50;

/// Words of all texts that are looked for; more change nothing.
const WORDS_MAX: usize = 64;

/// What a word counts where it stands. A subject says what a message is about; a header names a word in passing.
fn weight(field: Field) -> f64 {
    match field {
        Field::Subject => 4.0,
        Field::From => 3.0,
        Field::To | Field::Cc | Field::Bcc => 2.0,
        Field::Body => 1.5,
        Field::Header | Field::Document => 1.0,
    }
}

/// Where the words of a text are looked for.
fn fields_of(filter: &Filter) -> Vec<Field> {
    use Field::{Bcc, Body, Cc, Document, From, Header, Subject, To};
    match strict(filter) {
        Filter::Header { name, .. } if name.eq_ignore_ascii_case(b"subject") => vec![Subject],
        Filter::Header { name, .. } => vec![Field::of_header(name).unwrap_or(Header)],
        Filter::Body(_) => vec![Body, Document],
        _ => vec![Subject, From, To, Cc, Bcc, Header, Body, Document],
    }
}

/// The texts that a message is wanted for.
fn wanted<'a>(filter: &'a Filter, texts: &mut Vec<&'a Filter>) {
    match filter {
        Filter::And(inner) | Filter::Or(inner) => inner.iter().for_each(|filter| wanted(filter, texts)),
        filter if filter.is_leaf() => texts.push(filter),
        // What it must not have says nothing of what it has.
        _ => {}
    }
}

/// The documents that have a word in a field.
struct Place {
    weight: f64,
    has_length: bool,
    as_typed: DocSet,
    forms: DocSet,
}

/// A word that is looked for.
struct Word {
    places: Vec<Place>,
    /// What it says that a message has it: more, the fewer have it.
    idf: f64,
}

impl Word {
    fn find(index: &dyn SearchIndex, fields: &[Field], word: &str, documents: u64) -> Result<Word, StoreError> {
        let (mut places, mut all) = (Vec::new(), DocSet::default());
        for &field in fields {
            let mut as_typed = DocSet::default();
            if let Some(found) = index.find(field, &Phrase::of(word))? {
                as_typed.unite(&found.sure);
                as_typed.unite(&found.perhaps);
            }
            let forms = index.find_forms(field, word)?;
            all.unite(&as_typed);
            all.unite(&forms);
            let has_length = matches!(field, Field::Body | Field::Document | Field::Header);
            places.push(Place { weight: weight(field), has_length, as_typed, forms });
        }
        let (documents, having) = (documents as f64, all.len() as f64);
        let idf = (1.0 + (documents - having).max(0.0) / (having + 0.5)).ln() + f64::MIN_POSITIVE;
        Ok(Word { places, idf })
    }

    /// What it adds to the score of a document of this length, which is 1 on average.
    fn of(&self, document: u32, length: f64) -> f64 {
        let best = self.places.iter().map(|place| {
            let part = match () {
                () if place.as_typed.contains(document) => 1.0,
                () if place.forms.contains(document) => OF_FORM,
                () => return 0.0,
            };
            part * place.weight * saturation(if place.has_length { length } else { 0.0 })
        });
        self.idf * best.fold(0.0, f64::max)
    }

    /// The most that it can add.
    fn most(&self) -> f64 {
        self.idf * saturation(0.0) * self.places.iter().map(|place| place.weight).fold(0.0, f64::max)
    }
}

/// What one occurrence is worth in a text of this length, which is 1 on average.
fn saturation(length: f64) -> f64 {
    (K1 + 1.0) / (1.0 + K1 * (1.0 - B + B * length))
}

/// Scores of these messages, from 1 to 100, by UID; those that the index does not have are left out.
///
/// # Errors
/// When the index can't be read, or is one of another history of the account.
pub fn relevancy(
    read: &dyn Read,
    index: &dyn SearchIndex,
    container: ContainerId,
    filter: &Filter,
    uids: &UidSet,
) -> Result<Vec<(Uid, u8)>, StoreError> {
    if let Some(progress) = index.progress()?
        && !is_of(&progress, &read.head()?)
    {
        return Err(StoreError::Corrupt("the index is one of another history of the account".into()));
    }
    let mut texts = Vec::new();
    wanted(filter, &mut texts);
    let (documents, average) = index.lengths()?;
    let mut looked_for = Vec::new();
    for text in texts {
        let fields = fields_of(text);
        let Some(folded) = text_of(text).map(fold) else { continue };
        for word in words(&folded).take(WORDS_MAX - looked_for.len()) {
            looked_for.push(Word::find(index, &fields, word, documents)?);
        }
    }
    let most: f64 = looked_for.iter().map(Word::most).sum();
    let mut scores = Vec::new();
    for (uid, document, length) in index.items_with_lengths(container, uids)? {
        let length = if average > 0.0 { length as f64 / average } else { 1.0 };
        let sum: f64 = looked_for.iter().map(|word| word.of(document, length)).sum();
        let part = if most > 0.0 { sum / most } else { 0.5 };
        scores.push((uid, (1.0 + 99.0 * part).round().clamp(1.0, 100.0) as u8));
    }
    Ok(scores)
}

fn text_of(filter: &Filter) -> Option<&str> {
    match strict(filter) {
        Filter::Header { text, .. } | Filter::Body(text) | Filter::Text(text) => Some(text),
        _ => None,
    }
}
