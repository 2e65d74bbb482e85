//! The seam under the client: a request goes out, an answer comes back.
//!
//! Over the network, or straight into a router of this process (the simulator under a fast clock). Either
//! way the whole exchange has a deadline and the body a bound, no redirect is followed, and an error
//! never repeats the address or a header of the request.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use tower::ServiceExt;

use super::{Error, ErrorKind};

/// Bounds of one exchange, and how to reach the network.
#[derive(Clone, Debug)]
pub struct TransportOptions {
    /// Time to connect; default 10 seconds.
    pub connect_timeout: Duration,
    /// Time for the whole exchange, body included; default 30 seconds.
    pub timeout: Duration,
    /// Largest body taken; default 8 MiB. A full page has about 75 KB.
    pub max_body: usize,
    /// Proxy for HTTPS, a URL; default none. Plain HTTP never goes through a proxy: it would read the credentials.
    pub https_proxy: Option<String>,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            max_body: 8 * 1024 * 1024,
            https_proxy: None,
        }
    }
}

/// Carries requests to Exotel. Cheap to clone; one for all accounts.
#[derive(Clone, Debug)]
pub struct Transport(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: TransportOptions,
    route: Route,
}

#[derive(Debug)]
enum Route {
    /// Clients are made when first needed: reading the system's certificates takes time and memory, and
    /// whoever speaks plain HTTP with a simulator needs none.
    Network {
        http: OnceLock<reqwest::Client>,
        https: OnceLock<reqwest::Client>,
    },
    InProcess(axum::Router),
}

impl Transport {
    /// Over the network.
    pub fn network(options: TransportOptions) -> Self {
        Self(Arc::new(Inner {
            options,
            route: Route::Network { http: OnceLock::new(), https: OnceLock::new() },
        }))
    }

    /// Into a router of this process; host and scheme of a request do not matter.
    pub fn in_process(router: axum::Router, options: TransportOptions) -> Self {
        Self(Arc::new(Inner { options, route: Route::InProcess(router) }))
    }

    /// Sends one request and reads the answer to its end. Any status is an answer.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`], [`ErrorKind::Connect`] (no connection, or cut), [`ErrorKind::Tls`], and
    /// [`ErrorKind::Decode`] for a body above the bound.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        let exchange = async {
            match &self.0.route {
                Route::Network { http, https } => {
                    let client = if request.uri().scheme_str() == Some("http") {
                        self.client(http, Security::Plain)?
                    } else {
                        self.client(https, Security::Tls)?
                    };
                    over_network(client, request, self.0.options.max_body).await
                }
                Route::InProcess(router) => {
                    in_process(router.clone(), request, self.0.options.max_body).await
                }
            }
        };
        match tokio::time::timeout(self.0.options.timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(fault(
                ErrorKind::Timeout,
                format!("no complete answer within {} s", self.0.options.timeout.as_secs_f32()),
            )),
        }
    }

    /// The client for one kind of connection, made once; one that cannot be made is tried again.
    fn client<'a>(
        &self,
        cell: &'a OnceLock<reqwest::Client>,
        security: Security,
    ) -> Result<&'a reqwest::Client, Error> {
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let client = build(&self.0.options, security)?;
        Ok(cell.get_or_init(|| client))
    }
}

#[derive(Clone, Copy, Debug)]
enum Security {
    Plain,
    Tls,
}

fn build(options: &TransportOptions, security: Security) -> Result<reqwest::Client, Error> {
    // Fails only where a provider is installed already, which is as good.
    rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("exotel-exporter/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .connect_timeout(options.connect_timeout)
        .timeout(options.timeout);
    match security {
        Security::Plain => {
            let no_roots = rustls::ClientConfig::builder()
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            builder = builder.tls_backend_preconfigured(no_roots);
        }
        Security::Tls => {
            builder = builder.https_only(true);
            if let Some(proxy) = &options.https_proxy {
                let proxy = reqwest::Proxy::https(proxy).map_err(|_| {
                    fault(ErrorKind::Connect, "the address of the HTTPS proxy cannot be read".into())
                })?;
                builder = builder.proxy(proxy);
            }
        }
    }
    builder.build().map_err(|e| {
        fault(ErrorKind::Tls, format!("TLS cannot be set up (are CA certificates installed?): {}", chain(&e)))
    })
}

async fn over_network(
    client: &reqwest::Client,
    request: Request<Bytes>,
    max_body: usize,
) -> Result<Response<Bytes>, Error> {
    let request = reqwest::Request::try_from(request).map_err(of_reqwest)?;
    let mut answer = client.execute(request).await.map_err(of_reqwest)?;
    let status = answer.status();
    if answer.content_length().is_some_and(|n| n > max_body as u64) {
        return Err(too_large(status, max_body));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(of_reqwest)? {
        if body.len() + chunk.len() > max_body {
            return Err(too_large(status, max_body));
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(body.freeze());
    *response.status_mut() = status;
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

async fn in_process(
    router: axum::Router,
    request: Request<Bytes>,
    max_body: usize,
) -> Result<Response<Bytes>, Error> {
    let answer = match router.oneshot(request.map(Body::from)).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    let (parts, mut stream) = answer.into_parts();
    let mut body = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut stream).poll_frame(cx)).await {
        let frame = frame.map_err(|_| fault(ErrorKind::Connect, "the connection was cut".into()))?;
        let Ok(chunk) = frame.into_data() else { continue };
        if body.len() + chunk.len() > max_body {
            return Err(too_large(parts.status, max_body));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response::from_parts(parts, body.freeze()))
}

fn too_large(status: StatusCode, max_body: usize) -> Error {
    Error {
        kind: ErrorKind::Decode,
        status: Some(status.as_u16()),
        message: format!("the body is larger than {max_body} bytes"),
    }
}

fn fault(kind: ErrorKind, message: String) -> Error {
    Error { kind, status: None, message }
}

/// What went wrong below HTTP, without the address.
fn of_reqwest(error: reqwest::Error) -> Error {
    let error = error.without_url();
    let kind = if error.is_timeout() {
        ErrorKind::Timeout
    } else if is_tls(&error) {
        ErrorKind::Tls
    } else {
        ErrorKind::Connect
    };
    fault(kind, chain(&error))
}

fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    let mut at = Some(error);
    while let Some(error) = at {
        if error.is::<rustls::Error>() {
            return true;
        }
        // What an I/O error wraps is not its source, but the source's beginning.
        at = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

/// An error and its causes on one line, each said once.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(error) = at {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        at = error.source();
    }
    text
}
