//! The optional watch of the configuration's file: when it changes, it is read again.
//!
//! The folder is watched, not the file: whoever replaces a file makes another one of the same name, and a watch of the first
//! one would never see the second.

use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use crate::control::{Control, Parts};

/// For so long nothing may have happened in the folder before the file is read: an editor writes in several steps.
const SETTLED: Duration = Duration::from_millis(500);

/// A watch of a file. Dropped, it is over.
#[derive(Debug)]
pub(crate) struct FileWatch {
    file: PathBuf,
    _watcher: RecommendedWatcher,
    _over: DropGuard,
}

impl Control {
    /// Watches the file that the configuration in force came from, if it says so; else no file.
    pub(crate) fn watch_file(&self) {
        let config = &self.proxy().config;
        let mut watch = self.parts().file.lock();
        let wanted = config.origin.file.as_ref().filter(|_| config.reload.watch);
        if watch.as_ref().map(|watch| &watch.file) == wanted {
            return;
        }
        *watch = wanted.and_then(|file| match FileWatch::start(self, file) {
            Ok(watch) => Some(watch),
            Err(error) => {
                warn!(file = %file.display(), %error, "the configuration file cannot be watched: reload it by SIGHUP");
                None
            }
        });
    }

    /// Watches no file any more.
    pub(crate) fn forget_file(&self) {
        self.parts().file.lock().take();
    }
}

impl FileWatch {
    fn start(control: &Control, file: &Path) -> notify::Result<Self> {
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
        let parts = std::sync::Arc::downgrade(control.parts());
        let watching = follow(parts, file.to_path_buf(), hears);
        let stop = over.clone();
        drop(control.parts().runtime.spawn(async move {
            stop.run_until_cancelled(watching).await;
        }));
        info!(file = %file.display(), "watching the configuration file");
        Ok(Self { file: file.to_path_buf(), _watcher: watcher, _over: over.drop_guard() })
    }
}

/// Reloads whenever the file has another text than at the last time.
async fn follow(parts: Weak<Parts>, file: PathBuf, mut hears: mpsc::Receiver<()>) {
    let mut tried: Option<String> = None;
    while hears.recv().await.is_some() {
        while let Ok(Some(())) = tokio::time::timeout(SETTLED, hears.recv()).await {}
        let path = file.clone();
        // Larger than a configuration may be: whoever reads it says so.
        let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
        let Ok(Ok(text)) = read else { continue };
        let Some(control) = parts.upgrade().map(Control::of) else { return };
        let last = tried.as_deref().map_or_else(|| control.config_text(), std::convert::Into::into);
        if *last != *text {
            info!(file = %file.display(), "the configuration file has changed");
            // Its own task, so that this one can be ended by what it does.
            control.reload().await;
            tried = Some(text);
        }
    }
}
