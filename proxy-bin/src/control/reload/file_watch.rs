//! The optional watch of the configuration's file: when it changes, it is read again.
//!
//! The folder is watched, not the file: whoever replaces a file makes another one of the same name, and a watch of the first
//! one would never see the second.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::super::file_watch::FileWatch;
use super::super::running::Running;
use super::text_of;

/// For so long the file has to stay as it is before it is read: an editor writes in several steps.
const SETTLED: Duration = Duration::from_millis(500);

/// So often it is looked at again while it goes on changing (10 s in all); then it is read as it is.
const PATIENCE: usize = 20;

/// Watches the file that the configuration in force came from, if it says so; else no file.
pub(crate) fn watch_file(running: &Arc<Running>) {
    let config = running.config();
    let mut watch = running.file.lock();
    let wanted = config.origin.file.as_ref().filter(|_| config.reload.watch);
    if watch.as_ref().map(|watch| &watch.file) == wanted {
        return;
    }
    *watch = wanted.and_then(|file| match start(running, file) {
        Ok(watch) => Some(watch),
        Err(error) => {
            warn!(file = %file.display(), %error, "the configuration file cannot be watched: reload it by SIGHUP");
            None
        }
    });
}

fn start(running: &Arc<Running>, file: &Path) -> notify::Result<FileWatch> {
    let over = CancellationToken::new();
    // One is enough: it says that something happened.
    let (told, hears) = mpsc::channel(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let read_only = event.as_ref().is_ok_and(|event| event.kind.is_access());
        if !read_only {
            // Full: it was said already.
            told.try_send(()).unwrap_or_default();
        }
    })?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    watcher.watch(folder.unwrap_or(Path::new(".")), RecursiveMode::NonRecursive)?;
    let weak = Arc::downgrade(running);
    let watching = follow(weak, file.to_path_buf(), hears);
    let stop = over.clone();
    drop(running.runtime.spawn(async move {
        stop.run_until_cancelled(watching).await;
    }));
    info!(file = %file.display(), "watching the configuration file");
    Ok(FileWatch { file: file.to_path_buf(), _watcher: watcher, _over: over.drop_guard() })
}

/// Reloads whenever the file says something else than at the last time, or can be read no more.
async fn follow(weak: Weak<Running>, file: PathBuf, mut hears: mpsc::Receiver<()>) {
    let mut tried: Option<Result<String, String>> = None;
    let mut read = None;
    while hears.recv().await.is_some() {
        let now = settled(&file, &mut hears).await;
        if now.is_some() && now == read {
            continue;
        }
        read = now;
        let Some(running) = weak.upgrade() else { return };
        let text = text_of(&running, file.clone()).await.map(|(_, text)| text);
        let same = match (&tried, &text) {
            (Some(tried), text) => tried == text,
            (None, Ok(text)) => *running.config().origin.text == **text,
            (None, Err(_)) => false,
        };
        if !same {
            info!(file = %file.display(), "the configuration file has changed");
            // Its own task, so that this one can be ended by what it does.
            super::reload(&running).await;
            tried = Some(text);
        }
    }
}

/// What is known of a file without reading it: what changes with what it says.
type Looks = Option<(u64, u64, u64, i64, i64)>;

fn looks(file: &Path) -> Looks {
    let about = std::fs::metadata(file).ok()?;
    Some((about.dev(), about.ino(), about.len(), about.mtime(), about.mtime_nsec()))
}

/// Waits until the file has stayed as it is for a moment, though not for ever; what is done to others in its folder does not
/// matter.
async fn settled(file: &Path, hears: &mut mpsc::Receiver<()>) -> Option<Looks> {
    let mut last = None;
    for _ in 0..PATIENCE {
        let path = file.to_path_buf();
        // On another machine it may hang: then nobody is told of any change before it comes back.
        let now = tokio::task::spawn_blocking(move || looks(&path)).await.ok();
        if now == last {
            break;
        }
        last = now;
        tokio::time::sleep(SETTLED).await;
        // Whatever was said until now is answered by the next look.
        while hears.try_recv().is_ok() {}
    }
    last
}
