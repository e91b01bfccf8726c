//! What is known of the hops of the chain.

use parking_lot::{Mutex, MutexGuard};

use super::standing::Standing;
use crate::config::HopAt;
use proxy_api::model::Disagreement;

/// What is known of this hop and the others, in the order in which connections pass them.
#[derive(Debug, Default)]
pub(in crate::admin) struct Hops(Mutex<Known>);

#[derive(Debug, Default, Clone)]
pub(in crate::admin) struct Known {
    /// This hop.
    pub(in crate::admin) own: Standing,
    /// The others, as the configuration has them.
    pub(in crate::admin) others: Vec<Other>,
    /// What of their configurations does not fit together, or why that is not known.
    pub(in crate::admin) compared: Option<Result<Vec<Disagreement>, String>>,
    /// Which configurations that is about.
    pub(super) about: Vec<Version>,
}

/// Another hop.
#[derive(Debug, Clone)]
pub(in crate::admin) struct Other {
    pub(in crate::admin) at: HopAt,
    pub(in crate::admin) standing: Standing,
}

/// Which configuration a hop has in force: its process and the number of its generation.
pub(super) type Version = (u32, u64);

impl Hops {
    /// What is known now.
    pub(in crate::admin) fn known(&self) -> Known {
        self.0.lock().clone()
    }

    /// What is known, to be changed.
    pub(super) fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock()
    }

    /// Takes over which hops there are: what is known of those that stay is kept.
    pub(super) fn follow(&self, wanted: &[HopAt]) {
        let mut known = self.0.lock();
        if known.others.iter().map(|other| &other.at).eq(wanted) {
            return;
        }
        let before = std::mem::take(&mut known.others);
        let kept = |at: &HopAt| before.iter().find(|other| other.at == *at).cloned();
        let new = |at: &HopAt| Other { at: at.clone(), standing: Standing::default() };
        known.others = wanted.iter().map(|at| kept(at).unwrap_or_else(|| new(at))).collect();
    }
}
