//! COPY's text form (PostgreSQL manual, COPY, "Text Format"): statements that begin it, and rows.

use super::DumpError;

/// Most columns of a table: PostgreSQL has no more.
const COLUMNS_MAX: usize = 1600;

/// The table and the columns of `COPY public.t_group (item_id, name) FROM stdin;`; `None` for other statements.
pub(super) fn statement(text: &str) -> Option<(String, Vec<String>)> {
    let rest = text.trim_end().strip_prefix("COPY ")?;
    let (names, rest) = identifiers(rest, '.')?;
    let rest = rest.trim_start().strip_prefix('(')?;
    let (columns, rest) = identifiers(rest, ',')?;
    let is_rows = rest.trim_start().strip_prefix(')')?.trim() == "FROM stdin;";
    is_rows.then_some((names.into_iter().next_back()?, columns))
}

/// Identifiers with a sign between them, as far as they go.
fn identifiers(mut rest: &str, between: char) -> Option<(Vec<String>, &str)> {
    let mut found = Vec::new();
    loop {
        let (name, after) = identifier(rest.trim_start())?;
        found.push(name);
        rest = after;
        match rest.trim_start().strip_prefix(between) {
            Some(after) if found.len() < COLUMNS_MAX => rest = after,
            Some(_) => return None,
            None => return Some((found, rest)),
        }
    }
}

/// An identifier, quoted or not (PostgreSQL manual, 4.1.1).
fn identifier(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                rest = after;
            }
            None => return Some((name, rest)),
        }
    }
}

/// The values of a row.
pub(super) fn row(line: &[u8], values: &mut Vec<Option<String>>) -> Result<(), DumpError> {
    values.clear();
    for field in line.split(|byte| *byte == b'\t') {
        if values.len() == COLUMNS_MAX {
            return Err(DumpError::Damaged("a row has too many columns".to_owned()));
        }
        values.push(if field == b"\\N" { None } else { Some(unescaped(field)?) });
    }
    Ok(())
}

fn unescaped(field: &[u8]) -> Result<String, DumpError> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'v') => out.push(11),
            Some(b'x') => out.push(number(&mut rest, 0, 16, 2)),
            Some(first @ b'0'..=b'7') => out.push(number(&mut rest, u32::from(first - b'0'), 8, 2)),
            Some(other) => out.push(other),
            None => return Err(DumpError::Damaged("a value ends in a backslash".to_owned())),
        }
    }
    // The dump says its encoding, and all that BlueMind makes are in UTF-8.
    String::from_utf8(out).map_err(|_| DumpError::Form("it is not in UTF-8: make it with “pg_dump --encoding=UTF8”"))
}

/// A byte by its digits.
fn number(rest: &mut std::iter::Peekable<impl Iterator<Item = u8>>, start: u32, radix: u32, digits_max: usize) -> u8 {
    let mut value = start;
    for _ in 0..digits_max {
        let Some(digit) = rest.peek().and_then(|byte| char::from(*byte).to_digit(radix)) else { break };
        value = value * radix + digit;
        rest.next();
    }
    value.to_le_bytes()[0]
}
