//! Debian's Chromium over the protocol of its developer tools: pages as a reader meets them, with what they asked for and
//! complained about.
//!
//! The protocol goes through a pair of pipes, one JSON text after the other, each ended by a NUL byte.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::secs;

/// How long an answer of the browser is waited for.
const PATIENCE: Duration = secs(60);

/// A headless Chromium with one page. It ends with its test.
#[derive(Debug)]
pub(crate) struct Browser {
    child: Child,
    pipe: ChildStdin,
    said: Receiver<Value>,
    session: String,
    last: u64,
    events: Vec<Value>,
}

impl Browser {
    /// Starts it, with a profile in a folder. Certificates with this key (the hash of its SPKI, in base64) are trusted
    /// whoever signed them, and no other that the system does not trust.
    pub(crate) fn start(folder: &Path, spki: &str) -> Self {
        let profile = format!("--user-data-dir={}", folder.join("browser").display());
        let trusted = format!("--ignore-certificate-errors-spki-list={spki}");
        // It reads requests from descriptor 3 and writes answers to descriptor 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec chromium \"$@\" 3<&0 4>&1 >/dev/null", "sh"])
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-proxy-server",
            ])
            .args(["--remote-debugging-pipe", &profile, &trusted, "about:blank"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let pipe = child.stdin.take().expect("a piped stdin");
        let answers = BufReader::new(child.stdout.take().expect("a piped stdout"));
        let (tell, said) = channel();
        std::thread::spawn(move || {
            for text in answers.split(0) {
                let Ok(text) = text else { return };
                let value = serde_json::from_slice(&text).expect("JSON of the browser");
                if tell.send(value).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self { child, pipe, said, session: String::new(), last: 0, events: Vec::new() };
        let targets = browser.call("Target.getTargets", json!({}));
        let page = targets["targetInfos"]
            .as_array()
            .and_then(|all| all.iter().find(|target| target["type"] == "page"))
            .unwrap_or_else(|| {
                panic!("no Chromium (run tests/install first), or one without a page: {targets}")
            });
        let attached =
            browser.call("Target.attachToTarget", json!({"targetId": page["targetId"], "flatten": true}));
        browser.session = attached["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Calls a method of the protocol and gives its result.
    #[track_caller]
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut request = json!({"id": self.last, "method": method, "params": parameters});
        if !self.session.is_empty() {
            request["sessionId"] = self.session.as_str().into();
        }
        let mut text = request.to_string().into_bytes();
        text.push(0);
        self.pipe.write_all(&text).expect("a browser that listens");
        let end = Instant::now() + PATIENCE;
        loop {
            let said = self.next(end).unwrap_or_else(|| panic!("{method}: no answer within {PATIENCE:?}"));
            if said["id"] == self.last {
                assert!(said["error"].is_null(), "{method}: {said}");
                return said["result"].clone();
            }
            self.events.push(said);
        }
    }

    fn next(&mut self, end: Instant) -> Option<Value> {
        match self.said.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(said) => Some(said),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the browser ended: {:?}", self.child.try_wait()),
        }
    }

    /// Opens a page, waits until it is loaded, and gives the status of its answer. What earlier pages asked for is
    /// forgotten.
    #[track_caller]
    pub(crate) fn open(&mut self, url: &str) -> u64 {
        self.events.clear();
        let opened = self.call("Page.navigate", json!({"url": url}));
        let end = Instant::now() + PATIENCE;
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let said = self.next(end).unwrap_or_else(|| panic!("{url} is not loaded: {opened}"));
            self.events.push(said);
        }
        let loader = &opened["loaderId"];
        let status = self.events.iter().rev().find_map(|event| {
            let answered =
                event["method"] == "Network.responseReceived" && event["params"]["requestId"] == *loader;
            answered.then(|| event["params"]["response"]["status"].as_u64()).flatten()
        });
        status.unwrap_or_else(|| panic!("{url}: {opened} {:?}", self.events))
    }

    /// What a script gives that is run in the page.
    #[track_caller]
    pub(crate) fn run(&mut self, script: &str) -> Value {
        let done = self.call("Runtime.evaluate", json!({"expression": script, "returnByValue": true}));
        assert!(done["exceptionDetails"].is_null(), "{script}: {done}");
        done["result"]["value"].clone()
    }

    /// Where the requests went since the page was opened.
    pub(crate) fn requests(&self) -> Vec<String> {
        let sent = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.filter_map(|event| Some(event["params"]["request"]["url"].as_str()?.to_owned())).collect()
    }

    /// What the page and the browser complained about since it was opened.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let faults = ["Runtime.exceptionThrown", "Log.entryAdded", "Network.loadingFailed"];
        let said = self.events.iter().filter(|event| faults.iter().any(|fault| event["method"] == *fault));
        said.map(|event| event["params"].to_string()).collect()
    }

    /// Shows pages in a window of this size.
    pub(crate) fn size(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
        // As on a phone, where they lie above the page.
        self.call("Emulation.setScrollbarsHidden", json!({"hidden": true}));
    }

    /// Asks pages for these colours: `light`, `dark`.
    pub(crate) fn colours(&mut self, scheme: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.call("Emulation.setEmulatedMedia", json!({"features": [feature]}));
    }

    /// Writes a picture of the whole page.
    pub(crate) fn picture(&mut self, file: &Path) {
        let how = json!({"format": "png", "captureBeyondViewport": true});
        let taken = self.call("Page.captureScreenshot", how);
        let bytes = BASE64_STANDARD.decode(taken["data"].as_str().expect("a picture")).expect("base64");
        std::fs::write(file, bytes).expect("a file for a picture");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked first, so that it takes its own processes along. It may have crashed.
        self.pipe.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0").ok();
        let end = Instant::now() + secs(5);
        while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
