//! What every stage before the backend hands on to the next, whole.

use proxy_conn::ConnGuard;
use proxy_core::ReadAhead;
use proxy_core::hello::ClientHello;

use super::origin::Origin;
use crate::generation::{Generation, Listener};

/// A connection on its way to a backend: its client, and what is known of it so far. A fact that a stage finds has a field
/// here, so that only that stage and those that use it know of it.
pub(super) struct Passage<'p, S, D> {
    pub(super) client: &'p S,
    /// What the client has sent, to be replayed to the backend.
    pub(super) ahead: ReadAhead,
    /// Who it is from: its peer, until a header says otherwise.
    pub(super) origin: Origin,
    /// None where nobody needed to know, or there is none to go by.
    pub(super) hello: Option<ClientHello>,
    /// Where it was accepted.
    pub(super) at: &'p Listener,
    /// The generation that it was accepted under.
    pub(super) proxy: &'p Generation<D>,
}

impl<'p, S, D> Passage<'p, S, D> {
    /// The way of a connection that was just accepted.
    pub(super) fn new(conn: &ConnGuard, client: &'p S, at: &'p Listener, proxy: &'p Generation<D>) -> Self {
        let origin = Origin::itself(conn, at);
        Self { client, ahead: ReadAhead::default(), origin, hello: None, at, proxy }
    }

    /// The same over another stream of the client's, of which `ahead` was read.
    pub(super) fn over<'c, C>(self, client: &'c C, ahead: ReadAhead) -> Passage<'c, C, D>
    where
        'p: 'c,
    {
        let Self { origin, hello, at, proxy, .. } = self;
        Passage { client, ahead, origin, hello, at, proxy }
    }
}
