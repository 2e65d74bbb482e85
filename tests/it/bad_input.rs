//! Bad input gets a clear error, shows in the metrics, and costs nothing else.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};

use crate::support::agent::{Agent, Setup, account};
use crate::support::fake::{Fake, Reply, epoch_now, ist};
use crate::support::process::{Process, exotel_exporter, run};
use crate::support::scrape::Scrape;
use crate::support::{ensure, eventually, free_port, secs};

/// An agent on a fake that has just counted its first call, so that everything is known to work.
fn agent_that_counted_one_call() -> (Fake, Setup, Agent) {
    let exotel = Fake::start();
    let setup = Setup::new(&[account("acme", &exotel.base)]);
    let mut agent = setup.start();
    // The account's first start is stored before the agent is ready; a call of this second or later is live.
    exotel.add_call("first");
    counts(&mut agent, 1.0);
    (exotel, setup, agent)
}

/// Waits until this many calls are counted, and a little longer that it stays so.
#[track_caller]
fn counts(agent: &mut Agent, calls: f64) -> Scrape {
    agent.scrape_until(secs(60), "the calls are counted", |scrape| {
        scrape.metric("exotel_calls_total").sums_to(calls)
    });
    std::thread::sleep(secs(2));
    let scrape = agent.scrape();
    scrape.metric("exotel_calls_total").sums_to(calls).expect("no call counted twice");
    scrape
}

#[track_caller]
fn fails_as(agent: &mut Agent, reason: &str) {
    agent.scrape_until(secs(20), "the failure is counted", |scrape| {
        scrape.metric("exotel_api_request_failures_total").label("reason", reason).at_least(1.0).map(|_| ())
    });
    assert_eq!(agent.get("/-/ready").unwrap().status, 200, "Exotel's faults do not make us unready");
}

/// The account's calls are answered with this until the failure shows; then with the truth, and nothing is missing.
#[track_caller]
fn bad_answer(reason: &str, twist: impl Fn(Reply) -> Reply + Send + 'static) {
    let (exotel, _setup, mut agent) = agent_that_counted_one_call();
    exotel.twist(move |_, truth| twist(truth));
    exotel.add_call("second");
    fails_as(&mut agent, reason);
    agent.scrape_until(secs(20), "a run that failed is counted", |scrape| {
        scrape.metric("exotel_sync_runs_total").label("outcome", "failure").at_least(1.0).map(|_| ())
    });
    agent.scrape().metric("exotel_calls_total").sums_to(1.0).unwrap();
    exotel.behave();
    counts(&mut agent, 2.0);
}

#[test]
fn html_instead_of_json_fails_the_page_and_loses_no_call() {
    bad_answer("decode", |truth| Reply {
        content_type: "text/html",
        body: "<html><body>502 Bad Gateway</body></html>".to_owned(),
        ..truth
    });
}

#[test]
fn broken_json_fails_the_page_and_loses_no_call() {
    bad_answer("decode", |truth| Reply { body: truth.body[..truth.body.len() / 2].to_owned(), ..truth });
}

#[test]
fn a_page_without_calls_is_not_an_empty_page() {
    bad_answer("decode", |truth| {
        let mut page = truth.value();
        page.as_object_mut().expect("a page").remove("Calls");
        Reply::json(&page)
    });
}

#[test]
fn a_page_of_more_than_ten_megabytes_is_refused() {
    bad_answer("decode", |truth| {
        let mut page = truth.value();
        page["Calls"] = json!([{"Sid": "x".repeat(11 * 1024 * 1024)}]);
        Reply::json(&page)
    });
}

#[test]
fn a_next_page_on_another_host_is_refused() {
    bad_answer("decode", |truth| {
        let mut page = truth.value();
        page["Metadata"]["NextPageUri"] =
            json!("//127.0.0.1:1/v1/Accounts/exampleacct1/Calls.json?After=eA==");
        Reply::json(&page)
    });
}

#[test]
fn a_next_page_of_another_account_is_refused() {
    bad_answer("decode", |truth| {
        let mut page = truth.value();
        page["Metadata"]["NextPageUri"] = json!("/v1/Accounts/somebodyelse/Calls.json?After=eA==");
        Reply::json(&page)
    });
}

#[test]
fn server_errors_are_retried_and_lose_no_call() {
    bad_answer("server", |truth| Reply { status: 503, body: "{}".to_owned(), ..truth });
}

#[test]
fn pages_that_lead_round_in_a_circle_are_left_and_every_call_counts_once() {
    let (exotel, _setup, mut agent) = agent_that_counted_one_call();
    let before = troubles(&agent.scrape());
    // Two pages that name each other, for ever, each with rows.
    exotel.twist(|number, truth| {
        let mut page = truth.value();
        let other = if number % 2 == 0 { "YQ==" } else { "Yg==" };
        page["Metadata"]["NextPageUri"] =
            json!(format!("/v1/Accounts/exampleacct1/Calls.json?After={other}"));
        Reply::json(&page)
    });
    exotel.add_call("second");
    let start = Instant::now();
    counts(&mut agent, 2.0);
    std::thread::sleep(secs(3));
    let (requests, seconds) = (exotel.requests(), start.elapsed().as_secs_f64());
    // A run a second, each with a few pages and retries; a loop that nobody leaves asks thousands of times.
    assert!(requests as f64 <= 20.0 * (seconds + 1.0), "{requests} requests in {seconds} s");
    assert!(troubles(&agent.scrape()) > before, "a circle must show in the metrics: {}", agent.scrape().text);
    exotel.behave();
    exotel.add_call("third");
    counts(&mut agent, 3.0);
}

#[test]
fn a_total_above_the_rows_that_are_listed_fails_no_run() {
    let (exotel, _setup, mut agent) = agent_that_counted_one_call();
    let good = |scrape: &Scrape| scrape.metric("exotel_sync_runs_total").label("outcome", "success").sum();
    let before = agent.scrape();
    exotel.twist(|_, truth| {
        let mut page = truth.value();
        page["Metadata"]["Total"] = json!(page["Calls"].as_array().map_or(0, Vec::len) + 1);
        Reply::json(&page)
    });
    exotel.add_call("second");
    let scrape = counts(&mut agent, 2.0);
    assert!(good(&scrape) > good(&before), "runs end well: {}", scrape.text);
    assert_eq!(troubles(&scrape), troubles(&before));
}

/// Everything that tells that pages were not as they should be.
fn troubles(scrape: &Scrape) -> f64 {
    scrape.metric("exotel_sync_windows_cut_total").sum()
        + scrape.metric("exotel_api_request_failures_total").label("reason", "decode").sum()
        + scrape.metric("exotel_sync_runs_total").label("outcome", "failure").sum()
        + scrape.metric("exotel_sync_runs_total").label("outcome", "partial").sum()
}

#[test]
fn rows_that_cannot_be_read_are_set_aside_beside_good_ones_and_healed() {
    let (exotel, _setup, mut agent) = agent_that_counted_one_call();
    let now = epoch_now();
    let row = |sid: &str, created: &str| {
        json!({"Sid": format!("{sid:0>32}"), "DateCreated": created, "StartTime": ist(now), "EndTime": ist(now + 1),
            "PhoneNumberSid": "08000000011", "Status": "no-answer", "Direction": "outbound-dial", "Duration": "1"})
    };
    let created = ist(now);
    let mut without_sid = row("nosid", &created);
    without_sid["Sid"] = Value::Null;
    let mut odd_status = row("oddstatus", &created);
    odd_status["Status"] = json!(17);
    exotel.add(without_sid);
    exotel.add(odd_status);
    exotel.add_call("neighbour");
    agent.scrape_until(secs(20), "rows are set aside", |scrape| {
        scrape.metric("exotel_sync_rows_set_aside").sums_to(2.0)?;
        scrape.metric("exotel_sync_records_total").label("result", "rejected").at_least(2.0).map(|_| ())
    });
    counts(&mut agent, 2.0);
    // Exotel sends the two as they should be.
    exotel.remove_calls(|row| row["Sid"].is_null() || row["Status"] == 17);
    exotel.add(row("nosid", &created));
    exotel.add(row("oddstatus", &created));
    counts(&mut agent, 4.0);
    agent.scrape_until(secs(30), "nothing is set aside any more", |scrape| {
        scrape.metric("exotel_sync_rows_set_aside").sums_to(0.0)
    });
}

#[test]
fn absurd_numbers_and_dates_cost_their_field_and_not_the_call() {
    let (exotel, _setup, mut agent) = agent_that_counted_one_call();
    let absurd = [
        ("Duration", json!("999999999999999999999")),
        ("Duration", json!(-5)),
        ("Price", json!("1e300")),
        ("Price", json!({"amount": 1})),
        ("DateUpdated", json!("2026-13-45 99:99:99")),
        ("ConversationDuration", json!("NaN")),
    ];
    for (number, (key, value)) in absurd.iter().enumerate() {
        exotel.add_call(&format!("absurd{number}"));
        let sid = format!("{:0>32}", format!("absurd{number}"));
        let (key, value) = (*key, value.clone());
        exotel.change_call(&sid, |row| row[key] = value);
    }
    let scrape = counts(&mut agent, 1.0 + absurd.len() as f64);
    scrape.metric("exotel_sync_rows_set_aside").is(0);
    // The first call and those whose Duration can be read last a second each.
    let seconds = scrape.metric("exotel_call_seconds_total").sum();
    assert!((1.0..=absurd.len() as f64).contains(&seconds), "{seconds} s of calls");
    assert_eq!(scrape.metric("exotel_call_cost_total").sum(), 0.0);
}

#[test]
fn a_store_in_a_folder_that_cannot_be_written_is_a_clear_error() {
    // Not even root may make folders there.
    let setup =
        Setup::new(&[account("acme", "http://127.0.0.1:9")]).with("store.path", "/proc/exotel/calls.redb");
    let finished = setup.finish(&["run"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("/proc/exotel"), "the message names the path: {finished:?}");
    assert!(!finished.stderr.contains("panicked"), "{finished:?}");
}

#[test]
fn a_second_agent_on_the_same_store_is_refused_and_the_first_goes_on() {
    let (exotel, setup, mut agent) = agent_that_counted_one_call();
    let second = free_port();
    let finished = setup.finish(&["run", &format!("--web.listen-address=127.0.0.1:{second}")]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let store = setup.store();
    let message = finished.stderr.to_lowercase();
    assert!(
        message.contains(&store.display().to_string().to_lowercase()),
        "the message names the store: {finished:?}"
    );
    assert!(
        message.contains("another") || message.contains("in use") || message.contains("lock"),
        "{finished:?}"
    );
    exotel.add_call("second");
    counts(&mut agent, 2.0);
}

#[test]
fn a_port_that_is_taken_is_a_clear_error() {
    let (_exotel, setup, agent) = agent_that_counted_one_call();
    let address = agent.base.strip_prefix("http://").expect("a base");
    let other = setup.path().join("other.redb");
    let finished = setup.finish(&["run", &format!("--store.path={}", other.display())]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains(address), "the message names the address: {finished:?}");
}

#[test]
fn a_file_that_is_no_store_is_refused_untouched() {
    let setup = Setup::new(&[account("acme", "http://127.0.0.1:9")]);
    let store = setup.store();
    std::fs::create_dir_all(store.parent().expect("a folder")).unwrap();
    for content in [b"not a store at all".to_vec(), vec![0; 70_000]] {
        std::fs::write(&store, &content).unwrap();
        let finished = setup.finish(&["run"]);
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stderr.contains("calls.redb"), "the message names the store: {finished:?}");
        assert!(!finished.stderr.contains("panicked"), "{finished:?}");
        assert!(std::fs::read(&store).unwrap() == content, "the file was changed");
    }
}

#[test]
fn a_store_that_was_cut_short_is_reported_and_not_replaced() {
    let (_exotel, setup, mut agent) = agent_that_counted_one_call();
    assert!(agent.process.terminate(secs(10)).success());
    let whole = std::fs::read(setup.store()).unwrap();
    let half = &whole[..whole.len() / 2];
    std::fs::write(setup.store(), half).unwrap();
    let finished = setup.finish(&["run"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(!finished.stderr.contains("panicked"), "{finished:?}");
    let after = std::fs::read(setup.store()).unwrap();
    assert_eq!(after.len(), half.len(), "a damaged store keeps its size");
    std::fs::write(setup.store(), whole).unwrap();
    let mut agent = setup.start();
    counts(&mut agent, 1.0);
}

/// A full disk, as a limit on file sizes shows it: every write fails, and works again when the limit is lifted.
#[test]
fn a_disk_that_takes_no_write_shows_in_the_metrics_and_loses_nothing() {
    let exotel = Fake::start();
    let setup = Setup::new(&[account("acme", &exotel.base)]);
    // A write over the limit would end the process by a signal, unless it is ignored when it starts.
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    let command = setup.command(&["run"]);
    shell.arg(command.get_program()).args(command.get_args()).current_dir(setup.path());
    let mut agent = Agent { process: Process::start("exotel-exporter", shell), base: setup.base() };
    eventually(secs(10), "the agent is ready", || {
        agent.process.must_run();
        let status = agent.get("/-/ready")?.status;
        ensure(status == 200, || format!("status {status}"))
    });
    exotel.add_call("first");
    counts(&mut agent, 1.0);
    let limit_files = |bytes: Option<u64>| {
        let pid = Pid::from_raw(agent.process.id().cast_signed());
        let maximum = getrlimit(Resource::Fsize).maximum;
        prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum })
            .expect("a limit on a child's files");
    };
    limit_files(Some(1));
    exotel.add_call("second");
    eventually(secs(20), "a store error is counted", || {
        agent.scrape().metric("exotel_store_errors_total").at_least(1.0)
    });
    // A scrape goes on as before, and says only what is durable.
    let scrape = agent.scrape();
    scrape.metric("exotel_calls_total").sums_to(1.0).unwrap();
    limit_files(None);
    counts(&mut agent, 2.0);
    // The same after a restart: the store is whole.
    agent.process.kill_9();
    let mut agent = setup.start();
    counts(&mut agent, 2.0);
}

#[test]
fn a_broken_configuration_names_every_fault_with_file_and_key() {
    let setup = Setup::new(&[account("acme", "http://127.0.0.1:9"), account("acme", "http://127.0.0.1:9")])
        .with("sync.intervall", "1s")
        .with("sync.lookback", "soon")
        .with("accounts.0.background_share", 7)
        .with("accounts.1.rate_limits.voice", "many");
    for command in ["run", "check-config"] {
        let finished = setup.finish(&[command]);
        assert_eq!(finished.code, Some(1), "{command}: {finished:?}");
        let said = format!("{}{}", finished.stdout, finished.stderr);
        for part in ["exotel-exporter.yml", "intervall", "lookback", "background_share", "voice", "acme"] {
            assert!(said.contains(part), "{command}: {part} is not named: {said}");
        }
        assert!(!said.contains("simtoken") && !said.contains("panicked"), "{command}: {said}");
    }
}

#[test]
fn a_configuration_that_is_no_yaml_or_is_missing_is_a_clear_error() {
    let setup = Setup::new(&[]);
    let file = setup.path().join("broken.yml");
    std::fs::write(&file, "accounts: [\n  {name: \"acme\"\nsync: }").unwrap();
    for (file, expected) in [(file, "broken.yml"), (setup.path().join("absent.yml"), "absent.yml")] {
        for command in ["run", "check-config"] {
            let mut line = exotel_exporter(&setup.path());
            line.arg(command).arg(format!("--config.file={}", file.display()));
            let finished = run(line);
            assert_eq!(finished.code, Some(1), "{command}: {finished:?}");
            let said = format!("{}{}", finished.stdout, finished.stderr);
            assert!(said.contains(expected) && !said.contains("panicked"), "{command}: {said}");
        }
    }
}

#[test]
fn no_account_at_all_says_what_to_set() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut command = exotel_exporter(folder.path());
    command.arg("run");
    let finished = run(command);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("EXOTEL_SID"), "{finished:?}");
}

#[test]
fn an_exotel_that_never_answers_times_out_and_a_scrape_does_not_wait() {
    let (exotel, _setup, mut agent) = agent_that_counted_one_call();
    exotel.twist(|_, truth| Reply { after: Duration::from_secs(600), ..truth });
    exotel.add_call("second");
    for _ in 0..20 {
        let start = Instant::now();
        agent.scrape();
        assert!(start.elapsed() < secs(1), "a scrape took {:?}", start.elapsed());
        std::thread::sleep(Duration::from_millis(100));
    }
    exotel.behave();
    agent.scrape_until(secs(120), "the call is counted after the time-out", |scrape| {
        scrape.metric("exotel_api_request_failures_total").label("reason", "timeout").at_least(1.0)?;
        scrape.metric("exotel_calls_total").sums_to(2.0)
    });
}
