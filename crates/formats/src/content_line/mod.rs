//! Content lines: what iCalendar (RFC 5545 section 3.1) and vCard (RFC 6350 section 3.3) have in common. Lines are
//! unfolded, and `BEGIN` and `END` make a tree of them.
//!
//! Values stay as they were written. What a property means is said by [`crate::calendar`] and [`crate::card`]; filters
//! and partial retrieval need no more than this, and what nobody knows comes out again as it went in. The tree knows no
//! limits of a product: what is read leniently here (a missing `END` of a line, bare LF, bytes that are not UTF-8) is
//! refused, where it must be, by who asks for it.

pub mod filter;
mod parse;
mod text;
mod write;

pub use parse::parse;
pub use text::{escape, is_in_escape, split_list, split_structured, unescape};
pub use write::{write, write_filtered};

/// Most bytes of one object: the `max-resource-size` that is announced.
pub const OBJECT_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Deepest nesting of components; iCalendar needs three levels, some products use four.
pub const DEPTH_MAX: usize = 8;

/// Most components in one object.
pub const COMPONENTS_MAX: usize = 20_000;

/// Most properties in one object.
pub const PROPERTIES_MAX: usize = 500_000;

/// Most parameters of one property.
pub const PARAMETERS_MAX: usize = 256;

/// A component: `BEGIN:VEVENT` to `END:VEVENT`, or a whole card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Component {
    /// In upper case.
    pub name: String,
    /// In their order.
    pub properties: Vec<Property>,
    /// In their order, after the properties.
    pub components: Vec<Component>,
}

/// A content line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Property {
    /// What stands before the dot in a vCard (RFC 6350 section 3.3); empty without.
    pub group: String,
    /// In upper case.
    pub name: String,
    /// In their order.
    pub parameters: Vec<Parameter>,
    /// As written, unfolded.
    pub value: String,
}

/// A parameter of a property.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameter {
    /// In upper case; empty for the bare words of vCard 2.1 (`TEL;HOME:`).
    pub name: String,
    /// Without their quotes, and with what RFC 6868 escapes put back.
    pub values: Vec<String>,
}

/// Why bytes are no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentLineError {
    /// Neither UTF-8 nor something that could be read as such.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// There is no component in it.
    #[error("there is no BEGIN line")]
    Empty,
    /// A line that is not `name:value`.
    #[error("line {0} is not a property")]
    NotAProperty(usize),
    /// `END` without its `BEGIN`, or the other way round.
    #[error("BEGIN and END do not match at line {0}")]
    Unbalanced(usize),
    /// It passes a limit.
    #[error("there are too many {0}")]
    TooMany(&'static str),
}

impl Component {
    /// The first property of this name.
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name == name)
    }

    /// All properties of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Property> {
        self.properties.iter().filter(move |property| property.name == name)
    }

    /// The value of the first property of this name, as written.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.property(name).map(|property| property.value.as_str())
    }

    /// Makes this the value of the first property of this name, or of a new one; its parameters stay.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        match self.properties.iter_mut().find(|property| property.name == name) {
            Some(property) => property.value = value.into(),
            None => self.properties.push(Property::new(name, value)),
        }
    }

    /// Removes all properties of this name.
    pub fn remove(&mut self, name: &str) {
        self.properties.retain(|property| property.name != name);
    }

    /// The text of the first property of this name.
    pub fn text(&self, name: &str) -> Option<String> {
        self.value(name).map(unescape)
    }
}

impl Property {
    /// Without parameters; the value as it is written.
    pub fn new(name: &str, value: impl Into<String>) -> Self {
        Property { name: name.to_owned(), value: value.into(), ..Property::default() }
    }

    /// Makes this the only value of a parameter.
    pub fn set_parameter(&mut self, name: &str, value: &str) {
        let values = vec![value.to_owned()];
        match self.parameters.iter_mut().find(|parameter| parameter.name == name) {
            Some(parameter) => parameter.values = values,
            None => self.parameters.push(Parameter { name: name.to_owned(), values }),
        }
    }

    /// Removes a parameter.
    pub fn remove_parameter(&mut self, name: &str) {
        self.parameters.retain(|parameter| parameter.name != name);
    }

    /// The values of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&[String]> {
        let found = self.parameters.iter().find(|parameter| parameter.name == name);
        found.map(|parameter| parameter.values.as_slice())
    }

    /// The first value of a parameter.
    pub fn parameter_value(&self, name: &str) -> Option<&str> {
        self.parameter(name).and_then(|values| values.first()).map(String::as_str)
    }
}
