//! Printing results: tables for people, JSON for programs.

use std::io::{self, Write};

use serde_json::Value;

use super::Output;
use super::client::CliError;

/// A column of a table: its heading and the field it shows.
pub type Column = (&'static str, &'static str);

/// Widest cell of a table; longer texts are cut there.
const CELL_CHARS_MAX: usize = 60;

/// The fields of a resource that people look for first.
const FIRST_FIELDS: [&str; 4] = ["name", "address", "display_name", "kind"];

/// Prints one resource.
///
/// # Errors
/// When standard output can't be written.
pub fn one(format: Output, value: &Value) -> Result<(), CliError> {
    match format {
        Output::Json => line(&serde_json::to_string_pretty(value).unwrap_or_default()),
        Output::Ndjson => line(&value.to_string()),
        Output::Table => {
            let Value::Object(fields) = value else { return line(&cell(value)) };
            let width = fields.keys().map(String::len).max().unwrap_or(0);
            // What it is called comes first; the rest is in order.
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| FIRST_FIELDS.iter().position(|first| first == name).unwrap_or(usize::MAX));
            for (name, value) in fields {
                line(&format!("{name:<width$}  {}", cell(value)))?;
            }
            Ok(())
        }
    }
}

/// Prints a listing page by page, so that a million rows need no more memory than one page.
pub struct Listing {
    format: Output,
    columns: &'static [Column],
    widths: Vec<usize>,
    printed: usize,
}

impl Listing {
    /// A listing with these columns in its table.
    pub fn new(format: Output, columns: &'static [Column]) -> Self {
        Listing { format, columns, widths: Vec::new(), printed: 0 }
    }

    /// Prints a page. The columns of a table are as wide as the first page needs.
    ///
    /// # Errors
    /// When standard output can't be written; the same holds for [`Listing::end`].
    pub fn page(&mut self, items: &[Value]) -> Result<(), CliError> {
        match self.format {
            Output::Ndjson => items.iter().try_for_each(|item| line(&item.to_string()))?,
            Output::Json => {
                for (at, item) in items.iter().enumerate() {
                    let before = if self.printed + at == 0 { "[\n  " } else { ",\n  " };
                    write(&format!("{before}{item}"))?;
                }
            }
            Output::Table => self.rows(items)?,
        }
        self.printed += items.len();
        Ok(())
    }

    fn rows(&mut self, items: &[Value]) -> Result<(), CliError> {
        let rows: Vec<Vec<String>> = items
            .iter()
            .map(|item| self.columns.iter().map(|(_, field)| cut(&cell(&item[*field]))).collect())
            .collect();
        if self.widths.is_empty() && !rows.is_empty() {
            self.widths = (0..self.columns.len())
                .map(|at| {
                    let longest = rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
                    longest.max(self.columns[at].0.chars().count())
                })
                .collect();
            let heads = self.columns.iter().map(|(head, _)| (*head).to_owned()).collect::<Vec<_>>();
            line(&self.row(&heads))?;
        }
        rows.iter().try_for_each(|row| line(&self.row(row)))
    }

    fn row(&self, cells: &[String]) -> String {
        let padded: Vec<String> =
            cells.iter().zip(&self.widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
        padded.join("  ").trim_end().to_owned()
    }

    /// After the last page.
    pub fn end(self) -> Result<(), CliError> {
        match self.format {
            Output::Json if self.printed == 0 => line("[]"),
            Output::Json => line("\n]"),
            Output::Table if self.printed == 0 => {
                line(&self.columns.iter().map(|(head, _)| *head).collect::<Vec<_>>().join("  "))
            }
            _ => Ok(()),
        }
    }
}

/// A value as it stands in a table.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A number of bytes as people read it, in powers of 1024.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    let mut rest = number as f64;
    while rest >= 1024.0 && unit + 1 < UNITS.len() {
        rest /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{number} B") } else { format!("{rest:.1} {}", UNITS[unit]) }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CELL_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Prints a line of result.
///
/// # Errors
/// When standard output can't be written.
pub fn line(text: &str) -> Result<(), CliError> {
    write(&format!("{text}\n"))
}

fn write(text: &str) -> Result<(), CliError> {
    let result = io::stdout().lock().write_all(text.as_bytes());
    result.map_err(|source| CliError::Io { what: "the output can't be written".to_owned(), source })
}

/// Prints an error with what to do next to standard error.
pub fn error(error: &CliError) {
    // A reader that went away (`| head`) is no error worth a word.
    if matches!(error, CliError::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe) {
        return;
    }
    let mut text = format!("sterna: {error}");
    if let Some(source) = std::error::Error::source(error) {
        text.push_str(&format!(": {source}"));
    }
    text.push('\n');
    if let Some(remedy) = error.remedy() {
        text.push_str(&format!("        {remedy}\n"));
    }
    note(&text);
}

/// Prints to standard error; a failure to do so has nowhere to be told.
pub fn note(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_say_yes_no_and_nothing() {
        let shown = [json!(true), json!(false), json!(null), json!(""), json!([]), json!(["a", "b"]), json!(7)];
        assert_eq!(shown.each_ref().map(cell), ["yes", "no", "-", "-", "-", "a, b", "7"]);
        assert_eq!(cut(&"x".repeat(61)).chars().count(), 61);
        assert_eq!([0, 1023, 1024, 5 << 30].map(bytes), ["0 B", "1023 B", "1.0 KiB", "5.0 GiB"]);
    }
}
