//! Deadlines of the pool `chain` at each place in a chain.

use crate::{ROUTE, good};

/// In milliseconds: `inactivity_timeout` and `half_closed_timeout` behind so many proxies.
fn behind(text: &str, proxies: usize) -> [u128; 2] {
    let deadlines = good(text).settings.routes.route(0).unwrap().payload.pool(true).behind(proxies);
    [deadlines.inactivity_timeout, deadlines.half_closed_timeout].map(|bound| bound.get().as_millis())
}

#[test]
fn of_the_proxies_of_a_chain_the_innermost_ends_a_silence_first() {
    let sends = format!("{ROUTE}send_proxy = \"v2\"\n");
    assert_eq!(behind(&sends, 0), [600_000, 10_000], "it sends a header and received none");
    assert_eq!(behind(&sends, 1), [540_000, 9_000]);
    assert_eq!(behind(&sends, 2), [486_000, 8_100]);
    assert_eq!(behind(ROUTE, 2), [486_000, 8_100], "whether it sends one makes no difference");
    for proxies in [7, 8, usize::MAX] {
        assert_eq!(behind(ROUTE, proxies), [300_000, 5_000], "nobody's header takes more than half");
    }
}

/// `no_data_timeout` and `max_connection_lifetime`, in seconds, behind so many proxies.
fn without_a_byte_and_in_all(text: &str, proxies: usize) -> [u64; 2] {
    let deadlines = good(text).settings.routes.route(0).unwrap().payload.pool(true).behind(proxies);
    [deadlines.no_data_timeout.bound(), deadlines.max_connection_lifetime].map(|bound| bound.get().as_secs())
}

#[test]
fn of_the_proxies_of_a_chain_the_innermost_ends_a_silence_from_the_beginning_and_a_long_life_first() {
    assert_eq!(without_a_byte_and_in_all(ROUTE, 0), [60, 86_400]);
    assert_eq!(without_a_byte_and_in_all(ROUTE, 1), [54, 85_536]);
    assert_eq!(without_a_byte_and_in_all(ROUTE, 2), [48, 84_672]);
    assert_eq!(without_a_byte_and_in_all(ROUTE, usize::MAX), [30, 80_352]);
    let written = format!("[timeouts]\nno_data_timeout = \"60s\"\nmax_connection_lifetime = \"1d\"\n{ROUTE}");
    assert_eq!(without_a_byte_and_in_all(&written, 2), [60, 86_400]);
}

#[test]
fn a_deadline_that_somebody_wrote_is_the_same_at_every_place_in_a_chain() {
    let whole = format!("[timeouts]\nhalf_closed_timeout = \"10s\"\n{ROUTE}");
    assert_eq!(behind(&whole, 1), [540_000, 10_000]);
    let pool = format!("[pools.chain]\ntimeouts.inactivity_timeout = \"20m\"\n{ROUTE}");
    assert_eq!(behind(&pool, 1), [1_200_000, 9_000]);
    let route =
        format!("{ROUTE}timeouts = {{ inactivity_timeout = \"9s\", half_closed_timeout = \"8s\" }}\n");
    assert_eq!(behind(&route, 3), [9_000, 8_000]);
    let other = format!("[pools.bulk]\n{ROUTE}pool = \"bulk\"\n");
    assert_eq!(behind(&other, 1), [3_600_000, 30_000], "nothing is built into another pool");
    let direct = format!("{ROUTE}pool = \"direct\"\n");
    assert_eq!(behind(&direct, 1), [3_600_000, 30_000]);
}
