//! Lists of people as CSV (RFC 4180): what spreadsheets write, in whatever language they were written, read into rows
//! with the lines that they stand on.

use std::collections::HashMap;

/// Rows of one list.
pub const ROWS_MAX: usize = 10_000;

/// Columns of one list.
const COLUMNS_MAX: usize = 64;

/// Longest field, in bytes.
const FIELD_BYTES_MAX: usize = 4096;

/// The columns that are read, and what spreadsheets call them; spaces, hyphens and underscores are the same.
const NAMES: [(&str, &[&str]); 7] = [
    ("address", &["address", "email", "e mail", "mail", "adresse", "courriel"]),
    ("name", &["name", "display name", "nom", "anzeigename"]),
    ("aliases", &["aliases", "alias", "weitere adressen", "autres adresses"]),
    ("login", &["login", "username", "user", "anmeldename", "identifiant"]),
    ("password", &["password", "passwort", "mot de passe"]),
    ("unit", &["unit", "department", "abteilung", "unite", "service"]),
    ("quota", &["quota", "kontingent"]),
];

/// One person of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The line of the file on which it begins; the first is 1.
    pub line: usize,
    /// What is in the columns that are known, without what is empty.
    pub fields: HashMap<&'static str, String>,
}

/// Why a list can't be read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    /// It is in another encoding.
    #[error("line {0} is not UTF-8: save the list as “CSV UTF-8”")]
    NotUtf8(usize),
    /// There is nothing in it.
    #[error("the list is empty: its first line names the columns, one of them address")]
    Empty,
    /// The first line names no addresses.
    #[error("the first line has no column address (or email); it has: {0}")]
    NoAddress(String),
    /// Two columns say the same.
    #[error("two columns are {0}")]
    Twice(&'static str),
    /// A quotation mark is never closed.
    #[error("the quotation mark on line {0} is never closed")]
    OpenQuote(usize),
    /// It is too long.
    #[error(
        "line {0}: a list has at most {ROWS_MAX} people, {COLUMNS_MAX} columns, and {FIELD_BYTES_MAX} bytes in a field"
    )]
    TooLong(usize),
}

/// The text of a file: UTF-8, without the mark that some programs put before it.
///
/// # Errors
/// [`CsvError::NotUtf8`].
pub fn text(bytes: &[u8]) -> Result<&str, CsvError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        CsvError::NotUtf8(before.iter().filter(|byte| **byte == b'\n').count() + 1)
    })
}

/// The people of a list.
///
/// # Errors
/// [`CsvError`].
pub fn read(text: &str) -> Result<Vec<Row>, CsvError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut records = records(text)?.into_iter();
    let (_, header) = records.next().ok_or(CsvError::Empty)?;
    let mut columns: Vec<Option<&'static str>> = Vec::new();
    for name in &header {
        let known = known(name);
        if let Some(known) = known
            && columns.contains(&Some(known))
        {
            return Err(CsvError::Twice(known));
        }
        columns.push(known);
    }
    if !columns.contains(&Some("address")) {
        return Err(CsvError::NoAddress(header.join(", ")));
    }
    let row = |(line, fields): (usize, Vec<String>)| {
        let named =
            columns.iter().zip(fields).filter_map(|(column, value)| Some(((*column)?, value.trim().to_owned())));
        Row { line, fields: named.filter(|(_, value)| !value.is_empty()).collect() }
    };
    Ok(records.map(row).collect())
}

fn known(name: &str) -> Option<&'static str> {
    let plain: String = name.trim().to_lowercase().chars().map(|c| if "-_".contains(c) { ' ' } else { c }).collect();
    let plain = plain.replace(['é', 'è'], "e");
    NAMES.into_iter().find(|(_, names)| names.contains(&plain.as_str())).map(|(known, _)| known)
}

/// What stands between fields: of those that spreadsheets write, the one that is most often in the first line outside
/// of quotation marks.
fn delimiter(text: &str) -> char {
    let mut counts = [(',', 0), (';', 0), ('\t', 0)];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '\n' | '\r' if !quoted => break,
            c if !quoted => counts.iter_mut().filter(|(one, _)| *one == c).for_each(|(_, count)| *count += 1),
            _ => {}
        }
    }
    let mut best = counts[0];
    for one in counts {
        if one.1 > best.1 {
            best = one;
        }
    }
    best.0
}

/// Lines of fields, with the numbers of the lines; empty lines are left out.
fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>, CsvError> {
    let delimiter = delimiter(text);
    let (mut records, mut fields, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut began, mut quote_began) = (1, 1, 1);
    let (mut quoted, mut was_quoted) = (false, false);
    let mut chars = text.chars().peekable();
    loop {
        let c = chars.next();
        match c {
            Some('"') if quoted => match chars.peek() {
                Some('"') => {
                    chars.next();
                    field.push('"');
                }
                _ => quoted = false,
            },
            Some('"') if field.trim().is_empty() && !was_quoted => {
                field.clear();
                (quoted, was_quoted, quote_began) = (true, true, line);
            }
            Some(c) if quoted => {
                line += usize::from(c == '\n');
                field.push(c);
            }
            None if quoted => return Err(CsvError::OpenQuote(quote_began)),
            Some('\r') if chars.peek() == Some(&'\n') => {}
            Some('\n' | '\r') | None => {
                fields.push(std::mem::take(&mut field));
                was_quoted = false;
                let record = std::mem::take(&mut fields);
                if record.iter().any(|field| !field.trim().is_empty()) {
                    records.push((began, record));
                }
                line += usize::from(c.is_some());
                began = line;
                if c.is_none() {
                    return Ok(records);
                }
            }
            Some(c) if c == delimiter => {
                fields.push(std::mem::take(&mut field));
                was_quoted = false;
            }
            Some(c) => field.push(c),
        }
        if field.len() > FIELD_BYTES_MAX || fields.len() > COLUMNS_MAX || records.len() > ROWS_MAX + 1 {
            return Err(CsvError::TooLong(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &str) -> Vec<(usize, String)> {
        read(list).unwrap().into_iter().map(|row| (row.line, row.fields["address"].clone())).collect()
    }

    #[test]
    fn lists_of_all_spreadsheets_are_read() {
        let expected = [(2, "ana@tern.test".to_owned()), (3, "ben@tern.test".to_owned())];
        for list in [
            "address,name\nana@tern.test,Ana\nben@tern.test,Ben\n",
            "\u{feff}E-Mail;Anzeigename\r\nana@tern.test;Ana\r\nben@tern.test;\"Ochs; Ben\"",
            "Name\tEmail\nAna\tana@tern.test\n\"Ben \"\"Ox\"\" Ochs\"\tben@tern.test\n\n\n",
            "courriel,Unité,nickname\rana@tern.test,a,b\rben@tern.test\r",
        ] {
            assert_eq!(addresses(list), expected, "{list:?}");
        }
        let rows = read("address,name\na@t.test,\"two\nlines\"\nb@t.test,\n").unwrap();
        assert_eq!((rows[0].fields["name"].as_str(), rows[1].line), ("two\nlines", 4));
        assert!(!rows[1].fields.contains_key("name"));
    }

    #[test]
    fn what_can_not_be_read_says_where() {
        assert_eq!(text(b"address\nJ\xfcrgen@t.test\n"), Err(CsvError::NotUtf8(2)));
        assert_eq!(text(b"\xff\xfea\0"), Err(CsvError::NotUtf8(1)), "UTF-16");
        assert_eq!(text(b"\xef\xbb\xbfaddress").unwrap(), "address");
        assert_eq!(read(""), Err(CsvError::Empty));
        assert_eq!(read("\n\n"), Err(CsvError::Empty));
        assert!(matches!(read("name\nAna"), Err(CsvError::NoAddress(_))));
        assert_eq!(read("email,address\na,b"), Err(CsvError::Twice("address")));
        assert_eq!(read("address\n\"a@t.test\n\n"), Err(CsvError::OpenQuote(2)));
        assert_eq!(read(&format!("address\n{}", "x".repeat(5000))), Err(CsvError::TooLong(2)));
        assert!(matches!(read(&"a\n".repeat(ROWS_MAX + 5).replacen('a', "address", 1)), Err(CsvError::TooLong(_))));
        assert!(matches!(read(&",".repeat(100)), Err(CsvError::TooLong(_))));
    }
}
