//! One account without a file.

use std::time::Duration;

use super::{load, load_text};
use crate::config::{Accounts, ApiKey, Config, Region, Sources};

const ACCOUNT: [(&str, &str); 3] =
    [("EXOTEL_SID", "acme1"), ("EXOTEL_API_KEY", "key"), ("EXOTEL_API_SECRET", "token")];

/// The account's variables and some more.
fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    ACCOUNT.iter().chain(more).copied().collect()
}

#[test]
fn three_variables_are_an_account() {
    let loaded = load(None, &ACCOUNT).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let account = &loaded.config.accounts[0];
    assert_eq!((account.name.as_str(), account.sid.as_str()), ("acme1", "acme1"));
    assert_eq!((account.api_key.expose(), account.api_token.expose()), ("key", "token"));
    assert_eq!(account.base_url, "https://api.exotel.com");
}

#[test]
fn every_variable_reaches_its_setting() {
    let loaded = load(
        None,
        &with(&[
            ("EXOTEL_API_TOKEN", "token"),
            ("EXOTEL_ACCOUNT_NAME", "Acme"),
            ("EXOTEL_REGION", "in"),
            ("EXOTEL_BASE_URL", "http://127.0.0.1:10044/"),
            ("EXOTEL_FROM_NUMBER", "08000000012"),
            ("EXOTEL_CALLER_ID", "08000000011"),
            ("EXOTEL_WEBHOOK_SECRET", "webhook-secret-one"),
            ("EXOTEL_HEARTBEAT_ENABLED", "false"),
            ("EXOTEL_SYNC_ENABLED", "False"),
            ("EXOTEL_SYNC_INTERVAL_MINUTES", "30"),
            ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ]),
    )
    .unwrap();
    let config = &loaded.config;
    let account = &config.accounts[0];
    assert_eq!(account.name, "Acme");
    assert_eq!(account.region, Region::Mumbai);
    assert_eq!(account.base_url, "http://127.0.0.1:10044");
    assert_eq!(account.ccm_base_url, account.base_url, "credentials of a simulator do not go to Exotel");
    assert_eq!(account.from_number.as_ref().unwrap().expose(), "08000000012");
    assert_eq!(account.caller_id.as_ref().unwrap().expose(), "08000000011");
    assert_eq!(account.webhook_secrets[0].expose(), "webhook-secret-one");
    assert!(!config.heartbeat.enabled && !config.sync.enabled);
    assert_eq!(config.sync.interval, Duration::from_secs(1800));
    assert!(matches!(&config.api.key, Some(ApiKey::Shared(s)) if s.expose().len() == 32));
    let warning = &loaded.warnings[0];
    assert!(warning.contains("without effect") && !warning.contains("api.jwt_secret"), "{warning}");
    assert!(!format!("{config:?}").contains("80000000"), "numbers are hidden");
}

#[test]
fn secrets_may_stand_in_files() {
    let loaded = load(
        None,
        &[
            ("EXOTEL_SID", "acme1"),
            ("EXOTEL_API_KEY_FILE", "tests/fixtures/config/secrets/key"),
            ("EXOTEL_API_TOKEN_FILE", "tests/fixtures/config/secrets/token"),
            ("EXOTEL_WEBHOOK_SECRET_FILE", "tests/fixtures/config/secrets/webhooks"),
            ("JWT_SECRET_FILE", "tests/fixtures/config/secrets/jwt"),
        ],
    )
    .unwrap();
    let account = &loaded.config.accounts[0];
    assert_eq!((account.api_key.expose(), account.api_token.expose()), ("key-from-file", "token-from-file"));
    assert_eq!(account.webhook_secrets.len(), 2);
    assert!(loaded.config.api.key.is_some());
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let loaded = load(None, &with(&[("EXOTEL_REGION", ""), ("EXOTEL_API_KEY_FILE", "")])).unwrap();
    assert_eq!(loaded.config.accounts[0].region, Region::Singapore);
}

#[test]
fn every_faulty_variable_is_named_at_once() {
    let faults = load(
        None,
        &[
            ("EXOTEL_SID", "a/b"),
            ("EXOTEL_API_SECRET", "hush"),
            ("EXOTEL_API_TOKEN", "other-hush"),
            ("EXOTEL_REGION", "delhi"),
            ("EXOTEL_BASE_URL", "https://u:hush@api.exotel.com"),
            ("EXOTEL_SYNC_ENABLED", "maybe"),
            ("EXOTEL_SYNC_INTERVAL_MINUTES", "0"),
            ("EXOTEL_FROM_NUMBER", "9000000099x"),
            ("EXOTEL_WEBHOOK_SECRET", "hush/hush"),
            ("EXOTEL_WEBHOOK_SECRET_FILE", "/nowhere"),
            ("JWT_SECRET", "hush"),
            ("JWT_SECRET_FILE", "/nowhere"),
        ],
    )
    .unwrap_err();
    let names: Vec<&str> = faults.0.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(
        names,
        [
            "EXOTEL_SYNC_ENABLED",
            "EXOTEL_SYNC_INTERVAL_MINUTES",
            "JWT_SECRET_FILE",
            "EXOTEL_SID",
            "EXOTEL_API_TOKEN",
            "EXOTEL_REGION",
            "EXOTEL_BASE_URL",
            "EXOTEL_FROM_NUMBER",
            "EXOTEL_WEBHOOK_SECRET_FILE",
            "EXOTEL_API_KEY",
        ]
    );
    assert!(faults.0.iter().all(|fault| fault.source == "environment"));
    let text = faults.to_string();
    assert!(!text.contains("hush") && !text.contains("9000000099"), "{text}");
}

#[test]
fn without_any_account_the_fault_says_both_ways_to_name_one() {
    let faults = load(None, &[]).unwrap_err().to_string();
    assert_eq!(faults.lines().count(), 1);
    assert!(faults.contains("accounts") && faults.contains("EXOTEL_SID"), "{faults}");
}

#[test]
fn commands_without_accounts_do_not_ask_the_environment() {
    let lookup = |name: &str| -> Option<std::ffi::OsString> { panic!("{name} was read") };
    for accounts in [Accounts::Unused, Accounts::Unauthenticated] {
        let sources = Sources { file: None, env: &lookup, flags: &Default::default(), accounts };
        let loaded = Config::load(&sources).unwrap();
        assert!(loaded.config.accounts.is_empty() && loaded.warnings.is_empty());
    }
}

#[test]
fn files_of_secrets_that_a_command_does_not_use_may_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.yml");
    let load = |text: &str, accounts| {
        std::fs::write(&file, text).unwrap();
        let sources =
            Sources { file: Some(&file), env: &|_: &str| None, flags: &Default::default(), accounts };
        Config::load(&sources)
    };
    let account = "
accounts:
- sid: acme1
  api_key_file: gone/key
  api_token_file: gone/token
  webhook_secrets_file: gone/webhooks
  expected_webhooks: [calls]
store: {path: here.redb}
";
    let api = ["api: {jwt_secret_file: gone/jwt}", "api: {jwt_public_key_file: gone/jwt}"];
    for api in api {
        let text = format!("{account}{api}");
        let loaded = load(&text, Accounts::Unauthenticated).unwrap();
        assert_eq!(loaded.config.store.path.to_str(), Some("here.redb"));
        // `demo` serves an API with the configured key.
        let faults = load(&text, Accounts::Unused).unwrap_err();
        assert_eq!(faults.0.len(), 1, "{faults}");
        assert!(faults.0[0].key.starts_with("api.jwt"), "{faults}");
        assert!(load(&text, Accounts::Required).unwrap_err().0.len() > 3);
    }
    // What the file itself has wrong is told all the same.
    let text = account.replace("api_token_file: gone/token", "");
    let faults = load(&text, Accounts::Unauthenticated).unwrap_err();
    assert_eq!(faults.0.len(), 1, "{faults}");
    assert_eq!(faults.0[0].key, "accounts[0].api_token");
}

#[test]
fn a_value_that_is_not_text_is_a_fault() {
    use std::os::unix::ffi::OsStringExt;
    let lookup = |name: &str| (name == "EXOTEL_SID").then(|| std::ffi::OsString::from_vec(vec![0xff]));
    let faults = crate::config::Config::load(&crate::config::Sources {
        file: None,
        env: &lookup,
        flags: &Default::default(),
        accounts: crate::config::Accounts::Required,
    })
    .unwrap_err();
    assert!(faults.to_string().contains("EXOTEL_SID: expected text, but the value is not UTF-8"), "{faults}");
}

#[test]
fn a_file_with_accounts_leaves_the_environment_unused_and_says_so() {
    let file = "accounts: [{sid: acme2, api_key: k, api_token: t}]";
    let loaded = load_text(file, &with(&[("EXOTEL_SYNC_INTERVAL_MINUTES", "30")])).unwrap();
    assert_eq!(loaded.config.accounts.len(), 1);
    assert_eq!(loaded.config.accounts[0].sid, "acme2");
    assert_eq!(loaded.config.sync.interval, Duration::from_secs(900));
    assert_eq!(
        loaded.warnings,
        [
            "environment: EXOTEL_SID, EXOTEL_API_KEY, EXOTEL_API_SECRET, EXOTEL_SYNC_INTERVAL_MINUTES: not used, since the configuration file names accounts"
        ]
    );
}

#[test]
fn a_base_url_on_the_other_regions_host_is_a_warning() {
    let env = with(&[("EXOTEL_REGION", "sg"), ("EXOTEL_BASE_URL", "https://api.in.exotel.com")]);
    let loaded = load(None, &env).unwrap();
    assert_eq!(
        loaded.warnings,
        [
            "environment: EXOTEL_BASE_URL: api.in.exotel.com is the host of region mumbai, but the region is singapore: expect 401"
        ]
    );
}

#[test]
fn a_short_secret_of_another_program_leaves_the_api_off_and_stops_nothing() {
    let short = with(&[("JWT_SECRET", "hush-hush")]);
    let loaded = load(None, &short).unwrap();
    assert_eq!(loaded.config.api.key, None);
    assert_eq!(
        loaded.warnings,
        [
            "environment: JWT_SECRET: expected at least 32 bytes, got 9 (api.allow_short_secret takes it all the same); it is not used and the API stays off"
        ]
    );

    let file = "api: {jwt_secret: 0123456789abcdef0123456789abcdef}";
    let loaded = load_text(file, &short).unwrap();
    assert!(loaded.config.api.key.is_some());
    assert!(loaded.warnings[0].ends_with("the key of the file is used"), "{:?}", loaded.warnings);

    let loaded = load_text("api: {allow_short_secret: true}", &short).unwrap();
    assert!(loaded.config.api.key.is_some() && loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}
