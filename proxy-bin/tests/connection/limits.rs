//! Admission on a paused clock: every limit, what happens at it, and that nothing of it is left behind.

use proxy_conn::Pressure;
use proxy_conn::overload::{Signal, Strength};

use super::*;

/// `PLAIN` with a line in its route, and tables before it.
fn limited(tables: &str, in_route: &str) -> Rig {
    Rig::new(&format!("{tables}\n{}\n{in_route}", PLAIN.trim_end()))
}

impl Rig {
    /// The ends since last asked.
    fn ends(&self) -> Vec<String> {
        std::mem::take(&mut *self.ends.0.lock())
    }

    /// Opens `count` connections that are relayed, and holds both sides.
    async fn established(&self, listener: &MemListener, count: usize) -> Vec<(MemStream, MemStream)> {
        let mut pairs = Vec::new();
        for _ in 0..count {
            let (client, _) = self.spawn();
            pairs.push((client, listener.accept().await.unwrap().0));
        }
        pairs
    }

    /// Nothing is tracked and no permit is out.
    async fn is_back_at_zero(&self) {
        self.proxy.tracker.emptied().await;
        let routes = self.proxy.routes.iter().map(|route| &route.limit);
        let pools = self.proxy.pools.iter().map(|pool| &pool.limit);
        let in_use: usize = routes.chain(pools).map(Limit::in_use).sum();
        let clients = self.proxy.clients.as_ref().map_or(0, proxy_conn::AddressLimits::total);
        assert_eq!((in_use, clients, self.proxy.connections.in_use()), (0, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn at_a_routes_limit_connections_are_reset_or_closed_as_configured() {
    for (how, fin) in [("\"reject\"", false), ("\"close\"", true)] {
        let rig = limited("", &format!("max_connections = 2\nat_limit = {how}"));
        let listener = rig.backend();
        let held = rig.established(&listener, 2).await;
        let (refused, task) = rig.spawn();
        write_all(&refused, b"a request that nobody reads").await.unwrap();
        assert_eq!(read_to_end(&refused).await, (Vec::new(), fin), "{how}");
        refused.finish();
        task.await.unwrap();
        assert_eq!(rig.ends(), ["RC route_limit by proxy in dial 0/0: route plain: 2 are open"]);
        drop(held);
        rig.is_back_at_zero().await;
        drop(rig.established(&listener, 2).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pools_flood_does_not_touch_another_pools_connections() {
    let tables = "[pools.small]\nmax_connections = 1\n[pools.direct]\nmax_connections = 1";
    let other = "[[routes]]\nname = \"other\"\nmatch = { ports = [8000], clients = [\"10.0.0.2\"] }\naction = { forward = [\"127.0.0.1:9000\"] }";
    let rig = limited(tables, &format!("pool = \"small\"\n{other}"));
    let listener = rig.backend();
    let _held = rig.established(&listener, 1).await;
    let (_client, task) = rig.spawn();
    task.await.unwrap();
    insta::assert_snapshot!(rig.ends().join("\n"), @"RC pool_limit by proxy in dial 0/0: pool small: 1 are open");
    let (_beside, serving) = rig.connect_from([10, 0, 0, 2]);
    let mut serving = tokio_test::task::spawn(serving);
    assert!(serving.poll().is_pending());
    listener.accept().await.unwrap();
    let in_use: Vec<_> = rig.proxy.pools.iter().map(|pool| (&*pool.name, pool.limit.in_use())).collect();
    assert_eq!(in_use, [("direct", 1), ("chain", 0), ("small", 1)]);
}

const QUEUE: &str = "max_connections = 1\nat_limit = { queue = { most_waiting = 2, longest_wait = \"5s\" } }";

#[tokio::test(start_paused = true)]
async fn in_a_queue_order_is_kept_and_what_was_sent_meanwhile_arrives() {
    let rig = limited("", QUEUE);
    let listener = rig.backend();
    let mut held = rig.established(&listener, 1).await;
    let (first, _) = rig.spawn();
    write_all(&first, b"first").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (second, _) = rig.spawn();
    write_all(&second, b"second").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (third, task) = rig.spawn();
    task.await.unwrap();
    assert_eq!(read_to_end(&third).await, (Vec::new(), false));
    insta::assert_snapshot!(rig.ends().join("\n"), @"RC queue_full by proxy in dial 0/0: route plain: the queue is full: 2 may wait");
    for expected in [&b"first"[..], b"second"] {
        held.clear();
        let (backend, _) = listener.accept().await.unwrap();
        let mut buf = [0; 16];
        let n = read(&backend, &mut buf).await.unwrap();
        assert_eq!(&buf[..n], expected);
        drop(backend);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop((first, second));
    rig.is_back_at_zero().await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_a_queue_ends_at_its_deadline_and_not_before() {
    let rig = limited("", QUEUE);
    let listener = rig.backend();
    let held = rig.established(&listener, 1).await;
    let (waits, task) = rig.spawn();
    let started = Instant::now();
    task.await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 5);
    assert_eq!(read_to_end(&waits).await, (Vec::new(), false));
    insta::assert_snapshot!(rig.ends().join("\n"), @"RC queue_timeout by proxy in dial 0/0: route plain: nothing came free within 5s");
    let (_in_time, _) = rig.spawn();
    tokio::time::sleep(Duration::from_millis(4_900)).await;
    drop(held);
    listener.accept().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_the_queue_gives_its_place_up() {
    let rig = limited("", QUEUE);
    let listener = rig.backend();
    let held = rig.established(&listener, 1).await;
    let (leaves, task) = rig.spawn();
    let (_stays, _) = rig.spawn();
    tokio::time::sleep(Duration::from_secs(1)).await;
    leaves.finish();
    task.await.unwrap();
    insta::assert_snapshot!(rig.ends().join("\n"), @"CC client_left by client in dial 0/0");
    assert_eq!(rig.proxy.route(0).unwrap().limit.waiting(), 1);
    drop(held);
    listener.accept().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_has_so_many_connections_at_once_and_a_minute_and_no_more() {
    let rig = limited("[limits]\nconnections_per_client = 2\nconnections_per_client_per_minute = 3", "");
    let listener = rig.backend();
    let mut held = rig.established(&listener, 2).await;
    let (_client, task) = rig.spawn();
    task.await.unwrap();
    held.pop();
    tokio::time::sleep(Duration::from_millis(1)).await;
    rig.ends().pop();
    held.extend(rig.established(&listener, 1).await);
    held.pop();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let (_client, task) = rig.spawn();
    task.await.unwrap();
    let ends = rig.ends();
    assert!(
        ends[1].starts_with("PH client_rate by client in header 0/0: 10.0.0.1: the client opens more than 3"),
        "{ends:?}"
    );
    tokio::time::sleep(Duration::from_secs(20)).await;
    held.extend(rig.established(&listener, 1).await);
    drop(held);
    rig.is_back_at_zero().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_target_is_passed_over_and_when_all_are_full_that_is_the_cause() {
    let rig = limited("", "max_connections_per_target = 1");
    let listener = rig.backend();
    let held = rig.established(&listener, 1).await;
    let (_client, task) = rig.spawn();
    task.await.unwrap();
    insta::assert_snapshot!(rig.ends().join("\n"), @"RC target_limit by proxy in dial 0/0: cannot connect to 127.0.0.1:9000: skipped: it has its 1 connections");
    drop(held);
    rig.is_back_at_zero().await;
    rig.established(&listener, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_sheds_refuses_and_one_that_is_tight_dials_for_a_shorter_time() {
    let rig = limited("", "");
    let _hole = rig.net.black_hole(backend_addr());
    let tight = Pressure {
        level: proxy_conn::Level::Tight,
        strength: Strength::from_thousandths(500),
        ..Pressure::default()
    };
    rig.proxy.pools[0].pressure.store(tight);
    let started = Instant::now();
    rig.spawn().1.await.unwrap();
    assert_eq!(started.elapsed().as_millis(), 16_500, "half way from 30s to a tenth of it");
    rig.ends().clear();
    let shed = Pressure { level: proxy_conn::Level::Shed, strength: Strength::FULL, signal: Signal::Memory };
    rig.proxy.pools[0].pressure.store(shed);
    let started = Instant::now();
    rig.spawn().1.await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert!(rig.ends()[0].starts_with("RC shed by proxy in dial 0/0: pool direct: the pool sheds load"));
}

/// What a client gets that reads at most 64 KiB every `pause` of a backend's `bytes` and end, in a pool under full pressure, and
/// how the proxy calls it. Deadlines are a tenth then, but who has bytes to take has twelve seconds for the next.
async fn read_in_a_tight_pool(pause: u64, bytes: usize) -> (usize, bool, String, u64) {
    let rig = limited("", r#"timeouts = { write_stall_timeout = "1m" }"#);
    let listener = rig.backend();
    let full = Pressure { level: proxy_conn::Level::Tight, strength: Strength::FULL, ..Pressure::default() };
    rig.proxy.pools[0].pressure.store(full);
    let (client, task) = rig.spawn();
    let (backend, _) = listener.accept().await.unwrap();
    let started = Instant::now();
    let answers = async {
        write_all(&backend, &vec![7; bytes]).await.unwrap_or_default();
        backend.shutdown_write().unwrap_or_default();
        std::future::pending::<()>().await;
    };
    let reads = async {
        let (mut got, mut buf) = (0, vec![0; 64 * 1024]);
        loop {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            match read(&client, &mut buf).await {
                Ok(0) => return (got, true),
                Ok(n) => got += n,
                Err(_) => return (got, false),
            }
        }
    };
    let served = async {
        task.await.unwrap();
        started.elapsed().as_secs()
    };
    let ((got, fin), took) = tokio::select! {
        () = answers => unreachable!("it is pending"),
        both = async { tokio::join!(reads, served) } => both,
    };
    (got, fin, rig.end(), took)
}

#[tokio::test(start_paused = true)]
async fn a_tight_pool_waits_for_a_slow_reader_and_not_for_one_that_is_owed_nothing() {
    let silent = |bytes: usize| format!("cL half_closed by client in drain 0/{bytes}");
    // What it has not read yet when all is delivered it gets all the same: it is closed in order.
    assert_eq!(read_in_a_tight_pool(11_900, 200_000).await, (200_000, true, silent(200_000), 38));
    let (got, fin, end, took) = read_in_a_tight_pool(12_100, 200_000).await;
    assert_eq!((fin, took), (false, 12), "{got} {end}");
    assert!(end.starts_with("cD write_stall by client in relay 0/"), "{end}");
    assert_eq!(read_in_a_tight_pool(12_100, 100).await, (100, true, silent(100), 3));
}

/// Runs a connection until it waits, drops it there, and expects everything to be back.
async fn dropped_where_it_waits(rig: &Rig, first_words: &[u8], phase: proxy_conn::Phase) {
    let (client, serving) = rig.connect();
    write_all(&client, first_words).await.unwrap();
    let mut serving = tokio_test::task::spawn(serving);
    while serving.poll().is_pending() && serving.is_woken() {}
    let seen: Vec<_> = rig.proxy.tracker.connections().iter().map(proxy_conn::Tracked::phase).collect();
    assert!(seen.contains(&phase), "{seen:?}");
    drop(serving);
    drop(client);
}

const ALL_LIMITS: &str = "[limits]\nconnections_per_client = 10\n[pools.direct]\nmax_connections = 9\n[pools.chain]\nmax_connections = 9";
const IN_ROUTE: &str = "max_connections = 8\nmax_connections_per_target = 7";

#[tokio::test(start_paused = true)]
async fn permits_are_back_wherever_a_task_is_dropped() {
    use proxy_conn::Phase;
    let relayed = limited(ALL_LIMITS, IN_ROUTE);
    let _listener = relayed.backend();
    dropped_where_it_waits(&relayed, b"hello", Phase::Relay).await;
    relayed.is_back_at_zero().await;
    let dialling = limited(ALL_LIMITS, IN_ROUTE);
    let _hole = dialling.net.black_hole(backend_addr());
    dropped_where_it_waits(&dialling, b"hello", Phase::Dial).await;
    dialling.is_back_at_zero().await;
    let half_a_header = Rig::new(&format!("{ALL_LIMITS}\n{}\n{IN_ROUTE}", CHAINED.trim_end()));
    dropped_where_it_waits(&half_a_header, b"PROXY TCP4 1.2.", Phase::Header).await;
    half_a_header.is_back_at_zero().await;
    let half_a_hello = Rig::new(&format!("{ALL_LIMITS}\n{}\n{IN_ROUTE}", BY_NAME.trim_end()));
    dropped_where_it_waits(&half_a_hello, &[0x16, 3, 1, 2, 0], Phase::Peek).await;
    half_a_hello.is_back_at_zero().await;
    let queued = limited("", QUEUE);
    let listener = queued.backend();
    let held = queued.established(&listener, 1).await;
    dropped_where_it_waits(&queued, b"hello", Phase::Dial).await;
    let limit = &queued.proxy.route(0).unwrap().limit;
    assert_eq!((limit.in_use(), limit.waiting()), (1, 0));
    drop(held);
    queued.is_back_at_zero().await;
}

#[tokio::test(start_paused = true)]
async fn at_a_listeners_limit_connections_are_reset() {
    let text = PLAIN.replace("bind = ", "max_connections = 1\nbind = ");
    let rig = Rig::new(&text);
    let listener = rig.backend();
    let at = Listener::new(&rig.proxy.settings.listeners[0]);
    let serve_one = || {
        let (far, near) = mem::pair(1024);
        let peer = PeerAddr::new(([10, 0, 0, 1], 4000).into());
        (far, rig.proxy.connection(&at, 0, near, peer))
    };
    let (_first, serving) = serve_one();
    let mut serving = tokio_test::task::spawn(serving);
    assert!(serving.poll().is_pending());
    listener.accept().await.unwrap();
    let (second, refused) = serve_one();
    refused.await;
    assert_eq!(read_to_end(&second).await, (Vec::new(), false));
    insta::assert_snapshot!(rig.ends().join("\n"), @"RC listener_limit by proxy in dial 0/0: listener 127.0.0.1:8000: 1 are open");
    drop(serving);
    assert_eq!(at.limit.in_use(), 0);
}
