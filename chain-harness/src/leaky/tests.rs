use std::net::SocketAddr;

use proxy_core::mem::{MemNet, MemStream};
use proxy_core::stream::{read, write_all};
use tokio::time::Instant;

use super::*;
use crate::laws::{at_rest, overdue, path};

const FRONT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8000);
const BACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9000);
const SECOND: Duration = Duration::from_secs(1);

/// One leaky proxy in a network in memory.
struct Rig {
    net: MemNet,
    proxy: Arc<Leaky<MemNet>>,
    tasks: TaskTracker,
}

impl Rig {
    fn new(leak: Leak) -> Self {
        let net = MemNet::default();
        let options = LeakyOptions {
            target: Endpoint::Ip(BACK),
            connection_timeout: 2 * SECOND,
            inactivity_timeout: 20 * SECOND,
            half_closed_timeout: 5 * SECOND,
            leak,
        };
        let (proxy, tasks) = (Leaky::new(options, net.clone()), TaskTracker::new());
        let loops = TaskTracker::new();
        let accepting = Arc::clone(&proxy).accept(net.listen(FRONT), tasks.clone(), CancellationToken::new());
        loops.spawn(accepting);
        Self { net, proxy, tasks }
    }

    async fn client(&self) -> MemStream {
        self.net.connect(([10, 0, 0, 1], 1).into(), &Endpoint::Ip(FRONT)).await.unwrap()
    }

    /// The laws that its own books show broken.
    fn broken(&self) -> Vec<Law> {
        let levels = Levels { tasks: Some(self.tasks.len()), ..self.proxy.levels() };
        let before = Levels { tasks: Some(0), ..Levels::default() };
        let mut breaches = at_rest("leaky", &before, &levels);
        breaches.extend(overdue("leaky", &self.proxy.entries(), SECOND));
        breaches
            .extend(self.proxy.take_paths().iter().filter_map(|(name, phases)| path("leaky", name, phases)));
        breaches.iter().map(|breach| breach.law).collect()
    }
}

/// A request and its answer, a dial that is refused, and a client that leaves while its backend is dialled.
async fn traffic(rig: &Rig) {
    let refused = rig.client().await;
    tokio::time::sleep(SECOND).await;
    drop(refused);
    let hole = rig.net.black_hole(BACK);
    let leaver = rig.client().await;
    tokio::time::sleep(SECOND).await;
    drop(leaver);
    tokio::time::sleep(SECOND).await;
    drop(hole);
    let backend = rig.net.listen(BACK);
    let client = rig.client().await;
    write_all(&client, b"request").await.unwrap();
    client.shutdown_write().unwrap();
    let (far, _) = backend.accept().await.unwrap();
    let mut buffer = [0; 16];
    while read(&far, &mut buffer).await.is_ok_and(|n| n > 0) {}
    far.finish();
    while read(&client, &mut buffer).await.is_ok_and(|n| n > 0) {}
    client.finish();
    tokio::time::sleep(30 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn the_honest_one_breaks_no_law() {
    let (rig, began) = (Rig::new(Leak::None), Instant::now());
    traffic(&rig).await;
    assert_eq!(rig.broken(), []);
    assert_eq!(rig.proxy.levels().opened, 3);
    assert!(began.elapsed() < 60 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn its_books_show_the_faults_that_are_in_them() {
    for leak in
        [Leak::CountByHand, Leak::EntryStays, Leak::EndNotCounted, Leak::PhaseSkipped, Leak::TaskStays]
    {
        let rig = Rig::new(leak);
        traffic(&rig).await;
        let mut broken = rig.broken();
        broken.dedup();
        assert_eq!(broken, [leak.breaks().unwrap()], "{leak:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_law_has_a_leak_that_breaks_it() {
    for law in Law::ALL {
        assert!(Leak::ALL.iter().any(|leak| leak.breaks() == Some(*law)), "nothing breaks {law}");
    }
}
