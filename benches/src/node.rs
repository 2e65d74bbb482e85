//! What the old module does, as it does it: Node's `pg` client, row by row. `node/upsert.js` does the work; pages
//! go to it over a pipe.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context as _;

use crate::calls::PAGE;

/// A Node process that takes pages in.
pub struct Node {
    child: Child,
    pages: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Node {
    /// Starts it; `connection` as for [`crate::postgres::Postgres`], whose table must be there.
    pub fn start(script: &Path, connection: &str) -> anyhow::Result<Self> {
        let part = |name: &str| {
            let parts = connection.split(' ').filter_map(|part| part.split_once('='));
            parts.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
        };
        let mut command = Command::new("node");
        command.arg(script);
        for name in ["host", "user", "dbname"] {
            command.arg(part(name).with_context(|| format!("{name} in the connection"))?);
        }
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("node cannot be run")?;
        let pages = child.stdin.take().context("a pipe")?;
        let answers = BufReader::new(child.stdout.take().context("a pipe")?);
        Ok(Self { child, pages, answers })
    }

    /// Takes a page in; returns when it is durable.
    pub fn page(&mut self, body: &[u8]) -> anyhow::Result<()> {
        self.pages.write_all(&u32::try_from(body.len())?.to_be_bytes())?;
        self.pages.write_all(body)?;
        self.pages.flush()?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        anyhow::ensure!(answer.trim() == PAGE.to_string(), "node answered {answer:?}");
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Gone already, if it failed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
