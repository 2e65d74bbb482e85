//! The web server: `/metrics`, health, the status page. It answers from memory; it never calls Exotel.
//!
//! | path | what |
//! |---|---|
//! | `GET` the telemetry path, `/metrics` | every metric, OpenMetrics 1.0.0 or text 0.0.4 by `Accept`, gzip |
//! | `GET /` | status page |
//! | `GET /docs` | what every metric means |
//! | `GET /style.css` | style of both pages |
//! | `GET /refresh.js` | keeps the status page up to date |
//! | `GET /-/healthy` | 200 as long as the process serves |
//! | `GET /-/ready` | 200 when the store is open and the listeners are bound, else 503 |
//! | `POST /-/reload`, `PUT` too | applies the configuration anew; 403 without `--web.enable-lifecycle` |
//! | `/api/…` | [`Web::api`], behind its tokens |
//! | `/webhooks/…` | [`Web::webhooks`], behind their secrets |
//!
//! Who may see what is told in [`access`].

pub mod access;
pub mod api;
mod metrics;
mod page;
mod server;
pub mod status;
pub mod webhooks;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderValue, StatusCode, header};
use http_body::Body as _;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use self::access::WebConfig;
use self::page::{Links, Readiness};
use self::status::StatusSnapshot;
use crate::metrics::Metrics;

pub use self::server::{ActivationError, BindError, Listeners, Sites, activated, serve};

/// Bytes of a request's body; no route here needs more.
const BODY_LIMIT: usize = 64 * 1024;

/// Nothing but our own style, our own script, what that asks of us and the mark in the tab is loaded, and
/// nobody frames the page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
    connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

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
    /// TLS, passwords, headers; none: everybody on `web.listen` may see the pages.
    pub access: Option<WebConfig>,
    /// Routes below `/api`, each with [`access::Guard::allow`]; no password is asked for them.
    pub api: Router,
    /// Routes below `/webhooks`, which check their secret themselves.
    pub webhooks: Router,
}

/// A reload under way: what to tell whoever asked, or why nothing was applied.
pub type Reload = Pin<Box<dyn Future<Output = Result<String, NotApplied>> + Send>>;

/// Why a reload changed nothing: one reason on each line, without a secret or a phone number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotApplied {
    /// The new configuration has faults.
    Refused(String),
    /// It could not be applied now; its faults, if it has any, are not known.
    Unavailable(String),
}

impl NotApplied {
    /// The reasons.
    pub fn reason(&self) -> &str {
        match self {
            Self::Refused(reason) | Self::Unavailable(reason) => reason,
        }
    }
}

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
    let taken = ["/docs", "/style.css", "/refresh.js"].contains(&path)
        || ["/-/", "/api/", "/webhooks/"].iter().any(|prefix| path.starts_with(prefix));
    if taken { Err("another page lives at this path".to_owned()) } else { Ok(()) }
}

impl Web {
    /// Every route; see the table above.
    pub fn sites(mut self) -> Sites {
        let (mut api, webhooks) = (std::mem::take(&mut self.api), std::mem::take(&mut self.webhooks));
        let access = self.access.clone();
        let web = Arc::new(self);
        // Compression costs more than it saves on the short answers.
        let long = Router::new()
            .route(
                &web.telemetry_path,
                get(metrics::scrape).with_state(metrics::Scrapes::new(web.metrics.clone())),
            )
            .route("/", get(status_page))
            .route("/docs", get(docs_page))
            .route("/style.css", get(|| async { asset("text/css; charset=utf-8", page::STYLE) }))
            .route("/refresh.js", get(|| async { asset("text/javascript; charset=utf-8", page::REFRESH) }))
            .layer(CompressionLayer::new().quality(CompressionLevel::Fastest));
        // What does not exist is guarded too, so that nobody learns from outside what does.
        let mut guarded = long
            .route("/-/reload", post(reload).put(reload))
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .with_state(web.clone());
        let open = Router::new()
            .route("/-/healthy", get(|| async { "exotel-exporter is Healthy.\n" }))
            .route("/-/ready", get(ready))
            .method_not_allowed_fallback(method_not_allowed)
            .with_state(web);
        if let Some(access) = &access {
            guarded = access.guard(guarded);
            api = access.limit(api);
        }
        let finish = |routes: Router| {
            let routes = routes.layer(map_response(guard));
            match &access {
                Some(access) => access.dress(routes),
                None => routes,
            }
        };
        // Webhooks are larger and bring limits of their own.
        let pages = guarded.merge(open).layer(from_fn(no_long_body)).merge(api);
        let pages = pages.layer(DefaultBodyLimit::max(BODY_LIMIT)).merge(webhooks.clone());
        Sites { pages: finish(pages), webhooks: finish(webhooks.fallback(no_webhook)) }
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
fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=86400")], text)
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
                    or restart it.\n";
        return (StatusCode::FORBIDDEN, text.to_owned());
    };
    let not_applied = match reload().await {
        Ok(told) => return (StatusCode::OK, told + "\n"),
        Err(not_applied) => not_applied,
    };
    let status = match not_applied {
        NotApplied::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
        NotApplied::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let reason = not_applied.reason();
    (status, format!("The configuration was not applied, the former one stays in force:\n{reason}\n"))
}

async fn not_found(State(web): State<Arc<Web>>) -> (StatusCode, String) {
    let text = format!(
        "Nothing lives at this path. Try / for the status page, {} for the metrics, /docs for their \
         meaning, /-/healthy or /-/ready.\n",
        web.telemetry_path
    );
    (StatusCode::NOT_FOUND, text)
}

async fn no_webhook() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "This address takes webhooks alone.\n")
}

/// Whether a request announces a body beyond the bound. Most routes read none, and would do as they were
/// told beside something that nobody looked at. What is not announced is not read there.
fn is_too_long(request: &Request) -> bool {
    request.body().size_hint().lower() > BODY_LIMIT as u64
}

async fn no_long_body(request: Request, next: Next) -> Response {
    if !is_too_long(&request) {
        return next.run(request).await;
    }
    let text = format!("The body is too large: at most {} KiB are taken here.\n", BODY_LIMIT / 1024);
    (StatusCode::PAYLOAD_TOO_LARGE, text).into_response()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::BuildInfo;
    use axum::body::{Body, to_bytes};
    use http::{Method, Request};
    use tower::ServiceExt;

    fn web() -> Web {
        Web {
            metrics: Arc::new(Metrics::new(BuildInfo { version: "0.1.0", revision: "abc" })),
            status: Arc::new(page::sample::snapshot),
            telemetry_path: "/metrics".to_owned(),
            lifecycle: Lifecycle::Disabled,
            access: None,
            api: Router::new(),
            webhooks: Router::new(),
        }
    }

    struct Answer {
        status: StatusCode,
        headers: http::HeaderMap,
        body: Vec<u8>,
    }

    impl Answer {
        fn header(&self, name: header::HeaderName) -> &str {
            self.headers.get(name).map_or("", |value| value.to_str().unwrap())
        }

        fn text(&self) -> &str {
            std::str::from_utf8(&self.body).unwrap()
        }
    }

    async fn ask(web: Web, method: Method, path: &str, headers: &[(header::HeaderName, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let response = web.sites().pages.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn get_(path: &str) -> Answer {
        ask(web(), Method::GET, path, &[]).await
    }

    #[tokio::test]
    async fn metrics_come_as_text_unless_asked_otherwise() {
        let answer = get_("/metrics").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header(header::CONTENT_TYPE), "text/plain; version=0.0.4; charset=utf-8");
        assert!(answer.text().contains("# TYPE process_cpu_seconds_total counter\n"));
        assert!(!answer.text().contains("# EOF"));
        let accept =
            (header::ACCEPT, "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8,*/*;q=0.1");
        let answer = ask(web(), Method::GET, "/metrics", &[accept]).await;
        assert_eq!(
            answer.header(header::CONTENT_TYPE),
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        );
        assert!(answer.text().ends_with("# EOF\n"));
    }

    #[tokio::test]
    async fn a_body_beyond_the_bound_is_refused_before_anything_is_done() {
        let applied = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let count = Arc::clone(&applied);
        let reload = move || -> Reload {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Box::pin(async { Ok("done".to_owned()) })
        };
        let web = Web { lifecycle: Lifecycle::Enabled(Arc::new(reload)), ..web() };
        let pages = web.sites().pages;
        for (bytes, status, times) in
            [(BODY_LIMIT + 1, StatusCode::PAYLOAD_TOO_LARGE, 0), (BODY_LIMIT, StatusCode::OK, 1)]
        {
            let request = Request::post("/-/reload").body(Body::from(vec![b'x'; bytes])).unwrap();
            assert_eq!(pages.clone().oneshot(request).await.unwrap().status(), status, "{bytes}");
            assert_eq!(applied.load(std::sync::atomic::Ordering::Relaxed), times, "{bytes}");
        }
        let health = Request::get("/-/healthy").body(Body::from(vec![b'x'; BODY_LIMIT + 1])).unwrap();
        assert_eq!(pages.oneshot(health).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn what_is_long_is_compressed_for_who_can_read_it() {
        let gzip = (header::ACCEPT_ENCODING, "gzip");
        for path in ["/metrics", "/", "/docs", "/style.css", "/refresh.js"] {
            let answer = ask(web(), Method::GET, path, std::slice::from_ref(&gzip)).await;
            assert_eq!(answer.header(header::CONTENT_ENCODING), "gzip", "{path}");
            assert_eq!(answer.body[..2], [0x1f, 0x8b], "{path}");
            let vary: Vec<_> = answer.headers.get_all(header::VARY).iter().collect();
            assert!(vary.iter().any(|v| v.as_bytes().eq_ignore_ascii_case(b"accept-encoding")), "{vary:?}");
            assert_eq!(get_(path).await.header(header::CONTENT_ENCODING), "", "{path}");
        }
    }

    #[tokio::test]
    async fn health_and_readiness_answer_as_prometheus_does() {
        let answer = get_("/-/healthy").await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, "exotel-exporter is Healthy.\n"));
        assert_eq!(get_("/-/ready").await.status, StatusCode::SERVICE_UNAVAILABLE);
        let web = web();
        web.metrics.exporter.set_ready();
        let answer = ask(web, Method::GET, "/-/ready", &[]).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, "exotel-exporter is Ready.\n"));
    }

    #[tokio::test]
    async fn a_reload_is_refused_unless_enabled() {
        let answer = ask(web(), Method::POST, "/-/reload", &[]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.text().contains("--web.enable-lifecycle"));
        for (result, status, said) in [
            (Ok("It was applied.".to_owned()), StatusCode::OK, "was applied"),
            (
                Err(NotApplied::Refused("accounts[0].name: missing".to_owned())),
                StatusCode::UNPROCESSABLE_ENTITY,
                "accounts[0].name",
            ),
            (
                Err(NotApplied::Unavailable("the store is gone".to_owned())),
                StatusCode::SERVICE_UNAVAILABLE,
                "the store is gone",
            ),
        ] {
            for method in [Method::POST, Method::PUT] {
                let result = result.clone();
                let reload = move || -> Reload { Box::pin(std::future::ready(result.clone())) };
                let web = Web { lifecycle: Lifecycle::Enabled(Arc::new(reload)), ..web() };
                let answer = ask(web, method, "/-/reload", &[]).await;
                assert_eq!(answer.status, status);
                assert!(answer.text().contains(said), "{}", answer.text());
            }
        }
    }

    #[tokio::test]
    async fn a_wrong_path_or_method_is_answered_helpfully() {
        let answer = get_("/metric%3Cscript%3E").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert!(answer.text().contains("/metrics") && !answer.text().contains("<script>"));
        assert!(answer.header(header::CONTENT_TYPE).starts_with("text/plain"));
        for (method, path, allow) in [
            (Method::POST, "/metrics", "GET"),
            (Method::GET, "/-/reload", "POST"),
            (Method::DELETE, "/", "GET"),
        ] {
            let answer = ask(web(), method, path, &[]).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert!(answer.header(header::ALLOW).contains(allow), "{path}");
            assert!(answer.text().contains("Allow"), "{path}");
        }
    }

    #[tokio::test]
    async fn scripts_run_from_a_file_of_ours_alone() {
        let policy = get_("/").await.header(header::CONTENT_SECURITY_POLICY).to_owned();
        assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        let script = get_("/refresh.js").await;
        assert_eq!(script.header(header::CONTENT_TYPE), "text/javascript; charset=utf-8");
        assert_eq!(script.text(), page::REFRESH);
    }

    #[tokio::test]
    async fn head_is_answered_without_a_body() {
        for path in ["/metrics", "/", "/-/healthy"] {
            let answer = ask(web(), Method::HEAD, path, &[]).await;
            assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0), "{path}");
        }
    }

    #[tokio::test]
    async fn every_answer_carries_the_guarding_headers() {
        for path in ["/", "/docs", "/metrics", "/-/healthy", "/nowhere"] {
            let answer = get_(path).await;
            assert!(
                answer.header(header::CONTENT_SECURITY_POLICY).starts_with("default-src 'none';"),
                "{path}"
            );
            assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
            assert_eq!(answer.header(header::X_FRAME_OPTIONS), "deny", "{path}");
        }
    }

    #[tokio::test]
    async fn pages_are_html_and_say_which_program_this_is() {
        for path in ["/", "/docs"] {
            let answer = get_(path).await;
            assert_eq!(answer.status, StatusCode::OK);
            assert_eq!(answer.header(header::CONTENT_TYPE), "text/html; charset=utf-8");
            assert!(
                answer.text().starts_with("<!DOCTYPE html>") && answer.text().contains("exotel-exporter")
            );
        }
        assert!(get_("/docs").await.text().contains("exotel_call_cost_refunds_total"));
        assert_eq!(get_("/style.css").await.header(header::CONTENT_TYPE), "text/css; charset=utf-8");
    }

    #[tokio::test]
    async fn the_telemetry_path_can_be_another() {
        let moved = Web { telemetry_path: "/prom/scrape".to_owned(), ..web() };
        assert_eq!(ask(moved.clone(), Method::GET, "/prom/scrape", &[]).await.status, StatusCode::OK);
        assert_eq!(ask(moved, Method::GET, "/metrics", &[]).await.status, StatusCode::NOT_FOUND);
    }

    #[test]
    fn only_plain_free_paths_may_be_the_telemetry_path() {
        for good in ["/metrics", "/a/b-c_d.e~f", "/-metrics", "/apis"] {
            assert_eq!(check_telemetry_path(good), Ok(()), "{good}");
        }
        for bad in ["", "/", "metrics", "/{x}", "/*rest", "/a b", "/a?b", "/é", "/docs", "/-/ready", "/api/x"]
        {
            assert!(check_telemetry_path(bad).is_err(), "{bad}");
        }
    }
}
