//! `/api`: the description of the API (OpenAPI 3.1), made of the table of endpoints.

use axum::Json;
use serde_json::{Map, Value, json};
use sterna_directory::rights::Permission;

use super::endpoints::{Endpoint, endpoints};
use super::policy::Place;

/// The description.
pub(super) async fn describe() -> Json<Value> {
    Json(description())
}

fn description() -> Value {
    let mut paths = Map::new();
    for endpoint in endpoints() {
        let methods = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        methods[endpoint.method.to_lowercase()] = operation(&endpoint);
    }
    paths.entry("/api/v1/session").or_insert_with(|| json!({}))["post"] = json!({
        "operationId": "post-session",
        "summary": "Sign in",
        "security": [],
        "requestBody": {"required": true, "content": {"application/json": {"schema": {
            "type": "object",
            "additionalProperties": false,
            "required": ["login", "password"],
            "properties": {
                "login": {"type": "string"},
                "password": {"type": "string"},
                "code": {"type": ["string", "null"]},
            },
        }}}},
        "responses": responses("201"),
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Sterna administration",
            "version": sterna_base::version::own_text(),
            "license": {"name": "AGPL-3.0-only", "identifier": "AGPL-3.0-only"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-sterna"},
            },
            "schemas": {"Problem": problem_schema()},
            "responses": {"Problem": {
                "description": "What is wrong, and what to do (RFC 9457)",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }},
        },
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let names = endpoint.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = names
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}}))
        .collect();
    if endpoint.method != "GET" && endpoint.rule.dry_run {
        let schema = json!({"type": "boolean", "default": false});
        parameters.push(json!({"name": "dry_run", "in": "query", "schema": schema, "description": "Only check"}));
    }
    if matches!(endpoint.method, "PATCH" | "DELETE") {
        parameters.push(json!({"name": "If-Match", "in": "header", "schema": {"type": "string"}}));
    }
    if endpoint.method == "POST" {
        let schema = json!({"type": "string", "minLength": 1, "maxLength": 255});
        parameters.push(json!({"name": "Idempotency-Key", "in": "header", "schema": schema}));
    }
    json!({
        "operationId": operation_id(endpoint),
        "summary": endpoint.about,
        "description": needs(endpoint.rule.needs, endpoint.rule.place),
        "tags": [endpoint.rule.needs.area.name()],
        "parameters": parameters,
        "responses": responses("200"),
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
        Place::Entry(_) | Place::Binned(_) | Place::NewEntry => format!("Needs {permission} where the address lies."),
        Place::Filtered => format!("Needs {permission} somewhere; shows what lies there."),
    }
}

fn responses(done: &str) -> Value {
    let problem = json!({"$ref": "#/components/responses/Problem"});
    let mut responses = json!({"default": problem});
    responses[done] = json!({"description": "Done", "content": {"application/json": {}}});
    if done == "200" {
        responses["201"] = json!({"description": "Made", "content": {"application/json": {}}});
        responses["204"] = json!({"description": "Done; there is nothing to show"});
    }
    responses
}

fn problem_schema() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "required": ["type", "status", "code", "title", "detail", "remedy"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "status": {"type": "integer"},
            "code": text,
            "title": text,
            "detail": text,
            "remedy": text,
            "existing": text,
            "main": text,
        },
    })
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
}
