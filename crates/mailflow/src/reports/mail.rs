//! A report as a message.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use sterna_base::Timestamp;
use sterna_formats::smtp::trace;

use super::About;
use super::store::Kind;

/// Bytes in a line of base64 (RFC 2045 section 6.8 allows 76 characters).
const LINE_BYTES: usize = 57;

/// A report, compressed.
pub fn compressed(report: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(report)?;
    encoder.finish()
}

/// The message with a report for this address. TLS reports have fields of their own (RFC 8460 section 5.3); the names
/// of the others are those of RFC 7489 section 7.2.1.1, which RFC 9990 has kept.
pub fn message(about: &About<'_>, own_name: &str, to: &str, compressed: &[u8], now: Timestamp) -> Vec<u8> {
    let (domain, organization, contact, id) = (about.domain, about.organization, about.contact, about.id);
    let submitter = contact.rsplit_once('@').map_or(own_name, |(_, domain)| domain);
    let (suffix, media_type, fields, container, words) = match about.kind {
        Kind::Dmarc => ("xml", "application/gzip", String::new(), "multipart/mixed", "DMARC aggregate report"),
        Kind::Tls => (
            "json",
            "application/tlsrpt+gzip",
            format!("TLS-Report-Domain: {domain}\r\nTLS-Report-Submitter: {submitter}\r\nTLS-Required: No\r\n"),
            "multipart/report; report-type=\"tlsrpt\"",
            "TLS report",
        ),
    };
    let (begin, end) = (about.begin_seconds(), about.end_seconds());
    let file = format!("{submitter}!{domain}!{begin}!{end}!{id}.{suffix}.gz");
    let (boundary, date) = (format!("=_{id}"), trace::date(now));
    let from = organization.chars().filter(|c| c.is_ascii() && !c.is_ascii_control() && !"\"\\".contains(*c));
    let from: String = from.collect();
    let (day, day_end) = (super::time(begin), super::time(end));
    let encoded: String =
        compressed.chunks(LINE_BYTES).flat_map(|line| [STANDARD.encode(line), "\r\n".to_owned()]).collect();
    format!(
        "From: \"{from}\" <{contact}>\r\nTo: <{to}>\r\n\
         Subject: Report Domain: {domain}\r\n Submitter: {submitter}\r\n Report-ID: <{id}@{own_name}>\r\n\
         Date: {date}\r\nMessage-ID: <{id}@{own_name}>\r\nAuto-Submitted: auto-generated\r\n{fields}\
         MIME-Version: 1.0\r\nContent-Type: {container};\r\n boundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
         This is a {words} about {domain}\r\nfrom {day} to {day_end}.\r\n\r\n\
         --{boundary}\r\nContent-Type: {media_type}\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment;\r\n filename=\"{file}\"\r\n\r\n{encoded}\r\n--{boundary}--\r\n"
    )
    .into_bytes()
}
