//! What ten thousand members of one group take. Its own process, as it counts every allocation in it.

#[path = "../../proxy-conn/tests/shared/counting.rs"]
mod counting;

use std::sync::Arc;

use proxy_core::dial::Gate;
use proxy_upstream::{Balance, Group, GroupOptions, HashKey, Kept, MemberOptions, Weight};

use counting::{Counting, allocated};

#[global_allocator]
static COUNTING: Counting = Counting;

const MEMBERS: usize = 10_000;

/// As a long-lived group is: each member has been dialled, and has had connections.
#[test]
fn ten_thousand_members_of_one_group_take_512_bytes_each() {
    for balance in
        [Balance::RoundRobin, Balance::P2c, Balance::LeastConnections, Balance::Hash(HashKey::Client)]
    {
        let member = |n: usize| {
            let target = format!("10.{}.{}.1:443", n / 250, n % 250).parse().unwrap();
            MemberOptions::new(target).weight(Weight::nearest(1 + u32::try_from(n % 7).unwrap()))
        };
        let members: Vec<_> = (0..MEMBERS).map(member).collect();
        let before = allocated();
        let kept = Kept::default();
        let options = GroupOptions::default().balance(balance);
        let group = Group::new("large".into(), members.iter().cloned(), options, &kept, &Arc::default());
        group.take_force();
        for _ in 0..3 * MEMBERS {
            let candidates = group.candidates(443);
            drop(candidates.reached(candidates.enter(0).unwrap()));
        }
        let each = (allocated() - before) / MEMBERS;
        println!("{balance:?}: {each} bytes each");
        assert!(each <= 512, "{balance:?}: {each}");
    }
}
