//! The documents by which programs find out where the services of a domain are, and the policy by which its mail
//! exchangers want TLS. They are for everybody and tell nothing of who has an account: only of what listens.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, HOST};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use sterna_formats::discovery::{self, DomainFacts, apple, autoconfig, autodiscover};

use super::answer::{Problem, response, with_header};
use super::body::{self, Body};

/// What is known of domains.
#[async_trait]
pub trait Facts: Send + Sync {
    /// Where the services of a domain are; `None` when it is none of ours.
    ///
    /// # Errors
    /// When that can't be found out now.
    async fn facts(&self, domain: &str) -> Result<Option<DomainFacts>, FactsError>;
}

/// Why it is not known where services are. The text is for the operator.
#[derive(Clone, Debug, thiserror::Error)]
#[error("it can't be found out where services are: {0}")]
pub struct FactsError(pub String);

/// A document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Thunderbird's.
    Autoconfig,
    /// Outlook's, in XML.
    Autodiscover,
    /// Where that one is, in JSON.
    AutodiscoverJson,
    /// A profile for Apple's devices.
    Apple,
    /// The policy of MTA-STS.
    MtaSts,
}

/// How long what is told may be kept, in a header.
const KEPT: &str = "public, max-age=3600";

impl Page {
    /// The document that a path names. Outlook writes its path in every case.
    pub fn of(path: &str) -> Option<Self> {
        match path.to_ascii_lowercase().trim_end_matches('/') {
            "/mail/config-v1.1.xml" | "/.well-known/autoconfig/mail/config-v1.1.xml" => Some(Page::Autoconfig),
            "/autodiscover/autodiscover.xml" => Some(Page::Autodiscover),
            "/.well-known/sterna/apple.mobileconfig" => Some(Page::Apple),
            "/.well-known/mta-sts.txt" => Some(Page::MtaSts),
            path if path.starts_with("/autodiscover/autodiscover.json") => Some(Page::AutodiscoverJson),
            _ => None,
        }
    }

    fn allows(self, method: &Method) -> bool {
        matches!(*method, Method::GET | Method::HEAD) || (self == Page::Autodiscover && *method == Method::POST)
    }
}

/// Answers who asks for a document.
///
/// # Errors
/// `404` for domains that are none of ours, among others.
pub async fn answer(
    facts: &Arc<dyn Facts>,
    page: Page,
    head: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Problem> {
    if !page.allows(&head.method) {
        body::drain(body, &head.headers).await;
        return Err(Problem::not_allowed());
    }
    let asked = match page {
        Page::Autodiscover if head.method == Method::POST => {
            let request = body::whole(body, autodiscover::REQUEST_BYTES_MAX).await?;
            autodiscover::address(&request)
        }
        Page::AutodiscoverJson => address_in_json_path(head.uri.path()).or_else(|| parameter(head, "email")),
        _ => parameter(head, "emailaddress"),
    };
    let domain = match (page, &asked) {
        // Only under the name that the RFC gives it (RFC 8461 section 3.3).
        (Page::MtaSts, _) => host(head).and_then(|host| Some(host.strip_prefix("mta-sts.")?.to_owned())),
        (_, Some(address)) => discovery::domain_of(address).map(str::to_owned),
        (Page::Autoconfig, None) => host(head).map(|host| without_prefix(&host).to_owned()),
        _ => None,
    };
    let found = match domain {
        Some(domain) => facts.facts(&domain).await.map_err(unavailable)?,
        None => None,
    };
    let Some(found) = found else { return Ok(unknown(page, asked.is_some())) };
    document(page, &found, asked.as_deref().unwrap_or_default(), head)
}

fn document(page: Page, facts: &DomainFacts, address: &str, head: &Parts) -> Result<Response<Body>, Problem> {
    const XML: &str = "text/xml; charset=utf-8";
    const JSON: &str = "application/json";
    let (kind, text) = match page {
        Page::Autoconfig => (XML, autoconfig::document(facts)),
        Page::Autodiscover => (XML, autodiscover::document(facts, address)),
        Page::AutodiscoverJson => {
            let protocol = parameter(head, "protocol").unwrap_or_default();
            match autodiscover::json(facts, &protocol) {
                Some(text) => (JSON, text),
                None => return Ok(response(StatusCode::NOT_FOUND, JSON, autodiscover::json_error())),
            }
        }
        Page::Apple => (apple::MEDIA_TYPE, apple::profile(facts, address, seed)),
        Page::MtaSts => ("text/plain", facts.mta_sts().ok_or_else(Problem::not_found)?.text()),
    };
    let answer = with_header(response(StatusCode::OK, kind, text), CACHE_CONTROL, KEPT);
    Ok(match page {
        Page::Apple => with_header(answer, CONTENT_DISPOSITION, "attachment; filename=\"mail.mobileconfig\""),
        _ => answer,
    })
}

/// Who asks for a domain that is none of ours, or says nothing of whom the question is about.
fn unknown(page: Page, has_address: bool) -> Response<Body> {
    match page {
        // Outlook reads errors in its own XML only.
        Page::Autodiscover => {
            let code = if has_address { 500 } else { 600 };
            response(StatusCode::OK, "text/xml; charset=utf-8", autodiscover::error(code))
        }
        _ => Problem::not_found().response(),
    }
}

fn unavailable(error: FactsError) -> Problem {
    tracing::warn!(%error, "a program that looks for services was told to come again");
    Problem::unavailable(5)
}

/// The name that the client asked for, without its port.
fn host(head: &Parts) -> Option<String> {
    let host = match head.uri.authority() {
        Some(authority) => authority.host().to_owned(),
        None => {
            let value = head.headers.get(HOST)?.to_str().ok()?;
            value.rsplit_once(':').map_or(value, |(host, _)| host).to_owned()
        }
    };
    Some(host.trim_end_matches('.').to_ascii_lowercase())
}

fn without_prefix(host: &str) -> &str {
    host.strip_prefix("autoconfig.").unwrap_or(host)
}

/// A parameter of the query, whose name is compared without regard to case.
fn parameter(head: &Parts, name: &str) -> Option<String> {
    let pairs = head.uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = { pairs }.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    // An address has no spaces, so that a plus is one.
    decoded(value)
}

/// `/autodiscover/autodiscover.json/v1.0/ana@example.org`
fn address_in_json_path(path: &str) -> Option<String> {
    let last = path.rsplit('/').next()?;
    decoded(last).filter(|address| address.contains('@'))
}

fn decoded(text: &str) -> Option<String> {
    sterna_formats::dav::href::decode(text).ok()
}

/// 16 bytes of a text, for ids that stay the same.
fn seed(text: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..16]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(uri: &str, host: &str) -> Parts {
        let request = http::Request::builder().uri(uri).header(HOST, host).body(()).unwrap();
        request.into_parts().0
    }

    #[test]
    fn paths_lead_to_documents() {
        for (path, page) in [
            ("/mail/config-v1.1.xml", Some(Page::Autoconfig)),
            ("/.well-known/autoconfig/mail/config-v1.1.xml", Some(Page::Autoconfig)),
            ("/Autodiscover/Autodiscover.xml", Some(Page::Autodiscover)),
            ("/autodiscover/autodiscover.json/v1.0/a@b", Some(Page::AutodiscoverJson)),
            ("/autodiscover/autodiscover.json", Some(Page::AutodiscoverJson)),
            ("/.well-known/mta-sts.txt", Some(Page::MtaSts)),
            ("/.well-known/caldav", None),
            ("/mail", None),
        ] {
            assert_eq!(Page::of(path), page, "{path}");
        }
        assert!(Page::Autodiscover.allows(&Method::POST) && !Page::Autoconfig.allows(&Method::POST));
    }

    #[test]
    fn addresses_and_hosts_are_taken_out_of_requests() {
        let one = head("/mail/config-v1.1.xml?x=1&EmailAddress=a+b%40tern.test", "AutoConfig.tern.test:443");
        assert_eq!(parameter(&one, "emailaddress").as_deref(), Some("a+b@tern.test"));
        assert_eq!(host(&one).as_deref().map(without_prefix), Some("tern.test"));
        let two = head("https://mta-sts.tern.test./.well-known/mta-sts.txt", "x");
        assert_eq!(host(&two).as_deref(), Some("mta-sts.tern.test"));
        assert_eq!(address_in_json_path("/autodiscover/autodiscover.json/v1.0/a%40b").as_deref(), Some("a@b"));
        assert_eq!(address_in_json_path("/autodiscover/autodiscover.json"), None);
    }
}
