//! A small blocking HTTP client, and a runtime for servers that live inside a test.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use http::HeaderMap;
use tokio::runtime::Runtime;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// Headers.
    pub(crate) headers: HeaderMap,
    /// Body as it came, not decompressed.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a body in UTF-8")
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<serde_json::Value, String> {
        serde_json::from_slice(&self.body).map_err(|fault| {
            format!("status {}, no JSON: {fault}: {}", self.status, String::from_utf8_lossy(&self.body))
        })
    }

    /// One header, or an empty text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header in ASCII"))
    }
}

/// `GET` with these headers.
pub(crate) fn get_with(url: &str, headers: &[(&str, &str)]) -> Result<Answer, String> {
    send(headers.iter().fold(client().get(url), |request, (name, value)| request.header(*name, *value)))
}

/// Any method, with these headers and no body.
pub(crate) fn ask(method: &str, url: &str, headers: &[(&str, &str)]) -> Result<Answer, String> {
    let method = method.parse().map_err(|fault| format!("{fault:?}"))?;
    let request = client().request(method, url);
    send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)))
}

/// `GET`.
pub(crate) fn get(url: &str) -> Result<Answer, String> {
    get_with(url, &[])
}

/// `POST` of a JSON body.
pub(crate) fn post(url: &str, body: &serde_json::Value) -> Result<Answer, String> {
    send(client().post(url).header("Content-Type", "application/json").body(body.to_string()))
}

fn send(request: reqwest::RequestBuilder) -> Result<Answer, String> {
    runtime().block_on(async {
        let answer = request.send().await.map_err(|fault| format!("{fault:?}"))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.map_err(|fault| format!("{fault:?}"))?;
        Ok(Answer { status, headers, body: body.into() })
    })
}

fn client() -> &'static reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        // reqwest wants a TLS provider even for plain HTTP. Another test may have installed it already.
        rustls::crypto::ring::default_provider().install_default().ok();
        reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(20))
            // A server that is killed and started again on its port must not be met with an old connection.
            .pool_max_idle_per_host(0)
            .build()
            .expect("a client")
    })
}

/// The runtime on which in-test servers and the client run; it lives as long as the test binary.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
    })
}

/// Serves a router on a free loopback port until the test binary ends, and gives its base address.
pub(crate) fn serve(router: axum::Router) -> String {
    let listener = runtime().block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let address = listener.local_addr().expect("an address");
    spawn(async move { axum::serve(listener, router).await.expect("the in-test server") });
    format!("http://{address}")
}

/// Runs something beside the test.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    // The task belongs to the runtime, which ends with the test binary.
    drop(runtime().spawn(task));
}
