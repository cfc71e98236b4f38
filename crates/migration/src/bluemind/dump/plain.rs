//! The plain form: a script for psql, in which each table's rows follow its COPY.

use std::io::BufRead;

use super::copy::statement;
use super::{DumpError, Rows, line, rows_of};

/// Lines in which a script says that `pg_dump` wrote it.
const HEAD_LINES_MAX: usize = 50;

/// What a script says near its beginning.
const HEADS: [&[u8]; 2] = [b"-- PostgreSQL database dump", b"-- PostgreSQL database cluster dump"];

/// What it says at its end.
const ENDS: [&[u8]; 2] = [b"-- PostgreSQL database dump complete", b"-- PostgreSQL database cluster dump complete"];

pub(super) fn read(mut source: impl BufRead, rows: &mut dyn Rows) -> Result<(), DumpError> {
    let (mut text, mut number, mut is_dump, mut is_whole) = (Vec::new(), 0, false, false);
    while line(&mut source, &mut text)?.is_some() {
        let found = text.as_slice();
        number += 1;
        is_dump |= HEADS.contains(&found);
        is_whole |= ENDS.contains(&found);
        if !is_dump && number > HEAD_LINES_MAX {
            return Err(DumpError::NoDump);
        }
        if found.starts_with(b"INSERT INTO ") {
            return Err(DumpError::Form("it was made with --inserts: make it without"));
        }
        let Some((table, columns)) = std::str::from_utf8(found).ok().and_then(statement) else { continue };
        let is_wanted = rows.table(&table, &columns)?;
        if !rows_of(&mut source, rows, is_wanted)? {
            return Err(DumpError::Damaged(format!("it ends within the table {table}")));
        }
    }
    match (is_dump, is_whole) {
        (false, _) => Err(DumpError::NoDump),
        (true, false) => Err(DumpError::Damaged("its last lines are missing".to_owned())),
        (true, true) => Ok(()),
    }
}
