#!/usr/bin/env bash
# hickory-resolver 0.26.3: an answer to a question for SRV records that has an alias and the records behind it (`_a CNAME _b`,
# `_b SRV …`, as a recursive server gives it) is "no records found".
#
# Expected: the record behind the alias, as the same shape of answer gives for A (`x CNAME y`, `y A …`).
# Seen: A is found behind its alias; SRV is not. Without the alias SRV is found too.
#
# What follows: services whose SRV name is an alias look as if they had no servers. The proxy follows the alias itself.
# Needs: cargo, a registry, python3; the name server is on loopback, with a port of its own.
set -euo pipefail
dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT
cd "$dir"
mkdir src
cat >server.py <<'PY'
import socket, struct
def name(text):
    return b"".join(bytes([len(part)]) + part.encode() for part in text.split(".")) + b"\0"
def record(owner, kind, data):
    return name(owner) + struct.pack(">HHIH", kind, 1, 60, len(data)) + data
A, CNAME, SRV = 1, 5, 33
served = struct.pack(">3H", 10, 0, 80) + name("h.test")
answers = {
    ("alias.test", A): [record("alias.test", CNAME, name("host.test")), record("host.test", A, bytes([192, 0, 2, 1]))],
    ("_alias._tcp.test", SRV): [record("_alias._tcp.test", CNAME, name("_own._tcp.test")), record("_own._tcp.test", SRV, served)],
    ("_own._tcp.test", SRV): [record("_own._tcp.test", SRV, served)],
}
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
print(udp.getsockname()[1], flush=True)
while True:
    query, peer = udp.recvfrom(4096)
    at, parts = 12, []
    while query[at]:
        parts.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    kind = struct.unpack(">H", query[at + 1:at + 3])[0]
    found = answers.get((".".join(parts), kind), [])
    head = query[:2] + struct.pack(">5H", 0x8180, 1, len(found), 0, 0)
    udp.sendto(head + query[12:at + 5] + b"".join(found), peer)
PY
python3 server.py >port &
server=$!
until [ -s port ]; do sleep 0.05; done
cat >Cargo.toml <<'TOML'
[package]
name = "seen"
version = "0.0.0"
edition = "2021"
[dependencies]
hickory-resolver = { version = "=0.26.3", default-features = false, features = ["tokio"] }
tokio = { version = "1", features = ["rt", "macros"] }
[workspace]
TOML
cat >src/main.rs <<'RUST'
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RecordType;
use hickory_resolver::TokioResolver;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let port = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut server = NameServerConfig::udp([127, 0, 0, 1].into());
    server.connections.iter_mut().for_each(|connection| connection.port = port);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap();
    for (name, kind) in [("alias.test.", RecordType::A), ("_own._tcp.test.", RecordType::SRV), ("_alias._tcp.test.", RecordType::SRV)] {
        match resolver.lookup(name, kind).await {
            Ok(_) => println!("{name} {kind}: found"),
            Err(error) => println!("{name} {kind}: no records: {}", error.is_no_records_found()),
        }
    }
}
RUST
cargo run -q --release -- "$(cat port)" | tee seen
cat >expected <<'TEXT'
alias.test. A: found
_own._tcp.test. SRV: found
_alias._tcp.test. SRV: no records: true
TEXT
cmp -s seen expected || { echo "changed: this was seen:"; cat expected; exit 1; }
