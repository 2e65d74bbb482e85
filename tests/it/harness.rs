//! The harness itself, tried on a tiny exporter inside the test: if these fail, no other test says anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use std::process::Command;

use axum::Router;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::routing::get;

use crate::support::exposition::Format;
use crate::support::fake::{Fake, Reply, epoch_now, ist};
use crate::support::process::{Process, run};
use crate::support::prometheus::{Prometheus, promtool_check, python_samples};
use crate::support::scrape::{OPENMETRICS_TYPE, Scrape, TEXT_TYPE, scrape};
use crate::support::tools::Version;
use crate::support::{ensure, eventually, http, secs};

const TEXT: &str = r#"# HELP exotel_calls_total Settled calls, once per root call.
# TYPE exotel_calls_total counter
exotel_calls_total{account="acme",direction="inbound",status="completed"} 41
exotel_calls_total{account="acme",direction="inbound",status="failed"} 2
exotel_calls_total{account="other \"one\"",direction="inbound",status="failed"} 7
# HELP exotel_api_throttle_wait_seconds Time a request waited for the local limiter.
# TYPE exotel_api_throttle_wait_seconds histogram
exotel_api_throttle_wait_seconds_bucket{account="acme",le="0.5"} 3
exotel_api_throttle_wait_seconds_bucket{account="acme",le="+Inf"} 4
exotel_api_throttle_wait_seconds_sum{account="acme"} 9.25
exotel_api_throttle_wait_seconds_count{account="acme"} 4
"#;

fn open_metrics() -> String {
    let text = TEXT
        .replace("# HELP exotel_calls_total", "# HELP exotel_calls")
        .replace("# TYPE exotel_calls_total", "# TYPE exotel_calls");
    format!("{text}# EOF\n")
}

/// Serves both formats by Accept, and counts the scrapes that asked for OpenMetrics.
fn exporter() -> (String, Arc<AtomicU64>) {
    let asked = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&asked);
    let answer = move |headers: HeaderMap| async move {
        let accept = headers.get(ACCEPT).map_or("", |value| value.to_str().unwrap_or(""));
        if accept.contains("application/openmetrics-text") {
            counter.fetch_add(1, Ordering::Relaxed);
            ([(CONTENT_TYPE, OPENMETRICS_TYPE)], open_metrics())
        } else {
            ([(CONTENT_TYPE, TEXT_TYPE)], TEXT.to_owned())
        }
    };
    (http::serve(Router::new().route("/metrics", get(answer))) + "/metrics", asked)
}

#[test]
fn a_scrape_answers_questions_in_both_formats() {
    let (url, _) = exporter();
    for format in [Format::Text, Format::OpenMetrics] {
        let scrape = scrape(&url, format).unwrap();
        let calls = scrape.metric("exotel_calls_total");
        calls.clone().label("status", "completed").is(41);
        assert_eq!(calls.clone().label("status", "failed").sum(), 9.0);
        assert_eq!(calls.clone().label("status", "failed").count(), 2);
        calls.sums_to(50.0).unwrap();
        assert!(calls.sums_to(51.0).unwrap_err().contains("51 expected, 50 found: exotel_calls_total"));
        assert_eq!(calls.by("account")["other \"one\""], 7.0);
        assert_eq!(scrape.series().len(), 7);
        calls.at_least(51.0).unwrap_err();
    }
}

#[test]
#[should_panic(expected = "asks for one series, 2 match")]
fn a_question_that_fits_two_series_is_refused() {
    let scrape = Scrape::read(Format::Text, TEXT.to_owned()).unwrap();
    scrape.metric("exotel_calls_total").label("status", "failed").is(9);
}

#[test]
fn a_real_prometheus_scrapes_openmetrics_and_answers_promql() {
    let (url, asked) = exporter();
    for version in Version::here() {
        asked.store(0, Ordering::Relaxed);
        let prometheus = Prometheus::start(version, &[&url]);
        let by_status = eventually(secs(10), "three series of calls", || {
            let answer = prometheus.query("sum by (status) (exotel_calls_total)")?;
            ensure(answer.len() == 2, || format!("{answer:?}"))?;
            Ok::<_, String>(answer)
        });
        assert_eq!(by_status["status=\"completed\""], 41.0);
        assert_eq!(by_status["status=\"failed\""], 9.0);
        assert_eq!(prometheus.number("exotel_api_throttle_wait_seconds_sum").unwrap(), 9.25);
        assert_eq!(prometheus.number("scrape_samples_scraped").unwrap(), 7.0);
        assert_eq!(prometheus.number("absent_thing").unwrap(), 0.0);
        prometheus.query("sum(").unwrap_err();
        assert!(
            asked.load(Ordering::Relaxed) > 0,
            "{version:?} did not ask for OpenMetrics:\n{}",
            prometheus.log()
        );
    }
}

#[test]
fn promtool_reads_a_clean_scrape_and_refuses_a_bad_name() {
    for version in Version::here() {
        promtool_check(version, TEXT).unwrap();
        let fault = promtool_check(version, &TEXT.replace("calls_total", "calls")).unwrap_err();
        assert!(fault.contains("_total"), "{fault}");
    }
}

#[test]
fn an_independent_parser_reads_openmetrics_and_misses_its_end() {
    assert_eq!(python_samples(&open_metrics()).unwrap(), 7);
    let fault = python_samples(TEXT).unwrap_err();
    assert!(fault.contains("EOF") || fault.contains("ValueError"), "{fault}");
}

#[test]
fn the_fake_lists_what_a_query_asks_for_until_it_is_twisted() {
    let exotel = Fake::start();
    exotel.add_call("one");
    exotel.add_call("two");
    exotel.change_call(&format!("{:0>32}", "two"), |row| row["Duration"] = serde_json::json!("90"));
    let window = format!("gte:{};lte:{}", ist(epoch_now() - 60), ist(epoch_now() + 60)).replace(' ', "+");
    let list = format!("{}/v1/Accounts/exampleacct1/Calls.json?DateCreated={window}", exotel.base);
    let sids = |url: &str| -> Vec<String> {
        let page = http::get(url).unwrap().json().unwrap();
        assert_eq!(page["Metadata"]["Total"], page["Calls"].as_array().unwrap().len());
        let rows = page["Calls"].as_array().unwrap().iter();
        rows.map(|row| row["Sid"].as_str().unwrap().trim_start_matches('0').to_owned()).collect()
    };
    assert!(sids(&list).is_empty(), "a call is listed after its end");
    eventually(secs(5), "both are listed", || ensure(sids(&list) == ["one", "two"], || "not yet".to_owned()));
    assert_eq!(sids(&format!("{list}&Duration=gte:10s;lte:90s")), ["two"]);
    assert_eq!(sids(&format!("{list}&Sid=x,{:0>32}", "one")), ["one"]);
    let past = format!("gte:{};lte:{}", ist(epoch_now() - 600), ist(epoch_now() - 60)).replace(' ', "+");
    assert!(sids(&list.replace(&window, &past)).is_empty());

    exotel.twist(|number, truth| if number == 0 { Reply { status: 503, ..truth } } else { truth });
    assert_eq!(http::get(&list).unwrap().status, 503);
    assert_eq!(http::get(&list).unwrap().status, 200);
    assert_eq!(exotel.requests(), 2);
}

#[test]
fn a_process_is_watched_and_ended_as_a_test_wishes() {
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    };
    let finished = run(shell("echo out; echo err >&2; exit 3"));
    assert_eq!(
        (finished.code, finished.stdout.as_str(), finished.stderr.as_str()),
        (Some(3), "out\n", "err\n")
    );

    let mut polite = Process::start(
        "a polite process",
        shell("trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done"),
    );
    eventually(secs(5), "it is up", || ensure(polite.log().contains("up"), || polite.log()));
    polite.must_run();
    assert!(polite.terminate(secs(5)).success());
    assert_eq!(polite.log(), "up\n");

    let mut other = Process::start("another", shell("sleep 60"));
    other.kill_9();
    assert!(other.ended().is_some_and(|status| !status.success()));
}
