//! What came while this process stood still, beyond the dial's deadline.

use super::*;
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// A resolver that says nothing before it is told to.
fn told() -> (Resolver, oneshot::Sender<()>) {
    let (says, answer) = oneshot::channel();
    let answer = Mutex::new(Some(answer));
    let resolver = Resolver::new(tokio::runtime::Handle::current(), ResolverOptions::default(), move |_| {
        let answer = answer.lock().take();
        Box::pin(async move {
            if let Some(answer) = answer {
                answer.await.map_err(io::Error::other)?;
            }
            Ok(vec![[127, 0, 0, 1].into()])
        })
    });
    (resolver, says)
}

/// A dial to a name that is answered for so long after the process stands still, in the middle of the dial, for that long.
async fn looked_up_late(stands: Duration, says_after: Duration) -> (bool, Duration) {
    let (resolver, says) = told();
    let dialer = Script([(Endpoint::Ip(addr(1)), AT_ONCE)].into());
    let target = [TargetAddr::Name("be.test".into(), 1)];
    let mut dialling = tokio_test::task::spawn(reach(&dialer, &resolver, &target, &AllOpen, Bound::secs(4)));
    tokio_test::assert_pending!(dialling.poll());
    tokio::time::sleep(SECOND).await;
    tokio_test::assert_pending!(dialling.poll());
    // Nobody has a turn meanwhile; when all wake up, the clock is the first to be looked at.
    tokio::time::advance(stands).await;
    let woken = Instant::now();
    let both = async {
        tokio::time::sleep(says_after).await;
        says.send(()).unwrap_or_default();
        std::future::pending::<()>().await;
    };
    let outcome = tokio::select! {
        outcome = dialling => outcome,
        () = both => unreachable!(),
    };
    (outcome.is_ok(), woken.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_was_answered_meanwhile_is_in_time() {
    let ms = Duration::from_millis;
    for stands in [5, 60, 3600] {
        assert_eq!(looked_up_late(stands * SECOND, ms(20)).await, (true, ms(20)), "after {stands} s");
        let (reached, took) = looked_up_late(stands * SECOND, 9 * SECOND).await;
        assert!(!reached && took <= SECOND, "nobody waits for ever: {took:?}");
    }
    assert!(
        !looked_up_late(3 * SECOND, ms(20)).await.0,
        "whoever is in time himself waits no longer than he said"
    );
}

#[tokio::test(start_paused = true)]
async fn who_refused_meanwhile_leaves_time_for_the_next() {
    let script = [(1, Does::Stalls(60 * SECOND)), (2, AT_ONCE)];
    let (port, _) = reach_scripted(&script, Bound::secs(9)).await;
    assert_eq!(port.unwrap(), 2);
    let (port, took) =
        reach_scripted(&[(1, Does::Stalls(60 * SECOND)), (2, Does::Nothing)], Bound::secs(9)).await;
    assert!(port.is_err() && took < 62 * SECOND, "{took:?}");
}

/// The reactor knows nothing of what came while this thread stood still beyond the dial's deadline.
#[tokio::test]
async fn a_dial_that_was_answered_while_the_worker_stood_still_has_succeeded() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let begun = begun(listener.local_addr().unwrap());
    begun.forget_what_is_known();
    let mut connected = tokio_test::task::spawn(begun.connected());
    tokio_test::assert_pending!(connected.poll());
    crate::reactor::catch_up();
    tokio_test::assert_ready!(connected.poll()).unwrap();
}
