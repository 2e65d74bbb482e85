//! `GET /metrics`: which format a client gets, and the answer.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::metrics::{Format, Metrics};

/// A format and the name under which the client asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// OpenMetrics 0.0.1, of which what we write is a part.
    OpenMetricsDraft,
    /// Text 0.0.4.
    Text,
}

impl Answer {
    fn format(self) -> Format {
        match self {
            Self::OpenMetrics | Self::OpenMetricsDraft => Format::OpenMetrics,
            Self::Text => Format::Text,
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::OpenMetricsDraft => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        })
    }
}

/// Scrapes of one program: one rendering at a time, shared by all who asked before it began.
///
/// So no answer is older than its request, and a flood of scrapes costs one processor at most.
#[derive(Debug)]
pub(super) struct Scrapes {
    metrics: Arc<Metrics>,
    /// The last rendering as OpenMetrics and as text. Held while one is made, in memory alone.
    last: Mutex<[Option<Rendered>; 2]>,
}

#[derive(Debug)]
struct Rendered {
    began: Instant,
    text: Bytes,
}

impl Scrapes {
    pub(super) fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { metrics, last: Mutex::default() })
    }

    /// Every metric as it stood at `asked`, or later.
    async fn since(&self, asked: Instant, format: Format) -> Bytes {
        let mut last = self.last.lock().await;
        let slot = &mut last[usize::from(format == Format::Text)];
        match slot {
            Some(rendered) if rendered.began >= asked => rendered.text.clone(),
            _ => {
                let rendered = Rendered { began: Instant::now(), text: self.metrics.render(format) };
                slot.insert(rendered).text.clone()
            }
        }
    }
}

/// Renders every metric in the format that the client likes best.
pub(super) async fn scrape(State(scrapes): State<Arc<Scrapes>>, headers: HeaderMap) -> impl IntoResponse {
    let asked = Instant::now();
    let answer = negotiate(&headers);
    let fixed = [
        (header::CONTENT_TYPE, answer.content_type()),
        (header::VARY, HeaderValue::from_static("accept")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (fixed, scrapes.since(asked, answer.format()).await)
}

/// The format with the highest `q`, among equals the one named first; text if none of ours is named.
fn negotiate(headers: &HeaderMap) -> Answer {
    let ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(range);
    let mut best = (0, Answer::Text);
    for (q, answer) in ranges {
        if q > best.0 {
            best = (q, answer);
        }
    }
    best.1
}

/// One entry of an Accept header: its `q` in thousandths and what we would answer; none if we have
/// nothing of that type or the entry cannot be read. Other parameters (`escaping`, `charset`) change
/// nothing, because all our names are plain.
fn range(entry: &str) -> Option<(u16, Answer)> {
    let mut parts = entry.split(';').map(str::trim);
    let media = parts.next()?;
    let (mut q, mut version) = (1000, None);
    for part in parts {
        let (name, value) = part.split_once('=')?;
        match name.trim().to_ascii_lowercase().as_str() {
            "q" => q = thousandths(value.trim())?,
            "version" => version = Some(value.trim().trim_matches('"')),
            _ => {}
        }
    }
    let answer = match (media.to_ascii_lowercase().as_str(), version) {
        ("application/openmetrics-text", None | Some("1.0.0")) => Answer::OpenMetrics,
        ("application/openmetrics-text", Some("0.0.1")) => Answer::OpenMetricsDraft,
        ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => Answer::Text,
        _ => return None,
    };
    Some((q, answer))
}

/// `0.75` as 750; none for what is not a number from 0 to 1.
fn thousandths(text: &str) -> Option<u16> {
    let q: f32 = text.parse().ok()?;
    (0.0..=1.0).contains(&q).then(|| (q * 1000.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asked_before_a_rendering_began_shares_it_and_who_asked_later_does_not() {
        let scrapes = Scrapes::new(Arc::new(Metrics::new(crate::metrics::BuildInfo::current())));
        let early = Instant::now();
        tokio::time::advance(std::time::Duration::from_millis(5)).await;
        let first = scrapes.since(early, Format::Text).await;
        scrapes.metrics.exporter.set_ready();
        assert_eq!(scrapes.since(early, Format::Text).await, first, "made after it was asked for");
        tokio::time::advance(std::time::Duration::from_millis(5)).await;
        let second = scrapes.since(Instant::now(), Format::Text).await;
        assert_ne!(second, first, "never older than the request");
        let other = scrapes.since(early, Format::OpenMetrics).await;
        assert!(other.ends_with(b"# EOF\n") && !second.ends_with(b"# EOF\n"), "each format by itself");
    }

    #[test]
    fn every_client_gets_the_format_it_likes_best() {
        use Answer::{OpenMetrics, OpenMetricsDraft, Text};
        let prometheus_2_42 = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,\
            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let prometheus_3_native = "application/vnd.google.protobuf;\
            proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
            application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1";
        let text_first = "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5";
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";
        for (accept, expected) in [
            (prometheus_2_42, OpenMetrics),
            (prometheus_3, OpenMetrics),
            (prometheus_3_native, OpenMetrics),
            (text_first, Text),
            (browser, Text),
            ("", Text),
            ("*/*", Text),
            ("text/plain", Text),
            ("text/*;q=0.1", Text),
            ("application/openmetrics-text", OpenMetrics),
            ("application/openmetrics-text; version=\"1.0.0\"; charset=utf-8", OpenMetrics),
            ("Application/OpenMetrics-Text; Version=1.0.0", OpenMetrics),
            ("application/openmetrics-text;version=0.0.1", OpenMetricsDraft),
            ("application/openmetrics-text;version=2.0.0", Text),
            ("application/openmetrics-text;version=2.0.0,application/openmetrics-text;q=0.1", OpenMetrics),
            ("application/openmetrics-text;q=0", Text),
            ("application/openmetrics-text;q=0.4,text/plain;q=0.5", Text),
            ("text/plain;q=0.5,application/openmetrics-text;q=0.5", Text),
            ("application/openmetrics-text;q=0.5,text/plain;q=0.5", OpenMetrics),
            ("application/openmetrics-text;q=loud,text/plain;q=0.1", Text),
            ("application/openmetrics-text;q=NaN", Text),
            ("application/openmetrics-text;q=7", Text),
            ("application/openmetrics-text;q", Text),
            ("image/png", Text),
            (";;,,=;q=", Text),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(negotiate(&headers), expected, "{accept}");
        }
        assert_eq!(negotiate(&HeaderMap::new()), Text);
    }

    #[test]
    fn several_accept_headers_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(header::ACCEPT, "text/plain;q=0.5".parse().unwrap());
        headers.append(header::ACCEPT, "application/openmetrics-text".parse().unwrap());
        assert_eq!(negotiate(&headers), Answer::OpenMetrics);
    }

    #[test]
    fn a_header_that_is_not_text_is_as_good_as_none() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_bytes(b"application/\xff").unwrap());
        assert_eq!(negotiate(&headers), Answer::Text);
    }
}
