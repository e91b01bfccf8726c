//! What goes wrong in a world, and when.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::super::hop::Site;
use super::super::kernel::Drops;
use super::super::scenario::{Fault, Hop, Link, What};
use super::super::settings::{BACKENDS, CLIENTS, INNER, OUTER};
use super::{HORIZON, World};
use crate::laws::{Breach, Law};

/// A point of the timeline.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    Begins(What),
    Ends(What),
}

impl World<'_> {
    /// Plays what is due.
    pub(super) fn play_events(&mut self) {
        let now = self.sim.elapsed();
        while let Some((_, event)) = self.timeline.pop_if(|(at, _)| *at <= now) {
            self.play_event(event, now);
        }
    }

    fn play_event(&mut self, event: Event, now: Duration) {
        match event {
            Event::Begins(What::Hold(link, _)) => self.sim.hold(link.ends().0, link.ends().1),
            Event::Ends(What::Hold(link, _)) => self.sim.release(link.ends().0, link.ends().1),
            Event::Begins(What::Cut(link, _)) => self.sim.partition(link.ends().0, link.ends().1),
            Event::Ends(What::Cut(link, _)) => self.sim.repair(link.ends().0, link.ends().1),
            Event::Begins(What::Kill(hop, _)) => self.crash(hop, Drops::Reset, now),
            Event::Begins(What::PowerLoss(hop, _)) => self.crash(hop, Drops::Silently, now),
            Event::Ends(What::Kill(hop, _)) => self.site(hop).comes_up(),
            Event::Ends(What::PowerLoss(hop, _)) => {
                let site = self.site(hop);
                site.comes_up();
                if !self.sim.is_host_running(IpAddr::V4(site.ip)) {
                    self.sim.bounce(IpAddr::V4(site.ip));
                }
            }
            Event::Begins(What::CancelAll(hop)) => self.site(hop).cancel_all(),
            Event::Begins(What::Panic(hop)) => self.site(hop).panic(),
            Event::Begins(What::ClockJump(hop, by)) => self.site(hop).jump(Duration::from_millis(by.into())),
            Event::Begins(What::Turns(who, mood, _)) => self.crowd.moods().turn(who, mood),
            Event::Ends(What::Turns(who, ..)) => self.crowd.moods().turn_back(who),
            Event::Ends(What::CancelAll(_) | What::Panic(_) | What::ClockJump(..)) => {}
        }
    }

    fn site(&self, hop: Hop) -> Arc<Site> {
        let [outer, inner] = &self.hops;
        Arc::clone(match hop {
            Hop::Outer => outer,
            Hop::Inner => inner,
        })
    }

    fn crash(&mut self, hop: Hop, drops: Drops, now: Duration) {
        let site = self.site(hop);
        if !site.is_up() {
            return;
        }
        if drops == Drops::Silently {
            self.losses.push(now);
        }
        let tracker = site.goes_down(drops);
        let ip = IpAddr::V4(site.ip);
        self.sim.crash(ip);
        if tracker.is_some_and(|tracker| !tracker.is_empty()) {
            self.breaches.push(Breach::new(
                Law::TrackerEmpty,
                site.name,
                "its tasks are gone, entries are not",
            ));
        }
        if drops == Drops::Reset {
            // The machine lives on, and refuses.
            self.sim.bounce(ip);
        }
    }
}

impl What {
    /// How long it lasts.
    pub(super) fn takes(self) -> Duration {
        match self {
            Self::Hold(_, millis) | Self::ClockJump(_, millis) => Duration::from_millis(millis.into()),
            // What was lost comes again, or is noticed to be lost, within this.
            Self::Cut(..) | Self::PowerLoss(..) => HORIZON,
            // Who is killed resets at once.
            Self::Kill(..) | Self::CancelAll(_) | Self::Panic(_) | Self::Turns(..) => Duration::ZERO,
        }
    }

    /// When it is over, if it begins now.
    fn lasts(self) -> Duration {
        match self {
            Self::Hold(_, millis)
            | Self::Cut(_, millis)
            | Self::Kill(_, millis)
            | Self::PowerLoss(_, millis)
            | Self::Turns(_, _, millis) => Duration::from_millis(millis.into()),
            Self::CancelAll(_) | Self::Panic(_) | Self::ClockJump(..) => Duration::ZERO,
        }
    }
}

impl Link {
    fn ends(self) -> (IpAddr, IpAddr) {
        let (a, b) = match self {
            Self::Front => (CLIENTS, OUTER),
            Self::Middle => (OUTER, INNER),
            Self::Back => (INNER, BACKENDS),
        };
        (a.into(), b.into())
    }
}

/// What happens when, the first last.
pub(super) fn timeline(faults: &[Fault]) -> Vec<(Duration, Event)> {
    let events = faults.iter().flat_map(|fault| {
        let at = Duration::from_millis(fault.at.into());
        [(at, Event::Begins(fault.what)), (at + fault.what.lasts(), Event::Ends(fault.what))]
    });
    let mut events: Vec<_> = events.collect();
    events.reverse();
    events.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    events
}
