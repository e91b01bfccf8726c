use std::sync::Arc;

use parking_lot::Mutex;
use proxy_core::dial::{AllOpen, Closed, DialErrorKind, Gate, reach};
use proxy_core::mem::{self, MemNet, MemStream};
use proxy_core::stream::{gone, read, write_all};
use proxy_core::{Listen as _, PeerAddr, Resolver, TargetAddr};

use super::*;
use crate::cancel::Reason;
use crate::opening::Opening;
use crate::tracker::{Ended, Subscriber, Tracker};

/// Notes each end, and whether the client was gone by then.
#[derive(Default)]
struct Ends {
    said: Mutex<Vec<String>>,
    far: Mutex<Option<MemStream>>,
    /// What the connection's function owns beside its client.
    owned: Arc<()>,
}

impl Subscriber for Arc<Ends> {
    fn ended(&self, ended: &Ended<'_>) {
        let detail = ended.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
        let bytes = format!("{}/{}", ended.from_client, ended.from_backend);
        let far = self.far.lock();
        let open = far.as_ref().is_some_and(|far| tokio_test::task::spawn(gone(far)).poll().is_pending());
        assert_eq!(Arc::strong_count(&self.owned), 1, "what the function owned is gone");
        let open = if open { " (client open)" } else { "" };
        self.said.lock().push(format!("{}{open} {bytes}{detail}", ended.end));
    }
}

struct Rig {
    tracker: Arc<Tracker>,
    ends: Arc<Ends>,
    net: MemNet,
}

fn target() -> std::net::SocketAddr {
    ([127, 0, 0, 1], 9000).into()
}

impl Rig {
    fn new() -> Self {
        let ends = Arc::<Ends>::default();
        Self { tracker: Tracker::new(1, Arc::clone(&ends)), ends, net: MemNet::default() }
    }

    fn open(&self) -> (ConnGuard, MemStream, MemStream) {
        let (near, far) = mem::pair(64 * 1024);
        let peer = PeerAddr::new(([10, 0, 0, 1], 4000).into());
        (self.tracker.open(0, Opening::new(peer, "test")), near, far)
    }

    /// What a small forwarder does.
    fn forward(&self) -> (impl Future<Output = ()> + Send + use<>, MemStream) {
        let (conn, near, far) = self.open();
        let (net, owned) = (self.net.clone(), Arc::clone(&self.ends.owned));
        let serving = conn.run(near, async move |session: Session<'_, MemStream>| {
            let verdict = forward(session, &net).await;
            drop(owned);
            verdict
        });
        (serving, far)
    }

    fn end(&self) -> String {
        assert!(self.tracker.is_empty());
        let mut said = std::mem::take(&mut *self.ends.said.lock());
        assert_eq!(said.len(), 1, "{said:?}");
        said.pop().unwrap()
    }
}

async fn forward<S: Stream>(mut session: Session<'_, S>, net: &MemNet) -> Result<Verdict, Verdict> {
    let header = session.header(&HeaderLimits::default(), Bound::secs(5)).await?;
    session.conn.learn(|facts| facts.client = header.endpoints.source().map(proxy_core::ClientAddr::new));
    let (timeout, targets, resolver) = (Bound::secs(30), [TargetAddr::Ip(target())], Resolver::fixed([]));
    let dialling = reach(net, &resolver, &targets, &AllOpen, timeout);
    let dialled = session.dial(timeout, dialling).await?;
    let limits = Deadlines::default().relay_limits(session.conn.opened());
    Ok(session.relay(dialled, b"out ".to_vec(), limits).await)
}

const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 52953 443\r\n";

async fn rest(stream: &MemStream) -> (Vec<u8>, bool) {
    let (mut all, mut buffer) = (Vec::new(), [0; 512]);
    loop {
        match read(stream, &mut buffer).await {
            Ok(0) => return (all, true),
            Ok(n) => all.extend_from_slice(&buffer[..n]),
            Err(_) => return (all, false),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_life_passes_everything_and_closes_both_sides_in_order() {
    let rig = Rig::new();
    let listener = rig.net.listen(target());
    let (serving, far) = rig.forward();
    let client = async {
        write_all(&far, LINE).await.unwrap();
        write_all(&far, b"request").await.unwrap();
        far.shutdown_write().unwrap();
        assert_eq!(rest(&far).await, (b"answer".to_vec(), true));
    };
    let backend = async {
        let (backend, _) = listener.accept().await.unwrap();
        assert_eq!(rest(&backend).await, (b"out request".to_vec(), true));
        write_all(&backend, b"answer").await.unwrap();
        backend.finish();
    };
    tokio::join!(serving, client, backend);
    insta::assert_snapshot!(rig.end(), @"-- finished by client in drain 52/6");
}

#[tokio::test(start_paused = true)]
async fn every_stage_has_its_deadline_and_says_which_it_was() {
    let rig = Rig::new();
    let (serving, far) = rig.forward();
    write_all(&far, b"PROXY TCP4").await.unwrap();
    let began = Instant::now();
    serving.await;
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(rest(&far).await, (Vec::new(), false), "it is reset");
    insta::assert_snapshot!(rig.end(), @"cH header_timeout by client in header 10/0: 10.0.0.1:4000: no whole PROXY header by the deadline; 10 bytes came");

    let _hole = rig.net.black_hole(target());
    let (serving, far) = rig.forward();
    write_all(&far, LINE).await.unwrap();
    serving.await;
    assert_eq!(rest(&far).await, (Vec::new(), false));
    insta::assert_snapshot!(rig.end(), @"sC dial_timeout by backend in dial 45/0: cannot connect to 127.0.0.1:9000: timed out after 30.000s (connection_timeout 30s)");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_ends_whatever_is_waited_for() {
    let rig = Rig::new();
    let _hole = rig.net.black_hole(target());
    let (serving, far) = rig.forward();
    let leaving = async {
        write_all(&far, LINE).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        drop(far);
    };
    tokio::join!(serving, leaving);
    insta::assert_snapshot!(rig.end(), @"CC client_reset by client in dial 45/0");
}

/// Nothing is left to a caller: whoever kills a connection ends it in every stage, and what it owned goes before its entry.
#[tokio::test(start_paused = true)]
async fn a_kill_ends_it_in_every_stage() {
    for (stage, expected) in [
        ("header", "KH killed by operator in header 0/0"),
        ("dial", "KC killed by operator in dial 45/0"),
        ("relay", "KD killed by operator in relay 45/0"),
    ] {
        let rig = Rig::new();
        let _hole = (stage == "dial").then(|| rig.net.black_hole(target()));
        let listener = (stage == "relay").then(|| rig.net.listen(target()));
        let (serving, far) = rig.forward();
        if stage != "header" {
            write_all(&far, LINE).await.unwrap();
        }
        let killing = async {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            assert_eq!(rig.tracker.cancel_all(Reason::Killed), 1);
        };
        tokio::join!(serving, killing);
        assert_eq!(rest(&far).await, (Vec::new(), false), "the client is reset");
        drop(listener);
        assert_eq!(rig.end(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn whenever_the_task_is_dropped_the_entry_goes_last() {
    for polls in 0..6 {
        let rig = Rig::new();
        let _listener = rig.net.listen(target());
        let (serving, far) = rig.forward();
        write_all(&far, LINE).await.unwrap();
        *rig.ends.far.lock() = Some(far);
        let mut serving = tokio_test::task::spawn(serving);
        for _ in 0..polls {
            assert!(serving.poll().is_pending());
        }
        drop(serving);
        let end = rig.end();
        assert!(end.contains(" aborted ") && !end.contains("client open"), "{polls} polls: {end}");
    }
}

/// A gate whose passes are counted.
struct OnePlace(Arc<()>);

impl Gate for OnePlace {
    type Ticket = ();
    type Pass = Arc<()>;

    fn enter(&self, _: usize) -> Result<(), Closed> {
        Ok(())
    }

    fn reached(&self, (): ()) -> Arc<()> {
        Arc::clone(&self.0)
    }

    fn failed(&self, (): (), _: &DialErrorKind, _: &[std::net::IpAddr]) {}
}

#[tokio::test(start_paused = true)]
async fn what_the_gate_gave_for_a_backend_is_held_for_as_long_as_it_is_relayed_to() {
    let rig = Rig::new();
    let (listener, (conn, near, far)) = (rig.net.listen(target()), rig.open());
    let (gate, net) = (OnePlace(Arc::default()), rig.net.clone());
    let serving = conn.run(near, async |mut session: Session<'_, MemStream>| {
        let (timeout, targets, resolver) = (Bound::secs(30), [TargetAddr::Ip(target())], Resolver::fixed([]));
        let dialled = session.dial(timeout, reach(&net, &resolver, &targets, &gate, timeout)).await?;
        let limits = Deadlines::default().relay_limits(session.conn.opened());
        Ok::<_, Verdict>(session.relay(dialled, Vec::new(), limits).await)
    });
    let both = async {
        let (backend, _) = listener.accept().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert_eq!(Arc::strong_count(&gate.0), 2, "its place is taken");
        far.finish();
        backend.finish();
    };
    tokio::join!(serving, both);
    assert_eq!(Arc::strong_count(&gate.0), 1, "and given back");
    insta::assert_snapshot!(rig.end(), @"-- finished by client in drain 0/0");
}

/// A function that hangs before its first stage is under a deadline all the same, which an audit looks at.
#[tokio::test(start_paused = true)]
async fn a_function_that_enters_no_stage_has_a_deadline() {
    let rig = Rig::new();
    let (conn, near, far) = rig.open();
    let opened = conn.opened();
    let serving = conn.run(near, async |_: Session<'_, MemStream>| std::future::pending::<Verdict>().await);
    let view = rig.tracker.snapshot().pop().unwrap();
    assert_eq!((view.deadline, view.deadline_at - opened), (DeadlineKind::Header, Bound::secs(5).get()));
    drop((serving, far));
    assert!(rig.end().contains("aborted"));
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_it_as_one_and_resets_the_client() {
    let rig = Rig::new();
    let (conn, near, far) = rig.open();
    let serving = conn.run(near, async |session: Session<'_, MemStream>| {
        if session.conn.phase() == Phase::Header {
            panic!("a fault of the function");
        }
        Verdict::of(session.conn, Cause::RouteRefused)
    });
    let mut serving = tokio_test::task::spawn(serving);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || serving.poll()));
    assert!(outcome.is_err());
    assert_eq!(rest(&far).await, (Vec::new(), false));
    insta::assert_snapshot!(rig.end(), @"IH panicked by proxy in header 0/0");
}

#[tokio::test(start_paused = true)]
async fn a_hello_is_read_where_a_route_wants_a_name_and_stays_to_be_delivered() {
    let outcome = async |sent: &[u8], fin: bool| {
        let rig = Rig::new();
        let (conn, near, far) = rig.open();
        write_all(&far, sent).await.unwrap();
        if fin {
            far.shutdown_write().unwrap();
        }
        let serving = conn.run(near, async |mut session: Session<'_, MemStream>| {
            let hello = session.hello(16 * 1024, Bound::secs(15)).await?;
            let detail = format!("hello: {}, ahead: {}", hello.is_some(), session.ahead.bytes().len());
            Ok::<_, Verdict>(Verdict::explained(session.conn, Cause::RouteRefused, detail))
        });
        serving.await;
        drop(far);
        rig.end()
    };
    insta::assert_snapshot!(outcome(b"GET / HTTP/1.1\r\n", false).await, @"PP route_refused by proxy in peek 16/0: hello: false, ahead: 16");
    insta::assert_snapshot!(outcome(b"\x16\x03\x01\x02\x00", false).await, @"cP hello_timeout by client in peek 5/0: no whole ClientHello within 15s");
    insta::assert_snapshot!(outcome(b"\x16\x03\x01\x02\x00", true).await, @"CP client_left by client in peek 5/0: it closed after 5 bytes of a ClientHello");
    insta::assert_snapshot!(outcome(b"", true).await, @"CP client_left by client in peek 0/0");
}
