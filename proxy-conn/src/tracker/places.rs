//! The places of one shard's entries: a vector with a list of those that are free.
//!
//! A slot map would do the same for twice the memory: its generations protect from stale keys, and there are none. A
//! place is known to one guard alone, which gives it up once, in its `Drop`.

use std::sync::Arc;

use crate::entry::Entry;

/// Where an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u32);

/// The entries that have a place.
#[derive(Debug, Default)]
pub(super) struct Places {
    entries: Vec<Option<Arc<Entry>>>,
    free: Vec<u32>,
}

impl Places {
    /// Gives `entry` a place: one that was given up lately (it is in the caches), else a new one.
    pub(super) fn insert(&mut self, entry: Arc<Entry>) -> Place {
        if let Some(free) = self.free.pop()
            && let Some(place) = self.entries.get_mut(free as usize)
        {
            *place = Some(entry);
            return Place(free);
        }
        if self.entries.len() == self.entries.capacity() {
            // By a quarter, not twofold: a million places that nobody needs are eight megabytes.
            self.entries.reserve_exact((self.entries.len() / 4).max(16));
        }
        // INVARIANT: an entry has descriptors, and a process has fewer than 2³¹ of them.
        let place = Place(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        self.entries.push(Some(entry));
        place
    }

    /// The entry that was at `place`, which is free now.
    pub(super) fn remove(&mut self, place: Place) -> Option<Arc<Entry>> {
        let entry = self.entries.get_mut(place.0 as usize)?.take()?;
        self.free.push(place.0);
        Some(entry)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Home;
    use crate::opening::Opening;
    use proxy_core::PeerAddr;
    use tokio::time::Instant;

    fn entry() -> Arc<Entry> {
        let home = Home { instance: 1, began: Instant::now() };
        Arc::new(Entry::new(
            1,
            Opening::new(PeerAddr::new(([127, 0, 0, 1], 1).into()), "test"),
            home,
            home.began,
        ))
    }

    #[test]
    fn a_place_is_given_up_once_and_then_given_again() {
        let mut places = Places::default();
        let (first, second) = (places.insert(entry()), places.insert(entry()));
        assert_ne!(first, second);
        assert!(places.remove(first).is_some());
        assert!(places.remove(first).is_none());
        assert_eq!((places.len(), places.iter().count()), (1, 1));
        assert_eq!(places.insert(entry()), first);
        assert!(places.remove(second).is_some() && places.remove(first).is_some());
        assert!(places.is_empty());
    }

    #[test]
    fn places_grow_by_a_quarter() {
        let mut places = Places::default();
        for _ in 0..10_000 {
            places.insert(entry());
        }
        assert!(places.entries.capacity() <= 12_500, "{}", places.entries.capacity());
    }
}
