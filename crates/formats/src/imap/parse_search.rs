//! SEARCH: keys, charset and results.

use super::command::{Body, DateTest, FetchItem, PartialRange, Search, SearchKey, SearchReturn, SearchSource};
use super::date::parse_date;
use super::lexer::{Lexer, Result};

/// Most mailboxes named in one ESEARCH.
const SOURCES_MAX: usize = 1000;

impl Lexer<'_> {
    /// What follows SEARCH.
    pub fn parse_search(&mut self, uid: bool) -> Result<Search> {
        let (returns, update_items) = self.search_returns()?;
        let mut charset = None;
        if self.keyword("CHARSET") {
            self.sp()?;
            charset = Some(self.astring()?);
            self.sp()?;
        }
        let search = self.search_keys(uid, charset.as_deref())?;
        Ok(Search { returns, update_items, ..search })
    }

    /// What follows ESEARCH (RFC 7377 section 4): the selected mailbox when none is named.
    pub fn parse_esearch(&mut self) -> Result<Body> {
        let mut sources = vec![SearchSource::Selected];
        if self.keyword("IN") {
            self.sp()?;
            sources = self.list(Lexer::filter_mailboxes)?;
            if sources.is_empty() {
                return self.error("mailboxes to search");
            }
            self.sp()?;
        }
        Ok(Body::Esearch { sources, search: self.parse_search(true)? })
    }

    /// `filter-mailboxes`
    pub fn filter_mailboxes(&mut self) -> Result<SearchSource> {
        // There are no scope options; what looks like some is none of these words.
        match self.atom()?.to_ascii_lowercase().as_str() {
            "selected" => Ok(SearchSource::Selected),
            "inboxes" => Ok(SearchSource::Inboxes),
            "personal" => Ok(SearchSource::Personal),
            "subscribed" => Ok(SearchSource::Subscribed),
            "subtree" => self.one_or_more_mailbox().map(SearchSource::Subtree),
            "subtree-one" => self.one_or_more_mailbox().map(SearchSource::SubtreeOne),
            "mailboxes" => self.one_or_more_mailbox().map(SearchSource::Mailboxes),
            _ => self.error("which mailboxes"),
        }
    }

    fn one_or_more_mailbox(&mut self) -> Result<Vec<String>> {
        self.sp()?;
        let names = if self.peek() == Some(b'(') { self.list(Lexer::mailbox)? } else { vec![self.mailbox()?] };
        if names.is_empty() || names.len() > SOURCES_MAX { self.error("1 to 1000 mailboxes") } else { Ok(names) }
    }

    /// `RETURN (..)` and a space, if it is there.
    pub fn search_returns(&mut self) -> Result<(Option<SearchReturn>, Vec<FetchItem>)> {
        if !self.keyword("RETURN") {
            return Ok((None, Vec::new()));
        }
        self.sp()?;
        let (returns, update_items) = self.search_return()?;
        self.sp()?;
        Ok((Some(returns), update_items))
    }

    /// The keys, in this charset.
    pub fn search_keys(&mut self, uid: bool, charset: Option<&[u8]>) -> Result<Search> {
        let (returns, update_items) = (None, Vec::new());
        let has_charset = charset.is_some();
        let is_known =
            |charset: &[u8]| [&b"UTF-8"[..], b"US-ASCII"].iter().any(|known| charset.eq_ignore_ascii_case(known));
        if !charset.is_none_or(is_known) {
            // The keys can't be read then; the answer is NO and not BAD (RFC 9051 section 6.4.4).
            self.take_rest();
            return Ok(Search { uid, returns, update_items, has_charset, unknown_charset: true, keys: Vec::new() });
        }
        let mut keys = Vec::new();
        let mut count = 0;
        loop {
            keys.push(self.search_key(0, &mut count)?);
            if !self.take(b' ') {
                return Ok(Search { uid, returns, update_items, has_charset, unknown_charset: false, keys });
            }
        }
    }

    fn search_return(&mut self) -> Result<(SearchReturn, Vec<FetchItem>)> {
        let (mut returns, mut update_items) = (SearchReturn::default(), Vec::new());
        self.list(|lexer| {
            match lexer.atom()?.to_ascii_uppercase().as_str() {
                "MIN" => returns.min = true,
                "MAX" => returns.max = true,
                "ALL" => returns.all = true,
                "COUNT" => returns.count = true,
                "SAVE" => returns.save = true,
                "UPDATE" => {
                    returns.update = true;
                    update_items = lexer.optional_items()?;
                }
                "CONTEXT" => returns.context = true,
                "RELEVANCY" => returns.relevancy = true,
                "PARTIAL" if returns.partial.is_none() => {
                    lexer.sp()?;
                    returns.partial = Some(lexer.partial_range()?);
                }
                _ => return lexer.error("a result option"),
            }
            Ok(())
        })?;
        if returns == SearchReturn::default() {
            returns.all = true;
        }
        if returns.all && returns.partial.is_some() {
            return self.error("ALL or PARTIAL, not both");
        }
        Ok((returns, update_items))
    }

    /// `partial-range` of RFC 9394.
    pub fn partial_range(&mut self) -> Result<PartialRange> {
        let from_end = self.take(b'-');
        let first = self.nz_number()?;
        self.byte(b':', "a colon")?;
        if self.take(b'-') != from_end {
            return self.error("two positions counted from the same end");
        }
        let second = self.nz_number()?;
        Ok(PartialRange { low: first.min(second), high: first.max(second), from_end, reversed: first > second })
    }

    fn search_key(&mut self, depth: u64, count: &mut u64) -> Result<SearchKey> {
        *count += 1;
        if depth > self.limits.imap_nesting || *count > self.limits.imap_search_keys {
            return self.error("fewer search keys");
        }
        if self.peek() == Some(b'(') {
            let keys = self.list(|lexer| lexer.search_key(depth + 1, count))?;
            return if keys.is_empty() { self.error("a search key") } else { Ok(SearchKey::And(keys)) };
        }
        if self.peek().is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'*' | b'$')) {
            return self.sequence_set().map(SearchKey::Sequence);
        }
        let name = self.atom()?.to_ascii_uppercase();
        if let Some(key) = simple_key(&name) {
            return Ok(key);
        }
        self.sp()?;
        self.key_with_argument(&name, depth, count)
    }

    fn key_with_argument(&mut self, name: &str, depth: u64, count: &mut u64) -> Result<SearchKey> {
        match name {
            "BCC" | "CC" | "FROM" | "SUBJECT" | "TO" => {
                Ok(SearchKey::Header { name: name.as_bytes().to_vec(), text: self.search_text()? })
            }
            "HEADER" => {
                let name = self.astring()?;
                self.sp()?;
                Ok(SearchKey::Header { name, text: self.search_text()? })
            }
            "BODY" => self.search_text().map(SearchKey::Body),
            "TEXT" => self.search_text().map(SearchKey::Text),
            "KEYWORD" => Ok(SearchKey::Keyword(self.atom()?.to_owned(), true)),
            "UNKEYWORD" => Ok(SearchKey::Keyword(self.atom()?.to_owned(), false)),
            "BEFORE" => Ok(SearchKey::Internal(DateTest::Before, self.search_date()?)),
            "ON" => Ok(SearchKey::Internal(DateTest::On, self.search_date()?)),
            "SINCE" => Ok(SearchKey::Internal(DateTest::Since, self.search_date()?)),
            "SAVEDBEFORE" => Ok(SearchKey::Saved(DateTest::Before, self.search_date()?)),
            "SAVEDON" => Ok(SearchKey::Saved(DateTest::On, self.search_date()?)),
            "SAVEDSINCE" => Ok(SearchKey::Saved(DateTest::Since, self.search_date()?)),
            "EMAILID" => self.object_id().map(SearchKey::EmailId),
            "THREADID" => self.object_id().map(|_| SearchKey::ThreadId),
            "SENTBEFORE" => Ok(SearchKey::Sent(DateTest::Before, self.search_date()?)),
            "SENTON" => Ok(SearchKey::Sent(DateTest::On, self.search_date()?)),
            "SENTSINCE" => Ok(SearchKey::Sent(DateTest::Since, self.search_date()?)),
            "OLDER" => Ok(SearchKey::Within { older: true, seconds: self.nz_number()? }),
            "YOUNGER" => Ok(SearchKey::Within { older: false, seconds: self.nz_number()? }),
            "LARGER" => self.number64().map(SearchKey::Larger),
            "SMALLER" => self.number64().map(SearchKey::Smaller),
            "UID" => self.sequence_set().map(SearchKey::Uid),
            "MODSEQ" => self.search_modseq(),
            "FUZZY" => Ok(SearchKey::Fuzzy(Box::new(self.search_key(depth + 1, count)?))),
            "NOT" => Ok(SearchKey::Not(Box::new(self.search_key(depth + 1, count)?))),
            "OR" => {
                let first = self.search_key(depth + 1, count)?;
                self.sp()?;
                Ok(SearchKey::Or(Box::new((first, self.search_key(depth + 1, count)?))))
            }
            _ => self.error("a search key"),
        }
    }

    fn search_text(&mut self) -> Result<String> {
        let bytes = self.astring()?;
        String::from_utf8(bytes).or_else(|_| self.error("text in UTF-8"))
    }

    /// `objectid` of RFC 8474.
    fn object_id(&mut self) -> Result<String> {
        let id = self.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        match std::str::from_utf8(id) {
            Ok(id) if (1..=255).contains(&id.len()) => Ok(id.to_owned()),
            _ => self.error("an object id"),
        }
    }

    fn search_date(&mut self) -> Result<super::date::Date> {
        let text = self.astring()?;
        let date = std::str::from_utf8(&text).ok().and_then(parse_date);
        date.map_or_else(|| self.error("a date like 1-Feb-2026"), Ok)
    }

    /// `MODSEQ [entry-name entry-type] number`: the entry is allowed and has no effect here, because one modseq counts
    /// all changes of a message (RFC 7162 section 3.1.5).
    fn search_modseq(&mut self) -> Result<SearchKey> {
        if self.peek() == Some(b'"') {
            self.string()?;
            self.sp()?;
            self.atom()?;
            self.sp()?;
        }
        self.number64().map(SearchKey::Modseq)
    }
}

fn simple_key(name: &str) -> Option<SearchKey> {
    Some(match name {
        // Every message has a save date (RFC 8514).
        "ALL" | "SAVEDATESUPPORTED" => SearchKey::All,
        "ANSWERED" => SearchKey::Flag("\\Answered", true),
        "DELETED" => SearchKey::Flag("\\Deleted", true),
        "DRAFT" => SearchKey::Flag("\\Draft", true),
        "FLAGGED" => SearchKey::Flag("\\Flagged", true),
        "SEEN" => SearchKey::Flag("\\Seen", true),
        "UNANSWERED" => SearchKey::Flag("\\Answered", false),
        "UNDELETED" => SearchKey::Flag("\\Deleted", false),
        "UNDRAFT" => SearchKey::Flag("\\Draft", false),
        "UNFLAGGED" => SearchKey::Flag("\\Flagged", false),
        "UNSEEN" => SearchKey::Flag("\\Seen", false),
        "RECENT" => SearchKey::Recent(true),
        "OLD" => SearchKey::Recent(false),
        "NEW" => SearchKey::New,
        _ => return None,
    })
}
