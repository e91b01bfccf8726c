//! The accept loop: it accepts, and nothing else. The one place that spawns connection tasks.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use proxy_conn::Opening;
use proxy_core::{Dial, Listen};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::config::ListenerConfig;
use crate::connection::{Newcomer, serve};
use crate::proxy::Proxy;

/// The pause after an accept error: doubled with each in a row, from the shortest to the longest. Shorter would spin while
/// there is no descriptor; longer would leave clients in the backlog after there is one again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Where the connections of a listener go.
pub(crate) struct Accepting<D> {
    /// The listener's configuration.
    pub(crate) at: Arc<ListenerConfig>,
    /// Its name, as every connection's entry has it.
    pub(crate) label: Arc<str>,
    /// Which worker this is.
    pub(crate) worker: usize,
    /// What connections share.
    pub(crate) proxy: Arc<Proxy<D>>,
    /// Where their tasks are counted.
    pub(crate) tasks: TaskTracker,
}

/// Accepts until `stop`, whatever happens: no accept error ends the loop, and none makes it spin.
pub(crate) async fn accept_loop<L: Listen, D: Dial>(
    listener: L,
    accepting: Accepting<D>,
    stop: CancellationToken,
) {
    let mut pause = SHORTEST_PAUSE;
    while let Some(accepted) = unless(&stop, listener.accept()).await {
        match accepted {
            Ok((client, peer)) => {
                pause = SHORTEST_PAUSE;
                let opening = Opening { peer, listener: Arc::clone(&accepting.label) };
                let conn = accepting.proxy.tracker.open(accepting.worker, opening);
                let (at, proxy) = (Arc::clone(&accepting.at), Arc::clone(&accepting.proxy));
                accepting.tasks.spawn(serve(Newcomer { client, at, proxy, conn }));
            }
            // The client left while it was in the backlog: its business, not a shortage of ours.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {
                debug!(listener = %accepting.at.label, %error, "a client left before it was accepted");
            }
            Err(error) => {
                let shortage = proxy_core::listen::accept_error_is_shortage(&error);
                warn!(listener = %accepting.at.label, %error, shortage, pause_ms = pause.as_millis(), "cannot accept; will try again");
                unless(&stop, tokio::time::sleep(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// What `future` comes to, unless `stop` comes first.
async fn unless<F: Future>(stop: &CancellationToken, future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        output = future => Some(output),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxy_conn::Tracker;
    use proxy_core::mem::{MemNet, MemStream};
    use proxy_core::{PeerAddr, Resolver};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Fails whenever it is asked, and counts.
    struct Failing {
        asked: Arc<AtomicUsize>,
        code: i32,
    }

    impl Listen for Failing {
        type Stream = MemStream;

        async fn accept(&self) -> io::Result<(MemStream, PeerAddr)> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Err(io::Error::from_raw_os_error(self.code))
        }
    }

    /// How often a loop asks in an hour in which every accept fails with `code`.
    async fn asked_in_an_hour(code: i32) -> usize {
        let config = crate::config::Config::parse(crate::demo::OUTER, "outer.toml").unwrap();
        let at = Arc::new(config.listeners[0].clone());
        let proxy = Arc::new(Proxy {
            config,
            tracker: Tracker::new(1, ()),
            connections: proxy_conn::Limit::new(1),
            dialer: MemNet::default(),
            resolver: Resolver::fixed([]),
        });
        let label = at.label.as_str().into();
        let accepting = Accepting { label, at, worker: 0, proxy, tasks: TaskTracker::new() };
        let (stop, asked) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let running = accept_loop(Failing { asked: Arc::clone(&asked), code }, accepting, stop.clone());
        let stopping = async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            stop.cancel();
        };
        tokio::join!(running, stopping);
        asked.load(Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn a_shortage_neither_ends_the_loop_nor_makes_it_spin() {
        let asked = asked_in_an_hour(rustix::io::Errno::MFILE.raw_os_error()).await;
        assert!((3500..3700).contains(&asked), "once a second, after the first pauses: {asked}");
    }
}
