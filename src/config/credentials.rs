//! Secrets, given in place or by the file that holds them. Nothing here quotes a secret.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::node::Node;
use super::section::{Section, text};
use super::{Api, ApiKey, Secret};
use crate::web::access;

/// More than any key or list of secrets needs; keeps a wrong path (a disk image) out of memory.
const MAX_FILE: u64 = 64 * 1024;

/// Reads the file of a secret and cuts the newline that editors put at its end.
///
/// # Errors
/// The reason with the path: cannot be read, empty, too large, not text.
pub(super) fn read_file(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("expected a readable file, but {shown}: {error}"))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("expected a secret of at most 64 KiB, but {shown} is larger"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("expected text, but {shown} is not UTF-8"))?;
    match text.trim_end_matches(['\n', '\r']) {
        "" => Err(format!("expected a secret, but {shown} is empty")),
        secret => Ok(secret.to_owned()),
    }
}

/// A secret that goes into a header or a URL path: printable ASCII without blanks.
pub(super) fn token(text: &str) -> Result<Secret, String> {
    match text {
        "" => Err("expected a secret, got an empty text".to_owned()),
        _ if text.len() > 1024 => Err("expected a secret of at most 1024 characters".to_owned()),
        _ if !text.bytes().all(|b| b.is_ascii_graphic()) => {
            Err("expected a secret of printable ASCII characters on one line, without blanks".to_owned())
        }
        _ => Ok(Secret::new(text)),
    }
}

/// An API key: as a token, and without the colon that ends the user in Basic auth.
pub(super) fn api_key(text: &str) -> Result<Secret, String> {
    if text.contains(':') {
        return Err("expected an API key without `:`; key and token are two settings".to_owned());
    }
    token(text)
}

/// A secret that stands in a URL path as one segment.
pub(super) fn path_secret(text: &str) -> Result<Secret, String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&b));
    if !plain || text.is_empty() || text.len() > 256 || text.bytes().all(|b| b == b'.') {
        return Err("expected a secret of 1 to 256 characters that can stand in a URL, without /".to_owned());
    }
    Ok(Secret::new(text))
}

/// Shortest HS256 key: shorter ones can be guessed from one token.
const JWT_SECRET_BYTES: usize = 32;

/// A secret that signs tokens of the API.
pub(super) fn jwt_secret(text: &str, api: &Api) -> Result<ApiKey, String> {
    if text.is_empty() || (text.len() < JWT_SECRET_BYTES && !api.allow_short_secret) {
        let bytes = text.len();
        return Err(format!(
            "expected at least {JWT_SECRET_BYTES} bytes, got {bytes} (api.allow_short_secret takes it all the same)"
        ));
    }
    Ok(ApiKey::Shared(Secret::new(text)))
}

/// A text in place, without quoting it in a fault.
fn hidden(node: &Node) -> Result<&str, String> {
    text(node).map_err(|_| format!("expected a text in quotes, got {}", node.kind()))
}

/// A secret under `key` or in the file under `file_key`; both is a fault.
fn either<T>(
    section: &Section<'_>,
    key: &'static str,
    file_key: &'static str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Given<T> {
    let in_place = section.get(key, |node| Ok(hidden(node).and_then(&read)));
    let from_file = section.get(file_key, |node| {
        Ok(text(node).map_err(|reason| format!("{reason}: the path of a file")).and_then(|path| {
            if !section.uses_secrets() {
                return Ok(None);
            }
            read_file(&section.path_beside_file(path))
                .and_then(|secret| read(&secret).map_err(|reason| format!("in that file: {reason}")))
                .map(Some)
        }))
    });
    let (at, result) = match (in_place, from_file) {
        (None, None) => return Given::Nothing,
        (Some(_), Some(_)) => {
            section.fault(file_key, format!("expected one of {key} and {file_key}, got both"));
            return Given::Fault;
        }
        (Some(result), None) => (key, result.map(Some)),
        (None, Some(result)) => (file_key, result),
    };
    match result {
        Ok(Some(value)) => Given::Value(value),
        Ok(None) => Given::Unread,
        Err(reason) => {
            section.fault(at, reason);
            Given::Fault
        }
    }
}

enum Given<T> {
    Nothing,
    Fault,
    /// It is in a file, and nobody will use it.
    Unread,
    Value(T),
}

impl<T> Given<T> {
    fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Nothing | Self::Fault | Self::Unread => None,
        }
    }
}

/// A secret that must be given.
pub(super) fn required(
    section: &Section<'_>,
    key: &'static str,
    file_key: &'static str,
    read: impl Fn(&str) -> Result<Secret, String>,
) -> Secret {
    let given = either(section, key, file_key, read);
    if matches!(given, Given::Nothing) {
        section.fault(
            key,
            format!("expected a text here, or {file_key} with the path of its file; got neither"),
        );
    }
    given.value().unwrap_or_else(|| Secret::new(""))
}

/// Webhook secrets: a list in place, or a file with one on each line.
pub(super) fn webhook_secrets(section: &Section<'_>) -> Vec<Secret> {
    let in_place = section.list("webhook_secrets", |node| path_secret(hidden(node)?));
    let from_file = section.get("webhook_secrets_file", |node| {
        let path = section.path_beside_file(text(node)?);
        if !section.uses_secrets() {
            return Ok(Vec::new());
        }
        let text = read_file(&path)?;
        webhook_secret_lines(&text).map_err(|reason| format!("in that file: {reason}"))
    });
    if in_place.is_some() && from_file.is_some() {
        section.fault(
            "webhook_secrets_file",
            "expected one of webhook_secrets and webhook_secrets_file, got both",
        );
    }
    in_place.or(from_file).unwrap_or_default()
}

/// One secret on each line; empty lines are skipped.
pub(super) fn webhook_secret_lines(text: &str) -> Result<Vec<Secret>, String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(path_secret).collect()
}

/// What tokens of the API are checked with, from the `api` section.
pub(super) fn api_key_of(section: &Section<'_>, api: &Api) -> Option<ApiKey> {
    // `none` is the default's name, so it is never a secret.
    let shared = either(section, "jwt_secret", "jwt_secret_file", |secret| match secret {
        "none" => Ok(None),
        _ => jwt_secret(secret, api).map(Some),
    });
    let shared = shared.value().flatten();
    let public = section.get("jwt_public_key_file", |node| {
        let path = section.path_beside_file(text(node)?);
        if section.uses_secrets() { public_key(&read_file(&path)?).map(Some) } else { Ok(None) }
    });
    let public = public.flatten();
    if shared.is_some() && public.is_some() {
        section.fault("jwt_public_key_file", "expected one of a jwt_secret and a public key, got both");
    }
    shared.or(public)
}

fn public_key(pem: &str) -> Result<ApiKey, String> {
    if pem.contains("PRIVATE KEY") {
        return Err("expected a public key, but that file holds a private one".to_owned());
    }
    let key = ApiKey::Public(pem.to_owned());
    access::check_key(&key).map_err(|error| error.to_string())?;
    Ok(key)
}
