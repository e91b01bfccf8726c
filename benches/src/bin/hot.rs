//! The hot parts, each so often as is asked: `hot NAME COUNT`. It is run by `benches instructions` under callgrind, which
//! counts what each costs; without arguments it names them.
//!
//! Nothing here depends on the time, on addresses or on chance, as far as that can be helped: the runs are of one
//! thread, and what a hash table with random keys holds is one entry.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a program for another program, with nobody to report to"
)]

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;

use benches::samples;
use proxy_conn::limits::{AddressLimits, AddressLimitsOptions, Limit};
use proxy_conn::{Opening, Tracker};
use proxy_core::PeerAddr;
use proxy_core::header::{HeaderLimits, decode, encode_v1, encode_v2};
use proxy_core::hello::HelloReader;
use proxy_core::mem;
use proxy_core::relay::{Preface, relay};
use proxy_core::stream::{read, write_all};
use proxy_route::Query;
use tokio::time::Instant;

/// A part, done so often.
type Part = fn(u32);

const PARTS: [(&str, Part); 9] = [
    ("header_v2_parse", header_v2_parse),
    ("header_v1_parse", header_v1_parse),
    ("header_v2_write", header_v2_write),
    ("hello_parse", hello_parse),
    ("route_lookup_in_1000", route_lookup),
    ("tracker_open_close", tracker_open_close),
    ("tracker_whole_life", tracker_whole_life),
    ("admission_of_a_client", admission),
    ("relay_round_trip", relay_round_trips),
];

fn main() {
    let mut args = std::env::args().skip(1);
    let Some(name) = args.next() else {
        PARTS.iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let count = args.next().and_then(|count| count.parse().ok()).expect("hot NAME COUNT");
    let (_, part) = PARTS.iter().find(|(known, _)| *known == name).expect("the name of a part");
    part(count);
}

fn header_v2_parse(count: u32) {
    let bytes = encode_v2(&samples::outgoing()).expect("it can be written");
    for _ in 0..count {
        black_box(decode(black_box(&bytes), &HeaderLimits::default()).expect("it is right"));
    }
}

fn header_v1_parse(count: u32) {
    let bytes = encode_v1(&samples::outgoing().endpoints);
    for _ in 0..count {
        black_box(decode(black_box(&bytes), &HeaderLimits::default()).expect("it is right"));
    }
}

fn header_v2_write(count: u32) {
    let header = samples::outgoing();
    for _ in 0..count {
        black_box(encode_v2(black_box(&header)).expect("it can be written"));
    }
}

fn hello_parse(count: u32) {
    let bytes = samples::hello();
    for _ in 0..count {
        black_box(HelloReader::default().look(black_box(&bytes)));
    }
}

fn route_lookup(count: u32) {
    let table = samples::table(1_000);
    let query = Query::on(443).name("host500.example.com").client(samples::client(u32::MAX >> 8));
    for _ in 0..count {
        black_box(table.lookup(black_box(&query)).expect("there is one"));
    }
}

fn tracker() -> (Arc<Tracker>, Opening) {
    let peer = PeerAddr::new(samples::endpoints().0);
    (Tracker::new(1, ()), Opening::new(peer, "bench"))
}

fn tracker_open_close(count: u32) {
    let (tracker, opening) = tracker();
    for _ in 0..count {
        let opening = Opening::new(opening.peer, opening.listener.clone());
        drop(black_box(tracker.open(0, opening)));
    }
}

fn tracker_whole_life(count: u32) {
    let ((tracker, opening), facts) = (tracker(), samples::Facts::default());
    // One clock for all: how often the real one is read is the caller's doing.
    let now = Instant::now();
    for _ in 0..count {
        let opening = Opening::new(opening.peer, opening.listener.clone());
        samples::whole_life(&tracker.open(0, opening), &facts, now);
    }
}

fn admission(count: u32) {
    let limits = [(); 3].map(|()| Limit::new(1_000));
    let addresses = AddressLimits::new(
        AddressLimitsOptions::default()
            .connections_per_client(NonZeroU32::MAX)
            .connections_per_client_per_minute(NonZeroU32::MAX),
    );
    let now = Instant::now();
    for _ in 0..count {
        let permits = limits.each_ref().map(Limit::acquire);
        let permit = addresses.admit(samples::client(1), now).expect("within the limits");
        drop(black_box((permits, permit)));
    }
}

fn relay_round_trips(count: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let (client, near_client) = mem::pair(4096);
        let (backend, near_backend) = mem::pair(4096);
        let limits = samples::relay_limits();
        let relaying = relay(&near_client, &near_backend, Preface::default(), &limits, &());
        let talk = async {
            let mut buffer = [7; 100];
            for _ in 0..count {
                write_all(&client, &buffer).await.expect("it is open");
                read(&backend, &mut buffer).await.expect("it is open");
                write_all(&backend, &buffer).await.expect("it is open");
                read(&client, &mut buffer).await.expect("it is open");
            }
            client.shutdown_write().expect("it is open");
            backend.shutdown_write().expect("it is open");
        };
        tokio::join!(relaying, talk);
    });
}
