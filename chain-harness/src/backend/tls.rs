//! Backends behind TLS, with certificates of the test's own root.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Backend, MOST_TO_HAND_OVER};
use crate::tls::{Root, TlsWire};

impl Backend {
    /// Shakes hands as `names`, for which `root` certifies it, then does with each connection what `behave` does. What it has
    /// received ([`visits`](Self::visits)) is what was on the wire.
    pub fn tls<F, B>(root: &Root, names: &[&str], behave: F) -> Self
    where
        F: Fn(TlsWire) -> B + Send + Sync + 'static,
        B: Future<Output = ()> + Send + 'static,
    {
        let (server, behave) = (root.server(names), Arc::new(behave));
        Self::serving(move |wire| {
            let (server, behave) = (server.clone(), Arc::clone(&behave));
            async move {
                // Who does not get through the handshake knows why, or has gone.
                if let Ok(tls) = TlsWire::accept(&server, wire).await {
                    behave(tls).await;
                }
            }
        })
    }

    /// The same with one behaviour: reads a request up to its empty line (or its end), answers `text`, and ends.
    #[must_use]
    pub fn tls_answers(root: &Root, names: &[&str], text: &'static str) -> Self {
        Self::tls(root, names, move |mut tls| async move {
            tls.read_until(|bytes| bytes.ends_with(b"\r\n\r\n")).await;
            // Its client may have gone, which is what some scenarios are about.
            tls.try_send(text).await.unwrap_or_default();
            tls.close().await;
            tls.read_to_end().await;
        })
    }

    /// The same, handing each connection to whoever asks for it: both ends of a chain in one hand.
    #[must_use]
    pub fn tls_hands_over(root: &Root, names: &[&str]) -> (Self, mpsc::Receiver<TlsWire>) {
        let (to, wires) = mpsc::channel(MOST_TO_HAND_OVER);
        let backend = Self::tls(root, names, move |tls| {
            let to = to.clone();
            async move {
                // Nobody may want it any more.
                to.send(tls).await.unwrap_or_default();
            }
        });
        (backend, wires)
    }
}
