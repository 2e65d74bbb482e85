//! What time it is at Exotel, by answers that may lie.

use super::*;

const DAY: i64 = 86_400;

/// A server on whose answers the clock is so many seconds off, by the number of the request; a status with it.
fn server(off: impl Fn(usize) -> (u16, i64) + Send + Sync + 'static) -> Server {
    let begun = Instant::now();
    Server::new(move |n, _| {
        let (status, off) = off(n);
        let now = START.0 + i64::try_from(begun.elapsed().as_secs()).unwrap() + off;
        let date =
            httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(u64::try_from(now).unwrap()));
        (StatusCode::from_u16(status).unwrap(), [("date", date)], EMPTY)
    })
}

/// How far the client's idea of the time is off our own clock, in seconds, after each of some requests.
async fn beliefs(bench: &Bench, requests: usize) -> Vec<i64> {
    let begun = Instant::now();
    let mut beliefs = Vec::new();
    for _ in 0..requests {
        tokio::time::sleep(Duration::from_secs(10)).await;
        bench.calls().await.unwrap_or_else(|error| panic!("{error}"));
        let ours = START.0 + i64::try_from(begun.elapsed().as_secs()).unwrap();
        beliefs.push(bench.client.now().0 - ours);
    }
    beliefs
}

#[tokio::test(start_paused = true)]
async fn a_few_seconds_are_followed_at_once() {
    let bench = Bench::new(&server(|n| (200, [3, 5, -20, 0][n])));
    assert!(!bench.client.knows_the_time());
    assert_eq!(beliefs(&bench, 4).await, [3, 5, -20, 0]);
    assert!(bench.client.knows_the_time());
}

#[tokio::test(start_paused = true)]
async fn one_answer_that_is_a_day_off_moves_nothing() {
    let bench = Bench::new(&server(|n| (200, if n % 3 == 2 { DAY } else { 0 })));
    assert_eq!(beliefs(&bench, 12).await, [0; 12]);
    let bench = Bench::new(&server(|n| (200, if n % 3 == 0 { 0 } else { -DAY * i64::try_from(n).unwrap() })));
    assert_eq!(beliefs(&bench, 12).await, [0; 12], "nor do two or more that disagree");
}

#[tokio::test(start_paused = true)]
async fn three_answers_in_a_row_that_agree_are_believed_against_our_own_clock() {
    let bench = Bench::new(&server(|_| (200, DAY)));
    assert_eq!(beliefs(&bench, 2).await, [0, 0]);
    assert!(!bench.client.knows_the_time(), "two clocks disagree");
    assert_eq!(bench.client.clock_offset(), None);
    assert_eq!(beliefs(&bench, 1).await.len(), 1);
    assert!(bench.client.knows_the_time());
    assert_eq!(bench.client.clock_offset(), Some(DAY));
    bench.has(r#"exotel_api_clock_offset_seconds{account="exampleacct1"} 86400"#);
}

#[tokio::test(start_paused = true)]
async fn failures_do_not_tell_the_time() {
    let bench = Bench::new(&server(|n| if n % 4 == 3 { (200, 0) } else { (502, DAY) }));
    let bench_of_refusal = Bench::new(&server(|_| (404, DAY)));
    bench.calls().await.unwrap();
    assert_eq!((bench.client.clock_offset(), bench.client.knows_the_time()), (Some(0), true));
    for _ in 0..4 {
        bench_of_refusal.calls().await.unwrap_err();
    }
    assert_eq!(bench_of_refusal.client.clock_offset(), None);
}

#[tokio::test(start_paused = true)]
async fn where_no_answer_carries_a_date_our_own_clock_is_taken() {
    let bench = Bench::new(&Server::new(|_, _| EMPTY));
    bench.calls().await.unwrap();
    assert!(bench.client.knows_the_time());
    assert_eq!(bench.client.clock_offset(), None);
}
