//! A body, read within bounds of size and time.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::Body;
use http_body::Body as _;
use tokio::time::{Instant, timeout_at};

use crate::model::callback::Kind;

/// Most bytes of a heartbeat: Exotel sends up to 10 MB.
const HEARTBEAT_LIMIT: usize = 11 * 1024 * 1024;
/// Most bytes of any other callback; the largest known has about 3 KB.
const LIMIT: usize = 256 * 1024;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    TooLarge,
    /// It did not come in time.
    Late,
    /// The sender stopped, or broke the rules of HTTP.
    Cut,
}

/// Most bytes of a body of this kind.
pub(super) fn limit(kind: Kind) -> usize {
    if kind == Kind::Heartbeat { HEARTBEAT_LIMIT } else { LIMIT }
}

/// The length that the head announces, where it does; the server holds the sender to it.
pub(super) fn announced(body: &Body) -> Option<u64> {
    body.size_hint().exact()
}

/// Reads a body to its end.
pub(super) async fn read(
    mut body: Body,
    length: Option<u64>,
    limit: usize,
    deadline: Instant,
) -> Result<Vec<u8>, Fault> {
    let room = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(0).min(limit);
    let mut bytes = Vec::with_capacity(room);
    let reading = async {
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            // Trailers say nothing that we need.
            let Ok(data) = frame.map_err(|_| Fault::Cut)?.into_data() else { continue };
            if bytes.len() + data.len() > limit {
                return Err(Fault::TooLarge);
            }
            bytes.extend_from_slice(&data);
        }
        Ok(())
    };
    timeout_at(deadline, reading).await.unwrap_or(Err(Fault::Late))?;
    Ok(bytes)
}
