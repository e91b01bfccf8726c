//! What became of one connection, as its two outer ends saw it.
//!
//! ```text
//! client ── sent, received ──► any number of hops ──► sent, received ── backend
//!    did: FIN | cut | RST                                  did: FIN | cut | RST
//!    saw: FIN | cut | RST | nothing                        saw: FIN | cut | RST | nothing
//! ```

use std::time::Duration;

use super::{Breach, Law};

/// How an end ended its own direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Did {
    /// Not at all (yet).
    #[default]
    Nothing,
    /// With a FIN, at that time; it goes on reading.
    Fin(Duration),
    /// With a FIN but without the end of its TLS, at that time: who cuts in between does so, and nothing may make a whole of it.
    Cut(Duration),
    /// With a reset, at that time.
    Reset(Duration),
    /// Its machine went away without a word.
    Vanished,
}

/// How an end saw the other direction end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Saw {
    /// Nothing so far, and it is still there to see.
    #[default]
    Nothing,
    /// Nothing, and it looks no more: it has reset the connection itself, or stopped reading.
    NotLooking,
    /// A FIN, at that time.
    Fin(Duration),
    /// A FIN without the end of the TLS that it has, at that time.
    Cut(Duration),
    /// A reset (or the kernel's own verdict that the peer is gone), at that time.
    Reset(Duration),
}

/// One outer end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Party {
    /// Bytes that it handed to its socket.
    pub sent: u64,
    /// Bytes that it read.
    pub received: u64,
    /// The position of the first byte that was not the one sent there.
    pub wrong_at: Option<u64>,
    /// When a byte for it last arrived, as its machine has acknowledged it; and when one of its own was last acknowledged.
    pub took: Duration,
    /// See `took`.
    pub gave: Duration,
    /// What it did.
    pub did: Did,
    /// What it saw.
    pub saw: Saw,
}

/// One connection from end to end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Journey {
    /// What it is called.
    pub name: String,
    /// The end that connected.
    pub client: Party,
    /// The end that accepted; None where no connection reached it.
    pub backend: Option<Party>,
    /// How long an end may take from one side to the other.
    pub patience: Duration,
    /// Whether a hop's machine went without a word while it was open. What that hop held is lost, and whoever answers in
    /// its place says what it likes: only the prefix can be held against anybody.
    pub excused: bool,
    /// The shortest deadline of silence that held for it, less the time that news of a byte may take, where nothing else can have ended it: one hop that saw both ends,
    /// and nobody who meddled. None where that is not known.
    pub silence: Option<Duration>,
}

/// What is wrong with a connection, when all is quiet and both ends have seen what there is to see.
#[must_use]
pub fn journey(of: &Journey) -> Vec<Breach> {
    let nobody = Party { saw: Saw::NotLooking, ..Party::default() };
    let backend = of.backend.as_ref().unwrap_or(&nobody);
    let mut breaches = Vec::new();
    for (name, near, far) in [("client", &of.client, backend), ("backend", backend, &of.client)] {
        let mut broken = |law, detail: String| {
            breaches.push(Breach::new(law, of.name.as_str(), format!("{name}: {detail}")));
        };
        if let Some(fault) = bytes(near, far, of.excused) {
            broken(Law::BytesTrue, fault);
        }
        if let Some(fault) = ends(near, far, of).filter(|_| !of.excused) {
            broken(Law::EndsTravel, fault);
        }
        if let Some(fault) = cut_alive(near, far, of) {
            broken(Law::LivingKept, fault);
        }
    }
    breaches
}

/// What is wrong with the bytes that `near` received from `far`.
fn bytes(near: &Party, far: &Party, excused: bool) -> Option<String> {
    if let Some(at) = near.wrong_at {
        return Some(format!("byte {at} of {} is not the one that was sent", near.received));
    }
    if near.received > far.sent {
        return Some(format!("received {} bytes, and only {} were sent", near.received, far.sent));
    }
    let clean = matches!(near.saw, Saw::Fin(_)) && !excused;
    (clean && near.received < far.sent)
        .then(|| format!("saw a clean end after {} of {} bytes", near.received, far.sent))
}

/// Whether a deadline of silence has ended somebody who lived: both sides had taken or given bytes since, and whoever had
/// bytes to take was taking them.
fn cut_alive(near: &Party, far: &Party, of: &Journey) -> Option<String> {
    let silence = of.silence.filter(|_| of.backend.is_some())?;
    let made_by_nobody = |party: &Party| matches!(party.did, Did::Nothing | Did::Fin(_));
    let Saw::Reset(at) = near.saw else { return None };
    if !made_by_nobody(near) || !made_by_nobody(far) {
        return None;
    }
    let silent_for = |since: Duration| at.saturating_sub(since) >= silence;
    let last = [near, far].map(|party| party.took.max(party.gave)).into_iter().max()?;
    let takes_nothing = |party: &Party, from: &Party| party.received < from.sent && silent_for(party.took);
    if silent_for(last) || takes_nothing(near, far) || takes_nothing(far, near) {
        return None;
    }
    Some(format!(
        "was cut at {at:?}, although bytes moved at {last:?} and {silence:?} of silence are allowed"
    ))
}

/// What is wrong with the end that `near` saw, after what `far` did.
fn ends(near: &Party, far: &Party, of: &Journey) -> Option<String> {
    let late = |did: Duration, saw: Duration| {
        (saw > did + of.patience).then(|| format!("saw at {saw:?} an end of {did:?}"))
    };
    match (far.did, near.saw) {
        // An end that nobody made.
        (Did::Nothing | Did::Vanished, Saw::Fin(at)) => Some(format!("saw a FIN at {at:?} that nobody sent")),
        (Did::Reset(did), Saw::Fin(saw)) => Some(format!("saw a FIN at {saw:?} for a reset at {did:?}")),
        (Did::Cut(did), Saw::Fin(saw)) => {
            Some(format!("saw a whole end at {saw:?} for one that was cut at {did:?}"))
        }
        (_, Saw::Cut(at)) => Some(format!("saw a FIN at {at:?} without the end of its TLS")),
        // An end that did not arrive.
        (Did::Fin(did) | Did::Cut(did) | Did::Reset(did), Saw::Nothing) => Some(format!("never saw an end of {did:?}")),
        // Whoever is slow to read, or whose peer is, sees a FIN late; a reset overtakes.
        (Did::Reset(did), Saw::Reset(saw)) => late(did, saw),
        // A hop may end with a reset what one side has ended with a FIN: by a deadline.
        (Did::Fin(_), Saw::Fin(_) | Saw::Reset(_))
        // What came before it is delivered first.
        | (Did::Cut(_), Saw::Reset(_))
        | (Did::Nothing | Did::Vanished, Saw::Nothing | Saw::Reset(_))
        | (_, Saw::NotLooking) => None,
    }
}
