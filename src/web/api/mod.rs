//! The monitoring API: what is known of accounts, health, reading and calls, as JSON for who has a token.
//!
//! One table of routes (`routes`) mounts them, says who may use them and is what the description at
//! `/api/openapi.json` is made from. What they answer comes from a [`Desk`]; here is only what HTTP is about:
//! parameters, shapes, refusals. Nothing here knows Exotel or the store.

#[macro_use]
mod schema;
mod accounts;
mod ask;
mod calls;
mod cors;
mod cursor;
pub mod desk;
mod figures;
mod health;
mod numbers;
mod openapi;
mod routes;
mod rows;
mod sync;
#[cfg(test)]
mod tests;
mod webhooks;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use http::{HeaderValue, StatusCode, header};
use tower::{Layer, ServiceExt};
use tower_http::cors::CorsLayer;

use self::ask::Declared;
use super::access::{Guard, Refusal, api_fallback};

pub use self::desk::Desk;
pub use self::numbers::Numbers;

/// What handlers share.
#[derive(Clone)]
struct Shared {
    desk: Arc<dyn Desk>,
    manner: Manner,
}

/// How answers are given, as configured. Cheap to clone; clones are one. May change between two requests.
#[derive(Clone, Debug)]
pub struct Manner(Arc<ArcSwap<(Arc<Numbers>, Option<CorsLayer>)>>);

impl Manner {
    /// With numbers shown like this, and answers that pages of these origins may read.
    pub fn new(numbers: Numbers, cors_origins: &[String]) -> Self {
        Self(Arc::new(ArcSwap::from_pointee((Arc::new(numbers), cors::layer(cors_origins)))))
    }

    /// Answers like this from the next request on.
    pub fn change(&self, numbers: Numbers, cors_origins: &[String]) {
        self.0.store(Arc::new((Arc::new(numbers), cors::layer(cors_origins))));
    }

    /// How numbers are shown now.
    fn numbers(&self) -> Arc<Numbers> {
        Arc::clone(&self.0.load().0)
    }
}

/// Everything below `/api`: the routes, their description, and 404 for the rest.
pub fn router(guard: &Guard, desk: Arc<dyn Desk>, manner: &Manner) -> Router {
    let mut router = Router::new();
    for route in routes::all() {
        let handler = route.handler.fallback(wrong_method).layer(Extension(Declared(route.parameters)));
        router = router.route(route.path, guard.allow(route.roles, handler));
    }
    let described = get(async || ([(header::CONTENT_TYPE, "application/json")], openapi::text()));
    router
        .with_state(Shared { desk, manner: manner.clone() })
        .route("/api/openapi.json", described.fallback(wrong_method))
        .merge(api_fallback(guard))
        .layer(from_fn(no_long_body))
        .layer(map_response(not_to_be_kept))
        .layer(from_fn_with_state(manner.clone(), across_origins))
}

/// Answers preflights of the configured origins, and lets them read answers.
async fn across_origins(State(manner): State<Manner>, request: Request, next: Next) -> Response {
    let cors = manner.0.load().1.clone();
    match cors {
        Some(cors) => cors.layer(next).oneshot(request).await.unwrap_or_else(|never| match never {}),
        None => next.run(request).await,
    }
}

/// Answers are about now, and for who holds the token alone.
async fn not_to_be_kept(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// No route reads a body; one that nobody can have meant is refused unread.
async fn no_long_body(request: Request, next: Next) -> Response {
    if !super::is_too_long(&request) {
        return next.run(request).await;
    }
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is too large; none is needed.")
        .into_response()
}

async fn wrong_method() -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This path does not take that method; see the Allow header.",
    )
}
