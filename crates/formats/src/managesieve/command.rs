//! Commands (RFC 5804 section 2).

use sterna_base::Secret;

use super::frame::Token;

/// One command.
#[derive(Clone, Debug)]
pub enum Command {
    /// `AUTHENTICATE`
    Authenticate {
        /// The mechanism in upper case.
        mechanism: String,
        /// The initial response, still in base64.
        initial: Option<Secret>,
    },
    /// `STARTTLS`
    StartTls,
    /// `LOGOUT`
    Logout,
    /// `CAPABILITY`
    Capability,
    /// `HAVESPACE`
    HaveSpace {
        /// Of the script.
        name: String,
        /// In bytes.
        size: u64,
    },
    /// `PUTSCRIPT`
    PutScript {
        /// Of the script.
        name: String,
        /// Its text.
        content: Vec<u8>,
    },
    /// `LISTSCRIPTS`
    ListScripts,
    /// `SETACTIVE`; the empty name is none.
    SetActive(String),
    /// `GETSCRIPT`
    GetScript(String),
    /// `DELETESCRIPT`
    DeleteScript(String),
    /// `RENAMESCRIPT`
    RenameScript {
        /// What it is called.
        from: String,
        /// What it shall be called.
        to: String,
    },
    /// `CHECKSCRIPT`
    CheckScript(Vec<u8>),
    /// `NOOP`, with what is to be repeated.
    Noop(Option<Vec<u8>>),
    /// `UNAUTHENTICATE`
    Unauthenticate,
}

/// Words that are no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The keyword is none of ours.
    #[error("Unknown command")]
    Unknown,
    /// The arguments are not those of the keyword; how they look.
    #[error("The form is {0}")]
    Form(&'static str),
    /// A name is not UTF-8.
    #[error("Names are UTF-8")]
    NotUtf8,
}

impl Command {
    /// Reads the words of a line.
    ///
    /// # Errors
    /// [`CommandError`], whose text is fit for the client.
    pub fn parse(mut tokens: Vec<Token>) -> Result<Self, CommandError> {
        let arguments = tokens.split_off(tokens.len().min(1));
        let Some(Token::Atom(verb)) = tokens.pop() else { return Err(CommandError::Unknown) };
        let bare = |command: Command, form| {
            if arguments.is_empty() { Ok(command) } else { Err(CommandError::Form(form)) }
        };
        match verb.as_str() {
            "STARTTLS" => bare(Command::StartTls, "STARTTLS"),
            "LOGOUT" => bare(Command::Logout, "LOGOUT"),
            "CAPABILITY" => bare(Command::Capability, "CAPABILITY"),
            "LISTSCRIPTS" => bare(Command::ListScripts, "LISTSCRIPTS"),
            "UNAUTHENTICATE" => bare(Command::Unauthenticate, "UNAUTHENTICATE"),
            "AUTHENTICATE" => authenticate(&arguments),
            "HAVESPACE" => match arguments.as_slice() {
                [Token::String(name), Token::Number(size)] => Ok(Command::HaveSpace { name: text(name)?, size: *size }),
                _ => Err(CommandError::Form("HAVESPACE name size")),
            },
            "PUTSCRIPT" => match arguments.as_slice() {
                [Token::String(name), Token::String(content)] => {
                    Ok(Command::PutScript { name: text(name)?, content: content.clone() })
                }
                _ => Err(CommandError::Form("PUTSCRIPT name script")),
            },
            "SETACTIVE" => one(&arguments, "SETACTIVE name").map(Command::SetActive),
            "GETSCRIPT" => one(&arguments, "GETSCRIPT name").map(Command::GetScript),
            "DELETESCRIPT" => one(&arguments, "DELETESCRIPT name").map(Command::DeleteScript),
            "RENAMESCRIPT" => match arguments.as_slice() {
                [Token::String(from), Token::String(to)] => {
                    Ok(Command::RenameScript { from: text(from)?, to: text(to)? })
                }
                _ => Err(CommandError::Form("RENAMESCRIPT old-name new-name")),
            },
            "CHECKSCRIPT" => match arguments.as_slice() {
                [Token::String(content)] => Ok(Command::CheckScript(content.clone())),
                _ => Err(CommandError::Form("CHECKSCRIPT script")),
            },
            "NOOP" => match arguments.as_slice() {
                [] => Ok(Command::Noop(None)),
                [Token::String(tag)] => Ok(Command::Noop(Some(tag.clone()))),
                _ => Err(CommandError::Form("NOOP [string]")),
            },
            _ => Err(CommandError::Unknown),
        }
    }

    /// What the command is called, for the log.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Authenticate { .. } => "AUTHENTICATE",
            Command::StartTls => "STARTTLS",
            Command::Logout => "LOGOUT",
            Command::Capability => "CAPABILITY",
            Command::HaveSpace { .. } => "HAVESPACE",
            Command::PutScript { .. } => "PUTSCRIPT",
            Command::ListScripts => "LISTSCRIPTS",
            Command::SetActive(_) => "SETACTIVE",
            Command::GetScript(_) => "GETSCRIPT",
            Command::DeleteScript(_) => "DELETESCRIPT",
            Command::RenameScript { .. } => "RENAMESCRIPT",
            Command::CheckScript(_) => "CHECKSCRIPT",
            Command::Noop(_) => "NOOP",
            Command::Unauthenticate => "UNAUTHENTICATE",
        }
    }
}

fn text(bytes: &[u8]) -> Result<String, CommandError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| CommandError::NotUtf8)
}

fn one(arguments: &[Token], form: &'static str) -> Result<String, CommandError> {
    match arguments {
        [Token::String(name)] => text(name),
        _ => Err(CommandError::Form(form)),
    }
}

fn authenticate(arguments: &[Token]) -> Result<Command, CommandError> {
    let (mechanism, initial) = match arguments {
        [Token::String(mechanism)] => (mechanism, None),
        [Token::String(mechanism), Token::String(initial)] => (mechanism, Some(initial)),
        _ => return Err(CommandError::Form("AUTHENTICATE mechanism [initial-response]")),
    };
    let mechanism = text(mechanism)?.to_ascii_uppercase();
    let initial = initial.map(|initial| Secret::new(String::from_utf8_lossy(initial).as_ref()));
    Ok(Command::Authenticate { mechanism, initial })
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::super::frame::{Frame, Framer};
    use super::*;

    fn parse(line: &str) -> Result<Command, CommandError> {
        match Framer::new(100).next(&mut BytesMut::from(format!("{line}\r\n").as_bytes())) {
            Frame::Command(tokens) => Command::parse(tokens),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn words_are_commands() {
        for (line, name) in [
            ("authenticate \"plain\" \"AA==\"", "AUTHENTICATE"),
            ("Starttls", "STARTTLS"),
            ("havespace \"a\" 5", "HAVESPACE"),
            ("setactive \"\"", "SETACTIVE"),
            ("renamescript \"a\" \"b\"", "RENAMESCRIPT"),
            ("noop", "NOOP"),
            ("noop \"x\"", "NOOP"),
        ] {
            assert_eq!(parse(line).unwrap().name(), name, "{line}");
        }
        for line in ["x", "\"noop\"", "setactive", "setactive a", "havespace \"a\"", "logout \"x\"", "getscript 5"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
