//! Messages that we write ourselves because of a script. Whatever came from outside is one line of text here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sterna_base::Timestamp;
use sterna_formats::mail::address_list::address_list;
use sterna_formats::smtp::trace;

/// Characters of a subject that are kept.
const SUBJECT_CHARS_MAX: usize = 250;

/// Bytes of text in one encoded word: 60 characters of base 64, with the rest below 75 (RFC 2047 section 2).
const WORD_BYTES_MAX: usize = 42;

/// Bytes of references that are kept; the newest are at the end.
const REFERENCES_BYTES_MAX: usize = 2000;

/// Longest line that goes out as it is (RFC 5321 section 4.5.3.1.6).
const LINE_BYTES_MAX: usize = 900;

/// Characters of base 64 on a line (RFC 2045 section 6.8).
const BASE64_LINE_CHARS: usize = 76;

/// What a message is made from.
pub struct Draft<'a> {
    /// The field's value, as [`mailbox`] makes it.
    pub from: String,
    /// Addresses.
    pub to: Vec<String>,
    /// For people.
    pub subject: String,
    /// The Message-ID that it answers.
    pub answers: Option<String>,
    /// Those before it.
    pub references: String,
    /// `auto-replied` or `auto-notified` (RFC 3834 section 5).
    pub auto_submitted: &'a str,
    /// 1 is high, 3 is low.
    pub importance: u8,
    /// The text, or a MIME entity.
    pub text: &'a str,
    /// Whether it is that.
    pub is_mime: bool,
}

impl Draft<'_> {
    /// The message, from this host, under this id.
    pub fn message(&self, own_name: &str, id: &str, now: Timestamp) -> Vec<u8> {
        let date = trace::date(now);
        let mut header = format!("Return-Path: <>\r\nReceived: by {own_name} id {id};\r\n\t{date}\r\n");
        header += &format!("From: {}\r\nTo: ", self.from);
        header += &self.to.iter().map(|to| format!("<{}>", one_line(to))).collect::<Vec<_>>().join(",\r\n ");
        header += &format!("\r\nSubject: {}\r\nDate: {date}\r\n", unstructured(&self.subject));
        header += &format!("Message-ID: <{id}@{own_name}>\r\n");
        if let Some(answered) = &self.answers {
            let references = format!("{} {answered}", self.references);
            header += &format!("In-Reply-To: {answered}\r\nReferences: {}\r\n", ids(&references).join("\r\n "));
        }
        header += &format!("Auto-Submitted: {}\r\nX-Auto-Response-Suppress: All\r\n", self.auto_submitted);
        match self.importance {
            1 => header += "Importance: high\r\n",
            3 => header += "Importance: low\r\n",
            _ => {}
        }
        header += "MIME-Version: 1.0\r\n";
        let mut message = header.into_bytes();
        let text = with_crlf(self.text);
        if self.is_mime {
            entity(&text, &mut message)
        } else {
            plain(&text, &mut message)
        }
        message
    }
}

/// The value of From for somebody.
pub fn mailbox(name: &str, address: &str) -> String {
    let (name, address) = (one_line(name), one_line(address));
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -_'".contains(&byte));
    match name.as_str() {
        "" => format!("<{address}>"),
        name if is_plain => format!("{name} <{address}>"),
        name if name.is_ascii() => format!("\"{}\" <{address}>", name.replace('\\', "\\\\").replace('"', "\\\"")),
        name => format!("{} <{address}>", unstructured(name)),
    }
}

/// Name and address of the one mailbox in a text; `None` when there is not exactly one.
pub fn one_mailbox(text: &str) -> Option<(String, String)> {
    let found = address_list(one_line(text).as_bytes());
    let [one] = found.as_slice() else { return None };
    let part = |part: &Option<Vec<u8>>| part.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let name = one.name.as_ref().map(|name| sterna_formats::mail::encoded_word::decode(name)).unwrap_or_default();
    Some((name, format!("{}@{}", part(&one.mailbox)?, part(&one.host)?)))
}

/// Without anything that ends a line or moves a cursor.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

/// A field's text (RFC 5322 section 2.2.1), in encoded words where it must be.
pub fn unstructured(text: &str) -> String {
    let text: String = one_line(text).chars().take(SUBJECT_CHARS_MAX).collect();
    if text.is_ascii() && !text.contains("=?") {
        return text;
    }
    let mut words = vec![String::new()];
    for c in text.chars() {
        if words.last().is_some_and(|word| word.len() + c.len_utf8() > WORD_BYTES_MAX) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    let encoded: Vec<String> = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word))).collect();
    encoded.join("\r\n ")
}

/// The message ids in a text, the newest ones.
fn ids(text: &str) -> Vec<&str> {
    let is_id = |word: &&str| word.starts_with('<') && word.ends_with('>') && word.len() < LINE_BYTES_MAX;
    let mut found: Vec<&str> = text.split_whitespace().filter(is_id).collect();
    while found.len() > 1 && found.iter().map(|id| id.len() + 3).sum::<usize>() > REFERENCES_BYTES_MAX {
        found.remove(0);
    }
    found
}

fn with_crlf(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "");
    let mut text = text.replace('\n', "\r\n");
    if !text.ends_with("\r\n") {
        text.push_str("\r\n");
    }
    text
}

fn plain(text: &str, message: &mut Vec<u8>) {
    let is_short = text.lines().all(|line| line.len() <= LINE_BYTES_MAX);
    message.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\r\n");
    if text.is_ascii() && is_short {
        message.extend_from_slice(b"Content-Transfer-Encoding: 7bit\r\n\r\n");
        message.extend_from_slice(text.as_bytes());
        return;
    }
    message.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n\r\n");
    for line in STANDARD.encode(text).as_bytes().chunks(BASE64_LINE_CHARS) {
        message.extend_from_slice(line);
        message.extend_from_slice(b"\r\n");
    }
}

/// A MIME entity: of its fields, those that describe it (RFC 5230 section 4.8).
fn entity(text: &str, message: &mut Vec<u8>) {
    let (header, body) = match text.split_once("\r\n\r\n") {
        Some((header, body)) => (format!("{header}\r\n"), body),
        None => (text.to_owned(), ""),
    };
    for field in sterna_formats::mail::fields(header.as_bytes()) {
        let start: Vec<u8> = field.name.iter().take(8).map(u8::to_ascii_lowercase).collect();
        if start == b"content-" {
            message.extend_from_slice(field.raw);
        }
    }
    message.extend_from_slice(b"\r\n");
    message.extend_from_slice(body.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(subject: &str, text: &'static str, is_mime: bool) -> String {
        let draft = Draft {
            from: mailbox("Ana \"A.\" Tern", "ana@demo.test"),
            to: vec!["eve@other.test\r\nBcc: x@y".into()],
            subject: subject.into(),
            answers: Some("<1@other.test>".into()),
            references: "<0@other.test> junk\r\nBcc:z@y".into(),
            auto_submitted: "auto-replied",
            importance: 2,
            text,
            is_mime,
        };
        String::from_utf8(draft.message("mx.demo.test", "id", Timestamp(0))).unwrap()
    }

    #[test]
    fn strangers_add_no_fields() {
        let message = draft("Away\r\nBcc: victim@x.test", "a\nb\r\n", false);
        assert!(!message.contains("\nBcc:"), "{message}");
        assert!(message.contains("\r\nSubject: Away  Bcc: victim@x.test\r\n"), "{message}");
        assert!(message.contains("\r\nReferences: <0@other.test>\r\n <1@other.test>\r\n"), "{message}");
        assert!(message.contains("\r\nFrom: \"Ana \\\"A.\\\" Tern\" <ana@demo.test>\r\n"), "{message}");
        assert!(message.ends_with("7bit\r\n\r\na\r\nb\r\n"), "{message}");
    }

    #[test]
    fn other_letters_are_encoded() {
        let message = draft(&"Sturmvögel ".repeat(20), "Grüße", false);
        assert!(message.is_ascii() && message.lines().all(|line| line.len() < 78), "{message}");
        let subject = sterna_formats::mail::fields(message.as_bytes()).find(|field| field.is(b"Subject")).unwrap();
        let decoded = sterna_formats::mail::encoded_word::decode(subject.value);
        assert_eq!(decoded, "Sturmvögel ".repeat(20).trim());
    }

    #[test]
    fn an_entity_describes_itself_and_nothing_else() {
        let entity = "Content-Type: text/html\r\nBcc: x@y\r\nContent-Language: de\r\n\r\n<b>";
        let message = draft("x", entity, true);
        assert!(message.ends_with("\r\nContent-Type: text/html\r\nContent-Language: de\r\n\r\n<b>\r\n"), "{message}");
        assert!(!message.contains("\r\nBcc:"), "{message}");
    }
}
