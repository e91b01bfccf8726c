//! Targets that the proxy tries by itself: for how long, and how often.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use proxy_core::dial::Gate;
use proxy_core::{Destination, Dial};
use proxy_upstream::Candidates;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A network on which everybody answers, each after the same time, or refuses.
#[derive(Clone, Default)]
struct Far {
    millis: Arc<AtomicU64>,
    refuses: bool,
    dials: Arc<AtomicUsize>,
}

impl Dial for Far {
    type Stream = MemStream;

    async fn dial(&self, _: Destination<'_>) -> io::Result<MemStream> {
        self.dials.fetch_add(1, Ordering::Relaxed);
        if self.refuses {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        tokio::time::sleep(Duration::from_millis(self.millis.load(Ordering::Relaxed))).await;
        Ok(mem::pair(64).0)
    }
}

fn proxy<D: Dial>(config: &str, dialer: D) -> Arc<ArcSwap<Generation<D>>> {
    let config = Config::parse(config, "test.toml").unwrap();
    let proxy =
        Generation::new(config.settings, Tracker::new(1, Ends::default()), dialer, Resolver::fixed([]));
    Arc::new(ArcSwap::from_pointee(proxy))
}

fn recovers<D: Dial + Clone>(in_force: &Arc<ArcSwap<Generation<D>>>) -> DropGuard {
    let stop = CancellationToken::new();
    #[expect(clippy::disallowed_methods, reason = "the test stands in for the server")]
    drop(tokio::spawn(in_force.load().recover(stop.clone())));
    stop.drop_guard()
}

fn candidates<D: Dial>(proxy: &Generation<D>, route: usize) -> Candidates<'_> {
    proxy.route(route).unwrap().targets.candidates(8000)
}

/// As many dials fail as open a breaker.
fn fails<D: Dial>(proxy: &Generation<D>, route: usize) {
    for _ in 0..5 {
        let candidates = candidates(proxy, route);
        let attempt = candidates.enter(0).unwrap();
        candidates.failed(attempt, &io::Error::from(io::ErrorKind::ConnectionRefused).into(), &[]);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_late_is_tried_ever_more_seldom_and_last_until_it_is_near() {
    let far = Far { millis: Arc::new(AtomicU64::new(400)), ..Far::default() };
    let in_force = proxy(&PLAIN.replace("9000\"", "9000\", \"127.0.0.1:9001\""), far.clone());
    let _recovers = recovers(&in_force);
    let proxy = in_force.load_full();
    let first = |candidates: &Candidates<'_>| candidates.addresses[0].clone();
    let slow = {
        let candidates = candidates(&proxy, 0);
        candidates.overtaken(candidates.enter(0).unwrap());
        first(&candidates)
    };
    tokio::time::sleep(600 * SECOND).await;
    let dials = far.dials.load(Ordering::Relaxed);
    assert!((10..=20).contains(&dials), "{dials} in ten minutes");
    for _ in 0..4 {
        assert_ne!(first(&candidates(&proxy, 0)), slow, "though nobody has dialled it since");
    }
    far.millis.store(20, Ordering::Relaxed);
    tokio::time::sleep(61 * SECOND).await;
    let turns = [first(&candidates(&proxy, 0)), first(&candidates(&proxy, 0))];
    assert!(turns.contains(&slow), "it has its turn again: {turns:?}");
    far.dials.store(0, Ordering::Relaxed);
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(far.dials.load(Ordering::Relaxed), 0, "nobody tries what is well");
}

#[tokio::test(start_paused = true)]
async fn one_that_a_reload_took_away_is_tried_no_more() {
    let far = Far { refuses: true, ..Far::default() };
    let in_force = proxy(PLAIN, far.clone());
    let _recovers = recovers(&in_force);
    fails(&in_force.load_full(), 0);
    let tried = async |seconds: u32| {
        let before = far.dials.load(Ordering::Relaxed);
        tokio::time::sleep(seconds * SECOND).await;
        far.dials.load(Ordering::Relaxed) - before
    };
    assert_eq!(tried(9).await, 10 - 1);
    let reload = |config: &str| {
        let config = Config::parse(config, "test.toml").unwrap();
        let next = in_force.load_full().after(config.settings).unwrap();
        next.take_force();
        in_force.store(Arc::new(next));
    };
    reload(&format!("graceful_shutdown_timeout = \"9s\"\n{PLAIN}"));
    assert!(tried(9).await >= 9, "it is the same target");
    reload(&PLAIN.replace("9000", "9001"));
    tried(1).await;
    assert_eq!(tried(60).await, 0);
    assert_eq!(in_force.load().tries(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_great_many_are_tried_no_more_often_than_a_thousand_times_a_second() {
    const MANY: usize = 2000;
    let far = Far { refuses: true, ..Far::default() };
    let route = |n: usize| {
        let at = SocketAddr::from(([10, 0, 0, 1], u16::try_from(1000 + n).unwrap()));
        format!(
            "[[routes]]\nname = \"r{n}\"\nmatch = {{ domains = [\"r{n}.test\"], ports = [8000] }}\naction = {{ forward = [\"{at}\"] }}\n"
        )
    };
    let routes: String = (0..MANY).map(route).collect();
    let in_force =
        proxy(&format!("[[listeners]]\nports = [8000]\nbind = [\"127.0.0.1\"]\n{routes}"), far.clone());
    let _recovers = recovers(&in_force);
    (0..MANY).for_each(|route| fails(&in_force.load_full(), route));
    tokio::time::sleep(5 * SECOND).await;
    far.dials.store(0, Ordering::Relaxed);
    tokio::time::sleep(10 * SECOND).await;
    let dials = far.dials.load(Ordering::Relaxed);
    assert!((8_000..=10_000).contains(&dials), "{dials} in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn a_generation_is_freed_although_targets_are_looked_after() {
    let in_force = proxy(PLAIN, Far::default());
    let _recovers = recovers(&in_force);
    tokio::time::sleep(SECOND).await;
    let first = Arc::downgrade(&in_force.load_full());
    in_force.store(proxy(PLAIN, Far::default()).load_full());
    tokio::time::sleep(SECOND).await;
    assert_eq!(first.strong_count(), 0, "a hundred thousand routes would be kept twice for ever");
}
