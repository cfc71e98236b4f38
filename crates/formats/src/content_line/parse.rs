//! From bytes to the tree.

use std::borrow::Cow;

use super::{
    COMPONENTS_MAX, Component, ContentLineError, DEPTH_MAX, PARAMETERS_MAX, PROPERTIES_MAX, Parameter, Property,
};

/// The components of a text, in their order: one calendar object, or any number of cards.
///
/// # Errors
/// [`ContentLineError`]: the first thing that is wrong.
pub fn parse(bytes: &[u8]) -> Result<Vec<Component>, ContentLineError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| ContentLineError::NotUtf8)?;
    let mut tree = Tree::default();
    let mut lines = Lines { text, number: 0 };
    while let Some((line, number)) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        let property = property(&line, &mut lines).ok_or(ContentLineError::NotAProperty(number))?;
        tree.take(property, number)?;
    }
    tree.finish(lines.number)
}

/// Components that are open, and those at the top that are done.
#[derive(Default)]
struct Tree {
    open: Vec<Component>,
    done: Vec<Component>,
    components: usize,
    properties: usize,
}

impl Tree {
    fn take(&mut self, property: Property, line: usize) -> Result<(), ContentLineError> {
        match property.name.as_str() {
            "BEGIN" => {
                self.components += 1;
                if self.components > COMPONENTS_MAX {
                    return Err(ContentLineError::TooMany("components"));
                }
                if self.open.len() >= DEPTH_MAX {
                    return Err(ContentLineError::TooMany("levels"));
                }
                let name = property.value.trim().to_ascii_uppercase();
                self.open.push(Component { name, ..Component::default() });
            }
            "END" => {
                let name = property.value.trim();
                let ended = self.open.pop().filter(|open| open.name.eq_ignore_ascii_case(name));
                let ended = ended.ok_or(ContentLineError::Unbalanced(line))?;
                match self.open.last_mut() {
                    Some(parent) => parent.components.push(ended),
                    None => self.done.push(ended),
                }
            }
            _ => {
                self.properties += 1;
                if self.properties > PROPERTIES_MAX {
                    return Err(ContentLineError::TooMany("properties"));
                }
                let open = self.open.last_mut().ok_or(ContentLineError::Unbalanced(line))?;
                open.properties.push(property);
            }
        }
        Ok(())
    }

    fn finish(self, line: usize) -> Result<Vec<Component>, ContentLineError> {
        if !self.open.is_empty() {
            return Err(ContentLineError::Unbalanced(line));
        }
        if self.done.is_empty() { Err(ContentLineError::Empty) } else { Ok(self.done) }
    }
}

/// Unfolded lines.
struct Lines<'a> {
    text: &'a str,
    number: usize,
}

impl<'a> Lines<'a> {
    /// The next one as it stands, without its end.
    fn physical(&mut self) -> Option<&'a str> {
        if self.text.is_empty() {
            return None;
        }
        self.number += 1;
        let (line, rest) = self.text.split_once('\n').unwrap_or((self.text, ""));
        self.text = rest;
        Some(line.strip_suffix('\r').unwrap_or(line))
    }

    /// The next one with what is folded onto it, and the number of its first line.
    fn next(&mut self) -> Option<(Cow<'a, str>, usize)> {
        let mut line = Cow::Borrowed(self.physical()?);
        let number = self.number;
        while self.text.starts_with([' ', '\t']) {
            let more = self.physical()?;
            line.to_mut().push_str(&more[1..]);
        }
        Some((line, number))
    }
}

/// `[group "."] name *(";" param) ":" value`
fn property(line: &str, lines: &mut Lines<'_>) -> Option<Property> {
    let end = line.find([':', ';'])?;
    let (group, name) = line[..end].rsplit_once('.').unwrap_or(("", &line[..end]));
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/');
    if name.is_empty() || !name.bytes().all(is_name) {
        return None;
    }
    let mut property = Property { group: group.to_owned(), name: name.to_ascii_uppercase(), ..Property::default() };
    let mut rest = &line[end..];
    while let Some(parameters) = rest.strip_prefix(';') {
        if property.parameters.len() >= PARAMETERS_MAX {
            return None;
        }
        let (parameter, after) = parameter(parameters)?;
        property.parameters.push(parameter);
        rest = after;
    }
    property.value = rest.strip_prefix(':')?.to_owned();
    // vCard 2.1 folds quoted-printable values by a soft line break.
    if is_quoted_printable(&property) {
        while property.value.ends_with('=') {
            let Some(more) = lines.physical() else { break };
            property.value.pop();
            property.value.push_str(more);
        }
    }
    Some(property)
}

fn is_quoted_printable(property: &Property) -> bool {
    let says = |parameter: &Parameter| {
        matches!(parameter.name.as_str(), "ENCODING" | "")
            && parameter.values.iter().any(|value| value.eq_ignore_ascii_case("QUOTED-PRINTABLE"))
    };
    property.parameters.iter().any(says)
}

/// One parameter, and what follows it.
fn parameter(text: &str) -> Option<(Parameter, &str)> {
    let end = text.find(['=', ';', ':'])?;
    let name = text[..end].trim();
    // Whatever it was meant to be, nobody could say where its value ends.
    if name.contains('"') {
        return None;
    }
    if !text[end..].starts_with('=') {
        // A bare word of vCard 2.1.
        return Some((Parameter { name: String::new(), values: vec![decode_parameter(name)] }, &text[end..]));
    }
    if name.is_empty() {
        return None;
    }
    let mut parameter = Parameter { name: name.to_ascii_uppercase(), values: Vec::new() };
    let mut rest = &text[end + 1..];
    loop {
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_at(rest.find([',', ';', ':'])?),
        };
        parameter.values.push(decode_parameter(value));
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            // What stands behind a closing quote belongs to nobody.
            None => return Some((parameter, &after[after.find([';', ':'])?..])),
        }
    }
}

/// RFC 6868 section 3.2.
fn decode_parameter(value: &str) -> String {
    if !value.contains('^') {
        return value.to_owned();
    }
    let mut decoded = String::with_capacity(value.len());
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = match (c, chars.peek()) {
            ('^', Some('n')) => '\n',
            ('^', Some('^')) => '^',
            ('^', Some('\'')) => '"',
            _ => {
                decoded.push(c);
                continue;
            }
        };
        chars.next();
        decoded.push(escaped);
    }
    decoded
}
