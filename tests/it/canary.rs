//! Numbers of people and secrets, made so that they can be recognised, are on no way out: log at its most talkative,
//! metrics, pages, the store's own reports.

use serde_json::{Value, json};

use crate::support::agent::{Agent, Setup, account};
use crate::support::fake::{Fake, Reply, epoch_now, ist};
use crate::support::http::{self, Answer};
use crate::support::process::Finished;
use crate::support::{ensure, eventually, secs};
use crate::webhooks::post;

/// What must not be seen: ten digits of people (every form holds them), an agent's app, names, texts, secrets.
const CANARIES: [&str; 11] = [
    "9911223301",
    "9911223302",
    "9911223303",
    "9911223304",
    "canary.agent",
    "CanaryName",
    "CanaryField",
    "canary-recording",
    "canary-webhook-secret",
    "canary-api-token",
    "canary-jwt-secret",
];

pub(crate) const SECRET: &str = "canary-webhook-secret";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

#[track_caller]
pub(crate) fn hides(what: &str, text: &str) {
    // Whatever separates digits in a text, a person reads one number.
    let bare: String = text.chars().filter(|c| !" -.()".contains(*c)).collect();
    for canary in CANARIES {
        let dense: String = canary.chars().filter(|c| *c != '.' && *c != '-').collect();
        if let Some(line) = text.lines().find(|line| line.contains(canary)) {
            panic!("{what} shows {canary}: {line}");
        }
        assert!(!bare.contains(&dense), "{what} shows {canary}, spaced out");
    }
}

pub(crate) fn hides_all(what: &str, finished: &Finished) {
    hides(what, &finished.stdout);
    hides(what, &finished.stderr);
}

/// A row full of canaries, whole or with one field that makes it unreadable.
pub(crate) fn row(sid: &str, status: &serde_json::Value) -> serde_json::Value {
    let now = epoch_now();
    json!({
        "Sid": format!("{sid:0>32}"), "ParentCallSid": null, "AccountSid": "exampleacct1",
        "DateCreated": ist(now), "DateUpdated": ist(now + 1), "StartTime": ist(now), "EndTime": ist(now + 1),
        "From": "+919911223301", "To": "sip:canary.agent", "ForwardedFrom": "09911223302", "CallerName": "CanaryName",
        "CustomField": "CanaryField 99112 23303", "RecordingUrl": "https://canary-recording.example/9911223301.mp3",
        "PhoneNumberSid": "08000000011", "Status": status, "Direction": "outbound-dial", "Duration": "1",
        "Price": "9911223304x", "Unknown": {"Customer": "09911223304", "Name": "CanaryName"},
    })
}

pub(crate) fn setup(exotel: &Fake) -> Setup {
    let mut acme = account("acme", &exotel.base);
    acme["webhook_secrets"] = json!([SECRET]);
    acme["api_token"] = json!("canary-api-token");
    Setup::new(&[acme]).with("log.level", "trace")
}

/// Callbacks of every sort with canaries in them, welcome and unwelcome.
fn call_back(agent: &Agent) {
    let bodies: [(&str, &str, &str); 8] = [
        (
            "calls",
            FORM,
            "CallSid=1234567890abcdef1234567890abcdef&From=%2B919911223301&To=sip%3Acanary.agent&Status=completed&EventType=terminal&CustomField=CanaryField",
        ),
        ("calls", FORM, "campaign=CanaryField&who=09911223302&Name=CanaryName"),
        ("calls", "application/json", r#"{"who":"+919911223301","name":"CanaryName"}"#),
        ("calls", "application/json", r#"{"From":"09911223303","name":CanaryName"#),
        (
            "passthru",
            FORM,
            "CallSid=2234567890abcdef1234567890abcdef&CallFrom=09911223301&CallTo=08000000011&DialWhomNumber=09911223304&CurrentTime=CanaryName",
        ),
        ("sms", FORM, "SmsSid=abc&To=09911223303&Status=CanaryName&DetailedStatusCode=9911223304"),
        (
            "heartbeat",
            "application/json",
            r#"{"timestamp":"09911223301","status_type":"CanaryName","incoming_affected":["09911223302"]}"#,
        ),
        (
            "calls",
            "multipart/form-data; boundary=CanaryName",
            "--CanaryName\r\nContent-Disposition: form-data; name=\"9911223301\"\r\n",
        ),
    ];
    for (kind, form, body) in bodies {
        let answer = post(&agent.base, &format!("/webhooks/acme/{SECRET}/{kind}"), form, body.as_bytes());
        hides(&format!("the answer to a callback of {kind}"), &answer.1);
    }
    for path in [
        format!("/webhooks/acme/{SECRET}x/calls?From=09911223301"),
        format!("/webhooks/9911223301/{SECRET}/calls"),
        format!("/webhooks/acme/{SECRET}/9911223302"),
        "/api/calls/9911223303".to_owned(),
    ] {
        hides("a refusal", &post(&agent.base, &path, FORM, b"From=09911223301&Name=CanaryName").1);
    }
}

#[test]
fn no_number_name_or_secret_is_on_any_way_out() {
    let exotel = Fake::start();
    let setup = setup(&exotel);
    let mut agent = setup.start();
    exotel.add(row("good", &json!("no-answer")));
    exotel.add(row("odd", &json!("CanaryName")));
    exotel.add(row("bad", &json!(["9911223304"])));
    agent.scrape_until(secs(60), "rows are read and set aside", |scrape| {
        scrape.metric("exotel_calls_total").at_least(1.0)?;
        scrape.metric("exotel_sync_rows_set_aside").at_least(1.0).map(|_| ())
    });
    call_back(&agent);

    // Errors of Exotel that repeat what was sent to it.
    let echoes = [
        (
            400,
            "application/json",
            r#"{"RestException":{"Status":400,"Message":"Bad number 09911223301 of sip:canary.agent","Code":34001}}"#,
        ),
        (403, "text/html", "<h1>+91 99112-23302 may not be called</h1>"),
        (500, "text/plain", "99112 23303 broke"),
        (200, "application/json", r#"{"Calls": "9911223304"#),
    ];
    exotel.twist(move |n, truth| {
        let (status, content_type, body) = echoes[n % echoes.len()];
        Reply { status, content_type, body: body.to_owned(), ..truth }
    });
    agent.scrape_until(secs(60), "failures of several sorts are counted", |scrape| {
        scrape.metric("exotel_sync_runs_total").label("outcome", "failure").at_least(3.0).map(|_| ())
    });

    for path in ["/", "/metrics", "/docs", "/-/ready", "/9911223301", "/?From=09911223302"] {
        let answer = agent.get(path).expect("an answer");
        hides(path, &answer.text());
    }
    hides("OpenMetrics", &agent.scrape_openmetrics().text);
    exotel.behave();
    assert!(agent.process.terminate(secs(10)).success(), "{}", agent.process.log());
    let log = agent.process.log();
    assert!(log.contains("level=debug"), "the log is talkative: {log}");
    hides("the log", &log);

    for arguments in [&["store", "check"][..], &["store", "stats"], &["check-config"]] {
        hides_all(&arguments.join(" "), &setup.finish(arguments));
    }
}

/// The agent's API, asked as an administrator.
struct Api {
    base: String,
    bearer: String,
}

impl Api {
    fn ask(&self, method: &str, path: &str) -> Answer {
        let url = format!("{}/api/monitoring/{path}", self.base);
        http::ask(method, &url, &[("Authorization", &self.bearer)]).expect("an answer")
    }

    fn until(&self, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(secs(30), what, || {
            let value = self.ask("GET", path).json()?;
            ensure(wanted(&value), || value.to_string())?;
            Ok::<_, String>(value)
        })
    }
}

/// Every route, with rows, calls, missed webhooks and failures full of canaries behind it; gives what each
/// said, refusals among it.
fn all_that_the_api_says(privacy: &str) -> Vec<(String, String)> {
    let exotel = Fake::start();
    let setup = setup(&exotel)
        .with("api", json!({"jwt_secret": "canary-jwt-secret-of-at-least-32-bytes"}))
        .with("privacy", json!({"phone_numbers": privacy}))
        .with("accounts.0.expected_webhooks", json!(["calls"]))
        .with("accounts.0.expected_callbacks", json!(["outbound-dial"]))
        .with("webhooks", json!({"missed_after": "1s"}));
    let agent = setup.start();
    let token = setup.finish(&["token", "--role", "super_admin"]);
    hides_all("token", &token);
    let api = Api { base: agent.base.clone(), bearer: format!("Bearer {}", token.stdout.trim()) };
    exotel.answer_single_calls();
    exotel.add(row("good", &json!("no-answer")));
    exotel.add(row("bad", &json!(["9911223304", "CanaryName"])));
    call_back(&agent);
    let fails =
        r#"{"RestException":{"Status":400,"Message":"09911223301 of sip:canary.agent","Code":34001}}"#;
    api.until("webhooks/missed", "its callback is missed", |page| page["calls"][0].is_object());
    api.until("rows/set-aside", "a row is set aside", |rows| rows[0].is_object());
    exotel.twist(|_, truth| Reply { status: 400, body: fails.to_owned(), ..truth });
    api.until("sync/history", "a run failed", |runs| {
        runs.as_array().is_some_and(|runs| runs.iter().any(|run| run["status"] == "failed"))
    });

    let description = http::get(&format!("{}/api/openapi.json", agent.base)).expect("a description");
    let routes = description.json().expect("JSON");
    let mut said = vec![("openapi.json".to_owned(), description.text())];
    let good = format!("{:0>32}", "good");
    for (path, methods) in routes["paths"].as_object().expect("paths") {
        let path = path.strip_prefix("/api/monitoring/").expect("a route");
        for method in methods.as_object().expect("methods").keys() {
            let method = method.to_uppercase();
            let answer = api.ask(&method, &path.replace("{sid}", &good));
            assert!(matches!(answer.status, 200 | 201 | 409), "{method} {path}: {}", answer.text());
            said.push((format!("{method} {path}"), answer.text()));
            // Refused: every parameter with a number in it, a call that nobody knows, another's token.
            for name in
                ["account", "status", "limit", "cursor", "from", "startDate", "exophone", "9911223301"]
            {
                let path = path.replace("{sid}", "9911223302");
                let refused = api.ask(&method, &format!("{path}?{name}=%2B919911223303"));
                said.push((format!("{method} {path} with {name}"), refused.text()));
            }
            let url = format!("{}/api/monitoring/{path}?who=09911223301", agent.base);
            let stranger = http::ask(&method, &url, &[("Authorization", "Bearer 9911223301.CanaryName.x")]);
            let stranger = stranger.expect("an answer");
            assert_eq!(stranger.status, 401, "{path}");
            said.push((format!("{method} {path} for a stranger"), stranger.text()));
        }
    }
    for path in ["9911223301", "calls/sip:canary.agent", "calls/9911223302/CanaryName"] {
        said.push((path.to_owned(), api.ask("GET", path).text()));
    }
    said
}

/// What a route said of what it was asked for in order.
fn of<'a>(said: &'a [(String, String)], route: &str) -> &'a str {
    &said.iter().find(|(name, _)| name == route).unwrap_or_else(|| panic!("{route} was not asked")).1
}

const WITH_CALLS: [&str; 4] =
    ["GET calls", "GET calls/{sid}", "POST calls/{sid}/refresh", "GET webhooks/missed"];

#[test]
fn the_api_masks_every_number_and_shows_no_name_unless_told_otherwise() {
    let said = all_that_the_api_says("masked");
    for (what, text) in &said {
        hides(what, text);
    }
    for route in WITH_CALLS {
        assert!(of(&said, route).contains("\"+********3301\""), "{route}: {}", of(&said, route));
    }
    assert!(of(&said, "GET rows/set-aside").contains("********3301"), "the row is there");
}

#[test]
fn the_api_hashes_every_number_alike_where_it_is_told_to() {
    let said = all_that_the_api_says("hashed");
    for (what, text) in &said {
        hides(what, text);
    }
    let call: Value = serde_json::from_str(of(&said, "GET calls/{sid}")).expect("a call");
    let hash = call["from"].as_str().expect("a number");
    assert!(hash.starts_with("hmac:"), "{hash}");
    for route in WITH_CALLS.iter().chain(&["GET rows/set-aside"]) {
        assert!(of(&said, route).contains(hash), "{route}: {}", of(&said, route));
    }
}

#[test]
fn the_api_shows_numbers_where_they_belong_and_only_there_when_they_are_plain() {
    let said = all_that_the_api_says("plain");
    for route in WITH_CALLS {
        for shown in ["+919911223301", "sip:canary.agent", "CanaryField 99112 23303", "canary-recording"] {
            assert!(of(&said, route).contains(shown), "{route} does not show {shown}: {}", of(&said, route));
        }
        assert!(!of(&said, route).contains("CanaryName"), "{route}");
    }
    assert!(of(&said, "GET rows/set-aside").contains("+919911223301"));
    let elsewhere =
        |(what, _): &&(String, String)| !WITH_CALLS.contains(&what.as_str()) && what != "GET rows/set-aside";
    for (what, text) in said.iter().filter(elsewhere) {
        hides(what, text);
    }
}
