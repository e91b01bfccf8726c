//! A network of hosts around one router, each in a network namespace of its own, on which packets can be lost.
//!
//! ```text
//! host 0 ──┐          ┌── host 2
//!          ├─ router ─┤            10.0.n.2/30 is host n
//! host 1 ──┘          └── host 3
//! ```
//! It takes root, and nothing of it touches the network of the machine.
#![expect(clippy::print_stdout, reason = "a test says on stdout what it skips")]

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::peer::program;
use crate::wire::{Wire, begin_to_connect};

/// Where `ip netns` keeps namespaces, and what ours begin with, before the process that made them.
const NAMED: &str = "/run/netns";
const OURS: &str = "chain-harness-";

/// A network namespace. Dropped, it is deleted; what runs in it goes on without a way out.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    ip: PathBuf,
}

impl Namespace {
    fn new(ip: &Path) -> Result<Self, String> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("{OURS}{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let output = run(Command::new(ip).args(["netns", "add", &name]));
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        let namespace = Self { name, ip: ip.to_owned() };
        namespace.ip("link set lo up");
        Ok(namespace)
    }

    /// A command that runs the command that its arguments are, inside.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.ip);
        command.args(["netns", "exec", &self.name]);
        command
    }

    /// `ip` with `arguments`, about this namespace.
    ///
    /// # Panics
    /// Where it fails.
    pub fn ip(&self, arguments: &str) {
        let output = run(Command::new(&self.ip).args(["-n", &self.name]).args(arguments.split(' ')));
        assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Does `what` on a thread inside: sockets that it makes belong here for good, wherever they are used.
    ///
    /// # Panics
    /// Where `what` does.
    pub fn inside<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        let file = File::open(Path::new(NAMED).join(&self.name)).expect("it is there until dropped");
        std::thread::scope(|threads| {
            let thread = threads.spawn(|| {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("we are root");
                what()
            });
            thread.join().expect("what a test does in a namespace does not panic")
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Where it fails there is nothing to be done; the next test process tries again.
        drop(run(Command::new(&self.ip).args(["netns", "del", &self.name])));
    }
}

/// A host of a [`Network`].
#[derive(Debug)]
pub struct Host {
    /// Where it is.
    pub namespace: Namespace,
    ip: Ipv4Addr,
}

impl Host {
    /// Its address.
    #[must_use]
    pub fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// A port of it.
    #[must_use]
    pub fn at(&self, port: u16) -> SocketAddr {
        (self.ip, port).into()
    }

    /// Listens on a port of it.
    #[must_use]
    pub fn listen(&self, port: u16) -> TcpListener {
        let addr = self.at(port);
        self.namespace.inside(|| TcpListener::bind(addr)).expect("every port is free at the start")
    }

    /// A client on it.
    pub async fn connect(&self, addr: SocketAddr) -> Wire {
        let socket = self.namespace.inside(|| begin_to_connect(|_| Ok(()), addr));
        Wire::on(socket.expect("it has ports and a way")).await
    }

    /// Pulls its cable: the machine goes on, and nothing reaches it or comes from it.
    pub fn unplug(&self) {
        self.namespace.ip("link set eth0 down");
    }

    /// Plugs it in again.
    pub fn plug(&self) {
        self.namespace.ip("link set eth0 up");
        self.namespace.ip(&format!("route replace default via {}", router_at(self.ip)));
    }
}

/// Hosts around a router.
#[derive(Debug)]
pub struct Network {
    router: Namespace,
    /// The hosts, in order.
    pub hosts: Vec<Host>,
}

impl Network {
    /// A network of as many hosts. None, and a word to whoever runs the test, where there cannot be one: not root, or no `ip`.
    #[must_use]
    pub fn of(hosts: u8) -> Option<Self> {
        let ip = program("ip")?;
        sweep(&ip);
        match Namespace::new(&ip) {
            Ok(router) => Some(Self::around(router, hosts)),
            Err(error) => {
                println!("skipped: no network namespace to be had (that takes root): {error}");
                None
            }
        }
    }

    fn around(router: Namespace, hosts: u8) -> Self {
        router.inside(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")).expect("we are root");
        let hosts = (0..hosts).map(|n| add_host(&router, n)).collect();
        Self { router, hosts }
    }

    /// The router between the hosts: its interface to the `n`th is `hostn`.
    #[must_use]
    pub fn router(&self) -> &Namespace {
        &self.router
    }

    /// The router drops, without a word, whatever is for `host`: its machine lost its power.
    pub fn lose(&self, host: &Host) {
        self.router.ip(&format!("route replace blackhole {}/32", host.ip));
    }

    /// The router drops what these two have for each other, as a firewall does that has forgotten them.
    pub fn lose_between(&self, one: &Host, other: &Host) {
        for (from, to) in [(one, other), (other, one)] {
            self.router.ip(&format!("rule add from {} to {} blackhole", from.ip, to.ip));
        }
    }

    /// Takes back what [`lose_between`](Self::lose_between) did.
    pub fn find_between(&self, one: &Host, other: &Host) {
        for (from, to) in [(one, other), (other, one)] {
            self.router.ip(&format!("rule del from {} to {} blackhole", from.ip, to.ip));
        }
    }
}

fn add_host(router: &Namespace, n: u8) -> Host {
    let namespace = Namespace::new(&router.ip).expect("there was one before");
    let ip = Ipv4Addr::new(10, 0, n, 2);
    router.ip(&format!("link add host{n} type veth peer name eth0 netns {}", namespace.name));
    router.ip(&format!("addr add {}/30 dev host{n}", router_at(ip)));
    router.ip(&format!("link set host{n} up"));
    namespace.ip(&format!("addr add {ip}/30 dev eth0"));
    let host = Host { namespace, ip };
    host.plug();
    host
}

/// The router's address on the cable of the host with `ip`.
fn router_at(ip: Ipv4Addr) -> Ipv4Addr {
    let [a, b, n, _] = ip.octets();
    Ipv4Addr::new(a, b, n, 1)
}

/// Deletes what test processes left that were killed before they could.
fn sweep(ip: &Path) {
    let named = std::fs::read_dir(NAMED).into_iter().flatten().map_while(Result::ok);
    for name in named.map(|entry| entry.file_name().to_string_lossy().into_owned()) {
        let process = name.strip_prefix(OURS).and_then(|rest| rest.split('-').next());
        if process.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            drop(run(Command::new(ip).args(["netns", "del", &name])));
        }
    }
}

fn run(command: &mut Command) -> Output {
    command.output().expect("a program that is there starts")
}
