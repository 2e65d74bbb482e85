//! Beside Debian's node exporter, with the same web configuration and certificates: what a client sees of
//! the doors is the same.

use std::process::Command;

use tempfile::TempDir;

use super::certificates::Certificates;
use super::curl::{Seen, curl};
use super::{PASSWORD, guarded, start, tls, users, write};
use crate::support::process::Process;
use crate::support::tools::node_exporter;
use crate::support::{ensure, eventually, free_port, secs};

/// A node exporter that collects next to nothing.
struct Node {
    process: Process,
    address: String,
}

impl Node {
    fn start(folder: &std::path::Path) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(node_exporter());
        command
            .current_dir(folder)
            .args(["--collector.disable-defaults", "--collector.time"])
            .args(["--web.config.file=web.yml".to_owned(), format!("--web.listen-address={address}")]);
        let mut process = Process::start("node exporter", command);
        eventually(secs(20), "the node exporter listens", || {
            process.must_run();
            std::net::TcpStream::connect(&address).map(drop).map_err(|fault| fault.to_string())
        });
        Self { process, address }
    }
}

/// What must be equal. A refused handshake is told in different words by different libraries, so any is
/// the same as any other.
#[derive(Debug, PartialEq, Eq)]
struct Same {
    status: u16,
    version: String,
    demands: String,
    body_of_refusal: String,
    headers: Vec<String>,
}

/// The headers that a web configuration may set.
const CONFIGURED: [&str; 2] = ["strict-transport-security", "x-xss-protection"];

impl Same {
    fn of(seen: &Seen) -> Self {
        let refused = seen.status >= 400;
        Self {
            status: seen.status,
            version: seen.version.clone(),
            demands: seen.header("www-authenticate").to_owned(),
            body_of_refusal: if refused { seen.body.clone() } else { String::new() },
            headers: CONFIGURED.map(|name| seen.header(name).to_owned()).into(),
        }
    }
}

/// One web configuration and the ways in which its door is tried: scheme, curl's arguments, and the status
/// that both must give.
struct Case {
    web_config: String,
    tries: Vec<(&'static str, Vec<String>, u16)>,
}

fn tried(scheme: &'static str, arguments: &[&str], status: u16) -> (&'static str, Vec<String>, u16) {
    (scheme, arguments.iter().map(|argument| (*argument).to_owned()).collect(), status)
}

fn cases(made: &Certificates) -> Vec<Case> {
    let right = format!("prometheus:{PASSWORD}");
    let with = |name: &str, status| ("https", made.shown(name).to_vec(), status);
    let by_authority = ["client_ca_file: ca.crt", "client_auth_type: RequireAndVerifyClientCert"];
    vec![
        Case {
            web_config: users(),
            tries: vec![
                tried("http", &[], 401),
                tried("http", &["--user", "prometheus:wrong"], 401),
                tried("http", &["--user", "nobody:sesame"], 401),
                tried("http", &["--user", "prometheus:"], 401),
                tried("http", &["--header", "Authorization: Bearer x"], 401),
                tried("http", &["--header", "Authorization: Basic ???"], 401),
                tried("http", &["--user", &right], 200),
                tried("http", &["--head", "--user", &right], 200),
            ],
        },
        Case {
            web_config: tls(&[])
                + &users()
                + "http_server_config:\n  headers: {Strict-Transport-Security: max-age=60, X-XSS-Protection: 0}\n",
            tries: vec![
                tried("https", &[], 401),
                tried("https", &["--user", &right], 200),
                tried("https", &["--http1.1", "--user", &right], 200),
                tried("https", &["--tlsv1.2", "--tls-max", "1.2", "--user", &right], 200),
                tried("https", &["--tlsv1.3", "--user", &right], 200),
                tried("https", &["--tlsv1.0", "--tls-max", "1.1"], 0),
                tried("http", &[], 400),
            ],
        },
        Case {
            web_config: tls(&["min_version: TLS13"]),
            tries: vec![tried("https", &[], 200), tried("https", &["--tls-max", "1.2"], 0)],
        },
        Case {
            web_config: tls(&[
                "max_version: TLS12",
                "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]",
            ]),
            tries: vec![
                tried("https", &[], 200),
                tried("https", &["--tlsv1.3"], 0),
                tried("https", &["--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"], 0),
                tried("https", &["--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"], 200),
            ],
        },
        Case {
            web_config: tls(&["curve_preferences: [CurveP384]"]),
            tries: vec![
                tried("https", &["--curves", "P-384"], 200),
                tried("https", &["--curves", "X25519:P-256"], 0),
            ],
        },
        Case {
            web_config: tls(&[]) + "http_server_config: {http2: false}\n",
            tries: vec![tried("https", &["--http2"], 200)],
        },
        Case {
            web_config: tls(&by_authority),
            tries: vec![
                tried("https", &[], 0),
                tried("https", &["--tls-max", "1.2"], 0),
                with("client", 200),
                with("stranger", 0),
                with("for-servers", 0),
            ],
        },
        Case {
            web_config: tls(&["client_ca_file: self.crt", "client_auth_type: RequireAndVerifyClientCert"]),
            tries: vec![with("self", 200), with("client", 0), tried("https", &[], 0)],
        },
        Case {
            web_config: tls(&["client_ca_file: ca.crt", "client_auth_type: VerifyClientCertIfGiven"]),
            tries: vec![tried("https", &[], 200), with("client", 200), with("stranger", 0)],
        },
        Case {
            web_config: tls(&["client_auth_type: RequireAnyClientCert"]),
            tries: vec![tried("https", &[], 0), with("stranger", 200), with("client", 200)],
        },
        Case {
            web_config: tls(&["client_auth_type: RequestClientCert"]),
            tries: vec![tried("https", &[], 200), with("stranger", 200)],
        },
    ]
}

#[test]
fn a_client_sees_the_same_at_both_doors() {
    let folder = TempDir::new().unwrap();
    let made = Certificates::make(folder.path());
    for case in cases(&made) {
        write(folder.path(), &case.web_config);
        let node = Node::start(folder.path());
        let (setup, _) = guarded(&case.web_config);
        // The very same files: both are shown the certificates of one authority.
        let flag = format!("--web.config.file={}", folder.path().join("web.yml").display());
        let ours = Process::start("exotel-exporter", setup.command(&["run", &flag]));
        let our_address = setup.base().replace("http://", "");
        eventually(secs(20), "ours listens", || ensure(ours.log().contains("msg=listening"), || ours.log()));
        for (scheme, arguments, status) in &case.tries {
            let ask = |address: &str| {
                let url = format!("{scheme}://{address}/metrics");
                let authority = made.path("ca.crt");
                let mut all = vec!["--cacert", &authority];
                all.extend(arguments.iter().map(String::as_str));
                all.push(&url);
                curl(&all)
            };
            let (theirs, own) = (ask(&node.address), ask(&our_address));
            let what = format!("{}{arguments:?}\ntheirs {theirs:?}\nours {own:?}", case.web_config);
            assert_eq!(Same::of(&theirs), Same::of(&own), "{what}");
            assert_eq!(own.status, *status, "{what}\n{}", ours.log());
        }
        drop(node.process);
    }
}

#[test]
fn a_file_that_becomes_faulty_is_answered_as_the_node_exporter_does() {
    let (setup, _) = guarded(&users());
    let node = Node::start(&setup.path());
    let agent = start(&setup);
    let right = format!("prometheus:{PASSWORD}");
    for (web_config, status) in
        [(users(), 200), ("basic_auth_users: [".to_owned(), 500), (String::new(), 200)]
    {
        write(&setup.path(), &web_config);
        let [theirs, own] = [format!("http://{}", node.address), agent.base.clone()]
            .map(|base| curl(&["--user", &right, &format!("{base}/metrics")]));
        assert_eq!((theirs.status, own.status), (status, status), "{web_config}\n{theirs:?}\n{own:?}");
    }
}
