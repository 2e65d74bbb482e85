//! Places in a list of calls, for the next page.
//!
//! A cursor names the last call of a page and the query that it belongs to, so that one from another query
//! is refused instead of giving pages that do not fit together.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use xxhash_rust::xxh3::xxh3_64;

use crate::model::{Sid, WallTime};

/// Where a page ended: creation time and Sid of its last call.
pub(super) type Place = (WallTime, Sid);

/// Why a text is no cursor of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It was not made here.
    Unreadable,
    /// It was made for another query.
    OtherQuery,
}

/// The cursor for a place in the answer to `query`, any text that tells queries apart.
pub(super) fn write(query: &str, (created, sid): &Place) -> String {
    let mut bytes = xxh3_64(query.as_bytes()).to_be_bytes().to_vec();
    bytes.extend_from_slice(&created.0.to_be_bytes());
    bytes.extend_from_slice(sid.as_str().as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads it back.
///
/// # Errors
/// [`Wrong`].
pub(super) fn read(query: &str, cursor: &str) -> Result<Place, Wrong> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Wrong::Unreadable)?;
    let (head, sid) = bytes.split_at_checked(16).ok_or(Wrong::Unreadable)?;
    let (of, created) = head.split_at(8);
    let sid = std::str::from_utf8(sid).ok().and_then(Sid::parse).ok_or(Wrong::Unreadable)?;
    let created = i64::from_be_bytes(created.try_into().map_err(|_| Wrong::Unreadable)?);
    if !(0..=i64::from(u32::MAX)).contains(&created) {
        return Err(Wrong::Unreadable);
    }
    if of != xxh3_64(query.as_bytes()).to_be_bytes() {
        return Err(Wrong::OtherQuery);
    }
    Ok((WallTime(created), sid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_query_alone() {
        let place = (WallTime(1_772_457_600), Sid::parse("4f5f60718293a4b5").unwrap());
        let cursor = write("status=failed", &place);
        assert_eq!(read("status=failed", &cursor), Ok(place));
        assert_eq!(read("status=busy", &cursor), Err(Wrong::OtherQuery));
        for bad in ["", "x", "AAAA", "%%%", &cursor[1..], &cursor[..20], &"A".repeat(4000)] {
            assert!(read("status=failed", bad).is_err(), "{bad}");
        }
    }
}
