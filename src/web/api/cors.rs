//! Which pages of other origins may ask: `api.cors_origins`.

use std::time::Duration;

use http::{HeaderValue, Method, header};
use tower_http::cors::CorsLayer;

/// How long a browser may remember that it may ask.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Answers preflights, and lets these origins read answers; none if there are none. Tokens travel in a
/// header that a page sets itself, so no credentials of the browser's are let through.
pub(super) fn layer(origins: &[String]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> =
        origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    if origins.is_empty() {
        return None;
    }
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .max_age(REMEMBERED);
    Some(layer)
}
