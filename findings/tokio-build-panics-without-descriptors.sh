#!/usr/bin/env bash
# tokio 1.54.1: `runtime::Builder::build` returns `io::Result<Runtime>`, and panics where the process is short of descriptors: with
# `enable_all` (or `enable_io`) and room for the poller, but not for the socket pair of the signal driver, "failed to create UnixStream".
#
# Expected: every failure to get a descriptor is the `Err` that the signature promises, as it is when not even the poller finds one.
# Seen: no descriptor left -> Err(EMFILE); some left, but too few -> a panic; enough -> Ok.
#
# What follows: a program that makes runtimes late (for an upgrade, a helper thread) asks for its descriptors first, or catches the panic.
# Needs: cargo and a registry; nothing is started.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir src
cat >Cargo.toml <<'EOF'
[package]
name = "few"
version = "0.0.0"
edition = "2021"
[dependencies]
tokio = { version = "=1.54.1", features = ["rt", "net", "signal", "time"] }
[workspace]
EOF
cat >src/main.rs <<'EOF'
use std::{fs::File, panic};

fn build(left: usize) -> &'static str {
    let mut taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    taken.truncate(taken.len() - left);
    let built = panic::catch_unwind(|| tokio::runtime::Builder::new_current_thread().enable_all().build());
    match built {
        Ok(Ok(_)) => "Ok",
        Ok(Err(_)) => "Err",
        Err(_) => "panic",
    }
}

fn main() {
    // Once per process: the signal driver's socket pair is made on the first build and kept.
    let left = std::env::args().nth(1).unwrap().parse().unwrap();
    println!("{}", build(left));
}
EOF
cargo build -q
seen=
for left in 0 1 2 3 4 5 6 8; do
  what=$(ulimit -n 40; target/debug/few "$left" 2>message)
  printf '%s descriptors left: %s %s\n' "$left" "$what" "$(grep -o 'failed to create.*' message || true)"
  seen="$seen $what"
done
echo "tokio $(grep -A1 'name = "tokio"' Cargo.lock | sed -n 's/version = "\(.*\)"/\1/p')"
case "$seen" in
  *Err*panic*Ok) ;;
  *) echo "changed:$seen"; exit 1 ;;
esac
