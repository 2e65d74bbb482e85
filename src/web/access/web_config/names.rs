//! Names of Go's TLS settings, and what of them this program's TLS has.

use rustls::SupportedCipherSuite;
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::ring::{cipher_suite, kx_group};

/// A name that Go knows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known<T> {
    /// We have it.
    Here(T),
    /// We do not: CBC and plain RSA suites, P-521.
    Elsewhere,
    /// It belongs to TLS 1.3, whose suites nobody can choose; all of them stay on.
    Always,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

/// Reads `TLS12`.
pub(super) fn version(name: &str) -> Result<Version, String> {
    match name {
        "TLS10" => Ok(Version::Tls10),
        "TLS11" => Ok(Version::Tls11),
        "TLS12" => Ok(Version::Tls12),
        "TLS13" => Ok(Version::Tls13),
        _ => Err(format!("unknown TLS version {name:?}; known: TLS12, TLS13")),
    }
}

/// Reads `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`: the names of Go's `tls.CipherSuites()`.
pub(super) fn cipher(name: &str) -> Result<Known<SupportedCipherSuite>, String> {
    use cipher_suite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    };
    Ok(match name {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" => Known::Here(TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" => Known::Here(TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" => Known::Here(TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" => Known::Here(TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" => {
            Known::Here(TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256)
        }
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" => {
            Known::Here(TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256)
        }
        "TLS_AES_128_GCM_SHA256" | "TLS_AES_256_GCM_SHA384" | "TLS_CHACHA20_POLY1305_SHA256" => Known::Always,
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"
        | "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"
        | "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"
        | "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA" => Known::Elsewhere,
        _ => return Err(format!("unknown cipher {name:?}")),
    })
}

/// Reads `CurveP256`.
pub(super) fn curve(name: &str) -> Result<Known<&'static dyn SupportedKxGroup>, String> {
    match name {
        "X25519" => Ok(Known::Here(kx_group::X25519)),
        "CurveP256" => Ok(Known::Here(kx_group::SECP256R1)),
        "CurveP384" => Ok(Known::Here(kx_group::SECP384R1)),
        "CurveP521" => Ok(Known::Elsewhere),
        _ => Err(format!("unknown curve {name:?}; known: X25519, CurveP256, CurveP384")),
    }
}
