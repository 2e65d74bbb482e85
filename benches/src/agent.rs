//! The real binary beside a simulated Exotel that this process serves.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use exotel_exporter::model::Clock;
use exotel_exporter::simulator::{Options, Simulator};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::machine::{Usage, usage};

/// Longer than any start may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The secret of the account's webhooks; of no use to anybody.
const SECRET: &str = "a-secret-for-benchmarks";
/// The secret of the API's tokens; of no use to anybody either.
const TOKENS: &str = "a-secret-for-tokens-of-benchmarks";

/// A simulated Exotel on a free port.
pub struct Exotel {
    /// Where it answers.
    pub base: String,
    _runtime: Runtime,
}

impl Exotel {
    /// Starts it.
    pub fn start(options: Options) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let base = format!("http://{}", listener.local_addr()?);
        let simulator = Simulator::new(options, Clock::system());
        runtime.spawn(simulator.serve(listener, CancellationToken::new()));
        Ok(Self { base, _runtime: runtime })
    }
}

/// How the binary is started.
pub struct Setup {
    binary: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
}

/// The binary at work; killed when it is dropped.
pub struct Agent {
    child: Child,
    /// From just before it was started to the last byte of the first scrape.
    pub ready_after: Duration,
}

impl Setup {
    /// In a folder, with the store at `store`: the whole published limit for itself, all else by default.
    pub fn new(binary: &Path, folder: &Path, store: &Path, exotel: &Exotel) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = json!({
            "accounts": [{
                "sid": "exampleacct1",
                "api_key": "simkey",
                "api_token": "simtoken",
                "base_url": exotel.base,
                "rate_limits": {"voice": 200},
                "background_share": 1,
                "webhook_secrets": [SECRET],
            }],
            "store": {"path": store},
            "api": {"jwt_secret": TOKENS},
            "web": {"listen": [address.to_string()]},
            "log": {"level": "warn"},
        });
        // JSON is YAML.
        std::fs::write(folder.join("exotel-exporter.yml"), serde_json::to_vec_pretty(&config)?)?;
        Ok(Self { binary: binary.to_owned(), folder: folder.to_owned(), address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A token of the API for reading.
    pub fn token(&self) -> anyhow::Result<String> {
        let mut command = Command::new(&self.binary);
        let config = self.folder.join("exotel-exporter.yml");
        command.args(["token", "--role", "manager"]).arg(format!("--config.file={}", config.display()));
        let output = command.output().context("a token")?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Where the metrics are.
    pub fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }

    /// Where webhooks of a kind go.
    pub fn webhook(&self, kind: &str) -> String {
        format!("http://{}/webhooks/exampleacct1/{SECRET}/{kind}", self.address)
    }

    /// Starts the binary and asks for a scrape every millisecond until one comes.
    pub fn start(&self) -> anyhow::Result<Agent> {
        let log = File::options().create(true).append(true).open(self.folder.join("log"))?;
        let mut command = Command::new(&self.binary);
        command
            .arg(format!("--config.file={}", self.folder.join("exotel-exporter.yml").display()))
            .arg("run")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let began = Instant::now();
        let child = command.spawn().with_context(|| format!("{} cannot be run", self.binary.display()))?;
        let mut agent = Agent { child, ready_after: Duration::ZERO };
        while self.scrape().is_err() {
            if let Some(status) = agent.child.try_wait()? {
                let log = std::fs::read_to_string(self.folder.join("log"))?;
                anyhow::bail!("the agent ended with {status}: {log}");
            }
            anyhow::ensure!(began.elapsed() < PATIENCE, "no scrape within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
        agent.ready_after = began.elapsed();
        Ok(agent)
    }

    /// The metrics as text.
    pub fn scrape(&self) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("a head and a body")?;
        anyhow::ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
        Ok(body.to_owned())
    }

    /// The sum of a family's samples.
    pub fn total(&self, family: &str) -> anyhow::Result<f64> {
        let text = self.scrape()?;
        let samples = text.lines().filter(|l| l.starts_with(&format!("{family}{{")));
        Ok(samples.filter_map(|l| l.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
    }
}

impl Agent {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it uses.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        usage(self.child.id())
    }

    /// Ends it with SIGKILL and waits until it is gone.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Gone already, if it was killed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
