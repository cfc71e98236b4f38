//! What `pg_dump` wrote: the rows of some tables, one after the other, from either of its two forms.
//!
//! Nothing is executed, and no database is needed: both forms hold the tables' contents as COPY has them (PostgreSQL
//! manual, COPY, "Text Format").

mod copy;
mod custom;
mod plain;
pub mod value;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use flate2::read::MultiGzDecoder;

/// How a dump in the custom form begins.
const CUSTOM: &[u8] = b"PGDMP";

/// How a plain one begins that was compressed.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// Longest row, in bytes: a picture may stand in a card.
const ROW_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Why a dump can't be read.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The file can't be read, or ends too early.
    #[error("it can't be read: {0}")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("it is no dump of a database: make one with “pg_dump -Fc” or “pg_dump”")]
    NoDump,
    /// It is one, in a form that isn't read here.
    #[error("{0}")]
    Form(&'static str),
    /// It contradicts itself.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

/// Who takes rows.
pub trait Rows {
    /// A table begins; whether its rows are wanted. The columns are in the order in which rows have them.
    ///
    /// # Errors
    /// The dump is read no further.
    fn table(&mut self, name: &str, columns: &[String]) -> Result<bool, DumpError>;

    /// A row of that table; `None` is NULL.
    ///
    /// # Errors
    /// The dump is read no further.
    fn row(&mut self, values: &[Option<String>]) -> Result<(), DumpError>;
}

/// Reads a dump from its beginning to its end, whichever form it has.
///
/// # Errors
/// [`DumpError`]
pub fn read(path: &Path, rows: &mut dyn Rows) -> Result<(), DumpError> {
    read_from(BufReader::new(File::open(path)?), rows)
}

/// The same, from a source whose first buffer has the first few bytes.
///
/// # Errors
/// [`DumpError`]
pub fn read_from(mut source: impl BufRead, rows: &mut dyn Rows) -> Result<(), DumpError> {
    let start = source.fill_buf()?;
    let (is_custom, is_compressed) = (start.starts_with(CUSTOM), start.starts_with(GZIP));
    match (is_custom, is_compressed) {
        (true, _) => custom::read(source, rows),
        (false, true) => plain::read(BufReader::new(MultiGzDecoder::new(source)), rows),
        (false, false) => plain::read(source, rows),
    }
}

/// How a line ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// As lines do.
    Line,
    /// With the source, which was cut off or has no last line end.
    Source,
}

/// Reads a line, without its end; `None` at the end of the source.
fn line(source: &mut impl BufRead, line: &mut Vec<u8>) -> Result<Option<End>, DumpError> {
    line.clear();
    source.take(ROW_BYTES_MAX as u64 + 1).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Some(End::Line));
    }
    match line.len() {
        0 => Ok(None),
        length if length > ROW_BYTES_MAX => {
            Err(DumpError::Damaged(format!("a row is longer than {ROW_BYTES_MAX} bytes")))
        }
        _ => Ok(Some(End::Source)),
    }
}

/// Reads the rows of one table, to the line that ends them; whether that line came.
fn rows_of(source: &mut impl BufRead, rows: &mut dyn Rows, is_wanted: bool) -> Result<bool, DumpError> {
    let (mut text, mut values) = (Vec::new(), Vec::new());
    while line(source, &mut text)? == Some(End::Line) {
        if text == b"\\." {
            return Ok(true);
        }
        if is_wanted {
            copy::row(&text, &mut values)?;
            rows.row(&values)?;
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
