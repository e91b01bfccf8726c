//! A listener as its accept loops have it.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{Generation, Listener};

/// A listener in one generation.
#[derive(Debug)]
pub(crate) struct ListenerInForce<D> {
    pub(crate) at: Arc<Listener>,
    pub(crate) proxy: Arc<Generation<D>>,
}

/// What a listener is in the generation in force: exchanged by a reload, looked up at each accept.
pub(crate) type CurrentListener<D> = ArcSwap<ListenerInForce<D>>;
