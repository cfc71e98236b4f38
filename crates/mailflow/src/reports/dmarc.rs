//! DMARC aggregate reports (RFC 9990, and RFC 7489 appendix C): who sent mail in the name of a domain, and what it was
//! worth.

use std::fmt::Write;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::About;
use super::record::Record;

/// One message as it is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seen {
    /// Where it came from.
    pub source: IpAddr,
    /// What was done: `none`, `quarantine` or `reject`.
    pub disposition: String,
    /// Whether somebody who passed it on was believed against what the domain wants.
    pub is_forwarded: bool,
    /// Whether a signature of the author's domain holds.
    pub dkim_aligned: bool,
    /// Whether the author's domain permits the host.
    pub spf_aligned: bool,
    /// The domain of the From field.
    pub header_from: String,
    /// That of the reverse-path; empty for bounces.
    pub envelope_from: String,
    /// Each signature: domain, selector, result.
    pub dkim: Vec<(String, String, String)>,
    /// The domain that SPF was about, `helo` or `mfrom`, and the result.
    pub spf: (String, String, String),
}

/// The report, for a domain whose record this is.
pub fn report(about: &About<'_>, record: &Record, seen: &[(Seen, u64)]) -> Vec<u8> {
    let mut xml = Xml::new();
    xml.within("feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\"", |xml| {
        xml.text("version", "1.0");
        xml.within("report_metadata", |xml| {
            xml.text("org_name", about.organization);
            xml.text("email", about.contact);
            xml.text("report_id", about.id);
            xml.within("date_range", |xml| {
                xml.text("begin", &about.begin_seconds().to_string());
                xml.text("end", &about.end_seconds().to_string());
            });
        });
        xml.within("policy_published", |xml| {
            xml.text("domain", about.domain);
            xml.text("discovery_method", "treewalk");
            for (name, tag, otherwise) in [("p", "p", "none"), ("sp", "sp", ""), ("np", "np", "")] {
                let value = record.tag(tag).unwrap_or(otherwise);
                if matches!(value, "none" | "quarantine" | "reject") {
                    xml.text(name, value);
                }
            }
            for (name, tag) in [("adkim", "adkim"), ("aspf", "aspf")] {
                xml.text(name, if record.tag(tag) == Some("s") { "s" } else { "r" });
            }
            xml.text("testing", if record.tag("t") == Some("y") { "y" } else { "n" });
        });
        for (seen, count) in seen {
            xml.within("record", |xml| row(xml, seen, *count));
        }
    });
    xml.0.into_bytes()
}

fn row(xml: &mut Xml, seen: &Seen, count: u64) {
    let result = |passes: bool| if passes { "pass" } else { "fail" };
    xml.within("row", |xml| {
        xml.text("source_ip", &seen.source.to_canonical().to_string());
        xml.text("count", &count.to_string());
        xml.within("policy_evaluated", |xml| {
            xml.text("disposition", &seen.disposition);
            xml.text("dkim", result(seen.dkim_aligned));
            xml.text("spf", result(seen.spf_aligned));
            if seen.is_forwarded {
                xml.within("reason", |xml| {
                    xml.text("type", "trusted_forwarder");
                    xml.text("comment", "arc=pass");
                });
            }
        });
    });
    xml.within("identifiers", |xml| {
        xml.text("header_from", &seen.header_from);
        if !seen.envelope_from.is_empty() {
            xml.text("envelope_from", &seen.envelope_from);
        }
    });
    xml.within("auth_results", |xml| {
        for (domain, selector, outcome) in &seen.dkim {
            xml.within("dkim", |xml| {
                xml.text("domain", domain);
                xml.text("selector", selector);
                xml.text("result", outcome);
            });
        }
        let (domain, scope, outcome) = &seen.spf;
        xml.within("spf", |xml| {
            xml.text("domain", domain);
            xml.text("scope", scope);
            xml.text("result", outcome);
        });
    });
}

/// A document while it is written.
struct Xml(String);

impl Xml {
    fn new() -> Self {
        Xml("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned())
    }

    /// An element with others in it; `start` may have attributes.
    fn within(&mut self, start: &str, content: impl FnOnce(&mut Self)) {
        let name = start.split(' ').next().unwrap_or(start);
        let _ = writeln!(self.0, "<{start}>");
        content(self);
        let _ = writeln!(self.0, "</{name}>");
    }

    /// An element with a text, which may be a stranger's: what XML can't have is left out.
    fn text(&mut self, name: &str, text: &str) {
        let _ = write!(self.0, "<{name}>");
        for c in text.chars().filter(|c| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')) {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                c => self.0.push(c),
            }
        }
        let _ = writeln!(self.0, "</{name}>");
    }
}
