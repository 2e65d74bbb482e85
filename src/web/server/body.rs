//! A bound on how long a request's body may take to arrive.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

/// From a request's head to the end of its body. The largest body, a heartbeat of 11 MB, needs 180 KB a
/// second.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// A body that fails when it takes too long.
#[derive(Debug)]
pub(super) struct Timely<B> {
    body: B,
    end: Option<Pin<Box<Sleep>>>,
}

/// Why a body failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError<E> {
    /// The connection's own reason.
    #[error(transparent)]
    Connection(E),
    /// It took too long.
    #[error("the body did not arrive within {} s", BODY_TIMEOUT.as_secs())]
    Late,
}

impl<B: Body> Timely<B> {
    pub(super) fn new(body: B) -> Self {
        // Most requests have none, and need no timer.
        let end = (!body.is_end_stream()).then(|| Box::pin(tokio::time::sleep(BODY_TIMEOUT)));
        Self { body, end }
    }
}

impl<B> Body for Timely<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = BodyError<B::Error>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Connection)));
        }
        if let Some(end) = &mut self.end
            && end.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(Err(BodyError::Late)));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use std::convert::Infallible;
    use tokio::time::Instant;

    /// Gives a byte every 10 seconds, `left` times.
    struct Dribble {
        left: u32,
        next: Pin<Box<Sleep>>,
    }

    impl Dribble {
        const EVERY: Duration = Duration::from_secs(10);

        fn new(left: u32) -> Self {
            Self { left, next: Box::pin(tokio::time::sleep(Self::EVERY)) }
        }
    }

    impl Body for Dribble {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.left == 0 {
                return Poll::Ready(None);
            }
            std::task::ready!(self.next.as_mut().poll(cx));
            self.left -= 1;
            self.next = Box::pin(tokio::time::sleep(Self::EVERY));
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_dribbles_is_cut_off_in_time_and_a_slow_one_is_not() {
        let body = axum::body::Body::new(Timely::new(Dribble::new(5)));
        assert_eq!(to_bytes(body, 100).await.unwrap(), "xxxxx");
        let start = Instant::now();
        let body = axum::body::Body::new(Timely::new(Dribble::new(u32::MAX)));
        let error = to_bytes(body, 100).await.unwrap_err();
        assert!(error.to_string().contains("60 s"), "{error}");
        assert_eq!(start.elapsed(), BODY_TIMEOUT);
    }
}
