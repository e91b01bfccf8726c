//! All places of the process are taken, and then most are free again: whoever comes is served at once, not when a breaker that
//! remembers the shortage thinks better of it; and nobody who merely says nothing goes for places that nobody wants.

use std::time::Duration;

use chain_harness::{Backend, Ending, Hop, PATIENCE, Wire, eventually, scenario};
use proxy_conn::{Cause, Level};
use tokio::time::Instant;

const PLACES: usize = 40;

/// What is left of them stays below the mark from which idle connections are ended.
const STAY: usize = 6;

const SETTINGS: &str = r#"
limits.max_connections = 40
workers = 1
pools.direct.overload = { victims_idle = "1s", victims_share = 100 }
"#;

async fn served(addr: std::net::SocketAddr) -> Wire {
    let mut client = Wire::connect(addr).await;
    client.send("hello").await;
    client.expect("hello").await;
    client
}

/// A backend, a hop in front of it, and as many clients as it has places, each of which was served.
async fn full() -> (Backend, Hop, Vec<Wire>) {
    let backend = Backend::echo();
    let hop = Hop::start(&chain_harness::config::single(SETTINGS, &[&backend.addr()]));
    let mut clients = Vec::new();
    for _ in 0..PLACES {
        clients.push(served(hop.addr()).await);
    }
    eventually(PATIENCE, || hop.pool_level("direct") == Level::Shed).await;
    (backend, hop, clients)
}

#[test]
fn whoever_comes_when_there_are_places_again_is_served_at_once() {
    scenario(async {
        let (_backend, hop, mut clients) = full().await;
        clients.truncate(STAY);
        eventually(PATIENCE, || hop.tracker().len() == STAY).await;
        let (freed, newcomer) = (Instant::now(), served(hop.addr()).await);
        assert!(freed.elapsed() < Duration::from_secs(2), "{:?}: no level is waited out", freed.elapsed());
        assert_eq!(hop.ends_of(Cause::Shed), 0);
        eventually(Duration::from_secs(2), || hop.pool_level("direct") < Level::Shed).await;
        drop((clients, newcomer));
        hop.settles().await;
        hop.is_clean().await;
    });
}

#[test]
fn who_says_nothing_stays_until_somebody_wants_a_place() {
    scenario(async {
        let (_backend, hop, mut clients) = full().await;
        // For longer than it takes a silent connection to be a candidate, and some looks more.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!((hop.ends_of(Cause::Overload), hop.tracker().len()), (0, PLACES));
        // One waits in the kernel's queue, and gets the place of the one that was silent for longest.
        let newcomer = served(hop.addr()).await;
        let ended = usize::try_from(hop.ends_of(Cause::Overload)).unwrap_or(usize::MAX);
        assert!((1..PLACES / 4).contains(&ended), "{ended} were ended for one newcomer");
        for client in clients.drain(ended..) {
            drop(client);
        }
        drop((clients, newcomer));
        hop.settles().await;
        hop.is_clean().await;
    });
}

/// What somebody reads who is slow: more than it takes while places are wanted, less than the kernel holds.
static ANSWER: [u8; 512 * 1024] = [7; 512 * 1024];

/// Echoes, but for who asks for the answer: that gets it, and a FIN.
fn echo_or_answer() -> Backend {
    Backend::serving(|mut wire| async move {
        let asked = wire.read_some().await;
        let answer = if asked == b"answer" { &ANSWER[..] } else { &asked };
        wire.try_send(answer).await.unwrap_or_default();
        if asked == b"answer" {
            wire.half_close().await;
        }
        wire.read_to_end().await;
    })
}

#[test]
fn who_reads_slowly_what_the_kernel_has_for_it_is_not_ended_for_a_place() {
    scenario(async {
        let backend = echo_or_answer();
        let hop = Hop::start(&chain_harness::config::single(SETTINGS, &[&backend.addr()]));
        let mut reader = Wire::connect_with_room_for(16 * 1024, hop.addr()).await;
        reader.send("answer").await;
        let mut clients = Vec::new();
        for _ in 1..PLACES {
            clients.push(served(hop.addr()).await);
        }
        let reading = async {
            let began = Instant::now();
            for eighth in 1..=40 {
                reader.read_at_most(8 * 1024).await;
                tokio::time::sleep_until(began + Duration::from_millis(125) * eighth).await;
            }
        };
        let coming = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            for _ in 0..3 {
                clients.push(served(hop.addr()).await);
            }
        };
        tokio::join!(reading, coming);
        assert!(hop.ends_of(Cause::Overload) >= 3, "others have made room");
        let whole = reader.read_to_end().await;
        assert_eq!((whole.bytes.len(), whole.end), (ANSWER.len(), Some(Ending::Fin)));
        drop((clients, reader));
        hop.settles().await;
        hop.is_clean().await;
    });
}
