//! What PROXY headers had no room for: counted for each route, and told once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// What a header does without where it would be too long, in the order in which it gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Omission {
    /// Fields of a received header that the proxy does not know.
    PassedOn,
    /// What is known of the client's TLS.
    Ssl,
    /// The protocol that was agreed upon with the client, or that it prefers.
    Alpn,
    /// Ids of the hops before, the oldest first.
    OlderIds,
    /// The name that the client asks for.
    Authority,
    /// The connection's id.
    UniqueId,
}

impl Omission {
    /// Every kind, in order.
    pub const ALL: [Self; 6] =
        [Self::PassedOn, Self::Ssl, Self::Alpn, Self::OlderIds, Self::Authority, Self::UniqueId];

    /// The stable name: a metric's label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PassedOn => "passed_on",
            Self::Ssl => "ssl",
            Self::Alpn => "alpn",
            Self::OlderIds => "older_ids",
            Self::Authority => "authority",
            Self::UniqueId => "unique_id",
        }
    }
}

/// How many headers of a route went without what.
#[derive(Debug, Default)]
pub struct Omissions {
    /// Of the route's name, whatever generation it is in.
    counts: Arc<[AtomicU64; Omission::ALL.len()]>,
    /// Whether it was told since the configuration came into force.
    told: AtomicBool,
}

impl Omissions {
    /// Those of the same route in the next generation: they go on counting, and are logged anew.
    #[must_use]
    pub fn after(before: &Self) -> Self {
        Self { counts: Arc::clone(&before.counts), ..Self::default() }
    }

    /// Counts what one header went without; whether that is to be told.
    #[must_use]
    pub fn count(&self, omitted: impl Iterator<Item = Omission>) -> bool {
        for omission in omitted {
            self.counts.get(omission as usize).map(|count| count.fetch_add(1, Relaxed));
        }
        !self.told.swap(true, Relaxed)
    }

    /// How many headers went without each.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Omission::ALL
            .into_iter()
            .zip(&*self.counts)
            .map(|(omission, count)| (omission.name(), count.load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_a_generation_and_counted_on() {
        let first = Omissions::default();
        assert!(first.count([Omission::Alpn].into_iter()), "told");
        assert!(!first.count([Omission::Alpn, Omission::Authority].into_iter()), "and not again");
        let next = Omissions::after(&first);
        assert!(next.count([Omission::Alpn].into_iter()), "with another configuration it is");
        let counts: Vec<_> = next.counts().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counts, [("alpn", 3), ("authority", 1)]);
    }
}
