//! `store erase`: of the store alone, and through the agent that holds it, which goes on meanwhile.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::canary::{FORM, SECRET, hides, hides_all, row, setup};
use crate::support::agent::{Agent, Setup};
use crate::support::fake::{Fake, epoch_now, ist};
use crate::support::process::{Finished, Process};
use crate::support::{ensure, eventually, note, secs};
use crate::webhooks::post;

const ERASE: [&str; 4] = ["store", "erase", "--number", "+91 99112 23301"];

/// The rows that a table lost, by what the command printed.
fn erased(finished: &Finished, table: &str) -> u64 {
    let line = finished.stdout.lines().find(|line| line.starts_with(table));
    let rows = line.and_then(|line| line.split_whitespace().last()).unwrap_or_default();
    rows.parse().unwrap_or_else(|_| panic!("no rows of {table}: {finished:?}"))
}

/// Whether a fresh copy of the store, which has no freed pages, holds a text.
fn holds(setup: &Setup, text: &str) -> bool {
    let copy = setup.path().join("copy.redb");
    std::fs::remove_file(&copy).ok();
    let finished = setup.finish(&["store", "backup", copy.to_str().expect("a path in UTF-8")]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let bytes = std::fs::read(&copy).expect("a copy");
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

fn socket(setup: &Setup) -> PathBuf {
    let mut name = setup.store().into_os_string();
    name.push(".sock");
    name.into()
}

/// A person who calls, and sends a row and a callback that nobody can read.
fn known(exotel: &Fake, setup: &Setup) -> Agent {
    let mut agent = setup.start();
    exotel.add(row("good", &json!("no-answer")));
    exotel.add(row("bad", &json!(null)));
    post(&agent.base, &format!("/webhooks/acme/{SECRET}/calls"), FORM, b"campaign=1&who=%2B919911223301");
    read(&mut agent, 1.0);
    agent
}

fn read(agent: &mut Agent, calls: f64) {
    agent.scrape_until(secs(60), "the rows are read", |scrape| {
        scrape.metric("exotel_calls_total").sums_to(calls)?;
        scrape.metric("exotel_sync_rows_set_aside").at_least(1.0).map(|_| ())
    });
}

#[track_caller]
fn is_sound(setup: &Setup) {
    let check = setup.finish(&["store", "check"]);
    assert_eq!(check.code, Some(0), "{check:?}");
}

#[test]
fn a_person_is_erased_while_no_agent_runs_and_stays_erased() {
    let exotel = Fake::start();
    let setup = setup(&exotel);
    let mut agent = known(&exotel, &setup);
    assert!(agent.process.terminate(secs(10)).success());
    assert!(!socket(&setup).exists(), "the socket goes with the agent");
    assert!(holds(&setup, "canary-recording"), "what is to be erased is there");

    let finished = setup.finish(&ERASE);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    hides_all("store erase", &finished);
    assert_eq!(["calls", "set_aside", "kept"].map(|table| erased(&finished, table)), [1, 1, 1]);
    is_sound(&setup);

    // The counters are as they were; Exotel shows the rows again, and nothing of them comes back.
    let mut agent = setup.start();
    read(&mut agent, 1.0);
    exotel.add(row("another", &json!("no-answer")));
    read(&mut agent, 2.0);
    assert!(agent.process.terminate(secs(10)).success());
    assert!(!holds(&setup, "canary-recording"), "it is back");
}

#[test]
fn a_person_is_erased_beside_a_running_agent_which_goes_on() {
    let exotel = Fake::start();
    let setup = setup(&exotel);
    let mut agent = known(&exotel, &setup);
    for n in 0..300 {
        exotel.add(row(&format!("many{n}"), &json!("no-answer")));
    }
    read(&mut agent, 301.0);
    assert!(holds(&setup, "canary-recording"), "what is to be erased is there");
    let mode = std::fs::metadata(socket(&setup)).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let (done, mut finished) = (AtomicBool::new(false), None);
    std::thread::scope(|scope| {
        let scrapes = scope.spawn(|| {
            let mut scrapes = 0;
            while !done.load(Ordering::Relaxed) {
                agent.scrape().metric("exotel_calls_total").at_least(301.0).expect("nothing is lost");
                scrapes += 1;
            }
            scrapes
        });
        exotel.add(row("meanwhile", &json!("no-answer")));
        let outcome = setup.finish(&ERASE);
        done.store(true, Ordering::Relaxed);
        assert!(scrapes.join().expect("every scrape is answered") > 0);
        finished = Some(outcome);
    });
    let finished = finished.expect("an outcome");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    hides_all("store erase", &finished);
    assert!((301..=302).contains(&erased(&finished, "calls")), "{finished:?}");
    assert_eq!(["set_aside", "kept"].map(|table| erased(&finished, table)), [1, 1]);
    assert!(finished.stdout.contains("from now on is not stored"), "{finished:?}");
    assert!(finished.stderr.contains("looked at"), "it says how far it is: {finished:?}");

    // What Exotel goes on to show counts, and brings nothing back.
    exotel.add(row("another", &json!("no-answer")));
    read(&mut agent, 303.0);
    assert!(!holds(&setup, "canary-recording"), "beside the agent, too");
    let again = setup.finish(&ERASE);
    assert_eq!(["calls", "set_aside", "kept"].map(|table| erased(&again, table)), [0, 0, 0]);
    assert!(again.stdout.contains("erased before"), "{again:?}");
    is_sound(&setup);
    let slip = setup.finish(&["store", "erase", "--number", "abc"]);
    assert_eq!(slip.code, Some(1), "{slip:?}");
    assert!(slip.stderr.contains("that is no number"), "{slip:?}");
    // The others keep refusing, and name the agent.
    let compact = setup.finish(&["store", "compact"]);
    assert_eq!(compact.code, Some(1), "{compact:?}");
    assert!(compact.stderr.contains(&format!("(pid {})", agent.process.id())), "{compact:?}");

    assert!(agent.process.terminate(secs(10)).success());
    hides("the log", &agent.process.log());
    let mut agent = setup.start();
    read(&mut agent, 303.0);
    assert!(agent.process.terminate(secs(10)).success());
    assert!(!holds(&setup, "canary-recording"), "it is back");
    is_sound(&setup);
}

/// A call of the n-th of several people.
fn call_of(person: u32, n: u32) -> Value {
    let now = epoch_now();
    json!({
        "Sid": format!("{:0>32}", format!("p{person}n{n}")), "ParentCallSid": null, "AccountSid": "exampleacct1",
        "DateCreated": ist(now), "DateUpdated": ist(now + 1), "StartTime": ist(now), "EndTime": ist(now + 1),
        "From": format!("0991122440{person}"), "To": "08000000011", "CustomField": format!("field-of-{person}."),
        "PhoneNumberSid": "08000000011", "Status": "no-answer", "Direction": "inbound", "Duration": "1", "Price": null,
    })
}

#[test]
fn an_agent_that_is_killed_while_it_erases_leaves_nothing_that_a_second_time_does_not_finish() {
    const CALLS: u32 = 200;
    let exotel = Fake::start();
    let setup = setup(&exotel);
    let waits = [0, 15, 40, 80].map(Duration::from_millis);
    // Calls from before the first start are history, and not counted.
    let mut agent = setup.start();
    for person in 0..4 {
        for n in 0..CALLS {
            exotel.add(call_of(person, n));
        }
    }
    agent.scrape_until(secs(60), "all are read", |s| {
        s.metric("exotel_calls_total").sums_to(f64::from(4 * CALLS))
    });
    for (person, wait) in waits.iter().enumerate() {
        if person > 0 {
            agent = setup.start();
        }
        eventually(secs(10), "the socket is there", || {
            ensure(socket(&setup).exists(), || "it is not".to_owned())
        });
        let number = format!("099112 2440{person}");
        let erase = ["store", "erase", "--number", &number];
        let field = format!("field-of-{person}.");
        assert!(holds(&setup, &field), "what is to be erased is there");
        let mut asks = Process::start("store erase", setup.command(&erase));
        // Somewhere on its way; the last may be done.
        sleep(*wait);
        agent.process.kill_9();
        let ended = asks.wait(secs(20));
        if !ended.success() {
            let log = asks.log();
            assert!(log.contains("rase again") || log.contains("takes no requests"), "{log}");
            assert!(!log.contains("2440"), "{log}");
        }
        let finished = setup.finish(&erase);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert!(!holds(&setup, &field), "the rest is gone, too");
        is_sound(&setup);
    }
    let mut agent = setup.start();
    agent.scrape_until(secs(60), "all are counted once", |s| {
        s.metric("exotel_calls_total").sums_to(f64::from(4 * CALLS))
    });
}

#[test]
fn another_user_is_refused_even_where_the_files_are_open_to_all() {
    let exotel = Fake::start();
    let setup = setup(&exotel);
    let mut agent = known(&exotel, &setup);
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    };
    open(&setup.path(), 0o755);
    open(setup.store().parent().expect("a folder"), 0o777);
    for file in [setup.store(), socket(&setup)] {
        open(&file, 0o666);
    }
    open(&setup.config_file(), 0o644);
    let user = std::fs::metadata(setup.store()).expect("a store").uid();
    let command = setup.command(&ERASE);
    let mut other = Command::new("runuser");
    other.args(["-u", "nobody", "--"]).arg(command.get_program()).args(command.get_args());
    other.current_dir(setup.path());
    let answer = match (user, other.output()) {
        (0, Ok(answer)) if ![Some(126), Some(127)].contains(&answer.status.code()) => answer,
        (_, answer) => return note(&format!("not tested: another user needs root and runuser: {answer:?}")),
    };
    let told = String::from_utf8_lossy(&answer.stderr).into_owned();
    assert!(!answer.status.success(), "{told}");
    assert!(told.contains("runs as another user"), "{told}");
    assert!(holds(&setup, "canary-recording"), "nothing was erased");
    assert!(agent.process.terminate(secs(10)).success());
    assert!(agent.process.log().contains("another user"), "{}", agent.process.log());
}
