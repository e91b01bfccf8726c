//! Who may wait at the door, and for how many: from accept until there is a route.

use proxy_conn::Phase;

use super::*;

/// `BY_NAME`, whose clients are waited for, with limits.
fn waiting(limits: &str) -> Rig {
    Rig::new(&format!("[limits]\n{limits}\n{BY_NAME}"))
}

impl Rig {
    /// Ends since last asked, and how many of each.
    fn counted(&self) -> Vec<(String, usize)> {
        let mut ends = std::mem::take(&mut *self.ends.0.lock());
        ends.sort();
        ends.chunk_by(|a, b| a == b).map(|alike| (alike[0].clone(), alike.len())).collect()
    }

    /// A connection of `peer`, served as far as it gets before it has to be waited for.
    async fn at_the_door(&self, peer: &str, first_words: &[u8]) -> MemStream {
        let (far, near) = mem::pair(64 * 1024);
        write_all(&far, first_words).await.unwrap();
        let peer = PeerAddr::new((peer.parse::<std::net::IpAddr>().unwrap(), 4000).into());
        let serving = self.proxy.connection(&self.proxy.listeners[0], 0, near, peer);
        #[expect(clippy::disallowed_methods, reason = "the test stands in for the accept loop")]
        drop(tokio::spawn(serving));
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        far
    }

    fn clients(&self) -> usize {
        self.proxy.clients.as_ref().unwrap().total()
    }
}

/// A hello for `x.a.test`, whole.
pub(super) fn hello() -> Vec<u8> {
    super::names::hello(b"x.a.test")
}

#[tokio::test(start_paused = true)]
async fn one_silent_address_has_its_own_places_and_no_more_and_others_are_served() {
    let rig = waiting("max_connections = 10\nconnections_per_client = 3");
    let listener = rig.backend();
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(rig.at_the_door("192.0.2.1", b"").await);
    }
    assert_eq!((rig.proxy.tracker.len(), rig.proxy.connections.in_use()), (3, 3));
    let refused = "PH client_limit by client in header 0/0: 192.0.2.1: the client has 3 connections open, the most it may have";
    assert_eq!(rig.counted(), [(refused.to_owned(), 17)]);
    let mut honest = Vec::new();
    for n in 2..9 {
        let client = rig.at_the_door(&format!("192.0.2.{n}"), &hello()).await;
        honest.push((client, listener.accept().await.unwrap()));
    }
    assert_eq!((rig.proxy.connections.in_use(), rig.counted()), (10, vec![]));
    drop((silent, honest));
    rig.proxy.tracker.emptied().await;
    assert_eq!((rig.clients(), rig.proxy.unrouted().0), (0, 0));
}

/// It is not even begun: no task, no place among all, and one end.
#[tokio::test(start_paused = true)]
async fn who_is_turned_away_at_the_door_costs_no_task_and_no_place() {
    let rig = waiting("connections_per_client = 1");
    let _first = rig.at_the_door("192.0.2.1", b"").await;
    let (far, near) = mem::pair(1024);
    let peer = PeerAddr::new(([192, 0, 2, 1], 5).into());
    let _never_polled = rig.proxy.connection(&rig.proxy.listeners[0], 0, near, peer);
    assert_eq!(read_to_end(&far).await, (Vec::new(), false));
    assert_eq!((rig.proxy.tracker.len(), rig.proxy.connections.in_use()), (1, 1));
    assert_eq!(rig.counted().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_connects_and_leaves_has_spent_a_part_of_its_rate() {
    let rig = waiting("connections_per_client_per_minute = 3");
    for _ in 0..3 {
        drop(rig.at_the_door("192.0.2.1", b"").await);
    }
    let _turned_away = rig.at_the_door("192.0.2.1", &hello()).await;
    rig.proxy.tracker.emptied().await;
    let ends = rig.counted();
    assert!(ends[1].0.starts_with("PH client_rate by client in header 0/0: 192.0.2.1"), "{ends:?}");
    assert_eq!((ends[0].1, ends[1].1), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn addresses_of_one_network_of_64_bits_are_one_client() {
    let rig = waiting("connections_per_client = 2");
    let mut held = Vec::new();
    for peer in ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:3", "2001:db8:0:1::1"] {
        held.push(rig.at_the_door(peer, b"").await);
    }
    assert_eq!((rig.proxy.tracker.len(), rig.counted().len()), (3, 1));
}

const BOTH: &str = r#"
[[listeners]]
ports = [8000]
bind = ["127.0.0.1"]
accept_proxy = { optional = ["10.0.0.0/8"] }
[[routes]]
name = "named"
match = { ports = [8000], domains = ["*.a.test"] }
action = { forward = ["127.0.0.1:9000"] }
"#;

/// A header in which a hop speaks for a client.
fn speaks_for(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 203.0.113.1 1 2\r\n").into_bytes()
}

#[tokio::test(start_paused = true)]
async fn a_hop_counts_for_nothing_and_the_client_that_it_speaks_for_from_its_header_on() {
    let rig = Rig::new(&format!("[limits]\nconnections_per_client = 2\n{BOTH}"));
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(rig.at_the_door("10.0.0.1", b"PROXY TC").await);
    }
    assert_eq!((rig.clients(), rig.counted()), (0, vec![]), "a hop may have as many as it likes");
    for _ in 0..5 {
        held.push(rig.at_the_door("10.0.0.1", &speaks_for("192.0.2.1")).await);
    }
    let phases: Vec<_> = rig.proxy.tracker.connections().iter().map(proxy_conn::Tracked::phase).collect();
    assert_eq!(phases.iter().filter(|phase| **phase == Phase::Peek).count(), 2);
    assert_eq!((rig.clients(), rig.counted()[0].1), (2, 3));
    // The client may come by itself, too, and is the same one.
    held.push(rig.at_the_door("192.0.2.1", b"").await);
    assert_eq!((rig.clients(), rig.counted()[0].1), (2, 1));
    held.push(rig.at_the_door("10.0.0.1", &speaks_for("192.0.2.2")).await);
    assert_eq!(rig.clients(), 3);
    drop(held);
    rig.proxy.tracker.emptied().await;
    assert_eq!(rig.clients(), 0);
}

/// A peer's permit is not given back and taken again where it is the client itself.
#[tokio::test(start_paused = true)]
async fn a_client_that_speaks_for_itself_is_counted_once() {
    let rig = Rig::new(&format!("[limits]\nconnections_per_client_per_minute = 1\n{BOTH}"));
    let listener = rig.backend();
    let _client = rig.at_the_door("192.0.2.1", &hello()).await;
    listener.accept().await.unwrap();
    assert_eq!((rig.clients(), rig.counted()), (1, vec![]));
}

#[tokio::test(start_paused = true)]
async fn of_those_without_a_route_the_oldest_gives_way_and_who_has_one_does_not() {
    let rig = waiting("max_unrouted_connections = 2\nconnections_per_client = \"off\"");
    let listener = rig.backend();
    let _routed = rig.at_the_door("192.0.2.9", &hello()).await;
    let _backend = listener.accept().await.unwrap();
    let first = rig.at_the_door("192.0.2.1", b"\x16").await;
    let _second = rig.at_the_door("192.0.2.2", b"\x16").await;
    assert_eq!((rig.counted(), rig.proxy.unrouted().0), (vec![], 2));
    // Whoever has said enough is not waited for, and sends nobody away.
    let _third = rig.at_the_door("192.0.2.3", &hello()).await;
    let _backend = listener.accept().await.unwrap();
    assert_eq!((rig.counted(), rig.proxy.tracker.len()), (vec![], 4));
    let late = rig.at_the_door("192.0.2.4", &hello()[..9]).await;
    assert_eq!(read_to_end(&first).await, (Vec::new(), false));
    insta::assert_snapshot!(rig.counted()[0].0, @"RP unrouted_limit by proxy in peek 1/0: max_unrouted_connections 2 are waited for, and this one was the oldest of them");
    write_all(&late, &hello()[9..]).await.unwrap();
    listener.accept().await.unwrap();
    assert_eq!((rig.counted(), rig.proxy.unrouted().0), (vec![], 1));
}

#[tokio::test(start_paused = true)]
async fn how_many_may_be_waited_for_is_what_the_configuration_in_force_says() {
    let limits = |most: u32| format!("max_unrouted_connections = {most}\nconnections_per_client = \"off\"");
    let mut rig = waiting(&limits(2));
    let reload = |rig: &mut Rig, most| {
        let config = Config::parse(&format!("[limits]\n{}\n{BY_NAME}", limits(most)), "test.toml");
        let next =
            rig.proxy.after(config.unwrap_or_else(|errors| panic!("{}", errors.render(Ink::Plain))).settings);
        rig.proxy = Arc::new(next.unwrap());
        rig.proxy.take_force();
    };
    let _first = rig.at_the_door("192.0.2.1", b"\x16").await;
    let _second = rig.at_the_door("192.0.2.2", b"\x16").await;
    reload(&mut rig, 3);
    let _third = rig.at_the_door("192.0.2.3", b"\x16").await;
    assert_eq!((rig.counted(), rig.proxy.unrouted().0), (vec![], 3), "there is room for one more at once");
    reload(&mut rig, 1);
    assert_eq!((rig.counted(), rig.proxy.unrouted().0), (vec![], 3), "who was let in stays");
    let _fourth = rig.at_the_door("192.0.2.4", b"\x16").await;
    let ends = rig.counted();
    assert_eq!((ends.len(), ends[0].1, rig.proxy.unrouted().0), (1, 3, 1), "until somebody comes: {ends:?}");
    assert!(
        ends[0].0.contains("unrouted_limit") && ends[0].0.contains("max_unrouted_connections 1 "),
        "{ends:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn by_default_half_of_all_places_may_be_waited_for() {
    let rig = waiting("max_connections = 10\nconnections_per_client = \"off\"");
    let mut held = Vec::new();
    for n in 0..20 {
        held.push(rig.at_the_door(&format!("192.0.2.{n}"), b"").await);
    }
    assert_eq!((rig.proxy.tracker.len(), rig.proxy.unrouted().0), (5, 5));
    assert_eq!(rig.counted()[0].1, 15);
}

/// The first load test of a newcomer is from the same machine; a program beside it may be a proxy without a header.
#[tokio::test(start_paused = true)]
async fn on_loopback_only_what_is_written_limits_a_client() {
    let open = async |limits: &str, peer: &str| {
        let rig = waiting(&format!("max_connections = 5000\n{limits}"));
        let mut held = Vec::new();
        for _ in 0..400 {
            held.push(rig.at_the_door(peer, b"").await);
        }
        rig.proxy.tracker.len()
    };
    for local in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
        assert_eq!(open("", local).await, 400, "{local}");
        assert_eq!(open("connections_per_client = 7", local).await, 7, "{local}");
    }
    assert_eq!(open("connections_per_client_per_minute = 350", "127.0.0.1").await, 350);
    assert_eq!(open("", "192.0.2.1").await, 100);
    assert_eq!(open("unlimited_clients = [\"192.0.2.0/24\"]", "192.0.2.1").await, 400);
    assert_eq!(open("unlimited_clients = [\"192.0.2.0/24\"]", "192.0.3.1").await, 100);
}

#[tokio::test(start_paused = true)]
async fn who_is_ended_in_order_keeps_its_places_until_it_has_gone() {
    let rig = Rig::new(&format!(
        "[limits]\nmax_connections = 8\nconnections_per_client = 3\n{}\nmax_connections = 1\nat_limit = \"close\"",
        PLAIN.trim_end()
    ));
    let listener = rig.backend();
    let first = rig.at_the_door("192.0.2.1", b"").await;
    let backend = listener.accept().await.unwrap();
    let leaving = rig.at_the_door("192.0.2.1", b"").await;
    assert_eq!(rig.proxy.tracker.len(), 2);
    assert_eq!((rig.proxy.connections.in_use(), rig.clients()), (2, 2), "it is open, and so it counts");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!((rig.proxy.connections.in_use(), rig.clients()), (1, 1), "it has had its time to go");
    drop((first, backend, leaving));
}
