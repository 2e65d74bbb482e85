//! The file's verdicts that need no certificate, and what requests meet. Certificates, handshakes and the
//! comparison with promtool are tried on the built binary.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use axum::routing::get;
use base64::Engine;
use http::{Request, StatusCode, header};
use tempfile::TempDir;
use tower::ServiceExt;

use super::*;

/// A folder with a web configuration in it.
struct File {
    folder: TempDir,
}

impl File {
    fn new(text: &str) -> Self {
        let file = Self { folder: TempDir::new().unwrap() };
        file.write(text);
        file
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("web.yml")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }

    fn load(&self) -> WebConfig {
        WebConfig::load(&self.path()).unwrap()
    }
}

/// What is said about a file, without its folder.
fn verdict(text: &str) -> Result<String, String> {
    let file = File::new(text);
    let folder = format!("{}/", file.folder.path().display());
    match check(&file.path()) {
        Ok(warnings) => Ok(warnings.join("\n").replace(&folder, "")),
        Err(faults) => Err(faults.to_string().replace(&folder, "")),
    }
}

fn user(name: &str, password: &str) -> String {
    format!("basic_auth_users: {{{name}: {}}}\n", bcrypt::hash(password, 4).unwrap())
}

#[test]
fn what_the_toolkit_takes_is_taken() {
    for good in [
        "",
        "# nothing\n",
        "---\n",
        "tls_server_config:\n",
        "tls_server_config: {cert_file: \"\", key_file: ~}",
        "tls_server_config: {min_version: TLS13, cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]}",
        "http_server_config: {http2: no}",
        "http_server_config: {headers: {X-XSS-Protection: 1, X-Frame-Options: deny}}",
        "basic_auth_users: {}",
        "rate_limit: {interval: 0, burst: 0}",
        "rate_limit: {interval: 1s, burst: 20}",
        "basic_auth_users:\n  alice: $2y$12$1DpfPeqF9HzHJt.EWswy1exHluGfbhnn3yXhR7Xes6m3WJqFg0Wby\n",
    ] {
        verdict(good).unwrap_or_else(|faults| panic!("{good}: {faults}"));
    }
}

#[test]
fn what_the_toolkit_refuses_is_refused_with_file_key_and_reason() {
    for (bad, said) in [
        ("[]", "web.yml: expected a mapping"),
        ("hello", "web.yml: expected a mapping"),
        ("a: [", "web.yml: not readable as YAML"),
        ("tls: {}", "web.yml: tls: unknown key"),
        (
            "tls_server_config: {cert_filse: x}",
            "tls_server_config.cert_filse: unknown key; did you mean cert_file?",
        ),
        ("tls_server_config: {cert_file: x}", "tls_server_config.key_file: expected a key"),
        ("tls_server_config: {key: x}", "tls_server_config.cert_file: expected a certificate"),
        (
            "tls_server_config: {client_auth_type: RequireAndVerifyClientCert}",
            "cert_file: expected a certificate",
        ),
        (
            "tls_server_config: {cert: x, key: y, client_auth_type: Please}",
            "client_auth_type: expected NoClientCert",
        ),
        (
            "tls_server_config: {cert: x, key: y, client_ca_file: z}",
            "client_ca_file: expected client_auth_type too",
        ),
        ("tls_server_config: {cert_file: nowhere, key: y}", "cert_file: expected a readable file"),
        ("tls_server_config: {cert: x, key: y}", "cert_file: expected a certificate in PEM form, found none"),
        ("tls_server_config: {min_version: TLS14}", "min_version: unknown TLS version"),
        ("tls_server_config: {cipher_suites: [AES]}", "cipher_suites[0]: unknown cipher"),
        ("tls_server_config: {cipher_suites: AES}", "cipher_suites: expected a list"),
        ("tls_server_config: {curve_preferences: [CurveP257]}", "curve_preferences[0]: unknown curve"),
        ("http_server_config: {http2: maybe}", "http2: expected true or false"),
        ("http_server_config: {headers: {Server: x}}", "headers.Server: this header cannot be set"),
        ("http_server_config: {headers: {x-frame-options: deny}}", "this header cannot be set"),
        ("http_server_config: {headers: {X-Frame-Options: DENY}}", "expected deny or sameorigin"),
        ("http_server_config: {headers: {X-Content-Type-Options: sniff}}", "expected nosniff"),
        ("basic_auth_users: {john: hush}", "basic_auth_users.john: expected a bcrypt hash"),
        ("basic_auth_users: [john]", "basic_auth_users: expected a mapping"),
        ("rate_limit: {interval: soon}", "rate_limit.interval: expected a duration"),
        ("rate_limit: {burst: many}", "rate_limit.burst: expected a whole number"),
        ("rate_limit: {burst: 1}\nrate_limit: {burst: 2}", "rate_limit: expected once"),
        // Ours alone: what our TLS does not speak.
        ("tls_server_config: {cert: x, key: y, min_version: TLS10}", "min_version: expected TLS12"),
        ("tls_server_config: {cert: x, key: y, max_version: TLS11}", "max_version: expected TLS12"),
        ("tls_server_config: {curve_preferences: [CurveP521]}", "curve_preferences: expected one of X25519"),
    ] {
        let faults = verdict(bad).unwrap_err();
        assert!(faults.contains(said) && faults.starts_with("web.yml"), "{bad}: {faults}");
        assert!(!faults.contains("hush"), "{faults}");
    }
    let missing = check("/nowhere/web.yml".as_ref()).unwrap_err().to_string();
    assert!(missing.contains("/nowhere/web.yml: expected a readable file"), "{missing}");
}

#[test]
fn every_fault_is_told_at_once() {
    let faults = verdict("basic_auth_users: {a: x, b: y}\nhttp_server_config: {http3: on}\n").unwrap_err();
    assert_eq!(faults.lines().count(), 3, "{faults}");
}

#[test]
fn what_is_weaker_than_it_looks_is_said() {
    let said = verdict("rate_limit: {interval: 1s}").unwrap();
    assert!(said.contains("rate_limit.burst: 0: with an interval set, nothing is served"), "{said}");
    let suites = "[TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]";
    let said = verdict(&format!("tls_server_config: {{cipher_suites: {suites}}}")).unwrap();
    assert!(said.contains("left out, not spoken here: TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"), "{said}");
}

async fn ask(config: &WebConfig, credentials: Option<&str>) -> Response {
    let inside = Router::new().route("/", get(|| async { "inside" }));
    let routes = config.dress(config.guard(inside));
    let mut request = Request::get("/");
    if let Some(pair) = credentials {
        let encoded = base64::prelude::BASE64_STANDARD.encode(pair);
        request = request.header(header::AUTHORIZATION, format!("Basic {encoded}"));
    }
    routes.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn status(config: &WebConfig, credentials: Option<&str>) -> u16 {
    ask(config, credentials).await.status().as_u16()
}

#[tokio::test]
async fn a_password_is_asked_for_as_the_toolkit_asks() {
    let file = File::new(&user("alice", "sesame"));
    let config = file.load();
    let answer = ask(&config, None).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers()[header::WWW_AUTHENTICATE], "Basic");
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(to_bytes(answer.into_body(), 100).await.unwrap(), "Unauthorized\n");
    assert_eq!(status(&config, Some("alice:wrong")).await, 401);
    assert_eq!(status(&config, Some("alice:sesame")).await, 200);
}

#[tokio::test]
async fn without_users_nobody_is_asked() {
    assert_eq!(status(&File::new("").load(), None).await, 200);
}

#[tokio::test]
async fn a_changed_file_counts_from_the_next_request_on() {
    let file = File::new(&user("alice", "one"));
    let config = file.load();
    for round in 0..5 {
        let password = format!("round-{round}");
        file.write(&user("alice", &password));
        assert_eq!(status(&config, Some(&format!("alice:{password}"))).await, 200, "{round}");
        assert_eq!(status(&config, Some("alice:one")).await, 401, "{round}");
    }
    file.write("");
    assert_eq!(status(&config, None).await, 200);
}

#[tokio::test]
async fn a_file_that_becomes_faulty_closes_the_door_until_it_is_mended() {
    let file = File::new(&(user("alice", "a") + "http_server_config: {headers: {X-Frame-Options: deny}}\n"));
    let config = file.load();
    for broken in ["basic_auth_users: {alice: hush}", "a: ["] {
        file.write(broken);
        let answer = ask(&config, Some("alice:a")).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()[header::X_FRAME_OPTIONS], "deny", "the last good headers stay");
        assert_eq!(to_bytes(answer.into_body(), 100).await.unwrap(), "Internal Server Error\n");
    }
    std::fs::remove_file(file.path()).unwrap();
    assert_eq!(status(&config, Some("alice:a")).await, 500);
    file.write(&user("alice", "a"));
    assert_eq!(status(&config, Some("alice:a")).await, 200);
}

#[tokio::test]
async fn headers_stand_on_every_answer_over_our_own() {
    let text = user("alice", "a")
        + "http_server_config:\n  headers:\n    X-Frame-Options: sameorigin\n    Strict-Transport-Security: max-age=600\n";
    let file = File::new(&text);
    let config = file.load();
    for credentials in [None, Some("alice:a")] {
        let answer = ask(&config, credentials).await;
        assert_eq!(answer.headers()[header::X_FRAME_OPTIONS], "sameorigin");
        assert_eq!(answer.headers()[header::STRICT_TRANSPORT_SECURITY], "max-age=600");
    }
}

#[tokio::test]
async fn the_rate_limit_lets_a_burst_through_and_no_more() {
    let file = File::new("rate_limit: {interval: 1h, burst: 3}");
    let config = file.load();
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(status(&config, None).await);
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!(status(&File::new("rate_limit: {interval: 1s}").load(), None).await, 429);
}

#[tokio::test]
async fn an_unchanged_file_is_read_no_more_than_once() {
    let file = File::new(&user("alice", "a"));
    let config = file.load();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let handle = std::fs::File::options().write(true).open(file.path()).unwrap();
    handle.set_modified(old).unwrap();
    // Times of the file change by that too; wait until they are old enough to be trusted.
    let seen = AtomicU64::new(0);
    loop {
        let before = Arc::as_ptr(&config.state().await);
        if Arc::as_ptr(&config.state().await) == before {
            break;
        }
        seen.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(seen.load(Ordering::Relaxed) > 0, "a fresh file is read again");
    let kept = Arc::as_ptr(&config.state().await);
    for _ in 0..10 {
        assert_eq!(Arc::as_ptr(&config.state().await), kept);
    }
}
