//! v2 and v3 of the call API.

use std::collections::BTreeSet;

use super::*;
use crate::simulator::{Newer, NewerAccess, NewerKeys};

fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/exotel/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Keys of an object and of the objects in it, however deep; lists by their first item.
fn keys(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| {
                let below = keys(value).into_iter().map(move |inner| format!("{key}.{inner}"));
                std::iter::once(key.clone()).chain(below)
            })
            .collect(),
        Value::Array(items) => items.first().map(keys).unwrap_or_default(),
        _ => BTreeSet::new(),
    }
}

/// Calls whose v1 answers, v2 answers and v3 answers are asked for.
async fn answers(bench: &Bench) -> Vec<[Answer; 3]> {
    let mut answers = Vec::new();
    for call in bench.simulator.calls("exampleacct1", 0, 1_000).unwrap() {
        let sid = call.sid;
        answers.push([
            bench.get(&format!("/v1/Accounts/exampleacct1/Calls/{sid}.json?details=true")).await,
            bench.get(&format!("/v2/accounts/exampleacct1/calls/{sid}")).await,
            bench.get(&format!("/v3/accounts/exampleacct1/calls/{sid}")).await,
        ]);
    }
    answers
}

fn options(newer: Newer) -> Options {
    let mut options = Options { newer, ..plain(2.0) };
    options.limits.voice = None;
    options
}

#[tokio::test(start_paused = true)]
async fn answers_of_v2_and_v3_have_the_keys_of_the_documentation() {
    for (spelling, sample) in [
        (NewerKeys::Portal, "call-details-v2.json"),
        (NewerKeys::Older, "call-details-v2-ccm-legacy-keys.json"),
    ] {
        let bench = Bench::new(options(Newer { keys: spelling, ..Newer::default() }));
        pass(600).await;
        let all = answers(&bench).await;
        let of_v2 = all.iter().map(|[_, v2, _]| v2).find(|a| a.status == StatusCode::OK).unwrap();
        let mut theirs = keys(&fixture(sample));
        // Its recording is there later, or not at all.
        theirs.retain(|key| !key.contains("recordings."));
        let mut ours = keys(&of_v2.json());
        ours.retain(|key| !key.contains("recordings."));
        assert_eq!(ours, theirs);
        let recorded = |a: &&Answer| a.status == StatusCode::OK && a.body.contains("recordings.exotel.com");
        let of_v3 = all.iter().map(|[.., v3]| v3).find(recorded).unwrap();
        assert_eq!(keys(&of_v3.json()), keys(&fixture("call-details-v3-terminal.json")));
        let sid = of_v3.json()["response"]["call_details"]["sid"].as_str().unwrap().to_owned();
        let legs = bench.get(&format!("/v3/accounts/exampleacct1/calls/{sid}/legs")).await.json();
        let mut ours = keys(&legs);
        // Ours have them on either side.
        ours.retain(|key| !key.contains("from.group"));
        assert_eq!(ours, keys(&fixture("call-legs-v3.json")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_v1_does_not_know_is_known_to_one_other_version_and_listed() {
    let bench = Bench::new(options(Newer { missing_share: 0.6, ..Newer::default() }));
    pass(600).await;
    bench.simulator.stop_traffic();
    pass(600).await;
    let mut seen = BTreeSet::new();
    for of_call in answers(&bench).await {
        let known = of_call.map(|answer| answer.status == StatusCode::OK);
        assert!(known[0] || known[1] != known[2], "{known:?}");
        seen.insert(known);
    }
    let alone = [[false, false, true], [false, true, false]];
    assert!(alone.iter().all(|known| seen.contains(known)), "{seen:?}");
    let listed = bench.bulk("PageSize=100").await.json()["Metadata"]["Total"].as_u64().unwrap();
    assert_eq!(listed as usize, bench.simulator.calls("exampleacct1", 0, 10_000).unwrap().len());
    let unknown = bench.get("/v2/accounts/exampleacct1/calls/00000000000000000000000000000000").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.json()["response"]["error_data"]["code"], 10_744);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_switched_on_is_forbidden() {
    let refused = Newer { v2: NewerAccess::Refused, legs: NewerAccess::Refused, ..Newer::default() };
    let bench = Bench::new(options(refused));
    pass(60).await;
    let sid = &bench.simulator.calls("exampleacct1", 0, 1).unwrap()[0].sid;
    for path in [
        format!("v2/accounts/exampleacct1/calls/{sid}"),
        format!("v3/accounts/exampleacct1/calls/{sid}/legs"),
    ] {
        assert_eq!(bench.get(&format!("/{path}")).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}
