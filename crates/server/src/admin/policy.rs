//! Whether somebody may do what they ask for. Every endpoint says what it needs and where that lies; what isn't said is
//! permitted to those only who may do it everywhere.
//!
//! Besides the permission itself two things hold: nobody changes somebody who may do more than they may (or a help desk
//! would become the platform's administrator by giving that one a new password), and nobody makes an administrator, or
//! moves people to where they may not change them.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts, Path, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use sterna_directory::rights::{Area, Permission, Rights, Within};
use sterna_directory::{AnyEntry, Contact, Reader, names};

use super::doors::AdminState;
use super::input::Params;
use super::principal::{Principal, Via, place_of};
use super::problem::Problem;
use super::{BODY_BYTES_MAX, bin, objects, resolve};

/// Where what is asked for lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the installation.
    System,
    /// In the domain that the path names by this parameter.
    Domain(&'static str),
    /// Where the user, group or mailbox lies that the path names by this parameter.
    Entry(&'static str),
    /// Where the external contact lies that the path names by this parameter.
    Contact(&'static str),
    /// In the domain and the unit that the body gives to a new external contact.
    NewContact,
    /// Where the entry in the bin lay that the path names by this parameter.
    Binned(&'static str),
    /// Where the address lies that the body gives to something new.
    NewEntry,
    /// In the domain that the query string names; in the installation without one.
    AskedDomain,
    /// Everywhere; the endpoint shows each what they may see.
    Filtered,
    /// About whoever asks.
    Own,
}

/// What an endpoint needs.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The permission.
    pub needs: Permission,
    /// Where.
    pub place: Place,
    /// Whether it can be tried without being done (`?dry_run=true`).
    pub dry_run: bool,
    /// Whether a body with nothing but a password needs only the permission to give passwords.
    pub gives_passwords: bool,
    /// Whether its bodies are files.
    pub large: bool,
}

/// How long a client may take for a body.
const BODY_TIME: Duration = Duration::from_secs(60);

/// Lets a request through, or says why not.
pub(super) async fn check(state: AdminState, rule: Rule, request: Request, next: Next) -> Response {
    match admitted(&state, rule, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn admitted(state: &AdminState, rule: Rule, request: Request) -> Result<Request, Problem> {
    let principal = request.extensions().get::<Principal>().cloned().ok_or_else(Problem::not_signed_in)?;
    if !rule.dry_run && is_dry_run(&request) {
        let detail = "this can't be tried without being done";
        let remedy = "Leave dry_run out to do it.";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "no-dry-run", "It can't be tried", detail, remedy));
    }
    let rights = &principal.rights;
    let may_somewhere = rights.may_somewhere(rule.needs);
    if rule.place == Place::Own {
        // People look after their own things; programs only as far as their tokens go.
        return match principal.via {
            Via::Token(_) if !may_somewhere => Err(forbidden(rule.needs)),
            Via::Sudo(_) if !request.method().is_safe() => Err(Problem::as_another()),
            _ => Ok(request),
        };
    }
    if principal.is_unlimited() {
        return Ok(request);
    }
    // Nothing is read for those who may do nothing of the kind anywhere.
    let gives_passwords = || rule.gives_passwords && rights.may_somewhere(Permission::write(Area::Passwords));
    if !may_somewhere && !gives_passwords() {
        return Err(forbidden(rule.needs));
    }
    let (mut head, body) = request.into_parts();
    let Path(path) = Path::<HashMap<String, String>>::from_request_parts(&mut head, &())
        .await
        .map_err(|error| Problem::malformed(error.body_text()))?;
    let params = Params::from_request_parts(&mut head, &()).await.unwrap_or_default();
    let has_fields = matches!(
        rule.place,
        Place::Entry(_) | Place::Binned(_) | Place::NewEntry | Place::Domain(_) | Place::Contact(_) | Place::NewContact
    ) && !matches!(head.method, Method::GET | Method::HEAD | Method::DELETE);
    let (body, fields) = if has_fields { buffered(body, rule).await? } else { (body, Map::new()) };
    let asked = Asked { rule, path, domain: params.domain, fields };
    let rights = principal.rights;
    state.directory.read(move |reader| asked.check(reader, &rights)).await?;
    Ok(Request::from_parts(head, body))
}

/// Whether a request asks to be checked and not done.
pub(super) fn is_dry_run(request: &Request) -> bool {
    request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "dry_run=true"))
}

/// The body once more, and the fields of its object.
async fn buffered(body: Body, rule: Rule) -> Result<(Body, Map<String, Value>), Problem> {
    let bytes = whole(body, if rule.large { objects::BODY_BYTES_MAX } else { BODY_BYTES_MAX }).await?;
    let fields = match serde_json::from_slice(&bytes) {
        Ok(Value::Object(fields)) => fields,
        // Nothing that isn't understood here goes on.
        _ if !bytes.is_empty() => return Err(Problem::malformed("the body must be a JSON object")),
        _ => Map::new(),
    };
    Ok((Body::from(bytes), fields))
}

/// A whole body, from a client that takes no longer than [`BODY_TIME`] for it: what it may do was looked up before.
pub(super) async fn whole(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(BODY_TIME, to_bytes(body, bytes_max)).await;
    let read = read.map_err(|_| Problem::malformed("the body took too long"))?;
    read.map_err(|error| Problem::malformed(format!("the body can't be read: {error}")))
}

/// What is asked, as far as it matters for who may.
struct Asked {
    rule: Rule,
    path: HashMap<String, String>,
    domain: Option<String>,
    fields: Map<String, Value>,
}

/// Fields of domains that only those may change who may change all domains: by them one domain would take from others.
const DOMAIN_FIELDS_OF_SYSTEM: [&str; 4] = ["name", "aliases", "servers", "suspended"];

impl Asked {
    fn check(&self, reader: &Reader<'_>, rights: &Rights) -> Result<(), Problem> {
        let needs = self.rule.needs;
        let named = |parameter: &str| self.path.get(parameter).map(String::as_str).unwrap_or_default();
        match self.rule.place {
            Place::System => self.must(rights, needs, Within::System),
            Place::Filtered if rights.may_somewhere(needs) => Ok(()),
            Place::Filtered => Err(forbidden(needs)),
            Place::Own => Ok(()),
            Place::Domain(parameter) => {
                let id = resolve::domain(reader, named(parameter))?.value.id;
                if DOMAIN_FIELDS_OF_SYSTEM.iter().any(|field| self.fields.contains_key(*field)) {
                    self.must(rights, needs, Within::System)?;
                }
                self.must(rights, needs, Within::Domain(id))
            }
            Place::AskedDomain => match &self.domain {
                Some(name) => self.must(rights, needs, Within::Domain(resolve::domain(reader, name)?.value.id)),
                None => self.must(rights, needs, Within::System),
            },
            Place::NewEntry => {
                if !self.fields.contains_key("address") {
                    return Err(Problem::malformed("it needs an address"));
                }
                self.check_fields(reader, rights, needs, None)
            }
            Place::Entry(parameter) => self.check_entry(reader, rights, named(parameter)),
            Place::NewContact => {
                let name = self.fields.get("domain").and_then(Value::as_str);
                let name = name.ok_or_else(|| Problem::malformed("an external contact needs the domain it is of"))?;
                let domain = resolve::domain(reader, name)?.value.id;
                self.must(rights, needs, Within::Unit(domain, self.unit().unwrap_or_default()))
            }
            Place::Contact(parameter) => {
                let may_see = |contact: &Contact| {
                    rights.may(Permission::read(needs.area), Within::Unit(contact.domain, &contact.unit))
                };
                let found = resolve::contact(reader, named(parameter), self.domain.as_deref(), &may_see)?.value;
                self.must(rights, needs, Within::Unit(found.domain, &found.unit))?;
                self.must(rights, needs, Within::Unit(found.domain, self.unit().unwrap_or(&found.unit)))
            }
            Place::Binned(parameter) => {
                let row = bin::found(reader, named(parameter))?;
                let place = place_of(row.was.entry());
                if !rights.may(Permission::read(needs.area), place) {
                    return Err(bin::none(named(parameter)));
                }
                self.must(rights, needs, place)?;
                self.check_fields(reader, rights, needs, Some(&row.was))
            }
        }
    }

    /// The unit that the body names.
    fn unit(&self) -> Option<&str> {
        self.fields.get("unit").and_then(Value::as_str)
    }

    /// Somebody who is there already.
    fn check_entry(&self, reader: &Reader<'_>, rights: &Rights, text: &str) -> Result<(), Problem> {
        // Who may not know of it is told the same as if it weren't there.
        let found = resolve::entry(reader, text, "user")?.value;
        let place = place_of(found.entry());
        let only_passwords =
            self.rule.gives_passwords && !self.fields.is_empty() && self.fields.keys().all(|field| is_password(field));
        let needs = if only_passwords { Permission::write(Area::Passwords) } else { self.rule.needs };
        if !rights.may(Permission::read(needs.area), place) {
            return Err(Problem::no_such("user", text));
        }
        self.must(rights, needs, place)?;
        if needs.write {
            if let AnyEntry::User(user) = &found
                && !rights.covers(&reader.granted(user.entry.id)?)
            {
                return Err(above());
            }
            self.check_fields(reader, rights, needs, Some(&found))?;
        }
        Ok(())
    }

    /// What the body would make of an entry.
    fn check_fields(
        &self,
        reader: &Reader<'_>,
        rights: &Rights,
        needs: Permission,
        before: Option<&AnyEntry>,
    ) -> Result<(), Problem> {
        let unit = match self.unit() {
            Some(unit) => unit,
            None => before.map_or("", |found| &found.entry().unit),
        };
        let text = |field: &str| self.fields.get(field).and_then(Value::as_str);
        let aliases = self.fields.get("aliases").and_then(Value::as_array).into_iter().flatten();
        for address in text("address").into_iter().chain(aliases.filter_map(Value::as_str)) {
            let (_, name) = names::address(address).ok_or_else(|| Problem::malformed("it is no address"))?;
            let domain = resolve::domain(reader, &name)?.value.id;
            self.must(rights, needs, Within::Unit(domain, unit))?;
            if self.fields.keys().any(|field| is_password(field)) {
                self.must(rights, Permission::write(Area::Passwords), Within::Unit(domain, unit))?;
            }
        }
        if let Some(found) = before {
            let place = Within::Unit(found.entry().address.domain, unit);
            self.must(rights, needs, place)?;
            if self.fields.keys().any(|field| is_password(field)) {
                self.must(rights, Permission::write(Area::Passwords), place)?;
            }
        }
        if self.fields.contains_key("admin") {
            self.must(rights, Permission::write(Area::Administrators), Within::System)?;
            if !rights.covers(&Rights::all()) {
                return Err(above());
            }
        }
        if self.fields.contains_key("server") {
            self.must(rights, Permission::read(Area::Servers), Within::System)?;
        }
        Ok(())
    }

    fn must(&self, rights: &Rights, needs: Permission, place: Within<'_>) -> Result<(), Problem> {
        if rights.may(needs, place) { Ok(()) } else { Err(forbidden(needs)) }
    }
}

fn is_password(field: &str) -> bool {
    matches!(field, "password" | "password_hash")
}

/// The problem of who has not this permission.
pub(super) fn forbidden(needs: Permission) -> Problem {
    let detail = format!("it needs the permission {needs} there");
    let remedy = "Ask an administrator who has it, or to be granted a role with it.";
    Problem::new(StatusCode::FORBIDDEN, "not-permitted", "Not permitted", detail, remedy)
}

/// The problem of changing somebody who may do more.
pub(super) fn above() -> Problem {
    let detail = "it concerns somebody who may do what you may not, or would permit what you may not";
    let remedy = "Ask an administrator who may do it.";
    Problem::new(StatusCode::FORBIDDEN, "not-permitted", "Not permitted", detail, remedy)
}
