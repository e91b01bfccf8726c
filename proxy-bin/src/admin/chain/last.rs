//! The last view of the chain, for all who ask.

use std::sync::Arc;

use proxy_api::model::Chain;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

/// The last view, and when it was made. Whoever holds it makes the next; the others wait for that.
#[derive(Debug, Default)]
pub(in crate::admin) struct View(Mutex<Last>);

/// None before the first.
pub(super) type Last = Option<(Instant, Arc<Chain>)>;

impl View {
    /// Waits until nobody else makes one.
    pub(super) async fn lock(&self) -> MutexGuard<'_, Last> {
        self.0.lock().await
    }
}
