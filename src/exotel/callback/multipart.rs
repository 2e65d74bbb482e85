//! `multipart/form-data`, Exotel's default for a StatusCallback.

use std::borrow::Cow;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use multer::Multipart;

use super::Unreadable;
use super::body::readable;
use super::fields::Fields;

/// Longest boundary that RFC 2046 allows.
const MAX_BOUNDARY: usize = 70;

/// The boundary that a Content-Type names.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    multer::parse_boundary(content_type).ok().filter(|b| !b.is_empty() && b.len() <= MAX_BOUNDARY)
}

/// The boundary in the first line of a body that begins with `--`.
pub(super) fn guess_boundary(body: &[u8]) -> Option<String> {
    let line = body.split(|b| *b == b'\n').next()?.strip_prefix(b"--")?.trim_ascii_end();
    let fits = !line.is_empty() && line.len() <= MAX_BOUNDARY && line.iter().all(u8::is_ascii_graphic);
    fits.then(|| String::from_utf8_lossy(line).into_owned())
}

/// Its fields; files are fields too.
pub(super) fn fields(body: &[u8], boundary: String) -> Result<Fields, Unreadable> {
    at_once(read(body, boundary)).unwrap_or_else(|| Err(broken()))
}

async fn read(body: &[u8], boundary: String) -> Result<Fields, Unreadable> {
    let mut parts = Multipart::with_reader(body, boundary);
    let mut fields = Fields::default();
    while let Some(part) = parts.next_field().await.map_err(|_| broken())? {
        let Some(name) = part.name().map(str::to_owned) else {
            return Err(Unreadable::new("expected parts with a name, got one without"));
        };
        let value = part.bytes().await.map_err(|_| broken())?;
        fields.push(readable(Cow::Owned(name))?, String::from_utf8_lossy(&value))?;
    }
    Ok(fields)
}

/// What multer says may quote the body.
fn broken() -> Unreadable {
    Unreadable::new("expected multipart/form-data, got a body that is cut off or broken")
}

/// Runs what has nothing to wait for, because all of its input is there. A future that yields is asked
/// again as long as that can bring it on; none would need more turns than there are parts.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..super::fields::MOST {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Some(value);
        }
    }
    None
}
