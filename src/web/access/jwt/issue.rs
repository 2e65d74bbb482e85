//! Tokens of our own, for people and scripts without an identity provider.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::{Role, crypto};
use crate::config::{Api, ApiKey};
use crate::model::Timestamp;

/// Why no token can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is no key.
    #[error(
        "no key is configured: set api.jwt_secret or api.jwt_secret_file in the configuration file, or \
         JWT_SECRET in the environment"
    )]
    NoKey,
    /// A public key checks tokens and cannot sign them.
    #[error(
        "api.jwt_public_key_file is configured, and a public key cannot sign: take the token from whoever \
         holds the private key"
    )]
    PublicKey,
    /// A time to live of nothing, or beyond what a date can say.
    #[error("expected a time to live of at least 1s and at most 36500d")]
    Lifetime,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'static str,
    role: &'static str,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

/// Signs a token (HS256) that [`super::Guard`] takes until `now` plus `ttl`.
///
/// # Errors
/// Without a key that can sign.
pub fn issue(api: &Api, role: Role, ttl: Duration, now: Timestamp) -> Result<String, TokenError> {
    let secret = match &api.key {
        None => return Err(TokenError::NoKey),
        Some(ApiKey::Public(_)) => return Err(TokenError::PublicKey),
        Some(ApiKey::Shared(secret)) => secret,
    };
    let ttl = i64::try_from(ttl.as_secs()).ok().filter(|ttl| (1..=36_500 * 86_400).contains(ttl));
    let claims = Claims {
        sub: "exotel-exporter token",
        role: role.as_str(),
        iat: now.0,
        exp: now.plus(ttl.ok_or(TokenError::Lifetime)?).0,
        iss: api.issuer.as_deref(),
        aud: api.audience.as_deref(),
    };
    crypto::install();
    let key = EncodingKey::from_secret(secret.expose().as_bytes());
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key);
    Ok(token.expect("plain claims under a secret are always signed"))
}
