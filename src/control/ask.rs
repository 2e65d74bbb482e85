//! The command's side.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{Said, Wish, is_of, line, read_line, socket_of};
use crate::store::Erasure;

/// Without a sign of life; the agent gives several a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why the agent did not do it, or why nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is no way to ask.
    #[error("it takes no requests at {path}: {reason}")]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// Somebody else listens there: what was to be asked is none of theirs.
    #[error("{0} belongs to another user than the store; nothing was asked")]
    Stranger(PathBuf),
    /// It answered in words that this version does not know.
    #[error("the agent's answer cannot be read; is it another version?")]
    Odd,
    /// The conversation broke off.
    #[error(
        "the connection to the agent was lost. If it still runs, it goes on erasing; if it was stopped, the \
         rest is still there. Erase again to be sure: that does no harm, and finishes what is left"
    )]
    Lost,
    /// It said no.
    #[error("{0}")]
    Refused(String),
}

/// Has the agent that holds the store erase a number; it does what [`crate::store::erase`] does.
///
/// `progress` is told how many of how many calls are done.
///
/// # Errors
/// [`AskError`].
pub async fn erase(
    store: &Path,
    number: &str,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<Erasure, AskError> {
    let stream = connect(store).await?;
    let (read, mut write) = stream.into_split();
    let wish = line(&Wish::Erase { number: number.to_owned() }).map_err(|_| AskError::Odd)?;
    // Who hangs up at once may have said why.
    if let Err(error) = write.write_all(&wish).await {
        tracing::debug!(reason = %error, "the agent does not listen to the end");
    }
    let mut read = BufReader::new(read);
    loop {
        let Ok(Ok(Some(line))) = timeout(PATIENCE, read_line(&mut read)).await else {
            return Err(AskError::Lost);
        };
        match serde_json::from_slice(&line).map_err(|_| AskError::Odd)? {
            Said::Waiting => {}
            Said::LookedAt { done, total } => progress(done, total),
            Said::Erased(erasure) => return Ok(erasure),
            Said::Refused(reason) => return Err(AskError::Refused(reason)),
        }
    }
}

async fn connect(store: &Path) -> Result<UnixStream, AskError> {
    let unreachable = |path: &Path, reason| AskError::Unreachable { path: path.to_owned(), reason };
    let path = socket_of(store).map_err(|error| unreachable(store, error))?;
    let stream = UnixStream::connect(&path).await.map_err(|error| unreachable(&path, error))?;
    let owner = std::fs::metadata(store).map_err(|error| unreachable(store, error))?.uid();
    if is_of(&stream, owner) { Ok(stream) } else { Err(AskError::Stranger(path)) }
}
