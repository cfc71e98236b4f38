//! PATCH (RFC 7644 section 3.5.2), done to a resource as JSON: as the RFC has it, and as Entra and Okta send it - names
//! of operations with a capital, paths as names of members, members to be removed as a value.

use std::collections::HashSet;

use serde_json::{Map, Value};
use sterna_directory::MEMBERS_PER_GROUP_MAX;

use super::ScimError;
use super::filter::{Attribute, Filter, Operator, member};

/// Operations of one request.
const OPERATIONS_MAX: usize = 1000;

/// Where an operation is done.
#[derive(Clone, Debug, PartialEq)]
struct Path {
    attribute: Attribute,
    /// Only values of it that fit.
    filter: Option<Filter>,
    /// Of such values, this part.
    part: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Add,
    Replace,
    Remove,
}

fn failed(kind: &'static str, why: impl Into<String>) -> ScimError {
    ScimError::new(axum::http::StatusCode::BAD_REQUEST, Some(kind), why)
}

/// Does what may take long on a thread of its own, where nothing waits for it and no state of the directory is held.
///
/// # Errors
/// Those of the work.
pub async fn aside(work: impl FnOnce() -> Result<Value, ScimError> + Send + 'static) -> Result<Value, ScimError> {
    let broken = |_| ScimError::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, None, "the node is stopping");
    tokio::task::spawn_blocking(work).await.map_err(broken)?
}

/// Does all operations, in order.
///
/// # Errors
/// The one that can't be done; the caller then does none.
pub fn apply(resource: &mut Value, body: &Value) -> Result<(), ScimError> {
    let operations = member(body, "Operations").and_then(Value::as_array);
    let operations = operations.ok_or_else(|| ScimError::invalid_syntax("there must be a list “Operations”"))?;
    if operations.len() > OPERATIONS_MAX {
        return Err(failed("tooMany", format!("at most {OPERATIONS_MAX} operations in one request")));
    }
    // Filters look at every value there is, each time.
    let named = operations.iter().map(|operation| match member(operation, "value") {
        Some(Value::Array(values)) => values.len(),
        _ => 1,
    });
    if named.sum::<usize>() > MEMBERS_PER_GROUP_MAX {
        return Err(failed("tooMany", format!("at most {MEMBERS_PER_GROUP_MAX} values in one request")));
    }
    for operation in operations {
        let kind = member(operation, "op").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        let kind = match kind.as_str() {
            "add" => Kind::Add,
            "replace" => Kind::Replace,
            "remove" => Kind::Remove,
            _ => return Err(ScimError::invalid_syntax("an operation is add, replace or remove")),
        };
        let value = member(operation, "value").cloned().unwrap_or(Value::Null);
        match member(operation, "path").and_then(Value::as_str).filter(|path| !path.is_empty()) {
            Some(path) => at(resource, kind, &read(path)?, value)?,
            None => everywhere(resource, kind, value)?,
        }
    }
    Ok(())
}

/// Without a path the value is an object of attributes; some write paths as its names.
fn everywhere(resource: &mut Value, kind: Kind, value: Value) -> Result<(), ScimError> {
    if kind == Kind::Remove {
        return Err(failed("noTarget", "what is removed must be named by a path"));
    }
    let Value::Object(fields) = value else {
        return Err(ScimError::invalid_value("without a path, the value is an object of attributes"));
    };
    for (name, value) in fields {
        let is_extension = name.to_ascii_lowercase().starts_with("urn:") && value.is_object();
        match is_extension {
            true => {
                let Value::Object(inner) = value else { continue };
                for (part, value) in inner {
                    at(resource, kind, &read(&format!("{name}:{part}"))?, value)?;
                }
            }
            false => at(resource, kind, &read(&name)?, value)?,
        }
    }
    Ok(())
}

/// `attribute`, `attribute.part`, `attribute[filter]`, `attribute[filter].part`.
fn read(path: &str) -> Result<Path, ScimError> {
    let wrong = || failed("invalidPath", format!("“{path}” is no path"));
    let Some((name, rest)) = path.split_once('[') else {
        let attribute = Attribute::read(path).ok_or_else(wrong)?;
        return Ok(Path { attribute, filter: None, part: None });
    };
    let (filter, part) = rest.rsplit_once(']').ok_or_else(wrong)?;
    let part = match part.strip_prefix('.') {
        Some(part) if !part.is_empty() => Some(part.to_owned()),
        None if part.is_empty() => None,
        _ => return Err(wrong()),
    };
    let attribute = Attribute::read(name).ok_or_else(wrong)?;
    Ok(Path { attribute, filter: Some(Filter::read(filter)?), part })
}

/// The member of this name in any case, as it is written there.
fn name_in(object: &Map<String, Value>, name: &str) -> String {
    object.keys().find(|known| known.eq_ignore_ascii_case(name)).cloned().unwrap_or_else(|| name.to_owned())
}

fn at(resource: &mut Value, kind: Kind, path: &Path, value: Value) -> Result<(), ScimError> {
    let within = match &path.attribute.schema {
        Some(schema) => {
            let Some(object) = resource.as_object_mut() else { return Ok(()) };
            let name = name_in(object, schema);
            object.entry(name).or_insert_with(|| Value::Object(Map::new()))
        }
        None => resource,
    };
    let Some(object) = within.as_object_mut() else { return Ok(()) };
    let name = name_in(object, &path.attribute.name);
    if let Some(filter) = &path.filter {
        return chosen(object, &name, kind, filter, path.part.as_deref(), value);
    }
    if let Some(part) = &path.attribute.part {
        let whole = object.entry(name).or_insert_with(|| Value::Object(Map::new()));
        if let Some(whole) = whole.as_object_mut() {
            set(whole, part, kind, value);
        }
        return Ok(());
    }
    match (kind, object.get_mut(&name), value) {
        // Entra names those to be removed by the value, the RFC by the path.
        (Kind::Remove, Some(Value::Array(items)), Value::Array(gone)) if !gone.is_empty() => {
            let gone: HashSet<String> = gone.iter().map(key).collect();
            items.retain(|item| !gone.contains(&key(item)));
        }
        (Kind::Remove, ..) => drop(object.remove(&name)),
        (Kind::Add, Some(Value::Array(items)), value) => {
            let more = match value {
                Value::Array(more) => more,
                one => vec![one],
            };
            let mut known: HashSet<String> = items.iter().map(key).collect();
            items.extend(more.into_iter().filter(|one| known.insert(key(one))));
        }
        // Of a complex value what isn't named stays (section 3.5.2.3).
        (_, Some(Value::Object(old)), Value::Object(new)) => {
            for (part, value) in new {
                set(old, &part, Kind::Replace, value);
            }
        }
        (_, _, value) => drop(object.insert(name, value)),
    }
    Ok(())
}

fn set(object: &mut Map<String, Value>, name: &str, kind: Kind, value: Value) {
    let name = name_in(object, name);
    match kind {
        Kind::Remove => drop(object.remove(&name)),
        Kind::Add | Kind::Replace => drop(object.insert(name, value)),
    }
}

/// By what two values of a multi-valued attribute are the same: their `value`, in any case.
fn key(value: &Value) -> String {
    member(value, "value").unwrap_or(value).to_string().to_ascii_lowercase()
}

/// Done to values that a filter chooses.
fn chosen(
    object: &mut Map<String, Value>,
    name: &str,
    kind: Kind,
    filter: &Filter,
    part: Option<&str>,
    value: Value,
) -> Result<(), ScimError> {
    let items = object.entry(name.to_owned()).or_insert_with(|| Value::Array(Vec::new()));
    let Some(items) = items.as_array_mut() else {
        return Err(failed("invalidPath", format!("{name} has not several values")));
    };
    let fits = |item: &Value| filter.fits(item);
    match (kind, part) {
        (Kind::Remove, None) => items.retain(|item| !fits(item)),
        (Kind::Remove, Some(part)) => {
            for item in items.iter_mut().filter(|item| fits(item)) {
                if let Some(item) = item.as_object_mut() {
                    set(item, part, kind, Value::Null);
                }
            }
        }
        (_, part) => {
            let mut done = false;
            for item in items.iter_mut().filter(|item| fits(item)) {
                done = true;
                merge(item, part, value.clone());
            }
            // Entra replaces what isn't there yet; it is made as the filter wants it.
            if !done {
                let mut new = made(filter).ok_or_else(|| failed("noTarget", format!("no value of {name} fits")))?;
                merge(&mut new, part, value);
                items.push(new);
            }
        }
    }
    Ok(())
}

fn merge(item: &mut Value, part: Option<&str>, value: Value) {
    let Some(object) = item.as_object_mut() else { return };
    match (part, value) {
        (Some(part), value) => set(object, part, Kind::Replace, value),
        (None, Value::Object(fields)) => {
            fields.into_iter().for_each(|(name, value)| set(object, &name, Kind::Replace, value))
        }
        (None, value) => set(object, "value", Kind::Replace, value),
    }
}

/// A value that fits a filter which only compares with `eq`.
fn made(filter: &Filter) -> Option<Value> {
    match filter {
        Filter::Compare(Attribute { name, part: None, schema: None }, Operator::Eq, value) => {
            Some(Value::Object(Map::from_iter([(name.clone(), value.clone())])))
        }
        Filter::And(one, other) => {
            let (mut one, other) = (made(one)?, made(other)?);
            one.as_object_mut()?.extend(other.as_object()?.clone());
            Some(one)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patched(mut resource: Value, operations: Value) -> Value {
        apply(&mut resource, &json!({ "Operations": operations })).unwrap();
        resource
    }

    #[test]
    fn entra_replaces_booleans_as_texts_and_values_by_filter() {
        let ana = json!({"active": true, "displayName": "Ana", "emails": [{"value": "a@t", "type": "work"}]});
        let operations = json!([
            {"op": "Replace", "path": "active", "value": "False"},
            {"op": "Add", "path": "name.givenName", "value": "Ana"},
            {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "b@t"},
            {"op": "Add", "path": "emails[type eq \"home\"].value", "value": "c@t"},
            {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "Sea"},
        ]);
        let expected = json!({
            "active": "False", "displayName": "Ana", "name": {"givenName": "Ana"},
            "emails": [{"value": "b@t", "type": "work"}, {"value": "c@t", "type": "home"}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Sea"},
        });
        assert_eq!(patched(ana, operations), expected);
    }

    #[test]
    fn members_come_and_go_in_all_three_ways() {
        let group = json!({"members": [{"value": "1"}, {"value": "2"}, {"value": "3"}]});
        let removed = [
            json!([{"op": "remove", "path": "members[value eq \"2\"]"}]),
            json!([{"op": "Remove", "path": "members", "value": [{"value": "2"}]}]),
        ];
        for operations in removed {
            assert_eq!(patched(group.clone(), operations), json!({"members": [{"value": "1"}, {"value": "3"}]}));
        }
        let added = json!([{"op": "Add", "path": "members", "value": [{"value": "3"}, {"value": "4"}]}]);
        assert_eq!(patched(group.clone(), added)["members"].as_array().unwrap().len(), 4);
        let replaced = json!([{"op": "replace", "path": "members", "value": [{"value": "9"}]}]);
        assert_eq!(patched(group.clone(), replaced), json!({"members": [{"value": "9"}]}));
        assert_eq!(patched(group, json!([{"op": "remove", "path": "members"}])), json!({}));
    }

    #[test]
    fn okta_sends_objects_without_a_path() {
        let ana = json!({"active": true, "name": {"formatted": "Ana"}});
        let patch =
            json!([{"op": "replace", "value": {"active": false, "name": {"familyName": "L"}, "name.givenName": "A"}}]);
        let expected = json!({"active": false, "name": {"formatted": "Ana", "familyName": "L", "givenName": "A"}});
        assert_eq!(patched(ana, patch), expected);
    }

    #[test]
    fn what_can_not_be_done_is_refused() {
        for bad in [
            json!([{"op": "move", "path": "a"}]),
            json!([{"op": "remove"}]),
            json!([{"op": "add", "value": 1}]),
            json!([{"op": "add", "path": "a b", "value": 1}]),
            json!([{"op": "add", "path": "emails[", "value": 1}]),
            json!([{"op": "replace", "path": "emails[value co \"x\"].value", "value": 1}]),
        ] {
            let mut resource = json!({"emails": []});
            assert!(apply(&mut resource, &json!({ "Operations": bad })).is_err(), "{bad}");
        }
        assert!(apply(&mut json!({}), &json!({"Operations": 1})).is_err());
    }
}
