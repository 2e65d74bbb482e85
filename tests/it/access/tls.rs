//! TLS of the listeners, where there is nothing to compare with.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::certificates::Certificates;
use super::curl::Seen;
use super::{PASSWORD, guarded, https, start, tls, trusting, users};
use crate::support::prometheus::Prometheus;
use crate::support::tools::Version;
use crate::support::{eventually, secs};

fn serial(folder: &Certificates, file: &str) -> String {
    let mut command = std::process::Command::new("openssl");
    command.args(["x509", "-noout", "-serial", "-in", &folder.path(file)]);
    crate::support::process::run(command).stdout.trim().trim_start_matches("serial=").to_owned()
}

/// Serial number of the certificate that the server shows now.
fn served(agent: &crate::support::agent::Agent) -> String {
    let mut command = std::process::Command::new("sh");
    let address = agent.base.replace("http://", "");
    command.args([
        "-c",
        &format!("openssl s_client -connect {address} 2>/dev/null | openssl x509 -noout -serial"),
    ]);
    crate::support::process::run(command).stdout.trim().trim_start_matches("serial=").to_owned()
}

#[test]
fn a_renewed_certificate_is_shown_to_the_next_connection() {
    let (setup, made) = guarded(&tls(&[]));
    let agent = start(&setup);
    let metrics = format!("{}/metrics", https(&agent));
    let before = serial(&made, "server.crt");
    assert_eq!(served(&agent), before);
    for round in 0..3 {
        let name = format!("renewed-{round}");
        made.server(&name);
        made.rename(&name, "server");
        let now = serial(&made, "server.crt");
        assert_ne!(now, before);
        assert_eq!(served(&agent), now);
        assert_eq!(trusting(&made, &[&metrics]).status, 200);
    }
}

#[test]
fn a_certificate_that_fits_no_key_refuses_connections_until_it_is_mended() {
    let (setup, made) = guarded(&tls(&[]));
    let agent = start(&setup);
    let metrics = format!("{}/metrics", https(&agent));
    let right = std::fs::read(made.path("server.key")).unwrap();
    std::fs::copy(made.path("ca.key"), made.path("server.key")).unwrap();
    assert_eq!(trusting(&made, &[&metrics]).status, 0);
    eventually(secs(10), "the log says why", || {
        let log = agent.process.log();
        let said = log.contains("web configuration is faulty")
            && log.contains("expected the key of the certificate");
        if said { Ok(()) } else { Err(log) }
    });
    std::fs::write(made.path("server.key"), right).unwrap();
    assert_eq!(trusting(&made, &[&metrics]).status, 200);
}

#[test]
fn no_scrape_fails_while_certificates_and_passwords_are_renewed() {
    let (setup, made) = guarded(&(tls(&[]) + &users()));
    let agent = start(&setup);
    let metrics = format!("{}/metrics", https(&agent));
    let (stop, scrapes) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let user = format!("prometheus:{PASSWORD}");
                    let seen = trusting(&made, &["--user", &user, "--output", "/dev/null", &metrics]);
                    assert_eq!(seen.status, 200, "{seen:?}");
                    scrapes.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..5 {
            // As careful as who renews for real: the file takes its place in one step.
            let next = setup.path().join("web.next");
            std::fs::write(&next, tls(&[]) + &users()).unwrap();
            std::fs::rename(&next, setup.path().join("web.yml")).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(scrapes.load(Ordering::Relaxed) > 5);
}

#[test]
fn a_client_is_known_by_any_name_of_its_certificate() {
    let wanted =
        |name: &str| tls(&["client_ca_file: ca.crt", "client_auth_type: RequireAndVerifyClientCert", name]);
    let (setup, made) = guarded(&wanted("client_allowed_sans: [nobody]"));
    let agent = start(&setup);
    let metrics = format!("{}/metrics", https(&agent));
    let ask = |name: &str| -> Seen {
        let shown = made.shown(name);
        let mut arguments: Vec<&str> = shown.iter().map(String::as_str).collect();
        arguments.push(&metrics);
        trusting(&made, &arguments)
    };
    for (names, status) in [
        ("[nobody]", 0),
        ("[]", 0),
        ("[scraper.example.com]", 200),
        ("[example.com]", 0),
        ("[nobody, ops@example.com]", 200),
        ("[192.0.2.1]", 200),
        ("[\"spiffe://example.com/prometheus\"]", 200),
        ("[client]", 0),
    ] {
        super::write(&setup.path(), &wanted(&format!("client_allowed_sans: {names}")));
        let seen = ask("client");
        assert_eq!(seen.status, status, "{names}: {seen:?}\n{}", agent.process.log());
    }
}

#[test]
fn http2_is_spoken_over_tls_and_serves_many_at_once() {
    let (setup, made) = guarded(&tls(&[]));
    let agent = start(&setup);
    let metrics = format!("{}/metrics", https(&agent));
    let mut arguments = vec!["--http2", "--parallel"];
    // A template that curl expands to 40 requests on one connection.
    let many = format!("{metrics}?n=[1-40]");
    arguments.extend(["--output", "/dev/null", &many]);
    let seen = trusting(&made, &arguments);
    assert_eq!((seen.status, seen.version.as_str()), (200, "2"), "{seen:?}");
    let seen =
        trusting(&made, &["--http2", "--header", &format!("X-Long: {}", "x".repeat(60_000)), &metrics]);
    assert_ne!(seen.status, 200, "a head without end is refused: {seen:?}");
    assert_eq!(trusting(&made, &[&metrics]).status, 200);
}

#[test]
fn a_real_prometheus_scrapes_through_every_lock_at_once() {
    let lock = tls(&[
        "client_ca_file: ca.crt",
        "client_auth_type: RequireAndVerifyClientCert",
        "min_version: TLS13",
    ]);
    let (setup, made) = guarded(&(lock + &users()));
    let agent = start(&setup);
    let settings = [
        format!("basic_auth: {{username: prometheus, password: {PASSWORD}}}"),
        format!(
            "tls_config: {{ca_file: {}, cert_file: {}, key_file: {}}}",
            made.path("ca.crt"),
            made.path("client.crt"),
            made.path("client.key")
        ),
    ];
    for version in Version::here() {
        let prometheus = Prometheus::start_guarded(version, &format!("{}/metrics", https(&agent)), &settings);
        assert_eq!(prometheus.number("count(exotel_up)").unwrap(), 1.0, "{version:?}");
    }
}
