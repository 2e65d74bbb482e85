//! What must fit together, once every single value is known to be sound.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::env;
use super::fault::Findings;
use super::values::write_duration;
use super::{Account, Accounts, Config, Region};
use crate::web::access;

/// Where the settings came from, for messages.
#[derive(Debug)]
pub(super) struct Origin {
    /// The file's name.
    pub(super) file: Option<String>,
    /// Whether the accounts are the environment's.
    pub(super) accounts_from_environment: bool,
}

impl Origin {
    fn settings(&self) -> &str {
        self.file.as_deref().unwrap_or("settings")
    }

    fn accounts(&self) -> &str {
        if self.accounts_from_environment { env::SOURCE } else { self.settings() }
    }

    fn account_key(&self, n: usize, key: &'static str) -> String {
        match (self.accounts_from_environment, key) {
            (true, "base_url") => "EXOTEL_BASE_URL".to_owned(),
            (true, "name") => "EXOTEL_ACCOUNT_NAME".to_owned(),
            (true, "webhook_secrets") => "EXOTEL_WEBHOOK_SECRET".to_owned(),
            (true, _) => key.to_owned(),
            (false, _) => format!("accounts[{n}].{key}"),
        }
    }
}

/// Exotel's longest call; older ones cannot end any more.
const LONGEST_CALL: Duration = Duration::from_secs(4 * 3600);

/// The audit of an hour is repeated after a day: what it compares with must still be stored.
const SECOND_AUDIT: Duration = Duration::from_secs(25 * 3600);

pub(super) fn all(config: &Config, origin: &Origin, accounts: Accounts, findings: &Findings) {
    if config.accounts.is_empty() && origin.accounts_from_environment && accounts == Accounts::Required {
        findings.fault(
            origin.settings(),
            "accounts",
            "expected at least one account here, or EXOTEL_SID, EXOTEL_API_KEY and EXOTEL_API_SECRET in the environment",
        );
    }
    duplicates(config, origin, findings);
    for (n, account) in config.accounts.iter().enumerate() {
        let warn = |key, text: String| findings.warn(origin.accounts(), &origin.account_key(n, key), text);
        hosts(account, warn);
        limits(account, warn);
        if account.webhook_secrets.iter().any(|secret| secret.expose().len() < 16) {
            warn("webhook_secrets", "a secret of fewer than 16 characters can be guessed".to_owned());
        }
    }
    sync(config, origin.settings(), findings);
    retention(config, origin.settings(), findings);
    web(config, origin.settings(), findings);
    // Commands that serve nothing do not need it, and `demo` reads it when it begins to serve.
    if let Some(path) = config.web.config_file.as_ref().filter(|_| accounts == Accounts::Required) {
        findings.take(access::check(path));
    }
    if config.store.path.is_dir() {
        let reason = format!("expected a file, but {} is a folder", config.store.path.display());
        findings.fault(origin.settings(), "store.path", reason);
    }
}

/// Two entries for one sid would double the limit; two meanings of one name would mix accounts.
fn duplicates(config: &Config, origin: &Origin, findings: &Findings) {
    let mut words: BTreeMap<&str, usize> = BTreeMap::new();
    for (n, account) in config.accounts.iter().enumerate().filter(|(_, account)| !account.sid.is_empty()) {
        let fault = |key, reason| findings.fault(origin.accounts(), &origin.account_key(n, key), reason);
        if let Some(first) = words.insert(&account.sid, n) {
            let sid = &account.sid;
            fault("sid", format!("expected each account once, but {sid} is taken by accounts[{first}]"));
        }
        if account.name == account.sid {
            continue;
        }
        if let Some(first) = words.insert(&account.name, n) {
            let name = &account.name;
            fault("name", format!("expected a name of its own, but {name:?} is taken by accounts[{first}]"));
        }
    }
}

fn hosts(account: &Account, warn: impl Fn(&'static str, String)) {
    for (key, url) in [("base_url", &account.base_url), ("ccm_base_url", &account.ccm_base_url)] {
        let Ok(url) = reqwest::Url::parse(url) else { continue };
        let host = url.host_str().unwrap_or_default();
        if let Some(region) = Region::of_host(host)
            && region != account.region
        {
            let (of, set) = (region.as_str(), account.region.as_str());
            warn(key, format!("{host} is the host of region {of}, but the region is {set}: expect 401"));
        }
        if url.scheme() == "http" && !is_loopback(host) {
            warn(key, format!("key and token go to {host} unencrypted; https:// would protect them"));
        }
        if url.path().trim_end_matches('/').split('/').any(|part| matches!(part, "v1" | "v2" | "v3")) {
            warn(
                key,
                "the URL names a version of the API, but requests bring their own (/v1/Accounts/…)".into(),
            );
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback())
}

fn limits(account: &Account, warn: impl Fn(&'static str, String)) {
    let share = account.background_share;
    let voice = f64::from(account.rate_limits.voice) * share;
    if voice < 1.0 {
        let voice = account.rate_limits.voice;
        warn(
            "background_share",
            format!("{share} of {voice} is less than one request a minute for reading calls"),
        );
    }
}

fn sync(config: &Config, source: &str, findings: &Findings) {
    let sync = &config.sync;
    if sync.lookback < LONGEST_CALL {
        let got = write_duration(sync.lookback);
        findings.warn(
            source,
            "sync.lookback",
            format!("{got} is less than 4h: longer calls wait for the hourly audit"),
        );
    }
    if sync.lag() >= sync.lookback {
        let (lag, lookback) = (write_duration(sync.lag()), write_duration(sync.lookback));
        let auto = if sync.lag.is_none() { "auto, which is two thirds of sync.settle_after: " } else { "" };
        let reason = format!("expected less than sync.lookback ({lookback}), got {auto}{lag}");
        findings.fault(source, "sync.lag", reason);
    } else if sync.lag() >= sync.settle_after {
        let (lag, settle) = (write_duration(sync.lag()), write_duration(sync.settle_after));
        let text = format!("{lag} is not below sync.settle_after ({settle}): calls settle later than that");
        findings.warn(source, "sync.lag", text);
    }
    if sync.interval > sync.lookback {
        let (interval, lookback) = (write_duration(sync.interval), write_duration(sync.lookback));
        let text =
            format!("{interval} is longer than sync.lookback ({lookback}): every run works off a backlog");
        findings.warn(source, "sync.interval", text);
    }
}

fn retention(config: &Config, source: &str, findings: &Findings) {
    let (kept, lookback) = (config.store.retention, config.sync.lookback);
    if kept <= lookback {
        let (kept, lookback) = (write_duration(kept), write_duration(lookback));
        let reason = format!("expected more than sync.lookback ({lookback}), got {kept}");
        findings.fault(source, "store.retention", reason);
    } else if kept < lookback + SECOND_AUDIT {
        let least = write_duration(lookback + SECOND_AUDIT);
        let text = format!("below {least} calls go before the audit has looked at them twice");
        findings.warn(source, "store.retention", text);
    }
    let (raw, summaries) = (config.retention.health_checks_raw, config.retention.health_checks);
    if raw > summaries {
        let (raw, summaries) = (write_duration(raw), write_duration(summaries));
        let reason = format!("expected at most retention.health_checks ({summaries}), got {raw}");
        findings.fault(source, "retention.health_checks_raw", reason);
    }
}

fn web(config: &Config, source: &str, findings: &Findings) {
    let web = &config.web;
    if web.listen.is_empty() {
        findings.fault(source, "web.listen", "expected at least one address, got an empty list");
    }
    let mut seen: Vec<&SocketAddr> = Vec::new();
    let addresses = web.listen.iter().map(|a| ("web.listen", a));
    for (key, address) in addresses.chain(web.webhook_listen.iter().map(|a| ("web.webhook_listen", a))) {
        if address.port() != 0 && seen.contains(&address) {
            findings.fault(source, key, format!("expected each address once, got {address} again"));
        }
        seen.push(address);
    }
}
