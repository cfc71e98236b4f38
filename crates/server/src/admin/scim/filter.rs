//! Filters (RFC 7644 section 3.4.2.2): read into a tree, and held against resources as JSON.

use serde_json::Value;

use super::ScimError;

/// Longest filter, in bytes.
const BYTES_MAX: usize = 8 * 1024;

/// Deepest nesting of parentheses and values.
const DEPTH_MAX: usize = 20;

/// A filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// Either.
    Or(Box<Filter>, Box<Filter>),
    /// Not.
    Not(Box<Filter>),
    /// An attribute is there.
    Present(Attribute),
    /// An attribute compares so with a value.
    Compare(Attribute, Operator, Value),
    /// A value of a multi-valued attribute fits.
    Has(Attribute, Box<Filter>),
}

/// The path of an attribute: its name, and that of a part of it; without the URN of a core schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The URN of the extension that it belongs to.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// Of its value, this part.
    pub part: Option<String>,
}

/// How values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The same.
    Eq,
    /// Not the same.
    Ne,
    /// It contains.
    Co,
    /// It begins with.
    Sw,
    /// It ends with.
    Ew,
    /// Greater.
    Gt,
    /// Greater or the same.
    Ge,
    /// Less.
    Lt,
    /// Less or the same.
    Le,
}

/// Core schemas, whose attributes are at the top.
const CORE: [&str; 2] = ["urn:ietf:params:scim:schemas:core:2.0:user", "urn:ietf:params:scim:schemas:core:2.0:group"];

impl Attribute {
    /// Reads `name`, `name.part` and the same after the URN of a schema.
    pub fn read(text: &str) -> Option<Self> {
        let (schema, rest) = match text.to_ascii_lowercase().starts_with("urn:") {
            true => text.rsplit_once(':').map(|(schema, rest)| (Some(schema), rest))?,
            false => (None, text),
        };
        // `2.0:User:name.part`, but the URN alone is an attribute, too: `urn:...:2.0:User`.
        let schema = schema.filter(|schema| !CORE.contains(&schema.to_ascii_lowercase().as_str()));
        let (name, part) = match rest.split_once('.') {
            Some((name, part)) => (name, Some(part)),
            None => (rest, None),
        };
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '$')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_$".contains(c))
        };
        (is_name(name) && part.is_none_or(is_name)).then(|| Attribute {
            schema: schema.map(str::to_owned),
            name: name.to_owned(),
            part: part.map(str::to_owned),
        })
    }

    /// All values that it has in a resource; of complex ones without a part, their `value`.
    fn values<'v>(&self, resource: &'v Value) -> Vec<&'v Value> {
        let within = match &self.schema {
            Some(schema) => member(resource, schema),
            None => Some(resource),
        };
        let Some(found) = within.and_then(|within| member(within, &self.name)) else { return Vec::new() };
        let all: Vec<&Value> = match found {
            Value::Array(items) => items.iter().collect(),
            one => vec![one],
        };
        let part = self.part.as_deref().unwrap_or("value");
        let value = |found: &'v Value| match found {
            Value::Object(_) => member(found, part),
            one => self.part.is_none().then_some(one),
        };
        all.into_iter().filter_map(value).collect()
    }

    /// Names of what is compared letter by letter (RFC 7643 section 2.2, `caseExact`).
    fn is_exact(&self) -> bool {
        ["id", "externalid"].contains(&self.name.to_ascii_lowercase().as_str())
    }
}

/// A member by its name in any case (RFC 7643 section 2.1).
pub fn member<'v>(object: &'v Value, name: &str) -> Option<&'v Value> {
    let object = object.as_object()?;
    object.get(name).or_else(|| {
        let found = object.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    })
}

impl Filter {
    /// Reads one.
    ///
    /// # Errors
    /// `invalidFilter`.
    pub fn read(text: &str) -> Result<Self, ScimError> {
        let wrong = |why: &str| {
            ScimError::new(axum::http::StatusCode::BAD_REQUEST, Some("invalidFilter"), format!("the filter: {why}"))
        };
        if text.len() > BYTES_MAX {
            return Err(wrong("it is too long"));
        }
        let mut reader = Reader { rest: text.trim_start(), depth: 0 };
        let filter = reader.any().map_err(wrong)?;
        match reader.rest.is_empty() {
            true => Ok(filter),
            false => Err(wrong("something follows that doesn't belong to it")),
        }
    }

    /// Whether a resource fits.
    pub fn fits(&self, resource: &Value) -> bool {
        match self {
            Filter::And(one, other) => one.fits(resource) && other.fits(resource),
            Filter::Or(one, other) => one.fits(resource) || other.fits(resource),
            Filter::Not(inner) => !inner.fits(resource),
            Filter::Present(attribute) => attribute.values(resource).iter().any(|value| !is_empty(value)),
            Filter::Compare(attribute, operator, wanted) => {
                let values = attribute.values(resource);
                let fits = |value: &&Value| compares(value, *operator, wanted, attribute.is_exact());
                match operator {
                    // Of what isn't there, nothing is the same.
                    Operator::Ne => {
                        !values.iter().any(|value| compares(value, Operator::Eq, wanted, attribute.is_exact()))
                    }
                    Operator::Eq if wanted.is_null() => values.is_empty(),
                    _ => values.iter().any(fits),
                }
            }
            Filter::Has(attribute, inner) => {
                let items = member(resource, &attribute.name);
                match items {
                    Some(Value::Array(items)) => items.iter().any(|item| inner.fits(item)),
                    Some(one) => inner.fits(one),
                    None => false,
                }
            }
        }
    }

    /// The value that an attribute must have for the filter to fit, if the filter is nothing but that.
    pub fn only(&self, name: &str) -> Option<&str> {
        match self {
            Filter::Compare(attribute, Operator::Eq, Value::String(value))
                if attribute.schema.is_none()
                    && attribute.part.is_none()
                    && attribute.name.eq_ignore_ascii_case(name) =>
            {
                Some(value)
            }
            _ => None,
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn compares(value: &Value, operator: Operator, wanted: &Value, is_exact: bool) -> bool {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let texts = |value: &str, wanted: &str| match operator {
        Operator::Co => value.contains(wanted),
        Operator::Sw => value.starts_with(wanted),
        Operator::Ew => value.ends_with(wanted),
        Operator::Eq => value == wanted,
        Operator::Ne => value != wanted,
        Operator::Gt => value > wanted,
        Operator::Ge => value >= wanted,
        Operator::Lt => value < wanted,
        Operator::Le => value <= wanted,
    };
    match (value, wanted) {
        (Value::String(value), Value::String(wanted)) if is_exact => texts(value, wanted),
        (Value::String(value), Value::String(wanted)) => texts(&value.to_lowercase(), &wanted.to_lowercase()),
        // Entra writes booleans as strings.
        (Value::Bool(value), Value::String(wanted)) => {
            operator == Operator::Eq && value.to_string().eq_ignore_ascii_case(wanted)
        }
        (Value::Bool(value), Value::Bool(wanted)) => operator == Operator::Eq && value == wanted,
        (Value::Number(value), Value::Number(wanted)) => {
            let order = value.as_f64().partial_cmp(&wanted.as_f64());
            match operator {
                Operator::Eq => order == Some(Equal),
                Operator::Gt => order == Some(Greater),
                Operator::Lt => order == Some(Less),
                Operator::Ge => matches!(order, Some(Greater | Equal)),
                Operator::Le => matches!(order, Some(Less | Equal)),
                _ => false,
            }
        }
        _ => false,
    }
}

struct Reader<'t> {
    rest: &'t str,
    depth: usize,
}

type Read<T> = Result<T, &'static str>;

impl<'t> Reader<'t> {
    fn any(&mut self) -> Read<Filter> {
        let mut left = self.all()?;
        while self.word("or") {
            left = Filter::Or(Box::new(left), Box::new(self.all()?));
        }
        Ok(left)
    }

    fn all(&mut self) -> Read<Filter> {
        let mut left = self.one()?;
        while self.word("and") {
            left = Filter::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Read<Filter> {
        if self.sign('(') {
            return self.inner(')');
        }
        let before = self.rest;
        if self.word("not") {
            if self.sign('(') {
                return Ok(Filter::Not(Box::new(self.inner(')')?)));
            }
            self.rest = before;
        }
        let end = self.rest.find(|c: char| c.is_whitespace() || "[]()\"".contains(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        let attribute = Attribute::read(name).ok_or("there must be the name of an attribute")?;
        self.rest = rest;
        // A bracket belongs to the name only without a space between.
        if self.rest.starts_with('[') {
            self.sign('[');
            return Ok(Filter::Has(attribute, Box::new(self.inner(']')?)));
        }
        self.rest = self.rest.trim_start();
        if self.word("pr") {
            return Ok(Filter::Present(attribute));
        }
        let operator = self.operator().ok_or("there must be an operator such as eq")?;
        Ok(Filter::Compare(attribute, operator, self.value()?))
    }

    fn inner(&mut self, end: char) -> Read<Filter> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("it is nested too deeply");
        }
        let filter = self.any()?;
        self.depth -= 1;
        match self.sign(end) {
            true => Ok(filter),
            false => Err("a parenthesis or bracket is not closed"),
        }
    }

    fn sign(&mut self, sign: char) -> bool {
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn word(&mut self, word: &str) -> bool {
        let Some(head) = self.rest.get(..word.len()) else { return false };
        let rest = &self.rest[word.len()..];
        let ends = rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || "()]".contains(c));
        if head.eq_ignore_ascii_case(word) && ends {
            self.rest = rest.trim_start();
            return true;
        }
        false
    }

    fn operator(&mut self) -> Option<Operator> {
        const ALL: [(&str, Operator); 9] = [
            ("eq", Operator::Eq),
            ("ne", Operator::Ne),
            ("co", Operator::Co),
            ("sw", Operator::Sw),
            ("ew", Operator::Ew),
            ("gt", Operator::Gt),
            ("ge", Operator::Ge),
            ("lt", Operator::Lt),
            ("le", Operator::Le),
        ];
        ALL.into_iter().find(|(word, _)| self.word(word)).map(|(_, operator)| operator)
    }

    /// A value as JSON writes it.
    fn value(&mut self) -> Read<Value> {
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter::<Value>();
        let value = values.next().and_then(Result::ok).ok_or("there must be a value in quotes, a number, or true")?;
        let end = values.byte_offset();
        if value.is_object() || value.is_array() {
            return Err("a value is a text, a number, true, false or null");
        }
        self.rest = self.rest[end..].trim_start();
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fits(filter: &str) -> bool {
        let ana = json!({
            "id": "7", "userName": "Ana@tern.test", "active": true, "externalId": "A1", "nickName": "",
            "name": {"formatted": "Ana Lima"},
            "emails": [{"value": "ana@tern.test", "type": "work", "primary": true}, {"value": "a@home.test", "type": "home"}],
            "meta": {"created": "2026-01-01T00:00:00Z"},
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Sea"},
        });
        Filter::read(filter).unwrap_or_else(|error| panic!("{filter}: {error:?}")).fits(&ana)
    }

    #[test]
    fn filters_as_the_rfc_has_them() {
        for filter in [
            r#"userName eq "ana@tern.test""#,
            r#"USERNAME Eq "ANA@tern.test""#,
            r#"name.formatted sw "ana""#,
            r#"emails co "home""#,
            r#"emails.value ew "HOME.test""#,
            r#"emails[type eq "work" and value co "@tern.test"]"#,
            r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "ana""#,
            r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "sea""#,
            r#"userName pr and not (nickName pr)"#,
            r#"title pr or active eq true"#,
            r#"active eq "True""#,
            r#"meta.created gt "2025-12-31T00:00:00Z" and meta.created le "2026-01-01T00:00:00Z""#,
            r#"(userName eq "ben" or userName eq "ana@tern.test") and id eq "7""#,
            r#"userName ne "ben""#,
            r#"title eq null"#,
            r#"externalId eq "A1""#,
        ] {
            assert!(fits(filter), "{filter}");
        }
        for filter in [
            r#"userName eq "ana""#,
            r#"externalId eq "a1""#,
            r#"emails[type eq "home" and value co "@tern.test"]"#,
            r#"title pr"#,
            r#"not (userName pr)"#,
            // `and` binds before `or`.
            r#"id eq "8" and id eq "7" or id eq "9""#,
        ] {
            assert!(!fits(filter), "{filter}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        let deep = format!("{}userName pr{}", "(".repeat(50), ")".repeat(50));
        let long = format!("userName eq \"{}\"", "a".repeat(BYTES_MAX));
        for bad in [
            "",
            "userName",
            "userName eq",
            "userName eq ana",
            "userName is \"a\"",
            "(userName pr",
            "userName pr)",
            "emails[type eq \"a\"",
            "userName eq \"a",
            "eq \"a\"",
            "userName eq [1]",
            "a.b.c pr",
            "userName pr or",
            &deep,
            &long,
            "userName eq \"a\" userName pr",
            "É pr",
        ] {
            assert!(Filter::read(bad).is_err(), "{bad}");
        }
    }
}
