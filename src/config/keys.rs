//! Every key of the file and every variable of the environment, for the documentation and for the
//! warning about settings that do nothing yet. Tests hold this list against what the readers ask for.

/// One key of the configuration file.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Where it stands: `accounts[].rate_limits.voice`.
    pub path: &'static str,
    /// What it takes.
    pub kind: &'static str,
    /// Its default, as it would be written; `required` and phrases in words where it cannot be.
    pub default: &'static str,
    /// An example, as it would be written.
    pub example: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// Whether this version does it.
    pub effect: Effect,
}

/// Whether a setting does something in this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It does.
    Works,
    /// It is read and checked; what uses it comes with a later version.
    NotYet,
}

/// One variable of the environment.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name; secrets also take the name with `_FILE`.
    pub name: &'static str,
    /// The key of the file that it stands for.
    pub key: &'static str,
    /// Whether the `_FILE` form exists.
    pub form: Form,
    /// What it takes and does.
    pub meaning: &'static str,
}

/// How a variable may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The value only.
    Plain,
    /// The value, or under the name with `_FILE` the path of the file that holds it.
    Secret,
}

const fn key(
    path: &'static str,
    kind: &'static str,
    default: &'static str,
    example: &'static str,
    meaning: &'static str,
) -> Key {
    Key { path, kind, default, example, meaning, effect: Effect::Works }
}

const fn later(key: Key) -> Key {
    Key { effect: Effect::NotYet, ..key }
}

/// Every key, in the order of the documentation.
// A table: one row a line is how it is read.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key("accounts[].name", "text", "the sid", "acme", "Value of the `account` label. May be renamed: history stays with the sid."),
    key("accounts[].sid", "text", "required", "acme1", "Account sid, as Exotel's API settings page shows it."),
    key("accounts[].api_key", "text", "required", "\"0a1b2c\"", "API key. Keep the quotes: some keys look like numbers."),
    key("accounts[].api_key_file", "path", "none", "secrets/key", "File that holds the key, instead of `api_key`."),
    key("accounts[].api_token", "text", "required", "\"3d4e5f\"", "API token."),
    key("accounts[].api_token_file", "path", "none", "secrets/token", "File that holds the token, instead of `api_token`."),
    key("accounts[].region", "`singapore`, `mumbai`, `sg`, `in`", "singapore", "mumbai", "Where the account lives. The other region's host answers 401."),
    key("accounts[].base_url", "URL", "by region", "http://127.0.0.1:10044", "Base of the voice, ExoPhone, SMS and balance APIs; `/v1/Accounts/…` is put after it."),
    key("accounts[].ccm_base_url", "URL", "by region; `base_url` where that is not a host of Exotel's", "https://ccm.example.com", "Base of the v2 and v3 call APIs."),
    key("accounts[].utc_offset", "offset", "\"+05:30\"", "\"+00:00\"", "Offset of Exotel's zone-less times."),
    key("accounts[].currency", "code", "INR", "USD", "Currency of prices: a label, nothing is converted."),
    key("accounts[].channel_limit", "whole number or `none`", "none", "30", "Concurrent calls bought; exported for alerts."),
    key("accounts[].webhook_secrets", "list of texts", "none", "[\"1f2e3d4c5b6a7988\"]", "Secrets that webhooks of this account may carry in their URL; several while one is replaced. None: the account takes no webhooks."),
    key("accounts[].webhook_secrets_file", "path", "none", "secrets/webhooks", "File with one secret on each line, instead of `webhook_secrets`."),
    key("accounts[].expected_webhooks", "list of `heartbeat`, `calls`, `sms`, `passthru`", "[]", "[heartbeat, calls]", "Kinds whose silence alarms. Needs a webhook secret."),
    key("accounts[].expected_callbacks", "list of `inbound`, `outbound-dial`, `outbound-api`", "[outbound-api]", "[inbound, outbound-api]", "Calls that a callback should announce, else they count as missed; for accounts whose `expected_webhooks` names `calls` or `passthru`. Exotel sends StatusCallbacks only for calls of its API. Name the others where a Passthru is part of every flow (`passthru`), or callbacks are set for the whole account (`calls`)."),
    key("accounts[].heartbeat_expected_every", "duration", "5m", "1m", "How often Exotel's dashboard is set to push heartbeats."),
    key("accounts[].exophones", "mapping", "{}", "{\"+918000000011\": sales}", "Number to alias, for the `exophone` label. Each number and each alias once."),
    key("accounts[].page_exophones", "`all`, `none` or a list of numbers", "all", "[\"+918000000011\"]", "Numbers whose outage pages."),
    key("accounts[].rate_limits.voice", "whole number", "200", "150", "Most requests in any 60 seconds to the voice APIs. Exotel publishes 200; above it: used, with a warning."),
    key("accounts[].rate_limits.exophones", "whole number", "40", "30", "The same for the ExoPhone APIs. Exotel publishes 50."),
    key("accounts[].rate_limits.sms", "whole number", "120", "60", "The same for the SMS APIs. Exotel publishes 200."),
    key("accounts[].background_share", "number above 0, at most 1", "0.3", "1", "Part of each ceiling for reading in the background, since the customer's own systems share Exotel's limit. 1 for who has it alone."),
    key("accounts[].balance.enabled", "true or false", "false", "true", "Whether the balance is read."),
    key("accounts[].balance.interval", "duration", "15m", "1h", "How often; at most once a minute is asked, but for a demo with a `sync.settle_after` below a minute."),
    later(key("accounts[].from_number", "phone number", "none", "\"+918000000012\"", "Number that outbound calls connect first, where a request names none.")),
    later(key("accounts[].caller_id", "phone number", "none", "\"+918000000011\"", "ExoPhone that outbound calls show.")),
    key("heartbeat.enabled", "true or false", "true", "false", "Whether the connectivity of ExoPhones is polled. The list of ExoPhones is read either way, for the labels."),
    key("heartbeat.interval", "duration", "1m", "5m", "How often ExoPhones are polled. Where there are more than the limit has room for, they take turns."),
    key("sync.enabled", "true or false", "true", "false", "Whether calls are read."),
    key("sync.interval", "duration", "15m", "5m", "How often calls are read."),
    key("sync.lookback", "duration", "4h20m", "5h", "How far back an ended call may have begun: Exotel files calls under their start and shows them after their end. Below 4h long calls come late."),
    key("sync.lag", "duration or `auto`", "auto", "10m", "How far behind now big accounts are read first, so that most calls are read once. `auto`: two thirds of `settle_after`, none while the whole look-back is a few pages."),
    key("sync.settle_after", "duration", "30m", "20m", "When a call counts although something about it is still unknown."),
    key("sync.short_call", "duration", "10s", "5s", "Answered calls with less talk than this count as short."),
    key("webhooks.missed_after", "duration", "25m", "40m", "Age at which a call that no callback announced counts as a missed webhook. Exotel tries for 20 minutes."),
    key("webhooks.allow_from", "list of networks", "[]", "[203.0.113.0/24]", "Where webhooks may come from; all if empty."),
    key("retry.attempts", "whole number, 0 to 20", "3", "5", "Retries of a failed read after the first try."),
    key("retry.initial_backoff", "duration", "2s", "1s", "First wait, doubled each time, with jitter."),
    key("store.path", "path", "data/exotel-exporter.redb", "/var/lib/exotel-exporter/store.redb", "The store's file, relative to the current directory. The folder is made if it is missing; the file's mode is 0600."),
    key("store.retention", "duration", "190d", "400d", "Age at which calls go. Exotel keeps six months."),
    key("store.max_size", "size or `none`", "none", "20GiB", "Size of the store's file that alerts measure against. Nothing is cut."),
    key("api.jwt_secret", "text", "none", "\"a secret of at least 32 bytes, kept here\"", "HS256 secret that tokens of the monitoring API are checked with. Without a key the API is off."),
    key("api.jwt_secret_file", "path", "none", "secrets/jwt", "File that holds it, instead of `jwt_secret`."),
    key("api.jwt_public_key_file", "path", "none", "secrets/jwt.pem", "Public key in PEM form for RS256 or ES256, instead of a secret."),
    key("api.allow_short_secret", "true or false", "false", "true", "Take a secret of fewer than 32 bytes. It can be guessed from one token."),
    key("api.jwt_issuer", "text or `none`", "none", "https://login.example.com", "Issuer that a token must name in its claim `iss`."),
    key("api.jwt_audience", "text or `none`", "none", "exotel-exporter", "Audience that a token must be for, in its claim `aud`."),
    key("api.cors_origins", "list of origins", "[]", "[\"https://ops.example.com\"]", "Browser origins that may use the API."),
    later(key("outbound.enabled", "true or false", "false", "true", "Whether admins may place calls and send messages through the API.")),
    key("privacy.phone_numbers", "`masked`, `hashed`, `plain`", "masked", "hashed", "How numbers of customers and agents are shown."),
    key("web.listen", "list of addresses", "[\"127.0.0.1:10043\"]", "[\":10043\"]", "Where to listen. `:PORT` is every IPv4 address of the machine."),
    key("web.telemetry_path", "path of a URL", "/metrics", "/probe", "Where the metrics are."),
    key("web.config_file", "path or `none`", "none", "web.yml", "TLS, passwords and headers in the format of the Prometheus exporter toolkit. It and the files it names are read again when they change."),
    key("web.webhook_listen", "list of addresses", "[]", "[\":10045\"]", "Extra addresses that serve only webhooks, for the side that faces the Internet."),
    key("limits.exophones", "whole number", "500", "2000", "ExoPhones of an account with a label of their own; the rest is `_other`."),
    key("retention.health_checks", "duration", "90d", "30d", "Age at which hourly summaries of health checks go."),
    key("retention.health_checks_raw", "duration", "7d", "2d", "Age at which raw health checks become summaries."),
    key("retention.sync_runs", "duration", "365d", "90d", "Age at which records of sync runs go."),
    key("log.level", "`error`, `warn`, `info`, `debug`, `trace`", "info", "debug", "How much is logged."),
    key("log.format", "`logfmt`, `json`", "logfmt", "json", "Shape of a log line."),
];

const fn variable(name: &'static str, key: &'static str, form: Form, meaning: &'static str) -> Variable {
    Variable { name, key, form, meaning }
}

/// Every variable, in the order of the documentation.
pub const VARIABLES: &[Variable] = &[
    variable("EXOTEL_SID", "accounts[].sid", Form::Plain, "Account sid."),
    variable("EXOTEL_API_KEY", "accounts[].api_key", Form::Secret, "API key."),
    variable("EXOTEL_API_SECRET", "accounts[].api_token", Form::Secret, "API token."),
    variable(
        "EXOTEL_API_TOKEN",
        "accounts[].api_token",
        Form::Secret,
        "Another name of `EXOTEL_API_SECRET`.",
    ),
    variable("EXOTEL_ACCOUNT_NAME", "accounts[].name", Form::Plain, "Name of the account; default the sid."),
    variable("EXOTEL_REGION", "accounts[].region", Form::Plain, "`sg`, `singapore`, `in` or `mumbai`."),
    variable("EXOTEL_BASE_URL", "accounts[].base_url", Form::Plain, "Base of the API, a whole URL."),
    variable(
        "EXOTEL_FROM_NUMBER",
        "accounts[].from_number",
        Form::Plain,
        "Number that outbound calls connect first.",
    ),
    variable("EXOTEL_CALLER_ID", "accounts[].caller_id", Form::Plain, "ExoPhone that outbound calls show."),
    variable(
        "EXOTEL_WEBHOOK_SECRET",
        "accounts[].webhook_secrets",
        Form::Secret,
        "Secret of this account's webhooks; the file form takes one on each line.",
    ),
    variable(
        "EXOTEL_HEARTBEAT_ENABLED",
        "heartbeat.enabled",
        Form::Plain,
        "`true` or `false` (also 1, 0, yes, no, on, off).",
    ),
    variable(
        "EXOTEL_SYNC_ENABLED",
        "sync.enabled",
        Form::Plain,
        "`true` or `false` (also 1, 0, yes, no, on, off).",
    ),
    variable("EXOTEL_SYNC_INTERVAL_MINUTES", "sync.interval", Form::Plain, "Whole minutes."),
    variable("JWT_SECRET", "api.jwt_secret", Form::Secret, "HS256 secret of the monitoring API."),
];

/// Whether this version does something with a key of the list.
pub(super) fn works(path: &str) -> bool {
    KEYS.iter().any(|key| key.path == path && key.effect == Effect::Works)
}

/// Which of these keys do nothing yet.
pub(super) fn without_effect<'k>(given: impl IntoIterator<Item = &'k String>) -> Vec<&'k str> {
    given
        .into_iter()
        .map(String::as_str)
        .filter(|path| !works(path) && KEYS.iter().any(|k| k.path == *path))
        .collect()
}
