//! What the last run derived, in a file: a line that says when, then a line for each row, in order.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::{Timestamp, atomic_file};

use super::Route;

/// What one run derived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// When.
    pub at: Timestamp,
    /// The change of the directory that it was derived from.
    pub modseq: u64,
    /// By table and key.
    pub routes: Vec<Route>,
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    at_ms: i64,
    modseq: u64,
}

/// The permissions of the file: who reads addresses is the node's business.
const MODE: u32 = 0o640;

impl Last {
    /// Reads it; `None` when there is none, or none that can be read: it is compared with, and nothing depends on it.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn read(file: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(file) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut lines = BufReader::new(file).lines();
        let Some(head) = lines.next().transpose()? else { return Ok(None) };
        let Ok(Head { at_ms, modseq }) = serde_json::from_str(&head) else { return Ok(None) };
        let mut routes = Vec::new();
        for line in lines {
            routes.extend(route(&line?));
        }
        Ok(Some(Last { at: Timestamp(at_ms), modseq, routes }))
    }

    /// Writes it in the place of the one before.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let head = Head { at_ms: self.at.0, modseq: self.modseq };
        let mut text = serde_json::to_vec(&head)?;
        text.push(b'\n');
        for Route { table, key, value } in &self.routes {
            writeln!(text, "{table}\t{key}\t{value}")?;
        }
        atomic_file::write(file, &text, MODE)
    }
}

fn route(line: &str) -> Option<Route> {
    let mut parts = line.splitn(3, '\t');
    let (table, key, value) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Route { table: table.parse().ok()?, key: key.to_owned(), value: value.to_owned() })
}

/// What is other than before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "RouteChanges")]
pub struct Changes {
    /// Rows that were not there.
    pub added: usize,
    /// Rows that are there no more.
    pub removed: usize,
    /// Rows that say something else.
    pub changed: usize,
    /// The first of them.
    pub shown: Vec<Change>,
}

/// One row that is other than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "RouteChange")]
pub struct Change {
    /// In which table.
    pub table: &'static str,
    /// Which row.
    pub key: String,
    /// What it said.
    pub before: Option<String>,
    /// What it says.
    pub after: Option<String>,
}

impl Changes {
    /// Between two lists in order.
    pub fn between(before: &[Route], after: &[Route], shown_max: usize) -> Self {
        let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
        let mut changes = Changes::default();
        let order = |route: &Route| (route.table, route.key.clone());
        loop {
            let (was, is) = match (before.peek(), after.peek()) {
                (None, None) => return changes,
                (Some(was), Some(is)) => match order(was).cmp(&order(is)) {
                    std::cmp::Ordering::Less => (before.next(), None),
                    std::cmp::Ordering::Equal => (before.next(), after.next()),
                    std::cmp::Ordering::Greater => (None, after.next()),
                },
                _ => (before.next(), after.next()),
            };
            match (was, is) {
                (Some(was), Some(is)) if was.value == is.value => continue,
                (Some(_), Some(_)) => changes.changed += 1,
                (None, _) => changes.added += 1,
                (_, None) => changes.removed += 1,
            }
            let Some(which) = was.or(is).filter(|_| changes.shown.len() < shown_max) else { continue };
            let value = |route: Option<&Route>| route.map(|route| route.value.clone());
            let (before, after) = (value(was), value(is));
            changes.shown.push(Change { table: which.table.name(), key: which.key.clone(), before, after });
        }
    }
}

#[cfg(test)]
mod tests {
    use sterna_protocols::postfix::MailTable;

    use super::*;

    fn routes(rows: &[(&str, &str)]) -> Vec<Route> {
        let row = |(key, value): &(&str, &str)| Route {
            table: MailTable::VirtualAliases,
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("routing");
        assert_eq!(Last::read(&file).unwrap(), None);
        let last = Last { at: Timestamp(7), modseq: 9, routes: routes(&[("a@x", "b@x, c d@x"), ("é@x", "b@x")]) };
        last.write(&file).unwrap();
        assert_eq!(Last::read(&file).unwrap(), Some(last));
        std::fs::write(&file, "nonsense\n").unwrap();
        assert_eq!(Last::read(&file).unwrap(), None);
    }

    #[test]
    fn differences_are_counted_and_the_first_are_shown() {
        let before = routes(&[("a", "1"), ("b", "1"), ("d", "1"), ("e", "1")]);
        let after = routes(&[("b", "1"), ("c", "1"), ("d", "2"), ("f", "1")]);
        let changes = Changes::between(&before, &after, 3);
        assert_eq!((changes.added, changes.removed, changes.changed), (2, 2, 1));
        let shown: Vec<_> = changes.shown.iter().map(|change| &*change.key).collect();
        assert_eq!(shown, ["a", "c", "d"]);
        assert_eq!((changes.shown[2].before.as_deref(), changes.shown[2].after.as_deref()), (Some("1"), Some("2")));
        assert_eq!(Changes::between(&after, &after, 3), Changes::default());
    }
}
