//! Certificates of clients: who must show one, whose is good.
//!
//! As Go's `crypto/tls` and the toolkit do it: an authority vouches for those it signed, a certificate
//! that is itself among the authorities vouches for itself, and with a list of names one must match.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, X509Certificate};

use super::settings::Policy;

/// Decides about the certificate that a client shows.
#[derive(Debug)]
pub(super) struct ClientCertificates {
    policy: Policy,
    /// None where no authority is usable.
    chains: Option<Arc<dyn ClientCertVerifier>>,
    /// The authorities as they are, for those that vouch for themselves.
    authorities: Vec<CertificateDer<'static>>,
    allowed_names: Option<Vec<String>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertificates {
    pub(super) fn new(
        policy: Policy,
        authorities: Vec<CertificateDer<'static>>,
        allowed_names: Option<Vec<String>>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(authorities.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // Fails only where the store is empty.
        let chains = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().ok();
        Self { policy, chains, authorities, allowed_names, algorithms }
    }

    fn verify_chain(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self.authorities.iter().any(|authority| authority == certificate) {
            return vouches_for_itself(certificate, now);
        }
        let Some(chains) = &self.chains else { return Err(CertificateError::UnknownIssuer.into()) };
        chains.verify_client_cert(certificate, intermediates, now).map(drop)
    }
}

fn parse<'c>(certificate: &'c CertificateDer<'_>) -> Result<X509Certificate<'c>, Error> {
    match X509Certificate::from_der(certificate) {
        Ok((_, parsed)) => Ok(parsed),
        Err(_) => Err(CertificateError::BadEncoding.into()),
    }
}

/// In time, and meant for clients if it says what it is meant for.
fn vouches_for_itself(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let parsed = parse(certificate)?;
    let now = i64::try_from(now.as_secs()).ok().and_then(|secs| ASN1Time::from_timestamp(secs).ok());
    if !now.is_some_and(|now| parsed.validity().is_valid_at(now)) {
        return Err(CertificateError::Expired.into());
    }
    let usage = parsed.extended_key_usage().map_err(|_| Error::from(CertificateError::BadEncoding))?;
    match usage {
        Some(usage) if !usage.value.client_auth && !usage.value.any => {
            Err(CertificateError::InvalidPurpose.into())
        }
        _ => Ok(()),
    }
}

/// Whether one of the certificate's names (DNS, e-mail, IP address, URI) is exactly one of these.
fn carries_one_of(certificate: &CertificateDer<'_>, allowed: &[String]) -> Result<(), Error> {
    let parsed = parse(certificate)?;
    let names = parsed.subject_alternative_name().map_err(|_| Error::from(CertificateError::BadEncoding))?;
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let is_allowed = |name: &str| allowed.iter().any(|one| one == name);
    let found = names.iter().any(|name| match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
            is_allowed(name)
        }
        GeneralName::IPAddress(bytes) => address(bytes).is_some_and(|ip| is_allowed(&ip.to_string())),
        _ => false,
    });
    if found { Ok(()) } else { Err(CertificateError::ApplicationVerificationFailure.into()) }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from).ok();
    v4.or_else(|| <[u8; 16]>::try_from(bytes).map(IpAddr::from).ok())
}

impl ClientCertVerifier for ClientCertificates {
    fn client_auth_mandatory(&self) -> bool {
        match self.policy {
            Policy::RequireAny | Policy::RequireAndVerify => true,
            // Who names names wants to see one.
            Policy::None | Policy::Request | Policy::VerifyIfGiven => self.allowed_names.is_some(),
        }
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        match &self.chains {
            Some(chains) if self.policy >= Policy::VerifyIfGiven => chains.root_hint_subjects(),
            _ => &[],
        }
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.policy >= Policy::VerifyIfGiven {
            self.verify_chain(certificate, intermediates, now)?;
        } else {
            // Its key is used next, so it must be one.
            ParsedCertificate::try_from(certificate)?;
        }
        if let Some(allowed) = &self.allowed_names {
            carries_one_of(certificate, allowed)?;
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
