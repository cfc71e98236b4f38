//! APPEND (RFC 9051 section 6.3.12) with MULTIAPPEND (RFC 3502), CATENATE (RFC 4469) and UTF8 (RFC 6855 section 4), and
//! REPLACE (RFC 8508): the text between messages. The messages themselves are the session's: this reads up to where one
//! is announced, and goes on behind it.

use sterna_base::Timestamp;

use super::SequenceSet;
use super::date::parse_date_time;
use super::lexer::{Lexer, Result};

/// Most messages, URLs and flags in the text between two literals: more than a line has room for is not sensible.
const STEPS_MAX: usize = 4096;

/// The beginning of an APPEND or a REPLACE, up to its first message, or to its end when no literal is needed.
#[derive(Clone, Debug, PartialEq)]
pub struct AppendStart {
    /// Its tag.
    pub tag: String,
    /// Which command it is.
    pub verb: AppendVerb,
    /// What it says; or what was expected instead.
    pub arguments: std::result::Result<AppendArguments, String>,
    /// What follows; `None` when the command ends here.
    pub literal: Option<AppendLiteral>,
}

/// What is done with the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendVerb {
    /// APPEND
    Append,
    /// REPLACE, or UID REPLACE
    #[allow(missing_docs)] // said above
    Replace { uid: bool },
}

/// What stands before the first message.
#[derive(Clone, Debug, PartialEq)]
pub struct AppendArguments {
    /// Which message is replaced; for REPLACE only.
    pub replaced: Option<SequenceSet>,
    /// Where.
    pub mailbox: String,
    /// What comes before the first literal.
    pub steps: Vec<AppendStep>,
}

/// The text behind a literal, up to the next one or to the end of the command.
#[derive(Clone, Debug, PartialEq)]
pub struct AppendNext {
    /// What it says; or what was expected instead.
    pub steps: std::result::Result<Vec<AppendStep>, String>,
    /// What follows; `None` when the command ends here.
    pub literal: Option<AppendLiteral>,
}

/// A literal that belongs to a message: all of it, or a part of one that is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendLiteral {
    /// Its length in bytes.
    pub size: u64,
    /// Whether the client waits for a continuation before it sends.
    pub synchronising: bool,
    /// Whether it is a literal8, which may contain NUL (RFC 9051 section 4.3).
    pub binary: bool,
}

/// One step of what is appended. A literal belongs to the message that was begun last.
#[derive(Clone, Debug, PartialEq)]
pub enum AppendStep {
    /// A message begins.
    Message(AppendOptions),
    /// The next part of the message is elsewhere (RFC 4469): a URL as written.
    Url(String),
}

/// What is said of one message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AppendOptions {
    /// Flags as written.
    pub flags: Vec<String>,
    /// The internal date.
    pub date: Option<Timestamp>,
    /// Whether it is put together from parts, each of which may be empty.
    pub catenate: bool,
}

/// Where the text goes on behind a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A message is complete.
    Message,
    /// Inside `CATENATE (..)`.
    Catenate,
    /// Inside `UTF8 (..)`, in `CATENATE (..)` or not.
    Wrapped { catenate: bool },
}

/// A command that is being read.
#[derive(Clone, Debug)]
pub(super) struct Append {
    pub tag: String,
    pub verb: AppendVerb,
    pub place: Place,
}

/// Where a text stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// At a literal that belongs to a message.
    Body(Place),
    /// At a literal that is a string of the command itself.
    Argument,
    /// At the end of the command.
    End,
}

/// The tag and the name of a command, if it is one of these and has arguments.
pub(super) fn head(lexer: &mut Lexer<'_>) -> Option<(String, AppendVerb)> {
    let tag = lexer.tag().ok()?.to_owned();
    lexer.sp().ok()?;
    let uid = lexer.keyword("UID") && lexer.take(b' ');
    let verb = if lexer.keyword("REPLACE") {
        AppendVerb::Replace { uid }
    } else if !uid && lexer.keyword("APPEND") {
        AppendVerb::Append
    } else {
        return None;
    };
    let has_arguments = lexer.take(b' ') && !matches!(lexer.peek(), None | Some(b'\r' | b'\n'));
    has_arguments.then_some((tag, verb))
}

/// The arguments of a command up to a literal (`open`) or to the end of its line.
pub(super) fn arguments(lexer: Lexer<'_>, verb: AppendVerb, open: bool) -> Result<(AppendArguments, Stop)> {
    let mut reader = Reader { lexer, open, single: verb != AppendVerb::Append, steps: Vec::new() };
    let mut replaced = None;
    if reader.single {
        let number = if reader.lexer.take(b'*') { None } else { Some(reader.lexer.nz_number()?) };
        replaced = Some(SequenceSet::Ranges(vec![(number, number)]));
        reader.lexer.sp()?;
    }
    if reader.at_literal() {
        let arguments = AppendArguments { replaced, mailbox: String::new(), steps: Vec::new() };
        return Ok((arguments, Stop::Argument));
    }
    let mailbox = reader.lexer.mailbox()?;
    reader.lexer.sp()?;
    let stop = match reader.message()? {
        Some(stop) => stop,
        None => reader.run(Place::Catenate)?,
    };
    Ok((AppendArguments { replaced, mailbox, steps: reader.steps }, stop))
}

/// The text behind a literal, from its place on.
pub(super) fn next(lexer: Lexer<'_>, append: &Append, open: bool) -> Result<(Vec<AppendStep>, Stop)> {
    let mut reader = Reader { lexer, open, single: append.verb != AppendVerb::Append, steps: Vec::new() };
    let stop = reader.run(append.place)?;
    Ok((reader.steps, stop))
}

struct Reader<'a> {
    lexer: Lexer<'a>,
    /// Whether a literal follows the text.
    open: bool,
    /// Whether there is one message and no more (RFC 8508 section 4.7).
    single: bool,
    steps: Vec<AppendStep>,
}

impl Reader<'_> {
    fn at_literal(&self) -> bool {
        self.open && self.lexer.peek().is_none()
    }

    fn push(&mut self, step: AppendStep) -> Result<()> {
        if self.steps.len() >= STEPS_MAX {
            return self.lexer.error("fewer parts");
        }
        self.steps.push(step);
        Ok(())
    }

    fn run(&mut self, mut place: Place) -> Result<Stop> {
        loop {
            place = match place {
                Place::Wrapped { catenate } => {
                    self.lexer.byte(b')', "a closing parenthesis")?;
                    if catenate { Place::Catenate } else { Place::Message }
                }
                Place::Message if matches!(self.lexer.peek(), Some(b' ')) && !self.single => {
                    self.lexer.sp()?;
                    match self.message()? {
                        Some(stop) => return Ok(stop),
                        None => Place::Catenate,
                    }
                }
                Place::Message if self.open => return self.lexer.error("the end of the line"),
                Place::Message => return self.lexer.crlf().map(|()| Stop::End),
                Place::Catenate if self.lexer.take(b')') => Place::Message,
                Place::Catenate => {
                    self.lexer.sp()?;
                    match self.cat_part()? {
                        Some(stop) => return Ok(stop),
                        None => Place::Catenate,
                    }
                }
            };
        }
    }

    /// `append-opts` and the beginning of `append-data`; `None` behind the first part of a CATENATE.
    fn message(&mut self) -> Result<Option<Stop>> {
        let mut options = AppendOptions::default();
        if self.lexer.peek() == Some(b'(') {
            options.flags = self.lexer.flag_list()?;
            self.lexer.sp()?;
        }
        if self.lexer.peek() == Some(b'"') {
            let text = self.lexer.string()?;
            options.date = std::str::from_utf8(&text).ok().and_then(parse_date_time);
            if options.date.is_none() {
                return self.lexer.error("a date and time");
            }
            self.lexer.sp()?;
        }
        if self.at_literal() {
            self.push(AppendStep::Message(options))?;
            return Ok(Some(Stop::Body(Place::Message)));
        }
        if self.lexer.utf8 && self.lexer.keyword("UTF8") {
            self.push(AppendStep::Message(options))?;
            return self.wrapped(false).map(Some);
        }
        if !self.lexer.keyword("CATENATE") {
            return self.lexer.error("a message as a literal");
        }
        options.catenate = true;
        self.push(AppendStep::Message(options))?;
        self.lexer.sp()?;
        self.lexer.byte(b'(', "an opening parenthesis")?;
        self.cat_part()
    }

    /// `UTF8 (~{n}..)`: for us a message is a message.
    fn wrapped(&mut self, catenate: bool) -> Result<Stop> {
        self.lexer.sp()?;
        self.lexer.byte(b'(', "an opening parenthesis")?;
        self.body(Place::Wrapped { catenate })
    }

    fn body(&self, place: Place) -> Result<Stop> {
        if self.at_literal() { Ok(Stop::Body(place)) } else { self.lexer.error("a literal") }
    }

    /// `cat-part`; `None` behind a URL.
    fn cat_part(&mut self) -> Result<Option<Stop>> {
        if self.lexer.keyword("TEXT") {
            self.lexer.sp()?;
            return self.body(Place::Catenate).map(Some);
        }
        if self.lexer.utf8 && self.lexer.keyword("UTF8") {
            return self.wrapped(true).map(Some);
        }
        if !self.lexer.keyword("URL") {
            return self.lexer.error("TEXT or URL");
        }
        self.lexer.sp()?;
        if self.at_literal() {
            return Ok(Some(Stop::Argument));
        }
        match String::from_utf8(self.lexer.astring()?) {
            Ok(url) => self.push(AppendStep::Url(url)).map(|()| None),
            Err(_) => self.lexer.error("a URL"),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::super::frame::{Frame, Framer};

    /// What a session sees of one command; `*` stands for the bytes of each message.
    fn read(stream: &str, utf8: bool) -> Vec<String> {
        let (mut framer, mut input, mut found) = (Framer::default(), BytesMut::from(stream), Vec::new());
        framer.utf8 = utf8;
        loop {
            let (steps, literal) = match framer.next(&mut input) {
                Frame::Continue => continue,
                Frame::Append(start) => match start.arguments {
                    Ok(arguments) => {
                        let replaced = arguments.replaced.map(|set| format!("{set:?} ")).unwrap_or_default();
                        found.push(format!("{} {:?} {replaced}{}", start.tag, start.verb, arguments.mailbox));
                        (Ok(arguments.steps), start.literal)
                    }
                    Err(error) => (Err(error), start.literal),
                },
                Frame::AppendNext(next) => (next.steps, next.literal),
                frame => {
                    found.push(format!("{frame:?}"));
                    return found;
                }
            };
            match steps {
                Ok(steps) => found.extend(steps.iter().map(|step| format!("{step:?}"))),
                Err(error) => found.push(error),
            }
            let Some(literal) = literal else { return found };
            found.push(format!("{}{}", literal.size, if literal.binary { " binary" } else { "" }));
            let _ = input.split_to(input.len().min(literal.size as usize));
        }
    }

    const PLAIN: &str = "Message(AppendOptions { flags: [], date: None, catenate: false })";
    const PARTS: &str = "Message(AppendOptions { flags: [], date: None, catenate: true })";

    #[test]
    fn an_append_has_one_message_or_many() {
        assert_eq!(read("a APPEND x {3}\r\nabc\r\n", false), ["a Append x", PLAIN, "3"]);
        let many = read("a APPEND {1}\r\nx (\\Seen) ~{2+}\r\nab \" 1-Feb-2026 10:00:00 +0000\" {0}\r\n\r\n", false);
        assert_eq!(many[0], "a Append x");
        assert!(many[1].contains("flags: [\"\\\\Seen\"]") && many[3].contains("date: Some"), "{many:?}");
        assert_eq!((many[2].as_str(), many[4].as_str(), many.len()), ("2 binary", "0", 5));
    }

    #[test]
    fn a_message_is_put_together_from_texts_and_urls() {
        let found = read("a APPEND x CATENATE (URL \"/y\" TEXT {2}\r\nab URL {2}\r\n/z URL /w) {1}\r\nq\r\n", false);
        assert_eq!(found, ["a Append x", PARTS, "Url(\"/y\")", "2", "Url(\"/z\")", "Url(\"/w\")", PLAIN, "1"]);
        let without_literal = read("a APPEND x CATENATE (URL {2}\r\n/y URL /z)\r\n", false);
        assert_eq!(without_literal, ["a Append x", PARTS, "Url(\"/y\")", "Url(\"/z\")"]);
    }

    #[test]
    fn messages_in_utf8_stand_in_parentheses() {
        let found = read("a APPEND x UTF8 (~{1+}\r\na) CATENATE (UTF8 (~{1+}\r\nb) TEXT {1+}\r\nc)\r\n", true);
        assert_eq!(found, ["a Append x", PLAIN, "1 binary", PARTS, "1 binary", "1"]);
        assert_eq!(read("a APPEND x UTF8 (~{1+}\r\na\r\n", true)[3], "expected a closing parenthesis at position 0");
        assert_eq!(
            read("a APPEND x UTF8 (~{1+}\r\na)\r\n", false)[0],
            "expected a message as a literal at position 11"
        );
    }

    #[test]
    fn a_replacement_is_one_message() {
        let found = read("a UID REPLACE 7 x {1}\r\na\r\n", false);
        assert_eq!(found, ["a Replace { uid: true } Ranges([(Some(7), Some(7))]) x", PLAIN, "1"]);
        let found = read("a REPLACE * {1}\r\nx {1+}\r\na {1+}\r\nb\r\n", false);
        assert_eq!(found[0], "a Replace { uid: false } Ranges([(None, None)]) x");
        assert_eq!(found[3], "expected the end of the line at position 0");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_position() {
        for (line, expected) in [
            ("a APPEND x", "expected a space at position 10"),
            ("a APPEND x ", "expected a message as a literal at position 11"),
            ("a APPEND x (\\Seen \"", "expected an atom at position 18"),
            ("a APPEND x \"yesterday\" {1+}", "expected a date and time at position 22"),
            ("a APPEND x{1+}", "expected a space at position 10"),
            ("a APPEND x CATENATE ()", "expected TEXT or URL at position 21"),
            ("a APPEND x CATENATE (TEXT \"a\")", "expected a literal at position 26"),
            ("a APPEND x CATENATE (URL /y", "expected a space at position 27"),
            ("a APPEND x CATENATE (URL /y) z", "expected a message as a literal at position 29"),
            ("a REPLACE 1:2 x {1+}", "expected a space at position 11"),
            ("a REPLACE 0 x {1+}", "expected a number above zero at position 11"),
        ] {
            assert_eq!(read(&format!("{line}\r\n"), false)[0], expected, "{line}");
        }
        for other in ["a APPEND", "a UID", "a REPLACE ", "a APPENDIX x {1+}\r\na"] {
            assert!(read(&format!("{other}\r\n"), false)[0].starts_with("Command"), "{other}");
        }
    }
}
