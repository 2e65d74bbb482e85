//! For tests: every route against every kind of caller.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{Method, Request, StatusCode, header};
use serde_json::Value;
use tower::ServiceExt;

use super::{Role, issue};
use crate::config::Api;
use crate::model::{Clock, Timestamp};

/// A route and who may use it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    method: Method,
    path: &'static str,
    roles: &'static [Role],
}

impl Row {
    /// `path` with its parameters filled in.
    pub(crate) fn new(method: Method, path: &'static str, roles: &'static [Role]) -> Self {
        Self { method, path, roles }
    }
}

/// Asks each route as nobody, with a broken and an expired token, and in every role. Those who are allowed
/// must get past the door (whatever the handler then says), the others 401 or 403 in the contract's shape.
///
/// # Panics
/// With the route and the caller, where one gets another answer.
#[track_caller]
pub(crate) fn holds(routes: &Router, api: &Api, rows: &[Row]) -> impl Future<Output = ()> {
    let now = Clock::system().now();
    let token = |role, at: Timestamp| issue(api, role, Duration::from_secs(3600), at).unwrap();
    let mut asked = Vec::new();
    for row in rows {
        for (who, token) in [
            ("nobody", None),
            ("a broken token", Some("a.b.c".to_owned())),
            ("an expired token", Some(token(Role::SuperAdmin, now.plus(-7200)))),
        ] {
            asked.push((row.clone(), who, token, Some(StatusCode::UNAUTHORIZED)));
        }
        for role in Role::ALL {
            let expected = (!row.roles.contains(&role)).then_some(StatusCode::FORBIDDEN);
            asked.push((row.clone(), role.as_str(), Some(token(role, now)), expected));
        }
    }
    let routes = routes.clone();
    async move {
        for (row, who, token, expected) in asked {
            let what = format!("{} {} as {who}", row.method, row.path);
            let mut request = Request::builder().method(&row.method).uri(row.path);
            if let Some(token) = token {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            let answer = routes.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            let status = answer.status();
            match expected {
                Some(expected) => {
                    assert_eq!(status, expected, "{what}");
                    let body = to_bytes(answer.into_body(), 4096).await.unwrap();
                    let body: Value = serde_json::from_slice(&body).unwrap();
                    assert_eq!(body["statusCode"], expected.as_u16(), "{what}");
                    assert!(
                        body["message"].is_string() && body["error"]["code"].is_string(),
                        "{what}: {body}"
                    );
                }
                None => {
                    let past = ![StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status);
                    assert!(past, "{what}: {status}");
                }
            }
        }
    }
}
