//! A layer-4 proxy that leaks on purpose: one planted fault at a time, each a bug that real proxies have had.
//!
//! It is here to be caught. A law that no leak can break proves nothing, so for each [`Leak`] there is a test in which
//! exactly its law is found broken. It runs over the same seams as the product: simulated streams or real sockets.
//! With [`Leak::None`] it is honest.
//!
//! What it is not: an example. It has no limits, no PROXY protocol and one target.

mod blind;
mod books;
mod relay;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use proxy_conn::Phase;
use proxy_core::stream::Kernel as _;
use proxy_core::{Dial, Endpoint, KeepAlive, Listen, ReadAhead, Stream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::laws::{Entry, Law, Levels};
use books::{Account, Books};

macro_rules! leaks {
    ($($(#[$meta:meta])* $leak:ident $(breaks $law:ident)?,)*) => {
        /// A planted fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Leak {
            $($(#[$meta])* $leak,)*
        }

        impl Leak {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$leak,)*];

            /// The law that it breaks; None for the honest one.
            #[must_use]
            pub const fn breaks(self) -> Option<Law> {
                match self { $(Self::$leak => leaks!(@law $($law)?),)* }
            }
        }
    };
    (@law) => { None };
    (@law $law:ident) => { Some(Law::$law) };
}

leaks! {
    /// No fault.
    None,
    /// A dial has no deadline of its own: a black hole keeps it for as long as the kernel does.
    NoDialDeadline breaks DeadlinesKept,
    /// A count is raised before the dial and lowered after the relay: a client that leaves between them is counted for good.
    CountByHand breaks CountsBack,
    /// The first FIN ends both sides: the answer is cut off, and looks whole.
    EndsAtFirstFin breaks BytesTrue,
    /// A relay waits for both FINs, for ever: one side that does not answer the other's keeps it (`copy_bidirectional`).
    WaitsForBothEnds breaks DeadlinesKept,
    /// The path of a failed dial forgets to take the entry out of the table.
    EntryStays breaks TrackerEmpty,
    /// The path of a failed dial forgets to count the end.
    EndNotCounted breaks OpenedEnded,
    /// A connection is in its relay before it was in its dial.
    PhaseSkipped breaks LegalPhases,
    /// Silence is judged by what the relay itself reads and writes: who takes what is in its kernel's buffers is cut.
    IgnoresAcknowledgements breaks LivingKept,
    /// A reset of one side is an orderly end on the other.
    ResetBecomesFin breaks EndsTravel,
    /// What the client sent while its backend was dialled is forgotten.
    BytesLost breaks BytesTrue,
    /// Each connection has a second task that watches it, and nobody ends it.
    TaskStays breaks TasksBack,
    /// A buffer is kept for each connection that has ended.
    BufferStays breaks MemoryBack,
    /// The backend's socket is kept after both sides have ended.
    SocketStays breaks SocketsBack,
}

/// What a leaky proxy does with connections.
#[derive(Debug, Clone)]
pub struct LeakyOptions {
    /// Where they go.
    pub target: Endpoint,
    /// For the dial.
    pub connection_timeout: Duration,
    /// For silence both ways.
    pub inactivity_timeout: Duration,
    /// For silence after one side has ended.
    pub half_closed_timeout: Duration,
    /// The fault.
    pub leak: Leak,
}

/// A layer-4 proxy with a fault.
#[derive(Debug)]
pub struct Leaky<D> {
    dialer: D,
    options: LeakyOptions,
    books: Arc<Books>,
}

/// How long a connection may live, whatever it does.
const LIFETIME: Duration = Duration::from_secs(86_400);

/// What is kept of a client that sends while its backend is dialled.
const EARLY: usize = 64 * 1024;

impl<D: Dial> Leaky<D> {
    /// A proxy that has served nobody yet.
    #[must_use]
    pub fn new(options: LeakyOptions, dialer: D) -> Arc<Self> {
        Arc::new(Self { dialer, options, books: Arc::default() })
    }

    /// What it holds, as its own books have it.
    #[must_use]
    pub fn levels(&self) -> Levels {
        self.books.levels()
    }

    /// Its connections.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.books.entries()
    }

    /// The phases that each connection since the last call has gone through, once it has ended.
    #[must_use]
    pub fn take_paths(&self) -> Vec<(String, Vec<Phase>)> {
        self.books.take_paths()
    }

    /// Accepts from `listener` until `stop`; connections' tasks are spawned on `tasks`.
    pub async fn accept<L: Listen>(
        self: Arc<Self>,
        listener: L,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) {
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            let Ok((client, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let account = Books::open(&self.books, LIFETIME);
            if self.options.leak == Leak::TaskStays {
                tasks.spawn(std::future::pending::<()>());
            }
            tasks.spawn(Arc::clone(&self).serve(client, account));
        }
    }

    async fn serve<S: Stream>(self: Arc<Self>, client: S, account: Account) {
        let by_hand = self.options.leak == Leak::CountByHand;
        let place = if by_hand {
            self.books.take_place();
            None
        } else {
            Some(Books::place(&self.books))
        };
        if self.options.leak == Leak::PhaseSkipped {
            account.enter(Phase::Relay, self.options.connection_timeout);
        } else {
            account.enter(Phase::Dial, self.options.connection_timeout);
        }
        let mut ahead = ReadAhead::default();
        let dialled = tokio::select! {
            biased;
            _ = ahead.watch(&client, EARLY) => return,
            dialled = self.dial() => dialled,
        };
        match dialled {
            Ok(backend) => self.connected(client, backend, ahead, &account).await,
            Err(_) if self.options.leak == Leak::EntryStays => account.forget(),
            Err(_) if self.options.leak == Leak::EndNotCounted => account.end_uncounted(),
            Err(_) => {}
        }
        if by_hand {
            self.books.give_place();
        }
        drop(place);
    }

    async fn dial(&self) -> io::Result<D::Stream> {
        let dialling = self.dialer.dial((&self.options.target).into());
        let backend = if self.options.leak == Leak::NoDialDeadline {
            dialling.await?
        } else {
            tokio::time::timeout(self.options.connection_timeout, dialling).await??
        };
        backend.keep_alive(&KeepAlive::default())?;
        Ok(backend)
    }

    async fn connected<S: Stream>(&self, client: S, backend: D::Stream, ahead: ReadAhead, account: &Account) {
        let leak = self.options.leak;
        if leak != Leak::PhaseSkipped {
            account.enter(Phase::Relay, self.options.inactivity_timeout);
        }
        let orderly = if leak == Leak::EndsAtFirstFin {
            relay::until_first_fin(&client, &backend, ahead).await
        } else {
            relay::until_both_ended(&client, &backend, ahead, &self.options, account).await
        };
        if leak == Leak::BufferStays {
            self.books.bury(vec![0_u8; 64 * 1024]);
        }
        if !orderly {
            return;
        }
        client.finish();
        if leak == Leak::SocketStays {
            self.books.bury(backend);
        } else {
            backend.finish();
        }
    }
}

#[cfg(test)]
mod tests;
