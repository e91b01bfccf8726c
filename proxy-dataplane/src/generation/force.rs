//! Whether a generation is in force still, for those who hold it for longer than the way to a backend takes.

use tokio::sync::watch;

/// Said once: another generation is in force, or the proxy stops.
#[derive(Debug)]
pub(crate) struct Force(watch::Sender<bool>);

impl Default for Force {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Force {
    /// It is over.
    pub(crate) fn end(&self) {
        self.0.send_replace(true);
    }

    /// Whether it is over.
    pub(crate) fn has_ended(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when it is over. Cancel-safe.
    pub(crate) async fn ended(&self) {
        // The sender is held here, so nothing else than the change ends the wait.
        drop(self.0.subscribe().wait_for(|ended| *ended).await);
    }
}
