//! FETCH: what of which messages.

use super::command::{Fetch, FetchItem, SectionFetch, SectionForm, SectionText};
use super::lexer::{Lexer, Result};

/// Most items in one FETCH.
const ITEMS_MAX: usize = 256;

impl Lexer<'_> {
    pub fn parse_fetch(&mut self, uid: bool) -> Result<Fetch> {
        let set = self.sequence_set()?;
        self.sp()?;
        let items = if self.peek() == Some(b'(') {
            self.list(Lexer::fetch_att)?
        } else if let Some(items) = self.fetch_macro() {
            items
        } else {
            vec![self.fetch_att()?]
        };
        if items.is_empty() || items.len() > ITEMS_MAX {
            return self.error("items to fetch");
        }
        let mut fetch = Fetch { set, uid, items, changed_since: None, vanished: false, partial: None };
        if self.take(b' ') {
            let modifiers = self.list(|lexer| lexer.fetch_modifier(&mut fetch))?;
            // RFC 7162 section 3.2.6.
            if modifiers.is_empty() || fetch.vanished && (fetch.changed_since.is_none() || !uid) {
                return self.error("a modifier");
            }
        }
        Ok(fetch)
    }

    fn fetch_modifier(&mut self, fetch: &mut Fetch) -> Result<()> {
        match self.atom()?.to_ascii_uppercase().as_str() {
            "CHANGEDSINCE" if fetch.changed_since.is_none() => {
                self.sp()?;
                fetch.changed_since = Some(self.number64()?);
            }
            "VANISHED" => fetch.vanished = true,
            // Positions are for UID FETCH only (RFC 9394 section 3.3).
            "PARTIAL" if fetch.partial.is_none() && fetch.uid => {
                self.sp()?;
                fetch.partial = Some(self.partial_range()?);
            }
            _ => return self.error("a modifier"),
        }
        Ok(())
    }

    fn fetch_macro(&mut self) -> Option<Vec<FetchItem>> {
        use FetchItem::{Body, Envelope, Flags, InternalDate, Size};
        if self.keyword("ALL") {
            Some(vec![Flags, InternalDate, Size, Envelope])
        } else if self.keyword("FAST") {
            Some(vec![Flags, InternalDate, Size])
        } else if self.keyword("FULL") {
            Some(vec![Flags, InternalDate, Size, Envelope, Body])
        } else {
            None
        }
    }

    /// `fetch-att`
    pub fn fetch_att(&mut self) -> Result<FetchItem> {
        let name = self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'.').to_ascii_uppercase();
        let whole =
            |form, text, peek| FetchItem::Section(SectionFetch { form, peek, part: Vec::new(), text, partial: None });
        match name.as_slice() {
            b"ENVELOPE" => Ok(FetchItem::Envelope),
            b"FLAGS" => Ok(FetchItem::Flags),
            b"INTERNALDATE" => Ok(FetchItem::InternalDate),
            b"UID" => Ok(FetchItem::Uid),
            b"MODSEQ" => Ok(FetchItem::Modseq),
            b"SAVEDATE" => Ok(FetchItem::SaveDate),
            b"EMAILID" => Ok(FetchItem::EmailId),
            b"THREADID" => Ok(FetchItem::ThreadId),
            b"PREVIEW" => self.preview(),
            b"BODYSTRUCTURE" => Ok(FetchItem::BodyStructure),
            b"RFC822.SIZE" => Ok(FetchItem::Size),
            b"RFC822" => Ok(whole(SectionForm::Rfc822, SectionText::All, false)),
            b"RFC822.HEADER" => Ok(whole(SectionForm::Rfc822Header, SectionText::Header, true)),
            b"RFC822.TEXT" => Ok(whole(SectionForm::Rfc822Text, SectionText::Text, false)),
            b"BODY" if self.peek() != Some(b'[') => Ok(FetchItem::Body),
            b"BODY" => self.section(SectionForm::Body, false),
            b"BODY.PEEK" => self.section(SectionForm::Body, true),
            b"BINARY" => self.section(SectionForm::Binary, false),
            b"BINARY.PEEK" => self.section(SectionForm::Binary, true),
            b"BINARY.SIZE" => {
                self.byte(b'[', "a section")?;
                let part = self.section_part()?;
                self.byte(b']', "a closing bracket")?;
                Ok(FetchItem::BinarySize(part))
            }
            _ => self.error("an item to fetch"),
        }
    }

    /// `PREVIEW`, perhaps with `(LAZY)` behind.
    fn preview(&mut self) -> Result<FetchItem> {
        let mut ahead = self.clone_position();
        if ahead.take(b' ') && ahead.take(b'(') && ahead.keyword("LAZY") && ahead.take(b')') {
            *self = ahead;
        }
        Ok(FetchItem::Preview)
    }

    fn section(&mut self, form: SectionForm, peek: bool) -> Result<FetchItem> {
        self.byte(b'[', "a section")?;
        let (part, text) = if form == SectionForm::Binary {
            (self.section_part()?, SectionText::All)
        } else {
            self.section_spec(|next| next == Some(b']'))?
        };
        self.byte(b']', "a closing bracket")?;
        let mut partial = None;
        if self.take(b'<') {
            let offset = self.number64()?;
            self.byte(b'.', "a dot")?;
            let length = self.number64()?;
            self.byte(b'>', "a closing angle bracket")?;
            if length == 0 {
                return self.error("a length above zero");
            }
            partial = Some((offset, length));
        }
        Ok(FetchItem::Section(SectionFetch { form, peek, part, text, partial }))
    }

    /// `section-spec`, which may be empty; `is_end` knows what may stand behind it.
    pub fn section_spec(&mut self, is_end: impl Fn(Option<u8>) -> bool) -> Result<(Vec<u32>, SectionText)> {
        let part = self.section_part()?;
        if is_end(self.peek()) {
            return Ok((part, SectionText::All));
        }
        if !part.is_empty() {
            self.byte(b'.', "a dot")?;
        }
        let text = self.section_text(!part.is_empty())?;
        Ok((part, text))
    }

    /// Numbers with dots between; stops before a dot that no number follows.
    fn section_part(&mut self) -> Result<Vec<u32>> {
        let mut part = Vec::new();
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            part.push(self.nz_number()?);
            if part.len() as u64 > self.limits.imap_nesting * 2 {
                return self.error("a shorter section");
            }
            if !self.dot_before_digit() {
                break;
            }
        }
        Ok(part)
    }

    fn dot_before_digit(&mut self) -> bool {
        let mut ahead = self.clone_position();
        let found = ahead.take(b'.') && ahead.peek().is_some_and(|byte| byte.is_ascii_digit());
        if found {
            self.take(b'.');
        }
        found
    }

    fn section_text(&mut self, in_part: bool) -> Result<SectionText> {
        let name = self.take_while(|byte| byte.is_ascii_alphabetic() || byte == b'.').to_ascii_uppercase();
        let not = match name.as_slice() {
            b"HEADER" => return Ok(SectionText::Header),
            b"TEXT" => return Ok(SectionText::Text),
            b"MIME" if in_part => return Ok(SectionText::Mime),
            b"HEADER.FIELDS" => false,
            b"HEADER.FIELDS.NOT" => true,
            _ => return self.error("a section"),
        };
        self.sp()?;
        let mut count = 0;
        let names = self.list(|lexer| {
            count += 1;
            if count > lexer.limits.imap_header_fields { lexer.error("fewer field names") } else { lexer.astring() }
        })?;
        if names.is_empty() { self.error("a field name") } else { Ok(SectionText::HeaderFields { names, not }) }
    }
}
