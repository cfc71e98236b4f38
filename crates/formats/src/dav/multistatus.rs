//! What other DAV servers answer: `multistatus` (RFC 4918 section 13), one response after the other.

use super::name::DAV;
use super::xml::{Element, XmlError};

/// Longest answer that is taken, in bytes: a list of some 300,000 objects.
pub const ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;

/// A response: what is said of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Which one, as the server writes it.
    pub href: String,
    /// The properties that it has.
    pub properties: Vec<Element>,
}

impl Response {
    /// The property of this name.
    pub fn property(&self, namespace: &str, local: &str) -> Option<&Element> {
        self.properties.iter().find(|property| property.name.is(namespace, local))
    }

    fn of(element: Element) -> Option<Self> {
        let href = element.dav("href")?.text().trim().to_owned();
        let found = element.into_elements().filter(|part| part.name.is(DAV, "propstat")).filter(|part| {
            // Without a status it is what was asked for.
            part.dav("status").is_none_or(|status| code(&status.text()).is_some_and(|code| (200..300).contains(&code)))
        });
        let props = found.filter_map(|part| part.into_elements().find(|inner| inner.name.is(DAV, "prop")));
        Some(Response { href, properties: props.flat_map(Element::into_elements).collect() })
    }
}

/// The number in a status line (RFC 9112 section 4).
fn code(line: &str) -> Option<u16> {
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Reads an answer; what in it is no response is passed over.
///
/// # Errors
/// [`XmlError`]; also when it is another document.
pub fn read(bytes: &[u8], mut each: impl FnMut(Response)) -> Result<(), XmlError> {
    let root = Element::parse_long(bytes, ANSWER_BYTES_MAX, &mut |child| {
        if child.name.is(DAV, "response")
            && let Some(response) = Response::of(child)
        {
            each(response);
        }
    })?;
    match root.name.is(DAV, "multistatus") {
        true => Ok(()),
        false => Err(XmlError::Malformed("it is no multistatus".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_have_the_properties_that_are_there() {
        let text = b"<D:multistatus xmlns:D='DAV:'><D:response><D:href> /a%20b/ </D:href><D:propstat><D:prop>\
            <D:getetag>\"1\"</D:getetag></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat><D:propstat><D:prop>\
            <D:owner/></D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat></D:response>\
            <D:response><D:href>/gone</D:href><D:status>HTTP/1.1 404 Not Found</D:status></D:response>\
            <D:sync-token>x</D:sync-token></D:multistatus>";
        let mut found = Vec::new();
        read(text, |response| found.push(response)).unwrap();
        let [first, gone] = &found[..] else { panic!("{found:?}") };
        assert_eq!(first.href, "/a%20b/");
        assert_eq!(first.property(DAV, "getetag").map(Element::text).as_deref(), Some("\"1\""));
        assert!(first.property(DAV, "owner").is_none());
        assert_eq!((gone.href.as_str(), &gone.properties[..]), ("/gone", &[][..]));
    }

    #[test]
    fn another_document_is_none() {
        assert!(read(b"<html/>", |_| {}).is_err());
        assert!(read(b"<multistatus/>", |_| {}).is_err());
        assert!(read(b"<D:multistatus xmlns:D='DAV:'/>", |_| {}).is_ok());
    }
}
