//! Automatic answers and notifications: whether they are sent, to whom, and what is in them (RFC 5230, RFC 5436, and
//! RFC 3834 for both).

use sterna_account::service::Owner;
use sterna_base::Timestamp;
use sterna_formats::mail::{encoded_word, fields};

use super::action::{Notify, Vacation};
use super::compose::{Draft, mailbox, one_line, one_mailbox};
use super::limits::NOTIFIED_MAX;
use super::subaddress;

/// What is put in front of a subject that is answered.
const PREFIX: &str = "Auto: ";

/// The subject when there is none at all.
const SUBJECT: &str = "Automatic reply";

/// Names of senders that are programs, before the `@`.
const PROGRAMS: [&str; 6] = ["mailer-daemon", "listserv", "majordomo", "noreply", "no-reply", "postmaster"];

/// What a message says about answering it, in its header.
pub struct Asked {
    message_id: Option<String>,
    references: String,
    subject: String,
    /// Whether it may be answered automatically: never a list's, a program's or a bounce.
    pub may_answer: bool,
}

impl Asked {
    /// Of a message from this reverse-path.
    pub fn of(message: &[u8], mail_from: &str) -> Self {
        let mut asked = Asked {
            message_id: None,
            references: String::new(),
            subject: String::new(),
            may_answer: !is_program(mail_from),
        };
        for field in fields(message) {
            let text = || one_line(&String::from_utf8_lossy(&field.unfolded()));
            let name = field.name.to_ascii_lowercase();
            match name.as_slice() {
                b"message-id" => asked.message_id = text().split_whitespace().next().map(str::to_owned),
                b"references" => asked.references = text(),
                b"subject" => asked.subject = encoded_word::decode(field.value),
                b"auto-submitted" => asked.may_answer &= text().eq_ignore_ascii_case("no"),
                b"precedence" => {
                    let precedence = text().to_ascii_lowercase();
                    asked.may_answer &= !matches!(precedence.as_str(), "bulk" | "list" | "junk");
                }
                b"x-spam-flag" => asked.may_answer &= !text().to_ascii_lowercase().starts_with("yes"),
                b"feedback-id" | b"x-loop" => asked.may_answer = false,
                name if name.starts_with(b"list-") => asked.may_answer = false,
                _ => {}
            }
        }
        let is_id = |id: &String| id.starts_with('<') && id.ends_with('>');
        asked.message_id = asked.message_id.filter(is_id);
        asked
    }

    /// The answer of `vacation`.
    pub fn vacation(&self, vacation: &Vacation, owner: &Owner, sender: &str, host: (&str, &str, Timestamp)) -> Vec<u8> {
        let subject = match &vacation.subject {
            Some(subject) => subject.clone(),
            None if self.subject.is_empty() => SUBJECT.to_owned(),
            None => format!("{PREFIX}{}", self.subject),
        };
        let draft = Draft {
            from: from(vacation.from.as_deref(), owner),
            to: vec![sender.to_owned()],
            subject,
            answers: self.message_id.clone(),
            references: self.references.clone(),
            auto_submitted: "auto-replied",
            importance: 2,
            text: &vacation.reason,
            is_mime: vacation.is_mime,
        };
        draft.message(host.0, host.1, host.2)
    }

    /// The mail of `notify`, and to whom it goes; `None` when the method is none of ours.
    pub fn notify(
        &self,
        notify: &Notify,
        owner: &Owner,
        host: (&str, &str, Timestamp),
    ) -> Option<(Vec<String>, Vec<u8>)> {
        let target = mailto(&notify.method)?;
        let message = one_line(&notify.message);
        let subject = target.subject.filter(|subject| !subject.is_empty()).unwrap_or_else(|| message.clone());
        let text = target.body.unwrap_or(message);
        let draft = Draft {
            from: from(notify.from.as_deref(), owner),
            to: target.to.clone(),
            subject,
            answers: None,
            references: String::new(),
            auto_submitted: "auto-notified",
            importance: notify.importance,
            text: &text,
            is_mime: false,
        };
        Some((target.to, draft.message(host.0, host.1, host.2)))
    }
}

fn is_program(mail_from: &str) -> bool {
    let Some((local, _)) = mail_from.rsplit_once('@') else { return true };
    let local = local.to_ascii_lowercase();
    PROGRAMS.contains(&local.as_str())
        || local.starts_with("owner-")
        || local.ends_with("-owner")
        || local.ends_with("-request")
        || local.ends_with("-bounces")
        || local.starts_with("srs0=")
        || local.starts_with("srs1=")
}

/// What the script says, if it is one of the owner's addresses, with or without a detail; else the main one.
fn from(wanted: Option<&str>, owner: &Owner) -> String {
    if let Some((name, address)) = wanted.and_then(one_mailbox)
        && subaddress::is_own(owner, &address)
    {
        return mailbox(&name, &address);
    }
    mailbox(&owner.name, owner.addresses.first().map_or("", String::as_str))
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Mailto {
    to: Vec<String>,
    subject: Option<String>,
    body: Option<String>,
}

/// RFC 6068. Fields that a notification can't have are passed over (RFC 5436 section 2.3).
fn mailto(uri: &str) -> Option<Mailto> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("mailto") {
        return None;
    }
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut found = Mailto::default();
    let mut add = |list: &str| {
        let addresses = list.split(',').map(decode).filter(|address| is_address(address));
        found.to.extend(addresses);
    };
    add(path);
    let mut texts = (None, None);
    for (name, value) in query.split('&').filter_map(|field| field.split_once('=')) {
        match name.to_ascii_lowercase().as_str() {
            "to" | "cc" | "bcc" => add(value),
            "subject" => texts.0 = Some(one_line(&decode(value))),
            "body" => texts.1 = Some(decode(value)),
            _ => {}
        }
    }
    (found.subject, found.body) = texts;
    found.to.truncate(NOTIFIED_MAX);
    (!found.to.is_empty()).then_some(found)
}

fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let good = |c: char| !c.is_control() && !c.is_whitespace() && !"<>,;\"()[]\\".contains(c);
    !local.is_empty() && !domain.is_empty() && text.chars().all(good)
}

/// `%41` is an A.
fn decode(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match hex.filter(|_| byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_programs_are_not_answered() {
        let may = |header: &str, from: &str| Asked::of(format!("{header}\r\n\r\n").as_bytes(), from).may_answer;
        assert!(may("Subject: x", "eve@other.test"));
        assert!(may("Auto-Submitted: no", "eve@other.test"));
        for header in [
            "Auto-Submitted: auto-generated",
            "List-Id: <x.y>",
            "List-Unsubscribe: <mailto:x@y>",
            "Precedence: list",
            "precedence: Bulk",
            "X-Spam-Flag: YES",
        ] {
            assert!(!may(header, "eve@other.test"), "{header}");
        }
        for from in ["", "MAILER-DAEMON@x.test", "owner-list@x.test", "list-request@x.test", "noreply@x.test"] {
            assert!(!may("Subject: x", from), "{from}");
        }
    }

    #[test]
    fn mailto_is_read_with_care() {
        let found = mailto("mailto:a@b.test,c%40d.test?subject=x%0D%0ABcc:%20e@f&body=one%0Atwo&to=g@h.test").unwrap();
        assert_eq!(found.to, ["a@b.test", "c@d.test", "g@h.test"]);
        assert_eq!(found.subject.as_deref(), Some("x  Bcc: e@f"));
        assert_eq!(found.body.as_deref(), Some("one\ntwo"));
        for wrong in ["mailto:", "mailto:a", "xmpp:a@b", "mailto:a%0d%0a@b", "x"] {
            assert_eq!(mailto(wrong), None, "{wrong}");
        }
    }
}
