//! The web configuration file: which keys there are, how each is read, what must fit together.
//!
//! Key by key as in the exporter toolkit (read in its source, version 0.17, 2026-11), with its verdict on
//! what is good. Different on purpose: faults are all told at once, and what its TLS library has and ours
//! has not is refused where nothing usable is left, else said and left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderName, HeaderValue, header};
use rustls::SupportedCipherSuite;
use rustls::crypto::SupportedKxGroup;

use super::names::{self, Known, Version};
use super::yaml::{boolean, duration, integer, text};
use crate::config::{Node, Secret, Section};

/// What the file says, without what it refers to.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// None: plain HTTP.
    pub(super) tls: Option<TlsSettings>,
    pub(super) http2: Http2,
    /// Put on every answer.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) rate_limit: Option<RateLimit>,
    /// User to bcrypt hash; empty: nobody is asked for a password.
    pub(super) users: BTreeMap<String, Secret>,
}

/// Whether clients are offered HTTP/2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Http2 {
    #[default]
    Offered,
    Off,
}

/// One token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RateLimit {
    /// A token comes back after this time.
    pub(super) interval: Duration,
    /// Tokens at most; 0 lets nothing through.
    pub(super) burst: u32,
}

/// The section `tls_server_config`.
#[derive(Debug)]
pub(super) struct TlsSettings {
    pub(super) certificate: Pem,
    pub(super) key: Pem,
    pub(super) clients: Clients,
    pub(super) oldest: Version,
    pub(super) newest: Version,
    /// TLS 1.2 suites to offer, the best first; none: all we have.
    pub(super) suites: Option<Vec<SupportedCipherSuite>>,
    /// None: all we have.
    pub(super) curves: Option<Vec<&'static dyn SupportedKxGroup>>,
    pub(super) prefer_server_order: bool,
}

/// Where something in PEM form is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pem {
    File(PathBuf),
    Inline(Secret),
}

/// What is asked of clients during the handshake.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) policy: Policy,
    pub(super) authority: Option<Pem>,
    /// Names of which a client's certificate must carry one.
    pub(super) allowed_names: Option<Vec<String>>,
}

/// Go's `ClientAuthType`, the laxest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Policy {
    /// Nobody is asked.
    None,
    /// Asked; any certificate or none will do.
    Request,
    /// Any certificate will do.
    RequireAny,
    /// None will do; one that is shown must be good.
    VerifyIfGiven,
    /// A good one must be shown.
    RequireAndVerify,
}

/// Reads the whole file. What is at fault is with the reader.
pub(super) fn read(root: Section<'_>) -> Settings {
    let mut settings = Settings { tls: tls(root.section("tls_server_config")), ..Settings::default() };
    let http = root.section("http_server_config");
    if http.get("http2", boolean) == Some(false) {
        settings.http2 = Http2::Off;
    }
    settings.headers = headers(&http);
    http.finish();
    settings.rate_limit = rate_limit(root.section("rate_limit"));
    settings.users = users(&root);
    root.finish();
    settings
}

/// A text that may be missing; an empty one counts as missing.
fn given(section: &Section<'_>, key: &'static str) -> Option<String> {
    section.get(key, text).filter(|text| !text.is_empty())
}

/// The file wins over what stands in place.
fn pem(section: &Section<'_>, file_key: &'static str, inline_key: &'static str) -> Option<Pem> {
    let file = given(section, file_key).map(|path| Pem::File(section.path_beside_file(path)));
    let inline = given(section, inline_key).map(|pem| Pem::Inline(Secret::new(pem)));
    file.or(inline)
}

fn tls(section: Section<'_>) -> Option<TlsSettings> {
    let certificate = pem(&section, "cert_file", "cert");
    let key = pem(&section, "key_file", "key");
    let authority = pem(&section, "client_ca_file", "client_ca");
    let policy_word = given(&section, "client_auth_type");
    let allowed_names = section.get("client_allowed_sans", some_texts).flatten();
    let oldest = section.get("min_version", tls_version).unwrap_or(Version::Tls12);
    let newest = section.get("max_version", tls_version).unwrap_or(Version::Tls13);
    let suites = cipher_suites(&section);
    let curves = curves(&section);
    let prefer_server_order = section.get("prefer_server_cipher_suites", boolean).unwrap_or(true);

    let on = certificate.is_some() || key.is_some() || authority.is_some() || policy_word.is_some();
    let tls = on.then(|| {
        let policy = policy(&section, policy_word.as_deref(), authority.is_some());
        if certificate.is_none() {
            section.fault("cert_file", "expected a certificate here or under cert, got neither");
        }
        if key.is_none() {
            section.fault("key_file", "expected a key here or under key, got neither");
        }
        if oldest < Version::Tls12 {
            section.fault("min_version", "expected TLS12 or TLS13; older ones are not spoken here");
        }
        if newest < Version::Tls12 || newest < oldest {
            section.fault("max_version", "expected TLS12 or TLS13, not below min_version");
        }
        Some(TlsSettings {
            certificate: certificate?,
            key: key?,
            clients: Clients { policy, authority, allowed_names },
            oldest,
            newest,
            suites,
            curves,
            prefer_server_order,
        })
    });
    section.finish();
    tls.flatten()
}

/// Whom the section asks for a certificate; what it leaves open is said.
fn policy(section: &Section<'_>, word: Option<&str>, authority: bool) -> Policy {
    let policy = match word {
        None | Some("NoClientCert") => Policy::None,
        Some("RequestClientCert") => Policy::Request,
        // The second is its old name.
        Some("RequireAnyClientCert" | "RequireClientCert") => Policy::RequireAny,
        Some("VerifyClientCertIfGiven") => Policy::VerifyIfGiven,
        Some("RequireAndVerifyClientCert") => Policy::RequireAndVerify,
        Some(other) => {
            let known = "NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven \
                 or RequireAndVerifyClientCert";
            section.fault("client_auth_type", format!("expected {known}, got {other:?}"));
            return Policy::None;
        }
    };
    match policy {
        Policy::None if authority => {
            section.fault("client_ca_file", "expected client_auth_type too: without it no client is asked");
        }
        Policy::VerifyIfGiven | Policy::RequireAndVerify if !authority => {
            section.warn("client_ca_file", "missing: every client certificate is refused");
        }
        Policy::Request | Policy::RequireAny => {
            section
                .warn("client_auth_type", "certificates of clients are not verified: anybody can make one");
        }
        _ => {}
    }
    policy
}

fn tls_version(node: &Node) -> Result<Version, String> {
    names::version(&text(node)?)
}

/// A list of texts, or nothing.
fn some_texts(node: &Node) -> Result<Option<Vec<String>>, String> {
    match node {
        Node::Null => Ok(None),
        Node::List(items) => items.iter().map(text).collect::<Result<_, _>>().map(Some),
        other => Err(format!("expected a list such as [a, b], got {other}")),
    }
}

fn cipher_suites(section: &Section<'_>) -> Option<Vec<SupportedCipherSuite>> {
    choice(section, "cipher_suites", names::cipher)
}

fn curves(section: &Section<'_>) -> Option<Vec<&'static dyn SupportedKxGroup>> {
    let chosen = choice(section, "curve_preferences", names::curve)?;
    if chosen.is_empty() {
        section.fault("curve_preferences", "expected one of X25519, CurveP256, CurveP384 among them");
    }
    Some(chosen)
}

/// What we have of a list of names; none if the list is missing or empty, which leaves the default.
fn choice<T: Copy>(
    section: &Section<'_>,
    key: &'static str,
    read: fn(&str) -> Result<Known<T>, String>,
) -> Option<Vec<T>> {
    let words = section.get(key, some_texts).flatten().filter(|words| !words.is_empty())?;
    let mut chosen = Vec::with_capacity(words.len());
    let mut missing = Vec::new();
    for (n, word) in words.iter().enumerate() {
        match read(word) {
            Ok(Known::Here(value)) => chosen.push(value),
            Ok(Known::Elsewhere) => missing.push(word.as_str()),
            Ok(Known::Always) => {}
            Err(reason) => section.fault(&format!("{key}[{n}]"), reason),
        }
    }
    if !missing.is_empty() {
        section.warn(key, format!("left out, not spoken here: {}", missing.join(", ")));
    }
    Some(chosen)
}

/// The names that may be set, and the values of those that take only some.
const HEADERS: [(&str, HeaderName, &[&str]); 5] = [
    ("Content-Security-Policy", header::CONTENT_SECURITY_POLICY, &[]),
    ("X-Frame-Options", header::X_FRAME_OPTIONS, &["deny", "sameorigin"]),
    ("X-Content-Type-Options", header::X_CONTENT_TYPE_OPTIONS, &["nosniff"]),
    ("X-XSS-Protection", header::X_XSS_PROTECTION, &[]),
    ("Strict-Transport-Security", header::STRICT_TRANSPORT_SECURITY, &[]),
];

fn headers(section: &Section<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (name, node) in unique(section, "headers") {
        let key = format!("headers.{name}");
        let Some((_, header, allowed)) = HEADERS.iter().find(|(known, ..)| known == name) else {
            let known: Vec<&str> = HEADERS.iter().map(|(known, ..)| *known).collect();
            section.fault(&key, format!("this header cannot be set; those that can: {}", known.join(", ")));
            continue;
        };
        let value = text(node).and_then(|value| {
            if !allowed.is_empty() && !allowed.contains(&value.as_str()) {
                return Err(format!("expected {}, got {value:?}", allowed.join(" or ")));
            }
            HeaderValue::try_from(value).map_err(|_| "expected a value that fits into a header".to_owned())
        });
        match value {
            Ok(value) => headers.push((header.clone(), value)),
            Err(reason) => section.fault(&key, reason),
        }
    }
    headers
}

fn rate_limit(section: Section<'_>) -> Option<RateLimit> {
    let interval = section.get("interval", duration).unwrap_or_default();
    let burst = section.get("burst", integer).unwrap_or_default();
    let limit = (!interval.is_zero()).then(|| {
        if burst < 1 {
            section.warn("burst", format!("{burst}: with an interval set, nothing is served at all"));
        }
        RateLimit { interval, burst: u32::try_from(burst.max(0)).unwrap_or(u32::MAX) }
    });
    section.finish();
    limit
}

fn users(root: &Section<'_>) -> BTreeMap<String, Secret> {
    let mut users = BTreeMap::new();
    for (user, node) in unique(root, "basic_auth_users") {
        let hash = text(node).and_then(|hash| super::users::check_hash(&hash).map(|()| Secret::new(hash)));
        match hash {
            Ok(hash) => drop(users.insert(user.clone(), hash)),
            Err(reason) => root.fault(&format!("basic_auth_users.{user}"), reason),
        }
    }
    users
}

/// The entries of a mapping with keys of the user's own; each key once.
fn unique<'r>(section: &Section<'r>, key: &'static str) -> &'r [(String, Node)] {
    let entries = section.map(key);
    for (n, (name, _)) in entries.iter().enumerate() {
        if entries[..n].iter().any(|(earlier, _)| earlier == name) {
            section.fault(&format!("{key}.{name}"), "expected once, but the key is given again");
        }
    }
    entries
}

/// The files that a setting refers to.
pub(super) fn files(tls: &TlsSettings) -> impl Iterator<Item = &Path> {
    let authority = tls.clients.authority.as_ref();
    [Some(&tls.certificate), Some(&tls.key), authority].into_iter().flatten().filter_map(|pem| match pem {
        Pem::File(path) => Some(path.as_path()),
        Pem::Inline(_) => None,
    })
}
