//! The sample deployment: compose.yml, Dockerfile, provisioning of Grafana and Prometheus.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::board::{list, text};
use crate::support::note;
use crate::support::process::run;
use crate::support::tools::{Version, python};

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"))
}

fn yaml(path: &str) -> Value {
    serde_norway::from_str(&read(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"))
}

/// Checks JSON files against a schema, and gives what is wrong, line by line.
pub(crate) fn schema_faults(schema: &Path, files: &[PathBuf]) -> String {
    let mut command = Command::new(python());
    command.arg(file("tests/tools/json_schema.py")).arg(schema).args(files);
    let finished = run(command);
    assert!(finished.code == Some(0) || finished.code == Some(1), "{}{}", finished.stdout, finished.stderr);
    assert!(finished.stderr.is_empty(), "{}", finished.stderr);
    finished.stdout
}

/// What the schema of Compose says of a file.
fn compose_faults(compose: &Value) -> String {
    let folder = tempfile::TempDir::new().unwrap();
    let as_json = folder.path().join("compose.json");
    std::fs::write(&as_json, compose.to_string()).unwrap();
    schema_faults(&file("tests/fixtures/compose/compose-spec.json"), &[as_json])
}

/// Folders and files of ours that a service sees, and where.
fn mounts(service: &Value) -> Vec<(String, String)> {
    let texts = list(&service["volumes"]).iter().filter_map(Value::as_str);
    texts
        .filter(|mount| mount.starts_with("./"))
        .map(|mount| {
            let mut parts = mount.split(':').map(str::to_owned);
            let (from, to) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            assert_eq!(parts.next().as_deref(), Some("ro"), "{mount} is not read only");
            (from, to)
        })
        .collect()
}

#[test]
fn compose_fits_the_schema_of_compose_and_a_broken_one_does_not() {
    let compose = yaml("compose.yml");
    assert_eq!(compose_faults(&compose), "");
    let mut broken = compose.clone();
    broken["services"]["grafana"]["port"] = json!(["3000:3000"]);
    broken["services"]["exporter"]["cap_drop"] = json!("ALL");
    let faults = compose_faults(&broken);
    for expected in [
        "$.services.grafana: port is not a key of it",
        "$.services.exporter.cap_drop: \"ALL\" is not of type array",
    ] {
        assert!(faults.contains(expected), "{faults}");
    }
}

#[test]
fn compose_mounts_what_is_there_and_opens_loopback_alone() {
    let compose = yaml("compose.yml");
    let services = compose["services"].as_object().expect("services");
    assert_eq!(
        services.keys().map(String::as_str).collect::<Vec<_>>(),
        ["alertmanager", "exporter", "grafana", "prometheus"]
    );
    for (name, service) in services {
        for port in list(&service["ports"]) {
            assert!(text(port).starts_with("127.0.0.1:"), "{name}: {port} is open to others");
        }
        let image = text(&service["image"]);
        assert!(
            name == "exporter"
                || image
                    .rsplit_once(":")
                    .is_some_and(|(_, tag)| tag.starts_with(|c: char| c == 'v' || c.is_ascii_digit())),
            "{name}: {image} names no version"
        );
        for (from, _) in mounts(service) {
            // The rules come as a folder of their own.
            if from == "./alerts" && !file("alerts").exists() {
                note("SKIPPED: what compose.yml mounts from alerts/: there is no such folder");
                continue;
            }
            assert!(file(&from).exists(), "{name}: there is no {from}");
        }
        let volumes = list(&service["volumes"]).iter().map(text).filter(|volume| !volume.starts_with("./"));
        for volume in volumes {
            let volume = volume.split(':').next().unwrap_or_default().to_owned();
            assert!(compose["volumes"].get(&volume).is_some(), "{name}: the volume {volume} is not declared");
        }
    }
}

#[test]
fn prometheus_accepts_its_sample_and_asks_the_services_of_compose() {
    for version in Version::here() {
        let mut command = Command::new(version.bin("promtool").unwrap());
        // The rules lie elsewhere in the image.
        command.args(["check", "config", "--syntax-only"]).arg(file("deploy/prometheus.yml"));
        let finished = run(command);
        assert_eq!(finished.code, Some(0), "{}{}", finished.stdout, finished.stderr);
    }
    let config = yaml("deploy/prometheus.yml");
    let compose = yaml("compose.yml");
    let scraped = list(&config["scrape_configs"]).iter().flat_map(|job| list(&job["static_configs"]));
    let told = list(&config["alerting"]["alertmanagers"])
        .iter()
        .flat_map(|manager| list(&manager["static_configs"]));
    for target in scraped.chain(told).flat_map(|group| list(&group["targets"])).map(text) {
        let (host, port) = target.split_once(':').expect("host and port");
        let service = &compose["services"][host];
        let open = list(&service["ports"]).iter().any(|mapping| text(mapping).ends_with(&format!(":{port}")));
        assert!(open, "{target}: compose.yml has no such service and port");
    }
    // Where the rules are mounted is where they are looked for.
    let rules = text(&config["rule_files"][0]);
    let mounted = mounts(&compose["services"]["prometheus"]);
    let alerts = mounted.iter().find(|(from, _)| from == "./alerts").expect("the rules are mounted");
    assert!(rules.starts_with(&alerts.1), "{rules} is not below {}", alerts.1);
    assert!(!file("alerts").exists() || file("alerts/rules").is_dir(), "the rules are not in alerts/rules");
}

#[test]
fn grafana_finds_data_source_and_boards() {
    let compose = yaml("compose.yml");
    let prometheus = yaml("deploy/prometheus.yml");
    let source = yaml("deploy/grafana/provisioning/datasources/prometheus.yml");
    let source = &source["datasources"][0];
    assert_eq!(source["type"], "prometheus");
    assert_eq!(source["url"], "http://prometheus:9090");
    assert_eq!(
        source["jsonData"]["timeInterval"], prometheus["global"]["scrape_interval"],
        "$__rate_interval depends on it"
    );

    let provider = yaml("deploy/grafana/provisioning/dashboards/exotel.yml");
    let provider = &provider["providers"][0];
    assert_eq!(
        (provider["type"].as_str(), provider["allowUiUpdates"].as_bool()),
        (Some("file"), Some(false))
    );
    let grafana = &compose["services"]["grafana"];
    let mounted = mounts(grafana);
    let at = |from: &str| mounted.iter().find(|(source, _)| source == from).map(|(_, to)| to.clone());
    assert_eq!(at("./dashboards").as_deref(), provider["options"]["path"].as_str());
    assert_eq!(at("./deploy/grafana/provisioning").as_deref(), Some("/etc/grafana/provisioning"));
    let home = text(&grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]);
    let home = home.strip_prefix(&(at("./dashboards").unwrap_or_default() + "/")).expect("a board as home");
    assert!(file("dashboards").join(home).exists(), "there is no dashboards/{home}");
}

/// Grafana reads every JSON file below the folder of the boards, whatever it is.
#[test]
fn no_other_json_lies_among_the_boards() {
    fn json_below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                json_below(&entry, found);
            } else if entry.extension().is_some_and(|extension| extension == "json") {
                found.push(entry);
            }
        }
    }
    let mut found = Vec::new();
    json_below(&file("dashboards"), &mut found);
    assert_eq!(found.len(), super::board::all().len(), "{found:#?}");
}

#[test]
fn the_image_has_no_root_and_builds_from_what_is_sent() {
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.lines().any(|line| line.starts_with("USER 65532")), "the image runs as root");
    let sent: Vec<String> =
        read(".dockerignore").lines().filter_map(|line| line.strip_prefix('!')).map(str::to_owned).collect();
    let copied = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--from"));
    for line in copied {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        words.pop();
        for source in words {
            assert!(file(source).exists(), "Dockerfile: there is no {source}");
            assert!(sent.iter().any(|allowed| allowed == source), ".dockerignore keeps {source} back");
        }
    }
    let rust = dockerfile.lines().find_map(|line| line.strip_prefix("FROM rust:")).unwrap_or_default();
    assert!(
        rust.starts_with(env!("CARGO_PKG_RUST_VERSION")),
        "built with Rust {rust}, Cargo.toml says another"
    );
}
