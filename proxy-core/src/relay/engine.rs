//! What moves the bytes of a relay: the seam for other ways of doing so than reading and writing when the streams are ready.

use std::future::Future;

use super::{Meter, Preface, RelayEnd, RelayLimits, relay};
use crate::stream::Stream;

/// A way of relaying both directions between two streams.
///
/// Whatever an engine does, what [`relay`] promises holds: a FIN goes on as a FIN behind all bytes and a reset as a reset, what
/// one side does not take holds the other up, every deadline of the [`RelayLimits`] is kept, every byte is metered, and what is
/// moved is the streams' alone (dropping the future leaves nothing under way that would still use their descriptors).
///
/// By value, and so a handle where an engine has a state: a future that borrowed it would carry it beside everything else.
pub trait Engine: Copy + Send + Sync + 'static {
    /// Relays both ways until both sides have ended, one has reset, or a deadline has passed; as [`relay`] does.
    ///
    /// Not resumable: dropped before its end, bytes it held are lost, so the streams must then be dropped too (which resets).
    fn relay<'a, C: Stream, B: Stream, M: Meter>(
        self,
        client: &'a C,
        backend: &'a B,
        preface: Preface,
        limits: &'a RelayLimits,
        meter: &'a M,
    ) -> impl Future<Output = RelayEnd> + Send;
}

/// Polls both streams and copies or splices what is there: [`relay`] itself. For streams of every kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct PollLoop;

impl Engine for PollLoop {
    fn relay<'a, C: Stream, B: Stream, M: Meter>(
        self,
        client: &'a C,
        backend: &'a B,
        preface: Preface,
        limits: &'a RelayLimits,
        meter: &'a M,
    ) -> impl Future<Output = RelayEnd> + Send {
        relay(client, backend, preface, limits, meter)
    }
}
