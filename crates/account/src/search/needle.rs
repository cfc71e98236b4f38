//! A text that is looked for in the texts of one message.

use sterna_formats::mail::fold::{fold, words};
use sterna_formats::mail::stem::{is_form, stems};

use super::Filter;
use super::look::Text;

/// A filter on texts, made ready for one message.
pub struct Needle<'a> {
    /// Without [`Filter::Fuzzy`].
    filter: &'a Filter,
    /// Folded.
    text: String,
    /// Of the field of HEADER, in lower case.
    name: Vec<u8>,
    /// For a fuzzy filter: its words that were not met yet, with their stems.
    missing: Option<Vec<(String, Vec<(String, u8)>)>>,
}

impl<'a> Needle<'a> {
    /// Of a filter on texts.
    pub fn of(filter: &'a Filter) -> Self {
        let is_fuzzy = matches!(filter, Filter::Fuzzy(_));
        let filter = strict(filter);
        let (name, text): (&[u8], &str) = match filter {
            Filter::Header { name, text } => (name, text),
            Filter::Body(text) | Filter::Text(text) => (&[], text),
            _ => (&[], ""),
        };
        let text = fold(text);
        let missing: Vec<_> = words(&text).map(|word| (word.to_owned(), stems(word))).collect();
        // A text of signs has no forms.
        let missing = Some(missing).filter(|words| is_fuzzy && !words.is_empty());
        Needle { filter, text, name: name.to_ascii_lowercase(), missing }
    }

    /// Whether it may be in the header.
    pub fn wants_header(&self) -> bool {
        matches!(self.filter, Filter::Header { .. } | Filter::Text(_))
    }

    /// Whether it may be in the headers of parts.
    pub fn wants_part_headers(&self) -> bool {
        matches!(self.filter, Filter::Text(_))
    }

    /// Whether it may be in the texts, those of attached documents among them.
    pub fn wants_body(&self) -> bool {
        matches!(self.filter, Filter::Body(_) | Filter::Text(_))
    }

    /// Looks through a text, and says whether it was found by now.
    pub fn is_in(&mut self, text: &Text<'_>) -> bool {
        let value = match (self.filter, text) {
            (Filter::Header { .. }, Text::Field { name, value }) if self.name == *name => *value,
            (Filter::Text(_), Text::Field { name, value } | Text::PartField { name, value }) => {
                let name = fold(&String::from_utf8_lossy(name));
                if self.is_in_line(&name, value) || (self.missing.is_some() && self.meets(&name)) {
                    return true;
                }
                *value
            }
            (Filter::Body(_) | Filter::Text(_), Text::Body(text) | Text::Document(text)) => *text,
            _ => return false,
        };
        if self.missing.is_some() { self.meets(value) } else { value.contains(&self.text) }
    }

    /// In `name: value`, and not in the value alone.
    fn is_in_line(&self, name: &str, value: &str) -> bool {
        let may_go_over = self.text.starts_with(' ') || self.text.contains(':');
        name.contains(&self.text) || (may_go_over && format!("{name}: {value}").contains(&self.text))
    }

    /// Strikes out the words that this text has, or has a form of; whether none is left.
    fn meets(&mut self, text: &str) -> bool {
        let Some(missing) = &mut self.missing else { return false };
        missing
            .retain(|(word, stems)| !text.contains(word.as_str()) && !words(text).any(|found| is_form(found, stems)));
        missing.is_empty()
    }
}

/// The filter without [`Filter::Fuzzy`].
pub fn strict(filter: &Filter) -> &Filter {
    match filter {
        Filter::Fuzzy(inner) => strict(inner),
        filter => filter,
    }
}
