//! Carries webhooks to whoever listens: over the network, or straight into a router of this process.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use tower::ServiceExt;

/// What a webhook is about; the last part of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookKind {
    /// Health of all numbers.
    Heartbeat,
    /// Callbacks about calls.
    Calls,
    /// Reports of messages.
    Sms,
    /// Calls of the flow, and agent events.
    Passthru,
}

/// One webhook, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    pub(super) kind: WebhookKind,
    pub(super) method: Method,
    pub(super) url: String,
    /// None for a `GET`.
    pub(super) content_type: Option<String>,
    pub(super) body: Bytes,
}

/// A way to the receiver of webhooks; cheap to clone.
#[derive(Clone, Debug)]
pub struct Postman(Route);

#[derive(Clone, Debug)]
enum Route {
    Network(reqwest::Client),
    InProcess(Router),
}

impl Postman {
    /// Over the network, plain HTTP only.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn network() -> Result<Self, reqwest::Error> {
        // Fails only where a provider is installed already, which is as good.
        rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
        // A simulator meets no certificate that it could check.
        let tls = rustls::ClientConfig::builder()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .tls_backend_preconfigured(tls)
            .build()?;
        Ok(Self(Route::Network(client)))
    }

    /// Into a router of this process; scheme and host of the base URL do not matter then.
    pub fn in_process(router: Router) -> Self {
        Self(Route::InProcess(router))
    }

    /// Sends a parcel. None if there was no answer within `timeout`.
    pub(super) async fn send(&self, parcel: &Parcel, timeout: Duration) -> Option<StatusCode> {
        let mut request = Request::builder().method(&parcel.method).uri(&parcel.url);
        if let Some(kind) = &parcel.content_type {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let request = request.body(parcel.body.clone()).ok()?;
        let exchange = async {
            match &self.0 {
                Route::Network(client) => {
                    let request = reqwest::Request::try_from(request).ok()?;
                    Some(client.execute(request).await.ok()?.status())
                }
                Route::InProcess(router) => {
                    let length = request.body().len();
                    let mut request = request.map(Body::from);
                    // As a client over the network would send it.
                    request.headers_mut().insert(header::CONTENT_LENGTH, length.into());
                    match router.clone().oneshot(request).await {
                        Ok(response) => Some(response.status()),
                        Err(never) => match never {},
                    }
                }
            }
        };
        tokio::time::timeout(timeout, exchange).await.ok().flatten()
    }
}

impl WebhookKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Heartbeat, Self::Calls, Self::Sms, Self::Passthru];

    /// The last part of its path.
    pub fn word(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::Calls => "calls",
            Self::Sms => "sms",
            Self::Passthru => "passthru",
        }
    }

    /// Whether Exotel is content with an answer.
    pub(super) fn accepts(self, status: StatusCode) -> bool {
        match self {
            Self::Heartbeat => status == StatusCode::OK,
            Self::Calls | Self::Sms => status.is_success() || status.is_redirection(),
            Self::Passthru => matches!(status, StatusCode::OK | StatusCode::FOUND),
        }
    }
}
