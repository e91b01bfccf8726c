use super::*;

fn limits(start: Instant) -> RelayLimits {
    RelayLimits {
        idle: Bound::secs(100),
        half_closed: Bound::secs(10),
        proxies: NextTo::default(),
        write_stall: Bound::secs(20),
        no_data: Bound::secs(50),
        lifetime_end: start + Duration::from_secs(1000),
        warn_before: None,
        client_keep_alive: None,
        backend_keep_alive: None,
    }
}

#[tokio::test(start_paused = true)]
async fn the_nearest_deadline_is_the_one_that_applies() {
    let start = Instant::now();
    let at = |secs: u64| start + Duration::from_secs(secs);
    let limits = limits(start);
    let mut watch = Watch::new(&limits, false, start);
    assert_eq!(watch.due(), (at(50), RelayDeadline::NoData));
    watch.moved(true, at(5));
    assert_eq!(watch.due(), (at(105), RelayDeadline::Idle));
    assert!(watch.lane(Side::Client, true, 0, at(7)));
    watch.moved(true, at(7));
    assert_eq!(watch.due(), (at(27), RelayDeadline::WriteStall));
    watch.half_closed(Side::Backend, at(8));
    assert_eq!(watch.due(), (at(27), RelayDeadline::WriteStall), "bytes wait");
    watch.lane(Side::Client, true, 1, at(9));
    watch.moved(true, at(9));
    assert_eq!(watch.due(), (at(29), RelayDeadline::WriteStall), "its sink took some");
    watch.lane(Side::Client, false, 1, at(10));
    watch.moved(true, at(10));
    assert_eq!(watch.due(), (at(20), RelayDeadline::HalfClosed));
    watch.moved(true, at(16));
    assert_eq!(watch.due(), (at(26), RelayDeadline::HalfClosed), "a byte starts it anew");
    watch.moved(true, at(995));
    assert_eq!(watch.due(), (at(1000), RelayDeadline::Lifetime));
}

#[tokio::test(start_paused = true)]
async fn a_silent_relay_that_owes_nothing_is_looked_at_once() {
    let start = Instant::now();
    let at = |millis: u64| start + Duration::from_millis(millis);
    let limits = limits(start);
    let mut watch = Watch::new(&limits, true, start);
    watch.moved(true, at(8_000));
    assert_eq!(watch.next_look(), Some(at(20_500)), "an eighth of the idle time");
    watch.look(0, 0, at(20_500));
    assert_eq!((watch.next_look(), watch.due()), (None, (at(108_000), RelayDeadline::Idle)));
    watch.moved(false, at(30_000));
    assert_eq!(watch.next_look(), Some(at(42_500)), "bytes were written since");
}

#[tokio::test(start_paused = true)]
async fn whoever_acknowledges_lives_and_whoever_does_not_is_ended_an_eighth_later() {
    let start = Instant::now();
    let at = |millis: u64| start + Duration::from_millis(millis);
    let limits = limits(start);
    let mut watch = Watch::new(&limits, true, start);
    watch.half_closed(Side::Backend, start);
    assert_eq!((watch.next_look(), watch.due().0), (Some(at(1_250)), at(10_000)));
    watch.look(1000, 0, at(1_250));
    assert_eq!(watch.due(), (at(21_250), RelayDeadline::WriteStall), "since when, nobody knows");
    assert_eq!(
        watch.next_look(),
        Some(at(2_500)),
        "what is owed may be taken soon, and then half_closed applies"
    );
    assert_eq!(watch.debtor(), Some(Side::Client));
    watch.look(1000, 0, at(2_500));
    assert_eq!(watch.due().0, at(21_250), "as many");
    watch.look(999, 0, at(3_750));
    assert_eq!(watch.due().0, at(23_750), "fewer");
    // More is written, and less than that is acknowledged.
    watch.moved(false, at(4_000));
    watch.lane(Side::Backend, false, 500, at(4_000));
    watch.look(1499, 0, at(5_000));
    assert_eq!(watch.due().0, at(24_000), "as many as were written");
    watch.look(1498, 0, at(6_000));
    assert_eq!(watch.due().0, at(26_000), "one was acknowledged");
    watch.look(0, 0, at(7_000));
    let owes_nothing = (at(17_000), RelayDeadline::HalfClosed);
    assert_eq!((watch.due(), watch.next_look()), (owes_nothing, None), "all were, and nothing is owed");
    assert_eq!(watch.debtor(), None);
}

/// The longer of the two counts while bytes are owed, in whichever place they wait, and never more than the idle time.
#[tokio::test(start_paused = true)]
async fn how_long_a_reader_behind_an_end_may_pause_does_not_depend_on_where_its_bytes_wait() {
    let start = Instant::now();
    let at = |secs: u64| start + Duration::from_secs(secs);
    let pause = |half_closed, write_stall, idle, (kernel, relay): (usize, bool)| {
        let limits = RelayLimits {
            half_closed: Bound::secs(half_closed),
            write_stall: Bound::secs(write_stall),
            idle: Bound::secs(idle),
            ..limits(start)
        };
        let mut watch = Watch::new(&limits, true, start);
        watch.lane(Side::Backend, relay, 0, start);
        watch.half_closed(Side::Backend, start);
        watch.look(kernel, 0, start);
        watch.due()
    };
    for owed in [(100, false), (0, true), (100, true)] {
        assert_eq!(pause(10, 60, 100, owed), (at(60), RelayDeadline::WriteStall), "{owed:?}");
        assert_eq!(pause(10, 60, 50, owed), (at(50), RelayDeadline::Idle), "{owed:?}");
    }
    assert_eq!(pause(60, 10, 100, (100, false)), (at(60), RelayDeadline::HalfClosed));
    assert_eq!(pause(10, 60, 100, (0, false)), (at(10), RelayDeadline::HalfClosed), "nothing is owed");
}

#[tokio::test(start_paused = true)]
async fn a_stall_is_lifted_by_its_own_side_alone() {
    let start = Instant::now();
    let at = |secs: u64| start + Duration::from_secs(secs);
    let limits = limits(start);
    let mut watch = Watch::new(&limits, true, start);
    watch.lane(Side::Backend, true, 0, at(1));
    watch.look(5000, 5000, at(2));
    assert_eq!(watch.due(), (at(22), RelayDeadline::WriteStall));
    watch.look(5000, 4000, at(4));
    assert_eq!(watch.due(), (at(22), RelayDeadline::WriteStall), "the backend took some, the client none");
    watch.look(4999, 4000, at(6));
    assert_eq!(watch.due(), (at(26), RelayDeadline::WriteStall));
    assert_eq!(watch.slowest(), Some(Side::Client));
}

#[tokio::test(start_paused = true)]
async fn a_proxy_next_to_this_one_is_given_the_time_of_who_is_behind_it() {
    let start = Instant::now();
    let at = |secs: u64| start + Duration::from_secs(secs);
    let limits = RelayLimits { proxies: NextTo { client: true, backend: true }, ..limits(start) };
    let mut watch = Watch::new(&limits, true, start);
    watch.half_closed(Side::Client, start);
    assert_eq!(watch.due(), (at(100), RelayDeadline::HalfClosed), "it may take the idle time to answer");
    let mut watch = Watch::new(&limits, true, start);
    watch.half_closed(Side::Backend, start);
    assert_eq!(watch.due(), (at(100), RelayDeadline::HalfClosed), "and to end, or to say something yet");
    watch.look(300_000, 0, at(2));
    assert_eq!(watch.due().0, at(102), "it has not taken all");
    watch.look(0, 0, at(12));
    assert_eq!(watch.due().0, at(112), "who is behind it may not have taken all");
}

#[tokio::test(start_paused = true)]
async fn a_thread_that_stood_still_gives_its_neighbours_as_long_once() {
    let start = Instant::now();
    let at = |millis: u64| start + Duration::from_millis(millis);
    let limits = limits(start);
    let watch = || Watch::new(&limits, true, start);
    assert!(!watch().excuse(at(100_000), at(100_009)), "timers are late by some milliseconds");
    let mut short = watch();
    assert!(short.excuse(at(100_000), at(100_050)));
    assert_eq!(short.due(), (at(100_100), RelayDeadline::Idle));
    let mut long = watch();
    assert!(long.excuse(at(100_000), at(103_000)));
    assert_eq!((long.due(), long.told().silent.0), ((at(103_500), RelayDeadline::Idle), at(103_500)));
    assert!(!long.excuse(at(103_500), at(110_000)), "once, for as long as nothing moves");
    long.moved(true, at(103_400));
    assert_eq!(long.due().0, at(203_400));
    assert!(long.excuse(at(203_400), at(204_000)), "the next silence is another");
}

/// A reader of 32 KiB/s shows that it lives every 64 s at a hop behind another one: that one's buffers let 2 MiB through at once.
#[tokio::test(start_paused = true)]
async fn a_proxy_that_takes_none_of_its_bytes_is_given_the_time_of_a_slow_reader_behind_it() {
    let start = Instant::now();
    let at = |secs: u64| start + Duration::from_secs(secs);
    let short = RelayLimits::new(Bound::secs(4), start + Duration::from_secs(1000));
    let by = |proxies| RelayLimits { proxies, ..short.clone() };
    let (client, backend) =
        (NextTo { client: true, backend: false }, NextTo { client: false, backend: true });
    let due = |limits: &RelayLimits, (kernel, relay): (usize, bool), ended| {
        let mut watch = Watch::new(limits, true, start);
        watch.lane(Side::Backend, relay, 0, start);
        if ended {
            watch.half_closed(Side::Backend, start);
        }
        watch.look(kernel, 0, start);
        watch.due().0
    };
    for ended in [false, true] {
        for owed in [(100, false), (0, true), (100, true)] {
            assert_eq!(due(&by(client), owed, ended), at(80), "{owed:?} {ended}");
            assert_eq!(
                due(&by(backend), owed, ended),
                at(4),
                "the one that takes is no proxy: {owed:?} {ended}"
            );
        }
        assert_eq!(due(&by(client), (0, false), ended), at(4), "it has nothing to take");
    }
    assert_eq!(by(client).behind_an_end(Side::Client), Bound::secs(80));
    assert_eq!(by(client).behind_an_end(Side::Backend), Bound::secs(4));
    let long = RelayLimits { write_stall: Bound::secs(300), ..by(client) };
    assert_eq!(long.for_taking(long.write_stall, Side::Client), Bound::secs(300), "what is longer is left");
}

#[tokio::test(start_paused = true)]
async fn what_a_proxy_has_taken_at_last_gives_it_no_longer_than_anybody() {
    let start = Instant::now();
    let at = |millis: u64| start + Duration::from_millis(millis);
    let limits = RelayLimits::new(Bound::secs(4), start + Duration::from_secs(1000));
    let limits = limits.proxies(NextTo { client: true, backend: false });
    let mut watch = Watch::new(&limits, true, start);
    watch.look(100, 0, at(500));
    assert_eq!(watch.due(), (at(80_500), RelayDeadline::Idle));
    assert_eq!(watch.next_look(), Some(at(1_000)), "looked at as often as idle asks for");
    watch.look(0, 0, at(1_000));
    assert_eq!(watch.due(), (at(5_000), RelayDeadline::Idle));
}
