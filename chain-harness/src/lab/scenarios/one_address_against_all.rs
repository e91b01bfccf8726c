//! One silent address takes as many connections as it can get.

use super::*;

pub(super) const OUTER: Scenario = Scenario {
    name: "one-address-against-all",
    expected: "one address opens 400 connections at a hop for 200 that waits for ClientHellos and allows 20 an address, says nothing, and comes again whenever one is ended; then it does so talking once: it never holds more than 20, and clients of other addresses are served",
    story: |lab| Box::pin(story(lab)),
    ..USUAL
};

pub(super) const INNER: Scenario = Scenario {
    name: "one-address-without-header",
    expected: "one address opens 400 connections at the inner hop, for 200 and 20 an address, and sends no header: it never holds more than 20, and clients of other addresses are served through the chain",
    needs_headers: true,
    story: |lab| Box::pin(without_header(lab)),
    ..USUAL
};

const PLACES: usize = 200;
const OF_ONE: usize = 20;
const GREEDY: u32 = 400;
/// How long it tries.
const TRIES: Duration = Duration::from_secs(3);
/// From a connection that was ended to the next.
const AGAIN: Duration = Duration::from_millis(500);
/// A connection that is open for so long is held; what is refused waits in the kernel for a moment before that.
const HELD: Duration = Duration::from_millis(500);
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// The other addresses are 127.0.1.1 and so on.
const OTHERS: u8 = 10;

async fn story(lab: &mut Lab) -> Told {
    let backend = Backend::echo();
    lab.chain_with(backend.addr(), limited).await?;
    let to = lab.addr();
    lab.mark("one address connects, and is silent");
    against_all(lab, to, "").await;
    lab.mark("it says a word on each");
    against_all(lab, to, "hello").await;
    let left = lab.mark("all have gone");
    lab.settles(left, AT_ONCE, Law::Departures).await;
    Ok(())
}

async fn without_header(lab: &mut Lab) -> Told {
    let backend = Backend::echo();
    lab.chain_with(backend.addr(), limited).await?;
    let to = lab.inner_addr();
    lab.mark("one address connects, and is silent");
    against_all(lab, to, "").await;
    let left = lab.mark("all have gone");
    lab.settles(left, AT_ONCE, Law::Departures).await;
    Ok(())
}

fn limited(outer: &mut HopPlan, inner: &mut HopPlan) {
    outer.peeks = true;
    for hop in [outer, inner] {
        (hop.max_connections, hop.per_client) = (PLACES, Some(OF_ONE));
    }
}

/// One address holds what it can get at `to`, and clients of other addresses ask through the chain meanwhile.
async fn against_all(lab: &mut Lab, to: SocketAddr, words: &'static str) {
    let held = Arc::<AtomicUsize>::default();
    let pause = |n: u32| AGAIN * (n % 10) / 10;
    let greedy: JoinSet<_> = (0..GREEDY).map(|n| holds_on(to, words, Arc::clone(&held), pause(n))).collect();
    let (began, mut most) = (Instant::now(), 0);
    let (mut asked, mut served) = (0, 0);
    while began.elapsed() < TRIES {
        sleep(Duration::from_millis(200)).await;
        let addr = lab.addr();
        let others = (1..=OTHERS).map(move |n| is_answered(Ipv4Addr::new(127, 0, 1, n), addr));
        let answers = all_together(others).await;
        asked += answers.len();
        served += answers.into_iter().filter(|answered| *answered).count();
        most = most.max(held.load(Ordering::Relaxed));
    }
    lab.note(format!("it held {most}; {served} of {asked} others served"));
    lab.check(Law::Limits, most <= OF_ONE, || {
        format!("one address held {most} connections ({OF_ONE} allowed)")
    });
    lab.check(Law::Service, served == asked, || {
        format!("{served} of {asked} clients of other addresses served")
    });
    drop(greedy);
}

/// Connects from the attacker's address, says `words`, and holds on; again when it is ended. Counts itself while it is held.
async fn holds_on(to: SocketAddr, words: &'static str, held: Arc<AtomicUsize>, pause: Duration) {
    sleep(pause).await;
    loop {
        if let Ok(mut wire) = Wire::try_connect_from((ATTACKER, 0).into(), to).await {
            wire.try_send(words).await.unwrap_or_default();
            // Deaf to what it is told, but for its end.
            if timeout(HELD, wire.read_for_ever()).await.is_err() {
                let counted = Counted::one_more(&held);
                wire.read_for_ever().await;
                drop(counted);
            }
        }
        sleep(AGAIN).await;
    }
}

/// Whether an echo answers a client of `source`, who then leaves.
async fn is_answered(source: Ipv4Addr, to: SocketAddr) -> bool {
    let answered = timeout(AT_ONCE, async {
        let mut client = Wire::try_connect_from((source, 0).into(), to).await.ok()?;
        client.try_send("hello").await.ok()?;
        Some(client.read_until(|bytes| bytes.len() >= 5).await.text() == "hello")
    });
    answered.await.ok().flatten().unwrap_or(false)
}

/// One of those that are held, until it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn one_more(held: &Arc<AtomicUsize>) -> Self {
        held.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(held))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
