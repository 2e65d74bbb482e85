//! The web server: `/metrics`, health, the status page. It answers from memory; it never calls Exotel.
//!
//! | path | what |
//! |---|---|
//! | `GET` the telemetry path, `/metrics` | every metric, OpenMetrics 1.0.0 or text 0.0.4 by `Accept`, gzip |
//! | `GET /` | status page |
//! | `GET /docs` | what every metric means |
//! | `GET /style.css` | style of both pages |
//! | `GET /-/healthy` | 200 as long as the process serves |
//! | `GET /-/ready` | 200 when the store is open and the listeners are bound, else 503 |
//! | `POST /-/reload`, `PUT` too | applies the configuration anew; 403 without `--web.enable-lifecycle` |

mod metrics;
mod page;
mod server;
pub mod status;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware::map_response;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderValue, StatusCode, header};
use tower_http::compression::CompressionLayer;

use self::page::{Links, Readiness};
use self::status::StatusSnapshot;
use crate::metrics::Metrics;

pub use self::server::{BindError, Listeners, serve};

/// Bytes of a request's body; no route here needs more.
const BODY_LIMIT: usize = 64 * 1024;

/// Nothing but our own style and the mark in the tab is loaded, and nobody frames the page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the server needs to answer.
#[derive(Clone)]
pub struct Web {
    /// Rendered at each scrape.
    pub metrics: Arc<Metrics>,
    /// Asked at each request for the status page; must answer from memory.
    pub status: Arc<dyn Fn() -> StatusSnapshot + Send + Sync>,
    /// Path of the metrics, as checked by [`check_telemetry_path`].
    pub telemetry_path: String,
    /// Whether the configuration may be applied anew over HTTP.
    pub lifecycle: Lifecycle,
}

/// A reload under way: the reason if the new configuration is refused.
pub type Reload = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Whether `POST /-/reload` does something.
#[derive(Clone)]
pub enum Lifecycle {
    /// It is refused; the default.
    Disabled,
    /// It calls this, with `--web.enable-lifecycle`.
    Enabled(Arc<dyn Fn() -> Reload + Send + Sync>),
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("telemetry_path", &self.telemetry_path).finish_non_exhaustive()
    }
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disabled => "Disabled",
            Self::Enabled(_) => "Enabled",
        })
    }
}

/// Checks `web.telemetry_path`.
///
/// # Errors
/// What is expected, if it is not a plain absolute path or if another page lives there.
pub fn check_telemetry_path(path: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b'~');
    if !path.starts_with('/') || path.len() < 2 || !path.bytes().all(plain) {
        return Err("expected an absolute path of letters, digits and -_.~/, such as /metrics".to_owned());
    }
    let taken = ["/docs", "/style.css"].contains(&path)
        || ["/-/", "/api/", "/webhooks/"].iter().any(|prefix| path.starts_with(prefix));
    if taken { Err("another page lives at this path".to_owned()) } else { Ok(()) }
}

impl Web {
    /// Every route; see the table above.
    pub fn router(self) -> Router {
        let web = Arc::new(self);
        // Compression costs more than it saves on the short answers.
        let long = Router::new()
            .route(&web.telemetry_path, get(metrics::scrape).with_state(web.metrics.clone()))
            .route("/", get(status_page))
            .route("/docs", get(docs_page))
            .route("/style.css", get(style))
            .layer(CompressionLayer::new());
        let short = Router::new()
            .route("/-/healthy", get(|| async { "exotel-exporter is Healthy.\n" }))
            .route("/-/ready", get(ready))
            .route("/-/reload", post(reload).put(reload));
        long.merge(short)
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .layer(map_response(guard))
            .with_state(web)
    }

    fn links(&self) -> Links<'_> {
        Links { telemetry_path: &self.telemetry_path }
    }

    fn readiness(&self) -> Readiness {
        if self.metrics.exporter.is_ready() { Readiness::Ready } else { Readiness::NotReady }
    }
}

async fn status_page(State(web): State<Arc<Web>>) -> impl IntoResponse {
    let snapshot = (web.status)();
    ([(header::CACHE_CONTROL, "no-store")], Html(page::status(&snapshot, web.readiness(), &web.links())))
}

async fn docs_page(State(web): State<Arc<Web>>) -> Html<String> {
    Html(page::docs(web.metrics.exporter.build(), &web.links()))
}

/// The pages ask for it with the version, so it may be kept for a day.
async fn style() -> impl IntoResponse {
    let headers =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=86400")];
    (headers, page::STYLE)
}

async fn ready(State(web): State<Arc<Web>>) -> (StatusCode, &'static str) {
    match web.readiness() {
        Readiness::Ready => (StatusCode::OK, "exotel-exporter is Ready.\n"),
        Readiness::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "exotel-exporter is not ready yet.\n"),
    }
}

async fn reload(State(web): State<Arc<Web>>) -> (StatusCode, String) {
    let Lifecycle::Enabled(reload) = &web.lifecycle else {
        let text = "The lifecycle API is not enabled: start exotel-exporter with --web.enable-lifecycle, \
                    or send SIGHUP.\n";
        return (StatusCode::FORBIDDEN, text.to_owned());
    };
    match reload().await {
        Ok(()) => (StatusCode::OK, "The configuration was applied.\n".to_owned()),
        Err(reason) => {
            let text = format!("The configuration was not applied, the old one stays in force: {reason}\n");
            (StatusCode::UNPROCESSABLE_ENTITY, text)
        }
    }
}

async fn not_found(State(web): State<Arc<Web>>) -> (StatusCode, String) {
    let text = format!(
        "Nothing lives at this path. Try / for the status page, {} for the metrics, /docs for their \
         meaning, /-/healthy or /-/ready.\n",
        web.telemetry_path
    );
    (StatusCode::NOT_FOUND, text)
}

async fn method_not_allowed() -> (StatusCode, &'static str) {
    (StatusCode::METHOD_NOT_ALLOWED, "This path does not take that method; see the Allow header.\n")
}

/// Headers that every answer carries, whatever it is.
async fn guard(mut response: Response) -> Response {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "deny"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
