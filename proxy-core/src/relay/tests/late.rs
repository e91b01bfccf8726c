//! A relay whose own thread stood still while a deadline passed.

use super::*;

/// The thread of the relay stands still until `late` after its idle time has passed; it is still there after that.
async fn stood_still(late: Duration) -> (Rig, Instant) {
    let rig = rig(Preface::default(), 64);
    write_all(&rig.client, b"x").await.unwrap();
    read(&rig.backend, &mut [0; 8]).await.unwrap();
    tokio::time::advance(Duration::from_secs(100) + late).await;
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    (rig, Instant::now())
}

#[tokio::test(start_paused = true)]
async fn a_byte_that_a_neighbour_who_stood_still_too_sends_on_at_once_is_in_time() {
    let (late, _) = stood_still(Duration::from_secs(3)).await;
    assert!(!late.task.is_finished());
    tokio::time::sleep(Duration::from_millis(490)).await;
    write_all(&late.backend, b"y").await.unwrap();
    assert_eq!(read(&late.client, &mut [0; 8]).await.unwrap(), 1);
    tokio::time::sleep(Duration::from_secs(99)).await;
    assert!(!late.task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_silent_neighbour_of_a_thread_that_stood_still_is_ended_half_a_second_later() {
    for (late, within) in [(3_000, 490..=520), (200, 190..=220), (0, 0..=2)] {
        let (rig, from) = stood_still(Duration::from_millis(late)).await;
        let end = rig.task.await.unwrap();
        assert!(matches!(end, RelayEnd::Deadline { which: RelayDeadline::Idle, .. }), "{end:?}");
        assert!(within.contains(&from.elapsed().as_millis()), "{late} ms late: {:?}", from.elapsed());
    }
}
