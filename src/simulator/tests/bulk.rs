//! Pages, cursors, filters.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;
use crate::simulator::{Cursor, History, LastPage};

/// Whether a row fits a filter.
type Fits<'a> = Box<dyn Fn(&Value) -> bool + 'a>;

fn created(row: &Value) -> String {
    row["DateCreated"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_pages_holds_each_row_once_with_ties_over_the_borders() {
    let bench = Bench::new(plain(20.0));
    pass(100).await;
    for order in ["asc", "desc"] {
        for size in [7, 100] {
            let query = format!("{}&PageSize={size}&SortBy=DateCreated:{order}", window(0, 100));
            let pages = bench.pages(&query).await;
            let rows: Vec<_> = pages.iter().flat_map(|p| p["Calls"].as_array().unwrap().clone()).collect();
            assert!(is_unique(&sids(&rows)));
            assert_eq!(pages[0]["Metadata"]["Total"], rows.len(), "{order} {size}");
            assert!(rows.len() > 1500);
            let mut times: Vec<_> = rows.iter().map(created).collect();
            if order == "desc" {
                times.reverse();
            }
            assert!(times.is_sorted());
            let over_the_border = |pair: &[Value]| {
                created(pair[0]["Calls"].as_array().unwrap().last().unwrap()) == created(&pair[1]["Calls"][0])
            };
            assert!(pages.windows(2).any(over_the_border), "no tie lies over a border");
            assert!(pages[..pages.len() - 1].iter().all(|p| p["Calls"].as_array().unwrap().len() == size));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn uris_are_relative_and_keep_the_filter_and_a_raw_cursor() {
    let bench = Bench::new(plain(5.0));
    pass(60).await;
    let query = format!("{}&PageSize=10&SortBy=DateCreated:asc&Direction=inbound", window(0, 60));
    let page = bench.bulk(&query).await.json();
    let next = page["Metadata"]["NextPageUri"].as_str().unwrap();
    assert!(
        next.starts_with("/v1/Accounts/exampleacct1/Calls.json?PageSize=10&DateCreated=gte%3A"),
        "{next}"
    );
    assert!(next.contains("&SortBy=DateCreated:asc&Direction=inbound&After="), "{next}");
    let cursor = next.rsplit_once("&After=").unwrap().1;
    let decoded = String::from_utf8(STANDARD.decode(cursor).unwrap()).unwrap();
    let last = &page["Calls"][9];
    let epoch = decoded.split_once(',').unwrap().0.parse::<i64>().unwrap();
    assert_eq!(decoded.split_once(',').unwrap().1, last["Sid"]);
    // The difference between the cursor and the row is the offset of the account's clock.
    assert_eq!(Timestamp(epoch).to_wall(crate::model::UtcOffset(19_800)).to_string(), created(last));
    assert_eq!(page["Metadata"]["PrevPageUri"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn prev_page_uri_leads_back() {
    for cursor in [Cursor::After, Cursor::Before] {
        let mut options = plain(5.0);
        options.wire.cursor = cursor;
        let bench = Bench::new(options);
        pass(60).await;
        let first = bench.bulk(&format!("{}&PageSize=10", window(0, 60))).await.json();
        let next = first["Metadata"]["NextPageUri"].as_str().unwrap();
        let word = if cursor == Cursor::After { "&After=" } else { "&Before=" };
        assert!(next.contains(word), "{next}");
        let second = bench.get(next).await.json();
        let back = bench.get(second["Metadata"]["PrevPageUri"].as_str().unwrap()).await.json();
        assert_eq!(back["Calls"], first["Calls"]);
        assert_eq!(back["Metadata"]["PrevPageUri"], Value::Null);
        let on = bench.get(back["Metadata"]["NextPageUri"].as_str().unwrap()).await.json();
        assert_eq!(on["Calls"], second["Calls"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_page_ends_the_chain_in_every_known_way() {
    for (last_page, expected) in [
        (LastPage::Null, Some(Value::Null)),
        (LastPage::Empty, Some(json!(""))),
        (LastPage::Missing, None),
        (LastPage::EmptyPage, Some(Value::Null)),
    ] {
        let mut options = plain(2.0);
        options.wire.last_page = last_page;
        let bench = Bench::new(options);
        pass(60).await;
        let pages = bench.pages(&format!("{}&PageSize=10", window(0, 60))).await;
        let last = pages.last().unwrap();
        assert_eq!(last["Metadata"].get("NextPageUri").cloned(), expected);
        assert_eq!(last["Calls"].as_array().unwrap().is_empty(), last_page == LastPage::EmptyPage);
    }
}

#[tokio::test(start_paused = true)]
async fn without_parameters_the_newest_50_of_31_days_come() {
    let mut options = plain(0.0);
    options.traffic.history = History { calls: 400, over: Duration::from_secs(40 * 86_400) };
    let bench = Bench::new(options);
    pass(60).await;
    let page = bench.bulk("").await.json();
    assert_eq!(page["Calls"].as_array().unwrap().len(), 50);
    let total = page["Metadata"]["Total"].as_u64().unwrap();
    assert!((309..=311).contains(&total), "{total}");
    assert!(
        page["Calls"].as_array().unwrap().iter().map(created).collect::<Vec<_>>().is_sorted_by(|a, b| a >= b)
    );
    let rows = bench.rows("").await;
    assert_eq!(rows.len() as u64, total);
}

#[tokio::test(start_paused = true)]
async fn bounds_of_the_window_are_inclusive() {
    let bench = Bench::new(plain(10.0));
    pass(60).await;
    let all = bench.rows(&format!("{}&PageSize=100", window(0, 30))).await;
    let in_second = |second: i64| {
        let time = START.plus(second).to_wall(crate::model::UtcOffset::default()).to_string();
        all.iter().filter(|row| created(row) == time).count()
    };
    let rows = bench.rows(&window(-10, 12)).await;
    assert_eq!(rows.len(), in_second(10) + in_second(11) + in_second(12));
    assert!(in_second(10) > 0 && in_second(12) > 0);
}

#[tokio::test(start_paused = true)]
async fn filters_choose_rows_as_a_scan_of_all_rows_does() {
    let mut options = plain(5.0);
    options.traffic.sip_share = 0.2;
    let bench = Bench::new(options);
    pass(300).await;
    let window = window(0, 300);
    let all = bench.rows(&format!("{window}&PageSize=100")).await;
    let number = |row: &Value, key: &str| row[key].as_str().and_then(|text| text.parse::<f64>().ok());
    let to = all[0]["To"].as_str().unwrap();
    let sip =
        all.iter().find_map(|row| row["From"].as_str().filter(|from| from.starts_with("sip:"))).unwrap();
    let phone = all[0]["PhoneNumberSid"].as_str().unwrap();
    let checks: Vec<(String, Fits<'_>)> = vec![
        (
            "Status=busy,no-answer".to_owned(),
            Box::new(|r| r["Status"] == "busy" || r["Status"] == "no-answer"),
        ),
        ("Direction=outbound-dial".to_owned(), Box::new(|r| r["Direction"] == "outbound-dial")),
        (
            "Duration=gte:4s%3Blte:9s".to_owned(),
            Box::new(move |r| number(r, "Duration").is_some_and(|d| (4.0..=9.0).contains(&d))),
        ),
        ("Duration=eq:6s".to_owned(), Box::new(move |r| number(r, "Duration") == Some(6.0))),
        (
            "Price=gte:0.300030".to_owned(),
            Box::new(move |r| number(r, "Price").is_some_and(|p| p >= 0.30003)),
        ),
        (format!("To=%2B91{}", &to[1..]), Box::new(move |r| r["To"] == to)),
        (format!("From={sip}"), Box::new(move |r| r["From"] == sip)),
        (format!("PhoneNumber=%2B91{}", &phone[1..]), Box::new(move |r| r["PhoneNumberSid"] == phone)),
        ("Status=in-progress".to_owned(), Box::new(|_| false)),
    ];
    for (filter, fits) in checks {
        let pages = bench.pages(&format!("{window}&PageSize=20&{filter}")).await;
        let rows: Vec<_> = pages.iter().flat_map(|p| p["Calls"].as_array().unwrap().clone()).collect();
        let expected: Vec<_> = all.iter().filter(|row| fits(row)).cloned().collect();
        assert_eq!(sids(&rows), sids(&expected), "{filter}");
        assert_eq!(pages[0]["Metadata"]["Total"], expected.len(), "{filter}");
        assert!(filter.contains("in-progress") || !expected.is_empty(), "{filter} chooses nothing");
    }
}

#[tokio::test(start_paused = true)]
async fn sid_lists_choose_known_calls_and_keep_to_the_window() {
    let mut options = plain(1.0);
    options.traffic.history = History { calls: 80, over: Duration::from_secs(40 * 86_400) };
    let bench = Bench::new(options);
    pass(100).await;
    let old = window(40 * 86_400, -10 * 86_400);
    let ancient = &sids(&bench.rows(&format!("{old}&PageSize=100&SortBy=DateCreated:asc")).await)[0];
    let mut new = sids(&bench.rows(&window(0, 100)).await);
    new.truncate(50);
    let list = format!("{ancient},{},{},0123456789abcdef0123456789abcdef,{}", new[0], new[3], new[3]);
    // Without DateCreated only the last 31 days are searched.
    let found = bench.bulk(&format!("Sid={list}")).await;
    assert_eq!(sids(&found.rows()), [new[0].clone(), new[3].clone()]);
    assert_eq!(found.json()["Metadata"]["Total"], 2);
    let found = bench.bulk(&format!("Sid={list}&{old}")).await;
    assert_eq!(sids(&found.rows()), [ancient.as_str()]);
    let long = vec![new[0].clone(); 101].join(",");
    assert_eq!(bench.bulk(&format!("Sid={long}")).await.status, StatusCode::BAD_REQUEST);
    let pages = bench.pages(&format!("Sid={}&PageSize=3", new.join(","))).await;
    assert_eq!(
        sids(&pages.iter().flat_map(|p| p["Calls"].as_array().unwrap().clone()).collect::<Vec<_>>()),
        new
    );
}

#[tokio::test(start_paused = true)]
async fn wrong_parameters_are_400_and_say_which() {
    let bench = Bench::new(plain(1.0));
    for (query, word) in [
        ("StartTime=gte:2026-03-01+00:00:00", "StartTime"),
        ("Direction=incoming", "inbound, outbound-dial, outbound-api"),
        ("PageSize=101", "PageSize"),
        ("After=AAAA", "After"),
        ("RecordingUrlValidity=4", "RecordingUrlValidity"),
    ] {
        let answer = bench.bulk(query).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(answer.message().contains(word), "{query}: {}", answer.message());
    }
    let unknown_row = STANDARD.encode(format!("{},{}", START.0, "0123456789abcdef0123456789abcdef"));
    assert_eq!(bench.bulk(&format!("After={unknown_row}")).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(bench.bulk(&window(32 * 86_400, 0)).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(bench.bulk(&window(182 * 86_400, -181 * 86_400)).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(bench.bulk(&window(180 * 86_400, -179 * 86_400)).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn duplicates_come_on_one_page_or_on_two_and_are_not_in_the_total() {
    let mut options = plain(5.0);
    options.oddities.duplicate_share = 0.3;
    let bench = Bench::new(options);
    pass(120).await;
    for order in ["asc", "desc"] {
        let query = format!("{}&PageSize=10&SortBy=DateCreated:{order}", window(0, 120));
        let pages = bench.pages(&query).await;
        let within = pages.iter().filter(|page| !is_unique(&sids(page["Calls"].as_array().unwrap()))).count();
        let across =
            pages.windows(2).filter(|p| p[0]["Calls"].as_array().unwrap().last() == p[1]["Calls"].get(0));
        assert!(within > 0);
        assert!(across.count() > 0);
        let mut all =
            sids(&pages.iter().flat_map(|p| p["Calls"].as_array().unwrap().clone()).collect::<Vec<_>>());
        assert!(pages.iter().all(|p| p["Calls"].as_array().unwrap().len() <= 10));
        all.sort_unstable();
        all.dedup();
        assert_eq!(pages[0]["Metadata"]["Total"], all.len());
    }
    // A page of one row has no room for a second, and would never end if it came again.
    let ones = bench.rows(&format!("{}&PageSize=1", window(0, 20))).await;
    assert!(is_unique(&sids(&ones)) && ones.len() > 20);
}

#[tokio::test(start_paused = true)]
async fn rows_that_appear_between_pages_do_not_disturb_the_chain() {
    let bench = Bench::new(plain(10.0));
    pass(60).await;
    let query = format!("{}&PageSize=20&SortBy=DateCreated:asc", window(0, 60));
    let before = sids(&bench.rows(&query).await);
    let mut all = Vec::new();
    let mut page = bench.bulk(&query).await.json();
    loop {
        all.extend(sids(page["Calls"].as_array().unwrap()));
        let Some(next) = page["Metadata"]["NextPageUri"].as_str().map(str::to_owned) else { break };
        pass(1).await;
        page = bench.get(&next).await.json();
    }
    assert!(is_unique(&all));
    assert!(before.iter().all(|sid| all.contains(sid)));
    assert!(all.len() > before.len(), "nothing appeared meanwhile");
}

#[tokio::test(start_paused = true)]
async fn a_page_out_of_many_calls_is_quick() {
    let mut options = plain(0.0);
    options.traffic.history = History { calls: 200_000, over: Duration::from_secs(86_400) };
    let bench = Bench::new(options);
    pass(60).await;
    let query = format!("{}&PageSize=100", window(86_400, 0));
    let total = bench.bulk(&query).await.json()["Metadata"]["Total"].clone();
    assert_eq!(total, 200_000);
    let start = Instant::now();
    for _ in 0..20 {
        bench.bulk(&query).await;
    }
    // A few milliseconds without optimisation; a scan of all rows would take a hundred times as long.
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}
