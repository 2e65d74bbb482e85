//! A real Alertmanager with our configuration, and receivers on loopback that keep what they get.

use std::io::{BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::Value;
use tempfile::TempDir;

use super::process::Process;
use super::tools::Version;
use super::{ensure, eventually, free_port, http, secs};

/// What one receiver got.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// `slack`, `pagerduty`, `dead-man` or `mail`.
    pub(crate) to: String,
    /// Authorization header.
    pub(crate) authorization: String,
    /// Body; a mail with its headers and without its line breaks of the transport.
    pub(crate) body: String,
    /// When it came.
    pub(crate) at: Instant,
}

impl Message {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|fault| panic!("{fault}: {}", self.body))
    }
}

type Kept = Arc<Mutex<Vec<Message>>>;

/// Receivers for chat, pager, dead-man service and mail.
#[derive(Clone, Debug)]
pub(crate) struct Receivers {
    kept: Kept,
    base: String,
    mail: u16,
}

impl Receivers {
    /// Starts them.
    pub(crate) fn start() -> Self {
        let kept = Kept::default();
        let router = Router::new().fallback(keep).with_state(Arc::clone(&kept));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port for mail");
        let mail = listener.local_addr().expect("an address").port();
        let mails = Arc::clone(&kept);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mails = Arc::clone(&mails);
                // A connection that breaks off has brought no mail.
                std::thread::spawn(move || take_mail(stream, &mails).ok());
            }
        });
        Self { kept, base: http::serve(router), mail }
    }

    /// What came for this receiver and holds this text.
    pub(crate) fn got(&self, to: &str, text: &str) -> Vec<Message> {
        let kept = self.kept.lock().expect("unbroken receivers");
        kept.iter().filter(|message| message.to == to && message.body.contains(text)).cloned().collect()
    }

    /// Waits for a message.
    #[track_caller]
    pub(crate) fn wait(&self, to: &str, text: &str) -> Message {
        eventually(secs(60), &format!("{to} hears of {text}"), || {
            self.got(to, text).into_iter().next().ok_or_else(|| {
                let kept = self.kept.lock().expect("unbroken receivers");
                format!("{} other messages", kept.len())
            })
        })
    }

    /// The shipped configuration, made to reach these receivers and to hurry; secrets go into files of `folder`.
    fn configuration(&self, shipped: &str, folder: &Path) -> String {
        for (file, secret) in [
            ("slack-url", format!("{}/slack", self.base)),
            ("pagerduty-key", "routing-key".to_owned()),
            ("smtp-password", "mail-password".to_owned()),
            ("dead-man-token", "dead-man-token".to_owned()),
        ] {
            std::fs::write(folder.join(file), secret).expect("a file with a secret");
        }
        let mut text = shipped.to_owned();
        for (shipped, ours) in [
            ("/etc/alertmanager/secrets", folder.display().to_string()),
            ("smtp.example:587", format!("127.0.0.1:{}", self.mail)),
            ("https://dead-man.example/exotel", format!("{}/dead-man", self.base)),
            (
                "global:\n",
                format!("global:\n  smtp_require_tls: false\n  pagerduty_url: {}/pagerduty\n", self.base),
            ),
            ("group_wait: 10s", "group_wait: 1s".to_owned()),
            ("group_wait: 30s", "group_wait: 1s".to_owned()),
            ("group_interval: 5m", "group_interval: 1s".to_owned()),
            ("group_interval: 1m", "group_interval: 1s".to_owned()),
            ("repeat_interval: 1m", "repeat_interval: 1s".to_owned()),
        ] {
            assert!(text.contains(shipped), "alertmanager.yml has no {shipped}");
            text = text.replace(shipped, &ours);
        }
        text
    }
}

async fn keep(
    State(kept): State<Kept>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let header = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("");
    kept.lock().expect("unbroken receivers").push(Message {
        to: uri.path().trim_matches('/').to_owned(),
        authorization: header.to_owned(),
        body: String::from_utf8_lossy(&body).into_owned(),
        at: Instant::now(),
    });
    // As the real ones answer.
    match uri.path() {
        "/pagerduty" => {
            (StatusCode::ACCEPTED, r#"{"status":"success","message":"Event processed","dedup_key":"1"}"#)
        }
        _ => (StatusCode::OK, "ok"),
    }
}

/// As much of a mail server as Alertmanager asks for.
fn take_mail(mut stream: TcpStream, kept: &Kept) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    stream.write_all(b"220 loopback\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        let answer: &[u8] = match line.get(..4).unwrap_or("") {
            "DATA" => {
                stream.write_all(b"354 go on\r\n")?;
                let mut body = String::new();
                while let Some(line) = lines.next().transpose()?.filter(|line| line != ".") {
                    // Quoted-printable breaks long lines with an equals sign.
                    match line.strip_suffix('=') {
                        Some(part) => body.push_str(part),
                        None => {
                            body.push_str(&line);
                            body.push('\n');
                        }
                    }
                }
                kept.lock().expect("unbroken receivers").push(Message {
                    to: "mail".to_owned(),
                    authorization: String::new(),
                    body,
                    at: Instant::now(),
                });
                b"250 taken\r\n"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n")?;
                return Ok(());
            }
            _ => b"250 fine\r\n",
        };
        stream.write_all(answer)?;
    }
    Ok(())
}

/// A running Alertmanager.
#[derive(Debug)]
pub(crate) struct Alertmanager {
    /// The process.
    pub(crate) process: Process,
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
    _folder: TempDir,
}

impl Alertmanager {
    /// Starts one with the configuration and templates of `alerts`.
    #[track_caller]
    pub(crate) fn start(version: Version, alerts: &Path, receivers: &Receivers) -> Self {
        let folder = TempDir::new().expect("a folder");
        let shipped = std::fs::read_to_string(alerts.join("alertmanager.yml")).expect("the configuration");
        let text = receivers
            .configuration(&shipped, folder.path())
            .replace("templates/*.tmpl", &alerts.join("templates/*.tmpl").display().to_string());
        let config = folder.path().join("alertmanager.yml");
        std::fs::write(&config, text).expect("a configuration file");
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(version.bin("prometheus-alertmanager").expect("Alertmanager"));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .current_dir(folder.path());
        let mut process = Process::start(&format!("Alertmanager {version:?}"), command);
        eventually(secs(30), "Alertmanager is ready", || {
            process.must_run();
            let status = http::get(&format!("http://{address}/-/ready"))?.status;
            ensure(status == 200, || format!("status {status}"))
        });
        Self { process, address, _folder: folder }
    }

    /// Its alerts of this name, as it shows them.
    pub(crate) fn alerts(&self, name: &str, account: &str) -> Result<Vec<Value>, String> {
        let answer = http::get(&format!("http://{}/api/v2/alerts", self.address))?.json()?;
        let alerts = answer.as_array().cloned().unwrap_or_default();
        let wanted =
            |alert: &Value| alert["labels"]["alertname"] == name && alert["labels"]["account"] == account;
        Ok(alerts.into_iter().filter(wanted).collect())
    }
}
