//! The environment: one account without a file, under the names that its users already have set.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::credentials;
use super::fault::Findings;
use super::keys::{Form, VARIABLES};
use super::values;
use super::{Account, ApiKey, Config, Secret};

/// How messages name this source.
pub(super) const SOURCE: &str = "environment";

/// Reads variables; an empty one counts as not set, as container tools write it.
pub(super) struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<OsString>,
    findings: &'a Findings,
    given: RefCell<BTreeSet<String>>,
}

impl<'a> Environment<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<OsString>, findings: &'a Findings) -> Self {
        Self { lookup, findings, given: RefCell::default() }
    }

    /// The keys that the variables read so far stand for.
    pub(super) fn given(&self) -> BTreeSet<String> {
        self.given.borrow().clone()
    }

    /// Names of all our variables that are set, in any form.
    pub(super) fn names_set(&self) -> Vec<String> {
        let forms = VARIABLES.iter().flat_map(|v| {
            let file = (v.form == Form::Secret).then(|| format!("{}_FILE", v.name));
            [Some(v.name.to_owned()), file].into_iter().flatten()
        });
        forms.filter(|name| self.is_set(name)).collect()
    }

    fn is_set(&self, name: &str) -> bool {
        (self.lookup)(name).is_some_and(|value| !value.is_empty())
    }

    fn fault(&self, name: &str, reason: impl Into<String>) {
        self.findings.fault(SOURCE, name, reason);
    }

    fn text(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name).filter(|value| !value.is_empty())?;
        if let Some(variable) = VARIABLES.iter().find(|v| v.name == name.trim_end_matches("_FILE")) {
            self.given.borrow_mut().insert(variable.key.to_owned());
        }
        let text = value.into_string();
        if text.is_err() {
            self.fault(name, "expected text, but the value is not UTF-8");
        }
        text.ok()
    }

    fn get<T>(&self, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let result = read(&self.text(name)?);
        result.map_err(|reason| self.fault(name, reason)).ok()
    }

    /// A secret from the variable or from the file that the `_FILE` form names.
    fn secret<T>(&self, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let file_name = format!("{name}_FILE");
        if self.is_set(name) && self.is_set(&file_name) {
            self.fault(&file_name, format!("expected one of {name} and {file_name}, got both"));
            return None;
        }
        let from_file = self.get(&file_name, |path| {
            let text = credentials::read_file(Path::new(path))?;
            read(&text).map_err(|reason| format!("in that file: {reason}"))
        });
        from_file.or_else(|| self.get(name, read))
    }
}

/// Reads every variable over what the file said; the file names no account.
pub(super) fn read(env: &Environment<'_>, config: &mut Config) {
    if let Some(enabled) = env.get("EXOTEL_HEARTBEAT_ENABLED", values::switch) {
        config.heartbeat.enabled = enabled;
    }
    if let Some(enabled) = env.get("EXOTEL_SYNC_ENABLED", values::switch) {
        config.sync.enabled = enabled;
    }
    if let Some(interval) = env.get("EXOTEL_SYNC_INTERVAL_MINUTES", minutes) {
        config.sync.interval = interval;
    }
    if let Some(key) = jwt_secret(env, config) {
        config.api.key = Some(key);
    }
    config.accounts = account(env).into_iter().collect();
}

/// The key of the API. `JWT_SECRET` is the name that another program's secret may be known by on this
/// machine: one that is too short leaves the API off instead of stopping the agent. In a file it is a fault.
fn jwt_secret(env: &Environment<'_>, config: &Config) -> Option<ApiKey> {
    let key = env.secret("JWT_SECRET", |secret| Ok(credentials::jwt_secret(secret, &config.api)))?;
    let reason = match key {
        Ok(key) => return Some(key),
        Err(reason) => reason,
    };
    let then = if config.api.key.is_some() { "the key of the file is used" } else { "the API stays off" };
    let name = if env.is_set("JWT_SECRET") { "JWT_SECRET" } else { "JWT_SECRET_FILE" };
    env.findings.warn(SOURCE, name, format!("{reason}; it is not used and {then}"));
    None
}

/// The one account of the environment, if any of its variables is set.
fn account(env: &Environment<'_>) -> Option<Account> {
    let sid = env.get("EXOTEL_SID", values::sid);
    let api_key = env.secret("EXOTEL_API_KEY", credentials::api_key);
    let api_token = api_token(env);
    let name = env.get("EXOTEL_ACCOUNT_NAME", |text| values::label(text, &["unknown"]));
    let region = env.get("EXOTEL_REGION", values::region);
    let base_url = env.get("EXOTEL_BASE_URL", values::base_url);
    let number = |text: &str| values::phone_number(text).map(Secret::new);
    let from_number = env.get("EXOTEL_FROM_NUMBER", number);
    let caller_id = env.get("EXOTEL_CALLER_ID", number);
    let webhook_secrets = env.secret("EXOTEL_WEBHOOK_SECRET", credentials::webhook_secret_lines);

    if !env.given().iter().any(|key| key.starts_with("accounts[]")) {
        return None;
    }
    for (name, others) in [
        ("EXOTEL_SID", &[][..]),
        ("EXOTEL_API_KEY", &["EXOTEL_API_KEY_FILE"]),
        ("EXOTEL_API_SECRET", &["EXOTEL_API_SECRET_FILE", "EXOTEL_API_TOKEN", "EXOTEL_API_TOKEN_FILE"]),
    ] {
        if !env.is_set(name) && !others.iter().any(|other| env.is_set(other)) {
            env.fault(name, "expected a value, since other variables describe an account; got nothing");
        }
    }
    let mut account = Account::new(sid.as_deref().unwrap_or_default(), "", "");
    account.api_key = api_key.unwrap_or(account.api_key);
    account.api_token = api_token.unwrap_or(account.api_token);
    account.name = name.unwrap_or(account.name);
    account.region = region.unwrap_or(account.region);
    account.set_hosts(base_url, None);
    account.from_number = from_number;
    account.caller_id = caller_id;
    account.webhook_secrets = webhook_secrets.unwrap_or_default();
    Some(account)
}

/// The token has two names; both with one value are fine.
fn api_token(env: &Environment<'_>) -> Option<Secret> {
    let secret = env.secret("EXOTEL_API_SECRET", credentials::token);
    let token = env.secret("EXOTEL_API_TOKEN", credentials::token);
    if let (Some(secret), Some(token)) = (&secret, &token)
        && secret != token
    {
        env.fault("EXOTEL_API_TOKEN", "expected the value of EXOTEL_API_SECRET, its other name; got another");
    }
    secret.or(token)
}

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes = text.trim().parse::<u32>().ok().filter(|minutes| (1..=525_600).contains(minutes));
    minutes
        .map(|minutes| Duration::from_secs(u64::from(minutes) * 60))
        .ok_or_else(|| format!("expected whole minutes from 1, got {text:?}"))
}
