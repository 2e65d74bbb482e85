//! The status page in a real browser, behind TLS and a password.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::certificates::Certificates;
use super::{PASSWORD, curl, start, tls, trusting, users, with_web_key, write};
use crate::support::agent::{Setup, account};
use crate::support::browser::Browser;
use crate::support::process::{Process, exotel_exporter, run};
use crate::support::{ensure, eventually, free_port, secs};

/// Texts that are too faint.
const CONTRAST: &str = include_str!("contrast.js");
/// How far the page is wider than its window.
const OVERFLOW: &str = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
const PAGE: &str = "document.documentElement.outerHTML";

/// Where pictures of the pages go: a folder to look at, or one that goes with the test.
fn pictures(otherwise: &Path) -> PathBuf {
    let folder = std::env::var_os("EXOTEL_TEST_PICTURES").map_or_else(|| otherwise.to_owned(), PathBuf::from);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The hash of a certificate's key, as Chromium wants it.
fn spki(certificates: &Certificates, file: &str) -> String {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "openssl x509 -in \"$1\" -noout -pubkey | openssl pkey -pubin -outform der \
         | openssl dgst -sha256 -binary | openssl base64",
        "sh",
        &certificates.path(file),
    ]);
    let finished = run(command);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.stdout.trim().to_owned()
}

/// Asserts what holds of every page in every look, and takes a picture.
#[track_caller]
fn look(browser: &mut Browser, pictures: &Path, name: &str, holds: &[String]) {
    for (width, height) in [(1280, 900), (360, 740)] {
        for scheme in ["light", "dark"] {
            browser.size(width, height);
            browser.colours(scheme);
            browser.picture(&pictures.join(format!("{name}-{width}-{scheme}.png")));
            let look = format!("{name}, {width} wide, {scheme}");
            assert_eq!(browser.run(OVERFLOW), 0, "{look}: wider than its window");
            assert_eq!(browser.run(CONTRAST), json!([]), "{look}: too faint");
            let dom = browser.run(PAGE);
            let dom = dom.as_str().unwrap();
            for part in holds {
                assert!(dom.contains(part.as_str()), "{look}: {part} is not in {dom}");
            }
        }
    }
}

/// Asserts that a page asked nobody but its own server and had nothing to complain about.
#[track_caller]
fn keeps_to_itself(browser: &Browser, base: &str) {
    let requests = browser.requests();
    assert!(requests.iter().any(|url| url.contains("/style.css")), "{requests:?}");
    let password = format!("prometheus:{PASSWORD}@");
    for url in requests {
        let url = url.replace(&password, "");
        assert!(url.starts_with(base) || url.starts_with("data:"), "{url} is not below {base}");
    }
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_page_is_whole_and_renews_itself_behind_tls_and_a_password() {
    let folder = tempfile::TempDir::new().unwrap();
    let made = Certificates::make(folder.path());
    write(folder.path(), &(tls(&[]) + &users()));
    let mut command = exotel_exporter(folder.path());
    let port = free_port();
    command.args(["demo", "--web.config.file=web.yml", &format!("--web.listen-address=127.0.0.1:{port}")]);
    let mut demo = Process::start("the demo", command);
    let base = format!("https://localhost:{port}/");
    let user = format!("prometheus:{PASSWORD}");
    let phones = eventually(secs(60), "ExoPhones, a heartbeat, an SMS and the balance are shown", || {
        demo.must_run();
        let seen = trusting(&made, &["--user", &user, &base]);
        let rows = seen.body.split("role=\"rowheader\">").skip(1);
        let phones: Vec<String> = rows.filter_map(|rest| Some(rest.split_once('<')?.0.to_owned())).collect();
        let parts = ["<dt>balance</dt>", "SMS since", "by heartbeat</small>", "Calls by hour"];
        let whole = !phones.is_empty() && parts.iter().all(|part| seen.body.contains(part));
        if whole { Ok(phones) } else { Err(format!("{seen:?}")) }
    });
    let pictures = pictures(folder.path());
    let mut browser = Browser::start(folder.path(), &spki(&made, "server.crt"));

    assert_eq!(browser.open(&base), 401);
    let refused = browser.run(PAGE);
    assert!(!refused.as_str().unwrap().contains("demo"), "{refused}");

    let with_password = base.replace("https://", &format!("https://{user}@"));
    let mut holds = phones.clone();
    let parts =
        ["demo", "Calls by hour", "callbacks missed", "Last sync", "Request budget", "by heartbeat</small>"];
    holds.extend(parts.map(str::to_owned));
    assert_eq!(browser.open(&with_password), 200);
    look(&mut browser, &pictures, "scripted", &holds);
    let updates = "document.getElementById('live').dataset.updates";
    eventually(secs(40), "the script has renewed the page", || {
        let updates = browser.run(updates);
        ensure(updates != Value::Null, || {
            browser.run("document.getElementById('live').outerHTML").to_string()
        })
    });
    assert_eq!(browser.run("document.querySelector('#live span').textContent"), "", "every answer came");
    keeps_to_itself(&browser, &base);

    browser.call("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    assert_eq!(browser.open(&with_password), 200);
    holds.push("<p id=\"live\" hidden=\"\"></p>".to_owned());
    look(&mut browser, &pictures, "still", &holds);
    keeps_to_itself(&browser, &base);

    browser.call("Emulation.setScriptExecutionDisabled", json!({"value": false}));
    assert_eq!(browser.open(&format!("{with_password}docs")), 200);
    look(&mut browser, &pictures, "docs", &["exotel_calls_total".to_owned()]);
    keeps_to_itself(&browser, &base);
    drop(browser);
    assert!(demo.terminate(secs(10)).success(), "{}", demo.log());
}

#[test]
fn a_page_full_of_trouble_stays_within_a_phone() {
    let name = "an-account-whose-name-is-as-long-as-a-name-may-be-0123456789";
    let setup = with_web_key(
        Setup::new(&[account(name, "http://127.0.0.1:9")]).with("sync.interval", "1h"),
        "config_file",
        "web.yml".into(),
    );
    let made = Certificates::make(&setup.path());
    write(&setup.path(), &(tls(&[]) + &users()));
    let agent = start(&setup);
    let base = format!("{}/", agent.base.replace("http://127.0.0.1", "https://localhost"));
    let user = format!("prometheus:{PASSWORD}");
    eventually(secs(60), "the account fails", || {
        let seen: curl::Seen = trusting(&made, &["--user", &user, &base]);
        ensure(seen.body.contains("failing"), || format!("{seen:?}"))
    });
    let pictures = pictures(&setup.path());
    let mut browser = Browser::start(&setup.path(), &spki(&made, "server.crt"));
    assert_eq!(browser.open(&base.replace("https://", &format!("https://{user}@"))), 200);
    look(&mut browser, &pictures, "trouble", &[name.to_owned()]);
    keeps_to_itself(&browser, &base);
}
