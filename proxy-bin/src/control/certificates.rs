//! Certificates that change while they are presented: their folders are watched, and all are looked at now and then.
//!
//! The folders are watched, not the files, for whoever replaces a file makes another one of the same name. What a watch does not see (a
//! link further up that leads elsewhere, another machine's file system) the next look does.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use super::running::Running;
use crate::certificates::{Registry, Seen, Source};

/// So often all are looked at, whatever the watch says: ten thousand files take some twenty milliseconds.
const EVERY: Duration = Duration::from_secs(30);

/// For so long nothing has to happen before they are looked at: whoever renews writes several files.
const SETTLED: Duration = Duration::from_millis(250);

/// So often it is waited for that; then they are looked at as they are.
const PATIENCE: usize = 20;

/// The most folders that are watched (certbot has one for each certificate): a user has 8 192 watches by default, and the configuration's
/// file wants one as well.
const MOST: usize = 1024;

const LOOKING: &str = "looking at the files of certificates";

/// Keeps the certificates of a proxy up to date, until the guard is dropped.
pub(crate) fn watch(running: &Arc<Running>) -> DropGuard {
    let registry = Arc::clone(running.config().certificates.registry());
    // One is enough: it says that something happened.
    let (told, hears) = mpsc::channel(1);
    let mut watched = Watched::new(told);
    // At once, and not when the task has its turn: what is open then is open from the start on.
    if !registry.is_empty() {
        watched.follow(registry.folders());
    }
    let (over, weak) = (CancellationToken::new(), Arc::downgrade(running));
    let keeping = over.clone().run_until_cancelled_owned(keep(weak, registry, watched, hears));
    drop(running.runtime.spawn(keeping));
    over.drop_guard()
}

async fn keep(
    weak: Weak<Running>,
    registry: Arc<Registry>,
    mut watched: Watched,
    mut hears: mpsc::Receiver<()>,
) {
    loop {
        if registry.is_empty() {
            watched.end();
            registry.changed().await;
        } else {
            watched.follow(registry.folders());
            tokio::select! {
                () = registry.changed() => {}
                Some(()) = hears.recv() => settle(&mut hears).await,
                () = sleep(EVERY) => {}
            }
        }
        let Some(running) = weak.upgrade() else { return };
        look(&running, &registry).await;
    }
}

/// Waits until nothing has happened for a moment, though not for ever.
async fn settle(hears: &mut mpsc::Receiver<()>) {
    for _ in 0..PATIENCE {
        if timeout(SETTLED, hears.recv()).await.is_err() {
            return;
        }
    }
}

/// Looks at once, for one who has just written a file. Where somebody looks at this moment, the watch has it done again.
pub(crate) async fn look_now(running: &Running) {
    let registry = Arc::clone(running.config().certificates.registry());
    let stop = running.asked_to_stop();
    let looking = running.looking.run(&running.runtime, stop, LOOKING, move || registry.look(Instant::now()));
    if let Ok(seen) = looking.await {
        say(&seen);
        write_again(running, &seen);
    }
}

/// Looks at all of them, and says what it has found.
async fn look(running: &Running, registry: &Arc<Registry>) {
    let registry = Arc::clone(registry);
    let looking = running
        .looking
        .run(&running.runtime, running.asked_to_stop(), LOOKING, move || registry.look(Instant::now()));
    match looking.await {
        Ok(seen) => {
            say(&seen);
            write_again(running, &seen);
        }
        Err(error) => warn!("certificates are as they were: {error}"),
    }
}

/// Has what was obtained and is lost written again.
fn write_again(running: &Running, seen: &Seen) {
    for (source, _) in &seen.failed {
        if let Source::Obtained(file) = source {
            running.acme.lost(file);
        }
    }
}

fn say(seen: &Seen) {
    for (source, new) in &seen.replaced {
        info!(source = %source.path().display(), new, "certificates have changed: new handshakes have what is there now");
    }
    for source in &seen.mended {
        info!(source = %source.path().display(), "certificates can be used again");
    }
    for (source, errors) in &seen.failed {
        let more = match errors.len() {
            0 | 1 => String::new(),
            some => format!(" (and {} more)", some - 1),
        };
        let first = errors.first().map(ToString::to_string).unwrap_or_default();
        warn!(source = %source.path().display(), "certificates are as they were: {first}{more}");
    }
}

/// The folders that are watched.
struct Watched {
    told: mpsc::Sender<()>,
    watcher: Option<RecommendedWatcher>,
    folders: HashSet<PathBuf>,
    /// Those that cannot be watched: it is said once.
    refused: HashSet<PathBuf>,
}

impl Watched {
    fn new(told: mpsc::Sender<()>) -> Self {
        Self { told, watcher: None, folders: HashSet::new(), refused: HashSet::new() }
    }

    /// Watches none any more.
    fn end(&mut self) {
        self.watcher = None;
        self.folders.clear();
    }

    /// Watches these, and also one again that somebody has made anew.
    fn follow(&mut self, folders: Vec<PathBuf>) {
        let folders: HashSet<_> = folders.into_iter().take(MOST).collect();
        let Some(watcher) = &mut self.watcher else {
            self.begin(&folders);
            return;
        };
        for gone in self.folders.difference(&folders) {
            // One that is not there has no watch either.
            drop(watcher.unwatch(gone));
        }
        Self::add(watcher, &folders, &mut self.refused);
        self.folders = folders;
    }

    fn begin(&mut self, folders: &HashSet<PathBuf>) {
        let told = self.told.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let read_only = event.as_ref().is_ok_and(|event| event.kind.is_access());
            if !read_only {
                // Full: it was said already.
                told.try_send(()).unwrap_or_default();
            }
        });
        match watcher {
            Ok(mut watcher) => {
                Self::add(&mut watcher, folders, &mut self.refused);
                self.watcher = Some(watcher);
                self.folders.clone_from(folders);
            }
            Err(error) if self.refused.insert(PathBuf::new()) => {
                warn!(
                    "certificates are looked at every {}s, for no folder can be watched: {error}",
                    EVERY.as_secs()
                );
            }
            Err(_) => {}
        }
    }

    fn add(watcher: &mut RecommendedWatcher, folders: &HashSet<PathBuf>, refused: &mut HashSet<PathBuf>) {
        for folder in folders {
            let at = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            match watcher.watch(at, RecursiveMode::NonRecursive) {
                Ok(()) => drop(refused.remove(folder)),
                Err(error) if refused.insert(folder.clone()) => {
                    let folder = folder.display();
                    warn!(%folder, "certificates in it are looked at every {}s, for it cannot be watched: {error}", EVERY.as_secs());
                }
                Err(_) => {}
            }
        }
    }
}
