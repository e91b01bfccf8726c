//! A backend that is given by name, by a name server of the test's own: its answers change, and then it is silent.
//!
//! Takes root; says so and passes where it is not.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what is not as it has to be fails the test"
)]

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use chain_harness::{Backend, Network, PATIENCE, Smartproxy, Wire, within};

/// Answers each question for an IPv4 address with 10.9.0.`last`, good for a second, and says of all others that there is nothing;
/// until it is told to be silent, or to stop.
struct NameServer {
    last: Arc<AtomicU8>,
    is_silent: Arc<AtomicBool>,
    stops: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl NameServer {
    fn on(socket: UdpSocket) -> Self {
        let (last, is_silent, stops): (Arc<AtomicU8>, Arc<AtomicBool>, Arc<AtomicBool>) = Default::default();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let (of, silent, stop) = (Arc::clone(&last), Arc::clone(&is_silent), Arc::clone(&stops));
        let thread = std::thread::spawn(move || {
            let mut query = [0; 512];
            while !stop.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut query) else { continue };
                if !silent.load(Ordering::Relaxed) {
                    let answer = answer(&query[..length], of.load(Ordering::Relaxed));
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        Self { last, is_silent, stops, thread: Some(thread) }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// RFC 1035, section 4: the header, the question again, and an address where one was asked for.
fn answer(query: &[u8], last: u8) -> Vec<u8> {
    let name = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let question = &query[12..name + 4];
    let is_a = question[question.len() - 3] == 1;
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    answer.extend(question);
    if is_a {
        // Its name is the question's, its class the internet's, and it is good for a second.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 10, 9, 0, last]);
    }
    answer
}

async fn stay(mut wire: Wire) {
    drop(wire.read_some().await);
}

#[test]
fn a_name_is_followed_and_survives_the_silence_of_its_server() {
    Smartproxy::scenario(async {
        let Some(network) = Network::of(1) else { return };
        let space = &network.hosts[0].namespace;
        for addr in ["10.9.0.1", "10.9.0.2", "127.0.0.53"] {
            space.ip(&format!("addr add {addr}/32 dev lo"));
        }
        let names = NameServer::on(space.inside(|| UdpSocket::bind("127.0.0.53:53")).unwrap());
        let listen = |last: u8| {
            let at = (Ipv4Addr::new(10, 9, 0, last), 80);
            space.inside(|| std::net::TcpListener::bind(at)).unwrap()
        };
        let backends = [1, 2].map(|last| Backend::on(listen(last), stay));
        let script = "printf 'nameserver 127.0.0.53\\noptions timeout:1\\n' > /tmp/.names.$$ && \
                      mount --bind /tmp/.names.$$ /etc/resolv.conf && rm -f /tmp/.names.$$ && exec \"$@\"";
        let mut inside = space.command();
        inside.args(["sh", "-c", script, "sh"]);
        let config = "log.format = \"json\"\n[[routes]]\nname = \"named\"\nmatch = { ports = [8001] }\n\
                      action = { forward = [\"backend_1.test:80\"] }\n";
        names.last.store(1, Ordering::Relaxed);
        let proxy = Smartproxy::run_inside(inside, config).await;
        let host = &network.hosts[0];
        let reached = async |backend: &Backend| {
            let before = backend.accepted();
            let client: Wire = host.connect(host.at(8001)).await;
            let reached = async {
                while backend.accepted() == before {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            let is_reached = tokio::time::timeout(Duration::from_millis(500), reached).await.is_ok();
            drop(client);
            is_reached
        };
        assert!(reached(&backends[0]).await, "{}", proxy.process.output());
        names.last.store(2, Ordering::Relaxed);
        within(PATIENCE, async { while !reached(&backends[1]).await {} }).await;
        names.is_silent.store(true, Ordering::Relaxed);
        // Longer than the answer is good for.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(reached(&backends[1]).await, "{}", proxy.process.output());
    });
}
