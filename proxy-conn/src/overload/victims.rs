//! Which connections of an overloaded pool are ended first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::os::fd::RawFd;
use std::time::Duration;

use super::level::Strength;
use super::options::OverloadOptions;
use crate::entry::ConnView;
use crate::id::ConnId;
use crate::phase::Phase;

/// A connection that may be ended: what the choice depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: ConnId,
    /// Its phase.
    pub phase: Phase,
    /// Since bytes last moved (since it was accepted, if none has).
    pub idle: Duration,
    /// Bytes that have moved, both ways together.
    pub moved: u64,
    /// The descriptors it holds: the client's, the backend's. By the time that one is asked it may be another socket's.
    pub descriptors: [Option<RawFd>; 2],
}

impl From<&ConnView> for Candidate {
    fn from(view: &ConnView) -> Self {
        let moved = view.from_client.saturating_add(view.from_backend);
        let descriptors = [view.client_descriptor, view.backend_descriptor];
        Self { id: view.id, phase: view.phase, idle: view.idle, moved, descriptors }
    }
}

/// What the kernel knows of the bytes that were written to a connection's two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// How many of them were not acknowledged yet.
    pub owed: usize,
    /// Since some were last put on the wire: a reader that is slow makes room for them long after they were written.
    pub ago: Duration,
}

impl Sent {
    /// Nothing, ever.
    pub const NOTHING: Self = Self { owed: 0, ago: Duration::MAX };

    /// Of two sides.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { owed: self.owed.saturating_add(other.owed), ago: self.ago.min(other.ago) }
    }

    /// Whether a peer may have been taking some within this time, although nothing was read or written.
    fn may_be_taken(self, within: Duration) -> bool {
        self.owed > 0 || self.ago < within
    }
}

/// Why a connection was chosen, the first to go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Useless {
    /// Established, and never a byte either way.
    NoData,
    /// One side has ended, and the other is silent.
    HalfClosed,
    /// Established, and silent.
    Idle,
}

impl fmt::Display for Useless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoData => "no data",
            Self::HalfClosed => "half-closed",
            Self::Idle => "idle",
        })
    }
}

/// A connection that is to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Victim {
    /// Its id.
    pub id: ConnId,
    /// Why it was chosen.
    pub why: Useless,
    /// For how long it was silent.
    pub idle: Duration,
}

impl Candidate {
    /// Why it may go, if it may. One that is busy may not, nor may one that is still being connected: that has a short
    /// deadline of its own.
    fn useless(&self, options: &OverloadOptions) -> Option<Useless> {
        if self.idle < options.victims_idle.get() {
            return None;
        }
        match self.phase {
            // A request that is under way has deadlines of its own as well.
            Phase::Header | Phase::Peek | Phase::Tls | Phase::Dial | Phase::Busy => None,
            Phase::Relay if self.moved == 0 => Some(Useless::NoData),
            Phase::Idle | Phase::Relay => Some(Useless::Idle),
            Phase::Drain => Some(Useless::HalfClosed),
        }
    }
}

/// What there is to be gained by ending connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Relief {
    /// How hard the share is applied.
    pub(super) strength: Strength,
    /// How many places somebody needs. Of those that have carried bytes so many go at the most.
    pub(super) wanted: u64,
}

impl Relief {
    /// Nothing.
    pub(super) const NONE: Self = Self { strength: Strength::NONE, wanted: 0 };
}

/// How many victims there are at the most among so many `candidates`: the options' share of them, times `strength`, rounded
/// down.
pub(super) fn most(candidates: usize, strength: Strength, options: &OverloadOptions) -> usize {
    let share = options.victims_share.of(candidates);
    share.saturating_mul(usize::from(strength.thousandths())) / usize::from(Strength::FULL.thousandths())
}

/// The victims among `candidates`, in the order in which they should go: those without data, the half-closed, the idle;
/// among each the longest silent first. At most [`most`] of them, of those with data no more than are wanted, and nobody who is
/// still taking what was `sent`: which is asked last, since it costs system calls.
///
/// Silence is measured by what the proxy reads and writes. Whoever has not acknowledged yet what was written to it may be
/// taking it from the kernel's buffers all the time; whether it is, its own deadlines judge.
pub(super) fn choose(
    candidates: &[Candidate],
    relief: Relief,
    options: &OverloadOptions,
    mut sent: impl FnMut(&Candidate) -> Sent,
) -> Vec<Victim> {
    let most = most(candidates.len(), relief.strength, options);
    if most == 0 {
        return Vec::new();
    }
    let ranked = |(n, one): (usize, &Candidate)| {
        one.useless(options).map(|why| Reverse((why, Reverse(one.idle), one.id, n)))
    };
    // Of a hundred thousand, only those that go are sorted, and whom they are chosen before.
    let mut in_order: BinaryHeap<_> = candidates.iter().enumerate().filter_map(ranked).collect();
    let mut is_busy = |one: &Candidate| sent(one).may_be_taken(options.victims_idle.get());
    let (mut victims, mut with_data) = (Vec::new(), 0);
    while victims.len() < most
        && let Some(Reverse((why, Reverse(idle), id, n))) = in_order.pop()
    {
        let has_data = why != Useless::NoData;
        if has_data && with_data >= relief.wanted {
            break;
        }
        if candidates.get(n).is_some_and(&mut is_busy) {
            continue;
        }
        with_data += u64::from(has_data);
        victims.push(Victim { id, why, idle });
    }
    victims
}

#[cfg(test)]
mod tests {
    use super::super::percent::Percent;
    use super::*;
    use proptest::prelude::*;

    /// As strong as that, for whoever wants a place.
    fn relief(thousandths: u64) -> Relief {
        Relief { strength: Strength::from_thousandths(thousandths), wanted: u64::MAX }
    }

    fn candidate(count: u64, phase: Phase, idle_secs: u64, moved: u64) -> Candidate {
        let id = ConnId { instance: 0, count };
        Candidate { id, phase, idle: Duration::from_secs(idle_secs), moved, descriptors: [None; 2] }
    }

    fn nothing(_: &Candidate) -> Sent {
        Sent::NOTHING
    }

    fn greedy() -> OverloadOptions {
        OverloadOptions { victims_share: Percent::MAX, ..OverloadOptions::default() }
    }

    #[test]
    fn who_goes_first() {
        let candidates = [
            candidate(1, Phase::Relay, 9_000, 5),
            candidate(2, Phase::Relay, 9, 5),
            candidate(3, Phase::Relay, 10, 5),
            candidate(4, Phase::Drain, 20, 5),
            candidate(5, Phase::Drain, 30, 0),
            candidate(6, Phase::Relay, 10, 0),
            candidate(7, Phase::Relay, 9, 0),
            candidate(8, Phase::Relay, 40, 0),
            candidate(9, Phase::Header, 90, 0),
            candidate(10, Phase::Peek, 90, 0),
            candidate(11, Phase::Dial, 90, 0),
            candidate(12, Phase::Drain, 9, 5),
        ];
        let line = |v: Victim| format!("{:>2} {:<11} {:>4}s\n", v.id.count, v.why, v.idle.as_secs());
        let chosen = choose(&candidates, relief(1000), &greedy(), nothing);
        insta::assert_snapshot!(chosen.into_iter().map(line).collect::<String>(), @r"
        8 no data       40s
        6 no data       10s
        5 half-closed   30s
        4 half-closed   20s
        1 idle        9000s
        3 idle          10s
        ");
        let half: Vec<_> = choose(&candidates, relief(250), &greedy(), nothing);
        assert_eq!(half.iter().map(|v| v.id.count).collect::<Vec<_>>(), [8, 6, 5]);
    }

    #[test]
    fn who_has_carried_bytes_goes_only_where_the_place_is_wanted() {
        let silent = [Phase::Relay, Phase::Drain].map(|phase| candidate(1, phase, 9000, 5));
        let candidates = [&silent[..], &[candidate(2, Phase::Relay, 10, 0)]].concat();
        let gone = |wanted| {
            let chosen = choose(&candidates, Relief { wanted, ..relief(1000) }, &greedy(), nothing);
            chosen.into_iter().map(|victim| victim.why).collect::<Vec<_>>()
        };
        assert_eq!(gone(0), [Useless::NoData]);
        assert_eq!(gone(1), [Useless::NoData, Useless::HalfClosed]);
        assert_eq!(gone(2), [Useless::NoData, Useless::HalfClosed, Useless::Idle]);
    }

    /// A slow reader has megabytes in the kernel's buffers, and the proxy nothing to do for it.
    #[test]
    fn who_has_not_taken_yet_what_was_written_is_not_idle() {
        let [reader, half_closed] = [Phase::Relay, Phase::Drain].map(|phase| candidate(1, phase, 9000, 5));
        let candidates =
            [reader, half_closed, candidate(2, Phase::Relay, 20, 5), candidate(3, Phase::Relay, 10, 5)];
        let (mut asked, relief) = (Vec::new(), Relief { wanted: 1, ..relief(1000) });
        let chosen = choose(&candidates, relief, &greedy(), |one| {
            asked.push(one.id.count);
            Sent { owed: usize::from(one.id.count == 1), ago: Duration::MAX }
        });
        assert_eq!(
            chosen.iter().map(|victim| victim.id.count).collect::<Vec<_>>(),
            [2],
            "another goes instead"
        );
        assert_eq!(asked, [1, 1, 2], "and no more of them are asked than that takes");
        let ended = |owed, ago| {
            let sent = Sent { owed: 0, ago: Duration::from_millis(ago) };
            choose(&candidates, relief, &greedy(), |_| sent.and(Sent { owed, ago: Duration::MAX })).len()
        };
        assert_eq!([ended(0, 10_000), ended(1, 10_000)], [1, 0]);
        assert_eq!(ended(0, 9_999), 0, "it has taken the last of it just now");
    }

    #[test]
    fn the_share_rounds_down_and_follows_the_strength() {
        let idle = |n| (0..n).map(|id| candidate(id, Phase::Relay, 60, 1)).collect::<Vec<_>>();
        let options = OverloadOptions::default();
        let number = |n, strength| choose(&idle(n), relief(strength), &options, nothing).len();
        assert_eq!([19, 20, 39, 40, 1000].map(|n| number(n, 1000)), [0, 1, 1, 2, 50]);
        assert_eq!([0, 19, 20, 500, 1000].map(|strength| number(1000, strength)), [0, 0, 1, 25, 50]);
    }

    fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
        let one = (0_usize..Phase::ALL.len(), 0_u64..30, 0_u64..3);
        prop::collection::vec(one, 0..200).prop_map(|all| {
            let numbered = all.into_iter().zip(0..);
            numbered.map(|((phase, idle, moved), id)| candidate(id, Phase::ALL[phase], idle, moved)).collect()
        })
    }

    proptest! {
        #[test]
        fn never_more_than_the_share_never_a_busy_one_and_none_that_should_go_later(
            candidates in candidates(), share in 1_i64..=100, strength in 0_u64..=1000
        ) {
            let options = OverloadOptions { victims_share: Percent::try_from(share).unwrap(), ..greedy() };
            let victims = choose(&candidates, relief(strength), &options, nothing);
            prop_assert!(victims.len() * 100 <= candidates.len() * usize::try_from(share).unwrap());
            let chosen = |c: &&Candidate| victims.iter().any(|v| v.id == c.id);
            let (gone, kept): (Vec<&Candidate>, Vec<_>) = candidates.iter().partition(chosen);
            prop_assert_eq!(gone.len(), victims.len(), "nobody is chosen twice");
            prop_assert!(gone.iter().all(|c| c.idle >= options.victims_idle.get()));
            prop_assert!(gone.iter().all(|c| matches!(c.phase, Phase::Idle | Phase::Relay | Phase::Drain)));
            let order = |c: &Candidate| c.useless(&options).map(|why| (why, Reverse(c.idle)));
            let last_to_go = gone.iter().filter_map(|c| order(c)).max();
            let first_to_stay = kept.iter().filter_map(|c| order(c)).min();
            if let (Some(last), Some(first)) = (last_to_go, first_to_stay) {
                prop_assert!(last <= first);
            }
        }
    }
}
