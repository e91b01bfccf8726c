//! Members as plain numbers, so that a choice can be made a million times in a second.

use proxy_upstream::Balance;
use proxy_upstream::balance::{Plan, Rank, Rotation, Seen, Way, Weighed};

/// What is known of each member, by its place.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) rank: Vec<Rank>,
    pub(crate) share: Vec<u32>,
    pub(crate) open: Vec<u64>,
    pub(crate) latency: Vec<u32>,
}

impl World {
    /// So many, all well and with nothing open.
    pub(crate) fn of(members: usize) -> Self {
        Self {
            rank: vec![Rank::Usable; members],
            share: vec![100; members],
            open: vec![0; members],
            latency: vec![0; members],
        }
    }
}

impl Seen for World {
    fn rank(&self, at: usize) -> Rank {
        self.rank[at]
    }

    fn share(&self, at: usize) -> u32 {
        self.share[at]
    }

    fn open(&self, at: usize) -> u64 {
        self.open[at]
    }

    fn latency(&self, at: usize) -> u32 {
        self.latency[at]
    }
}

/// Members of these weights, in one level. The number that tells one apart for hashes is `id` of its place.
pub(crate) fn weighed(weights: &[u32], id: impl Fn(usize) -> u64) -> Vec<Weighed> {
    let of =
        |(at, weight): (usize, &u32)| Weighed { weight: *weight, priority: 0, backup: false, id: id(at) };
    weights.iter().enumerate().map(of).collect()
}

/// One after the other is chosen.
pub(crate) struct Chooser {
    pub(crate) plan: Plan,
    pub(crate) world: World,
    turn: Rotation,
}

impl Chooser {
    pub(crate) fn new(members: &[Weighed], balance: Balance) -> Self {
        let (plan, world) = (Plan::new(members, balance, 0), World::of(members.len()));
        Self { plan, world, turn: Rotation::default() }
    }

    /// The member for this key, with all members looked at before.
    pub(crate) fn choose(&self, key: u64) -> usize {
        let sight = self.plan.look(&self.world);
        self.plan.choose(&self.world, &sight, &self.turn, key).unwrap().at
    }

    /// The same where all of them serve, of which `open` connections are known in all.
    pub(crate) fn choose_of_all(&self, key: u64, open: u64, weight: u64) -> usize {
        let sight = proxy_upstream::balance::Sight { way: Way::Levels(0), weight, open };
        self.plan.choose(&self.world, &sight, &self.turn, key).unwrap().at
    }
}

/// A number that looks random and follows from `n` alone (splitmix64).
pub(crate) fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}
