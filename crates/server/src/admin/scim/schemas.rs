//! What there is, for clients to find out: ServiceProviderConfig, ResourceTypes, Schemas (RFC 7643 sections 5 to 7).

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::{ScimError, answer, base, groups, listing, users};

/// What is supported.
pub(super) async fn config(headers: HeaderMap) -> Response {
    let supported = |supported: bool| json!({ "supported": supported });
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": supported(true),
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": listing::PAGE_MAX },
        "changePassword": supported(true),
        "sort": supported(false),
        "etag": supported(true),
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Token of the API",
            "description": "A token made with sterna token create, or in the console",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{}/ServiceProviderConfig", base(&headers)),
        },
    });
    answer(StatusCode::OK, body, None)
}

fn all_types(base: &str) -> Vec<Value> {
    [("User", users::SCHEMA), ("Group", groups::SCHEMA)]
        .map(|(name, schema)| {
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
                "id": name,
                "name": name,
                "endpoint": format!("/{name}s"),
                "schema": schema,
                "meta": { "resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/{name}") },
            })
        })
        .into()
}

/// A name, a type, and whether there are several; what is left is what is usual.
fn attribute(name: &str, kind: &str, multi: bool, mutability: &str) -> Value {
    let mut value = json!({
        "name": name,
        "type": kind,
        "multiValued": multi,
        "description": name,
        "required": matches!(name, "userName"),
        "mutability": mutability,
        "returned": if name == "password" { "never" } else { "default" },
    });
    if matches!(kind, "string" | "reference") {
        value["caseExact"] = matches!(name, "externalId" | "value" | "$ref").into();
        value["uniqueness"] = if name == "userName" { "server" } else { "none" }.into();
    }
    value
}

fn complex(name: &str, multi: bool, parts: Vec<Value>) -> Value {
    let mut value = attribute(name, "complex", multi, "readWrite");
    value["subAttributes"] = parts.into();
    value
}

fn all_schemas(base: &str) -> Vec<Value> {
    let text = |name: &str| attribute(name, "string", false, "readWrite");
    let user = vec![
        text("userName"),
        text("externalId"),
        text("displayName"),
        complex("name", false, vec![text("formatted"), text("givenName"), text("familyName")]),
        attribute("active", "boolean", false, "readWrite"),
        attribute("password", "string", false, "writeOnly"),
        complex("emails", true, vec![text("value"), text("type"), attribute("primary", "boolean", false, "readWrite")]),
    ];
    let group = vec![
        text("displayName"),
        text("externalId"),
        complex(
            "members",
            true,
            vec![
                attribute("value", "string", false, "immutable"),
                attribute("$ref", "reference", false, "readOnly"),
                attribute("display", "string", false, "readOnly"),
                attribute("type", "string", false, "readOnly"),
            ],
        ),
    ];
    [(users::SCHEMA, "User", user), (groups::SCHEMA, "Group", group)]
        .map(|(id, name, attributes)| {
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
                "id": id,
                "name": name,
                "description": name,
                "attributes": attributes,
                "meta": { "resourceType": "Schema", "location": format!("{base}/Schemas/{id}") },
            })
        })
        .into()
}

fn listed(found: Vec<Value>) -> Response {
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": found.len(),
        "startIndex": 1,
        "itemsPerPage": found.len(),
        "Resources": found,
    });
    answer(StatusCode::OK, body, None)
}

fn one(found: Vec<Value>, id: &str) -> Result<Response, ScimError> {
    let found = found.into_iter().find(|one| one["id"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(id)));
    found.map(|body| answer(StatusCode::OK, body, None)).ok_or_else(|| ScimError::not_found(id))
}

/// Users and groups.
pub(super) async fn resource_types(headers: HeaderMap) -> Response {
    listed(all_types(&base(&headers)))
}

/// One of them.
pub(super) async fn resource_type(headers: HeaderMap, Path(id): Path<String>) -> Result<Response, ScimError> {
    one(all_types(&base(&headers)), &id)
}

/// Their attributes.
pub(super) async fn schemas(headers: HeaderMap) -> Response {
    listed(all_schemas(&base(&headers)))
}

/// Those of one of them.
pub(super) async fn schema(headers: HeaderMap, Path(id): Path<String>) -> Result<Response, ScimError> {
    one(all_schemas(&base(&headers)), &id)
}
