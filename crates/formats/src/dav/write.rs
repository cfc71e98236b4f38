//! XML of answers. It is written piece by piece into a text that its owner sends on when it is long enough, so that an
//! answer of any length costs the same memory.

use super::name::{Name, PREFIXES};

/// The beginning of every document.
pub const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n";

/// Escapes a text for attributes in double quotes.
pub fn escape_attribute(text: &str, out: &mut String) {
    let mut escaped = String::with_capacity(text.len());
    escape(text, &mut escaped);
    out.push_str(&escaped.replace('"', "&quot;"));
}

/// Escapes a text for content. What XML can't say is left out; quotes stay, because tags have them, and some clients
/// look for those with less than an XML parser.
pub fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Otherwise readers make a line feed of it.
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() && (c as u32) < 0x20 => {}
            c => out.push(c),
        }
    }
}

/// The start of the root element, with the prefixes that the rest uses.
pub fn root(prefixed: &str, out: &mut String) {
    out.push_str(DECLARATION);
    out.push('<');
    out.push_str(prefixed);
    for (prefix, namespace) in PREFIXES {
        out.push_str(" xmlns:");
        out.push_str(prefix);
        out.push_str("=\"");
        out.push_str(namespace);
        out.push('"');
    }
    out.push('>');
}

/// An element that only says its name.
pub fn empty(name: &Name, out: &mut String) {
    start_of(name, out);
    out.push_str("/>");
}

/// An element with this XML in it.
pub fn element(name: &Name, xml: &str, out: &mut String) {
    if xml.is_empty() {
        return empty(name, out);
    }
    start_of(name, out);
    out.push('>');
    out.push_str(xml);
    out.push_str("</");
    match name.prefix() {
        Some(prefix) => {
            out.push_str(prefix);
            out.push(':');
        }
        None if name.namespace.is_empty() => {}
        None => out.push_str("x:"),
    }
    out.push_str(&name.local);
    out.push('>');
}

/// Names of a namespace that nobody knows get a prefix of their own: what stands in them must not be in it by accident.
fn start_of(name: &Name, out: &mut String) {
    out.push('<');
    match name.prefix() {
        Some(prefix) => {
            out.push_str(prefix);
            out.push(':');
            out.push_str(&name.local);
        }
        None if name.namespace.is_empty() => out.push_str(&name.local),
        None => {
            out.push_str("x:");
            out.push_str(&name.local);
            out.push_str(" xmlns:x=\"");
            escape_attribute(&name.namespace, out);
            out.push('"');
        }
    }
}

/// `<D:href>` of a path that is encoded already.
pub fn href(path: &str, out: &mut String) {
    out.push_str("<D:href>");
    escape(path, out);
    out.push_str("</D:href>");
}

/// A text as XML.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    escape(text, &mut out);
    out
}

/// The beginning of a `multistatus` (RFC 4918 section 13).
pub fn multistatus_start(out: &mut String) {
    root("D:multistatus", out);
}

/// Its end.
pub fn multistatus_end(out: &mut String) {
    out.push_str("</D:multistatus>\n");
}

/// A `response` that only has a status: what is gone, or was not found.
pub fn status_response(path: &str, status: &str, error: Option<&str>, out: &mut String) {
    out.push_str("<D:response>");
    href(path, out);
    out.push_str("<D:status>HTTP/1.1 ");
    out.push_str(status);
    out.push_str("</D:status>");
    if let Some(error) = error {
        out.push_str("<D:error>");
        out.push_str(error);
        out.push_str("</D:error>");
    }
    out.push_str("</D:response>\n");
}

/// A `response` with properties by their status.
pub fn response(path: &str, propstats: &[(&str, &str)], out: &mut String) {
    out.push_str("<D:response>");
    href(path, out);
    for (status, properties) in propstats.iter().filter(|(_, properties)| !properties.is_empty()) {
        out.push_str("<D:propstat><D:prop>");
        out.push_str(properties);
        out.push_str("</D:prop><D:status>HTTP/1.1 ");
        out.push_str(status);
        out.push_str("</D:status></D:propstat>");
    }
    // RFC 4918 section 14.24: one of them must be there.
    if propstats.iter().all(|(_, properties)| properties.is_empty()) {
        out.push_str("<D:propstat><D:prop/><D:status>HTTP/1.1 200 OK</D:status></D:propstat>");
    }
    out.push_str("</D:response>\n");
}

#[cfg(test)]
mod tests {
    use super::super::xml::Element;
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut out = String::new();
        multistatus_start(&mut out);
        let odd = Name::from_clark("{urn:x&\"y}prop").unwrap();
        let mut found = String::new();
        element(&Name::dav("displayname"), &text("a<b>&\u{1}\"\r"), &mut found);
        element(&odd, &text("v"), &mut found);
        empty(&Name::caldav("calendar"), &mut found);
        response("/dav/%20/", &[("200 OK", &found), ("404 Not Found", "")], &mut out);
        status_response("/a", "404 Not Found", None, &mut out);
        multistatus_end(&mut out);
        let root = Element::parse(out.as_bytes()).unwrap();
        assert_eq!(root.elements().count(), 2);
        let prop = root.dav("response").unwrap().dav("propstat").unwrap().dav("prop").unwrap();
        assert_eq!(prop.dav("displayname").unwrap().text(), "a<b>&\"\r");
        assert_eq!(prop.find("urn:x&\"y", "prop").unwrap().text(), "v");
    }
}
