//! Command lines (RFC 1939; CAPA of RFC 2449, STLS of RFC 2595, AUTH of RFC 5034, UTF8 of RFC 6856).

use sterna_base::Secret;

/// Longest name of a SASL mechanism (RFC 4422 section 3.1).
const MECHANISM_BYTES_MAX: usize = 20;

/// One command. Message numbers that no mailbox has are taken here: only the session can say so.
#[derive(Clone, Debug)]
pub enum Command {
    /// `CAPA`
    Capa,
    /// `STLS`
    Stls,
    /// `UTF8`
    Utf8,
    /// `USER`, with the name.
    User(String),
    /// `PASS`, with everything after the one blank: passwords may have blanks, in front and at the end, too.
    Pass(Secret),
    /// `AUTH`
    Auth {
        /// The mechanism in upper case; without one, the client asks which there are.
        mechanism: Option<String>,
        /// The initial response, still in base64; `=` is the empty one.
        initial: Option<Secret>,
    },
    /// `STAT`
    Stat,
    /// `LIST`, of one message or of all.
    List(Option<u32>),
    /// `UIDL`, of one message or of all.
    Uidl(Option<u32>),
    /// `RETR`
    Retr(u32),
    /// `TOP`
    Top {
        /// Which message.
        number: u32,
        /// How many lines of its body.
        lines: u64,
    },
    /// `DELE`
    Dele(u32),
    /// `RSET`
    Rset,
    /// `NOOP`
    Noop,
    /// `QUIT`
    Quit,
}

/// A line that is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The keyword is none of ours.
    #[error("Unknown command")]
    Unknown,
    /// The arguments are not those of the keyword; how they look.
    #[error("The form is {0}")]
    Form(&'static str),
}

impl Command {
    /// Reads a line without its end. Bytes that are not UTF-8 stand for nothing that anybody is called.
    ///
    /// # Errors
    /// [`CommandError`], whose text is fit for the client.
    pub fn parse(line: &[u8]) -> Result<Self, CommandError> {
        let (keyword, rest) = match memchr::memchr(b' ', line) {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &b""[..]),
        };
        let keyword = keyword.to_ascii_uppercase();
        if keyword == b"PASS" {
            return Ok(Command::Pass(Secret::new(String::from_utf8_lossy(rest).as_ref())));
        }
        let rest = String::from_utf8_lossy(rest);
        let arguments: Vec<&str> = rest.split(' ').filter(|argument| !argument.is_empty()).collect();
        let bare =
            |command: Command, form| if arguments.is_empty() { Ok(command) } else { Err(CommandError::Form(form)) };
        match keyword.as_slice() {
            b"CAPA" => bare(Command::Capa, "CAPA"),
            b"STLS" => bare(Command::Stls, "STLS"),
            b"UTF8" => bare(Command::Utf8, "UTF8"),
            b"STAT" => bare(Command::Stat, "STAT"),
            b"RSET" => bare(Command::Rset, "RSET"),
            b"NOOP" => bare(Command::Noop, "NOOP"),
            b"QUIT" => bare(Command::Quit, "QUIT"),
            b"USER" => user(rest.trim_matches(' ')),
            b"AUTH" => auth(&arguments),
            b"LIST" => some(&arguments).map(Command::List).ok_or(CommandError::Form("LIST [message]")),
            b"UIDL" => some(&arguments).map(Command::Uidl).ok_or(CommandError::Form("UIDL [message]")),
            b"RETR" => one(&arguments).map(Command::Retr).ok_or(CommandError::Form("RETR message")),
            b"DELE" => one(&arguments).map(Command::Dele).ok_or(CommandError::Form("DELE message")),
            b"TOP" => top(&arguments).ok_or(CommandError::Form("TOP message lines")),
            _ => Err(CommandError::Unknown),
        }
    }
}

/// A name may have blanks inside: some users have such.
fn user(name: &str) -> Result<Command, CommandError> {
    if name.is_empty() || name.contains(char::is_control) {
        return Err(CommandError::Form("USER name"));
    }
    Ok(Command::User(name.to_owned()))
}

fn auth(arguments: &[&str]) -> Result<Command, CommandError> {
    let is_name = |name: &str| {
        name.len() <= MECHANISM_BYTES_MAX
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let (mechanism, initial) = match arguments {
        [] => (None, None),
        [mechanism] => (Some(*mechanism), None),
        [mechanism, initial] => (Some(*mechanism), Some(Secret::new(*initial))),
        _ => return Err(CommandError::Form("AUTH mechanism [initial-response]")),
    };
    if !mechanism.is_none_or(is_name) {
        return Err(CommandError::Form("AUTH mechanism [initial-response]"));
    }
    Ok(Command::Auth { mechanism: mechanism.map(str::to_ascii_uppercase), initial })
}

fn top(arguments: &[&str]) -> Option<Command> {
    let [message, lines] = arguments else { return None };
    Some(Command::Top { number: number(message)?, lines: digits(lines)? })
}

fn some(arguments: &[&str]) -> Option<Option<u32>> {
    if arguments.is_empty() { Some(None) } else { one(arguments).map(Some) }
}

fn one(arguments: &[&str]) -> Option<u32> {
    let [argument] = arguments else { return None };
    number(argument)
}

/// A number that is larger than any is the largest.
fn number(text: &str) -> Option<u32> {
    digits(text).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

fn digits(text: &str) -> Option<u64> {
    let are_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    are_digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        match Command::parse(line.as_bytes()) {
            Ok(Command::Pass(password)) => format!("Pass({:?})", password.expose()),
            Ok(Command::Auth { mechanism, initial: Some(initial) }) => {
                format!("Auth({mechanism:?}, {:?})", initial.expose())
            }
            Ok(command) => format!("{command:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn lines_are_read() {
        for (line, expected) in [
            ("STAT", "Stat"),
            ("stat", "Stat"),
            ("STAT ", "Stat"),
            ("STAT 1", "The form is STAT"),
            ("STATUS", "Unknown command"),
            ("", "Unknown command"),
            (" STAT", "Unknown command"),
            ("LIST", "List(None)"),
            ("LIST  7 ", "List(Some(7))"),
            ("LIST 1 2", "The form is LIST [message]"),
            ("UIDL 00", "Uidl(Some(0))"),
            ("RETR", "The form is RETR message"),
            ("RETR -1", "The form is RETR message"),
            ("RETR +1", "The form is RETR message"),
            ("RETR 99999999999999999999999", "Retr(4294967295)"),
            ("DELE 1x", "The form is DELE message"),
            ("TOP 1 0", "Top { number: 1, lines: 0 }"),
            ("TOP 1", "The form is TOP message lines"),
            ("USER ana@x.test", "User(\"ana@x.test\")"),
            ("USER  ana b ", "User(\"ana b\")"),
            ("USER a\0b", "The form is USER name"),
            ("USER", "The form is USER name"),
            ("pass  a b ", "Pass(\" a b \")"),
            ("PASS", "Pass(\"\")"),
            ("AUTH", "Auth { mechanism: None, initial: None }"),
            ("AUTH plain", "Auth { mechanism: Some(\"PLAIN\"), initial: None }"),
            ("AUTH PLAIN =", "Auth(Some(\"PLAIN\"), \"=\")"),
            ("AUTH PL/AIN", "The form is AUTH mechanism [initial-response]"),
            ("AUTH A-NAME-THAT-IS-TOO-LONG", "The form is AUTH mechanism [initial-response]"),
            ("AUTH PLAIN a b", "The form is AUTH mechanism [initial-response]"),
        ] {
            assert_eq!(shown(line), expected, "{line:?}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        let shown = format!("{:?}", Command::parse(b"PASS tern"));
        assert!(!shown.contains("tern"), "{shown}");
    }
}
