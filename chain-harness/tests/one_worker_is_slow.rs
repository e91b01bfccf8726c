//! A worker that is held up (here by a subscriber that blocks, as none may) holds up its own connections alone: those of
//! the other worker go on, and are begun, meanwhile.
#![expect(clippy::unwrap_used, reason = "a failed assumption of a test is its failure")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex};

use chain_harness::{Backend, PATIENCE, Wire, eventually, free_port, scenario};
use proxy_bin::config::Config;
use proxy_bin::server::Server;
use proxy_conn::{ConnId, Opening, Subscriber};
use proxy_dataplane::audit::SocketOwnership;
use tokio::runtime::Handle;

const WORKERS: u64 = 2;
/// So many that each worker has some: the kernel spreads them by a hash.
const CROWD: usize = 40;

/// Blocks the worker that opens a connection, while it is told to.
#[derive(Debug, Clone, Default)]
struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// The worker that waits.
    holds: Option<u64>,
}

/// A worker counts its own connections, in steps of as many as there are workers.
fn worker_of(id: ConnId) -> u64 {
    (id.count - 1) % WORKERS
}

impl Gate {
    fn close(&self) {
        self.0.0.lock().unwrap().closed = true;
    }

    fn open(&self) {
        self.0.0.lock().unwrap().closed = false;
        self.0.1.notify_all();
    }

    fn holds(&self) -> Option<u64> {
        self.0.0.lock().unwrap().holds
    }
}

impl Subscriber for Gate {
    fn opened(&self, id: ConnId, _: &Opening) {
        let mut state = self.0.0.lock().unwrap();
        // The first one alone: whoever comes to the other worker is to find it free.
        if !state.closed || state.holds.is_some() {
            return;
        }
        state.holds = Some(worker_of(id));
        while state.closed {
            state = self.0.1.wait_timeout(state, PATIENCE).unwrap().0;
        }
        state.holds = None;
    }
}

fn config(port: u16, backend: SocketAddr) -> Config {
    let text = format!(
        "workers = {WORKERS}\nlimits.connections_per_client_per_minute = \"off\"\n\
         [[listeners]]\nbind = [\"127.0.0.1\"]\n\
         [[routes]]\nname = \"only\"\nmatch = {{ ports = [{port}] }}\naction = {{ forward = [\"{backend}\"] }}\n"
    );
    Config::parse(&text, "two-workers.toml").unwrap()
}

/// A client, and the worker that serves it: its connection is the one with the highest count of all that are open.
async fn connect(server: &Server, addr: SocketAddr) -> (Wire, u64) {
    let known: Vec<_> = server.tracker().snapshot().iter().map(|view| view.id).collect();
    let mut client = Wire::connect(addr).await;
    client.send("hello").await;
    client.expect("hello").await;
    let all = server.tracker().snapshot();
    let new = all.iter().find(|view| !known.contains(&view.id)).unwrap();
    (client, worker_of(new.id))
}

#[test]
fn the_other_workers_connections_do_not_notice() {
    scenario(async {
        let (backend, gate) = (Backend::echo(), Gate::default());
        let port = free_port();
        let config = config(port, backend.addr());
        let server =
            Server::start(config, &Handle::current(), SocketOwnership::Shared, gate.clone()).unwrap();
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut clients = Vec::new();
        for _ in 0..CROWD {
            clients.push(connect(&server, addr).await);
        }
        gate.close();
        let mut late = vec![Wire::connect(addr).await];
        eventually(PATIENCE, || gate.holds().is_some()).await;
        let held = gate.holds().unwrap();
        let of = |worker| clients.iter().filter(move |(_, own)| *own == worker).count();
        assert!(of(0) > 0 && of(1) > 0, "each worker has some: {} and {}", of(0), of(1));
        // Those of the held worker have sent as well, and wait.
        for (client, _) in &mut clients {
            client.send("!").await;
        }
        for (client, _) in clients.iter_mut().filter(|(_, worker)| *worker != held) {
            client.expect("hello!").await;
        }
        // Newcomers whom the kernel hands to the other worker are served, however many come.
        let before = server.tracker().opened();
        for _ in 0..CROWD {
            let mut client = Wire::connect(addr).await;
            client.send("late").await;
            late.push(client);
        }
        let others = |server: &Server| {
            server.tracker().snapshot().iter().filter(|view| worker_of(view.id) != held).count()
        };
        let had = clients.iter().filter(|(_, worker)| *worker != held).count();
        eventually(PATIENCE, || others(&server) > had && server.tracker().opened() > before).await;
        gate.open();
        for (client, _) in clients.iter_mut().filter(|(_, worker)| *worker == held) {
            client.expect("hello!").await;
        }
        for client in late.iter_mut().skip(1) {
            client.expect("late").await;
        }
        drop((clients, late));
        eventually(PATIENCE, || server.tracker().is_empty()).await;
        drop(server);
    });
}
