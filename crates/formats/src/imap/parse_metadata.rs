//! GETMETADATA and SETMETADATA (RFC 5464 section 5), and the entries that LIST asks for (RFC 9590).

use super::command::{Body, MetadataDepth};
use super::lexer::{Lexer, Result};

/// Most entries in one command.
pub const ENTRIES_MAX: usize = 256;

/// Longest name of an entry, in bytes.
pub const ENTRY_BYTES_MAX: usize = 512;

/// Components that the name of an entry in a vendor's space has at least: `/shared/vendor/vendor-token/entry`.
const VENDOR_COMPONENTS_MIN: usize = 4;

impl Lexer<'_> {
    /// The options may stand before the mailbox, as in the grammar, or behind it, as in the examples.
    pub fn parse_get_metadata(&mut self) -> Result<Body> {
        let (mut max_size, mut depth) = (None, MetadataDepth::Zero);
        let mut options = |lexer: &mut Self| lexer.list(|lexer| lexer.metadata_option(&mut max_size, &mut depth));
        let before = self.peek() == Some(b'(');
        if before {
            options(self)?;
            self.sp()?;
        }
        let mailbox = self.mailbox()?;
        self.sp()?;
        if !before && self.at_metadata_options() {
            options(self)?;
            self.sp()?;
        }
        let mut entries = self.metadata_entries()?;
        // Without parentheses, as in an example of section 4.4.1.
        while self.take(b' ') {
            entries.push(self.metadata_entry()?);
            self.check_entries(entries.len())?;
        }
        Ok(Body::GetMetadata { mailbox, max_size, depth, entries })
    }

    pub fn parse_set_metadata(&mut self) -> Result<Body> {
        let mailbox = self.mailbox()?;
        self.sp()?;
        let entries = self.list(|lexer| {
            let start = lexer.clone_position();
            let entry = lexer.metadata_entry()?;
            if !is_settable(&entry) {
                return start.error("the whole name of an entry");
            }
            lexer.sp()?;
            Ok((entry, lexer.nstring()?))
        })?;
        self.check_entries(entries.len())?;
        Ok(Body::SetMetadata { mailbox, entries })
    }

    /// Names of entries: one, or some in parentheses.
    pub fn metadata_entries(&mut self) -> Result<Vec<String>> {
        if self.peek() != Some(b'(') {
            return Ok(vec![self.metadata_entry()?]);
        }
        let entries = self.list(Lexer::metadata_entry)?;
        self.check_entries(entries.len())?;
        Ok(entries)
    }

    fn check_entries(&self, count: usize) -> Result<()> {
        if (1..=ENTRIES_MAX).contains(&count) { Ok(()) } else { self.error("1 to 256 entries") }
    }

    fn at_metadata_options(&self) -> bool {
        let mut ahead = self.clone_position();
        ahead.take(b'(') && (ahead.keyword("MAXSIZE") || ahead.keyword("DEPTH"))
    }

    fn metadata_option(&mut self, max_size: &mut Option<u64>, depth: &mut MetadataDepth) -> Result<()> {
        let name = self.atom()?.to_ascii_uppercase();
        self.sp()?;
        match name.as_str() {
            "MAXSIZE" => *max_size = Some(self.number64()?),
            "DEPTH" => {
                *depth = match self.atom()?.to_ascii_lowercase().as_str() {
                    "0" => MetadataDepth::Zero,
                    "1" => MetadataDepth::One,
                    "infinity" => MetadataDepth::Infinity,
                    _ => return self.error("0, 1 or infinity"),
                };
            }
            _ => return self.error("MAXSIZE or DEPTH"),
        }
        Ok(())
    }

    /// `entry`, as written. `/private` and `/shared` alone are names to look below.
    fn metadata_entry(&mut self) -> Result<String> {
        let start = self.clone_position();
        match String::from_utf8(self.astring()?) {
            Ok(entry) if is_entry(&entry) => Ok(entry),
            _ => start.error("the name of an entry"),
        }
    }
}

/// Section 3.2: a path below /private or /shared, of ASCII without wildcards.
fn is_entry(entry: &str) -> bool {
    let is_plain = |byte: u8| (0x20..0x7f).contains(&byte) && !matches!(byte, b'*' | b'%');
    let Some(path) = entry.strip_prefix('/') else { return false };
    let scope = path.split('/').next().unwrap_or_default();
    entry.len() <= ENTRY_BYTES_MAX
        && entry.bytes().all(is_plain)
        && path.split('/').all(|component| !component.is_empty())
        && ["private", "shared"].iter().any(|known| scope.eq_ignore_ascii_case(known))
}

/// Whether it has enough components to have a value.
fn is_settable(entry: &str) -> bool {
    let mut components = entry.split('/').skip(2);
    let is_vendor = components.next().is_some_and(|component| component.eq_ignore_ascii_case("vendor"));
    let count = entry.split('/').count() - 1;
    if is_vendor { count >= VENDOR_COMPONENTS_MIN } else { count >= 2 }
}
