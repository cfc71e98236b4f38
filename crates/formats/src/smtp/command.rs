//! Command lines (RFC 5321 section 4.1.1; RFC 2033 LHLO; RFC 3030 BDAT; RFC 3207 STARTTLS; RFC 4954 AUTH).

use super::address::{AddressError, Domain, Mailbox};
use super::limits::PATH_BYTES_MAX;
use super::params::{MailParams, ParamError, RcptParams};

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `EHLO` with the client's name.
    Ehlo(Domain),
    /// `HELO` with the client's name.
    Helo(Domain),
    /// `LHLO` with the client's name.
    Lhlo(Domain),
    /// `MAIL FROM`
    Mail {
        /// The reverse-path; `None` is the null one, `<>`.
        reverse_path: Option<Mailbox>,
        /// Its parameters.
        params: MailParams,
    },
    /// `RCPT TO`
    Rcpt {
        /// The forward-path.
        forward_path: Mailbox,
        /// Its parameters.
        params: RcptParams,
    },
    /// `DATA`
    Data,
    /// `BDAT`
    Bdat {
        /// Bytes that follow the line. Larger numbers than fit become the largest, which every limit refuses.
        chunk_bytes: u64,
        /// Whether this is the last chunk.
        last: bool,
    },
    /// `RSET`
    Rset,
    /// `VRFY`, with its argument.
    Vrfy(String),
    /// `EXPN`, with its argument.
    Expn(String),
    /// `HELP`; its argument is passed over.
    Help,
    /// `NOOP`; its argument is passed over (RFC 5321 section 4.1.1.9).
    Noop,
    /// `QUIT`
    Quit,
    /// `STARTTLS`
    StartTls,
    /// `AUTH`
    Auth {
        /// The mechanism in upper case.
        mechanism: String,
        /// The initial response, still in base64; `=` is the empty one.
        initial: Option<String>,
    },
}

/// Why a line is no command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// A verb that nobody knows: 500.
    #[error("unknown command")]
    Unrecognized,
    /// The arguments are not what the grammar says: 501. The text is the form they should have.
    #[error("the form is: {0}")]
    Syntax(&'static str),
    /// The reverse-path is not an address: 501 5.1.7 (RFC 3463 section 3.2).
    #[error("the sender: {0}")]
    ReversePath(AddressError),
    /// The forward-path is not an address: 501 5.1.3 (RFC 3463 section 3.2).
    #[error("the recipient: {0}")]
    ForwardPath(AddressError),
    /// A parameter is wrong.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// Not UTF-8, or with control characters: 500.
    #[error("invalid characters")]
    Characters,
}

impl Command {
    /// Reads a line without its CRLF.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn parse(line: &[u8]) -> Result<Self, CommandError> {
        let line = std::str::from_utf8(line).map_err(|_| CommandError::Characters)?;
        // A tab before or after an argument is read as a space: some clients and people at a terminal send it.
        let line = line.trim_end_matches([' ', '\t']);
        if line.bytes().any(|b| (b < b' ' && b != b'\t') || b == 0x7f) {
            return Err(CommandError::Characters);
        }
        let (verb, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let rest = rest.trim_start_matches([' ', '\t']);
        match &*verb.to_ascii_uppercase() {
            "EHLO" => client_name(rest, "EHLO domain").map(Command::Ehlo),
            "HELO" => client_name(rest, "HELO domain").map(Command::Helo),
            "LHLO" => client_name(rest, "LHLO domain").map(Command::Lhlo),
            "MAIL" => mail(rest),
            "RCPT" => rcpt(rest),
            "DATA" => bare(rest, Command::Data, "DATA"),
            "BDAT" => bdat(rest),
            "RSET" => bare(rest, Command::Rset, "RSET"),
            "QUIT" => bare(rest, Command::Quit, "QUIT"),
            "STARTTLS" => bare(rest, Command::StartTls, "STARTTLS"),
            "VRFY" => argument(rest, "VRFY address").map(Command::Vrfy),
            "EXPN" => argument(rest, "EXPN list").map(Command::Expn),
            "HELP" => Ok(Command::Help),
            "NOOP" => Ok(Command::Noop),
            "AUTH" => auth(rest),
            _ => Err(CommandError::Unrecognized),
        }
    }
}

fn bare(rest: &str, command: Command, form: &'static str) -> Result<Command, CommandError> {
    if rest.is_empty() { Ok(command) } else { Err(CommandError::Syntax(form)) }
}

fn argument(rest: &str, form: &'static str) -> Result<String, CommandError> {
    if rest.is_empty() { Err(CommandError::Syntax(form)) } else { Ok(rest.to_owned()) }
}

fn client_name(rest: &str, form: &'static str) -> Result<Domain, CommandError> {
    Domain::parse_client_name(rest).map_err(|_| CommandError::Syntax(form))
}

fn mail(rest: &str) -> Result<Command, CommandError> {
    const FORM: &str = "MAIL FROM:<address> [parameters]";
    let (path, params) = path(rest, "FROM:").ok_or(CommandError::Syntax(FORM))?;
    let reverse_path = if path.is_empty() { None } else { Some(mailbox(path).map_err(CommandError::ReversePath)?) };
    Ok(Command::Mail { reverse_path, params: MailParams::parse(params)? })
}

fn rcpt(rest: &str) -> Result<Command, CommandError> {
    const FORM: &str = "RCPT TO:<address> [parameters]";
    let (path, params) = path(rest, "TO:").ok_or(CommandError::Syntax(FORM))?;
    let forward_path = mailbox(path).map_err(CommandError::ForwardPath)?;
    Ok(Command::Rcpt { forward_path, params: RcptParams::parse(params)? })
}

/// What is between the angle brackets, and what follows them. Spaces after the colon are not in the grammar; so many
/// clients send them that everybody takes them.
fn path<'a>(rest: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let head = rest.get(..keyword.len())?;
    if !head.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let text = rest[keyword.len()..].trim_start_matches(' ').strip_prefix('<')?;
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => {
                let params = &text[at + 1..];
                return (params.is_empty() || params.starts_with(' ')).then_some((&text[..at], params));
            }
            _ => {}
        }
    }
    None
}

/// A mailbox after an obsolete source route, which is taken and passed over (RFC 5321 appendix C).
fn mailbox(path: &str) -> Result<Mailbox, AddressError> {
    let mailbox = match path.strip_prefix('@') {
        Some(route) => {
            let (hops, mailbox) = route.split_once(':').ok_or(AddressError::Syntax)?;
            for (n, hop) in hops.split(',').enumerate() {
                let hop = if n == 0 { Some(hop) } else { hop.strip_prefix('@') };
                Domain::parse(hop.ok_or(AddressError::Syntax)?)?;
            }
            mailbox
        }
        None => path,
    };
    // Twice the limit: quoting may double a local-part's length.
    if mailbox.len() > 2 * PATH_BYTES_MAX {
        return Err(AddressError::TooLong);
    }
    Mailbox::parse(mailbox)
}

fn bdat(rest: &str) -> Result<Command, CommandError> {
    const FORM: CommandError = CommandError::Syntax("BDAT size [LAST]");
    let (digits, last) = rest.split_once(' ').unwrap_or((rest, ""));
    let last = match last.trim_start_matches(' ') {
        "" => false,
        last if last.eq_ignore_ascii_case("LAST") => true,
        _ => return Err(FORM),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(FORM);
    }
    Ok(Command::Bdat { chunk_bytes: digits.parse().unwrap_or(u64::MAX), last })
}

fn auth(rest: &str) -> Result<Command, CommandError> {
    const FORM: CommandError = CommandError::Syntax("AUTH mechanism [initial-response]");
    let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
    let name_char = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let mechanism_valid = (1..=20).contains(&mechanism.len()) && mechanism.bytes().all(name_char);
    if !mechanism_valid || initial.contains(' ') {
        return Err(FORM);
    }
    let initial = (!initial.is_empty()).then(|| initial.to_owned());
    Ok(Command::Auth { mechanism: mechanism.to_ascii_uppercase(), initial })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, CommandError> {
        Command::parse(line.as_bytes())
    }

    #[test]
    fn mail_and_rcpt() {
        let Ok(Command::Mail { reverse_path: Some(path), params }) = parse("mail from:<\"a> b\"@x.test> SIZE=10")
        else {
            panic!("not a MAIL")
        };
        assert_eq!((path.local_part(), params.size), ("a> b", Some(10)));
        assert!(matches!(parse("MAIL FROM:<>"), Ok(Command::Mail { reverse_path: None, .. })));
        assert!(matches!(parse("MAIL FROM: <a@b>"), Ok(Command::Mail { reverse_path: Some(_), .. })));
        let Ok(Command::Rcpt { forward_path, .. }) = parse("RCPT TO:<@x.test,@y.test:ana@demo.test>") else {
            panic!("not a RCPT")
        };
        assert_eq!(forward_path.to_string(), "ana@demo.test");
    }

    #[test]
    fn wrong_forms() {
        for line in [
            "MAIL",
            "MAIL a@b",
            "MAIL FROM:a@b",
            "MAIL FROM:<a@b",
            "MAIL FROM:<a@b>SIZE=1",
            "RCPT TO <a@b>",
            "MAIL FROM:<<a@b>>",
        ] {
            assert!(matches!(parse(line), Err(CommandError::Syntax(_))), "{line}");
        }
        for line in ["RCPT TO:<>", "RCPT TO:<a>", "RCPT TO:<@x,y:a@b>"] {
            assert!(matches!(parse(line), Err(CommandError::ForwardPath(_))), "{line}");
        }
        for line in [
            "BDAT",
            "BDAT x",
            "BDAT -1",
            "BDAT 1 FIRST",
            "DATA x",
            "EHLO",
            "EHLO a b",
            "EHLO a(b)",
            "AUTH",
            "AUTH PLAIN a b",
        ] {
            assert!(matches!(parse(line), Err(CommandError::Syntax(_))), "{line}");
        }
        assert_eq!(parse("FROB"), Err(CommandError::Unrecognized));
        assert_eq!(parse(""), Err(CommandError::Unrecognized));
        assert_eq!(parse("NOOP\r"), Err(CommandError::Characters));
        assert_eq!(Command::parse(b"RCPT TO:<\xe9@b>"), Err(CommandError::Characters));
    }

    #[test]
    fn client_names_as_they_really_come() {
        for (given, name) in [
            ("client.test", "client.test"),
            ("client.test.", "client.test."),
            ("-Anas_Laptop", "-Anas_Laptop"),
            ("[192.0.2.1]", "[192.0.2.1]"),
            ("[IPv6:::1]", "[IPv6:::1]"),
            ("[::1]", "[IPv6:::1]"),
        ] {
            let Ok(Command::Ehlo(domain)) = parse(&format!("EHLO {given}")) else { panic!("{given}") };
            assert_eq!(domain.as_str(), name);
        }
    }

    #[test]
    fn chunks() {
        assert_eq!(parse("BDAT 0 last"), Ok(Command::Bdat { chunk_bytes: 0, last: true }));
        assert_eq!(
            parse(&format!("BDAT {}", "9".repeat(40))),
            Ok(Command::Bdat { chunk_bytes: u64::MAX, last: false })
        );
    }
}
