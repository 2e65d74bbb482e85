//! Tokens for the API: the command that prints one, keys of both kinds, the agent that checks them.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::curl::curl;
use super::{quiet, start};
use crate::support::agent::{Agent, Setup};
use crate::support::process::{Finished, exotel_exporter, run};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn refused(finished: &Finished, said: &str) {
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains(said) && finished.stdout.is_empty(), "{finished:?}");
}

/// Status and code of the answer to a token.
fn ask(agent: &Agent, token: &str) -> (u16, String) {
    let bearer = format!("Authorization: Bearer {token}");
    let seen = curl(&["--header", &bearer, &format!("{}/api/nothing", agent.base)]);
    let body: Value = serde_json::from_str(&seen.body).unwrap_or_else(|fault| panic!("{fault}: {seen:?}"));
    assert_eq!(body["statusCode"], seen.status, "{seen:?}");
    (seen.status, body["error"]["code"].as_str().unwrap().to_owned())
}

/// What a good token gets where there is nothing.
fn through() -> (u16, String) {
    (404, "not_found".to_owned())
}

#[test]
fn the_command_prints_a_token_that_the_agent_takes() {
    let setup =
        quiet().with("api", json!({"jwt_secret": SECRET, "jwt_issuer": "us", "jwt_audience": "them"}));
    let agent = start(&setup);
    for arguments in [&["token", "--role", "manager"][..], &["token", "--role=super_admin", "--ttl=1m"]] {
        let finished = setup.finish(arguments);
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
        assert_eq!(finished.stdout.lines().count(), 1);
        assert_eq!(ask(&agent, finished.stdout.trim()), through());
    }
    let other = quiet().with("api", json!({"jwt_secret": "another secret of at least 32 bytes"}));
    let foreign = other.finish(&["token", "--role", "admin"]).stdout;
    assert_eq!(ask(&agent, foreign.trim()), (401, "token_signature".to_owned()));
    let log = agent.process.log();
    assert!(!log.contains(SECRET) && !log.contains(foreign.trim()), "{log}");
}

#[test]
fn a_token_needs_a_secret_a_role_and_a_time() {
    refused(&quiet().finish(&["token", "--role", "admin"]), "no key is configured");
    let setup = quiet().with("api", json!({"jwt_secret": SECRET}));
    refused(&setup.finish(&["token", "--role", "admin", "--ttl", "0s"]), "time to live");
    assert_eq!(setup.finish(&["token"]).code, Some(2));
    assert_eq!(setup.finish(&["token", "--role", "root"]).code, Some(2));
}

#[test]
fn the_secret_of_the_environment_is_enough_for_a_token() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut command = exotel_exporter(folder.path());
    command.args(["token", "--role", "admin"]).env("JWT_SECRET", SECRET);
    let finished = run(command);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout.trim().split('.').count(), 3);
}

#[test]
fn a_short_secret_of_the_environment_leaves_the_agent_running_and_the_api_off() {
    let setup = Setup::new(&[]);
    let mut command = setup.command(&["check-config"]);
    command.env("EXOTEL_SID", "acme1").env("EXOTEL_API_KEY", "key").env("EXOTEL_API_SECRET", "token");
    command.env("JWT_SECRET", "hush-hush");
    let finished = run(command);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stderr.contains("JWT_SECRET: expected at least 32 bytes, got 9"), "{finished:?}");
    assert!(
        finished.stderr.contains("the API stays off") && !finished.stderr.contains("hush"),
        "{finished:?}"
    );
}

/// A token signed by openssl, RS256.
fn signed_by_openssl(setup: &Setup, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&json!({"alg": "RS256", "typ": "JWT"})), part(claims));
    std::fs::write(setup.path().join("message"), &message).unwrap();
    openssl(setup, "dgst -sha256 -sign private.pem -out signature message");
    let signature = std::fs::read(setup.path().join("signature")).unwrap();
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn openssl(setup: &Setup, arguments: &str) {
    let mut command = std::process::Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(setup.path());
    let finished = run(command);
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

#[test]
fn a_public_key_checks_what_its_owner_signed_and_signs_nothing() {
    let setup = quiet();
    openssl(&setup, "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out private.pem");
    openssl(&setup, "pkey -in private.pem -pubout -out public.pem");
    let setup = setup.with("api", json!({"jwt_public_key_file": "public.pem"}));
    let agent = start(&setup);
    let now = crate::support::fake::epoch_now();
    let good = signed_by_openssl(&setup, &json!({"roles": ["admin"], "exp": now + 60}));
    assert_eq!(ask(&agent, &good), through());
    let old = signed_by_openssl(&setup, &json!({"roles": ["admin"], "exp": now - 60}));
    assert_eq!(ask(&agent, &old), (401, "token_expired".to_owned()));
    let shared =
        quiet().with("api", json!({"jwt_secret": SECRET})).finish(&["token", "--role", "admin"]).stdout;
    assert_eq!(ask(&agent, shared.trim()), (401, "token_algorithm".to_owned()));
    refused(&setup.finish(&["token", "--role", "admin"]), "a public key cannot sign");
}
