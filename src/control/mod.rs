//! The socket beside the store, through which commands ask the agent that holds it.
//!
//! A second process cannot write to the store, so whoever would asks the one that can. A conversation is
//! one line of JSON with the wish, then lines that say how far it is, and a last one with what came of it.
//! Only the agent's own user is answered, and root: the socket's mode says so, and both sides look who the
//! other is. It knows the store, no Exotel and no HTTP.

mod ask;
mod serve;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use tokio::net::UnixStream;

pub use ask::{AskError, erase};
pub use serve::{Control, run};

use crate::store::Erasure;

/// Bytes of a line at most; a number has a few dozen.
const LINE: u64 = 4096;
/// Bytes of a socket's path at most: the system keeps it in 108, with a zero at the end.
const LONGEST_PATH: usize = 107;

/// What is asked for.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wish {
    /// The personal data of one number is to go.
    Erase {
        /// In any form.
        number: String,
    },
}

/// What the agent says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    /// Another one is served first.
    Waiting,
    /// How far it is.
    LookedAt {
        /// Calls looked at.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// It is done.
    Erased(Erasure),
    /// It is not done, and why.
    Refused(String),
}

/// Where the socket of a store is.
///
/// # Errors
/// A path that is too long for a socket, with what to do about it.
fn socket_of(store: &Path) -> io::Result<PathBuf> {
    let mut name = store.as_os_str().to_owned();
    name.push(".sock");
    if name.len() > LONGEST_PATH {
        let length = name.len();
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "its path has {length} bytes, a socket's may have {LONGEST_PATH}; choose a shorter store.path"
            ),
        ));
    }
    Ok(PathBuf::from(name))
}

/// The next line; none at the end, or for one that is longer than any line may be.
async fn read_line(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    from.take(LINE).read_until(b'\n', &mut line).await?;
    Ok(line.ends_with(b"\n").then_some(line))
}

fn line(words: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(words)?;
    line.push(b'\n');
    Ok(line)
}

/// Whether the process at the other end belongs to a user, or to root, who may everything anyway.
fn is_of(stream: &UnixStream, user: u32) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == user || peer.uid() == 0)
}
