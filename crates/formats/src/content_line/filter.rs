//! Filters over properties, as calendar-query (RFC 4791 section 9.7) and addressbook-query (RFC 6352 section 10.5) have
//! them in common.

use super::{Component, Property, unescape};

/// How texts are compared (RFC 4790).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Collation {
    /// `i;ascii-casemap`: what CalDAV takes for granted.
    #[default]
    AsciiCasemap,
    /// `i;unicode-casemap` (RFC 5051): what CardDAV takes for granted.
    UnicodeCasemap,
    /// `i;octet`
    Octet,
}

impl Collation {
    /// Every one that is offered.
    pub const ALL: [Collation; 3] = [Collation::AsciiCasemap, Collation::UnicodeCasemap, Collation::Octet];

    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Collation::AsciiCasemap => "i;ascii-casemap",
            Collation::UnicodeCasemap => "i;unicode-casemap",
            Collation::Octet => "i;octet",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Collation::ALL.into_iter().find(|collation| collation.name() == name)
    }

    /// What is equal under the collation is the same here.
    pub fn fold(self, text: &str) -> String {
        use unicode_normalization::UnicodeNormalization as _;
        match self {
            Collation::AsciiCasemap => text.to_ascii_lowercase(),
            Collation::UnicodeCasemap => text.nfkd().flat_map(char::to_lowercase).collect(),
            Collation::Octet => text.to_owned(),
        }
    }
}

/// Where in a value the text must stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatchType {
    /// All of it.
    Equals,
    /// Anywhere.
    #[default]
    Contains,
    /// At its start.
    StartsWith,
    /// At its end.
    EndsWith,
}

/// `text-match`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextMatch {
    folded: String,
    collation: Collation,
    match_type: MatchType,
    negate: bool,
}

impl TextMatch {
    /// For this text.
    pub fn new(text: &str, collation: Collation, match_type: MatchType, negate: bool) -> Self {
        TextMatch { folded: collation.fold(text), collation, match_type, negate }
    }

    /// The text, as the collation compares it.
    pub fn text(&self) -> &str {
        &self.folded
    }

    /// Whether a value is meant.
    pub fn matches(&self, value: &str) -> bool {
        let (value, text) = (self.collation.fold(value), self.folded.as_str());
        let found = match self.match_type {
            MatchType::Equals => value == text,
            MatchType::Contains => value.contains(text),
            MatchType::StartsWith => value.starts_with(text),
            MatchType::EndsWith => value.ends_with(text),
        };
        found != self.negate
    }
}

/// Whether one of several conditions will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Test {
    /// All of them must hold.
    #[default]
    AllOf,
    /// One must hold.
    AnyOf,
}

impl Test {
    /// Over conditions; none at all holds.
    pub fn holds(self, conditions: impl ExactSizeIterator<Item = bool>) -> bool {
        let mut conditions = conditions;
        match self {
            _ if conditions.len() == 0 => true,
            Test::AllOf => conditions.all(|holds| holds),
            Test::AnyOf => conditions.any(|holds| holds),
        }
    }
}

/// `param-filter`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamFilter {
    /// In upper case.
    pub name: String,
    /// Whether it must not be there.
    pub is_not_defined: bool,
    /// What it must say.
    pub text: Option<TextMatch>,
}

/// `prop-filter`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PropFilter {
    /// In upper case.
    pub name: String,
    /// What stands before the dot, if that is asked for; in upper case.
    pub group: Option<String>,
    /// Whether it must not be there.
    pub is_not_defined: bool,
    /// How the conditions below go together.
    pub test: Test,
    /// When it must be: seconds since 1970, from and before.
    pub range: Option<(i64, i64)>,
    /// What it must say.
    pub texts: Vec<TextMatch>,
    /// What its parameters must say.
    pub params: Vec<ParamFilter>,
}

impl PropFilter {
    /// Whether a component has such a property. `is_in_range` says whether a property's time is in a range.
    pub fn matches(&self, component: &Component, is_in_range: &dyn Fn(&Property, (i64, i64)) -> bool) -> bool {
        let is_meant = |property: &&Property| {
            let group = self.group.as_deref();
            property.name == self.name && group.is_none_or(|group| property.group.eq_ignore_ascii_case(group))
        };
        let mut meant = component.properties.iter().filter(is_meant);
        if self.is_not_defined {
            return meant.next().is_none();
        }
        meant.any(|property| self.is_like(property, is_in_range))
    }

    fn is_like(&self, property: &Property, is_in_range: &dyn Fn(&Property, (i64, i64)) -> bool) -> bool {
        let value = unescape(&property.value);
        let mut conditions: Vec<bool> = Vec::new();
        conditions.extend(self.range.map(|range| is_in_range(property, range)));
        conditions.extend(self.texts.iter().map(|text| text.matches(&value)));
        conditions.extend(self.params.iter().map(|param| param.matches(property)));
        self.test.holds(conditions.into_iter())
    }
}

impl ParamFilter {
    fn matches(&self, property: &Property) -> bool {
        let is_meant = |name: &str| name == self.name;
        // vCard 2.1 has types without their name.
        let bare = |name: &str| name.is_empty() && self.name == "TYPE";
        let mut values = property
            .parameters
            .iter()
            .filter(|parameter| is_meant(&parameter.name) || bare(&parameter.name))
            .flat_map(|parameter| &parameter.values)
            .peekable();
        if self.is_not_defined {
            return values.peek().is_none();
        }
        match &self.text {
            None => values.peek().is_some(),
            Some(text) => values.any(|value| text.matches(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collations() {
        let is = |collation, match_type, text: &str, value: &str| {
            TextMatch::new(text, collation, match_type, false).matches(value)
        };
        use Collation::{AsciiCasemap, Octet, UnicodeCasemap};
        assert!(is(AsciiCasemap, MatchType::Contains, "MEET", "a meeting"));
        assert!(!is(AsciiCasemap, MatchType::Contains, "ÜBER", "über"));
        assert!(is(UnicodeCasemap, MatchType::Contains, "ÜBER", "u\u{308}bermorgen"));
        assert!(!is(Octet, MatchType::Contains, "M", "meeting"));
        assert!(is(UnicodeCasemap, MatchType::StartsWith, "a", "Abc") && !is(Octet, MatchType::EndsWith, "b", "Abc"));
        assert!(is(Octet, MatchType::Equals, "Abc", "Abc") && !is(Octet, MatchType::Equals, "Ab", "Abc"));
        assert!(!TextMatch::new("a", Octet, MatchType::Contains, true).matches("a"));
    }
}
