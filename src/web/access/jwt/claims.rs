//! What a token says about its bearer, and how a bad one is answered.

use http::StatusCode;
use jsonwebtoken::Validation;
use jsonwebtoken::errors::ErrorKind;
use serde::Deserialize;
use serde_json::Value;

use super::{Caller, Role};
use crate::web::access::Refusal;

/// The claims that are read here; times, issuer and audience are checked before.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    #[serde(default)]
    sub: Value,
    #[serde(default)]
    role: Value,
    #[serde(default)]
    roles: Value,
}

impl Claims {
    /// Roles under either name, as one word or as a list. Words that are no role of ours are passed over
    /// where another one is.
    pub(super) fn caller(self) -> Result<Caller, Refusal> {
        let forbidden = |code, message| Refusal::new(StatusCode::FORBIDDEN, code, message);
        let words: Vec<&str> = [&self.role, &self.roles]
            .into_iter()
            .flat_map(|claim| match claim {
                Value::Array(list) => list.iter().collect(),
                one => vec![one],
            })
            .filter_map(Value::as_str)
            .collect();
        if words.is_empty() {
            let message = "The token names no role: a claim role or roles is needed.";
            return Err(forbidden("role_missing", message));
        }
        let roles: Vec<Role> = words.iter().filter_map(|word| word.parse().ok()).collect();
        if roles.is_empty() {
            let refusal = forbidden("role_unknown", "The token's role is not known here.");
            return Err(refusal.with_detail("known are super_admin, admin and manager"));
        }
        let subject = self.sub.as_str().map(str::to_owned);
        Ok(Caller { subject, roles })
    }
}

/// How a token that is not good is answered. Nothing of the token is quoted.
pub(super) fn refusal(fault: &ErrorKind, rules: &Validation) -> Refusal {
    let algorithm = rules.algorithms.first().map(|algorithm| format!("{algorithm:?}")).unwrap_or_default();
    let (code, message) = match fault {
        ErrorKind::InvalidAlgorithm => ("token_algorithm", "The token is signed with another algorithm."),
        ErrorKind::InvalidSignature => ("token_signature", "The token is signed with another key."),
        ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
            "exp" => ("token_without_exp", "The token has no expiry: a claim exp in seconds is needed."),
            "iss" => ("token_issuer", "The token does not say who issued it: a claim iss is needed."),
            _ => ("token_audience", "The token does not say whom it is for: a claim aud is needed."),
        },
        ErrorKind::ExpiredSignature => ("token_expired", "The token has expired."),
        ErrorKind::ImmatureSignature => ("token_not_yet_valid", "The token is not valid yet."),
        ErrorKind::InvalidIssuer => ("token_issuer", "The token was issued by somebody else."),
        ErrorKind::InvalidAudience => ("token_audience", "The token is meant for somebody else."),
        _ => ("token_malformed", "The token is not a signed JSON Web Token."),
    };
    let refusal = Refusal::new(StatusCode::UNAUTHORIZED, code, message);
    match code {
        "token_algorithm" | "token_malformed" => refusal.with_detail(format!("{algorithm} is expected")),
        _ => refusal,
    }
}
