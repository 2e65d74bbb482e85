//! Sockets that systemd opened for us (`LISTEN_FDS`): ports below 1024 without a privilege, and not one
//! refused connection while the service restarts.

use tokio::net::TcpListener;

use super::Listeners;
use crate::web::access::Door;

/// Name (`FileDescriptorName=`) of the sockets that serve webhooks alone.
const WEBHOOKS: &str = "webhooks";

/// Why the sockets of systemd cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// There are none.
    #[error("--web.systemd-socket is given, but systemd passed no socket: start it by its .socket unit")]
    None,
    /// None of them is for pages and metrics.
    #[error("systemd passed sockets for webhooks alone: one without FileDescriptorName=webhooks is needed")]
    WebhooksAlone,
    /// One of them is of another kind.
    #[error("socket {number} of systemd cannot be used: {source}")]
    Unusable {
        /// Its number in the order of the units, from 1.
        number: usize,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Takes over the sockets that systemd passed. Their names tell webhooks from the rest.
///
/// # Errors
/// When there is none, or one that is no TCP socket.
pub fn activated() -> Result<Listeners, ActivationError> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut passed = listenfd::ListenFd::from_env();
    let mut listeners = Vec::with_capacity(passed.len());
    for n in 0..passed.len() {
        let unusable = |source| ActivationError::Unusable { number: n + 1, source };
        let door = if names.next() == Some(WEBHOOKS) { Door::Webhooks } else { Door::Pages };
        let Some(socket) = passed.take_tcp_listener(n).map_err(unusable)? else { continue };
        socket.set_nonblocking(true).map_err(unusable)?;
        listeners.push((TcpListener::from_std(socket).map_err(unusable)?, door));
    }
    match listeners.iter().any(|(_, door)| *door == Door::Pages) {
        true => Ok(Listeners(listeners)),
        false if listeners.is_empty() => Err(ActivationError::None),
        false => Err(ActivationError::WebhooksAlone),
    }
}
