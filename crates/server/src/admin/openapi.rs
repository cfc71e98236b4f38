//! `/api`: the description of the API (OpenAPI 3.1), made of the table of endpoints and of the types that handlers take
//! and answer.

mod parameters;
mod schemas;

use axum::Json;
use serde_json::{Map, Value, json};
use sterna_directory::rights::Permission;

use self::schemas::Schemas;
use super::described::Content;
use super::endpoints::{Endpoint, endpoints};
use super::passkeys::ceremony::RequestOptions;
use super::policy::Place;
use super::problem::{MEDIA_TYPE, Problem};
use super::sessions;

/// Problems that every endpoint can answer with.
const PROBLEMS: [(u16, &str); 10] = [
    (400, "The request can't be read"),
    (401, "Nobody is signed in, or the token is not good"),
    (403, "It is not permitted"),
    (404, "It doesn't exist"),
    (405, "There is no such method here"),
    (409, "It can't be done as things are"),
    (421, "This is not the main node; `main` says which one is"),
    (429, "Too much at once"),
    (500, "Something is broken here; the node's log says what"),
    (503, "It can't be done now; try again after a moment"),
];

/// Those of writes.
const PROBLEMS_OF_WRITES: [(u16, &str); 3] =
    [(413, "The body is too large"), (415, "The body is not JSON"), (422, "A value is not allowed")];

/// The description.
pub(super) async fn describe() -> Json<Value> {
    Json(description())
}

fn description() -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    for endpoint in endpoints() {
        let methods = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        methods[endpoint.method.to_lowercase()] = operation(&endpoint, &mut schemas);
    }
    paths.entry("/api/v1/session").or_insert_with(|| json!({}))["post"] = sign_in(&mut schemas);
    paths.insert("/api/v1/session/passkey-challenge".to_owned(), json!({"post": challenge(&mut schemas)}));
    let problem = schemas.answered(|generator| generator.subschema_for::<Problem>());
    let mut description = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Sterna administration",
            "version": sterna_base::version::own_text(),
            "description": "Everything that the console and the command line do. Errors are problems (RFC 9457) with \
                            a stable `code` and a `remedy`. `ETag` is a resource's version, and `If-Match` refuses to \
                            change what somebody else changed meanwhile. `dry_run` checks all and does nothing. \
                            Two things are described elsewhere: SCIM 2.0 at /scim/v2 describes itself \
                            (/scim/v2/ServiceProviderConfig, /scim/v2/ResourceTypes, /scim/v2/Schemas; RFC 7643), and \
                            /api/v1/setup is there only until an installation is set up: GET says whether it is open, \
                            POST takes the answers that `sterna setup --answers-template` prints, as JSON, with the \
                            code of the setup's link as bearer token.",
            "license": {"name": "AGPL-3.0-only", "identifier": "AGPL-3.0-only"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of a program (sterna token create): it may do what it was made for, until \
                                    it ends.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": sessions::COOKIE_SECURE,
                    "description": "Who signed in at /api/v1/session; over a connection without encryption the name \
                                    is another.",
                },
            },
            "responses": {"Problem": {
                "description": "What is wrong, and what to do (RFC 9457)",
                "content": {MEDIA_TYPE: {"schema": problem}},
            }},
        },
    });
    schemas.settle(&mut description);
    description
}

fn operation(endpoint: &Endpoint, schemas: &mut Schemas) -> Value {
    let takes = &endpoint.operation;
    let mut operation = json!({
        "operationId": operation_id(endpoint),
        "summary": endpoint.about,
        "description": needs(endpoint.rule.needs, endpoint.rule.place),
        "tags": [endpoint.rule.needs.area.name()],
        "parameters": parameters::of(endpoint, schemas),
        "responses": responses(endpoint, schemas),
    });
    if let Some(body) = takes.body {
        let mut content = json!({"schema": schemas.taken(body)});
        if let Some(example) = parameters::example(endpoint.method, endpoint.path) {
            content["example"] = example;
        }
        operation["requestBody"] = json!({"required": true, "content": {"application/json": content}});
    }
    if takes.takes_tar {
        operation["requestBody"] = json!({"required": true, "content": tar_stream()});
    }
    operation
}

fn tar_stream() -> Value {
    json!({"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}})
}

fn sign_in(schemas: &mut Schemas) -> Value {
    let body = schemas.taken(|generator| generator.subschema_for::<sessions::SignIn>());
    let done = schemas.answered(|generator| generator.subschema_for::<sessions::SignedIn>());
    let mut responses = problems(true);
    responses["201"] = json!({
        "description": "Signed in",
        "headers": {"Set-Cookie": {"schema": {"type": "string"}, "description": "The session"}},
        "content": {"application/json": {"schema": done}},
    });
    json!({
        "operationId": "post-session",
        "summary": "Sign in",
        "description": "Anybody may ask. Guessing is slowed down; it is not served on the socket.",
        "tags": ["passwords"],
        "security": [],
        "requestBody": {"required": true, "content": {"application/json": {
            "schema": body,
            "example": {"login": "ana@example.org", "password": "correct horse", "code": "123456"},
        }}},
        "responses": responses,
    })
}

fn challenge(schemas: &mut Schemas) -> Value {
    let options = schemas.answered(|generator| generator.subschema_for::<RequestOptions>());
    let mut responses = problems(true);
    responses["200"] = json!({"description": "Done", "content": {"application/json": {"schema": options}}});
    json!({
        "operationId": "post-session-passkey-challenge",
        "summary": "What signing in with a passkey is asked with",
        "description": "Anybody may ask, and is told nothing of anybody; what it gives is good once, for minutes.",
        "tags": ["passwords"],
        "security": [],
        "responses": responses,
    })
}

fn operation_id(endpoint: &Endpoint) -> String {
    let path = endpoint.path.trim_start_matches("/api/v1/").replace(['{', '}'], "").replace('/', "-");
    format!("{}-{path}", endpoint.method.to_lowercase())
}

fn needs(permission: Permission, place: Place) -> String {
    match place {
        Place::Own => "Everybody who is signed in may ask; it is about themselves.".to_owned(),
        Place::System => format!("Needs {permission} in the installation."),
        Place::Domain(_) | Place::AskedDomain => format!("Needs {permission} in the domain."),
        Place::Contact(_) | Place::NewContact => format!("Needs {permission} in the contact's domain and unit."),
        Place::Entry(_) | Place::Binned(_) | Place::NewEntry => format!("Needs {permission} where the address lies."),
        Place::Filtered => format!("Needs {permission} somewhere; shows what lies there."),
    }
}

fn problems(is_write: bool) -> Value {
    let mut responses = json!({});
    let of_writes = PROBLEMS_OF_WRITES.iter().filter(|_| is_write);
    for (status, meaning) in PROBLEMS.iter().chain(of_writes) {
        responses[status.to_string()] = json!({"$ref": "#/components/responses/Problem", "description": meaning});
    }
    responses
}

fn responses(endpoint: &Endpoint, schemas: &mut Schemas) -> Value {
    let is_write = endpoint.method != "GET";
    let mut responses = problems(is_write);
    if endpoint.operation.if_match {
        let meaning = "It was changed meanwhile; read it again";
        responses["412"] = json!({"$ref": "#/components/responses/Problem", "description": meaning});
    }
    for (status, is_tagged, content) in &endpoint.operation.answers {
        // Only what makes something answers both ways; the others leave what they don't use undescribed.
        let description = match status {
            201 => "Made",
            202 => "Begun; it goes on by itself",
            204 => "Done; there is nothing to show",
            _ => "Done",
        };
        let mut response = json!({"description": description});
        match content {
            Content::None => {}
            Content::Json(schema) => {
                response["content"] = json!({"application/json": {"schema": schemas.answered(*schema)}});
            }
            Content::Tar => response["content"] = tar_stream(),
            Content::Events => response["content"] = json!({"text/event-stream": {"schema": {"type": "string"}}}),
        }
        let mut headers = json!({});
        if *is_tagged {
            headers["ETag"] = json!({"schema": {"type": "string"}, "description": "Its version, for If-Match"});
        }
        if is_write {
            headers["Sterna-Changed"] = json!({"schema": {"type": "string", "enum": ["true", "false"]}, "description": "Whether it changed anything"});
        }
        if *status == 201 {
            let schema = json!({"type": "string", "format": "uri-reference"});
            headers["Location"] = json!({"schema": schema, "description": "Where it is"});
        }
        if headers.as_object().is_some_and(|headers| !headers.is_empty()) {
            response["headers"] = headers;
        }
        responses[status.to_string()] = response;
    }
    responses
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_endpoint_is_described_once() {
        let description = description();
        let mut ids = HashSet::new();
        for endpoint in endpoints() {
            let operation = &description["paths"][endpoint.path][endpoint.method.to_lowercase()];
            assert_eq!(operation["summary"], endpoint.about, "{} {}", endpoint.method, endpoint.path);
            assert!(ids.insert(operation["operationId"].to_string()), "{}", operation["operationId"]);
        }
        assert!(description["paths"]["/api/v1/session"]["post"].is_object());
    }

    #[test]
    fn every_body_has_a_schema() {
        let description = description();
        for (path, methods) in description["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                if let Some(body) = operation.get("requestBody") {
                    let schema = &body["content"]["application/json"]["schema"];
                    let is_tar = body["content"]["application/octet-stream"].is_object();
                    assert!(schema["$ref"].is_string() || is_tar, "{method} {path}: {schema}");
                }
                let responses = operation["responses"].as_object().unwrap();
                let done = responses.iter().filter(|(status, _)| status.starts_with('2')).collect::<Vec<_>>();
                assert!(!done.is_empty(), "{method} {path}");
                for (status, response) in done.into_iter().filter(|(status, _)| *status != "204") {
                    let content = response["content"].as_object().unwrap();
                    let schema = content.values().next().map(|content| content["schema"].clone()).unwrap();
                    let is_known = ["$ref", "type", "anyOf"].iter().any(|key| schema.get(key).is_some());
                    assert!(is_known, "{method} {path} {status}: {schema}");
                }
            }
        }
    }

    /// Names that a generator numbered would change with the order of endpoints, and say nothing.
    #[test]
    fn schemas_have_names_of_their_own_and_all_are_there() {
        let description = description();
        let schemas = description["components"]["schemas"].as_object().unwrap();
        for name in schemas.keys() {
            assert!(!name.ends_with(|c: char| c.is_ascii_digit()), "{name}");
            assert!(!name.ends_with("View") && !name.ends_with("Body"), "{name}");
        }
        let text = description.to_string();
        for reference in text.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name}");
        }
    }

    /// Endpoints that were given examples still take them.
    #[test]
    fn examples_are_what_is_taken() {
        for (method, path, example) in parameters::examples() {
            let known = endpoints().into_iter().find(|one| one.method == method && one.path == path);
            let Some(known) = known else { panic!("{method} {path}") };
            assert!(known.operation.body.is_some() && example.is_object(), "{method} {path}");
        }
    }
}
