//! The status page in a real browser.

use std::process::{Command, Stdio};

use crate::support::process::{Process, exotel_exporter};
use crate::support::{eventually, free_port, http, secs};

/// The page's elements as Chromium has them a few seconds after it was opened.
fn opened(folder: &std::path::Path, url: &str, arguments: &[&str]) -> String {
    let finished = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("chromium").display()))
        .args(arguments)
        .arg(url)
        .stdin(Stdio::null())
        .output()
        .expect("no Chromium: run tests/install first");
    let dom = String::from_utf8(finished.stdout).expect("a page in UTF-8");
    assert!(dom.contains("</html>"), "{}", String::from_utf8_lossy(&finished.stderr));
    dom
}

#[test]
fn the_page_is_whole_without_a_script_and_renews_itself_with_one() {
    let folder = tempfile::TempDir::new().unwrap();
    let port = free_port();
    let mut command = exotel_exporter(folder.path());
    command.arg("demo").arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let mut demo = Process::start("the demo", command);
    let url = format!("http://127.0.0.1:{port}/");
    let phones = eventually(secs(30), "ExoPhones, a heartbeat, an SMS and the balance are shown", || {
        demo.must_run();
        let page = http::get(&url)?.text();
        let phones: Vec<String> = page
            .split("role=\"rowheader\">")
            .skip(1)
            .filter_map(|rest| rest.split('<').next().map(str::to_owned))
            .collect();
        let parts = ["<dt>balance</dt>", "SMS since", "by heartbeat</small>"];
        let whole = !phones.is_empty() && parts.iter().all(|part| page.contains(part));
        if whole { Ok(phones) } else { Err(page) }
    });

    // A headless Chromium with scripts switched off prints nothing, so that here the page itself refuses them.
    let refusing = "<meta http-equiv=\"Content-Security-Policy\" content=\"script-src 'none'\"><title>";
    let file = folder.path().join("page.html");
    std::fs::write(&file, http::get(&url).unwrap().text().replacen("<title>", refusing, 1)).unwrap();
    std::fs::write(folder.path().join("refresh.js"), http::get(&format!("{url}refresh.js")).unwrap().body)
        .unwrap();
    let still = opened(folder.path(), &format!("file://{}", file.display()), &[]);
    // The browser's clock runs ahead, so that the script's time comes at once.
    let live = opened(folder.path(), &url, &["--virtual-time-budget=25000"]);
    for dom in [&still, &live] {
        for phone in &phones {
            assert!(dom.contains(phone), "{phone} is not in {dom}");
        }
        for part in
            ["callbacks missed", "Calls by hour", "Last sync", "Request budget", "by heartbeat</small>"]
        {
            assert!(dom.contains(part), "{part} is not in {dom}");
        }
    }
    assert!(still.contains("<p id=\"live\" hidden=\"\"></p>"), "nothing to pause without a script: {still}");
    assert!(
        live.contains("Pause updates</button><span role=\"status\"></span>"),
        "every answer came: {live}"
    );
    assert!(live.contains(" data-updates=\""), "the script has renewed the page: {live}");
    assert!(demo.terminate(secs(10)).success(), "{}", demo.log());
}
