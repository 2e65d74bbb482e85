//! Flag, environment, file, default: in this order.

use std::path::PathBuf;
use std::time::Duration;

use super::{load_text, load_with};
use crate::config::{Config, LogFormat, Overrides, Sockets};

const ENV: [(&str, &str); 3] =
    [("EXOTEL_SID", "acme1"), ("EXOTEL_API_KEY", "key"), ("EXOTEL_API_SECRET", "token")];

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let file = "sync: {interval: 5m, settle_after: 20m}\nheartbeat: {enabled: false}\naccounts: []\n";
    let env: Vec<_> = ENV.into_iter().chain([("EXOTEL_SYNC_INTERVAL_MINUTES", "7")]).collect();
    let config = load_text(file, &env).unwrap().config;
    assert_eq!(config.sync.interval, Duration::from_secs(7 * 60));
    assert_eq!(config.sync.settle_after, Duration::from_secs(20 * 60));
    assert!(!config.heartbeat.enabled);
    assert_eq!(config.sync.lookback, Config::default().sync.lookback);
    assert_eq!(config.accounts[0].sid, "acme1");
}

#[test]
fn flags_win_over_everything() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.yml");
    let text = "store: {path: from-file.redb}\nlog: {level: error, format: json}\nweb: {listen: [\"127.0.0.1:1\"], telemetry_path: /file}\n";
    std::fs::write(&file, text).unwrap();
    let web = PathBuf::from("tests/fixtures/config/web/passwords.yml");
    let flags = Overrides {
        listen: vec!["127.0.0.1:2".parse().unwrap(), "127.0.0.1:3".parse().unwrap()],
        telemetry_path: Some("/flag".to_owned()),
        web_config_file: Some(web),
        enable_lifecycle: true,
        sockets: Sockets::Systemd,
        store_path: Some(PathBuf::from("from-flag.redb")),
        log_level: Some(tracing::Level::DEBUG),
        log_format: Some(LogFormat::Logfmt),
    };
    let with_flags = load_with(Some(&file), &ENV, &flags).unwrap();
    let config = with_flags.config;
    assert_eq!(config.web.listen, flags.listen);
    assert_eq!(config.web.telemetry_path, "/flag");
    assert_eq!(config.web.config_file, flags.web_config_file);
    assert!(config.web.enable_lifecycle);
    assert_eq!(config.store.path, PathBuf::from("from-flag.redb"));
    assert_eq!((config.log.level, config.log.format), (tracing::Level::DEBUG, LogFormat::Logfmt));
    assert_eq!(config.web.sockets, Sockets::Systemd);

    let without = load_with(Some(&file), &ENV, &Overrides::default()).unwrap().config;
    assert_eq!(without.store.path, PathBuf::from("from-file.redb"));
    assert_eq!((without.log.level, without.log.format), (tracing::Level::ERROR, LogFormat::Json));
    assert!(!without.web.enable_lifecycle);
}

#[test]
fn a_link_to_a_store_stands_for_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real.redb"), folder.path().join("link.redb"));
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let flags = Overrides { store_path: Some(link.clone()), ..Overrides::default() };
    let path = || load_with(None, &ENV, &flags).unwrap().config.store.path;
    assert_eq!(path(), link, "it leads nowhere yet");
    std::fs::write(&real, b"").unwrap();
    assert_eq!(path(), real.canonicalize().unwrap());
}

#[test]
fn paths_of_the_file_start_at_its_folder_but_the_store_at_the_current_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "from-beside\n").unwrap();
    std::fs::write(folder.path().join("web.yml"), "").unwrap();
    let file = folder.path().join("test.yml");
    let text = "accounts: [{sid: a, api_key: k, api_token_file: token}]\nweb: {config_file: web.yml}\nstore: {path: s.redb}\n";
    std::fs::write(&file, text).unwrap();
    let config = super::load(Some(&file), &[]).unwrap().config;
    assert_eq!(config.accounts[0].api_token.expose(), "from-beside");
    assert_eq!(config.web.config_file, Some(folder.path().join("web.yml")));
    assert_eq!(config.store.path, PathBuf::from("s.redb"));
}

#[test]
fn a_change_of_store_or_listeners_needs_a_restart_and_nothing_else_does() {
    let old = Config::default();
    let mut new = old.clone();
    new.sync.interval = Duration::from_secs(1);
    new.log.level = tracing::Level::TRACE;
    assert_eq!(old.needs_restart(&new), Vec::<&str>::new());
    new.store.path = PathBuf::from("elsewhere.redb");
    new.web.listen.clear();
    new.log.format = crate::config::LogFormat::Json;
    assert_eq!(old.needs_restart(&new), ["store.path", "web.listen", "log.format"]);
    new.keep_until_restart(&old);
    assert_eq!(old.needs_restart(&new), Vec::<&str>::new());
    assert_eq!(new.sync.interval, Duration::from_secs(1), "the rest is new");
}
