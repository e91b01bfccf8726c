//! Look-ups that hang, and others meanwhile.

use super::*;
use crate::resolve::MOST_LOOK_UPS;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Longer than `EXTRA_EVERY`, on a machine that does other things too.
const SOON: Duration = Duration::from_secs(4);

/// A system that answers at once, but not for names that begin with "silent" before it is told to.
struct System {
    lookups: Lookups,
    hangs: Arc<(Mutex<bool>, Condvar)>,
    asked: Arc<AtomicUsize>,
}

impl System {
    fn new(hosts: &str) -> Self {
        Self::of(hosts, MOST_LOOK_UPS)
    }

    fn of(hosts: &str, most: usize) -> Self {
        let path = std::env::temp_dir().join(format!("smartproxy-lookups-{}-{hosts}", std::process::id()));
        std::fs::write(&path, format!("10.0.0.1 {hosts}\n")).unwrap();
        let (hangs, asked) = (Arc::new((Mutex::new(false), Condvar::new())), Arc::new(AtomicUsize::new(0)));
        let (holds, counts) = (Arc::clone(&hangs), Arc::clone(&asked));
        let lookups = Lookups::with_hosts(path, most, move |name| {
            counts.fetch_add(1, Ordering::Relaxed);
            if name.starts_with("silent") {
                let (hangs, told) = &*holds;
                told.wait_while(&mut hangs.lock(), |hangs| *hangs);
            }
            Ok(vec![[10, 0, 0, 1].into()])
        });
        Self { lookups, hangs, asked }
    }

    fn hangs(&self, hangs: bool) {
        *self.hangs.0.lock() = hangs;
        self.hangs.1.notify_all();
    }

    /// As many hang as may without any pace.
    async fn is_held_up(&self) {
        let all_hang = async {
            while self.asked.load(Ordering::Relaxed) < 8 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, all_hang).await.unwrap();
    }

    async fn answers(&self, name: &str) -> bool {
        tokio::time::timeout(SOON, self.lookups.ask(name.into())).await.is_ok_and(|answer| answer.is_ok())
    }
}

#[tokio::test]
async fn six_hundred_names_that_nobody_answers_for_leave_room_for_others() {
    let system = System::new("pinned.test");
    assert!(system.answers("known.test").await);
    system.hangs(true);
    let waiting: Vec<_> = (0..600).map(|n| system.lookups.ask(format!("silent-{n}.test").into())).collect();
    for name in ["known.test", "pinned.test", "new-1.test", "new-2.test"] {
        assert!(system.answers(name).await, "{name}");
    }
    let threads = system.lookups.desk.queue.lock().threads();
    assert!(threads < 60, "{threads} threads after a moment");
    system.hangs(false);
    for answer in waiting {
        assert!(answer.await.is_ok(), "they are all served when the system is well again");
    }
    assert!(system.lookups.desk.queue.lock().threads() <= MOST_LOOK_UPS);
}

/// Where there are descriptors for few threads only, some are kept for names of which something good is known.
#[tokio::test]
async fn of_few_threads_too_some_are_left_for_others() {
    for most in [0, 4, 9, 20] {
        let system = System::of(&format!("pinned-{most}.test"), most);
        assert!(system.answers("known.test").await);
        system.hangs(true);
        let waiting: Vec<_> =
            (0..100).map(|n| system.lookups.ask(format!("silent-{n}.test").into())).collect();
        for name in ["known.test", &format!("pinned-{most}.test")] {
            assert!(system.answers(name).await, "{name} of {most}");
        }
        system.hangs(false);
        for answer in waiting {
            assert!(answer.await.is_ok());
        }
        assert!(system.lookups.desk.queue.lock().threads() <= most.max(4));
    }
}

#[tokio::test]
async fn whom_nobody_waits_for_is_not_looked_up() {
    let system = System::new("none.test");
    system.hangs(true);
    let waiting: Vec<_> = (0..20).map(|n| system.lookups.ask(format!("silent-{n}.test").into())).collect();
    system.is_held_up().await;
    assert!(system.answers("new.test").await);
    let given_up: Vec<_> = (0..5000).map(|n| system.lookups.ask(format!("other-{n}.test").into())).collect();
    drop(given_up);
    assert!(system.answers("new.test").await);
    system.hangs(false);
    for answer in waiting {
        answer.await.unwrap();
    }
    assert!(system.asked.load(Ordering::Relaxed) < 1000, "{:?}", system.asked);
}

#[tokio::test]
async fn a_thread_ends_with_what_it_was_made_for() {
    let system = System::new("nobody.test");
    assert!(system.answers("new.test").await);
    let desk = Arc::downgrade(&system.lookups.desk);
    drop(system);
    tokio::time::timeout(SOON, async {
        while desk.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

/// The pace holds however many are waiting: pure, on a clock made by hand.
#[tokio::test]
async fn beyond_the_first_eight_a_name_of_which_nothing_is_known_begins_every_so_often() {
    let (mut queue, start) = (Queue::new(MOST_LOOK_UPS), Instant::now());
    let mut waiting = Vec::new();
    for n in 0..200 {
        let (answer, answered) = oneshot::channel();
        waiting.push(answered);
        queue.sifted(Job { name: format!("{n}.test").into(), answer }, Rank::New);
    }
    let mut begun = |at: Duration| {
        std::iter::from_fn(|| queue.pop(start + at)).filter(|work| matches!(work, Work::LookUp(..))).count()
    };
    assert_eq!(begun(Duration::ZERO), 8);
    assert_eq!(begun(queue::EXTRA_EVERY - Duration::from_millis(1)), 0);
    for n in 1..=5 {
        assert_eq!(begun(queue::EXTRA_EVERY * n), 1);
    }
}
