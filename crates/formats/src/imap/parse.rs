//! `command` of RFC 9051 section 9.

use sterna_base::session_limits::SessionLimits;

use super::SequenceSet;
use super::command::{Body, Command, Credential, Qresync, Store, StoreAction};
use super::lexer::{Lexer, ParseError, Result};
use super::parse_list::PATTERN_BYTES_MAX;

/// Longest tag that is repeated in the answer to a command that can't be read.
const TAG_BYTES_MAX: usize = 256;

/// Reads a complete command, its literals inside it. `utf8`: whether mailbox names are UTF-8.
///
/// # Errors
/// What was expected and where: the text of BAD.
pub fn command(bytes: &[u8], utf8: bool) -> std::result::Result<Command, ParseError> {
    command_within(bytes, utf8, &SessionLimits::DEFAULT)
}

/// The same with other limits than the usual ones.
///
/// # Errors
/// The same.
pub fn command_within(bytes: &[u8], utf8: bool, limits: &SessionLimits) -> std::result::Result<Command, ParseError> {
    let mut lexer = Lexer::within(bytes, utf8, limits);
    let tag = lexer.tag()?.to_owned();
    lexer.sp()?;
    let body = body(&mut lexer)?;
    lexer.crlf()?;
    Ok(Command { tag, body })
}

/// The tag of a command, for the answer to one that can't be read.
pub fn tag_of(bytes: &[u8]) -> Option<&str> {
    let mut lexer = Lexer::new(bytes, false);
    // Where the bytes end inside the tag, it is not the whole tag.
    lexer.tag().ok().filter(|tag| tag.len() <= TAG_BYTES_MAX && lexer.peek().is_some())
}

fn body(lexer: &mut Lexer<'_>) -> Result<Body> {
    let name = lexer.atom()?.to_ascii_uppercase();
    match name.as_str() {
        "CAPABILITY" => Ok(Body::Capability),
        "NOOP" => Ok(Body::Noop),
        "LOGOUT" => Ok(Body::Logout),
        "STARTTLS" => Ok(Body::Starttls),
        "UNAUTHENTICATE" => Ok(Body::Unauthenticate),
        "NAMESPACE" => Ok(Body::Namespace),
        "IDLE" => Ok(Body::Idle),
        "CHECK" => Ok(Body::Check),
        "CLOSE" => Ok(Body::Close),
        "UNSELECT" => Ok(Body::Unselect),
        "EXPUNGE" => Ok(Body::Expunge),
        _ => {
            lexer.sp()?;
            with_arguments(lexer, &name)
        }
    }
}

fn with_arguments(lexer: &mut Lexer<'_>, name: &str) -> Result<Body> {
    match name {
        "AUTHENTICATE" => authenticate(lexer),
        "LOGIN" => {
            let user = lexer.astring()?;
            lexer.sp()?;
            Ok(Body::Login { user, password: Credential(lexer.astring()?) })
        }
        "COMPRESS" => Ok(Body::Compress(lexer.atom()?.to_ascii_uppercase())),
        "ENABLE" => enable(lexer),
        "ID" => id(lexer),
        "SELECT" => select(lexer, false),
        "EXAMINE" => select(lexer, true),
        "CREATE" => create(lexer),
        "DELETE" => Ok(Body::Delete(lexer.mailbox()?)),
        "RENAME" => {
            let from = lexer.mailbox()?;
            lexer.sp()?;
            Ok(Body::Rename { from, to: lexer.mailbox()? })
        }
        "SUBSCRIBE" => Ok(Body::Subscribe(lexer.mailbox()?)),
        "UNSUBSCRIBE" => Ok(Body::Unsubscribe(lexer.mailbox()?)),
        "LIST" => lexer.parse_list().map(Body::List),
        "LSUB" => {
            let reference = lexer.mailbox()?;
            lexer.sp()?;
            let pattern = lexer.list_mailbox()?;
            if reference.len() + pattern.len() > PATTERN_BYTES_MAX {
                return lexer.error("a shorter pattern");
            }
            Ok(Body::Lsub { reference, pattern })
        }
        "STATUS" => {
            let mailbox = lexer.mailbox()?;
            lexer.sp()?;
            Ok(Body::Status { mailbox, items: lexer.status_att_list()? })
        }
        "CANCELUPDATE" => {
            let mut tags = vec![text(lexer)?];
            while lexer.take(b' ') {
                tags.push(text(lexer)?);
            }
            Ok(Body::CancelUpdate(tags))
        }
        "ESEARCH" => lexer.parse_esearch(),
        "NOTIFY" => lexer.parse_notify(),
        "SETACL" => {
            let mailbox = lexer.mailbox()?;
            let identifier = identifier(lexer)?;
            lexer.sp()?;
            let rights = text(lexer)?;
            Ok(Body::SetAcl { mailbox, identifier, rights })
        }
        "DELETEACL" => Ok(Body::DeleteAcl { mailbox: lexer.mailbox()?, identifier: identifier(lexer)? }),
        "LISTRIGHTS" => Ok(Body::ListRights { mailbox: lexer.mailbox()?, identifier: identifier(lexer)? }),
        "GETACL" => Ok(Body::GetAcl(lexer.mailbox()?)),
        "GETMETADATA" => lexer.parse_get_metadata(),
        "SETMETADATA" => lexer.parse_set_metadata(),
        "GETQUOTA" => Ok(Body::GetQuota(text(lexer)?)),
        "GETQUOTAROOT" => Ok(Body::GetQuotaRoot(lexer.mailbox()?)),
        "SETQUOTA" => {
            lexer.take_rest();
            Ok(Body::SetQuota)
        }
        "MYRIGHTS" => Ok(Body::MyRights(lexer.mailbox()?)),
        // The framer gives an APPEND with a message to the session itself.
        "APPEND" => lexer.error("a message as a literal"),
        "UID" => {
            let name = lexer.atom()?.to_ascii_uppercase();
            lexer.sp()?;
            match name.as_str() {
                "EXPUNGE" => Ok(Body::UidExpunge(lexer.sequence_set()?)),
                name => message_command(lexer, name, true),
            }
        }
        name => message_command(lexer, name, false),
    }
}

/// ` identifier` of RFC 4314; an empty one is BAD (section 3).
fn identifier(lexer: &mut Lexer<'_>) -> Result<String> {
    lexer.sp()?;
    let identifier = text(lexer)?;
    if identifier.is_empty() { lexer.error("an identifier") } else { Ok(identifier) }
}

/// An `astring` in UTF-8.
fn text(lexer: &mut Lexer<'_>) -> Result<String> {
    match String::from_utf8(lexer.astring()?) {
        Ok(text) => Ok(text),
        Err(_) => lexer.error("a string in UTF-8"),
    }
}

fn message_command(lexer: &mut Lexer<'_>, name: &str, uid: bool) -> Result<Body> {
    match name {
        "SEARCH" => lexer.parse_search(uid).map(Body::Search),
        "SORT" => lexer.parse_sort(uid).map(Body::Sort),
        "THREAD" => lexer.parse_thread(uid).map(Body::Thread),
        "FETCH" => lexer.parse_fetch(uid).map(Body::Fetch),
        "STORE" => store(lexer, uid),
        "COPY" | "MOVE" => {
            let set = lexer.sequence_set()?;
            lexer.sp()?;
            Ok(Body::Copy { set, mailbox: lexer.mailbox()?, uid, expunge: name == "MOVE" })
        }
        _ => lexer.error("a command"),
    }
}

fn authenticate(lexer: &mut Lexer<'_>) -> Result<Body> {
    let mechanism = lexer.atom()?.to_ascii_uppercase();
    let initial = if lexer.take(b' ') {
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        Some(Credential(lexer.take_while(is_base64).to_vec()))
    } else {
        None
    };
    Ok(Body::Authenticate { mechanism, initial })
}

fn enable(lexer: &mut Lexer<'_>) -> Result<Body> {
    let mut names = vec![lexer.atom()?.to_ascii_uppercase()];
    while lexer.take(b' ') {
        names.push(lexer.atom()?.to_ascii_uppercase());
    }
    Ok(Body::Enable(names))
}

fn id(lexer: &mut Lexer<'_>) -> Result<Body> {
    if lexer.keyword("NIL") {
        return Ok(Body::Id(Vec::new()));
    }
    let pairs = lexer.list(|lexer| {
        let name = lexer.string()?;
        lexer.sp()?;
        Ok((name, lexer.nstring()?))
    })?;
    Ok(Body::Id(pairs))
}

fn select(lexer: &mut Lexer<'_>, read_only: bool) -> Result<Body> {
    let mailbox = lexer.mailbox()?;
    let (mut condstore, mut qresync) = (false, None);
    if lexer.take(b' ') {
        lexer.list(|lexer| match lexer.atom()?.to_ascii_uppercase().as_str() {
            "CONDSTORE" => {
                condstore = true;
                Ok(())
            }
            "QRESYNC" if qresync.is_none() => {
                lexer.sp()?;
                qresync = Some(lexer.qresync()?);
                Ok(())
            }
            _ => lexer.error("CONDSTORE or QRESYNC"),
        })?;
    }
    Ok(Body::Select { mailbox, read_only, condstore, qresync })
}

impl Lexer<'_> {
    /// `(uidvalidity modseq [known-uids] [(known-sequence-set known-uid-set)])` of RFC 7162 section 7.
    fn qresync(&mut self) -> Result<Qresync> {
        self.byte(b'(', "an opening parenthesis")?;
        let uid_validity = self.nz_number()?;
        self.sp()?;
        let modseq = self.number64()?;
        let (mut known_uids, mut has_sequence_match) = (None, false);
        let mut more = self.take(b' ');
        if more && self.peek() != Some(b'(') {
            known_uids = Some(self.known_set()?);
            more = self.take(b' ');
        }
        if more {
            self.byte(b'(', "an opening parenthesis")?;
            self.known_set()?;
            self.sp()?;
            self.known_set()?;
            self.byte(b')', "a closing parenthesis")?;
            has_sequence_match = true;
        }
        self.byte(b')', "a closing parenthesis")?;
        Ok(Qresync { uid_validity, modseq, known_uids, has_sequence_match })
    }

    /// A set without `*` and `$`.
    fn known_set(&mut self) -> Result<SequenceSet> {
        match self.sequence_set()? {
            SequenceSet::Ranges(ranges) if ranges.iter().all(|(low, high)| low.is_some() && high.is_some()) => {
                Ok(SequenceSet::Ranges(ranges))
            }
            _ => self.error("a set of numbers"),
        }
    }
}

fn create(lexer: &mut Lexer<'_>) -> Result<Body> {
    let mailbox = lexer.mailbox()?;
    let mut special_use = Vec::new();
    if lexer.take(b' ') {
        lexer.byte(b'(', "an opening parenthesis")?;
        if !lexer.keyword("USE") {
            return lexer.error("USE");
        }
        lexer.sp()?;
        special_use = lexer.flag_list()?;
        lexer.byte(b')', "a closing parenthesis")?;
    }
    Ok(Body::Create { mailbox, special_use })
}

fn store(lexer: &mut Lexer<'_>, uid: bool) -> Result<Body> {
    let set = lexer.sequence_set()?;
    lexer.sp()?;
    let mut unchanged_since = None;
    if lexer.take(b'(') {
        if !lexer.keyword("UNCHANGEDSINCE") {
            return lexer.error("UNCHANGEDSINCE");
        }
        lexer.sp()?;
        unchanged_since = Some(lexer.number64()?);
        lexer.byte(b')', "a closing parenthesis")?;
        lexer.sp()?;
    }
    let action = if lexer.take(b'+') {
        StoreAction::Add
    } else if lexer.take(b'-') {
        StoreAction::Remove
    } else {
        StoreAction::Replace
    };
    let name = lexer.take_while(|byte| byte.is_ascii_alphabetic() || byte == b'.').to_ascii_uppercase();
    let silent = match name.as_slice() {
        b"FLAGS" => false,
        b"FLAGS.SILENT" => true,
        _ => return lexer.error("FLAGS or FLAGS.SILENT"),
    };
    lexer.sp()?;
    let flags = if lexer.peek() == Some(b'(') {
        lexer.flag_list()?
    } else {
        let mut flags = vec![lexer.flag()?];
        while lexer.take(b' ') {
            flags.push(lexer.flag()?);
        }
        flags
    };
    Ok(Body::Store(Store { set, uid, unchanged_since, action, silent, flags }))
}
