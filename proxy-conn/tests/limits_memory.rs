//! A flood of a million addresses: the bound holds, and the memory comes back. Its own process, as it counts every
//! allocation in it.
#![expect(clippy::unwrap_used, reason = "a failed assumption of a test is its failure")]

#[path = "shared/counting.rs"]
mod counting;

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use proxy_conn::limits::{AddressLimits, AddressLimitsOptions, AddressPermit, AddressRefusal};
use tokio::time::Instant;

use counting::{Counting, allocated};

#[global_allocator]
static COUNTING: Counting = Counting;

fn client(n: u32) -> IpAddr {
    Ipv4Addr::from(0x0A00_0000 + n).into()
}

fn limits(per_minute: u32, capacity: u32) -> AddressLimits {
    AddressLimits::new(
        AddressLimitsOptions::default()
            .connections_per_client_per_minute(NonZeroU32::new(per_minute).unwrap())
            .client_table_capacity(NonZeroU32::new(capacity).unwrap()),
    )
}

/// What the program holds beyond `before`.
fn grown(before: usize) -> usize {
    allocated().saturating_sub(before)
}

/// A quiet time after the flood: ten connections a second, for two minutes.
fn two_quiet_minutes(limits: &AddressLimits, from: Instant) {
    for n in 0..1200 {
        drop(limits.admit(client(0x00F0_0000 + n), from + Duration::from_millis(u64::from(n) * 100)));
    }
}

/// One test, as others in the process would be counted too.
#[test]
fn a_million_addresses_fill_no_more_than_the_table_and_their_memory_comes_back() {
    a_million_that_come_and_go();
    a_million_that_stay();
    bytes_for_each_client();
}

/// One connection a minute each: a debt of a minute, so that the table is full of indebted clients.
fn a_million_that_come_and_go() {
    let (limits, now) = (limits(1, 1 << 18), Instant::now());
    let before = allocated();
    let _regular = limits.admit(client(0x00FF_0000), now).unwrap();
    for n in 0..1_000_000 {
        drop(limits.admit(client(n), now + Duration::from_micros(u64::from(n))).unwrap());
    }
    let (len, flooded) = (limits.len(), grown(before));
    assert!((250_000..=1 << 18).contains(&len), "{len}");
    assert!(flooded <= 64 * (1 << 18), "{flooded}");
    assert_eq!(limits.count(client(0x00FF_0000)), 1, "a live client stays");
    two_quiet_minutes(&limits, now + Duration::from_secs(62));
    let (len, after) = (limits.len(), grown(before));
    assert!(len <= 1201, "{len}");
    assert!(after < 100_000, "{after} bytes, of {flooded}");
}

/// As many as the table takes, all live; the rest is refused. They leave, and so does the memory.
fn a_million_that_stay() {
    let (limits, now) = (limits(300, 1 << 18), Instant::now());
    let mut held: Vec<AddressPermit> = Vec::with_capacity(1_000_000);
    let before = allocated();
    for n in 0..1_000_000 {
        match limits.admit(client(n), now + Duration::from_micros(u64::from(n))) {
            Ok(permit) => held.push(permit),
            Err(refusal) => assert_eq!(refusal, AddressRefusal::TableFull),
        }
    }
    assert_eq!((limits.len(), limits.total()), (held.len(), held.len()));
    // Every shard was offered nearly four times what it takes, so every shard is full.
    assert_eq!(held.len(), 1 << 18);
    assert!(grown(before) <= 64 * (1 << 18), "{}", grown(before));
    held.clear();
    assert_eq!(limits.total(), 0);
    let after = grown(before);
    assert!(after < 200_000, "{after} bytes are left, before anybody else comes");
}

/// The tables at their densest, right after they have doubled, and with a million.
#[expect(clippy::print_stdout, reason = "the figures that the documentation states")]
fn bytes_for_each_client() {
    for clients in [220_000, 232_000, 1_000_000] {
        let (limits, now) = (limits(300, 2_000_000), Instant::now());
        let mut held = Vec::with_capacity(usize::try_from(clients).unwrap());
        let before = allocated();
        held.extend((0..clients).map(|n| limits.admit(client(n), now).unwrap()));
        let each = grown(before) / held.len();
        println!("{clients} clients: {each} bytes each");
        assert!(each <= 68, "{each}");
    }
}
