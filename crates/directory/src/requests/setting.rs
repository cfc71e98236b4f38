//! Settings, and looking back on how they changed.

use sterna_base::Modseq;

use super::found;
use crate::model::{Scope, Setting, SettingChange};
use crate::row::{self, RowKind, SETTING_CHANGE_COUNTER};
use crate::write::Write;
use crate::{RequestError, settings};

/// Sets it, or with no value goes back to what holds without it.
pub(crate) fn put(
    write: &mut Write<'_>,
    scope: Scope,
    name: &str,
    value: Option<&str>,
    by: &str,
) -> Result<(), RequestError> {
    let value = value.map(|value| settings::check(name, value)).transpose()?;
    change(write, scope, name, value, by, None)
}

/// Whether nobody changed it since the caller read it.
pub(crate) fn is_still(
    write: &Write<'_>,
    scope: Scope,
    name: &str,
    expect: Option<Modseq>,
) -> Result<(), RequestError> {
    let Some(expected) = expect else { return Ok(()) };
    let found = write.reader.setting(scope, name)?.map_or(Modseq::ZERO, |found| found.modseq);
    if expected == found { Ok(()) } else { Err(RequestError::Changed { expected, found }) }
}

/// Undoes a change, if nobody has changed the setting since.
pub(crate) fn revert(write: &mut Write<'_>, number: u64, by: &str) -> Result<(), RequestError> {
    let Some(undone) = write.reader.setting_change(number)? else {
        return Err(RequestError::NoSuch { what: "change of a setting", id: number.to_string() });
    };
    // Nor is its creation: going back to none would throw away the one value that there is.
    if settings::is_secret(&undone.name) {
        return Err(RequestError::SecretNotKept { name: undone.name });
    }
    if let Some(later) = write
        .reader
        .setting_changes()?
        .into_iter()
        .find(|later| later.number > number && later.scope == undone.scope && later.name == undone.name)
    {
        return Err(RequestError::ChangedAgain { name: undone.name, change: later.number });
    }
    change(write, undone.scope, &undone.name, undone.before, by, Some(number))
}

/// Writes the value and, when it is another one than before, that it changed.
fn change(
    write: &mut Write<'_>,
    scope: Scope,
    name: &str,
    after: Option<String>,
    by: &str,
    reverts: Option<u64>,
) -> Result<(), RequestError> {
    if let Scope::Domain(id) = scope {
        found(write.reader.domain(id)?, "domain", id, None)?;
    }
    let before = write.reader.setting(scope, name)?.map(|found| found.value.value);
    if before == after {
        return Ok(());
    }
    match &after {
        None => write.delete(RowKind::Setting, &row::setting_key(scope, name))?,
        Some(value) => write.put(&Setting { scope, name: name.to_owned(), value: value.clone() })?,
    }
    let had_one = before.is_some();
    let shown = |value: Option<String>| value.map(|value| settings::shown(name, value));
    let number = write.next_number(SETTING_CHANGE_COUNTER)?;
    let (before, after) = (shown(before), shown(after));
    let (name, by, at) = (name.to_owned(), by.to_owned(), write.now);
    let is_issuer = name == settings::OPENID_ISSUER;
    let noted = by.clone();
    write.put(&SettingChange { number, at, by, scope, name, before, after, reverts })?;
    // A secret is sent to the provider that gave it and to no other: it is given again for another one.
    match is_issuer && had_one {
        true => change(write, scope, settings::OPENID_CLIENT_SECRET, None, &noted, None),
        false => Ok(()),
    }
}
