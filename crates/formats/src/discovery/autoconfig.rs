//! The configuration that Thunderbird and others fetch (`config-v1.1.xml`, draft-ietf-mailmaint-autoconfig). Elements
//! of calendars and address books are called as Thunderbird reads them.

use super::{DomainFacts, Endpoint, Service};
use crate::dav::write::{DECLARATION, escape, escape_attribute};

/// What stands for the user's address; the client fills it in.
const ADDRESS: &str = "%EMAILADDRESS%";

/// Services in the order in which clients should try them, with the element and its type.
const SERVERS: &[(Service, &str, &str)] = &[
    (Service::Imaps, "incomingServer", "imap"),
    (Service::Imap, "incomingServer", "imap"),
    (Service::Pop3s, "incomingServer", "pop3"),
    (Service::Pop3, "incomingServer", "pop3"),
    (Service::Submissions, "outgoingServer", "smtp"),
    (Service::Submission, "outgoingServer", "smtp"),
];

/// The document.
pub fn document(facts: &DomainFacts) -> String {
    let mut out = format!("{DECLARATION}<clientConfig version=\"1.1\">\n  <emailProvider id=\"");
    escape_attribute(&facts.domain, &mut out);
    out.push_str("\">\n");
    text("domain", &facts.domain, &mut out);
    text("displayName", &facts.display_name, &mut out);
    text("displayShortName", &facts.display_name, &mut out);
    for (service, element, kind) in SERVERS {
        for endpoint in facts.endpoints.iter().filter(|endpoint| endpoint.service == *service) {
            server(element, kind, endpoint, &mut out);
        }
    }
    out.push_str("  </emailProvider>\n");
    if let Some(url) = facts.dav_url() {
        dav("addressBook", "carddav", &url, &mut out);
        dav("calendar", "caldav", &url, &mut out);
    }
    out.push_str("</clientConfig>\n");
    out
}

fn text(element: &str, content: &str, out: &mut String) {
    out.push_str(&format!("    <{element}>"));
    escape(content, out);
    out.push_str(&format!("</{element}>\n"));
}

fn server(element: &str, kind: &str, endpoint: &Endpoint, out: &mut String) {
    out.push_str(&format!("    <{element} type=\"{kind}\">\n"));
    let security = if endpoint.service.is_implicit_tls() { "SSL" } else { "STARTTLS" };
    let fields = [
        ("hostname", endpoint.host.as_str()),
        ("port", &endpoint.port.to_string()),
        ("socketType", security),
        ("authentication", "password-cleartext"),
        ("username", ADDRESS),
    ];
    for (name, value) in fields {
        out.push_str("  ");
        text(name, value, out);
    }
    out.push_str(&format!("    </{element}>\n"));
}

fn dav(element: &str, kind: &str, url: &str, out: &mut String) {
    out.push_str(&format!("  <{element} type=\"{kind}\">\n"));
    text("username", ADDRESS, out);
    out.push_str("    <authentication system=\"http\">basic</authentication>\n");
    text("serverURL", url, out);
    out.push_str(&format!("  </{element}>\n"));
}

#[cfg(test)]
mod tests {
    use super::super::tests::facts;
    use super::*;
    use crate::dav::Element;

    #[test]
    fn it_says_what_listens_with_the_best_first() {
        let document = document(&facts());
        let root = Element::parse(document.as_bytes()).unwrap();
        let provider = root.find("", "emailProvider").unwrap();
        let servers: Vec<_> = provider.elements().filter(|element| element.name.local.ends_with("Server")).collect();
        let said = |element: &Element, name: &str| element.find("", name).unwrap().text();
        let ports: Vec<_> = servers.iter().map(|server| said(server, "port")).collect();
        assert_eq!(ports, ["993", "143", "465", "587"]);
        assert_eq!((said(servers[0], "socketType"), said(servers[1], "socketType")), ("SSL".into(), "STARTTLS".into()));
        assert_eq!(said(provider, "displayName"), "Terns & <Co>");
        let calendar = root.find("", "calendar").unwrap();
        assert_eq!(said(calendar, "serverURL"), "https://mail.tern.test/dav/");
    }

    #[test]
    fn without_https_it_has_no_calendars() {
        let mut facts = facts();
        facts.endpoints.pop();
        assert!(!document(&facts).contains("calendar"));
    }
}
