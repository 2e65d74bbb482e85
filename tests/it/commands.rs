//! The commands, as a person types them.

use std::path::Path;

use crate::support::agent::{Agent, Setup, account};
use crate::support::fake::Fake;
use crate::support::process::{Finished, exotel_exporter, run};
use crate::support::simulator::Simulator;
use crate::support::{http, secs};

/// A setup whose agent has counted three calls, still running.
fn three_calls() -> (Fake, Setup, Agent) {
    let exotel = Fake::start();
    let setup = Setup::new(&[account("acme", &exotel.base)]);
    let mut agent = setup.start();
    for sid in ["one", "two", "three"] {
        exotel.add_call(sid);
    }
    has_counted(&mut agent, 3.0);
    (exotel, setup, agent)
}

#[track_caller]
fn has_counted(agent: &mut Agent, calls: f64) {
    agent.scrape_until(secs(60), "the calls are counted", |scrape| {
        scrape.metric("exotel_calls_total").sums_to(calls)
    });
}

#[track_caller]
fn succeeds(finished: &Finished) -> &str {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    &finished.stdout
}

#[track_caller]
fn refused(finished: &Finished, said: &str) {
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains(said), "{said:?} is not said: {finished:?}");
    assert!(!finished.stderr.contains("panicked"), "{finished:?}");
}

fn plain(folder: &Path, arguments: &[&str]) -> Finished {
    let mut command = exotel_exporter(folder);
    command.args(arguments);
    run(command)
}

#[test]
fn help_names_every_command_and_flag() {
    let folder = tempfile::TempDir::new().unwrap();
    let finished = plain(folder.path(), &["--help"]);
    let help = succeeds(&finished);
    for part in [
        "run",
        "demo",
        "simulate",
        "check-config",
        "store",
        "--config.file",
        "--web.listen-address",
        "--web.telemetry-path",
        "--web.config.file",
        "--web.enable-lifecycle",
        "--store.path",
        "--log.level",
        "--log.format",
        "--version",
    ] {
        assert!(help.contains(part), "{part} is not in the help: {help}");
    }
    let finished = plain(folder.path(), &["store", "--help"]);
    for part in ["check", "stats", "backup", "restore", "compact"] {
        assert!(succeeds(&finished).contains(part), "{part} is not in the help: {finished:?}");
    }
}

#[test]
fn the_version_is_told_as_prometheus_tells_its_own() {
    let folder = tempfile::TempDir::new().unwrap();
    let finished = plain(folder.path(), &["--version"]);
    let lines: Vec<&str> = succeeds(&finished).lines().collect();
    let first = format!("exotel-exporter, version {}", env!("CARGO_PKG_VERSION"));
    assert!(lines[0].starts_with(&first), "{finished:?}");
    assert!(lines.len() > 1, "more lines tell how it was built: {finished:?}");
}

#[test]
fn what_nobody_knows_is_refused_with_a_hint() {
    let folder = tempfile::TempDir::new().unwrap();
    for arguments in
        [&["runn"][..], &["--log.levle=debug"], &["store", "repair"], &["run", "--log.level=loud"]]
    {
        let finished = plain(folder.path(), arguments);
        assert!(finished.code.is_some_and(|code| code != 0), "{arguments:?}: {finished:?}");
        assert!(
            !finished.stderr.is_empty() && !finished.stderr.contains("panicked"),
            "{arguments:?}: {finished:?}"
        );
    }
}

#[test]
fn a_good_configuration_is_checked_with_flags_before_or_after_the_command() {
    let setup = Setup::new(&[account("acme", "http://127.0.0.1:9")]);
    let file = format!("--config.file={}", setup.config_file().display());
    for arguments in [["check-config", &file], [&file, "check-config"]] {
        let finished = plain(&setup.path(), &arguments);
        // The whole voice budget is used, and the check says how much that is.
        assert!(succeeds(&finished).contains("6000"), "{finished:?}");
        assert!(!finished.stdout.contains("simtoken"), "{finished:?}");
    }
    assert!(!setup.store().exists(), "a check writes no store");
}

#[test]
fn one_account_needs_no_file() {
    let exotel = Fake::start();
    let setup = Setup::new(&[]);
    let environment = [
        ("EXOTEL_SID", "exampleacct1"),
        ("EXOTEL_API_KEY", "simkey"),
        ("EXOTEL_API_SECRET", "simtoken"),
        ("EXOTEL_ACCOUNT_NAME", "shop"),
        ("EXOTEL_BASE_URL", &exotel.base),
    ];
    let mut check = exotel_exporter(&setup.path());
    check.arg("check-config").envs(environment);
    succeeds(&run(check));

    let mut command = exotel_exporter(&setup.path());
    let address = setup.base().replace("http://", "");
    command.arg("run").arg(format!("--web.listen-address={address}")).envs(environment);
    let process = crate::support::process::Process::start("exotel-exporter", command);
    let mut agent = Agent { process, base: setup.base() };
    agent.scrape_until(secs(20), "the account is watched under its name", |scrape| {
        scrape.metric("exotel_up").label("account", "shop").sums_to(1.0)
    });
    assert!(setup.path().join("data/exotel-exporter.redb").exists(), "the store lies at its default place");
}

#[test]
fn the_simulator_serves_its_scenarios_and_ends_when_it_is_told_to() {
    let folder = tempfile::TempDir::new().unwrap();
    let finished = plain(folder.path(), &["simulate", "--list-scenarios"]);
    for scenario in ["demo", "calm", "backlog"] {
        assert!(succeeds(&finished).contains(scenario), "{scenario} is not listed: {finished:?}");
    }
    let finished = plain(folder.path(), &["simulate", "--scenario", "hurricane"]);
    assert!(
        finished.code.is_some_and(|code| code != 0) && finished.stderr.contains("hurricane"),
        "{finished:?}"
    );

    let mut simulator = Simulator::started("calm", 1);
    let calls = format!("{}/v1/Accounts/exampleacct1/Calls.json", simulator.base);
    assert_eq!(http::get(&calls).unwrap().status, 401);
    let answer = http::get_with(&calls, &[("Authorization", "Basic c2lta2V5OnNpbXRva2Vu")]).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.json().unwrap()["Calls"].is_array());
    let log = simulator.process().log();
    assert!(log.contains("simkey") && log.contains("exampleacct1"), "it tells what to log in with: {log}");
    assert!(simulator.process().terminate(secs(5)).success());
}

#[test]
fn an_agent_ends_cleanly_when_it_is_told_to() {
    let (_exotel, setup, mut agent) = three_calls();
    assert!(agent.process.terminate(secs(5)).success(), "{}", agent.process.log());
    assert!(!agent.process.log().contains("panicked"), "{}", agent.process.log());
    let mut agent = setup.start();
    // The counters are there with the first scrape, before anything was read again.
    agent.scrape().metric("exotel_calls_total").sums_to(3.0).unwrap();
    agent.process.must_run();
}

#[test]
fn a_store_is_checked_and_told_about_while_no_agent_runs() {
    let (_exotel, setup, mut agent) = three_calls();
    let finished = setup.finish(&["store", "check"]);
    assert!(succeeds(&finished).contains("verified too while no agent runs"), "{finished:?}");
    agent.process.terminate(secs(5));
    let finished = setup.finish(&["store", "check"]);
    assert!(succeeds(&finished).contains("every page of the file is sound"), "{finished:?}");
    let finished = setup.finish(&["store", "stats"]);
    let stats = succeeds(&finished);
    assert!(stats.contains('3'), "three calls are in it: {stats}");
    assert!(!stats.contains("9900000"), "no customer's number: {stats}");

    // Where a service is handed its secrets, they are gone when it is stopped.
    let mut handed = account("acme", "http://127.0.0.1:1");
    let fields = handed.as_object_mut().expect("an account");
    fields.remove("api_key");
    fields.insert("api_key_file".to_owned(), "gone".into());
    let setup = setup.with("accounts.0", handed);
    assert_eq!(succeeds(&setup.finish(&["store", "stats"])), stats);
    refused(&setup.finish(&["check-config"]), "api_key_file");
    let slip = setup.finish(&["store", "erase", "--number", "abc"]);
    refused(&slip, "that is no number");
}

/// Bits flipped one by one all over the file: each is found, or lies where nothing is kept; none is read back as data.
#[test]
fn a_flipped_bit_is_found_by_the_check_and_never_believed() {
    let (_exotel, setup, mut agent) = three_calls();
    agent.process.terminate(secs(5));
    let whole = std::fs::read(setup.store()).unwrap();
    let stats = |setup: &Setup| succeeds(&setup.finish(&["store", "stats"])).to_owned();
    let before = stats(&setup);
    let filled: Vec<usize> = (0..whole.len()).filter(|place| whole[*place] != 0).collect();
    let mut found = 0;
    for trial in 0..60 {
        let mut bytes = whole.clone();
        bytes[filled[trial * filled.len() / 60]] ^= 1 << (trial % 8);
        std::fs::write(setup.store(), &bytes).unwrap();
        let finished = setup.finish(&["store", "check"]);
        assert!(!finished.stderr.contains("panicked"), "trial {trial}: {finished:?}");
        match finished.code {
            Some(0) => assert_eq!(stats(&setup), before, "trial {trial}: the damage was believed"),
            Some(1) => found += 1,
            _ => panic!("trial {trial}: {finished:?}"),
        }
    }
    assert!(found > 0, "no damage was found");
    std::fs::write(setup.store(), &whole).unwrap();
    let agent = setup.start();
    agent.scrape().metric("exotel_calls_total").sums_to(3.0).unwrap();
}

#[test]
fn a_backup_taken_beside_the_agent_comes_back_with_counters_from_zero() {
    let (exotel, setup, mut agent) = three_calls();
    let copy = setup.path().join("copy.redb");
    let copy = copy.to_str().expect("a path in UTF-8");
    succeeds(&setup.finish(&["store", "backup", copy]));
    assert!(std::fs::metadata(copy).unwrap().len() > 0);
    exotel.add_call("four");
    has_counted(&mut agent, 4.0);

    // While it runs, nobody may swap its store.
    refused(&setup.finish(&["store", "restore", copy]), "calls.redb");
    agent.process.terminate(secs(5));
    succeeds(&setup.finish(&["store", "restore", copy]));
    succeeds(&setup.finish(&["store", "check"]));

    // Prometheus sees a reset, not a lifetime; the call after the backup is found and counted again.
    let mut agent = setup.start();
    has_counted(&mut agent, 1.0);
    agent.scrape().metric("exotel_calls_total").sums_to(1.0).unwrap();
}

#[test]
fn compacting_keeps_every_call_and_waits_for_no_agent() {
    let (_exotel, setup, mut agent) = three_calls();
    refused(&setup.finish(&["store", "compact"]), "calls.redb");
    agent.process.must_run();
    agent.process.terminate(secs(5));
    let before = std::fs::metadata(setup.store()).unwrap().len();
    succeeds(&setup.finish(&["store", "compact"]));
    assert!(std::fs::metadata(setup.store()).unwrap().len() <= before);
    succeeds(&setup.finish(&["store", "check"]));
    let agent = setup.start();
    agent.scrape().metric("exotel_calls_total").sums_to(3.0).unwrap();
}

#[test]
fn a_backup_of_nothing_and_a_restore_from_nothing_are_clear_errors() {
    let setup = Setup::new(&[account("acme", "http://127.0.0.1:9")]);
    let absent = setup.path().join("absent.redb");
    let absent = absent.to_str().expect("a path in UTF-8");
    refused(&setup.finish(&["store", "backup", absent]), "calls.redb");
    refused(&setup.finish(&["store", "stats"]), "calls.redb");
    refused(&setup.finish(&["store", "restore", absent]), "absent.redb");
    assert!(!setup.store().exists(), "no store is made by a question");
}
