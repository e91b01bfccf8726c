//! What a run of all works and proxies came to.

use std::collections::BTreeMap;

use super::proxy::Proxy;
use super::work::Work;

/// All figures: of each work, for each proxy, one list a round.
pub(crate) type Samples = BTreeMap<Work, BTreeMap<Proxy, Vec<Vec<f64>>>>;

/// What a run came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What each proxy says of itself.
    pub(crate) versions: BTreeMap<Proxy, String>,
    pub(crate) samples: Samples,
    /// What went wrong, and who was not here.
    pub(crate) notes: Vec<String>,
    /// The congestion control that everybody had by default.
    pub(crate) congestion: String,
    pub(crate) rounds: usize,
}
