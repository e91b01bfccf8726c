//! TLS handshakes, by side and by how they went: counted for the process, whatever generation is in force.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use proxy_core::Side;
use proxy_tls::HandshakeFault;

/// Counts of handshakes, by side and outcome.
#[derive(Debug, Default)]
pub struct Handshakes {
    client: Counts,
    backend: Counts,
}

/// Those of one side.
#[derive(Debug, Default)]
struct Counts {
    full: AtomicU64,
    resumed: AtomicU64,
    failed: [AtomicU64; HandshakeFault::ALL.len()],
}

impl Handshakes {
    fn of(&self, side: Side) -> &Counts {
        match side {
            Side::Client => &self.client,
            Side::Backend => &self.backend,
        }
    }

    /// Counts one that is done.
    pub fn done(&self, side: Side, resumed: bool) {
        let counts = self.of(side);
        if resumed { &counts.resumed } else { &counts.full }.fetch_add(1, Relaxed);
    }

    /// Counts one that failed.
    pub fn failed(&self, side: Side, fault: HandshakeFault) {
        self.of(side).failed.get(fault as usize).map(|count| count.fetch_add(1, Relaxed));
    }

    /// How many are done with `side`: in full, and resumed.
    #[must_use]
    pub fn done_with(&self, side: Side) -> (u64, u64) {
        let counts = self.of(side);
        (counts.full.load(Relaxed), counts.resumed.load(Relaxed))
    }

    /// How many failed with `side`, by kind: every kind, those of which there was none too.
    pub fn failed_with(&self, side: Side) -> impl Iterator<Item = (HandshakeFault, u64)> {
        HandshakeFault::ALL
            .into_iter()
            .zip(&self.of(side).failed)
            .map(|(fault, count)| (fault, count.load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_under_its_side_and_kind() {
        let handshakes = Handshakes::default();
        handshakes.done(Side::Client, false);
        handshakes.done(Side::Client, true);
        for fault in HandshakeFault::ALL {
            handshakes.failed(Side::Backend, fault);
        }
        handshakes.failed(Side::Backend, HandshakeFault::Timeout);
        assert_eq!(
            (handshakes.done_with(Side::Client), handshakes.done_with(Side::Backend)),
            ((1, 1), (0, 0))
        );
        assert!(handshakes.failed_with(Side::Client).all(|(_, count)| count == 0));
        let counted = handshakes.failed_with(Side::Backend);
        assert!(
            counted
                .into_iter()
                .all(|(fault, count)| count == 1 + u64::from(fault == HandshakeFault::Timeout))
        );
    }
}
