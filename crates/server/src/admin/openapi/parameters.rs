//! Parameters of endpoints, and examples of bodies.

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::super::endpoints::Endpoint;
use super::super::input::Params;
use super::schemas::Schemas;

/// What each listing can be narrowed by, of the parameters that listings share.
const NARROWED: &[(&str, &[&str])] = &[
    ("/api/v1/bin", &["domain", "after", "limit"]),
    ("/api/v1/users", &["domain", "text", "after", "limit"]),
    ("/api/v1/groups", &["domain", "text", "after", "limit"]),
    ("/api/v1/groups/{group}/members", &["after", "limit"]),
    ("/api/v1/contacts", &["domain", "text", "after", "limit"]),
    ("/api/v1/contacts/{contact}", &["domain"]),
    ("/api/v1/accounts", &["domain", "text", "server", "after", "limit"]),
    ("/api/v1/resources", &["domain", "text", "after", "limit"]),
    ("/api/v1/domains", &["after", "limit"]),
    ("/api/v1/settings", &["domain"]),
    ("/api/v1/settings/{setting}", &["domain"]),
    ("/api/v1/setting-changes", &["domain", "name", "after", "limit"]),
    ("/api/v1/sieve/{when}", &["domain"]),
    ("/api/v1/jobs", &["active", "after", "limit"]),
    ("/api/v1/jobs/{job}/log", &["after", "limit"]),
    ("/api/v1/jobs/{job}/moves", &["after", "limit"]),
    ("/api/v1/servers/{server}/standby", &["after", "limit"]),
    ("/api/v1/migration/accounts", &["after", "limit"]),
    ("/api/v1/search", &["after", "limit"]),
    ("/api/v1/grants", &["name", "domain"]),
    ("/api/v1/sessions", &["name"]),
];

/// What writes take besides `dry_run`.
const OF_WRITES: &[(&str, &str, &[&str])] = &[
    ("DELETE", "/api/v1/users/{user}", &["forever"]),
    ("DELETE", "/api/v1/groups/{group}", &["forever"]),
    ("DELETE", "/api/v1/accounts/{account}", &["forever"]),
    ("DELETE", "/api/v1/resources/{account}", &["forever"]),
    ("PATCH", "/api/v1/contacts/{contact}", &["domain"]),
    ("DELETE", "/api/v1/contacts/{contact}", &["domain"]),
    ("PATCH", "/api/v1/settings/{setting}", &["domain"]),
    ("PATCH", "/api/v1/sieve/{when}", &["domain"]),
    ("DELETE", "/api/v1/servers/{server}/standby", &["on"]),
    ("DELETE", "/api/v1/accounts/{account}/copies/{server}", &["purpose"]),
];

/// What the parts of paths are: name, format of the text, what it says.
const PARTS: &[(&str, &str, &str)] = &[
    ("user", "", "An address, an alias or the number of a user"),
    ("group", "", "An address or the number of a group"),
    ("contact", "", "The address or the number of an external contact"),
    ("account", "", "An address, or the number of an account"),
    ("domain", "", "The name of a domain, one of its aliases, or its number"),
    ("server", "", "The name or the id of a server"),
    ("job", "^[0-9]+$", "The number of a job"),
    ("run", "^[0-9]+$", "The number of a run"),
    ("import", "^[0-9]+$", "The number of an import"),
    ("selector", "", "The selector of a DKIM key"),
    ("message", "", "The id of a message in the queue"),
    ("connection", "", "An edge and a number, as the listing shows it"),
    ("setting", "", "The name of a setting (sterna config list)"),
];

/// Longest part of a path that can name anything, in bytes.
const PART_BYTES_MAX: u32 = 1024;

/// The parameters of an endpoint.
pub(super) fn of(endpoint: &Endpoint, schemas: &mut Schemas) -> Vec<Value> {
    let takes = &endpoint.operation;
    let names = endpoint.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = names.map(part).collect();
    let wanted = shared(endpoint);
    if takes.params {
        let all = schemas.taken(Params::json_schema);
        parameters.extend(of_query(&all).into_iter().filter(|one| wanted.contains(&text(&one["name"]))));
    }
    if let Some(query) = takes.query {
        let own = schemas.taken(query);
        parameters.extend(of_query(&own));
    }
    if takes.if_match {
        let schema = json!({"type": "string", "pattern": "^(\\*|\"[0-9]+\")$"});
        let about = "The ETag of what is to be changed; another version is refused (412)";
        parameters.push(json!({"name": "If-Match", "in": "header", "schema": schema, "description": about}));
    }
    if endpoint.method == "POST" {
        let schema = json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"});
        let about = "A second request with the same key is answered as the first one was, and does nothing";
        parameters.push(json!({"name": "Idempotency-Key", "in": "header", "schema": schema, "description": about}));
    }
    parameters
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn part(name: &str) -> Value {
    let (pattern, about) = PARTS.iter().find(|(known, ..)| *known == name).map_or(("", ""), |part| (part.1, part.2));
    let mut schema = json!({"type": "string", "minLength": 1, "maxLength": PART_BYTES_MAX});
    if !pattern.is_empty() {
        schema["pattern"] = pattern.into();
    }
    let mut part = json!({"name": name, "in": "path", "required": true, "schema": schema});
    if !about.is_empty() {
        part["description"] = about.into();
    }
    part
}

/// Which of the parameters that many endpoints share this one uses.
fn shared(endpoint: &Endpoint) -> Vec<&'static str> {
    let found = match endpoint.method {
        "GET" => NARROWED.iter().find(|(path, _)| *path == endpoint.path).map(|(_, names)| *names),
        method => {
            let known = OF_WRITES.iter().find(|(of, path, _)| *of == method && *path == endpoint.path);
            known.map(|(_, _, names)| *names)
        }
    };
    let mut names = found.unwrap_or_default().to_vec();
    if endpoint.method != "GET" && endpoint.rule.dry_run {
        names.push("dry_run");
    }
    names
}

/// One parameter for each property of what a query string is read as.
fn of_query(schema: &Value) -> Vec<Value> {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().map(text).collect();
    let properties = schema["properties"].as_object();
    let one = |(name, property): (&String, &Value)| {
        let mut property = property.clone();
        let about = property.as_object_mut().and_then(|property| property.remove("description"));
        // What is left out is none: there is no null in a query string.
        if let Some(kinds) = property["type"].as_array() {
            property["type"] = kinds.iter().find(|kind| *kind != "null").cloned().unwrap_or_default();
        }
        if property["default"].is_null() {
            property.as_object_mut().map(|property| property.remove("default"));
        }
        let mut parameter = json!({"name": name, "in": "query", "schema": property});
        if required.contains(&name.as_str()) {
            parameter["required"] = true.into();
        }
        if let Some(about) = about {
            parameter["description"] = about;
        }
        parameter
    };
    properties.into_iter().flatten().map(one).collect()
}

/// An example of a body.
pub(super) fn example(method: &str, path: &str) -> Option<Value> {
    examples().into_iter().find(|(of, at, _)| *of == method && *at == path).map(|(_, _, example)| example)
}

/// All of them: method, path, body.
pub(super) fn examples() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        (
            "POST",
            "/api/v1/users",
            json!({
                "address": "ana@example.org",
                "display_name": "Ana Lima",
                "password": "correct horse battery staple",
                "aliases": ["a.lima@example.org"],
                "quota_bytes": 10_737_418_240_u64,
            }),
        ),
        ("PATCH", "/api/v1/users/{user}", json!({"suspended": true, "quota_bytes": null})),
        ("POST", "/api/v1/groups", json!({"address": "team@example.org", "members": ["ana@example.org"]})),
        ("PATCH", "/api/v1/groups/{group}/members", json!({"add": ["ben@example.org"], "remove": []})),
        (
            "POST",
            "/api/v1/contacts",
            json!({"address": "eve@example.net", "domain": "example.org", "display_name": "Eve Lind"}),
        ),
        ("POST", "/api/v1/domains", json!({"name": "example.org", "servers": ["data1"]})),
        ("POST", "/api/v1/jobs", json!({"kind": "move", "which": {"accounts": ["ana@example.org"]}, "to": "data2"})),
        ("PATCH", "/api/v1/jobs/{job}", json!({"change": "pause"})),
        ("POST", "/api/v1/tokens", json!({"name": "data2", "roles": ["data"], "lifetime_ms": 3_600_000})),
        ("POST", "/api/v1/queue", json!({"action": "retry", "filter": {"destination": "example.net"}})),
        ("PATCH", "/api/v1/settings/{setting}", json!({"value": "on"})),
        (
            "PUT",
            "/api/v1/acme",
            json!({"directory": "letsencrypt", "contact": "postmaster@example.org", "terms_agreed": true}),
        ),
        (
            "POST",
            "/api/v1/grants",
            json!({"user": "ana@example.org", "role": "domain-administrator", "domain": "example.org"}),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::super::endpoints::endpoints;
    use super::*;

    /// What is described is a parameter that there is, of an endpoint that there is.
    #[test]
    fn shared_parameters_are_those_that_there_are() {
        let all = Schemas::new().taken(Params::json_schema);
        let is_known = |method: &str, path: &str, names: &[&str]| {
            let known = endpoints().into_iter().find(|one| one.method == method && one.path == path);
            let Some(known) = known else { panic!("{method} {path}") };
            assert!(known.operation.params, "{method} {path}");
            for name in names {
                assert!(all["properties"][name].is_object(), "{name}");
            }
        };
        NARROWED.iter().for_each(|(path, names)| is_known("GET", path, names));
        OF_WRITES.iter().for_each(|(method, path, names)| is_known(method, path, names));
    }
}
