//! Under which number the tracker knows a pool.

use std::sync::Arc;

use parking_lot::Mutex;
use proxy_conn::{PoolId, Tracker};

use super::Pool;
use crate::settings::PoolConfig;

/// The names of all pools that there ever were, by the number that each has in the tracker. Clones are the same table.
///
/// A name keeps its number, also while it is in no configuration: its connections live on. Only when there are no numbers
/// left is one given anew whose connections are all gone.
#[derive(Debug, Clone)]
pub struct Numbers(Arc<Mutex<Vec<Arc<str>>>>);

/// Every number that the tracker can keep stands for a pool that has connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} pools that are no longer configured still have connections: end these, or keep the pools' names",
    PoolId::COUNT
)]
pub struct NoNumber;

impl Numbers {
    pub(crate) fn of(pools: &[PoolConfig]) -> Self {
        Self(Arc::new(Mutex::new(pools.iter().map(|pool| Arc::clone(&pool.name)).collect())))
    }

    /// The name of a pool.
    #[must_use]
    pub fn name(&self, id: PoolId) -> Option<Arc<str>> {
        self.0.lock().get(id.number()).cloned()
    }

    /// The numbers of `pools`, which are to follow those `in_force`.
    pub(crate) fn assign(
        &self,
        pools: &[PoolConfig],
        in_force: &[Pool],
        tracker: &Tracker,
    ) -> Result<Vec<PoolId>, NoNumber> {
        let mut names = self.0.lock();
        let mut living = None;
        pools.iter().map(|pool| number(&mut names, pool, pools, in_force, tracker, &mut living)).collect()
    }
}

/// The number of one pool; a new one if it has none.
fn number(
    names: &mut Vec<Arc<str>>,
    pool: &PoolConfig,
    pools: &[PoolConfig],
    in_force: &[Pool],
    tracker: &Tracker,
    living: &mut Option<Vec<PoolId>>,
) -> Result<PoolId, NoNumber> {
    if let Some(known) = names.iter().position(|name| *name == pool.name) {
        return PoolId::new(known).ok_or(NoNumber);
    }
    if names.len() < PoolId::COUNT {
        names.push(Arc::clone(&pool.name));
        return PoolId::new(names.len() - 1).ok_or(NoNumber);
    }
    let living = living
        .get_or_insert_with(|| tracker.connections().iter().filter_map(proxy_conn::Tracked::pool).collect());
    let is_free = |(number, name): (usize, &Arc<str>)| {
        let id = PoolId::new(number)?;
        let is_used = living.contains(&id)
            || in_force.iter().any(|pool| pool.id == id)
            || pools.iter().any(|pool| pool.name == *name);
        (!is_used).then_some(id)
    };
    let free = names.iter().enumerate().find_map(is_free).ok_or(NoNumber)?;
    tracker.forget_pool(free);
    if let Some(name) = names.get_mut(free.number()) {
        *name = Arc::clone(&pool.name);
    }
    Ok(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(name: &str) -> Vec<PoolConfig> {
        ["direct", "chain", name].map(PoolConfig::named).into()
    }

    #[test]
    fn a_name_keeps_its_number_and_numbers_are_given_anew_only_when_there_are_no_others() {
        let tracker = Tracker::new(1, ());
        let numbers = Numbers::of(&configured("first"));
        let opening = proxy_conn::Opening::new(proxy_core::PeerAddr::new(([127, 0, 0, 1], 1).into()), "test");
        // All but the first two, which are always configured, are of pools that are gone and have connections.
        let mut open = Vec::new();
        for n in 2..PoolId::COUNT {
            let name = if n == 2 { "first".to_owned() } else { format!("p{n}") };
            let assigned = numbers.assign(&configured(&name), &[], &tracker).unwrap();
            assert_eq!(assigned.iter().map(|id| id.number()).collect::<Vec<_>>(), [0, 1, n]);
            let guard = tracker.open(0, opening.clone());
            guard.join(assigned[2], false);
            open.push(guard);
        }
        assert_eq!(
            numbers.assign(&configured("p7"), &[], &tracker),
            Ok([0, 1, 7].map(|n| PoolId::new(n).unwrap()).to_vec())
        );
        assert_eq!(numbers.assign(&configured("one more"), &[], &tracker), Err(NoNumber));
        assert_eq!(numbers.name(PoolId::new(7).unwrap()).as_deref(), Some("p7"));
        drop(open.remove(5));
        assert_eq!(
            numbers.assign(&configured("one more"), &[], &tracker),
            Ok([0, 1, 7].map(|n| PoolId::new(n).unwrap()).to_vec())
        );
        assert_eq!(numbers.name(PoolId::new(7).unwrap()).as_deref(), Some("one more"));
    }
}
