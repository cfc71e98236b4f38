//! Delivery status notifications as messages (RFC 3461 section 6, RFC 3464, RFC 6522).

use std::fmt::Write;

use sterna_base::Timestamp;
use sterna_formats::smtp::trace;

use super::header;
use super::texts::{Language, Texts};
use crate::queue::{QueuedEnvelope, Said};

/// What happened to the recipients of one report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It is given up.
    Failed,
    /// It still waits.
    Delayed,
    /// The next host has it and does not tell more.
    Relayed,
    /// It is in the mailbox.
    Delivered,
}

/// One recipient of whom a report tells.
#[derive(Clone, Debug)]
pub struct Reported<'a> {
    /// The address.
    pub address: &'a str,
    /// ORCPT, as given.
    pub original: Option<&'a str>,
    /// What happened.
    pub action: Action,
    /// Why.
    pub said: &'a Said,
}

/// What a report is made from.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// This host.
    pub own_name: &'a str,
    /// The report's own name.
    pub id: String,
    /// What was said about the message.
    pub envelope: &'a QueuedEnvelope,
    /// What happened; not empty.
    pub recipients: Vec<Reported<'a>>,
    /// How many more it happened to, who have no place in the report.
    pub unnamed: usize,
    /// The message, or its header alone.
    pub original: &'a [u8],
    /// Whether that is the whole message.
    pub is_whole: bool,
    /// When.
    pub now: Timestamp,
    /// The sender's language.
    pub language: Language,
}

impl Action {
    /// The `action-value` of RFC 3464 section 2.3.3.
    fn keyword(self) -> &'static str {
        match self {
            Action::Failed => "failed",
            Action::Delayed => "delayed",
            Action::Relayed => "relayed",
            Action::Delivered => "delivered",
        }
    }

    fn subject(self, texts: &Texts) -> &'static str {
        match self {
            Action::Failed => texts.failed_subject,
            Action::Delayed => texts.delayed_subject,
            Action::Relayed | Action::Delivered => texts.delivered_subject,
        }
    }

    fn sentence(self, texts: &Texts, expires: &str) -> String {
        match self {
            Action::Failed => texts.failed.to_owned(),
            Action::Delayed => texts.delayed.replace("{}", expires),
            Action::Relayed => texts.relayed.to_owned(),
            Action::Delivered => texts.delivered.to_owned(),
        }
    }
}

impl Report<'_> {
    /// The message, in so many bytes. What it has too many, it does without in this order: the original's content,
    /// the ends of what servers said, and recipients, of whom the number is told. One recipient and the original's
    /// header always stay.
    pub fn message_within(mut self, bytes_max: usize) -> Vec<u8> {
        let whole = self.message(TEXT_BYTES_MAX);
        if whole.len() <= bytes_max {
            return whole;
        }
        if self.is_whole {
            (self.original, self.is_whole) = (header(self.original), false);
        }
        let headers = self.message(TEXT_BYTES_MAX);
        if headers.len() <= bytes_max {
            return headers;
        }
        loop {
            let short = self.message(SHORT_TEXT_BYTES_MAX);
            if short.len() <= bytes_max || self.recipients.len() <= 1 {
                return short;
            }
            let named = self.recipients.len() / 2;
            self.unnamed += self.recipients.len() - named;
            self.recipients.truncate(named);
        }
    }

    /// The message, with so many bytes of what servers said.
    fn message(&self, said_bytes_max: usize) -> Vec<u8> {
        let texts = self.language.texts();
        let boundary = format!("=_{}", self.id);
        let worst = self.recipients.iter().map(|recipient| recipient.action).min().unwrap_or(Action::Failed);
        let mut text = self.header(texts, worst, &boundary);
        let part = |text: &mut String, kind: &str| {
            let _ = write!(text, "--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
        };
        part(&mut text, "text/plain; charset=utf-8");
        self.for_people(texts, said_bytes_max, &mut text);
        let is_international = self.recipients.iter().any(|recipient| !recipient.address.is_ascii());
        // RFC 6533 section 4: addresses outside ASCII need their own type.
        part(&mut text, if is_international { "message/global-delivery-status" } else { "message/delivery-status" });
        self.for_programs(said_bytes_max, &mut text);
        let kind = match (self.is_whole, self.envelope.utf8) {
            (true, false) => "message/rfc822",
            (true, true) => "message/global",
            (false, false) => "text/rfc822-headers",
            (false, true) => "message/global-headers",
        };
        part(&mut text, kind);
        let mut message = text.into_bytes();
        message.extend_from_slice(self.original);
        if !message.ends_with(b"\r\n") {
            message.extend_from_slice(b"\r\n");
        }
        message.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        message
    }

    fn header(&self, texts: &Texts, worst: Action, boundary: &str) -> String {
        let (own, id, date) = (self.own_name, &self.id, trace::date(self.now));
        let subject = encoded(worst.subject(texts));
        let to = one_line(&self.envelope.mail_from);
        format!(
            "Return-Path: <>\r\nReceived: by {own} id {id};\r\n\t{date}\r\nFrom: <MAILER-DAEMON@{own}>\r\n\
             To: <{to}>\r\nSubject: {subject}\r\nDate: {date}\r\nMessage-ID: <{id}@{own}>\r\n\
             Auto-Submitted: auto-replied\r\nContent-Language: {}\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n\r\n",
            texts.tag
        )
    }

    fn for_people(&self, texts: &Texts, said_bytes_max: usize, text: &mut String) {
        let expires = trace::date(self.envelope.expires);
        let _ = write!(text, "{}\r\n", texts.sender.replace("{}", self.own_name));
        for action in [Action::Failed, Action::Delayed, Action::Relayed, Action::Delivered] {
            let mut told = self.recipients.iter().filter(|recipient| recipient.action == action).peekable();
            if told.peek().is_none() {
                continue;
            }
            let _ = write!(text, "\r\n{}\r\n\r\n", action.sentence(texts, &expires));
            for recipient in told {
                let _ = write!(text, "  <{}>\r\n", one_line(recipient.address));
                if matches!(action, Action::Failed | Action::Delayed) {
                    let host = if recipient.said.host.is_empty() { self.own_name } else { &recipient.said.host };
                    let said = texts.said.replace("{}", host);
                    let _ = write!(text, "    {said}{}\r\n", one_line_within(&recipient.said.text, said_bytes_max));
                }
            }
            if action == Action::Delayed {
                let _ = write!(text, "\r\n{}\r\n", texts.no_action);
            }
        }
        if self.unnamed > 0 {
            // A number needs no language.
            let _ = write!(text, "  … (+{})\r\n", self.unnamed);
        }
        let _ = write!(text, "\r\n{}\r\n\r\n", texts.attached);
    }

    /// RFC 3464 section 2.
    fn for_programs(&self, said_bytes_max: usize, text: &mut String) {
        let (own, arrived) = (self.own_name, trace::date(self.envelope.received));
        let _ = write!(text, "Reporting-MTA: dns; {own}\r\n");
        if let Some(id) = &self.envelope.envelope_id {
            let _ = write!(text, "Original-Envelope-Id: {}\r\n", one_line(id));
        }
        let _ = write!(text, "Arrival-Date: {arrived}\r\n\r\n");
        for recipient in &self.recipients {
            self.recipient_for_programs(recipient, said_bytes_max, text);
        }
    }

    fn recipient_for_programs(&self, recipient: &Reported<'_>, said_bytes_max: usize, text: &mut String) {
        let said = recipient.said;
        let kind = if recipient.address.is_ascii() { "rfc822" } else { "utf-8" };
        if let Some(original) = recipient.original {
            let _ = write!(text, "Original-Recipient: {}\r\n", one_line(original));
        }
        let (class, subject, detail) = match recipient.action {
            Action::Failed => (5, said.status.1, said.status.2),
            Action::Delayed => (4, said.status.1, said.status.2),
            Action::Relayed | Action::Delivered => (2, said.status.1, said.status.2),
        };
        let _ = write!(text, "Final-Recipient: {kind}; {}\r\n", one_line(recipient.address));
        let _ = write!(text, "Action: {}\r\nStatus: {class}.{subject}.{detail}\r\n", recipient.action.keyword());
        let diagnostic = one_line_within(&said.text, said_bytes_max);
        if said.is_reply {
            let name = said.host.split(' ').next().unwrap_or_default();
            if !name.is_empty() {
                let _ = write!(text, "Remote-MTA: dns; {}\r\n", one_line(name));
            }
            let _ = write!(text, "Diagnostic-Code: smtp; {diagnostic}\r\n");
        } else if !said.text.is_empty() {
            let _ = write!(text, "Diagnostic-Code: x-sterna; {diagnostic}\r\n");
        }
        if recipient.action == Action::Delayed {
            let _ = write!(text, "Will-Retry-Until: {}\r\n", trace::date(self.envelope.expires));
        }
        text.push_str("\r\n");
    }
}

/// Longest text of others in one line of ours, in bytes.
const TEXT_BYTES_MAX: usize = 900;

/// What is left of what a server said in a report that would be too long: 200 of them fit with their recipients.
const SHORT_TEXT_BYTES_MAX: usize = 160;

/// What others said can't make lines of its own, nor lines that are too long.
fn one_line(text: &str) -> String {
    one_line_within(text, TEXT_BYTES_MAX)
}

fn one_line_within(text: &str, bytes_max: usize) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut end = line.len().min(bytes_max);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.truncate(end);
    line
}

/// RFC 2047, for subjects with letters outside ASCII; ours are short enough for one word.
fn encoded(text: &str) -> String {
    use base64::Engine as _;
    if text.is_ascii() {
        return text.to_owned();
    }
    format!("=?utf-8?B?{}?=", base64::engine::general_purpose::STANDARD.encode(text))
}
