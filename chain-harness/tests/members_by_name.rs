//! Members that a name server says: the servers of a service (SRV) and the addresses of a host, through the real binary. Its answers
//! change, are empty, fail; and all that it named fail.
//!
//! Takes root; says so and passes where it is not.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what is not as it has to be fails the test"
)]

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use chain_harness::{Backend, Ending, Host, Network, PATIENCE, Smartproxy, Wire, within};
use parking_lot::Mutex;
use serde_json::Value;

/// What it answers.
#[derive(Debug, Clone, Default)]
struct Zone {
    /// The servers of `_web._tcp.test`: priority, weight, and the last number of an address that is called `h<number>.test`.
    servers: Vec<(u16, u16, u8)>,
    /// The addresses of `hosts.test`.
    hosts: Vec<u8>,
    ttl: u8,
    /// A response code in place of the answer for the service.
    fails: u8,
    late: Duration,
}

/// A name server. Dropped, it is gone.
struct NameServer {
    zone: Arc<Mutex<Zone>>,
    stops: Arc<Mutex<bool>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl NameServer {
    #[expect(clippy::disallowed_methods, reason = "it is late on a thread of its own")]
    fn on(socket: UdpSocket, zone: Zone) -> Self {
        let (zone, stops) = (Arc::new(Mutex::new(zone)), Arc::new(Mutex::new(false)));
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let (says, stop) = (Arc::clone(&zone), Arc::clone(&stops));
        let thread = std::thread::spawn(move || {
            let mut query = [0; 512];
            while !*stop.lock() {
                let Ok((length, from)) = socket.recv_from(&mut query) else { continue };
                let zone = says.lock().clone();
                std::thread::sleep(zone.late);
                socket.send_to(&answer(&query[..length], &zone), from).unwrap();
            }
        });
        Self { zone, stops, thread: Some(thread) }
    }

    fn say(&self, change: impl FnOnce(&mut Zone)) {
        change(&mut self.zone.lock());
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        *self.stops.lock() = true;
        self.thread.take().unwrap().join().unwrap();
    }
}

/// RFC 1035, section 4: the header, the question again, and what was asked for.
fn answer(query: &[u8], zone: &Zone) -> Vec<u8> {
    let name = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let question = &query[12..name + 4];
    let first = String::from_utf8_lossy(&query[13..13 + usize::from(query[12])]).into_owned();
    let address = |last: u8| vec![10, 9, 0, last];
    let data: Vec<Vec<u8>> = match (question[question.len() - 3], &*first) {
        (1, "hosts") => zone.hosts.iter().map(|last| address(*last)).collect(),
        (1, host) => {
            host.strip_prefix('h').and_then(|last| last.parse().ok()).map(address).into_iter().collect()
        }
        (33, "_web") => zone.servers.iter().map(server).collect(),
        _ => Vec::new(),
    };
    let fails = if first == "_web" { zone.fails } else { 0 };
    let data = if fails == 0 { data } else { Vec::new() };
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80 | fails, 0, 1, 0, u8::try_from(data.len()).unwrap(), 0, 0, 0, 0]);
    answer.extend(question);
    for one in data {
        // Its name, kind and class are the question's.
        answer.extend([0xc0, 12]);
        answer.extend(&question[question.len() - 4..]);
        answer.extend([0, 0, 0, zone.ttl, 0, u8::try_from(one.len()).unwrap()]);
        answer.extend(one);
    }
    answer
}

/// RFC 2782: port 80 of `h<last>.test`.
fn server((priority, weight, last): &(u16, u16, u8)) -> Vec<u8> {
    let host = format!("h{last}");
    let mut data = [priority.to_be_bytes(), weight.to_be_bytes(), 80_u16.to_be_bytes()].concat();
    data.push(u8::try_from(host.len()).unwrap());
    data.extend(host.bytes());
    data.extend(b"\x04test\x00");
    data
}

/// Two backends, a name server for them, and the proxy.
struct World {
    network: Network,
    names: NameServer,
    backends: [Backend; 2],
    proxy: Smartproxy,
    socket: tempfile::TempDir,
}

const CONFIG: &str = r#"
log.format = "json"
limits.connections_per_client_per_minute = "off"
[admin]
socket = "SOCKET"
[groups.web]
members = ["srv+_web._tcp.test"]
on_removed = "kill"
[groups.each]
members = ["dns+hosts.test:80"]
[[routes]]
name = "web"
match = { ports = [8001] }
action = { forward = "@web" }
[[routes]]
name = "each"
match = { ports = [8002] }
action = { forward = "@each" }
"#;

impl World {
    /// None where there is no right to make one.
    async fn new(zone: Zone) -> Option<Self> {
        let network = Network::of(1)?;
        let space = &network.hosts[0].namespace;
        for addr in ["10.9.0.1", "10.9.0.2", "10.9.0.3", "127.0.0.53"] {
            space.ip(&format!("addr add {addr}/32 dev lo"));
        }
        let names = NameServer::on(space.inside(|| UdpSocket::bind("127.0.0.53:53")).unwrap(), zone);
        let listen = |last: u8| {
            let at = (Ipv4Addr::new(10, 9, 0, last), 80);
            space.inside(|| std::net::TcpListener::bind(at)).unwrap()
        };
        let echo = |mut wire: Wire| async move {
            while let bytes = wire.read_some().await
                && !bytes.is_empty()
            {
                wire.send(bytes).await;
            }
        };
        let backends = [1, 2].map(|last| Backend::on(listen(last), echo));
        let script = "printf 'nameserver 127.0.0.53\\noptions timeout:1\\n' > /tmp/.names.$$ && \
                      mount --bind /tmp/.names.$$ /etc/resolv.conf && rm -f /tmp/.names.$$ && exec \"$@\"";
        let mut inside = space.command();
        inside.args(["sh", "-c", script, "sh"]);
        let socket = tempfile::tempdir().unwrap();
        let path = socket.path().join("admin.sock");
        let config = CONFIG.replace("SOCKET", path.to_str().unwrap());
        let proxy = Smartproxy::run_inside(inside, &config).await;
        Some(Self { network, names, backends, proxy, socket })
    }

    fn host(&self) -> &Host {
        &self.network.hosts[0]
    }

    /// A client of a port, and which backend it came to; None where it was turned away.
    async fn client(&self, port: u16) -> Option<(usize, Wire)> {
        let before = self.backends.each_ref().map(Backend::accepted);
        let mut client = self.host().connect(self.host().at(port)).await;
        if client.try_send("hello").await.is_err() || client.read_some().await != b"hello" {
            return None;
        }
        let came_to = (0..2).find(|nth| self.backends[*nth].accepted() > before[*nth]);
        Some((came_to.unwrap(), client))
    }

    /// Clients of the service come to this backend at last, and then all of them.
    async fn all_come_to(&self, nth: usize) {
        let come = async {
            while self.client(8001).await.is_none_or(|(at, _)| at != nth) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        within(PATIENCE, come).await;
        for _ in 0..4 {
            assert_eq!(self.client(8001).await.map(|(at, _)| at), Some(nth));
        }
    }

    fn says(&self, args: &[&str]) -> String {
        let mut command = Smartproxy::command();
        command.args(args).arg("--socket").arg(self.socket.path().join("admin.sock"));
        let output = command.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}\n{}", self.proxy.process.output());
        String::from_utf8(output.stdout).unwrap()
    }

    /// A group as JSON.
    fn group(&self, name: &str) -> Value {
        let groups: Value = serde_json::from_str(&self.says(&["groups", name, "--json"])).unwrap();
        groups[0].clone()
    }
}

fn members(group: &Value) -> Vec<String> {
    let member = |one: &Value| {
        let (target, found_by) = (one["target"].as_str().unwrap(), one["found_by"].as_str().unwrap());
        format!("{target} {}/{} {found_by}", one["priority"], one["weight"])
    };
    group["members"].as_array().unwrap().iter().map(member).collect()
}

#[test]
fn the_servers_of_a_service_are_members_and_come_and_go() {
    Smartproxy::scenario(async {
        // The first client is there before the first answer is.
        let zone =
            Zone { servers: vec![(1, 5, 1)], ttl: 1, late: Duration::from_millis(200), ..Zone::default() };
        let Some(world) = World::new(zone).await else { return };
        let (at, mut client) = world.client(8001).await.unwrap();
        assert_eq!(at, 0);
        world.names.say(|zone| zone.late = Duration::ZERO);
        assert_eq!(members(&world.group("web")), ["h1.test:80 1/5 srv+_web._tcp.test"]);
        // The other one: what the first had is ended, as the group says.
        world.names.say(|zone| zone.servers = vec![(7, 9, 2)]);
        assert_eq!(within(PATIENCE, client.read_to_end()).await.end, Some(Ending::Reset));
        world.all_come_to(1).await;
        let listed = world.says(&["groups", "web"]);
        assert!(listed.contains("srv+_web._tcp.test") && listed.contains("→ h2.test:80"), "{listed}");
        // Nobody is a member any more, or nobody knows: they stay.
        for fails in [0, 2, 3] {
            world.names.say(|zone| (zone.servers, zone.fails) = (Vec::new(), fails));
            let told = async {
                while world.group("web")["names"][0]["error"].is_null() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            within(PATIENCE, told).await;
            assert_eq!(world.client(8001).await.map(|(at, _)| at), Some(1));
            world.names.say(|zone| (zone.servers, zone.fails) = (vec![(7, 9, 2)], 0));
            let told = async {
                while !world.group("web")["names"][0]["error"].is_null() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            within(PATIENCE, told).await;
        }
        // By priority: the second serves where the first does not.
        world.names.say(|zone| zone.servers = vec![(1, 1, 3), (2, 1, 1), (3, 1, 2)]);
        world.all_come_to(0).await;
    });
}

/// Its answer would be good for four minutes.
#[test]
fn a_name_whose_members_all_fail_is_looked_up_again_at_once() {
    Smartproxy::scenario(async {
        let zone = Zone { servers: vec![(0, 0, 3)], ttl: 240, ..Zone::default() };
        let Some(world) = World::new(zone).await else { return };
        assert!(world.client(8001).await.is_none(), "nobody listens there");
        world.names.say(|zone| zone.servers = vec![(0, 0, 2)]);
        world.all_come_to(1).await;
    });
}

#[test]
fn each_address_of_a_host_is_a_member() {
    Smartproxy::scenario(async {
        let zone = Zone { hosts: vec![1, 2], ttl: 1, ..Zone::default() };
        let Some(world) = World::new(zone).await else { return };
        let mut came_to = Vec::new();
        for _ in 0..4 {
            came_to.push(world.client(8002).await.unwrap().0);
        }
        came_to.sort_unstable();
        assert_eq!(came_to, [0, 0, 1, 1], "they take turns");
        let by = "dns+hosts.test:80";
        assert_eq!(
            members(&world.group("each")),
            [format!("10.9.0.1:80 0/1 {by}"), format!("10.9.0.2:80 0/1 {by}")]
        );
        let (at, mut kept) = world.client(8002).await.unwrap();
        world.names.say(|zone| zone.hosts = vec![if at == 0 { 2 } else { 1 }]);
        let told = async {
            while world.group("each")["members_in_all"] != 1 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        within(PATIENCE, told).await;
        kept.send(" again").await;
        kept.expect("hello again").await;
    });
}
