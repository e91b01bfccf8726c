//! The congestion control of the proxy's own sockets, as the kernel has it: of what it accepts and of what it dials, from
//! the start and after a reload.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a failed assumption of a test is its failure")]

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use chain_harness::{Backend, Hop, Wire, scenario};
use proxy_core::congestion::Algorithm;
use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use socket2::{Domain, Socket, Type};

fn config(settings: &str, listener: &str, backend: SocketAddr) -> String {
    format!(
        r#"
        {settings}
        [[listeners]]
        bind = ["127.0.0.1"]
        {listener}
        [[routes]]
        name = "only"
        match = {{ ports = [PORT_A] }}
        action = {{ forward = ["{backend}"] }}
        "#
    )
}

/// What a socket has.
fn of(socket: &Socket) -> String {
    let name = String::from_utf8(socket.tcp_congestion().unwrap()).unwrap();
    name.trim_end_matches('\0').to_owned()
}

/// The system's default.
fn default() -> String {
    of(&Socket::new(Domain::IPV4, Type::STREAM, None).unwrap())
}

/// What is not paced on loopback.
fn auto() -> String {
    let default = default();
    if default.starts_with("bbr") { "reno".to_owned() } else { default }
}

/// Whether this process may copy its own sockets, to ask them; not in every sandbox.
fn may_look() -> bool {
    let own = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let looked = pidfd_getfd(&own, 0, PidfdGetfdFlags::empty());
    let refused = looked.as_ref().is_err_and(|errno| [Errno::PERM, Errno::NOSYS].contains(errno));
    if refused {
        println!("skipped: pidfd_getfd(2) is not permitted here: {looked:?}");
    }
    !refused
}

/// The first of this process's sockets, all of which are copied, for which `is` holds.
fn find(is: impl Fn(&Socket) -> bool) -> Socket {
    let own = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let numbers = open.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let copies = numbers.filter_map(|number| pidfd_getfd(&own, number, PidfdGetfdFlags::empty()).ok());
    let mut sockets = copies.map(|copy: OwnedFd| Socket::from(copy));
    sockets.find(|socket| is(socket)).expect("it is open")
}

fn is_at(end: std::io::Result<socket2::SockAddr>, addr: SocketAddr) -> bool {
    end.ok().and_then(|end| end.as_socket()) == Some(addr)
}

/// What a new connection's sockets have: the one that the hop accepted, and the one that it dialled.
async fn of_a_connection(hop: &Hop, backend: SocketAddr) -> [String; 2] {
    let mut client = Wire::connect(hop.addr()).await;
    client.send("hello").await;
    client.expect("hello").await;
    let accepted = find(|socket| {
        is_at(socket.local_addr(), hop.addr()) && is_at(socket.peer_addr(), client.local_addr())
    });
    let dialled = find(|socket| is_at(socket.peer_addr(), backend));
    let both = [of(&accepted), of(&dialled)];
    drop((accepted, dialled, client));
    hop.settles().await;
    both
}

#[test]
fn both_sockets_have_what_is_configured_from_the_start_and_after_a_reload() {
    if !may_look() {
        return;
    }
    scenario(async {
        let backend = Backend::echo();
        let to = backend.addr();
        let (reno, other) = ("congestion = \"reno\"", "congestion = \"system\"");
        let hop = Hop::start(&config("", "", to));
        assert_eq!(of_a_connection(&hop, to).await, [auto(), auto()]);
        for (settings, listener, accepted, dialled) in [
            (reno, "", "reno".to_owned(), "reno".to_owned()),
            (other, "", default(), default()),
            (other, reno, "reno".to_owned(), default()),
            (reno, other, default(), "reno".to_owned()),
            ("", "", auto(), auto()),
        ] {
            let reload = hop.reload(&config(settings, listener, to)).await;
            assert!(reload.taken && !reload.changes.is_empty(), "{reload:?}");
            assert_eq!(of_a_connection(&hop, to).await, [accepted, dialled], "{settings} {listener}");
        }
    });
}

#[test]
fn a_reload_to_one_that_the_kernel_does_not_have_is_refused() {
    scenario(async {
        let backend = Backend::echo();
        let hop = Hop::start(&config("congestion = \"reno\"", "", backend.addr()));
        let bad: Algorithm = "no-such-thing".parse().unwrap();
        let said = format!("the kernel has no congestion control \"{bad}\": it permits ");
        for (settings, listener) in
            [("congestion = \"no-such-thing\"", ""), ("", "congestion = \"no-such-thing\"")]
        {
            let text = config(settings, listener, backend.addr());
            let reload = hop.reload(&text).await;
            let error = reload.error.clone().unwrap_or_default();
            assert!(!reload.taken && error.contains(&said) && error.contains("hop.toml:"), "{reload:?}");
        }
        assert_eq!(hop.control().generation(), 1);
        if may_look() {
            assert_eq!(of_a_connection(&hop, backend.addr()).await, ["reno", "reno"], "it goes on as it was");
        }
    });
}
