//! Where a hop's connections come from: several addresses that share the ports, the client's own, an interface, a mark; and what is
//! said when one address has no port left, or is not there. In network namespaces, with a range of 1 000 local ports.
//!
//! Takes root; says so and passes where it is not.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what is not as it has to be fails the test"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use chain_harness::{Host, Namespace, Network, PATIENCE, Smartproxy, eventually, within};
use tokio::net::TcpListener;

/// Where the backend listens; it is asked to come from others.
const BACKEND: &str = "10.9.0.9:80";
const ELSEWHERE: &str = "10.9.0.8:80";

/// Whoever crowds these scenarios is one client.
const CROWD: &str = "log.format = \"json\"\nworkers = 2\nlimits.connections_per_client = \"off\"\nlimits.connections_per_client_per_minute = \"off\"\n";

fn config(settings: &str, routes: &[(u16, &str, &str)]) -> String {
    let mut text = format!("{CROWD}{settings}\n");
    for (port, target, more) in routes {
        writeln!(
            text,
            "[[routes]]\nname = \"to {target} by {port}\"\nmatch = {{ ports = [{port}] }}\naction = {{ forward = [\"{target}\"] }}\n{more}"
        )
        .unwrap();
    }
    text
}

/// One machine with 1 000 ports and some addresses, on which everybody is.
fn machine() -> Option<Network> {
    let network = Network::of(1)?;
    let space = &network.hosts[0].namespace;
    space.inside(|| std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "32768 33767")).unwrap();
    for n in [1, 2, 3, 4, 8, 9] {
        space.ip(&format!("addr add 10.9.0.{n}/32 dev lo"));
    }
    Some(network)
}

/// A backend that keeps what connects.
struct Kept {
    listener: TcpListener,
    open: Vec<(tokio::net::TcpStream, SocketAddr)>,
}

impl Kept {
    fn listen(space: &Namespace, at: &str) -> Self {
        let listener = space.inside(|| std::net::TcpListener::bind(at)).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { listener: TcpListener::from_std(listener).unwrap(), open: Vec::new() }
    }

    async fn accept(&mut self, count: usize) {
        for _ in 0..count {
            let accepted = within(PATIENCE, self.listener.accept()).await.expect("somebody connects");
            self.open.push(accepted);
        }
    }

    /// How many come from each address.
    fn by_source(&self) -> BTreeMap<IpAddr, usize> {
        let mut counts = BTreeMap::new();
        for (_, peer) in &self.open {
            *counts.entry(peer.ip()).or_default() += 1;
        }
        counts
    }
}

/// As many clients of the machine itself, at this port of its loopback addresses from 127.0.0.`first` on, 500 for each, for clients
/// take ports too.
fn clients(space: &Namespace, first: u8, port: u16, count: usize) -> Vec<TcpStream> {
    #[expect(clippy::disallowed_methods, reason = "a test's client is no proxy")]
    let connect = |n: usize| {
        let at = Ipv4Addr::new(127, 0, 0, first + u8::try_from(n / 500).unwrap());
        TcpStream::connect((at, port)).unwrap()
    };
    space.inside(|| (0..count).map(connect).collect())
}

/// The lines of the access log with that cause.
fn ended(proxy: &Smartproxy, cause: &str) -> Vec<String> {
    let lines = proxy.access_log();
    let of_it = lines.iter().filter(|line| line["cause"] == cause);
    of_it.map(|line| line["detail"].as_str().unwrap_or_default().to_owned()).collect()
}

/// So many connections have ended, as far as the log says.
async fn settled(proxy: &Smartproxy, count: usize) {
    eventually(PATIENCE, || proxy.causes().len() == count).await;
}

async fn one_more(space: &Namespace, port: u16, backend: &mut Kept) {
    let client = clients(space, 100, port, 1);
    backend.accept(1).await;
    drop((client, backend.open.pop()));
}

#[test]
fn four_sources_carry_3900_connections_to_one_backend_evenly() {
    Smartproxy::scenario(async {
        let Some(network) = machine() else { return };
        let space = &network.hosts[0].namespace;
        let mut backend = Kept::listen(space, BACKEND);
        let sources = r#"source = ["10.9.0.1", "10.9.0.2", "10.9.0.3", "10.9.0.4"]"#;
        let proxy = Smartproxy::run_in(space, &config(sources, &[(8001, BACKEND, "")])).await;
        let mut crowd = Vec::new();
        for n in 0..39 {
            crowd.extend(clients(space, 1 + n / 5, 8001, 100));
            backend.accept(100).await;
        }
        let counts = backend.by_source();
        assert_eq!(counts.len(), 4, "{counts:?}");
        assert!(counts.values().all(|count| (950..=1000).contains(count)), "{counts:?}");
        assert_eq!(proxy.causes(), Vec::<String>::new(), "nobody was turned away");
        drop((crowd, backend));
        settled(&proxy, 3900).await;
        assert_eq!(ended(&proxy, "dial_shortage"), Vec::<String>::new());
    });
}

#[test]
fn with_one_source_the_shortage_is_named_and_nobody_else_suffers() {
    Smartproxy::scenario(async {
        let Some(network) = machine() else { return };
        let space = &network.hosts[0].namespace;
        let (mut backend, mut other) = (Kept::listen(space, BACKEND), Kept::listen(space, ELSEWHERE));
        let routes = [
            (8001, BACKEND, "source = [\"10.9.0.1\"]"),
            (8002, ELSEWHERE, "source = [\"10.9.0.1\"]"),
            (8003, BACKEND, ""),
        ];
        let proxy = Smartproxy::run_in(space, &config("", &routes)).await;
        let mut crowd = Vec::new();
        for n in 0..10 {
            crowd.extend(clients(space, 1 + n / 5, 8001, 100));
            backend.accept(100).await;
        }
        assert_eq!(backend.by_source(), [([10, 9, 0, 1].into(), 1000)].into());
        let turned_away = clients(space, 50, 8001, 3);
        eventually(PATIENCE, || ended(&proxy, "dial_shortage").len() == 3).await;
        drop(turned_away);
        for detail in ended(&proxy, "dial_shortage") {
            let said =
                "no local port is left from 10.9.0.1 to 10.9.0.9:80: all 1000 ports 32768-33767 are taken (";
            assert!(detail.contains(said), "{detail}");
            assert!(
                detail.contains("add addresses to `source`, or widen net.ipv4.ip_local_port_range"),
                "{detail}"
            );
        }
        // The same address has its ports to another target, and another address has its own to this one.
        one_more(space, 8002, &mut other).await;
        one_more(space, 8003, &mut backend).await;
        // No breaker is open: a place that is free is taken at once.
        // Reset, so that its backend need not be found among a thousand.
        let one = crowd.pop().unwrap();
        socket2::SockRef::from(&one).set_linger(Some(Duration::ZERO)).unwrap();
        drop(one);
        settled(&proxy, 3 + 2 + 1).await;
        one_more(space, 8001, &mut backend).await;
        let failed = ["dial_refused", "dial_failed", "targets_down"];
        assert!(failed.iter().all(|cause| ended(&proxy, cause).is_empty()), "{:?}", proxy.causes());
        assert!(!proxy.process.output().contains("breaker"), "{}", proxy.process.output());
    });
}

#[test]
fn a_network_lends_each_connection_another_address() {
    Smartproxy::scenario(async {
        let Some(network) = machine() else { return };
        let space = &network.hosts[0].namespace;
        space.ip("-6 addr add 2001:db8:1::9/128 dev lo nodad");
        space.ip("-6 route add local 2001:db8:2::/64 dev lo");
        let at = "[2001:db8:1::9]:80";
        let mut backend = Kept::listen(space, at);
        let proxy =
            Smartproxy::run_in(space, &config(r#"source = ["2001:db8:2::/64"]"#, &[(8001, at, "")])).await;
        let crowd = clients(space, 1, 8001, 20);
        backend.accept(20).await;
        let sources = backend.by_source();
        let is_of_network = |ip: &IpAddr| ip.to_canonical().to_string().starts_with("2001:db8:2:");
        assert!(sources.len() == 20 && sources.keys().all(is_of_network), "{sources:?}");
        assert!(!proxy.process.output().contains("warning"), "{}", proxy.process.output());
        drop(crowd);
    });
}

#[test]
fn what_is_not_here_is_said_at_the_start_and_by_who_meets_it() {
    Smartproxy::scenario(async {
        let Some(network) = machine() else { return };
        let space = &network.hosts[0].namespace;
        let mut backend = Kept::listen(space, BACKEND);
        let routes = [
            (8001, BACKEND, "source = [\"192.0.2.1\"]"),
            (8002, BACKEND, "interface = \"no-such-if0\""),
            (8003, BACKEND, "source = [\"2001:db8::1\"]"),
            (8004, BACKEND, "source = [\"192.0.2.1\", \"10.9.0.2\"]"),
        ];
        let proxy = Smartproxy::run_in(space, &config("", &routes)).await;
        let absent = "the source 192.0.2.1 is no address of this machine";
        let interface = "there is no network interface \"no-such-if0\" here";
        for said in [absent, interface] {
            assert!(proxy.process.output().contains(said), "{}", proxy.process.output());
        }
        let turned_away = [8001, 8002, 8003].map(|port| clients(space, 1, port, 1));
        eventually(PATIENCE, || ended(&proxy, "dial_egress").len() == 3).await;
        drop(turned_away);
        let details = ended(&proxy, "dial_egress").join("\n");
        let family = "no address of `source` is of the family of 10.9.0.9:80";
        assert!([absent, interface, family].iter().all(|said| details.contains(said)), "{details}");
        // One that is there does for one that is not, whoever's turn it is.
        for _ in 0..4 {
            one_more(space, 8004, &mut backend).await;
        }
    });
}

/// A mark and an interface are what rules of routing can be about.
#[test]
fn a_mark_is_seen_by_the_rules_of_routing() {
    Smartproxy::scenario(async {
        let Some(network) = machine() else { return };
        let space = &network.hosts[0].namespace;
        space.ip("rule add pref 1 fwmark 42 to 10.9.0.8 unreachable");
        let (mut backend, mut other) = (Kept::listen(space, BACKEND), Kept::listen(space, ELSEWHERE));
        space.ip("rule add pref 2 lookup local");
        space.ip("rule del pref 0");
        let routes = [
            (8001, ELSEWHERE, "mark = 42"),
            (8002, ELSEWHERE, ""),
            (8003, BACKEND, "mark = 42\ninterface = \"lo\""),
        ];
        let proxy = Smartproxy::run_in(space, &config("", &routes)).await;
        let turned_away = clients(space, 1, 8001, 1);
        eventually(PATIENCE, || ended(&proxy, "dial_unreachable").len() == 1).await;
        drop(turned_away);
        one_more(space, 8002, &mut other).await;
        one_more(space, 8003, &mut backend).await;
    });
}

/// ```text
/// client 10.0.0.2 ── router ── proxy 10.0.1.2 ── (router) ── backend 10.0.2.2, which sees 10.0.0.2
/// ```
#[test]
fn the_backend_sees_the_client_itself_where_its_answers_come_back_this_way() {
    Smartproxy::scenario(async {
        let Some(network) = Network::of(3) else { return };
        let [client, proxy_host, backend_host] = &network.hosts[..] else { return };
        transparent(&network, client, proxy_host, backend_host);
        let at = backend_host.at(80).to_string();
        let mut backend = Kept::listen(&backend_host.namespace, &at);
        let route = [(8001, &*at, "source = \"client\"")];
        let proxy = Smartproxy::run_in(&proxy_host.namespace, &config("", &route)).await;
        let mut wire = client.connect(proxy_host.at(8001)).await;
        backend.accept(1).await;
        let (stream, peer) = &backend.open[0];
        assert_eq!(peer.ip(), IpAddr::V4([10, 0, 0, 2].into()));
        within(PATIENCE, stream.writable()).await.unwrap();
        assert_eq!(stream.try_write(b"hello").unwrap(), 5);
        wire.expect("hello").await;
        drop((wire, backend));
        settled(&proxy, 1).await;
    });
}

/// What the answers of the backend to the client need to come to the proxy, and to be taken by it.
fn transparent(network: &Network, client: &Host, proxy: &Host, backend: &Host) {
    let router = network.router();
    for space in [router, &proxy.namespace] {
        let off = || {
            for all in ["all", "default", "host0", "host1", "host2", "eth0"] {
                let file = format!("/proc/sys/net/ipv4/conf/{all}/rp_filter");
                // Not every machine has each of these interfaces.
                drop(std::fs::write(file, "0"));
            }
        };
        space.inside(off);
    }
    let between = format!("from {} to {}", backend.ip(), client.ip());
    router.ip(&format!("rule add {between} lookup 100"));
    router.ip(&format!("route add default via {} dev host1 table 100", proxy.ip()));
    proxy.namespace.ip(&format!("rule add {between} lookup 100"));
    proxy.namespace.ip("route add local default dev lo table 100");
}
