//! `/api/v1/people-imports`: people from a list.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::Secret;
use sterna_directory::request::NewUser;
use sterna_directory::rights::{Area, Permission, Rights, Within};
use sterna_directory::{Reader, StorageError, names};

use super::create::NewEntry;
use super::doors::AdminState;
use super::input::{Body, Params};
use super::principal::Principal;
use super::problem::Problem;
use crate::cli::quota;
use crate::people_csv::{self, Row};

/// People of one request: making each takes a while, and clients wait a minute. The command line sends more in parts.
const PEOPLE_MAX: usize = 500;

/// The body of POST.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PeopleList")]
pub(super) struct ImportBody {
    /// The list, its first line names the columns.
    csv: String,
    /// Make those who can be made although others can't.
    #[serde(default)]
    partial: bool,
}

/// What is wrong with a line.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PeopleLineError")]
pub(super) struct LineError {
    /// Which.
    line: usize,
    /// The address on it.
    address: String,
    /// Why.
    detail: String,
}

/// What came of a list.
#[derive(Default, Serialize, JsonSchema)]
#[schemars(rename = "PeopleImport")]
pub(super) struct Imported {
    /// Lines with somebody on them.
    people: usize,
    /// Who was made, or would be.
    created: usize,
    /// Who is here already, and left as they are.
    existing: usize,
    /// What is wrong, line by line.
    errors: Vec<LineError>,
    /// Whether anybody was made.
    done: bool,
}

/// Makes the people of a list. With an error on any line nobody is made, unless the rest is wanted.
pub(super) async fn create(
    State(state): State<AdminState>,
    principal: Principal,
    params: Params,
    Body(body): Body<ImportBody>,
) -> Result<Json<Imported>, Problem> {
    let rows = people_csv::read(&body.csv).map_err(|error| {
        let (title, remedy) = ("The list can't be read", "Save it as CSV UTF-8; its first line names the columns.");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "list-unreadable", title, error.to_string(), remedy)
    })?;
    if rows.len() > PEOPLE_MAX {
        let detail = format!("{} people at once; at most {PEOPLE_MAX} are taken in one request", rows.len());
        let remedy = "Send the list in parts, or use sterna user import, which does it.";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Err(Problem::new(status, "list-too-long", "The list is too long", detail, remedy));
    }
    let mut report = Imported { people: rows.len(), ..Imported::default() };
    let rights = principal.rights;
    let read = move |reader: &Reader<'_>| {
        let mut seen = HashSet::new();
        rows.into_iter()
            .map(|row| Ok((checked(reader, &rights, &row, &mut seen)?, row)))
            .collect::<Result<Vec<_>, StorageError>>()
    };
    let mut wanted = Vec::new();
    for (found, row) in state.directory.read(read).await? {
        match found {
            Checked::New(new) => match state.create_account(NewEntry::User(new.clone()), None, true).await {
                Ok(_) => wanted.push((row, new)),
                Err(problem) => report.note(&row, problem.detail),
            },
            Checked::Existing => report.existing += 1,
            Checked::Wrong(why) => report.note(&row, why),
        }
    }
    report.created = wanted.len();
    if params.dry_run || (!report.errors.is_empty() && !body.partial) {
        return Ok(Json(report));
    }
    report.created = 0;
    for (row, new) in wanted {
        match make(&state, &row, new).await {
            Ok(()) => report.created += 1,
            Err(problem) => report.note(&row, problem.detail),
        }
    }
    report.done = report.created > 0;
    report.errors.sort_by_key(|error| error.line);
    Ok(Json(report))
}

impl Imported {
    fn note(&mut self, row: &Row, detail: String) {
        let address = row.fields.get("address").cloned().unwrap_or_default();
        self.errors.push(LineError { line: row.line, address, detail });
    }
}

enum Checked {
    New(NewUser),
    Existing,
    Wrong(String),
}

/// What a line asks for, by whoever may ask for it.
fn checked(
    reader: &Reader<'_>,
    rights: &Rights,
    row: &Row,
    seen: &mut HashSet<String>,
) -> Result<Checked, StorageError> {
    let field = |name: &str| row.fields.get(name).cloned();
    let Some(text) = field("address") else { return Ok(Checked::Wrong("there is no address".to_owned())) };
    let Some((local, name)) = names::address(&text) else {
        return Ok(Checked::Wrong(format!("“{text}” is not an address")));
    };
    let Some(domain) = reader.domain_named(&name)? else {
        return Ok(Checked::Wrong(format!("there is no domain {name}")));
    };
    let unit = field("unit").unwrap_or_default();
    let place = Within::Unit(domain.value.id, &unit);
    let mut needs = vec![Permission::write(Area::People)];
    needs.extend(field("password").map(|_| Permission::write(Area::Passwords)));
    if let Some(missing) = needs.into_iter().find(|needed| !rights.may(*needed, place)) {
        return Ok(Checked::Wrong(format!("it needs the permission {missing} in {name}")));
    }
    let address = format!("{local}@{}", domain.value.name);
    if !seen.insert(address.clone()) {
        return Ok(Checked::Wrong(format!("{address} stands on an earlier line, too")));
    }
    if reader.entry_at(&address)?.is_some() {
        return Ok(Checked::Existing);
    }
    let quota_bytes = match field("quota").as_deref().map(quota) {
        None => None,
        Some(Ok(bytes)) => bytes,
        Some(Err(why)) => return Ok(Checked::Wrong(format!("quota: {why}"))),
    };
    let aliases = field("aliases").unwrap_or_default();
    let aliases = aliases.split([' ', ',', ';', '|']).filter(|alias| !alias.is_empty()).map(str::to_owned).collect();
    Ok(Checked::New(NewUser {
        address,
        aliases,
        login: field("login"),
        unit,
        display_name: field("name").unwrap_or_default(),
        quota_bytes,
        ..NewUser::default()
    }))
}

async fn make(state: &AdminState, row: &Row, mut new: NewUser) -> Result<(), Problem> {
    if let Some(password) = row.fields.get("password") {
        let hashed = state.authentication.hash(Secret::new(password.as_str())).await;
        let (hash, scram) = hashed.map_err(|error| Problem::malformed(format!("password: {error}")))?;
        (new.password_hash, new.scram) = (Some(hash), scram);
    }
    state.create_account(NewEntry::User(new), None, false).await.map(drop)
}
