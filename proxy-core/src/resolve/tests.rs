//! The cache on a paused clock, and the system's look-ups.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

const LONG: Duration = Duration::from_secs(60);

/// A look-up that takes a second, counts, and fails while `down` is set.
fn scripted(down: &Arc<Mutex<bool>>) -> (Resolver, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, down) = (Arc::clone(&asked), Arc::clone(down));
    let resolver = Resolver::new(Handle::current(), ResolverOptions::default(), move |_| {
        let n = count.fetch_add(1, Ordering::Relaxed);
        let down = *down.lock();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if down {
                Err(std::io::ErrorKind::HostUnreachable.into())
            } else {
                Ok(vec![[10, 0, 0, u8::try_from(n).unwrap()].into()])
            }
        })
    });
    (resolver, asked)
}

#[tokio::test(start_paused = true)]
async fn one_look_up_serves_all_who_ask_at_once_and_later() {
    let (resolver, asked) = scripted(&Arc::default());
    let (a, b) = tokio::join!(resolver.resolve("a.test", LONG), resolver.resolve("a.test", LONG));
    assert_eq!(a, b);
    assert_eq!(resolver.resolve("a.test", LONG).await, a);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(resolver.resolve("a.test", LONG).await, a, "fresh until its ttl");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(resolver.resolve("a.test", LONG).await, a, "looked up again after it, and meanwhile");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_ne!(resolver.resolve("a.test", LONG).await, a, "the new one from then on");
}

#[tokio::test(start_paused = true)]
async fn a_stale_answer_is_served_while_the_resolver_is_down() {
    let down = Arc::new(Mutex::new(false));
    let (resolver, asked) = scripted(&down);
    let good = resolver.resolve("a.test", LONG).await;
    *down.lock() = true;
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(resolver.resolve("a.test", LONG).await, good);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, started) = (asked.load(Ordering::Relaxed), Instant::now());
    assert_eq!(resolver.resolve("a.test", LONG).await, good);
    assert_eq!(
        started.elapsed(),
        Duration::ZERO,
        "a dial does not wait again for a resolver that just failed"
    );
    assert_eq!(asked.load(Ordering::Relaxed), before);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(resolver.resolve("a.test", LONG).await.is_err(), "not for ever");
}

#[tokio::test(start_paused = true)]
async fn a_stale_answer_is_not_kept_back_for_a_slow_look_up() {
    let (resolver, asked) = scripted(&Arc::default());
    let good = resolver.resolve("a.test", LONG).await;
    tokio::time::sleep(Duration::from_secs(31)).await;
    for (patience, waits) in [(10, 10), (100, 100), (60_000, 100)] {
        let started = Instant::now();
        assert_eq!(resolver.resolve("a.test", Duration::from_millis(patience)).await, good);
        assert_eq!(started.elapsed().as_millis(), waits);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_ne!(resolver.resolve("a.test", LONG).await, good, "the look-up went on");
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_asked() {
    let (resolver, _) = scripted(&Arc::default());
    let started = Instant::now();
    let answer = resolver.resolve("a.test", Duration::from_millis(500)).await;
    assert_eq!((answer, started.elapsed().as_millis()), (Err(ResolveError::TimedOut), 500));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(
        resolver.resolve("a.test", Duration::from_millis(1)).await.is_ok(),
        "the look-up landed all the same"
    );
}

#[tokio::test(start_paused = true)]
async fn the_cache_is_bounded() {
    let (resolver, _) = scripted(&Arc::default());
    let small = ResolverOptions { capacity: 2, ..ResolverOptions::default() };
    let resolver = Resolver::new(Handle::current(), small, move |name| {
        let resolver = resolver.clone();
        Box::pin(async move { Ok(resolver.resolve(&name, LONG).await.unwrap().to_vec()) })
    });
    for n in 0..5 {
        resolver.resolve(&format!("{n}.test"), LONG).await.unwrap();
    }
    assert_eq!(resolver.shared.names.lock().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn other_options_hold_for_what_is_cached_already() {
    let (resolver, asked) = scripted(&Arc::default());
    resolver.resolve("a.test", LONG).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    resolver.set_options(ResolverOptions { ttl: Bound::secs(5), ..ResolverOptions::default() });
    resolver.resolve("a.test", LONG).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2, "ten seconds are too old now");
}

/// A resolver whose look-ups come to these, one after the other, and to the last for good.
fn in_turn(outcomes: Vec<Result<Found, ResolveError>>) -> Resolver {
    let at = AtomicUsize::new(0);
    let lookup = move |_| -> FoundFuture {
        let n = at.fetch_add(1, Ordering::Relaxed).min(outcomes.len() - 1);
        Box::pin(std::future::ready(outcomes[n].clone()))
    };
    let none = |_| -> ServicesFuture { Box::pin(std::future::ready(Err(ResolveError::TimedOut))) };
    Resolver::of(Handle::current(), ResolverOptions::default(), lookup, none)
}

fn found(addrs: &[&str], ttl: u64, unheard: Option<Family>) -> Result<Found, ResolveError> {
    let addrs = addrs.iter().map(|addr| addr.parse().unwrap()).collect();
    Ok(Found { addrs, ttl: Some(Duration::from_secs(ttl)), unheard })
}

async fn said(resolver: &Resolver) -> Result<String, ResolveError> {
    let addrs = resolver.resolve("a.test", LONG).await?;
    Ok(addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_fresh_for_as_long_as_its_records_say() {
    let resolver = in_turn(vec![
        found(&["10.0.0.1"], 7, None),
        found(&["10.0.0.2"], 86_400, None),
        found(&["10.0.0.3"], 7, None),
    ]);
    assert_eq!(said(&resolver).await.unwrap(), "10.0.0.1");
    tokio::time::sleep(Duration::from_millis(6_999)).await;
    assert_eq!(said(&resolver).await.unwrap(), "10.0.0.1");
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(said(&resolver).await.unwrap(), "10.0.0.2");
    tokio::time::sleep(Duration::from_secs(299)).await;
    assert_eq!(said(&resolver).await.unwrap(), "10.0.0.2");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(said(&resolver).await.unwrap(), "10.0.0.3", "five minutes at most");
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_a_family_that_is_not_heard_of_is_kept_for_as_long_as_stale_answers_are() {
    let whole = found(&["10.0.0.1", "fd00::1"], 60, None);
    let resolver = in_turn(vec![whole, found(&["10.0.0.2"], 5, Some(Family::V6))]);
    assert_eq!(said(&resolver).await.unwrap(), "10.0.0.1 fd00::1");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(said(&resolver).await.unwrap(), "10.0.0.2 fd00::1");
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(said(&resolver).await.unwrap(), "10.0.0.2 fd00::1");
    }
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(said(&resolver).await.unwrap(), "10.0.0.2", "an hour after it was heard of");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_gone_is_forgotten_and_one_that_fails_is_not() {
    let (gone, failed) = (ResolveError::NoAddress("gone".into()), ResolveError::Failed("servfail".into()));
    let resolver = in_turn(vec![found(&["10.0.0.1"], 1, None), Err(failed), Err(gone.clone())]);
    for _ in 0..2 {
        assert_eq!(said(&resolver).await.unwrap(), "10.0.0.1");
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(said(&resolver).await, Err(gone));
}

#[tokio::test]
async fn the_system_resolver_knows_localhost() {
    let resolver = Resolver::system(Handle::current(), 1, ResolverOptions::default());
    assert!(resolver.resolve("localhost", LONG).await.unwrap().iter().all(IpAddr::is_loopback));
}
