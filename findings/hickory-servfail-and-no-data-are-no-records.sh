#!/usr/bin/env bash
# hickory-resolver 0.26.3: `lookup_ip` of a name whose A record the server fails to find (SERVFAIL) and which has no AAAA record is "no
# records found", like a name that is gone.
#
# Expected: a failure that passes is told as a failure, as `ipv4_lookup` of the same name does.
# Seen: with `Ipv6AndIpv4` (the default) the error says that there are no records (`is_no_records_found()`); asked for A alone it is not.
#
# What follows: a pool of backends that believes `lookup_ip` empties itself when a name server is ill. A and AAAA are asked apart, and the
# last good addresses are kept unless both answers are truly negative.
# Needs: cargo, a registry, python3; the name server is on loopback, with a port of its own.
set -euo pipefail
dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT
cd "$dir"
mkdir src
cat >server.py <<'PY'
import socket, struct
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
print(udp.getsockname()[1], flush=True)
while True:
    query, peer = udp.recvfrom(4096)
    end = query.index(0, 12) + 5
    asked = struct.unpack(">H", query[end - 4:end - 2])[0]
    failure = 2 if asked == 1 else 0  # SERVFAIL for A; AAAA has no data
    udp.sendto(query[:2] + struct.pack(">5H", 0x8180 | failure, 1, 0, 0, 0) + query[12:end], peer)
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
use hickory_resolver::TokioResolver;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let port = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut server = NameServerConfig::udp([127, 0, 0, 1].into());
    server.connections.iter_mut().for_each(|connection| connection.port = port);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap();
    let alone = resolver.ipv4_lookup("backend.test.").await.unwrap_err();
    let both = resolver.lookup_ip("backend.test.").await.unwrap_err();
    println!("A alone: {alone}\nboth: {both}");
    println!("no records: {} {}", alone.is_no_records_found(), both.is_no_records_found());
}
RUST
cargo run -q --release -- "$(cat port)" | tee seen
tail -n 1 seen | grep -qx 'no records: false true' || { echo "changed: 'no records: false true' was seen"; exit 1; }
