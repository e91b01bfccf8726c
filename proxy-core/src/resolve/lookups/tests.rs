//! Look-ups that hang, and others meanwhile, on a paused clock.

use super::*;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// Longer than `EXTRA_EVERY`.
const SOON: Duration = Duration::from_millis(250);

/// A resolver that answers at once, but not for names that begin with "silent" while it hangs.
struct System {
    lookups: Lookups,
    hangs: watch::Sender<bool>,
    asked: Arc<AtomicUsize>,
}

impl System {
    fn of(most: usize) -> Self {
        let (hangs, told) = watch::channel(false);
        let asked = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&asked);
        let lookups = Lookups::new(Handle::current(), most, move |name| {
            counts.fetch_add(1, Ordering::Relaxed);
            let (silent, mut told) = (name.starts_with("silent"), told.clone());
            Box::pin(async move {
                if silent {
                    told.wait_for(|hangs| !hangs).await.unwrap();
                }
                Ok(vec![IpAddr::from([10, 0, 0, 1])].into())
            })
        });
        Self { lookups, hangs, asked }
    }

    fn hangs(&self, hangs: bool) {
        self.hangs.send_replace(hangs);
    }

    async fn answers(&self, name: &str) -> bool {
        tokio::time::timeout(SOON, self.lookups.ask(name.into())).await.is_ok_and(|answer| answer.is_ok())
    }

    fn busy(&self) -> usize {
        self.lookups.desk.queue.lock().busy()
    }
}

#[tokio::test(start_paused = true)]
async fn six_hundred_names_that_nobody_answers_for_leave_room_for_others() {
    let system = System::of(96);
    assert!(system.answers("known.test").await);
    system.hangs(true);
    let waiting: Vec<_> = (0..600).map(|n| system.lookups.ask(format!("silent-{n}.test").into())).collect();
    for name in ["known.test", "new-1.test", "new-2.test"] {
        assert!(system.answers(name).await, "{name}");
    }
    assert!(system.busy() < 16, "{} under way after a moment", system.busy());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(system.busy(), 84, "as many as leave some places for others");
    assert!(system.answers("known.test").await);
    system.hangs(false);
    for answer in waiting {
        assert!(answer.await.is_ok(), "they are all served when the resolver is well again");
    }
    assert_eq!(system.busy(), 0);
}

/// Where there are descriptors for few only, some places are kept for names of which something good is known.
#[tokio::test(start_paused = true)]
async fn of_few_places_too_some_are_left_for_others() {
    for most in [0, 4, 9, 20] {
        let system = System::of(most);
        assert!(system.answers("known.test").await);
        system.hangs(true);
        let waiting: Vec<_> =
            (0..100).map(|n| system.lookups.ask(format!("silent-{n}.test").into())).collect();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(system.busy() < most.max(4), "{} of {most}", system.busy());
        assert!(system.answers("known.test").await, "{most}");
        system.hangs(false);
        for answer in waiting {
            assert!(answer.await.is_ok());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whom_nobody_waits_for_is_not_looked_up_or_no_longer() {
    let system = System::of(96);
    system.hangs(true);
    let waiting: Vec<_> = (0..20).map(|n| system.lookups.ask(format!("silent-{n}.test").into())).collect();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(system.busy(), queue::AT_ONCE);
    let given_up: Vec<_> = (0..5000).map(|n| system.lookups.ask(format!("other-{n}.test").into())).collect();
    drop(given_up);
    assert!(system.answers("new.test").await);
    assert!(system.asked.load(Ordering::Relaxed) < 30, "{:?}", system.asked);
    drop(waiting);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(system.busy(), 0, "what is under way for nobody ends");
}

/// The pace holds however many are waiting: pure, on a clock made by hand.
#[tokio::test]
async fn beyond_the_first_eight_a_name_of_which_nothing_is_known_begins_every_so_often() {
    let (mut queue, start) = (Queue::new(96), Instant::now());
    let mut waiting = Vec::new();
    for n in 0..200 {
        let (answer, answered) = oneshot::channel();
        waiting.push(answered);
        queue.push(Job { name: format!("{n}.test").into(), answer });
    }
    let mut begun = |at: Duration| std::iter::from_fn(|| queue.pop(start + at)).count();
    assert_eq!(begun(Duration::ZERO), 8);
    assert_eq!(begun(queue::EXTRA_EVERY - Duration::from_millis(1)), 0);
    for n in 1..=5 {
        assert_eq!(begun(queue::EXTRA_EVERY * n), 1);
    }
}
