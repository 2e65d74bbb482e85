//! The agent's side: a few conversations at once, one erasure after the other.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Mode, fchmod};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Said, Wish, is_of, line, read_line, socket_of};
use crate::model::Clock;
use crate::store::Store;

/// Conversations at once, erasures that wait for their turn among them; further ones are hung up on.
pub(super) const MOST: usize = 8;
/// For the wish to arrive, and for a line to be taken.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is said how far it is: also a sign of life.
const BEAT: Duration = Duration::from_millis(200);
/// After `accept` failed, mostly for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// What is done on behalf of others.
#[derive(Debug)]
pub struct Control {
    store: Store,
    clock: Clock,
    /// One erasure at a time: several would only slow each other down.
    pub(super) turn: Mutex<()>,
}

impl Control {
    /// Over an open store.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, turn: Mutex::new(()) }
    }
}

/// Answers on the socket beside the store until told to stop. Where there can be no socket, the log says so
/// and everything else goes on: commands then ask for the agent to be stopped.
pub async fn run(control: Arc<Control>, shutdown: CancellationToken) {
    let bound = socket_of(control.store.path()).and_then(|path| bind(&path));
    let (listener, _socket) = match bound {
        Ok(bound) => bound,
        Err(error) => {
            tracing::warn!(reason = %error, "no socket beside the store: `store erase` needs the agent to be stopped");
            shutdown.cancelled().await;
            return;
        }
    };
    let (tasks, seats) = (TaskTracker::new(), Arc::new(Semaphore::new(MOST)));
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else { continue };
                let guest = Guest {
                    control: Arc::clone(&control),
                    seat: Arc::new(seat),
                    tasks: tasks.clone(),
                    shutdown: shutdown.clone(),
                };
                tasks.spawn(guest.converse(stream));
            }
            Err(error) => {
                tracing::warn!(reason = %error, "a command cannot be answered");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// The file goes with the listener.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // One that stays is replaced at the next start.
        drop(fs::remove_file(&self.0));
    }
}

/// Listens. What a killed agent left is removed: whoever calls this holds the store, so nobody else listens.
fn bind(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => {
            let reason = format!("{} is there and is no socket", path.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, reason));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let socket = UnixSocket::new_stream()?;
    let mode = Mode::RUSR | Mode::WUSR;
    // Linux makes the file with the mode that the socket has: private from its first moment on. Elsewhere
    // that may be refused, and the next step has to do; it is the peer's user that decides.
    if let Err(error) = fchmod(&socket, mode) {
        tracing::debug!(reason = %error, "the socket has no mode of its own");
    }
    socket.bind(path)?;
    let file = SocketFile(path.to_owned());
    fs::set_permissions(path, fs::Permissions::from_mode(mode.bits()))?;
    let listener = socket.listen(16)?;
    Ok((listener, file))
}

/// Who asks, and what is needed to answer.
struct Guest {
    control: Arc<Control>,
    /// Free again when conversation and work are over.
    seat: Arc<OwnedSemaphorePermit>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Guest {
    async fn converse(self, stream: UnixStream) {
        let is_ours = is_of(&stream, rustix::process::geteuid().as_raw());
        let (read, mut write) = stream.into_split();
        let write = &mut write;
        let mut read = BufReader::new(read);
        let wish = tokio::select! {
            () = self.shutdown.cancelled() => return,
            wish = timeout(PATIENCE, read_line(&mut read)) => wish,
        };
        // Silent, gone, or too long: there is nobody to talk to.
        let Ok(Ok(Some(wish))) = wish else { return };
        // Only now: who is hung up on while they speak does not hear why.
        if !is_ours {
            tracing::warn!("a process of another user asked at the socket beside the store and was refused");
            return refuse(write, "the agent runs as another user; run the command as that one").await;
        }
        match serde_json::from_slice(&wish) {
            Ok(Wish::Erase { number }) => self.erase(number, write).await,
            Err(_) => {
                let version = env!("CARGO_PKG_VERSION");
                let reason = format!("the agent is version {version} and does not know this request");
                refuse(write, &reason).await;
            }
        }
    }

    /// Erases, and says how far it is to who listens. It goes on when nobody does any more.
    async fn erase(self, number: String, write: &mut (impl AsyncWriteExt + Unpin)) {
        let (tell, progress) = watch::channel(Said::Waiting);
        let Self { control, seat, tasks, shutdown } = self;
        let mut erasing = tasks.spawn(async move {
            let _seat = seat;
            tokio::select! {
                () = shutdown.cancelled() => {
                    Said::Refused("the agent is being stopped; erase again to finish".to_owned())
                }
                said = control.erase(&number, &tell) => said,
            }
        });
        let mut beat = interval(BEAT);
        loop {
            tokio::select! {
                biased;
                ended = &mut erasing => {
                    let fault = || Said::Refused("an internal fault stopped it; erase again".to_owned());
                    // How far it came, as the command alone shows it, too.
                    let said = progress.borrow().clone();
                    if say(write, &said).await.is_ok() {
                        // Who is gone asks again.
                        drop(say(write, &ended.unwrap_or_else(|_| fault())).await);
                    }
                    return;
                }
                _ = beat.tick() => {
                    let said = progress.borrow().clone();
                    if say(write, &said).await.is_err() {
                        tracing::info!("who asked to erase a number is gone; erasing goes on");
                        return;
                    }
                }
            }
        }
    }
}

impl Control {
    async fn erase(&self, number: &str, tell: &watch::Sender<Said>) -> Said {
        let _turn = self.turn.lock().await;
        let progress = |done, total| drop(tell.send_replace(Said::LookedAt { done, total }));
        match self.store.erase(number, self.clock.now(), progress).await {
            Ok(erasure) => {
                tracing::info!(
                    calls = erasure.calls,
                    set_aside = erasure.set_aside,
                    kept = erasure.kept,
                    unread = erasure.unread,
                    "what is known of a number was erased"
                );
                Said::Erased(erasure)
            }
            Err(error) => {
                tracing::warn!(reason = %error, "a number was not erased");
                Said::Refused(error.to_string())
            }
        }
    }
}

async fn say(write: &mut (impl AsyncWriteExt + Unpin), said: &Said) -> io::Result<()> {
    let line = line(said)?;
    timeout(PATIENCE, write.write_all(&line)).await.map_err(|_| io::ErrorKind::TimedOut)?
}

async fn refuse(write: &mut (impl AsyncWriteExt + Unpin), reason: &str) {
    // Who is gone needs no reason.
    drop(say(write, &Said::Refused(reason.to_owned())).await);
}
