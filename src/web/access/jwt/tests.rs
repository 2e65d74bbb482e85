//! Tokens good and bad, and the matrix of roles.

use axum::Router;
use axum::routing::{get, post};
use http::{HeaderValue, Method};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;
use crate::config::Secret;
use crate::model::Timestamp;
use crate::web::access::matrix::{self, Row};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn api() -> Api {
    Api { key: Some(ApiKey::Shared(Secret::new(SECRET))), ..Api::default() }
}

fn now() -> i64 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(seconds).unwrap()
}

fn sign(header: &Value, claims: &Value, secret: &str) -> String {
    use base64::Engine;
    let part = |value: &Value| base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let signature = ring::hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// A token with these claims over good ones; null takes one away.
fn token(claims: Value) -> String {
    let mut all = json!({"sub": "someone", "role": "manager", "exp": now() + 60});
    for (name, value) in claims.as_object().unwrap() {
        match value {
            Value::Null => drop(all.as_object_mut().unwrap().remove(name)),
            value => all[name] = value.clone(),
        }
    }
    sign(&json!({"alg": "HS256", "typ": "JWT"}), &all, SECRET)
}

fn headers(authorization: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::try_from(authorization).unwrap());
    headers
}

fn ask(api: &Api, token: &str) -> Result<Caller, Refusal> {
    Guard::new(api).unwrap().check(&headers(&format!("Bearer {token}")), &Role::ALL)
}

#[track_caller]
fn refused(api: &Api, token: &str, status: u16, code: &str) {
    let refusal = ask(api, token).unwrap_err();
    assert_eq!((refusal.status.as_u16(), refusal.code), (status, code), "{refusal:?}");
}

#[test]
fn a_good_token_tells_who_asks() {
    let caller = ask(&api(), &token(json!({}))).unwrap();
    assert_eq!(caller, Caller { subject: Some("someone".to_owned()), roles: vec![Role::Manager] });
    for (claims, roles) in [
        (json!({"role": "super_admin"}), vec![Role::SuperAdmin]),
        (json!({"role": null, "roles": ["admin", "manager"]}), vec![Role::Admin, Role::Manager]),
        (json!({"role": null, "roles": "admin"}), vec![Role::Admin]),
        (json!({"role": ["guest", "admin"]}), vec![Role::Admin]),
        (json!({"sub": 42, "iat": now() + 3600, "aud": "somebody"}), vec![Role::Manager]),
        (json!({"exp": now() as f64 + 60.5}), vec![Role::Manager]),
    ] {
        assert_eq!(ask(&api(), &token(claims.clone())).unwrap().roles, roles, "{claims}");
    }
}

#[test]
fn every_bad_token_is_answered_with_its_reason() {
    for (claims, status, code) in [
        (json!({"exp": null}), 401, "token_without_exp"),
        (json!({"exp": "tomorrow"}), 401, "token_without_exp"),
        (json!({"exp": now() - 30}), 401, "token_expired"),
        (json!({"exp": 0}), 401, "token_expired"),
        (json!({"nbf": now() + 60}), 401, "token_not_yet_valid"),
        (json!({"role": null}), 403, "role_missing"),
        (json!({"role": 7}), 403, "role_missing"),
        (json!({"role": null, "roles": []}), 403, "role_missing"),
        (json!({"role": "root"}), 403, "role_unknown"),
        (json!({"role": "Admin"}), 403, "role_unknown"),
        (json!({"role": null, "roles": ["guest", "root"]}), 403, "role_unknown"),
    ] {
        refused(&api(), &token(claims), status, code);
    }
}

#[test]
fn only_the_configured_algorithm_and_key_are_taken() {
    let claims = json!({"role": "admin", "exp": now() + 60});
    let with = |alg: &str| sign(&json!({"alg": alg}), &claims, SECRET);
    refused(&api(), &with("HS512"), 401, "token_algorithm");
    refused(&api(), &with("RS256"), 401, "token_algorithm");
    refused(&api(), &with("none"), 401, "token_malformed");
    let unsigned = with("none").rsplit_once('.').unwrap().0.to_owned() + ".";
    refused(&api(), &unsigned, 401, "token_malformed");
    let good = token(json!({}));
    let stripped = good.rsplit_once('.').unwrap().0.to_owned() + ".";
    refused(&api(), &stripped, 401, "token_signature");
    let other = sign(&json!({"alg": "HS256"}), &claims, "another secret of at least 32 bytes");
    refused(&api(), &other, 401, "token_signature");
    for broken in ["", "a", "a.b", "a.b.c", "....", "é.é.é", &good[1..], &format!("{good}.x")] {
        let header = HeaderValue::from_bytes(format!("Bearer {broken}").as_bytes()).unwrap();
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, header)]);
        let refusal = Guard::new(&api()).unwrap().check(&headers, &Role::ALL).unwrap_err();
        assert_eq!(refusal.status, StatusCode::UNAUTHORIZED, "{broken}: {refusal:?}");
    }
}

/// The classic confusion: the public key, which everybody may know, as an HS256 secret.
#[test]
fn a_public_key_is_no_secret() {
    let pem = std::fs::read_to_string("tests/fixtures/config/secrets/public.pem").unwrap();
    let api = Api { key: Some(ApiKey::Public(pem.clone())), ..Api::default() };
    let claims = json!({"role": "admin", "exp": now() + 60});
    refused(&api, &sign(&json!({"alg": "HS256"}), &claims, &pem), 401, "token_algorithm");
    refused(&api, &sign(&json!({"alg": "RS256"}), &claims, &pem), 401, "token_signature");
}

/// Signed with ring itself; openssl's keys are tried on the built binary.
#[test]
fn es256_is_checked_with_the_public_key() {
    use base64::Engine;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    let random = ring::rand::SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let mut der = hex("3059301306072a8648ce3d020106082a8648ce3d030107034200");
    der.extend_from_slice(pair.public_key().as_ref());
    let body = base64::prelude::BASE64_STANDARD.encode(&der);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
    let api = Api { key: Some(ApiKey::Public(pem)), ..Api::default() };

    let part = |value: Value| base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"role": "admin", "exp": now() + 60});
    let message = format!("{}.{}", part(json!({"alg": "ES256"})), part(claims));
    let signature = pair.sign(&random, message.as_bytes()).unwrap();
    let signature = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(signature);
    assert_eq!(ask(&api, &format!("{message}.{signature}")).unwrap().roles, [Role::Admin]);
    refused(&api, &format!("{message}x.{signature}"), 401, "token_signature");
    refused(&api, &token(json!({})), 401, "token_algorithm");
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap()).collect()
}

#[test]
fn keys_that_cannot_check_a_token_are_refused() {
    let pem = |body: &str| format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
    for bad in [
        String::new(),
        "no key".to_owned(),
        pem(""),
        pem("AAAA"),
        // Ed25519.
        pem("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="),
        // RSA of 512 bits.
        pem(
            "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAK+TTlwgMRqiyZ41v9Lf3V0VTVnc7CFNZOpQpVvNMx0fhkGf0dI7a6wbpeHPDH7U5w0kZP5RAUkFPxWnYgFbFmUCAwEAAQ==",
        ),
    ] {
        let error = check_key(&ApiKey::Public(bad.clone())).unwrap_err();
        assert!(error.to_string().contains("2048"), "{bad}");
    }
}

#[test]
fn issuer_and_audience_count_where_they_are_configured() {
    let strict = Api {
        issuer: Some("https://login.example.com".to_owned()),
        audience: Some("exotel-exporter".to_owned()),
        ..api()
    };
    let good = json!({"iss": "https://login.example.com", "aud": ["other", "exotel-exporter"]});
    ask(&strict, &token(good.clone())).unwrap();
    for (name, value, code) in [
        ("iss", json!("https://evil.example.com"), "token_issuer"),
        ("iss", Value::Null, "token_issuer"),
        ("iss", json!(7), "token_issuer"),
        ("aud", json!("other"), "token_audience"),
        ("aud", Value::Null, "token_audience"),
        ("aud", json!([]), "token_audience"),
    ] {
        let mut claims = good.clone();
        claims[name] = value;
        refused(&strict, &token(claims), 401, code);
    }
}

#[test]
fn without_a_key_the_api_is_off_and_with_a_new_one_old_tokens_end() {
    let guard = Guard::new(&Api::default()).unwrap();
    let headers = headers(&format!("Bearer {}", token(json!({}))));
    let refusal = guard.check(&headers, &Role::ALL).unwrap_err();
    assert_eq!((refusal.status.as_u16(), refusal.code), (503, "api_off"));
    guard.change(&api()).unwrap();
    guard.check(&headers, &Role::ALL).unwrap();
    let other = ApiKey::Shared(Secret::new("another secret of at least 32 bytes"));
    guard.change(&Api { key: Some(other), ..api() }).unwrap();
    assert_eq!(guard.check(&headers, &Role::ALL).unwrap_err().code, "token_signature");
    let unusable = Api { key: Some(ApiKey::Public("x".to_owned())), ..api() };
    guard.change(&unusable).unwrap_err();
    assert!(guard.is_on(), "the old key stays");
}

#[test]
fn a_token_that_is_missing_is_said() {
    let guard = Guard::new(&api()).unwrap();
    assert_eq!(guard.check(&HeaderMap::new(), &Role::ALL).unwrap_err().code, "token_missing");
    for other in ["Basic dTpw", "Bearer", "", "Token x"] {
        assert_eq!(guard.check(&headers(other), &Role::ALL).unwrap_err().code, "token_missing", "{other}");
    }
    let lower = headers(&format!("bearer  {} ", token(json!({}))));
    guard.check(&lower, &Role::ALL).unwrap();
}

#[test]
fn an_issued_token_opens_until_it_expires() {
    let strict = Api { issuer: Some("a".to_owned()), audience: Some("b".to_owned()), ..api() };
    for api in [api(), strict] {
        for role in Role::ALL {
            let token = issue(&api, role, Duration::from_secs(60), Timestamp(now())).unwrap();
            assert_eq!(ask(&api, &token).unwrap().roles, [role]);
            let old = issue(&api, role, Duration::from_secs(60), Timestamp(now() - 120)).unwrap();
            refused(&api, &old, 401, "token_expired");
        }
    }
    let minute = Duration::from_secs(60);
    assert_eq!(issue(&Api::default(), Role::Admin, minute, Timestamp(0)), Err(TokenError::NoKey));
    let public = Api { key: Some(ApiKey::Public(String::new())), ..Api::default() };
    assert_eq!(issue(&public, Role::Admin, minute, Timestamp(0)), Err(TokenError::PublicKey));
    assert_eq!(issue(&api(), Role::Admin, Duration::ZERO, Timestamp(0)), Err(TokenError::Lifetime));
    assert_eq!(issue(&api(), Role::Admin, Duration::MAX, Timestamp(0)), Err(TokenError::Lifetime));
}

#[tokio::test]
async fn a_route_says_in_one_line_who_may_use_it() {
    let guard = Guard::new(&api()).unwrap();
    let routes = Router::new()
        .route("/api/read", guard.allow(&Role::ALL, get(|| async { "read" })))
        .route("/api/do", guard.allow(Role::ADMINS, post(|| async { "done" })))
        .merge(api_fallback(&guard));
    let rows = [
        Row::new(Method::GET, "/api/read", &Role::ALL),
        Row::new(Method::POST, "/api/do", Role::ADMINS),
        Row::new(Method::GET, "/api/nothing", &Role::ALL),
        Row::new(Method::DELETE, "/api", &Role::ALL),
    ];
    matrix::holds(&routes, &api(), &rows).await;
}

#[tokio::test]
async fn a_handler_can_ask_who_asks() {
    use axum::Extension;
    use tower::ServiceExt;
    let guard = Guard::new(&api()).unwrap();
    let who = |Extension(caller): Extension<Caller>| async move { caller.subject.unwrap_or_default() };
    let routes = Router::new().route("/who", guard.allow(&Role::ALL, get(who)));
    let request = http::Request::get("/who")
        .header(header::AUTHORIZATION, format!("Bearer {}", token(json!({}))))
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = routes.oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(answer.into_body(), 100).await.unwrap();
    assert_eq!(body, "someone");
}
