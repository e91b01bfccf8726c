//! Receivers of PROXY headers as Debian has them, behind us: each serves whatever client our header tells of, and sees the
//! address that it should. docs/receivers.md is the table; one that is not installed is skipped with a word.

#![expect(clippy::print_stdout, reason = "a test says on stdout what it skips")]

mod apache;
mod dnsdist;
mod dovecot;
mod haproxy;
mod lighttpd;
mod mariadb;
mod nginx;
mod postfix;
mod varnish;

use std::net::SocketAddr;

use chain_harness::{Hop, PATIENCE, Wire, within};
use proxy_conn::Cause;
use proxy_core::header::{Outgoing, Tlvs, encode_v2};

/// The clients that our own peer tells us of: by their header, and the address that a receiver behind us is to see.
fn clients() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let v1 = |line: &str| format!("PROXY {line}\r\n").into_bytes();
    vec![
        ("IPv4", v1("TCP4 192.0.2.7 198.51.100.1 52953 443"), "192.0.2.7"),
        ("IPv6", v1("TCP6 2001:db8::7 2001:db8::1 52953 443"), "2001:db8::7"),
        ("IPv6 of nginx, reached over IPv4", v1("TCP6 2001:db8::7 198.51.100.1 52953 443"), "2001:db8::7"),
        ("unknown in version 1", v1("UNKNOWN"), "127.0.0.1"),
        ("unknown in version 2", b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\0".to_vec(), "127.0.0.1"),
        ("as much as can be", most(), "2001:db8::7"),
        ("to the byte", to_the_byte(), "2001:db8::7"),
    ]
}

fn ipv6(tlvs: Tlvs) -> Vec<u8> {
    let ends = (
        "[2001:db8::7]:52953".parse().expect("an address"),
        "[2001:db8::1]:443".parse().expect("an address"),
    );
    encode_v2(&Outgoing { tlvs, ..Outgoing::proxy(ends.0, ends.1) }).expect("it can be written")
}

/// The longest id, name and protocol, and fields of all kinds.
fn most() -> Vec<u8> {
    ipv6(Tlvs {
        unique_id: Some([b"aaaaaaaa-1/".repeat(11), vec![b'i'; 7]].concat()),
        authority: Some(vec![b'n'; 253]),
        alpn: Some(b"h2".to_vec()),
        netns: Some(vec![b's'; 40]),
        other: vec![(0xEA, vec![1; 100]), (0xE5, vec![2; 200])],
        ..Tlvs::default()
    })
}

/// An id with which our header comes to 107 bytes where it is passed on untouched: 52 for the addresses, 3 and 52 for it.
fn to_the_byte() -> Vec<u8> {
    ipv6(Tlvs { unique_id: Some(vec![b'i'; 52]), ..Tlvs::default() })
}

/// Routes to `receiver`, all as they are by default but for what they have to say of the version.
fn hop(receiver: SocketAddr, versions: &[&str]) -> Hop {
    let route = |(name, lines): (&str, &str)| {
        format!(
            "[[routes]]\nname = \"{name}\"\nmatch = {{ ports = [{name}] }}\naction = {{ forward = [\"{receiver}\"] }}\n{lines}\n"
        )
    };
    let listener = "[proxy_protocol]\nmax_header = \"32KiB\"\n[[listeners]]\nbind = [\"127.0.0.1\"]\naccept_proxy = { required = [\"127.0.0.1/32\"] }\n";
    let routes = ["PORT_A", "PORT_B", "PORT_C"].into_iter().zip(versions.iter().copied()).map(route);
    Hop::start(&(listener.to_owned() + &routes.collect::<String>()))
}

const V1: &str = "send_proxy = \"v1\"";
const V2: &str = "send_proxy = \"v2\"";
/// All that can be asked for within what everybody takes.
const V2_FULL: &str = "send_proxy = \"v2\"\nproxy_v2 = { fields = [\"unique_id\", \"authority\", \"alpn\"], \
     unique_id = \"received\", crc32c = false, pass_unknown_tlvs = true }";
/// For receivers of both versions.
const BOTH: [&str; 3] = [V1, V2, V2_FULL];

/// Every client, by every route: the receiver serves it, which `ask` finds out, and sees the address that it should.
async fn sees_every_client(receiver: SocketAddr, versions: &[&str], ask: impl AsyncFn(&mut Wire) -> String) {
    let hop = hop(receiver, versions);
    for (n, version) in versions.iter().enumerate() {
        for (which, header, expected) in clients() {
            let mut client = Wire::connect(hop.at(n)).await;
            client.send(header).await;
            let seen = within(PATIENCE, ask(&mut client)).await;
            assert_eq!(seen, expected, "{which}, {version}");
        }
    }
    for end in hop.ended(versions.len() * clients().len()).await {
        let fine = [Cause::Finished, Cause::ClientReset, Cause::BackendReset];
        assert!(fine.contains(&end.cause), "{end:?}");
    }
    hop.empties(PATIENCE).await;
}

/// The longest header that the receiver is known to take: one of just so many bytes, and one that would be longer by one
/// and goes without what makes it so.
async fn takes(receiver: SocketAddr, longest: usize, ask: impl AsyncFn(&mut Wire) -> String) {
    // 52 bytes of addresses, and the type and the length of the field: one that nobody looks into.
    let room = longest - 52 - 3;
    let fields = "fields = [], pass_unknown_tlvs = true";
    let hop = hop(receiver, &[&format!("{V2}\nproxy_v2 = {{ {fields}, max_header = \"{longest}B\" }}")]);
    for len in [room, room + 1] {
        let mut client = Wire::connect(hop.addr()).await;
        client.send(ipv6(Tlvs { other: vec![(0xEA, vec![b'n'; len])], ..Tlvs::default() })).await;
        let seen = within(PATIENCE, ask(&mut client)).await;
        assert_eq!(seen, "2001:db8::7", "a field of {len} bytes");
    }
    hop.ended(2).await;
    hop.empties(PATIENCE).await;
}

/// What an HTTP server says in `X-Client`; its whole answer where that is not there.
async fn over_http(client: &mut Wire) -> String {
    client.send("GET / HTTP/1.1\r\nhost: us\r\nconnection: close\r\n\r\n").await;
    let answer = client.read_to_end().await.text();
    // HAProxy writes names of headers in small letters.
    let mut lines = answer.lines().map(str::to_ascii_lowercase);
    lines.find_map(|line| line.strip_prefix("x-client: ").map(str::to_owned)).unwrap_or(answer)
}

/// Whether we are root, as `program` has to begin; a word where not.
fn is_root(program: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: {program} has to be started by root");
    }
    root
}
