//! Who may do what: the web configuration for pages and metrics, tokens for the API.
//!
//! | path | guarded by |
//! |---|---|
//! | the telemetry path, `/`, `/docs`, `/-/reload`, whatever does not exist | TLS and passwords of [`WebConfig`] |
//! | `/-/healthy`, `/-/ready` | TLS alone |
//! | `/api/…` | TLS and a token: [`Guard`]; no password, since one header cannot carry both |
//! | `/webhooks/…` | TLS and the secret in the path; no client certificate on `web.webhook_listen` |

mod jwt;
#[cfg(test)]
pub(crate) mod matrix;
mod refusal;
mod web_config;

pub use self::jwt::{Caller, Guard, KeyError, Role, TokenError, api_fallback, check_key, issue};
pub use self::refusal::Refusal;
pub(in crate::web) use self::web_config::Door;
pub use self::web_config::{Scheme, WebConfig, check};
