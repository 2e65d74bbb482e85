//! Sees a changed file at the next request or connection, for the price of a `stat` of each file.
//!
//! A disk that does not answer holds up nobody for longer than [`PATIENCE`]: what was read last is used
//! then. The look is off the async threads, and there is only one at a time.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue};

use super::settings::{self, RateLimit, Settings};
use super::tls::{self, Tls};
use super::users::Users;
use crate::config::{Faults, Findings, Node, Reader};

/// How long a request waits for the look at the files.
const PATIENCE: Duration = Duration::from_secs(1);

/// A file that changed less than this ago may change again without its times showing it.
const UNSETTLED: Duration = Duration::from_secs(1);

/// Larger than any list of users; keeps a wrong path out of memory.
const MAX_FILE: u64 = 4 << 20;

/// What the file and those it names say.
#[derive(Debug)]
pub(super) struct InForce {
    pub(super) tls: Option<Tls>,
    pub(super) users: Users,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) rate_limit: Option<RateLimit>,
}

/// What was read last, and from which state of the files.
#[derive(Debug)]
pub(super) struct State {
    /// The faults on one line, if there are some.
    pub(super) in_force: Result<Arc<InForce>, String>,
    files: Vec<(PathBuf, Option<Stamp>)>,
    /// Whether the stamps tell every change since.
    settled: bool,
}

/// Tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok()?;
    Some(Stamp {
        device: meta.dev(),
        inode: meta.ino(),
        size: meta.size(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
    })
}

impl State {
    /// What is used from the start on.
    ///
    /// # Errors
    /// Every fault.
    pub(super) fn at_start(path: &Path) -> Result<Self, Faults> {
        let before = SystemTime::now();
        let (read, _) = read(path)?;
        Ok(Self::of(path, Ok(read), before))
    }

    /// The stamps are taken after the reading: a change in between is seen by its time.
    fn of(path: &Path, read: Result<(InForce, Vec<PathBuf>), Faults>, before: SystemTime) -> Self {
        let (in_force, named) = match read {
            Ok((in_force, named)) => (Ok(Arc::new(in_force)), named),
            Err(faults) => (Err(faults.to_string().replace('\n', "; ")), Vec::new()),
        };
        let paths = std::iter::once(path.to_owned()).chain(named);
        let files: Vec<_> = paths.map(|path| (stamp(&path), path)).map(|(s, path)| (path, s)).collect();
        let quiet = before.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(UNSETTLED);
        let settled = in_force.is_ok()
            && files.iter().all(|(_, stamp)| {
                stamp.is_some_and(|stamp| u64::try_from(stamp.changed.0).is_ok_and(|s| s < quiet.as_secs()))
            });
        Self { in_force, files, settled }
    }

    fn holds(&self) -> bool {
        self.settled && self.files.iter().all(|(path, known)| stamp(path) == *known)
    }
}

/// Reads the file and all that it names.
///
/// # Errors
/// Every fault.
#[allow(clippy::type_complexity, reason = "two results of one reading")]
pub(super) fn read(path: &Path) -> Result<((InForce, Vec<PathBuf>), Vec<String>), Faults> {
    let findings = Findings::default();
    let source = path.display().to_string();
    let settings = settings_of(path, &source, &findings);
    let mut tls = None;
    // What is read already tells more than a file that is missing because its path is at fault.
    if let Some(wanted) = settings.tls.as_ref().filter(|_| findings.is_faultless()) {
        match tls::build(wanted, settings.http2, &findings, &source) {
            Ok(built) => tls = Some(built),
            Err((key, reason)) => findings.fault(&source, &format!("tls_server_config.{key}"), reason),
        }
    }
    let warnings = findings.into_result()?;
    let named = settings.tls.iter().flat_map(settings::files).map(Path::to_owned).collect();
    let in_force = InForce {
        tls,
        users: Users::new(settings.users),
        headers: settings.headers,
        rate_limit: settings.rate_limit,
    };
    Ok(((in_force, named), warnings))
}

fn settings_of(path: &Path, source: &str, findings: &Findings) -> Settings {
    let text = tls::read(path, MAX_FILE)
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "expected UTF-8 text".to_owned()));
    match text.and_then(|text| Node::parse(&text)) {
        Ok(node) => {
            let reader = Reader::new(path, findings);
            settings::read(reader.root(&node))
        }
        Err(reason) => {
            findings.fault(source, "", reason);
            Settings::default()
        }
    }
}

/// Keeps what was read last, and looks whether it still holds.
pub(super) struct Watch {
    path: PathBuf,
    state: Arc<ArcSwap<State>>,
    /// What was last without fault: its headers stay on answers.
    good: Arc<Mutex<Option<Arc<InForce>>>>,
    looking: Arc<tokio::sync::Mutex<()>>,
}

impl Watch {
    pub(super) fn new(path: &Path, state: State) -> Self {
        let good = state.in_force.clone().ok();
        Self {
            path: path.to_owned(),
            state: Arc::new(ArcSwap::from_pointee(state)),
            good: Arc::new(Mutex::new(good)),
            looking: Arc::default(),
        }
    }

    /// What was last without fault.
    pub(super) fn last(&self) -> Option<Arc<InForce>> {
        self.good.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What holds now.
    pub(super) async fn now(&self) -> Arc<State> {
        let look = async {
            let turn = self.looking.clone().lock_owned().await;
            let (path, state, good) = (self.path.clone(), self.state.clone(), self.good.clone());
            let looked = tokio::task::spawn_blocking(move || {
                look(&path, &state, &good);
                // Held to the end: a disk that hangs holds one thread, not one for each request.
                drop(turn);
            });
            looked.await.is_ok()
        };
        if !matches!(tokio::time::timeout(PATIENCE, look).await, Ok(true)) {
            tracing::debug!(
                "the web configuration could not be looked at in time; what was read last is used"
            );
        }
        self.state.load_full()
    }
}

fn look(path: &Path, state: &ArcSwap<State>, good: &Mutex<Option<Arc<InForce>>>) {
    let before = SystemTime::now();
    let old = state.load_full();
    if old.holds() {
        return;
    }
    let mut said = Vec::new();
    let read = read(path).map(|(read, warnings)| {
        said = warnings;
        read
    });
    let new = State::of(path, read, before);
    let same_files = old.files == new.files;
    match (&old.in_force, &new.in_force) {
        (_, Err(reason)) if old.in_force.as_ref().err() != Some(reason) => {
            tracing::error!(reason, "the web configuration is faulty: nobody is let in until it is mended");
        }
        (_, Ok(_)) if !same_files => {
            tracing::info!("the web configuration or a file that it names has changed and is in force");
            for warning in said {
                tracing::warn!("{warning}");
            }
        }
        _ => {}
    }
    if let Ok(in_force) = &new.in_force {
        let mut good = good.lock().unwrap_or_else(PoisonError::into_inner);
        let fixed = |one: &InForce| (one.tls.is_some(), one.rate_limit);
        if good.as_ref().is_some_and(|before| fixed(before) != fixed(in_force)) {
            tracing::warn!("a change of rate_limit, and of whether there is TLS at all, needs a restart");
        }
        *good = Some(in_force.clone());
    }
    state.store(Arc::new(new));
}
