//! Health of ExoPhones: an outage is seen by poll, survives a crash, and ages.

use std::thread::sleep;

use crate::support::agent::{Setup, account};
use crate::support::fake::{Fake, Health};
use crate::support::scrape::Scrape;
use crate::support::{ensure, secs};

const NUMBER: &str = "+918000000011";

fn up(scrape: &Scrape, direction: &str) -> Result<f64, String> {
    let series = scrape.metric("exotel_exophone_up").label("exophone", NUMBER).label("direction", direction);
    ensure(series.count() == 1, || format!("{} series of {direction} calls", series.count()))?;
    Ok(series.sum())
}

fn is_up(scrape: &Scrape, inbound: f64, outbound: f64) -> Result<(), String> {
    let found = (up(scrape, "inbound")?, up(scrape, "outbound")?);
    ensure(found == (inbound, outbound), || format!("up: {found:?}"))
}

#[test]
fn an_outage_is_polled_shown_and_exported_again_after_a_crash_while_it_is_fresh() {
    let exotel = Fake::start();
    let setup = Setup::new(&[account("acme", &exotel.base)])
        .with("heartbeat.interval", "2s")
        .with("retry.attempts", 0)
        .with("accounts.0.page_exophones", "none");
    let mut agent = setup.start();
    let scrape = agent.scrape_until(secs(10), "the number is well", |scrape| is_up(scrape, 1.0, 1.0));
    scrape.metric("exotel_exophone_paging").is(0);
    scrape.metric("exotel_exophone_state_changes_total").sums_to(0.0).unwrap();
    scrape
        .metric("exotel_exophone_last_check_timestamp_seconds")
        .label("direction", "inbound")
        .is(1_767_225_600);

    exotel.set_health(Health::Says("major_outage", "partial_network_outage"));
    agent.scrape_until(secs(6), "the outage is known within an interval", |scrape| {
        is_up(scrape, 0.0, 1.0)?;
        let state = scrape.metric("exotel_exophone_state").label("direction", "outbound");
        state.label("state", "partial").sums_to(1.0)?;
        scrape.metric("exotel_exophone_state_changes_total").sums_to(2.0)?;
        scrape.metric("exotel_health_checks_total").label("status", "CRITICAL").at_least(1.0).map(|_| ())
    });
    let page = agent.get("/").unwrap().text();
    assert!(page.contains("<span class=\"state bad\">outage</span>") && page.contains("Critical"), "{page}");

    exotel.set_health(Health::Broken);
    agent.process.kill_9();
    let mut agent = setup.start();
    // The very first scrape: nothing was polled by then that could say so.
    let scrape = agent.scrape();
    is_up(&scrape, 0.0, 1.0).unwrap();
    scrape.metric("exotel_exophone_state_changes_total").sums_to(2.0).unwrap();
    let success = scrape.metric("exotel_health_poll_last_success_timestamp_seconds").value();
    let scrape = agent.scrape_until(secs(20), "the answer is too old to say anything", |scrape| {
        let series =
            scrape.metric("exotel_exophone_up").count() + scrape.metric("exotel_exophone_state").count();
        ensure(series == 0, || format!("{series} series"))
    });
    let errors = scrape.metric("exotel_health_checks_total").label("status", "ERROR");
    errors.at_least(1.0).unwrap();
    scrape.metric("exotel_health_poll_last_success_timestamp_seconds").is(success);
    assert_eq!(scrape.metric("exotel_exophone_last_answer_timestamp_seconds").count(), 1, "its age stays");
    scrape.metric("exotel_up").is(1);

    exotel.set_health(Health::Active);
    agent.scrape_until(secs(10), "all is well again", |scrape| {
        is_up(scrape, 1.0, 1.0)?;
        scrape.metric("exotel_exophone_state_changes_total").sums_to(4.0)
    });
}

#[test]
fn without_health_polls_the_list_is_read_and_none_of_their_families_is_there() {
    let exotel = Fake::start();
    let setup = Setup::new(&[account("acme", &exotel.base)]).with("heartbeat.enabled", false);
    let mut agent = setup.start();
    agent.scrape_until(secs(10), "the list is read", |scrape| scrape.metric("exotel_exophones").sums_to(1.0));
    sleep(secs(2));
    let scrape = agent.scrape();
    let of_polls = |name: &str| {
        name.starts_with("exotel_health_")
            || (name.starts_with("exotel_exophone_")
                && !["exotel_exophone_info", "exotel_exophone_paging"].contains(&name))
    };
    let found: Vec<&String> = scrape.samples().map(|s| &s.name).filter(|name| of_polls(name)).collect();
    assert!(found.is_empty(), "{found:?}");
    scrape.metric("exotel_api_requests_total").label("endpoint", "exophone").sums_to(0.0).unwrap();
    scrape.metric("exotel_exporter_first_cycle_done").is(1);
}
