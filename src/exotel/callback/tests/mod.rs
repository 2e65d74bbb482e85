//! Every callback that Exotel documents or was seen to send, and bodies that are none.

mod bodies;
mod calls;
mod others;

use super::{Letter, Unreadable, read};
use crate::model::callback::{CallReport, Kind, Told, Unknown};
use crate::model::{UtcOffset, WallTime, parse_time};

pub(super) const FORM: &str = "application/x-www-form-urlencoded";
pub(super) const JSON: &str = "application/json";

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/fixtures/exotel/", $name))
    };
}
pub(super) use fixture;

pub(super) fn posted(kind: Kind, content_type: &str, body: &[u8]) -> Result<Told, Unreadable> {
    let content_type = Some(content_type).filter(|text| !text.is_empty());
    read(&Letter { kind, content_type, query: None, body, offset: UtcOffset::default() })
}

pub(super) fn asked(query: &str) -> Result<Told, Unreadable> {
    let kind = Kind::Passthru;
    read(&Letter { kind, content_type: None, query: Some(query), body: b"", offset: UtcOffset::default() })
}

pub(super) fn call(told: Result<Told, Unreadable>) -> CallReport {
    match told {
        Ok(Told::Call(report)) => *report,
        other => panic!("{other:?}"),
    }
}

pub(super) fn unknown(told: Result<Told, Unreadable>) -> Unknown {
    match told {
        Ok(Told::Unknown(unknown)) => unknown,
        other => panic!("{other:?}"),
    }
}

pub(super) fn wall(text: &str) -> Option<WallTime> {
    parse_time(text, UtcOffset::default()).unwrap()
}

/// A form as multipart.
pub(super) fn multipart(form: &str, boundary: &str) -> Vec<u8> {
    let mut body = String::new();
    for (name, value) in form_urlencoded::parse(form.as_bytes()) {
        body.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    body.push_str(&format!("--{boundary}--\r\n"));
    body.into_bytes()
}
