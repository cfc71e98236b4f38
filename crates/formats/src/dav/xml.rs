//! XML of request bodies: elements with their namespaces, within limits. No DTD and no entities but the five of XML
//! itself, so that no text can grow.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::name::{CALDAV, CARDDAV, DAV, Name};
use super::write::{escape, escape_attribute};
use crate::entity::character;

/// Largest body with XML in it, in bytes: a multiget of 10,000 hrefs.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Deepest nesting of elements.
pub const DEPTH_MAX: usize = 32;

/// Most elements of one body.
pub const ELEMENTS_MAX: usize = 100_000;

/// Most attributes of one element, declarations of namespaces among them.
pub const ATTRIBUTES_MAX: usize = 64;

/// An element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// What it is called.
    pub name: Name,
    /// Without declarations of namespaces.
    pub attributes: Vec<(Name, String)>,
    /// Elements and texts in their order.
    pub children: Vec<Node>,
}

/// What is in an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Another one.
    Element(Element),
    /// A text.
    Text(String),
}

/// Why a body is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Not well-formed.
    #[error("the XML is not well-formed: {0}")]
    Malformed(Cow<'static, str>),
    /// A DTD, or an entity that XML itself doesn't have.
    #[error("DTDs and entities are not taken")]
    Entities,
    /// It passes a limit.
    #[error("the XML has too many {0}")]
    TooMany(&'static str),
}

fn malformed(why: &'static str) -> XmlError {
    XmlError::Malformed(Cow::Borrowed(why))
}

impl Element {
    /// The root of a document.
    ///
    /// # Errors
    /// [`XmlError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        read(bytes, BODY_BYTES_MAX, &mut None)
    }

    /// The root of a document that is long because its root has many children: each of them is given to `each`, and is
    /// not in the root that is returned. The limits hold for each child.
    ///
    /// # Errors
    /// [`XmlError`]; children may have been given before.
    pub fn parse_long(bytes: &[u8], bytes_max: usize, each: &mut dyn FnMut(Element)) -> Result<Self, XmlError> {
        read(bytes, bytes_max, &mut Some(each))
    }

    /// The elements in it.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|child| match child {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The elements in it, for whoever needs nothing else of it.
    pub fn into_elements(self) -> impl Iterator<Item = Element> {
        self.children.into_iter().filter_map(|child| match child {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first element in it of this name.
    pub fn find(&self, namespace: &str, local: &str) -> Option<&Element> {
        self.elements().find(|element| element.name.is(namespace, local))
    }

    /// The same of `DAV:`.
    pub fn dav(&self, local: &str) -> Option<&Element> {
        self.find(DAV, local)
    }

    /// The same of CalDAV.
    pub fn caldav(&self, local: &str) -> Option<&Element> {
        self.find(CALDAV, local)
    }

    /// The same of CardDAV.
    pub fn carddav(&self, local: &str) -> Option<&Element> {
        self.find(CARDDAV, local)
    }

    /// The value of an attribute without a namespace.
    pub fn attribute(&self, local: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(name, _)| name.is("", local));
        found.map(|(_, value)| value.as_str())
    }

    /// The texts that are directly in it.
    pub fn text(&self) -> String {
        let texts = self.children.iter().filter_map(|child| match child {
            Node::Text(text) => Some(text.as_str()),
            Node::Element(_) => None,
        });
        texts.collect()
    }

    /// As text that stands on its own: every element says its namespace.
    pub fn write(&self, out: &mut String) {
        self.write_within("", out);
    }

    fn write_within(&self, outer: &str, out: &mut String) {
        out.push('<');
        out.push_str(&self.name.local);
        if self.name.namespace != outer {
            out.push_str(" xmlns=\"");
            escape_attribute(&self.name.namespace, out);
            out.push('"');
        }
        for (n, (name, value)) in self.attributes.iter().enumerate() {
            match &*name.namespace {
                "" => out.push_str(&format!(" {}=\"", name.local)),
                "http://www.w3.org/XML/1998/namespace" => out.push_str(&format!(" xml:{}=\"", name.local)),
                namespace => {
                    out.push_str(&format!(" xmlns:a{n}=\""));
                    escape_attribute(namespace, out);
                    out.push_str(&format!("\" a{n}:{}=\"", name.local));
                }
            }
            escape_attribute(value, out);
            out.push('"');
        }
        if self.children.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        self.write_children(&self.name.namespace, out);
        out.push_str("</");
        out.push_str(&self.name.local);
        out.push('>');
    }

    /// What is in it, as text within an element of the default namespace `outer`.
    pub fn write_children(&self, outer: &str, out: &mut String) {
        for child in &self.children {
            match child {
                Node::Element(element) => element.write_within(outer, out),
                Node::Text(text) => escape(text, out),
            }
        }
    }
}

/// Called with each child of a root.
type Each<'a> = Option<&'a mut dyn FnMut(Element)>;

fn read(bytes: &[u8], bytes_max: usize, each: &mut Each<'_>) -> Result<Element, XmlError> {
    if bytes.len() > bytes_max {
        return Err(XmlError::TooMany("bytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"))?;
    // XML 1.0 section 2.2.
    if text.chars().any(|c| !is_character(c)) {
        return Err(malformed("it has characters that XML has not"));
    }
    let mut reader = Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    reader.config_mut().check_end_names = true;
    let mut builder = Builder::default();
    loop {
        let event = reader.read_event().map_err(|error| XmlError::Malformed(error.to_string().into()))?;
        match event {
            Event::Start(start) => builder.open(&start)?,
            Event::Empty(start) => {
                builder.open(&start)?;
                builder.close()?;
                builder.give(each);
            }
            Event::End(_) => {
                builder.close()?;
                builder.give(each);
            }
            Event::Text(text) => builder.text(&text.replace("\r\n", "\n"))?,
            Event::CData(text) => builder.text(&text)?,
            Event::GeneralRef(name) => {
                let c = entity(&name).ok_or(XmlError::Entities)?;
                builder.text(c.encode_utf8(&mut [0; 4]))?;
            }
            Event::DocType(_) => return Err(XmlError::Entities),
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    builder.finish()
}

/// Elements that are open, with the namespaces that they declare.
#[derive(Default)]
struct Builder {
    open: Vec<(Element, usize)>,
    /// Prefixes and what they stand for; the last one of a prefix counts.
    namespaces: Vec<(String, String)>,
    root: Option<Element>,
    elements: usize,
}

impl Builder {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), XmlError> {
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(XmlError::TooMany("elements"));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(XmlError::TooMany("levels"));
        }
        if self.root.is_some() {
            return Err(malformed("it has two roots"));
        }
        let (declared, mut plain) = (self.namespaces.len(), Vec::new());
        for (n, attribute) in start.attributes().enumerate() {
            if n >= ATTRIBUTES_MAX {
                return Err(XmlError::TooMany("attributes"));
            }
            let attribute = attribute.map_err(|error| XmlError::Malformed(error.to_string().into()))?;
            let (key, value) = (attribute.key.as_ref(), unescape(&attribute.value)?);
            match key.split_once(':') {
                None if key == "xmlns" => self.namespaces.push((String::new(), value)),
                // Namespaces in XML 1.0 section 2.2: only the default one can be taken back.
                Some(("xmlns", _)) if value.is_empty() => return Err(malformed("a prefix stands for nothing")),
                Some(("xmlns", prefix)) => self.namespaces.push((prefix.to_owned(), value)),
                _ => plain.push((key.to_owned(), value)),
            }
        }
        let name = self.resolve(start.name().as_ref(), true)?;
        let attributes = plain.into_iter().map(|(key, value)| Ok((self.resolve(&key, false)?, value)));
        let attributes = attributes.collect::<Result<_, XmlError>>()?;
        self.open.push((Element { name, attributes, children: Vec::new() }, declared));
        Ok(())
    }

    fn resolve(&self, name: &str, is_element: bool) -> Result<Name, XmlError> {
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        if local.is_empty() || name.starts_with(':') || local.contains(':') || !is_name(local) {
            return Err(malformed("a name is none"));
        }
        let known = self.namespaces.iter().rev().find(|(declared, _)| declared == prefix);
        let namespace = match (known, prefix) {
            // Attributes without a prefix are in no namespace.
            (_, "") if !is_element => "",
            (Some((_, namespace)), _) => namespace,
            (None, "") => "",
            (None, "xml") => "http://www.w3.org/XML/1998/namespace",
            (None, _) => return Err(malformed("a prefix is not declared")),
        };
        Ok(Name { namespace: Cow::Owned(namespace.to_owned()), local: Cow::Owned(local.to_owned()) })
    }

    fn close(&mut self) -> Result<(), XmlError> {
        let (element, declared) = self.open.pop().ok_or_else(|| malformed("an end without its start"))?;
        self.namespaces.truncate(declared);
        match self.open.last_mut() {
            Some((parent, _)) => parent.children.push(Node::Element(element)),
            None => self.root = Some(element),
        }
        Ok(())
    }

    /// Gives the child away that was just closed, if somebody takes those.
    fn give(&mut self, each: &mut Each<'_>) {
        if let (Some(each), [(root, _)]) = (each, &mut self.open[..])
            && let Some(Node::Element(child)) = root.children.pop()
        {
            self.elements = 1;
            each(child);
        }
    }

    fn text(&mut self, text: &str) -> Result<(), XmlError> {
        let Some((open, _)) = self.open.last_mut() else {
            return if text.trim().is_empty() { Ok(()) } else { Err(malformed("text outside of the root")) };
        };
        match open.children.last_mut() {
            Some(Node::Text(before)) => before.push_str(text),
            _ => open.children.push(Node::Text(text.to_owned())),
        }
        Ok(())
    }

    fn finish(self) -> Result<Element, XmlError> {
        if !self.open.is_empty() {
            return Err(malformed("an element has no end"));
        }
        self.root.ok_or_else(|| malformed("there is no element"))
    }
}

/// What may be written again as the name of an element.
fn is_name(name: &str) -> bool {
    let is_start = |c: char| c.is_alphabetic() || c == '_' || !c.is_ascii();
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.') || !c.is_ascii();
    name.chars().next().is_some_and(is_start) && name.chars().all(|c| is_part(c) && !c.is_whitespace())
}

/// The five entities of XML, and characters by number, but no control characters.
fn entity(name: &str) -> Option<char> {
    character(name).filter(|c| is_character(*c) && (*c < ' ' || !c.is_control()))
}

/// `Char` of XML 1.0 section 2.2.
fn is_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
}

fn unescape(text: &str) -> Result<String, XmlError> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let (name, after) = after.split_once(';').ok_or_else(|| malformed("an entity has no end"))?;
        plain.push(entity(name).ok_or(XmlError::Entities)?);
        rest = after;
    }
    plain.push_str(rest);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_and_texts() {
        let root = Element::parse(
            b"<?xml version='1.0'?><!-- x --><a xmlns='DAV:' xmlns:c=\"urn:c\"><c:b p='1 &lt; 2' c:q='r'/>\
              x&amp;<![CDATA[<y>]]>&#228;<d xmlns=''><c xmlns='urn:d'/></d></a>",
        )
        .unwrap();
        assert!(root.name.is(DAV, "a"));
        assert_eq!(root.text(), "x&<y>ä");
        let b = root.find("urn:c", "b").unwrap();
        assert_eq!((b.attribute("p"), b.attributes[1].0.is("urn:c", "q")), (Some("1 < 2"), true));
        assert!(root.find("", "d").unwrap().find("urn:d", "c").is_some());
        let mut text = String::new();
        root.write(&mut text);
        assert_eq!(Element::parse(text.as_bytes()), Ok(root), "{text}");
    }

    #[test]
    fn bombs_are_refused() {
        let lol = b"<!DOCTYPE l [<!ENTITY a \"aaaa\">]><l>&a;</l>";
        assert_eq!(Element::parse(lol), Err(XmlError::Entities));
        assert_eq!(Element::parse(b"<a>&b;</a>"), Err(XmlError::Entities));
        for bad in ["<a b='\u{1}'/>", "<a>\u{0}</a>", "<a xmlns='\u{18}'/>", "<a>\u{ffff}</a>", "<a>&#xFFFE;</a>"] {
            assert!(Element::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert_eq!(Element::parse(b"<a b='&c;'/>"), Err(XmlError::Entities));
        let deep = "<a>".repeat(DEPTH_MAX + 1);
        assert_eq!(Element::parse(deep.as_bytes()), Err(XmlError::TooMany("levels")));
        let wide = format!("<a>{}</a>", "<b/>".repeat(ELEMENTS_MAX));
        assert_eq!(Element::parse(wide.as_bytes()), Err(XmlError::TooMany("elements")));
        let long = vec![b' '; BODY_BYTES_MAX + 1];
        assert_eq!(Element::parse(&long), Err(XmlError::TooMany("bytes")));
    }

    #[test]
    fn children_of_a_long_document_are_given_one_by_one() {
        let long = format!("<a xmlns='DAV:'>\n{}<c>x</c></a>", "<b><d/></b>\n".repeat(ELEMENTS_MAX));
        let (mut names, mut texts) = (0, Vec::new());
        let mut each = |child: Element| {
            names += usize::from(child.name.is(DAV, "b"));
            texts.extend(Some(child.text()).filter(|text| !text.is_empty()));
        };
        let root = Element::parse_long(long.as_bytes(), long.len(), &mut each).unwrap();
        assert_eq!((root.elements().count(), names, texts), (0, ELEMENTS_MAX, vec!["x".to_owned()]));
        let too_long = Element::parse_long(long.as_bytes(), long.len() - 1, &mut |_| {});
        assert_eq!(too_long, Err(XmlError::TooMany("bytes")));
        let wide = format!("<a><b>{}</b></a>", "<c/>".repeat(ELEMENTS_MAX));
        assert_eq!(Element::parse_long(wide.as_bytes(), wide.len(), &mut |_| {}), Err(XmlError::TooMany("elements")));
    }

    #[test]
    fn what_is_not_well_formed() {
        for bad in [
            "",
            "x",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a:b/>",
            "<a b='1' b='2'/>",
            "<a>&amp</a>",
            "<:a/>",
            "<a xmlns:b=''/>",
            "<a></a>x",
        ] {
            assert!(matches!(Element::parse(bad.as_bytes()), Err(XmlError::Malformed(_))), "{bad}");
        }
        assert!(Element::parse(b"<a>\xff</a>").is_err());
    }
}
