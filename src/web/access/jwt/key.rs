//! The key that tokens are checked with. It alone decides the algorithm; a token's word for it counts
//! only in that it must be the same.

use std::io::Cursor;

use jsonwebtoken::{Algorithm, DecodingKey};
use x509_parser::oid_registry::OID_EC_P256;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::{PublicKey, RSAPublicKey};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::config::ApiKey;

/// A key that no token can be checked with: what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(&'static str);

/// The algorithm of a key, and the key as it is checked with.
pub(super) fn read(key: &ApiKey) -> Result<(Algorithm, DecodingKey), KeyError> {
    match key {
        ApiKey::Shared(secret) => {
            Ok((Algorithm::HS256, DecodingKey::from_secret(secret.expose().as_bytes())))
        }
        ApiKey::Public(pem) => public(pem),
    }
}

fn public(pem: &str) -> Result<(Algorithm, DecodingKey), KeyError> {
    const EXPECTED: KeyError =
        KeyError("expected a public key in PEM form: RSA of 2048 to 8192 bits, or EC on P-256");
    let (pem, _) = Pem::read(Cursor::new(pem)).map_err(|_| EXPECTED)?;
    if pem.label == "RSA PUBLIC KEY" {
        return rsa(&pem.contents).ok_or(EXPECTED);
    }
    let (_, info) = SubjectPublicKeyInfo::from_der(&pem.contents).map_err(|_| EXPECTED)?;
    let bits = &info.subject_public_key.data;
    let key = match info.parsed() {
        Ok(PublicKey::RSA(_)) => rsa(bits),
        Ok(PublicKey::EC(_)) => {
            let curve = info.algorithm.parameters.as_ref().and_then(|named| named.as_oid().ok());
            let usable = curve == Some(OID_EC_P256) && bits.len() == 65 && bits[0] == 4;
            usable.then(|| (Algorithm::ES256, DecodingKey::from_ec_der(bits)))
        }
        _ => None,
    };
    key.ok_or(EXPECTED)
}

fn rsa(der: &[u8]) -> Option<(Algorithm, DecodingKey)> {
    let (_, key) = RSAPublicKey::from_der(der).ok()?;
    let usable = (2048..=8192).contains(&key.key_size());
    usable.then(|| (Algorithm::RS256, DecodingKey::from_rsa_der(der)))
}
