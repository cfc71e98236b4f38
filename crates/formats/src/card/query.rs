//! What addressbook-query asks (RFC 6352 section 10.5), and some of a card (section 10.4).

use crate::content_line::filter::{PropFilter, Test};
use crate::content_line::{Component, write_filtered};

/// `filter`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// How the conditions go together; without being said, one will do.
    pub test: Test,
    /// Themselves; without any, every card is meant.
    pub props: Vec<PropFilter>,
}

impl Filter {
    /// Whether a card is meant.
    pub fn matches(&self, card: &Component) -> bool {
        self.test.holds(self.props.iter().map(|prop| prop.matches(card, &|_, _| false)))
    }
}

/// `CARDDAV:address-data` as a request has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressData {
    /// Names of properties in upper case; `None` is all.
    pub props: Option<Vec<String>>,
}

impl AddressData {
    /// The card as asked for.
    pub fn apply(&self, card: &Component) -> String {
        let mut text = String::new();
        // A card without its version is none.
        let is_wanted = |name: &str| {
            name == "VERSION" || self.props.as_ref().is_none_or(|props| props.iter().any(|prop| prop == name))
        };
        write_filtered(card, &mut text, &mut |_, property| is_wanted(&property.name));
        text
    }
}
