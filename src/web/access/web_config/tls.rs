//! From the settings and the files they name to what rustls serves with.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{SupportedProtocolVersion, version};

use x509_parser::prelude::{FromDer, X509Certificate};

use super::clients::ClientCertificates;
use super::names::Version;
use super::settings::{Http2, Pem, Policy, TlsSettings};
use crate::config::Findings;

/// TLS of the listeners.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    /// As the file says.
    pub(super) pages: Arc<ServerConfig>,
    /// The same without asking for a client's certificate: Exotel's webhooks have none to show.
    pub(super) webhooks: Arc<ServerConfig>,
}

/// Larger than any chain or bundle of authorities; keeps a wrong path out of memory.
const MAX_FILE: u64 = 4 << 20;

/// Loads certificate, key and authorities.
///
/// # Errors
/// The key of the setting and the reason.
pub(super) fn build(
    settings: &TlsSettings,
    http2: Http2,
    findings: &Findings,
    source: &str,
) -> Result<Tls, (&'static str, String)> {
    let mut provider = rustls::crypto::ring::default_provider();
    let versions = versions(settings, &mut provider)?;
    if let Some(curves) = &settings.curves {
        provider.kx_groups.clone_from(curves);
    }
    let certified = Arc::new(certified_key(settings, &provider)?);
    let clients = clients(settings, &provider, findings, source)?;
    let provider = Arc::new(provider);
    let config = |clients: Option<Arc<dyn ClientCertVerifier>>| {
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions)
            .map_err(|error| ("cipher_suites", error.to_string()))?;
        let builder = match clients {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified.clone())));
        config.ignore_client_order = settings.prefer_server_order;
        config.alpn_protocols = match http2 {
            Http2::Offered => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Http2::Off => vec![b"http/1.1".to_vec()],
        };
        Ok(Arc::new(config))
    };
    let webhooks = config(None)?;
    let pages = if clients.is_some() { config(clients)? } else { webhooks.clone() };
    Ok(Tls { pages, webhooks })
}

/// The versions to speak. The list of suites concerns TLS 1.2 alone, as in Go.
fn versions(
    settings: &TlsSettings,
    provider: &mut CryptoProvider,
) -> Result<Vec<&'static SupportedProtocolVersion>, (&'static str, String)> {
    if let Some(chosen) = &settings.suites {
        provider.cipher_suites.retain(|suite| suite.tls13().is_some());
        provider.cipher_suites.extend(chosen);
    }
    let speaks = |version| settings.oldest <= version && version <= settings.newest;
    let mut versions = Vec::new();
    if speaks(Version::Tls13) {
        versions.push(&version::TLS13);
    }
    if speaks(Version::Tls12) && provider.cipher_suites.iter().any(|suite| suite.tls13().is_none()) {
        versions.push(&version::TLS12);
    }
    if versions.is_empty() {
        let reason = "expected a TLS 1.2 suite that is spoken here, such as \
                      TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
        return Err(("cipher_suites", reason.to_owned()));
    }
    Ok(versions)
}

fn certified_key(
    settings: &TlsSettings,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, (&'static str, String)> {
    let pem = bytes(&settings.certificate).map_err(|reason| ("cert_file", reason))?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| ("cert_file", format!("not readable as PEM: {error}")))?;
    if chain.is_empty() {
        return Err(("cert_file", "expected a certificate in PEM form, found none".to_owned()));
    }
    let pem = bytes(&settings.key).map_err(|reason| ("key_file", reason))?;
    // The error names no part of the key.
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        ("key_file", "expected an unencrypted private key in PEM form, found none".to_owned())
    })?;
    let key = provider.key_provider.load_private_key(key).map_err(|_| {
        ("key_file", "expected an RSA key of 2048 to 8192 bits, or one on P-256, P-384 or Ed25519".to_owned())
    })?;
    // Read here and not by rustls, which takes no certificate of version 1; Go does, and openssl makes them.
    let (_, leaf) = X509Certificate::from_der(&chain[0])
        .map_err(|_| ("cert_file", "expected an X.509 certificate, but it cannot be read".to_owned()))?;
    if key.public_key().is_some_and(|public| public.as_ref() != leaf.public_key().raw) {
        return Err(("key_file", "expected the key of the certificate, got another".to_owned()));
    }
    Ok(CertifiedKey::new(chain, key))
}

fn clients(
    settings: &TlsSettings,
    provider: &CryptoProvider,
    findings: &Findings,
    source: &str,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, (&'static str, String)> {
    let clients = &settings.clients;
    if clients.policy == Policy::None {
        return Ok(None);
    }
    let mut authorities = Vec::new();
    if let Some(authority) = &clients.authority {
        let pem = bytes(authority).map_err(|reason| ("client_ca_file", reason))?;
        // What is no certificate is passed over, as in Go.
        authorities.extend(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
        if authorities.is_empty() {
            let text = "no certificate in it: every client certificate is refused";
            findings.warn(source, "tls_server_config.client_ca_file", text);
        }
    }
    let algorithms = provider.signature_verification_algorithms;
    let verifier =
        ClientCertificates::new(clients.policy, authorities, clients.allowed_names.clone(), algorithms);
    Ok(Some(Arc::new(verifier)))
}

fn bytes(pem: &Pem) -> Result<Vec<u8>, String> {
    match pem {
        Pem::File(path) => read(path, MAX_FILE),
        Pem::Inline(text) => Ok(text.expose().as_bytes().to_vec()),
    }
}

/// Reads a file of at most `most` bytes.
pub(super) fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let shown = path.display();
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(most + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("expected a readable file, but {shown}: {error}"))?;
    if bytes.len() as u64 > most {
        return Err(format!("expected a file of at most {} MiB, but {shown} is larger", most >> 20));
    }
    Ok(bytes)
}
