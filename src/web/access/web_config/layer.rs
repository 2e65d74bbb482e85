//! What a request meets, in the toolkit's order: is the file sound (500), the rate limit (429), the
//! password (401).

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::WebConfig;
use super::users::Verdict;

impl WebConfig {
    /// Puts routes behind rate limit and password.
    pub(in crate::web) fn guard<S: Clone + Send + Sync + 'static>(&self, routes: Router<S>) -> Router<S> {
        routes.layer(from_fn_with_state(self.clone(), demand_password))
    }

    /// Puts routes with a guard of their own behind the rate limit alone.
    pub(in crate::web) fn limit<S: Clone + Send + Sync + 'static>(&self, routes: Router<S>) -> Router<S> {
        routes.layer(from_fn_with_state(self.clone(), limit_rate))
    }

    /// Puts the configured headers on every answer of these routes, over those that are there.
    pub(in crate::web) fn dress<S: Clone + Send + Sync + 'static>(&self, routes: Router<S>) -> Router<S> {
        routes.layer(from_fn_with_state(self.clone(), add_headers))
    }
}

/// An answer as Go's `http.Error` gives it.
fn plain(status: StatusCode) -> Response {
    let text = format!("{}\n", status.canonical_reason().unwrap_or_default());
    (status, [(header::X_CONTENT_TYPE_OPTIONS, "nosniff")], text).into_response()
}

async fn demand_password(State(config): State<WebConfig>, request: Request, next: Next) -> Response {
    let state = config.state().await;
    let Ok(in_force) = &state.in_force else { return plain(StatusCode::INTERNAL_SERVER_ERROR) };
    if !config.0.limit.allows() {
        return plain(StatusCode::TOO_MANY_REQUESTS);
    }
    if in_force.users.everybody() {
        return next.run(request).await;
    }
    let authorization = request.headers().get(header::AUTHORIZATION);
    match config.0.checker.check(&in_force.users, authorization).await {
        Verdict::Welcome => next.run(request).await,
        Verdict::Unknown => {
            let mut answer = plain(StatusCode::UNAUTHORIZED);
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
            answer
        }
        Verdict::Busy => plain(StatusCode::TOO_MANY_REQUESTS),
    }
}

async fn limit_rate(State(config): State<WebConfig>, request: Request, next: Next) -> Response {
    if config.0.limit.allows() { next.run(request).await } else { plain(StatusCode::TOO_MANY_REQUESTS) }
}

async fn add_headers(State(config): State<WebConfig>, request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    if let Some(in_force) = config.last() {
        for (name, value) in &in_force.headers {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}
