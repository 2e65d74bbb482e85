//! The matrix of doors: which path asks for what.

use serde_json::json;

use super::curl::curl;
use super::{PASSWORD, guarded, quiet, start, trusting, users, with_web_key, write};
use crate::support::agent::Setup;
use crate::support::process::run;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A token for a role, printed by the command.
fn token(setup: &Setup, role: &str) -> String {
    let finished = run(setup.command(&["token", "--role", role]));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.stdout.trim().to_owned()
}

#[test]
fn every_path_asks_for_what_guards_it_and_for_nothing_else() {
    let (setup, _) = guarded(&users());
    let setup = setup.with("api", json!({"jwt_secret": SECRET}));
    let agent = start(&setup);
    let password = format!("prometheus:{PASSWORD}");
    let bearer = format!("Authorization: Bearer {}", token(&setup, "manager"));
    for (path, method, nobody, with_password, with_token) in [
        ("/metrics", "GET", 401, 200, 401),
        ("/", "GET", 401, 200, 401),
        ("/docs", "GET", 401, 200, 401),
        ("/style.css", "GET", 401, 200, 401),
        ("/refresh.js", "GET", 401, 200, 401),
        ("/-/reload", "POST", 401, 403, 401),
        ("/nowhere", "GET", 401, 404, 401),
        ("/metrics", "DELETE", 401, 405, 401),
        ("/-/healthy", "GET", 200, 200, 200),
        ("/-/ready", "GET", 200, 200, 200),
        ("/api", "GET", 401, 401, 404),
        ("/api/monitoring/nothing", "GET", 401, 401, 404),
    ] {
        let url = format!("{}{path}", agent.base);
        let what = format!("{method} {path}");
        let ask = |more: &[&str]| {
            let mut all = vec!["--request", method];
            all.extend(more);
            all.push(&url);
            curl(&all)
        };
        let seen = ask(&[]);
        assert_eq!(seen.status, nobody, "{what}: {seen:?}");
        if nobody == 401 {
            let demanded = if path.starts_with("/api") { "Bearer" } else { "Basic" };
            assert_eq!(seen.header("www-authenticate"), demanded, "{what}");
        }
        assert_eq!(ask(&["--user", &password]).status, with_password, "{what} with a password");
        assert_eq!(ask(&["--header", &bearer]).status, with_token, "{what} with a token");
    }
    let log = agent.process.log();
    assert!(!log.contains(PASSWORD) && !log.contains(SECRET), "no secret is logged: {log}");
}

#[test]
fn the_api_is_off_without_a_key_and_says_so() {
    let agent = start(&quiet());
    let seen = curl(&[&format!("{}/api/monitoring/health/current", agent.base)]);
    assert_eq!(seen.status, 503, "{seen:?}");
    let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(body["error"]["code"], "api_off");
    assert_eq!(body["statusCode"], 503);
}

#[test]
fn a_password_that_changes_is_asked_for_at_the_next_request() {
    let (setup, _) = guarded(&users());
    let agent = start(&setup);
    let metrics = format!("{}/metrics", agent.base);
    let ask = |password: &str| curl(&["--user", &format!("prometheus:{password}"), &metrics]).status;
    assert_eq!((ask(PASSWORD), ask("other")), (200, 401));
    write(
        &setup.path(),
        &format!("basic_auth_users: {{prometheus: {}}}\n", bcrypt::hash("other", 4).unwrap()),
    );
    assert_eq!((ask(PASSWORD), ask("other")), (401, 200));
}

#[test]
fn a_listener_beyond_this_machine_may_be_guarded() {
    let (setup, _) = guarded(&users());
    let port: u16 = setup.base().rsplit_once(':').unwrap().1.parse().unwrap();
    let setup = with_web_key(setup, "listen", json!([format!(":{port}")]));
    let agent = start(&setup);
    assert_eq!(curl(&[&format!("{}/metrics", agent.base)]).status, 401);
}

#[test]
fn a_faulty_web_configuration_stops_the_start_with_its_reason() {
    let (setup, _) = guarded("basic_auth_users: {prometheus: hush}\nhttp_server_config: {http3: true}\n");
    for command in ["run", "check-config"] {
        let finished = setup.finish(&[command]);
        assert_eq!(finished.code, Some(1), "{finished:?}");
        for said in ["web.yml: basic_auth_users.prometheus: expected a bcrypt hash", "http3: unknown key"] {
            assert!(finished.stderr.contains(said), "{finished:?}");
        }
        assert!(!finished.stderr.contains("hush"), "{finished:?}");
    }
}

#[test]
fn webhook_listeners_ask_for_no_certificate_and_show_no_page() {
    let (setup, made) = guarded(
        &(super::tls(&["client_ca_file: ca.crt", "client_auth_type: RequireAndVerifyClientCert"]) + &users()),
    );
    let port = crate::support::free_port();
    let setup = with_web_key(setup, "webhook_listen", json!([format!("127.0.0.1:{port}")]));
    let agent = start(&setup);
    let pages = super::https(&agent);
    assert_eq!(trusting(&made, &[&format!("{pages}/-/healthy")]).status, 0, "pages ask for a certificate");
    for path in ["/", "/metrics", "/-/healthy", "/api/monitoring/health/current"] {
        let seen = trusting(&made, &[&format!("https://localhost:{port}{path}")]);
        assert_eq!(seen.status, 404, "{path}: {seen:?}\n{}", agent.process.log());
    }
}
