//! Backends that take their time, or take no pause at all.

use std::time::Duration;

use super::Backend;

/// What a backend that never pauses sends at once.
static CHUNK: [u8; 64 * 1024] = [7; 64 * 1024];

impl Backend {
    /// Waits for its client's first bytes and then for `delay`, answers `text`, and ends.
    #[must_use]
    pub fn answers_after(delay: Duration, text: &'static str) -> Self {
        Self::serving(move |mut wire| async move {
            wire.read_some().await;
            tokio::time::sleep(delay).await;
            wire.try_send(text).await.unwrap_or_default();
            wire.half_close().await;
            wire.read_to_end().await;
        })
    }

    /// Waits for its client's first bytes, then sends `text`, a byte after each pause of `every`, and ends.
    #[must_use]
    pub fn drips(text: &'static str, every: Duration) -> Self {
        Self::serving(move |mut wire| async move {
            wire.read_some().await;
            wire.send_slowly(text, every).await;
            wire.half_close().await;
            wire.read_to_end().await;
        })
    }

    /// Sends without end and as fast as it can, until it is reset.
    #[must_use]
    pub fn floods() -> Self {
        Self::serving(|mut wire| async move { while wire.try_send(&CHUNK).await.is_ok() {} })
    }

    /// Says `words` and from then on neither reads nor says anything, until it is reset.
    #[must_use]
    pub fn stops_reading_after(words: &'static str) -> Self {
        Self::serving(move |mut wire| async move {
            wire.try_send(words).await.unwrap_or_default();
            wire.wait_for_a_reset().await;
        })
    }
}
