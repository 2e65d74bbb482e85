//! The description of the API: `OpenAPI` 3.1, made from the table of routes.

use std::sync::LazyLock;

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value, json};

use super::ask::{Kind, LONGEST, MOST, Parameter};
use super::routes::{self, Route};
use crate::metrics::BuildInfo;

/// Refusals that every route has.
const REFUSALS: [u16; 6] = [400, 401, 403, 404, 413, 503];

/// Texts without control characters.
const NO_CONTROL: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";

/// The document as JSON. Made when it is first asked for: as a tree it takes 1.5 MB, which a program that
/// nobody asks has no use for.
pub(super) fn text() -> Bytes {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());
    TEXT.clone()
}

fn document() -> Value {
    let mut paths = Map::new();
    for route in routes::all() {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation(&route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "exotel-exporter monitoring API",
            "version": BuildInfo::current().version,
            "description": "What exotel-exporter knows of Exotel accounts. Times in answers are RFC 3339 in UTC.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Claim role or roles: super_admin, admin, manager.",
                },
            },
            "schemas": {"Refusal": refusal()},
        },
    })
}

fn refusal() -> Value {
    json!({
        "type": "object",
        "description": "Why a request was refused.",
        "required": ["statusCode", "message", "error"],
        "properties": {
            "statusCode": {"type": "integer"},
            "message": {"type": "string"},
            "error": {
                "type": "object",
                "required": ["code"],
                "properties": {
                    "code": {"type": "string", "description": "One word for programs."},
                    "detail": {"type": "string", "description": "What would have been right."},
                },
            },
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = route.parameters.iter().map(parameter).collect();
    if route.path.contains("{sid}") {
        parameters.push(json!({
            "name": "sid",
            "in": "path",
            "required": true,
            "description": "Exotel's Sid of the call.",
            "schema": {"type": "string", "pattern": "^[0-9A-Za-z_-]{1,64}$"},
        }));
    }
    let mut responses = Map::new();
    responses.insert(
        route.status.as_str().to_owned(),
        json!({"description": "Done.", "content": {"application/json": {"schema": (route.answer)()}}}),
    );
    for status in REFUSALS.iter().chain(route.refusals) {
        let schema = json!({"$ref": "#/components/schemas/Refusal"});
        let refused =
            json!({"description": meaning(*status), "content": {"application/json": {"schema": schema}}});
        responses.insert(status.to_string(), refused);
    }
    let roles: Vec<&str> = route.roles.iter().map(|role| role.as_str()).collect();
    let mut operation = json!({
        "operationId": route.id,
        "summary": route.about,
        "description": format!("For {}.", roles.join(", ")),
        "parameters": parameters,
        "responses": responses,
    });
    if route.method == Method::POST {
        operation["x-changes-something"] = true.into();
    }
    operation
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "A parameter cannot be read, or is not known.",
        401 => "No good token.",
        403 => "The token's role does not allow this.",
        404 => "No such account or call.",
        409 => "It is under way already, or switched off.",
        413 => "The body is too large; none is needed.",
        422 => "Exotel's answer cannot be taken in.",
        429 => "Too many wait already, or Exotel's limit is reached.",
        _ => "The API is off, or what it needs cannot be had now.",
    }
}

fn parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.kind {
        Kind::Account | Kind::Text | Kind::Cursor => {
            json!({"type": "string", "maxLength": LONGEST, "pattern": NO_CONTROL})
        }
        Kind::Limit(default) => json!({"type": "integer", "minimum": 1, "maximum": MOST, "default": default}),
        Kind::When => json!({
            "type": "string",
            "anyOf": [{"format": "date-time"}, {"format": "date"}, {"const": ""}],
            "examples": ["2026-03-02T13:20:00Z", "2026-03-02"],
        }),
        Kind::Word(words) => json!({"type": "string", "enum": words()}),
    };
    json!({
        "name": parameter.name,
        "in": "query",
        "required": false,
        "allowEmptyValue": true,
        "description": parameter.about,
        "schema": schema,
    })
}
