//! Ring 2: a relay between in-memory streams on a paused clock.

mod last_words;
mod late;

use std::sync::Mutex as StdMutex;
use std::time::Duration;

use super::*;
use crate::Bound;
use crate::mem::{self, MemStream};
use crate::stream::{read, write_all};

/// A meter that remembers.
#[derive(Default)]
struct Notes(StdMutex<(u64, u64, Vec<Side>)>, StdMutex<Vec<(Instant, Instant, RelayDeadline)>>);

impl Meter for Notes {
    fn moved(&self, from: Side, bytes: u64, _: Instant) {
        let mut notes = self.0.lock().unwrap();
        match from {
            Side::Client => notes.0 += bytes,
            Side::Backend => notes.1 += bytes,
        }
    }
    fn half_closed(&self, side: Side, _: Instant) {
        self.0.lock().unwrap().2.push(side);
    }
    fn deadline(&self, _: &Due) {}
    fn warned(&self, at: Instant, why: RelayDeadline) {
        self.1.lock().unwrap().push((Instant::now(), at, why));
    }
}

/// A relay in its own task, the far ends in the test's hands.
struct Rig {
    client: MemStream,
    backend: MemStream,
    notes: std::sync::Arc<Notes>,
    task: tokio::task::JoinHandle<RelayEnd>,
}

fn limits() -> RelayLimits {
    RelayLimits {
        idle: Bound::secs(100),
        half_closed: Bound::secs(10),
        proxies: NextTo::default(),
        write_stall: Bound::secs(20),
        no_data: Bound::secs(50),
        lifetime_end: Instant::now() + Duration::from_secs(1000),
        warn_before: Some(Bound::secs(7)),
        client_keep_alive: None,
        backend_keep_alive: None,
    }
}

fn rig(preface: Preface, capacity: usize) -> Rig {
    let (client, near_client) = mem::pair(capacity);
    let (backend, near_backend) = mem::pair(capacity);
    let notes = std::sync::Arc::new(Notes::default());
    let meter = std::sync::Arc::clone(&notes);
    #[expect(clippy::disallowed_methods, reason = "the test is the one who spawns here")]
    let task = tokio::spawn(async move {
        let end = relay(&near_client, &near_backend, preface, &limits(), &*meter).await;
        if matches!(end, RelayEnd::Finished { .. }) {
            near_client.finish();
            near_backend.finish();
        }
        end
    });
    Rig { client, backend, notes, task }
}

async fn read_to_end(stream: &MemStream) -> (Vec<u8>, Option<io::ErrorKind>) {
    let (mut all, mut buf) = (Vec::new(), [0; 4096]);
    loop {
        match read(stream, &mut buf).await {
            Ok(0) => return (all, None),
            Ok(n) => all.extend_from_slice(&buf[..n]),
            Err(error) => return (all, Some(error.kind())),
        }
    }
}

fn four_mib() -> Vec<u8> {
    (0..4 << 20).map(|n: u32| u8::try_from(n % 251).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_preface_goes_first_then_what_the_client_sends() {
    let rig = rig(Preface { to_backend: b"header|".to_vec(), own: 7, client_ended: false }, 64);
    write_all(&rig.client, b"request").await.unwrap();
    rig.client.shutdown_write().unwrap();
    assert_eq!(read_to_end(&rig.backend).await, (b"header|request".to_vec(), None));
    write_all(&rig.backend, b"answer").await.unwrap();
    rig.backend.shutdown_write().unwrap();
    assert_eq!(read_to_end(&rig.client).await, (b"answer".to_vec(), None));
    assert!(matches!(rig.task.await.unwrap(), RelayEnd::Finished { first: Side::Client }));
    let notes = rig.notes.0.lock().unwrap();
    assert_eq!(
        (notes.0, notes.1, &*notes.2),
        (7, 6, &[Side::Client][..]),
        "the preface is not the client's bytes"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_had_ended_before_is_half_closed_from_the_start() {
    let rig = rig(Preface { to_backend: b"request".to_vec(), own: 0, client_ended: true }, 64);
    assert_eq!(read_to_end(&rig.backend).await, (b"request".to_vec(), None));
    write_all(&rig.backend, b"answer").await.unwrap();
    rig.backend.shutdown_write().unwrap();
    assert_eq!(read_to_end(&rig.client).await, (b"answer".to_vec(), None));
    assert!(matches!(rig.task.await.unwrap(), RelayEnd::Finished { first: Side::Client }));
}

/// Half-closes `quiet`, then sends 4 MiB the other way, slowly enough to outlast the half-closed deadline.
async fn half_close_then_bulk(quiet: &MemStream, busy: &MemStream) {
    quiet.shutdown_write().unwrap();
    assert_eq!(read_to_end(busy).await, (Vec::new(), None));
    let bytes = four_mib();
    let send = async {
        for part in bytes.chunks(1 << 20) {
            tokio::time::sleep(Duration::from_secs(9)).await;
            write_all(busy, part).await.unwrap();
        }
        busy.shutdown_write().unwrap();
    };
    let (got, ()) = tokio::join!(read_to_end(quiet), send);
    assert!(got == (bytes.clone(), None), "every byte, then FIN");
}

#[tokio::test(start_paused = true)]
async fn four_mib_after_a_half_close_arrive_whole_either_way() {
    let down = rig(Preface::default(), 10_000);
    half_close_then_bulk(&down.client, &down.backend).await;
    assert!(matches!(down.task.await.unwrap(), RelayEnd::Finished { first: Side::Client }));
    let up = rig(Preface::default(), 10_000);
    half_close_then_bulk(&up.backend, &up.client).await;
    assert!(matches!(up.task.await.unwrap(), RelayEnd::Finished { first: Side::Backend }));
}

#[tokio::test(start_paused = true)]
async fn a_reset_becomes_a_reset_either_way_after_the_bytes_before_it() {
    let rig_down = rig(Preface::default(), 64);
    write_all(&rig_down.backend, b"last words").await.unwrap();
    drop(rig_down.backend);
    assert_eq!(
        read_to_end(&rig_down.client).await,
        (b"last words".to_vec(), Some(io::ErrorKind::ConnectionReset))
    );
    assert!(matches!(rig_down.task.await.unwrap(), RelayEnd::Reset { by: Side::Backend, .. }));
    let rig_up = rig(Preface::default(), 64);
    write_all(&rig_up.client, b"last words").await.unwrap();
    drop(rig_up.client);
    assert_eq!(
        read_to_end(&rig_up.backend).await,
        (b"last words".to_vec(), Some(io::ErrorKind::ConnectionReset))
    );
    assert!(matches!(rig_up.task.await.unwrap(), RelayEnd::Reset { by: Side::Client, .. }));
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_noticed_while_the_other_side_takes_nothing() {
    let rig = rig(Preface::default(), 64);
    write_all(&rig.client, &[7; 64]).await.unwrap();
    // 64 bytes fill the backend's pipe, 64 more wait in the relay, 64 in the client's pipe; none is ever read.
    for _ in 0..2 {
        let stuck = tokio::time::timeout(Duration::from_secs(1), write_all(&rig.client, &[7; 64])).await;
        drop(stuck);
    }
    let started = Instant::now();
    drop(rig.client);
    assert!(matches!(rig.task.await.unwrap(), RelayEnd::Reset { by: Side::Client, .. }));
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(read_to_end(&rig.backend).await.1, Some(io::ErrorKind::ConnectionReset));
}

#[tokio::test(start_paused = true)]
async fn a_reset_after_a_half_close_is_noticed() {
    let rig = rig(Preface::default(), 64);
    rig.client.shutdown_write().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let started = Instant::now();
    drop(rig.client);
    assert!(matches!(rig.task.await.unwrap(), RelayEnd::Reset { by: Side::Client, .. }));
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn lost_bytes_never_end_in_a_clean_fin() {
    let rig = rig(Preface::default(), 64);
    let sink = async {
        // The backend takes nothing and resets while bytes for it wait.
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(rig.backend);
    };
    let (_, ()) = tokio::join!(write_all(&rig.client, &[7; 200]), sink);
    assert_eq!(read_to_end(&rig.client).await.1, Some(io::ErrorKind::ConnectionReset));
    assert!(matches!(rig.task.await.unwrap(), RelayEnd::Reset { by: Side::Backend, .. }));
}

/// How a rig ends whose far ends do `script`, and when.
async fn ends_after<F: Future>(
    capacity: usize,
    script: impl FnOnce(MemStream, MemStream) -> F,
) -> (RelayEnd, f64) {
    let rig = rig(Preface::default(), capacity);
    let started = Instant::now();
    let ended = async { (rig.task.await.unwrap(), started.elapsed().as_secs_f64()) };
    let (ended, _) = tokio::join!(ended, script(rig.client, rig.backend));
    ended
}

#[tokio::test(start_paused = true)]
async fn silence_from_the_start_is_ended_by_the_no_data_deadline() {
    let (end, secs) = ends_after(64, |client, backend| async {
        (tokio::time::sleep(Duration::from_secs(200)).await, client, backend)
    })
    .await;
    assert!(
        matches!(end, RelayEnd::Deadline { which: RelayDeadline::NoData, at_fault: None, .. }),
        "{end:?}"
    );
    assert!((50.0..50.1).contains(&secs), "{secs}");
}

#[tokio::test(start_paused = true)]
async fn bytes_just_under_the_idle_deadline_keep_it_and_just_over_end_it() {
    let (end, secs) = ends_after(64, |client, backend| async move {
        for _ in 0..3 {
            write_all(&client, b"x").await.unwrap();
            read(&backend, &mut [0; 8]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(99_900)).await;
        }
        write_all(&client, b"x").await.unwrap();
        read(&backend, &mut [0; 8]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100_100)).await;
        (client, backend)
    })
    .await;
    assert!(matches!(end, RelayEnd::Deadline { which: RelayDeadline::Idle, at_fault: None, .. }), "{end:?}");
    assert!((399.6..399.8).contains(&secs), "{secs}");
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_connection_is_ended_when_the_other_side_never_speaks_again() {
    let (end, secs) = ends_after(64, |client, backend| async move {
        write_all(&client, b"x").await.unwrap();
        tokio::time::sleep(Duration::from_secs(3)).await;
        client.shutdown_write().unwrap();
        tokio::time::sleep(Duration::from_secs(100)).await;
        (client, backend)
    })
    .await;
    assert!(
        matches!(
            end,
            RelayEnd::Deadline { which: RelayDeadline::HalfClosed, at_fault: Some(Side::Backend), .. }
        ),
        "{end:?}"
    );
    assert!((13.0..13.1).contains(&secs), "{secs}");
}

#[tokio::test(start_paused = true)]
async fn a_side_that_takes_nothing_is_ended_by_the_write_stall_deadline() {
    let (end, secs) = ends_after(64, |client, backend| async move {
        let flood = async { while write_all(&backend, &[7; 64]).await.is_ok() {} };
        drop(tokio::time::timeout(Duration::from_secs(100), flood).await);
        (client, backend)
    })
    .await;
    assert!(
        matches!(
            end,
            RelayEnd::Deadline { which: RelayDeadline::WriteStall, at_fault: Some(Side::Client), .. }
        ),
        "{end:?}"
    );
    assert!((20.0..20.1).contains(&secs), "{secs}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_not_a_stalled_one() {
    let (end, secs) = ends_after(64, |client, backend| async move {
        let flood = async { while write_all(&backend, &[7; 64]).await.is_ok() {} };
        let slow = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(19)).await;
                read(&client, &mut [0; 16]).await.unwrap();
            }
        };
        drop(tokio::time::timeout(Duration::from_secs(300), async { tokio::join!(flood, slow) }).await);
        (client, backend)
    })
    .await;
    assert!(
        matches!(
            end,
            RelayEnd::Deadline { which: RelayDeadline::WriteStall, at_fault: Some(Side::Client), .. }
        ),
        "{end:?}"
    );
    assert!((210.0..210.1).contains(&secs), "{secs}");
}

#[tokio::test(start_paused = true)]
async fn the_lifetime_ends_even_a_busy_connection() {
    let (end, secs) = ends_after(64, |client, backend| async move {
        for _ in 0..200 {
            if write_all(&client, b"x").await.is_err() || read(&backend, &mut [0; 8]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(9)).await;
        }
        (client, backend)
    })
    .await;
    assert!(
        matches!(end, RelayEnd::Deadline { which: RelayDeadline::Lifetime, at_fault: None, .. }),
        "{end:?}"
    );
    assert!((1000.0..1000.1).contains(&secs), "{secs}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_warned_of_once_before_each_cut_that_threatens() {
    let rig = rig(Preface::default(), 64);
    let started = Instant::now();
    for pause in [95, 200] {
        write_all(&rig.client, b"x").await.unwrap();
        read(&rig.backend, &mut [0; 8]).await.unwrap();
        tokio::time::sleep(Duration::from_secs(pause)).await;
    }
    rig.task.await.unwrap();
    let warnings = rig.notes.1.lock().unwrap();
    let told: Vec<_> = warnings
        .iter()
        .map(|(when, at, why)| ((*when - started).as_secs(), (*at - started).as_secs(), *why))
        .collect();
    assert_eq!(told, [(93, 100, RelayDeadline::Idle), (188, 195, RelayDeadline::Idle)]);
}

#[tokio::test(start_paused = true)]
async fn the_proxys_own_header_does_not_count_as_data() {
    let rig = rig(Preface { to_backend: b"header|".to_vec(), own: 7, client_ended: false }, 64);
    let started = Instant::now();
    read(&rig.backend, &mut [0; 8]).await.unwrap();
    assert!(matches!(rig.task.await.unwrap(), RelayEnd::Deadline { which: RelayDeadline::NoData, .. }));
    assert!((50.0..50.1).contains(&started.elapsed().as_secs_f64()));
}

#[tokio::test(start_paused = true)]
async fn traffic_the_other_way_does_not_lift_a_stall() {
    let (end, secs) = ends_after(64, |client, backend| async move {
        let flood = async { while write_all(&backend, &[7; 64]).await.is_ok() {} };
        let chatter = async {
            while write_all(&client, b"x").await.is_ok() {
                read(&backend, &mut [0; 8]).await.unwrap_or(0);
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        drop(tokio::time::timeout(Duration::from_secs(300), async { tokio::join!(flood, chatter) }).await);
        (client, backend)
    })
    .await;
    let expected = RelayEnd::Deadline {
        which: RelayDeadline::WriteStall,
        at_fault: Some(Side::Client),
        delivered: false,
    };
    assert_eq!(format!("{end:?}"), format!("{expected:?}"));
    assert!((20.0..20.1).contains(&secs), "{secs}");
}

/// The backend has ended and then resets: all that it had to say is said, and the client hears of no reset.
#[tokio::test(start_paused = true)]
async fn a_reset_behind_the_backends_end_takes_nothing_from_the_client() {
    let rig = rig(Preface::default(), 64);
    write_all(&rig.backend, b"all of it").await.unwrap();
    rig.backend.shutdown_write().unwrap();
    assert_eq!(read_to_end(&rig.client).await, (b"all of it".to_vec(), None));
    drop(rig.backend);
    assert!(matches!(rig.task.await.unwrap(), RelayEnd::Reset { by: Side::Backend, delivered: true, .. }));
}
