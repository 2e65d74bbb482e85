//! Real Prometheus servers on loopback, promtool, and an OpenMetrics parser that is not ours.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::process::Process;
use super::tools::{self, Version};
use super::{ensure, eventually, free_port, http, secs};

/// A Prometheus that scrapes every second.
#[derive(Debug)]
pub(crate) struct Prometheus {
    process: Process,
    base: String,
    /// Its configuration and data; goes with the server.
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes these metrics URLs (`http://127.0.0.1:10043/metrics`), and waits until every target
    /// was scraped with success. Takes about 6 s: Prometheus looks at its targets 5 s after its start.
    #[track_caller]
    pub(crate) fn start(version: Version, targets: &[&str]) -> Self {
        let prometheus = Self::start_before(version, targets);
        eventually(secs(30), "every target was scraped", || prometheus.targets_are_up(targets.len()));
        prometheus
    }

    /// The same for targets that are not there yet; waits until they were looked for.
    #[track_caller]
    pub(crate) fn start_before(version: Version, targets: &[&str]) -> Self {
        Self::launch(version, &configuration(targets), targets.len())
    }

    /// The same with rules, a folder of files, and an Alertmanager (`127.0.0.1:9093`) to send alerts to.
    #[track_caller]
    pub(crate) fn start_alerting(
        version: Version,
        targets: &[&str],
        rules: &Path,
        alertmanager: &str,
    ) -> Self {
        let more = format!(
            "rule_files: ['{}/*.yml']\nalerting: {{alertmanagers: [{{static_configs: [{{targets: ['{alertmanager}']}}]}}]}}\n",
            rules.display()
        );
        let prometheus = Self::launch(version, &(configuration(targets) + &more), targets.len());
        eventually(secs(30), "every target was scraped", || prometheus.targets_are_up(targets.len()));
        prometheus
    }

    /// Starts one that scrapes one URL with more settings of a scrape job (a line each), and waits until it was
    /// scraped with success.
    #[track_caller]
    pub(crate) fn start_guarded(version: Version, target: &str, settings: &[String]) -> Self {
        let mut text = configuration(&[target]);
        for line in settings {
            writeln!(text, "    {line}").expect("writing into a text");
        }
        let prometheus = Self::launch(version, &text, 1);
        eventually(secs(30), "the target was scraped", || prometheus.targets_are_up(1));
        prometheus
    }

    #[track_caller]
    fn launch(version: Version, text: &str, targets: usize) -> Self {
        let folder = TempDir::new().expect("a folder");
        let config = folder.path().join("prometheus.yml");
        std::fs::write(&config, text).expect("a configuration file");
        let port = free_port();
        let mut command = Command::new(version.bin("prometheus").expect("Prometheus"));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--storage.tsdb.retention.time=2h")
            // An alert that fires before the Alertmanager is known is lost until it is sent again.
            .arg("--rules.alert.resend-delay=1s")
            .current_dir(folder.path());
        let mut process = Process::start(&format!("Prometheus {version:?}"), command);
        let base = format!("http://127.0.0.1:{port}");
        eventually(secs(30), "Prometheus is ready", || {
            process.must_run();
            let status = http::get(&format!("{base}/-/ready"))?.status;
            ensure(status == 200, || format!("status {status}"))
        });
        let prometheus = Self { process, base, _folder: folder };
        eventually(secs(30), "every target was looked for", || {
            let looked_for = prometheus.number("count(up)")?;
            ensure(looked_for == targets as f64, || format!("{looked_for} targets"))
        });
        prometheus
    }

    /// `Ok` when this many targets were scraped with success, else what was wrong with one.
    pub(crate) fn targets_are_up(&self, expected: usize) -> Result<(), String> {
        let answer = http::get(&format!("{}/api/v1/targets", self.base))?.json()?;
        let targets = answer["data"]["activeTargets"].as_array().cloned().unwrap_or_default();
        ensure(targets.len() == expected, || format!("{} of {expected} targets known", targets.len()))?;
        for target in targets {
            ensure(target["health"] == "up", || format!("{}: {}", target["scrapeUrl"], target["lastError"]))?;
        }
        Ok(())
    }

    /// Evaluates an expression now. Keys are the labels of each result, written `a="b",c="d"` in their order, the name
    /// of the metric left out.
    pub(crate) fn query(&self, expression: &str) -> Result<BTreeMap<String, f64>, String> {
        let url = format!("{}/api/v1/query?query={}", self.base, percent_encoded(expression));
        let answer = http::get(&url)?.json()?;
        ensure(answer["status"] == "success", || format!("{expression}: {answer}"))?;
        ensure(answer["warnings"].is_null() && answer["infos"].is_null(), || {
            format!("{expression}: {answer}")
        })?;
        let result = answer["data"]["result"].as_array().ok_or("no result")?;
        result
            .iter()
            .map(|series| {
                let value = series["value"][1].as_str().ok_or("no value")?;
                Ok((labels(&series["metric"]), value.parse().map_err(|_| format!("{value} is no number"))?))
            })
            .collect()
    }

    /// Evaluates an expression that has one result without labels; none is 0.
    pub(crate) fn number(&self, expression: &str) -> Result<f64, String> {
        let results = self.query(expression)?;
        ensure(results.len() <= 1, || format!("{expression}: {} results", results.len()))?;
        Ok(results.into_values().next().unwrap_or(0.0))
    }

    /// What the server wrote.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}

fn configuration(targets: &[&str]) -> String {
    let mut text =
        "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nscrape_configs:\n"
            .to_owned();
    for (number, target) in targets.iter().enumerate() {
        let (scheme, (address, path)) = target
            .split_once("://")
            .and_then(|(scheme, rest)| Some((scheme, rest.split_at(rest.find('/')?))))
            .expect("a metrics URL like http://127.0.0.1:10043/metrics");
        writeln!(text, "  - job_name: target{number}\n    scheme: {scheme}\n    metrics_path: {path}\n    static_configs: [{{targets: ['{address}']}}]")
            .expect("writing into a text");
    }
    text
}

fn labels(metric: &Value) -> String {
    let labels: BTreeMap<&String, &Value> = metric.as_object().into_iter().flatten().collect();
    let texts: Vec<String> = labels
        .iter()
        .filter(|(name, _)| name.as_str() != "__name__")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    texts.join(",")
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(byte.into());
        } else {
            write!(encoded, "%{byte:02X}").expect("writing into a text");
        }
        encoded
    })
}

/// Lets `promtool check metrics` read a scrape in text 0.0.4 (it reads no other format), and gives what it complained of.
pub(crate) fn promtool_check(version: Version, text: &str) -> Result<(), String> {
    let promtool = version.bin("promtool")?;
    feed(&promtool, &["check", "metrics"], text).map(|_| ())
}

/// Lets `prometheus_client` read a scrape in OpenMetrics, and gives the number of its samples.
pub(crate) fn python_samples(text: &str) -> Result<usize, String> {
    const SCRIPT: &str = "import sys\n\
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as families\n\
        print(sum(len(family.samples) for family in families(sys.stdin.read())))";
    let count = feed(&tools::python(), &["-c", SCRIPT], text)?;
    count.trim().parse().map_err(|_| format!("no number: {count}"))
}

/// Runs a program on a text; an exit code other than 0 is an error with what it wrote, as is anything written to standard error.
fn feed(program: &Path, arguments: &[&str], text: &str) -> Result<String, String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|fault| format!("{}: {fault}", program.display()))?;
    let mut stdin = child.stdin.take().expect("a piped stdin");
    // Both programs read all of their input before they write.
    stdin.write_all(text.as_bytes()).map_err(|fault| fault.to_string())?;
    drop(stdin);
    let output = child.wait_with_output().map_err(|fault| fault.to_string())?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure(output.status.success() && err.is_empty(), || format!("{}: {out}{err}", output.status))?;
    Ok(out.into_owned())
}
