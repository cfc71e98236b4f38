//! The tables of a dump that are read, in a file of SQLite that lasts as long as the reading: what belongs together
//! stands far apart in a dump, and need not fit into memory.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::dump::{self, DumpError, Rows, value};

/// A table that is read, and the column by which it is looked up.
struct Wanted {
    name: &'static str,
    by: &'static str,
}

const fn wanted(name: &'static str, by: &'static str) -> Wanted {
    Wanted { name, by }
}

/// What is read, of whichever database it is.
const WANTED: [Wanted; 35] = [
    wanted("t_container", "id"),
    wanted("t_container_item", "id"),
    wanted("t_container_acl", "container_id"),
    wanted("t_container_settings", "container_id"),
    wanted("t_container_sub", "user_id"),
    wanted("t_owner_subscription", "item_id"),
    wanted("t_domain", "item_id"),
    wanted("t_settings_domain", "item_id"),
    wanted("t_settings_user", "item_id"),
    wanted("t_directory_entry", "item_id"),
    wanted("t_directory_ou", "item_id"),
    wanted("t_domain_user", "item_id"),
    wanted("t_mailbox", "item_id"),
    wanted("t_mailbox_email", "item_id"),
    wanted("t_mailbox_identity", "mbox_id"),
    wanted("t_user_mailidentity", "user_id"),
    wanted("t_mailfilter_rule", "item_id"),
    wanted("t_mailfilter_forwarding", "item_id"),
    wanted("t_mailfilter_vacation", "item_id"),
    wanted("t_domainmailfilter_rule", "container_id"),
    wanted("t_group", "item_id"),
    wanted("t_group_groupmember", "group_parent_id"),
    wanted("t_group_usermember", "group_id"),
    wanted("t_group_externalusermember", "group_id"),
    wanted("t_resource", "item_id"),
    wanted("t_resource_type", "id"),
    wanted("t_calendar_vevent", "item_id"),
    wanted("t_calendar_series", "item_id"),
    wanted("t_todolist_vtodo", "item_id"),
    wanted("t_addressbook_vcard", "item_id"),
    wanted("t_notes_vnote", "item_id"),
    wanted("t_tagvalue", "item_id"),
    wanted("t_tagref", "tagged_container_uid"),
    wanted("t_systemconf", "configuration"),
    wanted("t_user_account", "item_id"),
];

/// Why a dump was not read.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    /// The dump itself.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// The temporary file: no space, mostly.
    #[error("the temporary file for the tables can't be used: {0}; TMPDIR says where it lies")]
    Store(#[from] rusqlite::Error),
    /// It is a dump of another database.
    #[error("it has no table {0}: is it a dump of “{1}”?")]
    Missing(&'static str, &'static str),
}

impl From<rusqlite::Error> for DumpError {
    fn from(error: rusqlite::Error) -> Self {
        DumpError::Io(std::io::Error::other(error))
    }
}

/// The tables of one dump.
pub struct Tables {
    store: Connection,
    here: HashSet<String>,
}

impl Tables {
    /// Reads a dump.
    ///
    /// # Errors
    /// [`TablesError`]
    pub fn read(dump: &Path) -> Result<Self, TablesError> {
        // SQLite deletes a database without a name by itself, and keeps it in memory while it is small.
        let store = Connection::open("")?;
        store
            .execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536; BEGIN")?;
        let mut filling = Filling { store: &store, insert: String::new(), columns: 0, here: HashSet::new() };
        dump::read(dump, &mut filling)?;
        let here = filling.here;
        for wanted in WANTED.iter().filter(|wanted| here.contains(wanted.name)) {
            // A later version may call it otherwise: then it is looked up in its whole length.
            let (name, by) = (wanted.name, wanted.by);
            let _ = store.execute_batch(&format!("CREATE INDEX {name}_by_{by} ON {name}({by})"));
        }
        if here.contains("t_container_item") {
            store.execute_batch("CREATE INDEX items_by_container ON t_container_item(container_id)")?;
        }
        store.execute_batch("COMMIT")?;
        Ok(Tables { store, here })
    }

    /// Whether the dump has a table.
    pub fn has(&self, table: &str) -> bool {
        self.here.contains(table)
    }

    /// Refuses a dump without this table, which that database has.
    ///
    /// # Errors
    /// [`TablesError::Missing`]
    pub fn require(&self, table: &'static str, database: &'static str) -> Result<(), TablesError> {
        if self.has(table) { Ok(()) } else { Err(TablesError::Missing(table, database)) }
    }

    /// The rows of a query about tables of which the first may be missing: then there are none.
    ///
    /// # Errors
    /// [`TablesError::Store`]
    pub fn rows(&self, table: &str, query: &str, values: &[&str]) -> Result<Vec<Row>, TablesError> {
        let mut found = Vec::new();
        self.each(table, query, values, |row| -> Result<(), TablesError> {
            found.push(row);
            Ok(())
        })?;
        Ok(found)
    }

    /// The same, one by one.
    ///
    /// # Errors
    /// [`TablesError::Store`], and those of `take`.
    pub fn each<E: From<TablesError>>(
        &self,
        table: &str,
        query: &str,
        values: &[&str],
        mut take: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.has(table) {
            return Ok(());
        }
        let store = |error| E::from(TablesError::Store(error));
        let mut statement = self.store.prepare_cached(query).map_err(store)?;
        let names = statement.column_names().enumerate().map(|(n, name)| (name.to_owned(), n));
        let names: Rc<HashMap<String, usize>> = Rc::new(names.collect());
        let mut rows = statement.query(params_from_iter(values)).map_err(store)?;
        while let Some(row) = rows.next().map_err(store)? {
            let values = (0..names.len()).map(|n| row.get::<_, Option<String>>(n)).collect::<Result<_, _>>();
            take(Row { names: names.clone(), values: values.map_err(store)? })?;
        }
        Ok(())
    }

    /// How many rows a table has.
    ///
    /// # Errors
    /// [`TablesError::Store`]
    pub fn count(&self, table: &str) -> Result<u64, TablesError> {
        if !self.has(table) {
            return Ok(0);
        }
        let count = self.store.query_row(&format!("SELECT count(*) FROM {table}"), (), |row| row.get::<_, i64>(0))?;
        Ok(count.unsigned_abs())
    }
}

/// A row: what a column that isn't there holds is nothing, because each version has its own.
pub struct Row {
    names: Rc<HashMap<String, usize>>,
    values: Vec<Option<String>>,
}

impl Row {
    /// What stands in a column; `None` for NULL and for a column that this version doesn't have.
    pub fn get(&self, column: &str) -> Option<&str> {
        self.values.get(*self.names.get(column)?)?.as_deref()
    }

    /// The same, nothing when it is empty.
    pub fn text(&self, column: &str) -> Option<&str> {
        self.get(column).map(str::trim).filter(|text| !text.is_empty())
    }

    /// What must be there, or is empty.
    pub fn required(&self, column: &str) -> &str {
        self.get(column).unwrap_or_default()
    }

    /// Whether it says true.
    pub fn is(&self, column: &str) -> bool {
        value::is_true(self.get(column))
    }

    /// A number.
    pub fn number(&self, column: &str) -> Option<i64> {
        self.get(column)?.parse().ok()
    }

    /// The elements of an array, each of which may be nothing.
    pub fn array(&self, column: &str) -> Vec<Option<String>> {
        self.get(column).and_then(value::array).unwrap_or_default()
    }

    /// The elements of an array that are something.
    pub fn texts(&self, column: &str) -> Vec<String> {
        value::texts(self.get(column))
    }
}

struct Filling<'s> {
    store: &'s Connection,
    insert: String,
    columns: usize,
    here: HashSet<String>,
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Rows for Filling<'_> {
    fn table(&mut self, name: &str, columns: &[String]) -> Result<bool, DumpError> {
        let Some(wanted) = WANTED.iter().find(|wanted| wanted.name == name) else { return Ok(false) };
        let names: Vec<String> = columns.iter().map(|column| quoted(&column.to_lowercase())).collect();
        if self.here.insert(wanted.name.to_owned()) {
            self.store.execute_batch(&format!("CREATE TABLE {name} ({} TEXT)", names.join(" TEXT, ")))?;
        }
        let places = vec!["?"; columns.len()].join(", ");
        self.insert = format!("INSERT INTO {name} ({}) VALUES ({places})", names.join(", "));
        self.columns = columns.len();
        Ok(true)
    }

    fn row(&mut self, values: &[Option<String>]) -> Result<(), DumpError> {
        if values.len() != self.columns {
            let text = format!("a row has {} values, and its table {} columns", values.len(), self.columns);
            return Err(DumpError::Damaged(text));
        }
        let values = values.iter().map(|value| value.clone().map_or(Value::Null, Value::Text));
        self.store.prepare_cached(&self.insert)?.execute(params_from_iter(values))?;
        Ok(())
    }
}
