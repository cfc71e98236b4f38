//! Mailboxes and domains of the envelope (RFC 5321 section 4.1.2, RFC 6531 section 3.3).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::limits::{DOMAIN_BYTES_MAX, LOCAL_PART_BYTES_MAX, SRS_LOCAL_PART_BYTES_MAX};

/// Why a text is no mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The grammar doesn't allow it.
    #[error("not an address")]
    Syntax,
    /// The local-part, the domain or the path is too long.
    #[error("the address is too long")]
    TooLong,
}

/// `Mailbox`: a local-part and a domain. The local-part is kept unquoted: `"ana"@x` and `ana@x` are the same mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mailbox {
    local: String,
    domain: Option<String>,
}

impl Mailbox {
    /// Reads a mailbox that fills the whole text. A lone `postmaster`, in any case, is one too (RFC 5321 section
    /// 4.1.1.3).
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.eq_ignore_ascii_case("postmaster") {
            return Ok(Mailbox { local: text.to_owned(), domain: None });
        }
        let (local, rest) = local_part(text)?;
        let domain = rest.strip_prefix('@').ok_or(AddressError::Syntax)?;
        let bytes_max = if is_srs(&local) { SRS_LOCAL_PART_BYTES_MAX } else { LOCAL_PART_BYTES_MAX };
        if local.len() > bytes_max {
            return Err(AddressError::TooLong);
        }
        let domain = Domain::parse(domain)?;
        Ok(Mailbox { local, domain: Some(domain.0) })
    }

    /// Unquoted.
    pub fn local_part(&self) -> &str {
        &self.local
    }

    /// As given; `None` for a lone `postmaster`.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// Whether it needs SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && self.domain.as_deref().is_none_or(str::is_ascii)
    }
}

/// With quotes where the local-part needs them.
impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            f.write_str(&self.local)?;
        } else {
            f.write_str("\"")?;
            for c in self.local.chars() {
                if matches!(c, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
            f.write_str("\"")?;
        }
        self.domain.as_ref().map_or(Ok(()), |domain| write!(f, "@{domain}"))
    }
}

/// `Domain` or `address-literal`, as given with EHLO and in mailboxes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain(String);

impl Domain {
    /// Reads a domain or an address literal that fills the whole text. A trailing dot is not allowed (RFC 5321 section
    /// 2.3.5), nor are labels that begin or end with a hyphen.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > DOMAIN_BYTES_MAX {
            return Err(AddressError::TooLong);
        }
        let valid = match text.strip_prefix('[') {
            Some(rest) => is_address_literal(rest.strip_suffix(']').ok_or(AddressError::Syntax)?),
            None => text.split('.').all(is_sub_domain),
        };
        if valid { Ok(Domain(text.to_owned())) } else { Err(AddressError::Syntax) }
    }

    /// Reads the name that a client gives itself. Laptops call themselves what they like, and nothing depends on it
    /// (RFC 5321 section 4.1.4): any name of letters, digits, hyphens, underscores and dots will do, and an IPv6
    /// address without its tag gets it. Nothing else, because the name goes into a Received field.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse_client_name(text: &str) -> Result<Self, AddressError> {
        let name_char = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if (1..=DOMAIN_BYTES_MAX).contains(&text.len()) && text.bytes().all(name_char) {
            return Ok(Domain(text.to_owned()));
        }
        let untagged = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match untagged.and_then(|address| address.parse::<Ipv6Addr>().ok()) {
            Some(address) => Ok(Domain(format!("[IPv6:{address}]"))),
            None => Domain::parse(text),
        }
    }

    /// As given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `sub-domain`, or a U-label (RFC 6531). The underscore is no letter of the grammar, yet real host names have it.
fn is_sub_domain(label: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || is_utf8_non_ascii(c);
    !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.chars().all(inner)
}

/// `IPv4-address-literal`, `IPv6-address-literal` or `General-address-literal`.
fn is_address_literal(text: &str) -> bool {
    match text.split_once(':') {
        None => text.parse::<Ipv4Addr>().is_ok(),
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6") => address.parse::<Ipv6Addr>().is_ok(),
        Some((tag, content)) => {
            let ldh = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            !tag.is_empty()
                && tag.bytes().all(ldh)
                && !content.is_empty()
                && content.bytes().all(|b| b.is_ascii_graphic() && !b"[]\\".contains(&b))
        }
    }
}

/// Controls beyond ASCII and invisible direction marks have no place in an address.
fn is_utf8_non_ascii(c: char) -> bool {
    !c.is_ascii() && !c.is_control() && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{feff}')
}

fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_utf8_non_ascii(c)
}

/// What a local-part may be with a detail (RFC 5233 section 4), the shortest user first: user and detail, at each of
/// the separators. Which of them it is depends on whose addresses there are.
pub fn subaddresses<'a>(local: &'a str, separators: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let places = local.char_indices().filter(move |(at, sign)| *at > 0 && separators.contains(*sign));
    places.map(move |(at, sign)| (&local[..at], &local[at + sign.len_utf8()..]))
}

/// Whether a local-part stands for an address elsewhere: `SRS0` or `SRS1`, and one of three separators.
fn is_srs(local: &str) -> bool {
    let bytes = local.as_bytes();
    bytes.len() > 4
        && bytes[..3].eq_ignore_ascii_case(b"SRS")
        && b"01".contains(&bytes[3])
        && b"=+-".contains(&bytes[4])
}

/// `Dot-string`.
fn is_dot_string(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// `Local-part`, unquoted, and what follows it.
fn local_part(text: &str) -> Result<(String, &str), AddressError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find('@').ok_or(AddressError::Syntax)?;
        let (local, rest) = text.split_at(end);
        return if is_dot_string(local) { Ok((local.to_owned(), rest)) } else { Err(AddressError::Syntax) };
    };
    let mut local = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' if local.is_empty() => return Err(AddressError::Syntax),
            '"' => return Ok((local, &quoted[at + 1..])),
            '\\' => match chars.next() {
                Some((_, c)) if (' '..='~').contains(&c) => local.push(c),
                _ => return Err(AddressError::Syntax),
            },
            c if (' '..='~').contains(&c) || is_utf8_non_ascii(c) => local.push(c),
            _ => return Err(AddressError::Syntax),
        }
    }
    Err(AddressError::Syntax)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_may_begin_at_each_separator() {
        let found = |local, separators| subaddresses(local, separators).collect::<Vec<_>>();
        assert_eq!(found("a-b+c", "+-"), [("a", "b+c"), ("a-b", "c")]);
        assert_eq!(found("a-b+c", "+"), [("a-b", "c")]);
        assert_eq!(found("+a", "+"), []);
        assert_eq!(found("a+", "+"), [("a", "")]);
        assert_eq!(found("a+b", ""), []);
    }

    #[test]
    fn reads_what_the_grammar_allows() {
        for (text, shown) in [
            ("ana@demo.test", "ana@demo.test"),
            ("\"ana\"@demo.test", "ana@demo.test"),
            ("\"a b\\\"@\"@demo.test", "\"a b\\\"@\"@demo.test"),
            ("a+b.c@[192.0.2.1]", "a+b.c@[192.0.2.1]"),
            ("a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"),
            ("PostMaster", "PostMaster"),
            ("用户@例え.テスト", "用户@例え.テスト"),
        ] {
            assert_eq!(Mailbox::parse(text).unwrap().to_string(), shown);
        }
        assert!(!Mailbox::parse("用户@example.org").unwrap().is_ascii());
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "ana",
            "@demo.test",
            "a@",
            ".a@b",
            "a..b@c",
            "a.@b",
            "a b@c",
            "a@b c",
            "a@-b",
            "a@b-",
            "a@b..c",
            "a@b.",
            "a@[300.0.0.1]",
            "a@[IPv6:zz]",
            "a@[1.2.3.4",
            "\"\"@b",
            "\"a@b",
            "\"a\"b@c",
            "a\u{202e}@b",
            "\"a\nb\"@c",
            "a@b@c",
        ] {
            assert_eq!(Mailbox::parse(text), Err(AddressError::Syntax), "{text:?}");
        }
        assert_eq!(Mailbox::parse(&format!("{}@b", "a".repeat(65))), Err(AddressError::TooLong));
        for tag in ["SRS0=", "srs1+", "Srs0-"] {
            let local = |length: usize| format!("{tag}{}@b", "a".repeat(length - tag.len()));
            assert!(Mailbox::parse(&local(SRS_LOCAL_PART_BYTES_MAX)).is_ok(), "{tag}");
            assert_eq!(Mailbox::parse(&local(SRS_LOCAL_PART_BYTES_MAX + 1)), Err(AddressError::TooLong), "{tag}");
        }
        for tag in ["SRS2=", "SRS0.", "SRS"] {
            assert_eq!(Mailbox::parse(&format!("{tag}{}@b", "a".repeat(65))), Err(AddressError::TooLong), "{tag}");
        }
        assert_eq!(Mailbox::parse(&format!("a@{}b", "b.".repeat(130))), Err(AddressError::TooLong));
    }
}
