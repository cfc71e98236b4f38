//! SORT and THREAD (RFC 5256, 5957, 5267).

use super::command::{Search, Sort, SortCriterion, SortKey, Thread, ThreadAlgorithm};
use super::lexer::{Lexer, Result};

/// Most criteria of one SORT: more than there are keys.
const CRITERIA_MAX: usize = 16;

impl Lexer<'_> {
    /// What follows SORT.
    pub fn parse_sort(&mut self, uid: bool) -> Result<Sort> {
        let (returns, update_items) = self.search_returns()?;
        let criteria = self.list(Lexer::sort_criterion)?;
        if criteria.is_empty() || criteria.len() > CRITERIA_MAX {
            return self.error("1 to 16 sort criteria");
        }
        self.sp()?;
        let search = self.charset_and_keys(uid)?;
        Ok(Sort { criteria, search: Search { returns, update_items, ..search } })
    }

    fn sort_criterion(&mut self) -> Result<SortCriterion> {
        let reverse = self.keyword("REVERSE");
        if reverse {
            self.sp()?;
        }
        let key = match self.atom()?.to_ascii_uppercase().as_str() {
            "ARRIVAL" => SortKey::Arrival,
            "CC" => SortKey::Cc,
            "DATE" => SortKey::Date,
            "DISPLAYFROM" => SortKey::DisplayFrom,
            "DISPLAYTO" => SortKey::DisplayTo,
            "FROM" => SortKey::From,
            "RELEVANCY" => SortKey::Relevancy,
            "SIZE" => SortKey::Size,
            "SUBJECT" => SortKey::Subject,
            "TO" => SortKey::To,
            _ => return self.error("a sort key"),
        };
        Ok(SortCriterion { reverse, key })
    }

    /// What follows THREAD.
    pub fn parse_thread(&mut self, uid: bool) -> Result<Thread> {
        let algorithm = match self.atom()?.to_ascii_uppercase().as_str() {
            "ORDEREDSUBJECT" => ThreadAlgorithm::OrderedSubject,
            "REFERENCES" => ThreadAlgorithm::References,
            _ => return self.error("a threading algorithm"),
        };
        self.sp()?;
        Ok(Thread { algorithm, search: self.charset_and_keys(uid)? })
    }

    /// Here the charset is written without CHARSET before it, and must be.
    fn charset_and_keys(&mut self, uid: bool) -> Result<Search> {
        let charset = self.astring()?;
        self.sp()?;
        self.search_keys(uid, Some(&charset))
    }
}
