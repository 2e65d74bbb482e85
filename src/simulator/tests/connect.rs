//! Calls that a client makes.

use serde_json::json;

use super::mailbox::{Mailbox, options, quiet, rows, text};
use super::*;
use crate::simulator::{Faults, WebhookKind};

const PATH: &str = "/v1/Accounts/exampleacct1/Calls/connect.json";
const FORM: &str = "From=09800000001&To=09900000001&CallerId=08000000011&CallType=trans&Record=false";

#[tokio::test(start_paused = true)]
async fn a_call_is_placed_answers_at_once_and_appears_with_its_callbacks() {
    let bench = Bench::new(options(0.0));
    let mailbox = Mailbox::open(&bench);
    let made = bench.send("POST", PATH, FORM).await.unwrap();
    assert_eq!(made.status, StatusCode::OK);
    let call = made.json()["Call"].clone();
    assert_eq!((&call["Status"], &call["Direction"]), (&json!("in-progress"), &json!("outbound-api")));
    for key in ["EndTime", "Duration", "Price", "RecordingUrl"] {
        assert_eq!(call[key], Value::Null, "{key}");
    }
    quiet(&bench).await;
    let rows = rows(&bench).await;
    assert_eq!(rows.len(), 1);
    let row = &rows[&text(&call, "Sid")];
    assert_eq!((text(row, "From"), text(row, "To")), ("09800000001".to_owned(), "09900000001".to_owned()));
    assert!(mailbox.of(WebhookKind::Calls).iter().any(|said| said.fields()["EventType"] == "terminal"));
}

#[tokio::test(start_paused = true)]
async fn a_call_may_be_placed_although_the_answer_is_500() {
    let bench = Bench::new(options(0.0));
    bench.simulator.set_faults(&Faults { placed_but_failed: 1.0, ..Faults::default() });
    let made = bench.send("POST", PATH, FORM).await.unwrap();
    assert_eq!(made.status, StatusCode::INTERNAL_SERVER_ERROR);
    pass(100).await;
    assert_eq!(rows(&bench).await.len(), 1);
    let voice = bench.get("/_sim/arrivals").await.json()["pools"]["voice"]["kinds"].clone();
    assert_eq!(voice["connect"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_needs_two_numbers_and_a_caller_id() {
    let bench = Bench::new(options(0.0));
    for form in ["", "From=1&To=2", "From=1&CallerId=3", "To=2&CallerId=3"] {
        let refused = bench.send("POST", PATH, form).await.unwrap();
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{form}");
    }
    assert_eq!(bench.get(PATH).await.status, StatusCode::METHOD_NOT_ALLOWED);
    pass(100).await;
    assert_eq!(rows(&bench).await.len(), 0);
}
