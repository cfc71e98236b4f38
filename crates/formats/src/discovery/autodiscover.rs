//! What Outlook asks: Autodiscover by XML ("POX", MS-OXDSCLI) and the JSON that points to it.

use super::{DomainFacts, Service};
use crate::dav::Element;
use crate::dav::write::{DECLARATION, escape};

/// The schema of what is answered.
const RESPONSE: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";
/// The root's.
const ROOT: &str = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006";

/// Longest question that is read, in bytes.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// The protocol of MS-OXDISCO whose URL is told: the XML above.
const PROTOCOL: &str = "AutodiscoverV1";

/// The address that a question is about; `None` when there is none in it, or it wants another schema.
pub fn address(request: &[u8]) -> Option<String> {
    let root = Element::parse(request.get(..request.len().min(REQUEST_BYTES_MAX))?).ok()?;
    let request = root.elements().find(|element| element.name.local == "Request")?;
    let said = |name: &str| {
        let found = request.elements().find(|element| element.name.local == name);
        found.map(|element| element.text().trim().to_owned())
    };
    // Phones ask for the one of ActiveSync, which is not offered.
    let schema = said("AcceptableResponseSchema").unwrap_or_else(|| RESPONSE.to_owned());
    let address = said("EMailAddress")?;
    (schema == RESPONSE && super::domain_of(&address).is_some()).then_some(address)
}

/// The answer for an address.
pub fn document(facts: &DomainFacts, address: &str) -> String {
    let mut out = format!("{DECLARATION}<Autodiscover xmlns=\"{ROOT}\">\n <Response xmlns=\"{RESPONSE}\">\n  <User>");
    text("DisplayName", address, &mut out);
    text("AutoDiscoverSMTPAddress", address, &mut out);
    out.push_str("</User>\n  <Account>\n   <AccountType>email</AccountType>\n   <Action>settings</Action>\n");
    let first = |services: &[Service]| services.iter().find_map(|service| facts.endpoint(*service));
    let wanted = [
        ("IMAP", first(&[Service::Imaps, Service::Imap])),
        ("POP3", first(&[Service::Pop3s, Service::Pop3])),
        ("SMTP", first(&[Service::Submissions, Service::Submission])),
    ];
    for (kind, endpoint) in wanted {
        let Some(endpoint) = endpoint else { continue };
        let encryption = if endpoint.service.is_implicit_tls() { "SSL" } else { "TLS" };
        out.push_str("   <Protocol>");
        text("Type", kind, &mut out);
        text("Server", &endpoint.host, &mut out);
        text("Port", &endpoint.port.to_string(), &mut out);
        out.push_str("<DomainRequired>off</DomainRequired>");
        text("LoginName", address, &mut out);
        out.push_str("<SPA>off</SPA><SSL>on</SSL>");
        text("Encryption", encryption, &mut out);
        out.push_str("<AuthRequired>on</AuthRequired>");
        if kind == "SMTP" {
            out.push_str("<UsePOPAuth>off</UsePOPAuth><SMTPLast>off</SMTPLast>");
        }
        out.push_str("</Protocol>\n");
    }
    if let Some(url) = facts.dav_url() {
        for kind in ["CalDAV", "CardDAV"] {
            out.push_str("   <Protocol>");
            text("Type", kind, &mut out);
            text("Server", &url, &mut out);
            text("LoginName", address, &mut out);
            out.push_str("</Protocol>\n");
        }
    }
    out.push_str("  </Account>\n </Response>\n</Autodiscover>\n");
    out
}

/// The answer to a question that is none, or is about somebody of another domain (error 600: invalid request; 500: the
/// address is not known).
pub fn error(code: u16) -> String {
    let message = if code == 600 { "Invalid Request" } else { "The email address cannot be found" };
    format!(
        "{DECLARATION}<Autodiscover xmlns=\"{ROOT}\"><Response><Error Time=\"00:00:00\" Id=\"0\">\
         <ErrorCode>{code}</ErrorCode><Message>{message}</Message><DebugData/></Error></Response></Autodiscover>\n"
    )
}

/// The answer in JSON: where the XML is; `None` for a protocol that is not offered.
pub fn json(facts: &DomainFacts, protocol: &str) -> Option<String> {
    let url = facts.dav_url()?;
    let base = url.strip_suffix(super::DAV_PATH)?;
    // Nothing that needs escaping: the host's name is one of DNS.
    protocol
        .eq_ignore_ascii_case(PROTOCOL)
        .then(|| format!("{{\"Protocol\":\"{PROTOCOL}\",\"Url\":\"{base}/autodiscover/autodiscover.xml\"}}\n"))
}

/// What is said of other protocols.
pub fn json_error() -> String {
    format!(
        "{{\"ErrorCode\":\"ProtocolNotSupported\",\"ErrorMessage\":\"The given protocol value is invalid. Supported \
         values are '{PROTOCOL}'\"}}\n"
    )
}

fn text(element: &str, content: &str, out: &mut String) {
    out.push_str(&format!("<{element}>"));
    escape(content, out);
    out.push_str(&format!("</{element}>"));
}

#[cfg(test)]
mod tests {
    use super::super::tests::facts;
    use super::*;

    fn request(schema: &str, address: &str) -> String {
        format!(
            "<Autodiscover xmlns='http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006'>\
             <Request><EMailAddress>{address}</EMailAddress>\
             <AcceptableResponseSchema>{schema}</AcceptableResponseSchema></Request></Autodiscover>"
        )
    }

    #[test]
    fn questions_of_outlook_are_understood_and_others_not() {
        assert_eq!(address(request(RESPONSE, " ana@tern.test ").as_bytes()).as_deref(), Some("ana@tern.test"));
        let mobile = "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006";
        for other in [request(mobile, "ana@tern.test"), request(RESPONSE, "ana"), "<a>".into(), String::new()] {
            assert_eq!(address(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn answers_say_what_listens() {
        let document = document(&facts(), "a<b@tern.test");
        let root = Element::parse(document.as_bytes()).unwrap();
        let account = root.find(RESPONSE, "Response").unwrap().find(RESPONSE, "Account").unwrap();
        let protocols: Vec<_> = account.elements().filter(|element| element.name.local == "Protocol").collect();
        let said = |element: &Element, name: &str| element.find(RESPONSE, name).map(Element::text).unwrap_or_default();
        let kinds: Vec<_> = protocols.iter().map(|protocol| said(protocol, "Type")).collect();
        assert_eq!(kinds, ["IMAP", "SMTP", "CalDAV", "CardDAV"]);
        assert_eq!(
            (said(protocols[0], "Port"), said(protocols[0], "LoginName")),
            ("993".into(), "a<b@tern.test".into())
        );
        let json = json(&facts(), "autodiscoverv1").unwrap();
        assert!(json.contains("\"https://mail.tern.test/autodiscover/autodiscover.xml\""), "{json}");
        assert!(super::json(&facts(), "ActiveSync").is_none());
    }
}
