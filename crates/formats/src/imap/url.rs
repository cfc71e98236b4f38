//! URLs of messages and of their parts (RFC 5092 section 9), as far as CATENATE takes them (RFC 4469 section 3):
//! relative ones, which name something on this server for the user who is logged in.

use super::command::SectionText;
use super::lexer::{Lexer, with_inbox};

/// A URL that names no message or part here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the URL of a message or of a part on this server")]
pub struct NoMessageUrl;

/// A message or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageUrl {
    /// Its mailbox; `None` is the one that is selected.
    pub mailbox: Option<UrlMailbox>,
    /// UIDVALIDITY
    pub uid_validity: Option<u32>,
    /// UID
    pub uid: u32,
    /// The part; empty is the message.
    pub part: Vec<u32>,
    /// What of the part.
    pub text: SectionText,
    /// PARTIAL: offset and length; without a length it goes on to the end.
    pub partial: Option<(u64, u64)>,
}

/// The name of a mailbox in a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlMailbox {
    /// The whole name.
    Absolute(String),
    /// A name beside the mailbox that is selected (RFC 3986 section 5.2.3), or the whole one when none is.
    Relative(String),
}

impl MessageUrl {
    /// Reads one.
    ///
    /// # Errors
    /// [`NoMessageUrl`]: for absolute URLs, for those of a server or a mailbox, for URLAUTH, and for what is no URL.
    pub fn parse(url: &str) -> Result<Self, NoMessageUrl> {
        let is_elsewhere = url.starts_with("//") || has_scheme(url);
        if is_elsewhere || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NoMessageUrl);
        }
        // A mailbox may have slashes in its name, and semicolons only when they are encoded.
        let (mailbox, rest) = split_once(url, ";UID=").ok_or(NoMessageUrl)?;
        let (mailbox, uid_validity) = match mailbox.strip_suffix('/') {
            Some(mailbox) => mailbox_ref(mailbox)?,
            None if mailbox.is_empty() => (None, None),
            None => return Err(NoMessageUrl),
        };
        let (uid, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let uid = nz_number(uid)?;
        let (section, partial) = match split_once(rest, ";PARTIAL=") {
            Some((section, partial)) => (section, Some(partial_range(partial)?)),
            None => (rest, None),
        };
        // Where a PARTIAL follows, a slash divides it from the section.
        let section = if partial.is_some() { section.strip_suffix('/').unwrap_or(section) } else { section };
        let (part, text) = match section {
            "" => (Vec::new(), SectionText::All),
            section => match split_once(section, ";SECTION=") {
                Some(("", section)) => read_section(section)?,
                _ => return Err(NoMessageUrl),
            },
        };
        Ok(MessageUrl { mailbox, uid_validity, uid, part, text, partial })
    }
}

impl UrlMailbox {
    /// The whole name, given that of the mailbox that is selected.
    pub fn resolve(&self, selected: Option<&str>) -> String {
        match (self, selected.and_then(|selected| selected.rsplit_once('/'))) {
            (UrlMailbox::Relative(name), Some((above, _))) => format!("{above}/{name}"),
            (UrlMailbox::Absolute(name) | UrlMailbox::Relative(name), _) => with_inbox(name.clone()),
        }
    }
}

/// `imailbox-ref`: a mailbox, perhaps with its UIDVALIDITY. The selected one is named by nothing.
fn mailbox_ref(text: &str) -> Result<(Option<UrlMailbox>, Option<u32>), NoMessageUrl> {
    let (mailbox, uid_validity) = match split_once(text, ";UIDVALIDITY=") {
        Some((mailbox, number)) => (mailbox, Some(nz_number(number)?)),
        None => (text, None),
    };
    let (is_absolute, name) = mailbox.strip_prefix('/').map_or((false, mailbox), |name| (true, name));
    let name = decode(name)?;
    if name.is_empty() {
        return Err(NoMessageUrl);
    }
    Ok((Some(if is_absolute { UrlMailbox::Absolute(name) } else { UrlMailbox::Relative(name) }), uid_validity))
}

fn read_section(text: &str) -> Result<(Vec<u32>, SectionText), NoMessageUrl> {
    let text = decode(text)?;
    let mut lexer = Lexer::new(text.as_bytes(), true);
    let section = lexer.section_spec(|next| next.is_none()).map_err(|_| NoMessageUrl)?;
    let is_whole = section.0.is_empty() && section.1 == SectionText::All;
    if is_whole || lexer.peek().is_some() { Err(NoMessageUrl) } else { Ok(section) }
}

/// `partial-range`
fn partial_range(text: &str) -> Result<(u64, u64), NoMessageUrl> {
    let number = |text: &str| digits(text).and_then(|digits| digits.parse().map_err(|_| NoMessageUrl));
    match text.split_once('.') {
        Some((_, "0")) => Err(NoMessageUrl),
        Some((offset, length)) => Ok((number(offset)?, number(length)?)),
        None => Ok((number(text)?, u64::MAX)),
    }
}

fn nz_number(text: &str) -> Result<u32, NoMessageUrl> {
    digits(text)?.parse().ok().filter(|number| *number > 0).ok_or(NoMessageUrl)
}

fn digits(text: &str) -> Result<&str, NoMessageUrl> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { Ok(text) } else { Err(NoMessageUrl) }
}

/// Whether it is absolute: a scheme and a colon before anything else.
fn has_scheme(url: &str) -> bool {
    let end = url.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')));
    end.is_some_and(|end| end > 0 && url[end..].starts_with(':'))
}

/// At the first place where this stands, in any case. The text is ASCII.
fn split_once<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let is_here = |window: &[u8]| window.eq_ignore_ascii_case(word.as_bytes());
    let at = text.as_bytes().windows(word.len()).position(is_here)?;
    Some((&text[..at], &text[at + word.len()..]))
}

/// Undoes `%41`; the result must be UTF-8 without controls.
fn decode(text: &str) -> Result<String, NoMessageUrl> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16)).ok_or(NoMessageUrl);
                (digit()? * 16 + digit()?) as u8
            }
            b';' | b'?' | b'#' => return Err(NoMessageUrl),
            byte => byte,
        });
    }
    let decoded = String::from_utf8(decoded).map_err(|_| NoMessageUrl)?;
    if decoded.chars().any(char::is_control) { Err(NoMessageUrl) } else { Ok(decoded) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> MessageUrl {
        MessageUrl::parse(url).unwrap_or_else(|_| panic!("{url}"))
    }

    fn absolute(name: &str) -> Option<UrlMailbox> {
        Some(UrlMailbox::Absolute(name.to_owned()))
    }

    #[test]
    fn messages_and_parts_are_named() {
        let url = read("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER");
        assert_eq!((url.mailbox, url.uid_validity, url.uid), (absolute("Drafts"), Some(385_759_045), 20));
        assert_eq!((url.part, url.text, url.partial), (vec![], SectionText::Header, None));
        let url = read("a/b%20c%2F%C3%A9/;uid=4294967295/;SECTION=1.2.MIME/;PARTIAL=0.1024");
        let beside = Some(UrlMailbox::Relative("a/b c/\u{e9}".to_owned()));
        assert_eq!((url.mailbox, url.uid_validity, url.uid), (beside, None, u32::MAX));
        assert_eq!((url.part, url.text, url.partial), (vec![1, 2], SectionText::Mime, Some((0, 1024))));
        let url = read(";UID=7/;PARTIAL=5");
        assert_eq!((url.mailbox, url.uid, url.partial), (None, 7, Some((5, u64::MAX))));
        let url = read("/inbox/;UID=1/;SECTION=HEADER.FIELDS%20(Subject%20To)");
        let fields = SectionText::HeaderFields { names: vec![b"Subject".to_vec(), b"To".to_vec()], not: false };
        assert_eq!((url.mailbox, url.text), (absolute("inbox"), fields));
    }

    #[test]
    fn a_relative_name_stands_beside_the_selected_one() {
        let (whole, beside) = (UrlMailbox::Absolute("inbox".to_owned()), UrlMailbox::Relative("inbox/c".to_owned()));
        assert_eq!([whole.resolve(None), whole.resolve(Some("a/b"))], ["INBOX", "INBOX"]);
        assert_eq!([beside.resolve(None), beside.resolve(Some("a"))], ["INBOX/c", "INBOX/c"]);
        assert_eq!(beside.resolve(Some("a/b/c")), "a/b/inbox/c");
    }

    #[test]
    fn what_names_no_message_here_is_refused() {
        for url in [
            "",
            "/",
            "/INBOX",
            "/INBOX;UIDVALIDITY=1",
            "imap://host/INBOX/;UID=1",
            "IMAP:INBOX/;UID=1",
            "http://host/;UID=1",
            "//host/INBOX/;UID=1",
            "/INBOX;UID=1",
            "//;UID=1",
            "/INBOX/;UID=0",
            "/INBOX/;UID=+1",
            "/INBOX/;UID=4294967296",
            "/INBOX/;UID=1/;SECTION=",
            "/INBOX/;UID=1/;SECTION=1.HEADERS",
            "/INBOX/;UID=1/;SECTION=TEXT.1",
            "/INBOX/;UID=1/x",
            "/INBOX/;UID=1/;PARTIAL=1.0",
            "/INBOX/;UID=1/;PARTIAL=",
            "/INBOX/;UID=1;URLAUTH=anonymous",
            "/INBOX;UIDVALIDITY=0/;UID=1",
            "/IN%4/;UID=1",
            "/IN%00/;UID=1",
            "/%FF/;UID=1",
            "/INBOX?SUBJECT/;UID=1",
            "/IN BOX/;UID=1",
            "/\u{e9}/;UID=1",
        ] {
            assert_eq!(MessageUrl::parse(url), Err(NoMessageUrl), "{url}");
        }
    }
}
