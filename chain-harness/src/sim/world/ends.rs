//! What became of the connections of a world.

use std::time::Duration;

use super::super::conn::RECEIVE_BUFFER;
use super::super::crowd::Slot;
use super::super::hop::TICK;
use super::super::scenario::{Backend, Client, Enters, Reads, Script, Settings, Targets};
use super::{PATIENCE, World};
use crate::laws::{self, Breach, Journey, Law};

impl World<'_> {
    /// Holds every connection against the laws.
    pub(super) fn journeys(&mut self) {
        let named = self.scenario.clients.iter().zip(self.crowd.slots()).enumerate();
        let breaches = named.flat_map(|(n, (client, slot))| match self.journey(n, client, slot) {
            Some(journey) => laws::journey(&journey),
            None => vec![Breach::new(Law::EndsTravel, format!("client {n}"), "it never came to its end")],
        });
        let breaches: Vec<_> = breaches.collect();
        self.breaches.extend(breaches);
    }

    fn journey(&self, n: usize, client: &Client, slot: Slot) -> Option<Journey> {
        let from = self.round_began + Duration::from_millis(client.at.into());
        let to = slot.ended + TICK;
        Some(Journey {
            name: format!("client {n}"),
            client: slot.client?,
            backend: slot.backend,
            patience: self.patience(client),
            silence: self.silence(client),
            excused: self.losses.iter().any(|at| (from..=to).contains(at)),
        })
    }

    /// The shortest deadline of silence of a client's connection: where it is known that nothing else ended it.
    fn silence(&self, client: &Client) -> Option<Duration> {
        let Settings {
            inactivity_timeout, half_closed_timeout, write_stall_timeout, no_data_timeout, ..
        } = &self.scenario.inner;
        let is_checked = matches!(self.scenario.inner.targets, Targets::Checked(_));
        let alone =
            matches!(client.enters, Enters::AtInner(..)) && self.scenario.faults.is_empty() && !is_checked;
        let shortest = *[inactivity_timeout, half_closed_timeout, write_stall_timeout].into_iter().min()?;
        let shortest = no_data_timeout.map_or(shortest, |no_data| no_data.min(shortest));
        let news = TICK + 4 * Duration::from_millis(self.scenario.latency.into());
        (alone && !self.interrupted).then(|| Duration::from_millis(shortest.into()).saturating_sub(news))
    }

    /// How long an end of this client's connection may take from one side to the other.
    fn patience(&self, client: &Client) -> Duration {
        let faults: Duration = self.scenario.faults.iter().map(|fault| fault.what.takes()).sum();
        let slow = |script: &Script| script.reads != Reads::All;
        let backend = match &client.backend {
            Backend::Plays(script) => slow(script),
            Backend::Echoes => slow(&client.script),
            Backend::Refuses | Backend::BlackHole => false,
        };
        // What was read before a reset is delivered to whoever is slow, for as long as it takes some.
        let delivery = if slow(&client.script) || backend {
            Duration::from_millis(
                (self.scenario.outer.half_closed_timeout + self.scenario.inner.half_closed_timeout).into(),
            )
        } else {
            Duration::ZERO
        };
        let own = match &client.backend {
            Backend::Plays(script) => client.script.reads.drains().max(script.reads.drains()),
            Backend::Echoes | Backend::Refuses | Backend::BlackHole => client.script.reads.drains(),
        };
        PATIENCE + faults + delivery + own
    }
}

impl Reads {
    /// How long an end takes to read what its own machine holds for it, before it sees a reset behind that.
    fn drains(self) -> Duration {
        match self {
            Self::All | Self::Only(_) => Duration::ZERO,
            Self::Slowly(bytes, every) => {
                let times = RECEIVE_BUFFER.div_ceil(usize::from(bytes.max(1)));
                Duration::from_millis(every.into()) * u32::try_from(times).unwrap_or(u32::MAX)
            }
        }
    }
}
