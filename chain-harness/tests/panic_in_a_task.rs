//! The task of a connection panics: its own connection ends, at once and on both sides, and nobody else notices.

use std::sync::atomic::{AtomicUsize, Ordering};

use chain_harness::{Backend, Ending, Hop, PATIENCE, Wire, config, eventually, open_descriptors, scenario};
use proxy_conn::{Cause, ConnId, Phase, Subscriber};

/// Panics in the task of every `nth` connection that comes to `phase`.
struct Panics {
    phase: Phase,
    nth: usize,
    seen: AtomicUsize,
}

impl Subscriber for Panics {
    fn entered(&self, _id: ConnId, phase: Phase) {
        let its_turn =
            phase == self.phase && (self.seen.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(self.nth);
        assert!(!its_turn, "a panic as the scenario wants it");
    }
}

const CLIENTS: usize = 30;
const NTH: usize = 3;

fn in_phase(phase: Phase) {
    scenario(async {
        let backend = Backend::silent();
        let config = config::single("limits.max_connections = 40\nworkers = 2", &[&backend.addr()]);
        let hop = Hop::watched_by(Panics { phase, nth: NTH, seen: AtomicUsize::new(0) }, &config);
        let quiet = open_descriptors();
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let mut client = Wire::connect(hop.addr()).await;
            // A half-close is what leads from the relay to the drain.
            client.try_send("request").await.unwrap_or_default();
            if phase == Phase::Drain {
                client.half_close().await;
            }
            clients.push(client);
        }
        let panicked = CLIENTS / NTH;
        eventually(PATIENCE, || hop.ends_of(Cause::Panicked) == panicked as u64).await;
        eventually(PATIENCE, || hop.tracker().len() == CLIENTS - panicked).await;
        assert_eq!(hop.permits(), CLIENTS - panicked, "their permits are back");
        let mut reset = 0;
        for client in &mut clients {
            let quiet = std::time::Duration::from_millis(20);
            if let Ok(said) = tokio::time::timeout(quiet, client.read_some()).await {
                assert!(said.is_empty() && client.received().end == Some(Ending::Reset));
                reset += 1;
            }
        }
        assert_eq!(reset, panicked, "each of theirs, and no other");
        clients.into_iter().for_each(Wire::reset);
        eventually(PATIENCE, || (hop.tracker().len(), hop.permits()) == (0, 0)).await;
        eventually(PATIENCE, || open_descriptors() == quiet).await;
        hop.is_clean().await;
    });
}

#[test]
fn while_it_dials() {
    in_phase(Phase::Dial);
}

#[test]
fn when_it_begins_to_relay() {
    in_phase(Phase::Relay);
}

#[test]
fn when_one_side_has_ended() {
    in_phase(Phase::Drain);
}
