//! The limits of clients against a model without bounds, and their rate against governor's.
//!
//! Differences from governor: none in the decisions of one client. `governor` 0.10's keyed store is not compared, as it
//! forgets nobody by itself; and a refusal's wait is ours to the nanosecond, as theirs is.
#![expect(clippy::unwrap_used, reason = "a failed assumption of a test is its failure")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, FakeRelativeClock};
use governor::{Quota, RateLimiter};
use proptest::prelude::*;
use proxy_conn::limits::{AddressLimits, AddressLimitsOptions, AddressPermit, AddressRefusal};
use tokio::time::Instant;

fn options(at_once: u32, per_minute: u32, capacity: u32) -> AddressLimitsOptions {
    AddressLimitsOptions::default()
        .connections_per_client(NonZeroU32::new(at_once).unwrap())
        .connections_per_client_per_minute(NonZeroU32::new(per_minute).unwrap())
        .client_table_capacity(NonZeroU32::new(capacity).unwrap())
}

fn client(n: u32) -> IpAddr {
    Ipv4Addr::from(0x0A00_0000 + n).into()
}

#[derive(Debug, Clone)]
enum Step {
    Admit(u32),
    GiveBack(usize),
    Advance(Duration),
}

fn steps(clients: u32) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..clients).prop_map(Step::Admit),
        4 => any::<usize>().prop_map(Step::GiveBack),
        1 => (0..20_000_u64).prop_map(|ms| Step::Advance(Duration::from_millis(ms))),
        1 => (0..2_000_u64).prop_map(|ns| Step::Advance(Duration::from_nanos(ns))),
    ];
    proptest::collection::vec(step, 0..300)
}

/// One client of the model: nothing is ever forgotten. Times are nanoseconds.
#[derive(Default)]
struct Model {
    permits: u32,
    due: u128,
}

impl Model {
    fn admit(&mut self, at_once: u32, per_minute: u32, now: u128) -> Result<(), AddressRefusal> {
        let interval = 60_000_000_000 / u128::from(per_minute);
        let (after, full) = (self.due.max(now) + interval, now + interval * u128::from(per_minute));
        if self.permits >= at_once {
            return Err(AddressRefusal::AtOnce { most: at_once });
        }
        if after > full {
            let retry_after = Duration::from_nanos(u64::try_from(after - full).unwrap());
            return Err(AddressRefusal::Rate { per_minute, retry_after });
        }
        (self.permits, self.due) = (self.permits + 1, after);
        Ok(())
    }

    fn says_something(&self, now: u128) -> bool {
        self.permits > 0 || self.due > now
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// With room for all, every decision is the model's, and nobody who counts is ever missing.
    #[test]
    fn forgetting_changes_no_decision(
        at_once in 1..5_u32, per_minute in prop_oneof![1..10_u32, 1..400_u32], steps in steps(20)
    ) {
        let limits = AddressLimits::new(options(at_once, per_minute, 1000));
        let (began, mut time) = (Instant::now(), Duration::ZERO);
        let mut models: HashMap<IpAddr, Model> = HashMap::new();
        let mut held: Vec<AddressPermit> = Vec::new();
        for step in steps {
            match step {
                Step::Admit(n) => {
                    // The table began a moment before `began`; only differences count, so the model may start there.
                    let expected = models.entry(client(n)).or_default().admit(at_once, per_minute, time.as_nanos());
                    let admitted = limits.admit(client(n), began + time);
                    prop_assert_eq!(admitted.as_ref().map(|_| ()).map_err(|refusal| *refusal), expected);
                    held.extend(admitted);
                }
                Step::GiveBack(nth) if !held.is_empty() => {
                    let permit = held.swap_remove(nth % held.len());
                    models.get_mut(&permit.key().first()).unwrap().permits -= 1;
                }
                Step::Advance(by) => time += by,
                Step::GiveBack(_) => {}
            }
            let informative = models.values().filter(|model| model.says_something(time.as_nanos())).count();
            prop_assert!((informative..=models.len()).contains(&limits.len()));
            prop_assert_eq!(limits.total(), held.len());
        }
        for (ip, model) in &models {
            prop_assert_eq!(limits.count(*ip), model.permits);
        }
        held.clear();
        prop_assert_eq!(limits.total(), 0);
    }

    /// Without room for all, the bound holds, live clients stay, and nobody is refused for the table's sake while a
    /// place could be had.
    #[test]
    fn a_table_too_small_is_never_exceeded_and_never_loses_a_count(capacity in 1..12_u32, steps in steps(40)) {
        let limits = AddressLimits::new(options(3, 30, capacity));
        let (began, mut time) = (Instant::now(), Duration::ZERO);
        let mut counts: HashMap<IpAddr, u32> = HashMap::new();
        let mut held: Vec<AddressPermit> = Vec::new();
        for step in steps {
            match step {
                Step::Admit(n) => match limits.admit(client(n), began + time) {
                    Ok(permit) => {
                        *counts.entry(client(n)).or_default() += 1;
                        held.push(permit);
                    }
                    Err(AddressRefusal::TableFull) => {
                        prop_assert_eq!(counts.len(), usize::try_from(capacity).unwrap());
                        prop_assert!(!counts.contains_key(&client(n)));
                    }
                    Err(AddressRefusal::AtOnce { .. }) => prop_assert_eq!(counts[&client(n)], 3),
                    Err(_) => {}
                },
                Step::GiveBack(nth) if !held.is_empty() => {
                    let ip = held.swap_remove(nth % held.len()).key().first();
                    counts.retain(|counted, permits| {
                        *permits -= u32::from(*counted == ip);
                        *permits > 0
                    });
                }
                Step::Advance(by) => time += by,
                Step::GiveBack(_) => {}
            }
            prop_assert!(limits.len() <= usize::try_from(capacity).unwrap());
            for (ip, permits) in &counts {
                prop_assert_eq!(limits.count(*ip), *permits);
            }
        }
    }

    #[test]
    fn the_rate_is_governors(
        per_minute in prop_oneof![1..10_u32, 1..1000_u32, any::<u32>().prop_map(|n| n.max(1))],
        waits in proptest::collection::vec((0..4_u32, 0..30_000_000_000_u64), 1..100)
    ) {
        let limits = AddressLimits::new(options(u32::MAX, per_minute, 10));
        let clock = FakeRelativeClock::default();
        let quota = Quota::per_minute(NonZeroU32::new(per_minute).unwrap());
        let oracle = RateLimiter::direct_with_clock(quota, clock.clone());
        let (began, mut time) = (Instant::now(), Duration::ZERO);
        for (kind, nanos) in waits {
            // Bursts, then waits from nanoseconds to half a minute.
            let wait = Duration::from_nanos(if kind == 0 { nanos } else { nanos >> (8 * kind) });
            clock.advance(wait);
            time += wait;
            for _ in 0..5 {
                let theirs = oracle.check().map_err(|not_until| not_until.wait_time_from(clock.now()));
                let ours = limits.admit(client(1), began + time).map(drop);
                let theirs = theirs.map(drop).map_err(|retry_after| AddressRefusal::Rate { per_minute, retry_after });
                prop_assert_eq!(ours, theirs);
            }
        }
    }
}
