//! Over real sockets.

use super::*;

/// Over real sockets: the request line arrives as it was written, and the answer is read to its end.
#[tokio::test]
async fn over_the_network_nothing_rewrites_the_path() {
    let server = Server::new(|n, _| if n == 0 { fixture!("bulk-calls-page.json") } else { EMPTY });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = server.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let account = Account { base_url: format!("http://{address}/"), ..account() };
    let bench = Bench::over(Transport::network(TransportOptions::default()), &account);
    let page = bench.calls().await.unwrap();
    assert_eq!(page.rows.len(), 2);
    bench.client.calls(&CallsQuery::Next(page.next.clone().unwrap()), Priority::Sync).await.unwrap();
    let odd = "/v1/Accounts/exampleacct1/Calls.json?a=b==&c:d=%3A+%20;,@!$()*~[]/?..&x=%zz";
    let odd = NextPage::parse(odd, "exampleacct1").unwrap();
    bench.client.calls(&CallsQuery::Next(odd.clone()), Priority::Sync).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].headers["authorization"], "Basic a2V5LTAxMjM6dG9rZW4tNDU2Nw==");
    assert_eq!(seen[0].headers.get("accept-encoding"), None);
    assert_eq!(seen[1].uri.to_string(), page.next.unwrap().as_str());
    assert_eq!(seen[2].uri.to_string(), odd.as_str());
}

/// Over real sockets: no listener, a connection that is cut, and TLS that is none.
#[tokio::test]
async fn faults_below_http_have_their_kinds() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cutting = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cut = cutting.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = cutting.accept().await.unwrap();
            let mut request = [0; 1024];
            tokio::io::AsyncReadExt::read(&mut stream, &mut request).await.unwrap();
            let part = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"Calls\": [";
            tokio::io::AsyncWriteExt::write_all(&mut stream, part).await.unwrap();
        }
    });
    let options = TransportOptions { timeout: Duration::from_secs(60), ..TransportOptions::default() };
    let transport = Transport::network(options);
    for (url, kind) in [
        (format!("http://{free}"), ErrorKind::Connect),
        (format!("http://{cut}"), ErrorKind::Connect),
        (format!("https://{cut}"), ErrorKind::Tls),
    ] {
        let request = http::Request::get(format!("{url}/v1/Accounts/a?token=secret"))
            .header("authorization", "Basic secret")
            .body(bytes::Bytes::new())
            .unwrap();
        let error = transport.send(request).await.unwrap_err();
        assert_eq!(error.kind, kind, "{url}: {error}");
        assert!(!error.message.contains("secret") && !error.message.contains("Accounts"), "{error}");
    }
}
