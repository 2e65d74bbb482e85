//! The families as a scrape reads them: names, help, labels, order.

use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{Account, ApiMetrics, CODE_LABELS, PoolGauges, Shown};
use crate::exotel::{ErrorKind, Pool, Priority};

/// Writes one family: `each` is called once for each account with its name.
fn family(
    encoder: &mut DescriptorEncoder<'_>,
    accounts: &Shown,
    (name, help, kind): (&str, &str, MetricType),
    each: impl Fn(&mut MetricEncoder<'_>, &str, &Account) -> Result<(), std::fmt::Error>,
) -> Result<(), std::fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
    for (name, account) in accounts.values() {
        each(&mut metric, name, &account.0)?;
    }
    Ok(())
}

/// Writes one series of a family.
fn series<const N: usize>(
    metric: &mut MetricEncoder<'_>,
    labels: [(&str, &str); N],
    value: &impl EncodeMetric,
) -> Result<(), std::fmt::Error> {
    value.encode(metric.encode_family(&labels)?)
}

impl Collector for ApiMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        use MetricType::{Counter, Gauge, Histogram};
        let accounts = self.0.load();
        if accounts.is_empty() {
            return Ok(());
        }
        let encoder = &mut encoder;
        family(
            encoder,
            &accounts,
            ("exotel_api_requests", "Attempts by final HTTP code, or none.", Counter),
            |metric, name, account| {
                for endpoint in account.shown() {
                    for (counter, code) in account.endpoints[endpoint as usize].codes.iter().zip(CODE_LABELS)
                    {
                        // A code exists once it came; 200 from the start.
                        if counter.get() > 0 || code == "200" {
                            let value = ConstCounter::new(counter.get());
                            series(
                                metric,
                                [("account", name), ("endpoint", endpoint.as_str()), ("code", code)],
                                &value,
                            )?;
                        }
                    }
                }
                Ok(())
            },
        )?;
        family(
            encoder,
            &accounts,
            (
                "exotel_api_request_failures",
                "Failed attempts: auth, forbidden, payment, not_found, client, throttled, server, timeout, connect, tls, decode.",
                Counter,
            ),
            |metric, name, account| {
                for endpoint in account.shown() {
                    let failures = &account.endpoints[endpoint as usize].failures;
                    for (counter, reason) in failures.iter().zip(ErrorKind::REASONS) {
                        let labels = [("account", name), ("endpoint", endpoint.as_str()), ("reason", reason)];
                        series(metric, labels, &ConstCounter::new(counter.get()))?;
                    }
                }
                Ok(())
            },
        )?;
        family(
            encoder,
            &accounts,
            ("exotel_api_operations_abandoned", "Operations given up after all retries.", Counter),
            |metric, name, account| {
                for endpoint in account.shown() {
                    let value = ConstCounter::new(account.endpoints[endpoint as usize].abandoned.get());
                    series(metric, [("account", name), ("endpoint", endpoint.as_str())], &value)?;
                }
                Ok(())
            },
        )?;
        family(
            encoder,
            &accounts,
            ("exotel_api_request_duration_seconds", "Latency of one attempt.", Histogram),
            |metric, name, account| {
                for endpoint in account.shown() {
                    let value = &account.endpoints[endpoint as usize].duration;
                    series(metric, [("account", name), ("endpoint", endpoint.as_str())], value)?;
                }
                Ok(())
            },
        )?;
        family(
            encoder,
            &accounts,
            ("exotel_api_auth_ok", "0 after a 401 until a request is accepted again.", Gauge),
            |metric, name, account| {
                let value = ConstGauge::new(i64::from(account.auth_ok.load(Ordering::Relaxed)));
                series(metric, [("account", name)], &value)
            },
        )?;
        family(
            encoder,
            &accounts,
            ("exotel_api_clock_offset_seconds", "Exotel's Date header minus the local clock.", Gauge),
            |metric, name, account| match account.clock_offset.load(Ordering::Relaxed) {
                i64::MIN => Ok(()),
                seconds => series(metric, [("account", name)], &ConstGauge::new(seconds)),
            },
        )?;
        family(
            encoder,
            &accounts,
            ("exotel_api_throttle_wait_seconds", "Time a request waited for the local limiter.", Histogram),
            |metric, name, account| {
                for pool in Pool::ALL {
                    for priority in Priority::ALL {
                        if let Some(value) = account.waits[pool as usize][priority as usize].get() {
                            let labels =
                                [("account", name), ("pool", pool.as_str()), ("priority", priority.as_str())];
                            series(metric, labels, value)?;
                        }
                    }
                }
                Ok(())
            },
        )?;
        pool_gauge(
            encoder,
            &accounts,
            ("exotel_api_queue_length", "Requests waiting for budget."),
            |pool| u64::try_from(pool.queue()).ok(),
        )?;
        pool_gauge(
            encoder,
            &accounts,
            ("exotel_api_quota_requests", "Requests per minute in force, configured or learned."),
            |pool| Some(pool.quota.load(Ordering::Relaxed)),
        )?;
        pool_gauge(
            encoder,
            &accounts,
            ("exotel_api_quota_remaining_requests", "Remaining quota last reported by Exotel."),
            PoolGauges::remaining,
        )
    }
}

/// Writes a gauge of every pool in use that has a value.
fn pool_gauge(
    encoder: &mut DescriptorEncoder<'_>,
    accounts: &Shown,
    (name, help): (&str, &str),
    value: impl Fn(&PoolGauges) -> Option<u64>,
) -> Result<(), std::fmt::Error> {
    family(encoder, accounts, (name, help, MetricType::Gauge), |metric, account_name, account| {
        for pool in Pool::ALL {
            if let Some(value) = account.pools[pool as usize].load().as_deref().and_then(&value) {
                let labels = [("account", account_name), ("pool", pool.as_str())];
                series(metric, labels, &ConstGauge::new(value))?;
            }
        }
        Ok(())
    })
}
