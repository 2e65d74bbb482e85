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

use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Json, Router};
use http::{HeaderValue, StatusCode, header};

use self::ask::Declared;
use super::access::{Guard, Refusal, api_fallback};

pub use self::desk::Desk;
pub use self::numbers::Numbers;

/// What handlers share.
#[derive(Clone)]
struct Shared {
    desk: Arc<dyn Desk>,
    numbers: Numbers,
}

/// Everything below `/api`: the routes, their description, and 404 for the rest.
pub fn router(guard: &Guard, desk: Arc<dyn Desk>, numbers: Numbers, cors_origins: &[String]) -> Router {
    let mut router = Router::new();
    for route in routes::all() {
        let handler = route.handler.fallback(wrong_method).layer(Extension(Declared(route.parameters)));
        router = router.route(route.path, guard.allow(route.roles, handler));
    }
    let document = Arc::new(openapi::document());
    let described = get(move || async move { Json(Arc::unwrap_or_clone(document)) });
    let router = router
        .with_state(Shared { desk, numbers })
        .route("/api/openapi.json", described.fallback(wrong_method))
        .merge(api_fallback(guard))
        .layer(map_response(not_to_be_kept));
    match cors::layer(cors_origins) {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

/// Answers are about now, and for who holds the token alone.
async fn not_to_be_kept(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn wrong_method() -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This path does not take that method; see the Allow header.",
    )
}
