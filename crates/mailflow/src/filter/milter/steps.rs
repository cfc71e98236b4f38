//! The steps of a transaction with their macros, as milters are told them.

use std::net::IpAddr;

use sterna_account::service::Rcpt;
use sterna_formats::milter::{Command, Stage};
use sterna_formats::smtp::to_xtext;

use crate::filter::Facts;

/// A step and what is told before it.
pub struct Step {
    /// Which.
    pub stage: Stage,
    /// Names and values.
    pub macros: Vec<(&'static str, String)>,
    /// The step itself.
    pub command: Command,
}

impl Step {
    /// One that has the name of the message as its only macro.
    pub fn plain(facts: &Facts<'_>, stage: Stage, command: Command) -> Self {
        Step { stage, macros: vec![("i", facts.envelope.transaction.to_string())], command }
    }
}

/// The client. Its name in DNS is not asked for: it has the form for those that have none.
pub fn connect(facts: &Facts<'_>) -> Step {
    let peer = facts.envelope.sender.peer.to_canonical();
    let host = match peer {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    };
    let macros = vec![
        ("j", facts.own_name.to_owned()),
        ("v", concat!("Sterna ", env!("CARGO_PKG_VERSION")).to_owned()),
        ("{daemon_name}", facts.own_name.to_owned()),
        ("{client_addr}", peer.to_string()),
        ("{client_name}", host.clone()),
    ];
    Step { stage: Stage::Connect, macros, command: Command::Connect { host, peer: Some((peer, 0)) } }
}

/// Its greeting.
pub fn helo(facts: &Facts<'_>) -> Step {
    let command = Command::Helo(facts.envelope.sender.helo.clone());
    Step { stage: Stage::Helo, macros: Vec::new(), command }
}

/// MAIL.
pub fn mail(facts: &Facts<'_>) -> Step {
    let envelope = facts.envelope;
    let mut step = Step::plain(facts, Stage::Mail, Command::Quit);
    step.macros.push(("{mail_addr}", envelope.mail_from.clone()));
    if let Some(login) = &envelope.sender.login {
        step.macros.push(("{auth_authen}", login.address.clone()));
        // The mechanism is not known here; milters ask whether there is one.
        step.macros.push(("{auth_type}", "SASL".to_owned()));
    }
    let mut params = Vec::new();
    params.extend(envelope.eight_bit.then(|| "BODY=8BITMIME".to_owned()));
    params.extend(envelope.utf8.then(|| "SMTPUTF8".to_owned()));
    params.extend(envelope.return_headers_only.then(|| "RET=HDRS".to_owned()));
    params.extend(envelope.envelope_id.as_ref().map(|id| format!("ENVID={}", to_xtext(id))));
    Step { command: Command::Mail { address: envelope.mail_from.clone(), params }, ..step }
}

/// RCPT.
pub fn rcpt(facts: &Facts<'_>, rcpt: &Rcpt) -> Step {
    let mut params = Vec::new();
    params.extend(rcpt.notify.as_ref().map(|notify| format!("NOTIFY={notify}")));
    params.extend(rcpt.original.as_ref().map(|original| format!("ORCPT={original}")));
    let mut step = Step::plain(facts, Stage::Rcpt, Command::Rcpt { address: rcpt.address.clone(), params });
    step.macros.push(("{rcpt_addr}", rcpt.address.clone()));
    step
}

/// A field as milters have it: its name, its value with LF between its lines; `None` for a line that is none.
pub fn header(field: &[u8], with_space: bool) -> Option<Command> {
    let colon = memchr::memchr(b':', field)?;
    let (name, value) = (field[..colon].trim_ascii_end(), &field[colon + 1..]);
    let value = value.strip_suffix(b"\r\n").unwrap_or(value);
    let value = if with_space { value } else { value.strip_prefix(b" ").unwrap_or(value) };
    let value = value.iter().copied().filter(|&byte| byte != b'\r').collect();
    (!name.is_empty()).then(|| Command::Header { name: name.to_vec(), value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_as_milters_have_them() {
        let read = |field: &str, with_space| header(field.as_bytes(), with_space);
        let command = |name: &str, value: &str| Some(Command::Header { name: name.into(), value: value.into() });
        assert_eq!(read("Subject: a\r\n\tb\r\n", true), command("Subject", " a\n\tb"));
        assert_eq!(read("Subject : a\r\n\tb", false), command("Subject", "a\n\tb"));
        assert_eq!(read("X:\r\n", false), command("X", ""));
        assert_eq!(read("no field\r\n", true), None);
        assert_eq!(read(": x\r\n", true), None);
    }
}
