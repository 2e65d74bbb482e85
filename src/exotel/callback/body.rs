//! How a body is written, and the two simple ways: a form and a query.

use std::borrow::Cow;

use super::fields::Fields;
use super::{Letter, Unreadable, json, multipart};

/// A body and how it is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shape<'a> {
    Json(&'a [u8]),
    /// With its boundary.
    Multipart(&'a [u8], String),
    Form(&'a [u8]),
}

impl<'a> Shape<'a> {
    /// By Content-Type. Without one, or with one that says nothing (`text/plain`,
    /// `application/octet-stream`), by the first bytes. Without a body the query is the form.
    pub(super) fn of(letter: &Letter<'a>) -> Result<Self, Unreadable> {
        if letter.body.trim_ascii().is_empty() {
            return match letter.query {
                Some(query) if !query.is_empty() => Ok(Self::Form(query.as_bytes())),
                _ => Err(Unreadable::new("expected fields, got an empty body")),
            };
        }
        let whole = letter.content_type.unwrap_or("");
        let media = whole.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        match media.as_str() {
            "application/x-www-form-urlencoded" => Self::form(letter.body),
            "multipart/form-data" => match multipart::boundary(whole) {
                Some(boundary) => Ok(Self::Multipart(letter.body, boundary)),
                None => Err(Unreadable::new("expected a boundary in the Content-Type, got none")),
            },
            json if json == "application/json" || json == "text/json" || json.ends_with("+json") => {
                Ok(Self::Json(letter.body))
            }
            "" | "text/plain" | "application/octet-stream" => Self::guess(letter.body),
            _ => Err(Unreadable::new(
                "expected the Content-Type application/x-www-form-urlencoded, multipart/form-data or \
                 application/json, got another one",
            )),
        }
    }

    fn guess(body: &'a [u8]) -> Result<Self, Unreadable> {
        match body.trim_ascii_start() {
            [b'{' | b'[', ..] | [0xef, 0xbb, 0xbf, ..] => Ok(Self::Json(body)),
            start @ [b'-', b'-', ..] => match multipart::guess_boundary(start) {
                Some(boundary) => Ok(Self::Multipart(body, boundary)),
                None => Self::form(body),
            },
            _ => Self::form(body),
        }
    }

    /// A form has a `=`; JSON and XML that are called one are told from it by how they begin.
    fn form(body: &'a [u8]) -> Result<Self, Unreadable> {
        let begins_otherwise = matches!(body.trim_ascii_start().first(), Some(b'{' | b'[' | b'<'));
        if begins_otherwise || !body.contains(&b'=') {
            return Err(Unreadable::new("expected a form, got something else"));
        }
        Ok(Self::Form(body))
    }

    /// Its fields.
    pub(super) fn fields(self) -> Result<Fields, Unreadable> {
        let fields = match self {
            Self::Json(body) => json::fields(body)?,
            Self::Multipart(body, boundary) => multipart::fields(body, boundary)?,
            Self::Form(body) => form(body)?,
        };
        if fields.is_empty() { Err(Unreadable::new("expected fields, got none")) } else { Ok(fields) }
    }
}

fn form(body: &[u8]) -> Result<Fields, Unreadable> {
    let mut fields = Fields::default();
    for (name, value) in form_urlencoded::parse(body.trim_ascii()) {
        fields.push(readable(name)?, value)?;
    }
    Ok(fields)
}

/// A name without replaced bytes.
pub(super) fn readable(name: Cow<'_, str>) -> Result<Cow<'_, str>, Unreadable> {
    if name.contains(char::REPLACEMENT_CHARACTER) {
        return Err(Unreadable::new("expected names of fields in UTF-8, got other bytes"));
    }
    Ok(name)
}
