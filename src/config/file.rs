//! The configuration file: which keys there are and how each is read.
//!
//! Paths: those of secrets and of `web.config_file` are relative to the file's folder, so that a
//! configuration can be moved as a whole; `store.path` is relative to the current directory, as data
//! is the run's and not the configuration's.

use std::path::PathBuf;
use std::time::Duration;

use super::node::Node;
use super::section::{Section, boolean, duration_from, integer, interval, none_or, text, text_as};
use super::section::{phone_number, share};
use super::values;
use super::{Account, Config, PageExophones, Privacy, RateLimits, Secret, credentials};
use crate::model::{UtcOffset, last_ten_digits};

/// What `exotel_webhooks_*` and `exotel_calls*` use for what belongs to nobody.
const RESERVED_ACCOUNTS: [&str; 1] = ["unknown"];
const RESERVED_EXOPHONES: [&str; 2] = ["unknown", "_other"];

/// The kinds of webhook, as in `/webhooks/{account}/{secret}/{kind}`.
const WEBHOOKS: [&str; 4] = ["heartbeat", "calls", "sms", "passthru"];

/// Reads the whole file over the defaults in `config`.
pub(super) fn read(root: Section<'_>, config: &mut Config) {
    config.accounts = root.sections("accounts").into_iter().map(account).collect();
    heartbeat(root.section("heartbeat"), config);
    sync(root.section("sync"), config);
    webhooks(root.section("webhooks"), config);
    retry(root.section("retry"), config);
    store(root.section("store"), config);
    api(root.section("api"), config);
    outbound(root.section("outbound"), config);
    privacy(root.section("privacy"), config);
    web(root.section("web"), config);
    limits(root.section("limits"), config);
    retention(root.section("retention"), config);
    log(root.section("log"), config);
    root.finish();
}

/// Whether a file names accounts, faulty ones included: then the environment's is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccountsNamed {
    Yes,
    No,
}

pub(super) fn accounts_named(root: &Node) -> AccountsNamed {
    let accounts = match root {
        Node::Map(entries) => entries.iter().find(|(key, _)| key == "accounts").map(|(_, node)| node),
        Node::Null => None,
        // Not a mapping: a fault already, and not one of the accounts.
        _ => return AccountsNamed::Yes,
    };
    match accounts {
        None | Some(Node::Null) => AccountsNamed::No,
        Some(Node::List(list)) if list.is_empty() => AccountsNamed::No,
        Some(_) => AccountsNamed::Yes,
    }
}

fn account(section: Section<'_>) -> Account {
    let sid = section.get("sid", text_as(values::sid));
    let mut account = Account::new(sid.as_deref().unwrap_or_default(), "", "");
    section.set("name", &mut account.name, text_as(|text| values::label(text, &RESERVED_ACCOUNTS)));
    account.api_key = credentials::required(&section, "api_key", "api_key_file", credentials::api_key);
    account.api_token = credentials::required(&section, "api_token", "api_token_file", credentials::token);
    section.set("region", &mut account.region, text_as(values::region));
    let base = section.get("base_url", text_as(values::base_url));
    let ccm_base = section.get("ccm_base_url", text_as(values::base_url));
    account.set_hosts(base, ccm_base);
    section.set("utc_offset", &mut account.utc_offset, utc_offset);
    section.set("currency", &mut account.currency, text_as(values::currency));
    section.set("channel_limit", &mut account.channel_limit, none_or(integer(1..=u32::MAX)));
    account.webhook_secrets = credentials::webhook_secrets(&section);
    section.set("heartbeat_expected_every", &mut account.heartbeat_expected_every, interval);
    expected_webhooks(&section, &mut account);
    if let Some(directions) = section.list("expected_callbacks", text_as(values::direction)) {
        account.expected_callbacks = directions;
        if !account.expected_webhooks.iter().any(|kind| kind == "calls" || kind == "passthru") {
            section.warn(
                "expected_callbacks",
                "without effect: expected_webhooks names neither calls nor passthru",
            );
        }
    }
    exophones(&section, &mut account);
    section.set("background_share", &mut account.background_share, share);
    account.from_number = section.get("from_number", phone_number).map(Secret::new);
    account.caller_id = section.get("caller_id", phone_number).map(Secret::new);
    rate_limits(section.section("rate_limits"), &mut account.rate_limits);
    let balance = section.section("balance");
    balance.set("enabled", &mut account.balance.enabled, boolean);
    balance.set("interval", &mut account.balance.interval, interval);
    balance.finish();
    if sid.is_none() && !section.has("sid") {
        section.fault("sid", "expected the account's sid, got nothing");
    }
    section.finish();
    account
}

fn utc_offset(node: &Node) -> Result<UtcOffset, String> {
    let text = text(node)?;
    UtcOffset::parse(text).ok_or_else(|| format!("expected an offset such as \"+05:30\", got {node}"))
}

fn expected_webhooks(section: &Section<'_>, account: &mut Account) {
    let kinds = section.list(
        "expected_webhooks",
        text_as(|word| match word {
            _ if WEBHOOKS.contains(&word) => Ok(word.to_owned()),
            _ => Err(format!("expected one of {}, got {word:?}", WEBHOOKS.join(", "))),
        }),
    );
    let Some(kinds) = kinds else { return };
    if !kinds.is_empty() && account.webhook_secrets.is_empty() && section.uses_secrets() {
        section.fault("expected_webhooks", "expected webhook_secrets too: without one no webhook is taken");
    }
    account.expected_webhooks = kinds;
}

/// Numbers and aliases. Faults name an entry by its place, since numbers stay out of messages.
fn exophones(section: &Section<'_>, account: &mut Account) {
    for (n, (number, alias)) in section.map("exophones").iter().enumerate() {
        let fault = |reason: String| section.fault(&format!("exophones (entry {})", n + 1), reason);
        // Not quoted: number and alias may have been swapped.
        let read = values::phone_number(number).and_then(|number| {
            let text = text(alias).map_err(|_| format!("expected a text as alias, got {}", alias.kind()))?;
            Ok((number, values::label(text, &RESERVED_EXOPHONES)?))
        });
        let (number, alias) = match read {
            Ok(entry) => entry,
            Err(reason) => {
                fault(reason);
                continue;
            }
        };
        if account.exophones.keys().any(|known| same_number(known, &number)) {
            fault("expected each number once, but it stands above".to_owned());
        }
        if account.exophones.values().any(|known| *known == alias) {
            fault(format!("expected an alias of its own, but {alias:?} stands above"));
        }
        account.exophones.insert(number, alias);
    }
    let paged = section.get("page_exophones", |node| match node {
        Node::Text(word) if word == "all" => Ok(PageExophones::All),
        Node::Text(word) if word == "none" => Ok(PageExophones::None),
        Node::List(numbers) => {
            numbers.iter().map(phone_number).collect::<Result<_, _>>().map(PageExophones::Only)
        }
        other => Err(format!("expected all, none or a list of numbers, got {}", other.kind())),
    });
    if let Some(paged) = paged {
        account.page_exophones = paged;
    }
}

/// Whether two spellings are one number.
fn same_number(a: &str, b: &str) -> bool {
    match (last_ten_digits(a), last_ten_digits(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

fn rate_limits(section: Section<'_>, limits: &mut RateLimits) {
    let published = RateLimits::PUBLISHED;
    let pools = [
        ("voice", &mut limits.voice, published.voice),
        ("exophones", &mut limits.exophones, published.exophones),
        ("sms", &mut limits.sms, published.sms),
    ];
    for (key, limit, published) in pools {
        section.set(key, limit, integer(1..=u32::MAX));
        if *limit > published {
            section.warn(
                key,
                format!("{limit} requests a minute are used, though Exotel publishes {published}"),
            );
        }
    }
    section.finish();
}

fn heartbeat(section: Section<'_>, config: &mut Config) {
    section.set("enabled", &mut config.heartbeat.enabled, boolean);
    section.set("interval", &mut config.heartbeat.interval, interval);
    section.finish();
}

fn sync(section: Section<'_>, config: &mut Config) {
    let sync = &mut config.sync;
    section.set("enabled", &mut sync.enabled, boolean);
    section.set("interval", &mut sync.interval, interval);
    section.set("lookback", &mut sync.lookback, interval);
    section.set("lag", &mut sync.lag, |node| match node {
        Node::Text(word) if word == "auto" => Ok(None),
        other => duration_from(Duration::ZERO)(other)
            .map(Some)
            .map_err(|reason| reason.replacen("expected ", "expected auto or ", 1)),
    });
    section.set("settle_after", &mut sync.settle_after, interval);
    section.set("short_call", &mut sync.short_call, duration_from(Duration::ZERO));
    section.finish();
}

fn webhooks(section: Section<'_>, config: &mut Config) {
    section.set("missed_after", &mut config.webhooks.missed_after, interval);
    if let Some(networks) = section.list("allow_from", text_as(values::network)) {
        config.webhooks.allow_from = networks;
    }
    section.finish();
}

fn retry(section: Section<'_>, config: &mut Config) {
    section.set("attempts", &mut config.retry.attempts, integer(0..=20));
    section.set(
        "initial_backoff",
        &mut config.retry.initial_backoff,
        duration_from(Duration::from_millis(1)),
    );
    section.finish();
}

fn store(section: Section<'_>, config: &mut Config) {
    section.set("path", &mut config.store.path, text_as(path));
    section.set("retention", &mut config.store.retention, interval);
    section.set(
        "max_size",
        &mut config.store.max_size,
        none_or(|node| match node {
            Node::Integer(bytes) => values::size(&bytes.to_string()),
            other => text_as(values::size)(other),
        }),
    );
    section.finish();
}

fn api(section: Section<'_>, config: &mut Config) {
    section.set("allow_short_secret", &mut config.api.allow_short_secret, boolean);
    config.api.key = credentials::api_key_of(&section, &config.api);
    section.set("jwt_issuer", &mut config.api.issuer, none_or(text_as(claim)));
    section.set("jwt_audience", &mut config.api.audience, none_or(text_as(claim)));
    if let Some(origins) = section.list("cors_origins", text_as(values::origin)) {
        config.api.cors_origins = origins;
    }
    section.finish();
}

fn claim(text: &str) -> Result<String, String> {
    match text {
        "" => Err("expected a text, got an empty one".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

fn outbound(section: Section<'_>, config: &mut Config) {
    section.set("enabled", &mut config.outbound.enabled, boolean);
    section.finish();
}

fn privacy(section: Section<'_>, config: &mut Config) {
    section.set(
        "phone_numbers",
        &mut config.privacy,
        text_as(|word| match word {
            "masked" => Ok(Privacy::Masked),
            "hashed" => Ok(Privacy::Hashed),
            "plain" => Ok(Privacy::Plain),
            _ => Err(format!("expected masked, hashed or plain, got {word:?}")),
        }),
    );
    section.finish();
}

fn web(section: Section<'_>, config: &mut Config) {
    let web = &mut config.web;
    if let Some(listen) = section.list("listen", text_as(values::listen_address)) {
        web.listen = listen;
    }
    section.set("telemetry_path", &mut web.telemetry_path, text_as(values::telemetry_path));
    section.set("config_file", &mut web.config_file, |node| {
        let file = none_or(text_as(path))(node)?;
        Ok(file.map(|path| section.path_beside_file(path)))
    });
    if let Some(listen) = section.list("webhook_listen", text_as(values::listen_address)) {
        web.webhook_listen = listen;
    }
    section.finish();
}

fn limits(section: Section<'_>, config: &mut Config) {
    let exophones = section.get("exophones", integer(1..=100_000));
    if let Some(exophones) = exophones {
        config.limits.exophones = exophones as usize;
    }
    section.finish();
}

fn retention(section: Section<'_>, config: &mut Config) {
    section.set("health_checks", &mut config.retention.health_checks, interval);
    section.set("health_checks_raw", &mut config.retention.health_checks_raw, interval);
    section.set("sync_runs", &mut config.retention.sync_runs, interval);
    section.finish();
}

fn log(section: Section<'_>, config: &mut Config) {
    section.set("level", &mut config.log.level, text_as(values::log_level));
    section.set("format", &mut config.log.format, text_as(values::log_format));
    section.finish();
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("expected a path, got an empty text".to_owned());
    }
    Ok(PathBuf::from(text))
}
