//! LIST with its extensions (RFC 5258, 5819, 6154, 8440, 9590), and the items of STATUS.

use sterna_base::limits::{CONTAINER_DEPTH_MAX, CONTAINER_NAME_BYTES_MAX};

use super::command::{List, StatusItem};
use super::lexer::{Lexer, Result};

/// Most patterns in one LIST.
const PATTERNS_MAX: usize = 64;

/// Most bytes of the patterns of one LIST together, because each is held against every name: room for two of the
/// longest paths there can be.
pub const PATTERN_BYTES_MAX: usize = 2 * CONTAINER_DEPTH_MAX * (CONTAINER_NAME_BYTES_MAX + 1);

impl Lexer<'_> {
    pub fn parse_list(&mut self) -> Result<List> {
        let mut list = List::default();
        if self.peek() == Some(b'(') {
            list.extended = true;
            self.list(|lexer| lexer.list_select_opt(&mut list))?;
            if list.recursive_match && !list.select_subscribed {
                return self.error("SUBSCRIBED with RECURSIVEMATCH");
            }
            self.sp()?;
        }
        list.reference = self.mailbox()?;
        self.sp()?;
        if self.peek() == Some(b'(') {
            list.extended = true;
            list.patterns = self.list(Lexer::list_mailbox)?;
            if list.patterns.is_empty() || list.patterns.len() > PATTERNS_MAX {
                return self.error("1 to 64 patterns");
            }
        } else {
            list.patterns = vec![self.list_mailbox()?];
        }
        let pattern_bytes = |pattern: &String| list.reference.len() + pattern.len();
        if list.patterns.iter().map(pattern_bytes).sum::<usize>() > PATTERN_BYTES_MAX {
            return self.error("shorter patterns");
        }
        if self.take(b' ') {
            list.extended = true;
            if !self.keyword("RETURN") {
                return self.error("RETURN");
            }
            self.sp()?;
            self.list(|lexer| lexer.list_return_opt(&mut list))?;
        }
        Ok(list)
    }

    fn list_select_opt(&mut self, list: &mut List) -> Result<()> {
        let name = self.atom()?.to_ascii_uppercase();
        match name.as_str() {
            "SUBSCRIBED" => list.select_subscribed = true,
            "RECURSIVEMATCH" => list.recursive_match = true,
            "SPECIAL-USE" => list.select_special_use = true,
            "REMOTE" => {}
            _ => return self.error("a selection option"),
        }
        Ok(())
    }

    fn list_return_opt(&mut self, list: &mut List) -> Result<()> {
        let name = self.atom()?.to_ascii_uppercase();
        match name.as_str() {
            "SUBSCRIBED" => list.return_subscribed = true,
            "CHILDREN" => list.return_children = true,
            "SPECIAL-USE" => list.return_special_use = true,
            "MYRIGHTS" => list.return_my_rights = true,
            "STATUS" => {
                self.sp()?;
                list.return_status = self.status_att_list()?;
            }
            "METADATA" => {
                self.sp()?;
                list.return_metadata = self.metadata_entries()?;
            }
            _ => return self.error("a return option"),
        }
        Ok(())
    }

    /// The items of a STATUS, at least one; one that is named twice is kept once.
    pub fn status_att_list(&mut self) -> Result<Vec<StatusItem>> {
        let mut items = Vec::new();
        let named = self.list(|lexer| {
            let item = lexer.status_att()?;
            if !items.contains(&item) {
                items.push(item);
            }
            Ok(())
        })?;
        if named.is_empty() { self.error("a status item") } else { Ok(items) }
    }

    pub fn status_att(&mut self) -> Result<StatusItem> {
        match self.atom()?.to_ascii_uppercase().as_str() {
            "MESSAGES" => Ok(StatusItem::Messages),
            "RECENT" => Ok(StatusItem::Recent),
            "UIDNEXT" => Ok(StatusItem::UidNext),
            "UIDVALIDITY" => Ok(StatusItem::UidValidity),
            "UNSEEN" => Ok(StatusItem::Unseen),
            "DELETED" => Ok(StatusItem::Deleted),
            "SIZE" => Ok(StatusItem::Size),
            "DELETED-STORAGE" => Ok(StatusItem::DeletedStorage),
            "MAILBOXID" => Ok(StatusItem::MailboxId),
            "HIGHESTMODSEQ" => Ok(StatusItem::HighestModseq),
            _ => self.error("a status item"),
        }
    }
}
