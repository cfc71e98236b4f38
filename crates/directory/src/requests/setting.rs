//! Settings.

use super::found;
use crate::model::{Scope, Setting};
use crate::row::{self, RowKind};
use crate::write::Write;
use crate::{RequestError, settings};

pub(crate) fn put(write: &mut Write<'_>, scope: Scope, name: &str, value: Option<&str>) -> Result<(), RequestError> {
    if let Scope::Domain(id) = scope {
        found(write.reader.domain(id)?, "domain", id, None)?;
    }
    match value {
        None => Ok(write.delete(RowKind::Setting, &row::setting_key(scope, name))?),
        Some(value) => {
            let value = settings::check(name, value)?;
            Ok(write.put(&Setting { scope, name: name.to_owned(), value })?)
        }
    }
}
