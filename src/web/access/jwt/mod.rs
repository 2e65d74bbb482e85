//! Tokens of the monitoring API: JSON Web Tokens with a role.
//!
//! One line at a route says who may use it:
//!
//! ```ignore
//! Router::new()
//!     .route("/api/monitoring/sync/status", guard.allow(&Role::ALL, get(status)))
//!     .route("/api/monitoring/sync/trigger", guard.allow(Role::ADMINS, post(trigger)))
//! ```
//!
//! A handler that wants to know who asks takes `Extension<Caller>`.

mod claims;
mod crypto;
mod issue;
mod key;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any};
use http::{HeaderMap, StatusCode, header};
use jsonwebtoken::{DecodingKey, Validation};

use self::claims::Claims;
use super::Refusal;
use crate::config::{Api, ApiKey};

pub use self::issue::{TokenError, issue};
pub use self::key::KeyError;

/// Difference between the clocks of who signs and who checks that is forgiven.
const LEEWAY_SECONDS: u64 = 5;

/// What a caller may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// `super_admin`
    SuperAdmin,
    /// `admin`
    Admin,
    /// `manager`
    Manager,
}

impl Role {
    /// Everybody who has a role.
    pub const ALL: [Self; 3] = [Self::SuperAdmin, Self::Admin, Self::Manager];
    /// Those who may change something.
    pub const ADMINS: &'static [Self] = &[Self::SuperAdmin, Self::Admin];

    /// The word in a token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SuperAdmin => "super_admin",
            Self::Admin => "admin",
            Self::Manager => "manager",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let role = Self::ALL.into_iter().find(|role| role.as_str() == word);
        role.ok_or_else(|| format!("expected super_admin, admin or manager, got {word:?}"))
    }
}

/// Who asks, by a token that was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Claim `sub`, as whoever signed it wrote it.
    pub subject: Option<String>,
    /// The roles that are known here; at least one.
    pub roles: Vec<Role>,
}

/// Checks tokens. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Guard(Arc<ArcSwapOption<Lock>>);

/// Checks a key without using it.
///
/// # Errors
/// What was expected.
pub fn check_key(key: &ApiKey) -> Result<(), KeyError> {
    key::read(key).map(drop)
}

/// Key and rules.
struct Lock {
    key: DecodingKey,
    rules: Validation,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("on", &self.is_on()).finish_non_exhaustive()
    }
}

impl Guard {
    /// For the settings of the API; without a key it answers 503 to everybody.
    ///
    /// # Errors
    /// When the key cannot be used.
    pub fn new(api: &Api) -> Result<Self, KeyError> {
        crypto::install();
        let guard = Self(Arc::default());
        guard.change(api)?;
        Ok(guard)
    }

    /// Takes other settings from the next request on.
    ///
    /// # Errors
    /// When the key cannot be used; the old settings stay then.
    pub fn change(&self, api: &Api) -> Result<(), KeyError> {
        let lock = api.key.as_ref().map(|key| Lock::new(key, api)).transpose()?;
        self.0.store(lock.map(Arc::new));
        Ok(())
    }

    /// Whether there is a key.
    pub fn is_on(&self) -> bool {
        self.0.load().is_some()
    }

    /// Lets only these roles through to a route's handlers.
    pub fn allow<S>(
        &self,
        roles: &'static [Role],
        route: MethodRouter<S, Infallible>,
    ) -> MethodRouter<S, Infallible>
    where
        S: Clone + Send + Sync + 'static,
    {
        route.layer(from_fn_with_state((self.clone(), roles), let_through))
    }

    /// Who sent these headers.
    ///
    /// # Errors
    /// 503 without a key, 401 without a good token, 403 without one of these roles.
    pub fn check(&self, headers: &HeaderMap, roles: &[Role]) -> Result<Caller, Refusal> {
        let lock = self.0.load_full().ok_or_else(|| {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "api_off", "The API is off: it has no key.")
                .with_detail("set api.jwt_secret, api.jwt_secret_file or api.jwt_public_key_file")
        })?;
        let claims: Claims = jsonwebtoken::decode(bearer(headers)?, &lock.key, &lock.rules)
            .map_err(|error| claims::refusal(error.kind(), &lock.rules))?
            .claims;
        let caller = claims.caller()?;
        if caller.roles.iter().any(|role| roles.contains(role)) {
            return Ok(caller);
        }
        let wanted: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        let message = "The token's role does not allow this.";
        let refusal = Refusal::new(StatusCode::FORBIDDEN, "role_not_allowed", message);
        Err(refusal.with_detail(format!("one of {} is needed", wanted.join(", "))))
    }
}

impl Lock {
    fn new(key: &ApiKey, api: &Api) -> Result<Self, KeyError> {
        let (algorithm, key) = key::read(key)?;
        let mut rules = Validation::new(algorithm);
        rules.leeway = LEEWAY_SECONDS;
        rules.validate_nbf = true;
        rules.validate_aud = api.audience.is_some();
        let mut required = vec!["exp"];
        if let Some(issuer) = &api.issuer {
            rules.set_issuer(&[issuer]);
            required.push("iss");
        }
        if let Some(audience) = &api.audience {
            rules.set_audience(&[audience]);
            required.push("aud");
        }
        rules.set_required_spec_claims(&required);
        Ok(Self { key, rules })
    }
}

/// What lies below `/api` and is no route: 404 to those who have a role, and to nobody else.
pub fn api_fallback(guard: &Guard) -> Router {
    async fn nothing() -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, "not_found", "Nothing lives at this path.")
    }
    Router::new()
        .route("/api", guard.allow(&Role::ALL, any(nothing)))
        .route("/api/{*path}", guard.allow(&Role::ALL, any(nothing)))
}

/// The token of `Authorization: Bearer …`.
fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let unauthorized = |code, message| Refusal::new(StatusCode::UNAUTHORIZED, code, message);
    let value = headers
        .get(header::AUTHORIZATION)
        .ok_or_else(|| unauthorized("token_missing", "A token is needed: Authorization: Bearer …"))?;
    let (scheme, token) = value.to_str().ok().and_then(|value| value.split_once(' ')).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") {
        let message = "The Authorization header holds no bearer token: Authorization: Bearer …";
        return Err(unauthorized("token_missing", message));
    }
    Ok(token.trim())
}

async fn let_through(
    State((guard, roles)): State<(Guard, &'static [Role])>,
    mut request: Request,
    next: Next,
) -> Response {
    match guard.check(request.headers(), roles) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}
