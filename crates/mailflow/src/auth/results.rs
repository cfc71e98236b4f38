//! Authentication-Results (RFC 8601) and Received-SPF (RFC 7208 section 9.1): a verdict, written into the message.

use std::fmt::Write;
use std::net::IpAddr;

use super::header;
use super::verdict::{Arc, Disposition, Dkim, Outcome, Verdict};

/// What the fields say beside the verdict.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Who says it (`authserv-id`).
    pub authserv_id: &'a str,
    /// The host that says it.
    pub own_name: &'a str,
    /// Where the connection came from.
    pub peer: IpAddr,
    /// The name it gave itself.
    pub helo: &'a str,
    /// The reverse-path; empty for bounces.
    pub mail_from: &'a str,
    /// What is done about it.
    pub disposition: Disposition,
}

/// The fields with their CRLF.
pub fn fields(verdict: &Verdict, about: &About<'_>) -> String {
    format!("Authentication-Results: {}\r\n{}", value(verdict, about), received_spf(verdict, about))
}

/// The value of an Authentication-Results field without the last CRLF.
fn value(verdict: &Verdict, about: &About<'_>) -> String {
    let mut text = about.authserv_id.to_owned();
    let spf = &verdict.spf;
    let identity = if spf.is_helo { pvalue(about.helo) } else { address(about.mail_from, &spf.domain) };
    let property = if spf.is_helo { "helo" } else { "mailfrom" };
    part(&mut text, &format!("spf={} smtp.{property}={identity}", spf.outcome));
    if verdict.dkim.is_empty() {
        part(&mut text, "dkim=none");
    }
    verdict.dkim.iter().for_each(|dkim| part(&mut text, &signature(dkim)));
    let dmarc = &verdict.dmarc;
    let from = if dmarc.domain.is_empty() { String::new() } else { format!(" header.from={}", pvalue(&dmarc.domain)) };
    let (outcome, wish, action) = (dmarc.outcome, dmarc.wish, about.disposition);
    part(&mut text, &format!("dmarc={outcome} (p={wish} dis={action}){from}"));
    if verdict.arc.outcome != Outcome::None {
        part(&mut text, &chain(&verdict.arc));
    }
    text
}

fn part(text: &mut String, part: &str) {
    text.push_str(";\r\n\t");
    text.push_str(part);
}

fn signature(dkim: &Dkim) -> String {
    let mut text = format!("dkim={}", dkim.outcome);
    if !dkim.reason.is_empty() {
        let _ = write!(text, " reason=\"{}\"", quotable(&dkim.reason));
    }
    for (name, value) in [("d", &dkim.domain), ("s", &dkim.selector), ("a", &dkim.algorithm), ("b", &dkim.signature)] {
        if !value.is_empty() {
            let _ = write!(text, " header.{name}={}", pvalue(value));
        }
    }
    text
}

fn chain(arc: &Arc) -> String {
    format!("arc={} (i={})", arc.outcome, arc.instances)
}

/// The field that older filters read.
fn received_spf(verdict: &Verdict, about: &About<'_>) -> String {
    let spf = &verdict.spf;
    let identity = if spf.is_helo { "helo" } else { "mailfrom" };
    let from = if spf.is_helo { String::new() } else { format!(" envelope-from=\"{}\";", quotable(about.mail_from)) };
    let (helo, receiver) = (pvalue(about.helo), pvalue(about.own_name));
    let client = about.peer.to_canonical();
    format!(
        "Received-SPF: {} receiver={receiver}; client-ip={client};\r\n\thelo={helo};{from} identity={identity};\r\n",
        spf.outcome
    )
}

/// An address if it can stand there as it is, else only its domain.
fn address(address: &str, domain: &str) -> String {
    let local = address.rsplit_once('@').map_or("", |(local, _)| local);
    let is_plain = !local.is_empty() && local.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&*+-=_.~".contains(&b));
    if is_plain { format!("{local}@{}", pvalue(domain)) } else { pvalue(domain) }
}

/// A value (RFC 2045 section 5.1): a token where it is one, else quoted.
fn pvalue(text: &str) -> String {
    let is_token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._+".contains(&byte));
    if is_token { text.to_owned() } else { format!("\"{}\"", quotable(text)) }
}

/// What can stand between quotes: nothing that ends them, and nothing that ends the line.
fn quotable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect()
}

/// Whether a field claims to be a result of ours (RFC 8601 section 5): then somebody else has written it. One that says
/// nobody's name is as bad.
pub fn is_forged(field: &[u8], authserv_id: &str) -> bool {
    let Some(value) = header::value(field, "Authentication-Results") else { return false };
    let id = first_word(value);
    id.is_empty() || id.eq_ignore_ascii_case(authserv_id.as_bytes())
}

/// The results that the gate wrote into a header, in one line; `None` when it wrote none. It took out all others in our
/// name.
pub fn own(header: &[u8], authserv_id: &str) -> Option<String> {
    let field = header::fields(header).find(|field| is_forged(field, authserv_id))?;
    let value = String::from_utf8_lossy(header::value(field, "Authentication-Results")?);
    Some(value.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The first word of a structured field, without the comments before it and without quotes.
fn first_word(value: &[u8]) -> Vec<u8> {
    let (mut word, mut depth, mut is_quoted, mut is_escaped) = (Vec::new(), 0_u32, false, false);
    for &byte in value {
        match byte {
            _ if is_escaped => {
                is_escaped = false;
                if depth == 0 {
                    word.push(byte);
                }
            }
            b'\\' if depth > 0 || is_quoted => is_escaped = true,
            b'(' if !is_quoted => depth += 1,
            b')' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            b'"' if is_quoted => return word,
            b'"' => is_quoted = true,
            _ if is_quoted => word.push(byte),
            b' ' | b'\t' | b'\r' | b'\n' if word.is_empty() => {}
            b' ' | b'\t' | b'\r' | b'\n' | b';' => return word,
            _ => word.push(byte),
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::verdict::{Dmarc, Spf, Wish};
    use crate::delivery::Keep;

    fn about<'a>(mail_from: &'a str, helo: &'a str) -> About<'a> {
        About {
            authserv_id: "tern.test",
            own_name: "mx.tern.test",
            peer: "::ffff:192.0.2.1".parse().unwrap(),
            helo,
            mail_from,
            disposition: Disposition::Deliver(Keep::Junk),
        }
    }

    #[test]
    fn a_verdict_is_written() {
        let dkim = Dkim {
            outcome: Outcome::Fail,
            domain: "a.test".into(),
            selector: "s1".into(),
            algorithm: "rsa-sha256".into(),
            signature: "abc/+=".into(),
            reason: "the \"body\"\r\n was changed".into(),
        };
        let verdict = Verdict {
            spf: Spf { outcome: Outcome::SoftFail, domain: "a.test".into(), is_helo: false },
            dkim: vec![dkim],
            arc: Arc { outcome: Outcome::Pass, instances: 1, sealers: vec!["l.test".into()], dmarc_passed: true },
            dmarc: Dmarc {
                outcome: Outcome::Fail,
                domain: "a.test".into(),
                wish: Wish::Quarantine,
                ..Dmarc::default()
            },
        };
        let expected = "Authentication-Results: tern.test;\r\n\tspf=softfail smtp.mailfrom=ana@a.test;\r\n\t\
            dkim=fail reason=\"the body was changed\" header.d=a.test header.s=s1 header.a=rsa-sha256 \
            header.b=\"abc/+=\";\r\n\tdmarc=fail (p=quarantine dis=quarantine) header.from=a.test;\r\n\t\
            arc=pass (i=1)\r\nReceived-SPF: softfail receiver=mx.tern.test; client-ip=192.0.2.1;\r\n\t\
            helo=mx.a.test; envelope-from=\"ana@a.test\"; identity=mailfrom;\r\n";
        assert_eq!(fields(&verdict, &about("ana@a.test", "mx.a.test")), expected);
    }

    #[test]
    fn senders_can_write_nothing_of_their_own() {
        let spf = Spf { outcome: Outcome::Pass, domain: "a.test".into(), is_helo: false };
        let verdict = Verdict { spf, ..Verdict::default() };
        let text = fields(&verdict, &about("\"x; dmarc=pass\r\n\"@a.test", "[1]; dkim=pass"));
        assert!(text.contains("spf=pass smtp.mailfrom=a.test;"), "{text}");
        assert!(text.contains("helo=\"[1]; dkim=pass\";"), "{text}");
        assert!(text.contains("envelope-from=\"x; dmarc=pass@a.test\";"), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with(['\t', 'R'])), "{text}");
    }

    #[test]
    fn results_in_our_name_are_forged() {
        let ours = |field: &str| is_forged(field.as_bytes(), "tern.test");
        for field in [
            "Authentication-Results: tern.test; spf=pass\r\n",
            "authentication-results : Tern.Test 1; spf=pass\r\n",
            "Authentication-Results:\r\n (a \\) (b)) tern.test;spf=pass\r\n",
            "Authentication-Results: \"tern.test\"; spf=pass\r\n",
            "Authentication-Results: \"ter\\n.test\"; spf=pass\r\n",
            "Authentication-Results: ; spf=pass\r\n",
        ] {
            assert!(ours(field), "{field}");
        }
        for field in [
            "Authentication-Results: other.test; spf=pass\r\n",
            "Authentication-Results: tern.test.other.test; spf=pass\r\n",
            "X-Authentication-Results: tern.test; spf=pass\r\n",
            "Authentication-Resultsx: tern.test\r\n",
        ] {
            assert!(!ours(field), "{field}");
        }
    }
}
