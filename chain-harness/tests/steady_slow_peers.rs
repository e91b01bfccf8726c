//! Peers that take bytes slowly and steadily, so slowly that a hop has nothing to do for longer than its deadlines: they get
//! every byte, behind a FIN or not, either way. One that takes nothing is ended all the same.

use std::time::Duration;

use chain_harness::{Backend, Chain, Ending, PATIENCE, Wire, within};
use proxy_conn::Cause;
use tokio::time::{Instant, sleep_until};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Deadlines of a second, as both hops have them: for silence after an end, and for silence of any kind.
const AFTER_AN_END: &str = "timeouts = { half_closed_timeout = \"1s\", write_stall_timeout = \"1s\" }\n";
const OF_ANY_KIND: &str = "timeouts = { inactivity_timeout = \"1s\", write_stall_timeout = \"1s\" }\n";

/// What the backend sends: more than a client's kernel holds, less than all kernels on the way do.
static THREE_MIB: [u8; 3072 * KIB] = [7; 3072 * KIB];

/// Reads to the end, so many bytes a second in eighths of a second; how many came, and the end.
async fn read_steadily(wire: &mut Wire, per_second: usize) -> (usize, Option<Ending>) {
    take_steadily(wire, per_second, usize::MAX).await
}

/// The same, and no more than `most`.
async fn take_steadily(wire: &mut Wire, per_second: usize, most: usize) -> (usize, Option<Ending>) {
    let (began, mut took) = (Instant::now(), 0);
    for eighth in 1.. {
        if took == most {
            return (took, wire.received().end);
        }
        let due = (per_second * eighth / 8).min(most);
        while took < due {
            let bytes = wire.read_at_most(due - took).await.len();
            if bytes == 0 {
                return (took, wire.received().end);
            }
            took += bytes;
        }
        sleep_until(began + Duration::from_millis(125) * u32::try_from(eighth).unwrap_or(u32::MAX)).await;
    }
    unreachable!("a count has no end")
}

#[test]
fn a_steady_reader_behind_the_backends_fin_gets_every_byte() {
    chain_harness::scenario(async {
        let backend = Backend::source(&THREE_MIB);
        let chain = Chain::with(AFTER_AN_END, AFTER_AN_END, &[&backend.addr()]);
        let mut client = chain.connect().await;
        assert_eq!(read_steadily(&mut client, 512 * KIB).await, (THREE_MIB.len(), Some(Ending::Fin)));
        drop(client);
        chain.settles().await;
    });
}

/// As clients of HTTP/2 do, which tell of free room.
#[test]
fn a_steady_reader_behind_the_backends_fin_may_say_something_meanwhile() {
    chain_harness::scenario(async {
        let backend = Backend::serving(|mut wire| async move {
            wire.try_send(&THREE_MIB).await.unwrap_or_default();
            wire.half_close().await;
            wire.read_to_end().await;
        });
        let chain = Chain::with(AFTER_AN_END, AFTER_AN_END, &[&backend.addr()]);
        let mut client = chain.connect().await;
        let first = take_steadily(&mut client, 512 * KIB, 2 * MIB).await;
        client.send("x").await;
        let rest = read_steadily(&mut client, 512 * KIB).await;
        assert_eq!((first, rest), ((2 * MIB, None), (THREE_MIB.len() - 2 * MIB, Some(Ending::Fin))));
        client.half_close().await;
        drop(client);
        chain.settles().await;
        assert_eq!(backend.first().text(), "x");
        for hop in chain.hops() {
            assert_eq!(hop.the_end().await.cause, Cause::Finished);
        }
    });
}

#[test]
fn a_steady_reader_in_mid_answer_is_not_idle() {
    chain_harness::scenario(async {
        let backend = Backend::floods();
        let chain = Chain::with(OF_ANY_KIND, OF_ANY_KIND, &[&backend.addr()]);
        let mut client = chain.connect().await;
        let (began, mut took) = (Instant::now(), 0);
        while took < 6 * MIB {
            let bytes = client.read_at_most(64 * KIB).await.len();
            assert_ne!(bytes, 0, "{:?} after {took} bytes", client.received().end);
            took += bytes;
            // A MiB a second: what a hop takes at once is a quarter of a second of it.
            sleep_until(began + Duration::from_micros(u64::try_from(took).unwrap_or(u64::MAX))).await;
        }
        drop(client);
        chain.settles().await;
    });
}

#[test]
fn a_steady_backend_behind_the_clients_fin_gets_every_byte() {
    chain_harness::scenario(async {
        let (backend, mut wires) = Backend::hands_over();
        let chain = Chain::with(AFTER_AN_END, AFTER_AN_END, &[&backend.addr()]);
        let mut client = chain.connect().await;
        let sending = async {
            client.send(&THREE_MIB).await;
            client.half_close().await;
            client.read_to_end().await
        };
        let reading = async {
            let mut wire = wires.recv().await.expect("it is reached");
            let read = read_steadily(&mut wire, 512 * KIB).await;
            wire.half_close().await;
            (read, wire)
        };
        let (sent, (read, wire)) = tokio::join!(sending, reading);
        assert_eq!((read, sent.end), ((THREE_MIB.len(), Some(Ending::Fin)), Some(Ending::Fin)));
        drop((client, wire));
        chain.settles().await;
    });
}

#[test]
fn a_reader_that_takes_nothing_is_ended_by_its_deadline_and_one_look() {
    chain_harness::scenario(async {
        let backend = Backend::source(&THREE_MIB);
        let chain = Chain::with(AFTER_AN_END, AFTER_AN_END, &[&backend.addr()]);
        let mut client = chain.connect().await;
        let began = Instant::now();
        within(PATIENCE, client.wait_for_a_reset()).await;
        assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
        drop(client);
        chain.settles().await;
        let cut = |hop: &chain_harness::Hop| {
            hop.ends_of(Cause::HalfClosed) + hop.ends_of(Cause::WriteStall) + hop.ends_of(Cause::Idle)
        };
        assert!(cut(&chain.outer) + cut(&chain.inner) >= 1);
    });
}

/// Reads to the end, however long nothing comes.
async fn until_it_ends(mut wire: Wire) {
    tokio::io::copy(&mut wire, &mut tokio::io::sink()).await.unwrap_or_default();
}

/// With the deadlines that are built in, through two hops: 4 MiB at 32 KiB/s take two minutes.
/// `cargo test -p chain-harness --test steady_slow_peers -- --ignored`
#[test]
#[ignore = "takes over two minutes: it is run by its own command"]
fn four_mib_at_32_kib_a_second_arrive_whole_with_default_deadlines() {
    static FOUR_MIB: [u8; 4096 * KIB] = [7; 4096 * KIB];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let behind_a_fin = Backend::serving(|mut wire| async move {
            wire.try_send(&FOUR_MIB).await.unwrap_or_default();
            wire.half_close().await;
            until_it_ends(wire).await;
        });
        let in_mid_answer = Backend::serving(|mut wire| async move {
            wire.try_send(&FOUR_MIB).await.unwrap_or_default();
            wire.try_send("more").await.unwrap_or_default();
            until_it_ends(wire).await;
        });
        let (first, second) = (Chain::to(behind_a_fin.addr()), Chain::to(in_mid_answer.addr()));
        let (mut one, mut other) = (first.connect().await, second.connect().await);
        let whole = async {
            assert_eq!(read_steadily(&mut one, 32 * KIB).await, (FOUR_MIB.len(), Some(Ending::Fin)));
        };
        let most = async {
            let (began, mut took) = (Instant::now(), 0);
            while took < FOUR_MIB.len() {
                let bytes = other.read_at_most(4 * KIB).await.len();
                assert_ne!(bytes, 0, "{:?} after {took} bytes", other.received().end);
                took += bytes;
                sleep_until(began + Duration::from_secs_f64(took as f64 / (32.0 * 1024.0))).await;
            }
        };
        tokio::join!(whole, most);
    });
}
