//! Background tasks: started, started again when they stop, ended together or group by group.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::ExporterMetrics;

/// Starts background tasks, and starts them again when they stop. Cheap to clone; clones are one.
#[derive(Clone, Debug)]
pub(super) struct Keeper {
    /// Every task, those of groups too.
    all: TaskTracker,
    /// The tasks of this group.
    own: TaskTracker,
    stop: CancellationToken,
    metrics: ExporterMetrics,
}

impl Keeper {
    /// For tasks that run until `shutdown`.
    pub(super) fn new(shutdown: CancellationToken, metrics: ExporterMetrics) -> Self {
        Self { all: TaskTracker::new(), own: TaskTracker::new(), stop: shutdown, metrics }
    }

    /// For tasks that can be ended by themselves; they end with all others too.
    pub(super) fn group(&self) -> Self {
        Self { own: TaskTracker::new(), stop: self.stop.child_token(), ..self.clone() }
    }

    /// Runs a task on `subject` until it is told to stop; one that stops before is started again.
    pub(super) fn keep<S, F>(
        &self,
        name: &'static str,
        subject: &Arc<S>,
        task: impl Fn(Arc<S>, CancellationToken) -> F + Send + Sync + 'static,
    ) where
        S: Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.metrics.add_task(name);
        let (metrics, stop, subject) = (self.metrics.clone(), self.stop.clone(), Arc::clone(subject));
        self.all.spawn(self.own.track_future(async move {
            let mut wait = Duration::from_secs(1);
            loop {
                let began = Instant::now();
                let ended = tokio::spawn(task(Arc::clone(&subject), stop.clone())).await;
                if stop.is_cancelled() {
                    return;
                }
                metrics.task_restarted(name);
                tracing::error!(
                    task = name,
                    panicked = ended.is_err(),
                    "a background task stopped and is started again"
                );
                if began.elapsed() > Duration::from_secs(60) {
                    wait = Duration::from_secs(1);
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep(wait) => {}
                }
                wait = (wait * 2).min(Duration::from_secs(30));
            }
        }));
    }

    /// Tells the tasks of this group to stop.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until the tasks of this group have ended.
    pub(super) async fn ended(&self) {
        self.own.close();
        self.own.wait().await;
    }

    /// Waits until every task has ended, those of groups too.
    pub(super) async fn all_ended(&self) {
        self.all.close();
        self.all.wait().await;
    }
}
