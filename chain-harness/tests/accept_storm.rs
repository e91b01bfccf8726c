//! Twenty thousand connections arrive at one listener at once: each is served, or refused by a rule that says so.
#![expect(clippy::unwrap_used, reason = "a failed assumption of a test is its failure")]

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chain_harness::{Smartproxy, room_for_descriptors};
use socket2::{Domain, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

/// In two processes, as one may not have descriptors for so many.
const CROWDS: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];
const EACH: usize = 10_000;
/// Where a crowd finds the proxy, and where it comes from.
const TO: &str = "STORM_TO";
const FROM: &str = "STORM_FROM";

/// A machine that is busy with other tests needs a part of this; a SYN that met a full backlog comes again after 1, 3 and
/// 7 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// How one went: `served`, `reset`, or what must not be.
async fn visit(from: Ipv4Addr, to: SocketAddr) -> &'static str {
    let going = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        #[expect(clippy::disallowed_methods, reason = "a client; `PATIENCE` bounds all of it")]
        let mut client = socket.connect(to).await?;
        client.write_all(b"storm").await?;
        let mut answer = [0; 5];
        client.read_exact(&mut answer).await?;
        std::io::Result::Ok(if answer == *b"storm" { "served" } else { "another answer" })
    };
    match tokio::time::timeout(PATIENCE, going).await {
        Ok(Ok(how)) => how,
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionReset => "reset",
        Ok(Err(error)) if error.kind() == ErrorKind::BrokenPipe => "reset",
        Ok(Err(_)) => "another error",
        Err(_) => "nothing",
    }
}

/// Not a test of its own: one half of the storm, in a process of its own.
#[test]
#[ignore = "run by the_storm, as a process of its own"]
fn a_crowd() {
    let (Ok(to), Ok(from)) = (std::env::var(TO), std::env::var(FROM)) else { return };
    let (to, from) = (to.parse().unwrap(), from.parse().unwrap());
    assert!(room_for_descriptors(100) > EACH, "descriptors for a crowd");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut visits: JoinSet<_> = (0..EACH).map(|_| visit(from, to)).collect();
        let mut went = BTreeMap::<_, usize>::new();
        while let Some(how) = visits.join_next().await {
            *went.entry(how.unwrap()).or_default() += 1;
        }
        println!("WENT {}", serde_json::to_string(&went).unwrap());
    });
}

/// A backend on a thread of its own, which answers with what it gets; and how often it has.
fn backend() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    // The storm goes on behind the proxy.
    listener.listen(4096).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = std::net::TcpListener::from(listener);
    let (addr, served) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let answered = Arc::clone(&served);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let (listener, mut echoes) = (TcpListener::from_std(listener).unwrap(), JoinSet::new());
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let answered = Arc::clone(&answered);
                echoes.spawn(async move {
                    let mut message = [0; 5];
                    stream.read_exact(&mut message).await?;
                    stream.write_all(&message).await?;
                    answered.fetch_add(1, Ordering::Relaxed);
                    // Until the other side ends.
                    stream.read(&mut message).await
                });
                while echoes.try_join_next().is_some() {}
            }
        });
    });
    (addr, served)
}

/// Both crowds at once; how many went how.
async fn crowds(to: SocketAddr) -> BTreeMap<String, usize> {
    let start = |from: &Ipv4Addr| {
        let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "a_crowd", "--ignored", "--nocapture"]);
        command.env(TO, to.to_string()).env(FROM, from.to_string()).stdout(Stdio::piped());
        command.kill_on_drop(true).spawn().unwrap()
    };
    let mut went = BTreeMap::new();
    let children: Vec<_> = CROWDS.iter().map(start).collect();
    for mut child in children {
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).await.unwrap();
        assert!(child.wait().await.unwrap().success(), "{said}");
        let counts = said.lines().find_map(|line| line.strip_prefix("WENT ")).unwrap();
        let counts: BTreeMap<String, usize> = serde_json::from_str(counts).unwrap();
        counts.into_iter().for_each(|(how, count)| *went.entry(how).or_default() += count);
    }
    went
}

/// Runs a storm against a proxy with `limits`; who was served, and who was reset.
async fn storm(limits: &str) -> (usize, usize) {
    let (backend, served_there) = backend();
    let config = format!(
        r#"
        [log]
        format = "json"
        [limits]
        connections_per_client = "off"
        connections_per_client_per_minute = "off"
        [[listeners]]
        bind = ["127.0.0.1"]
        backlog = 4096
        {limits}
        [[routes]]
        name = "only"
        match = {{ ports = [PORT_A] }}
        action = {{ forward = ["{backend}"] }}
        "#
    );
    let proxy = Smartproxy::run(&config).await;
    let went = crowds(proxy.addr()).await;
    proxy.settles_within(PATIENCE).await;
    let of = |how| went.get(how).copied().unwrap_or_default();
    assert_eq!(of("served") + of("reset"), CROWDS.len() * EACH, "{went:?}");
    // Whom the backend has answered may be cut off before the answer is there, by the breaker; not the other way round.
    assert!(served_there.load(Ordering::Relaxed) >= of("served"), "nobody is counted as served who was not");
    let mut causes = BTreeMap::<_, usize>::new();
    proxy.causes().into_iter().for_each(|cause| *causes.entry(cause).or_default() += 1);
    // Lines may be lost in a storm. Who is not served met a limit, the breaker, a deadline that it has shortened (bytes that
    // met a full backlog are sent again after seconds), or found no port or descriptor left; nobody met a fault.
    let faults = ["panicked", "aborted", "illegal_transition", "overdue"];
    assert!(causes.keys().all(|cause| !faults.contains(&cause.as_str())), "{causes:?} {went:?}");
    assert!(causes.get("finished").is_none_or(|finished| *finished <= of("served")), "{causes:?} {went:?}");
    (of("served"), of("reset"))
}

#[test]
fn the_storm() {
    // Built before, and one after the other: each alone is all that the machine can do.
    drop(Smartproxy::command());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // Twice as many as there are places: who is not served is shed, and nobody waits for ever.
        let (served, _) = storm("").await;
        assert!(served > 0);
        let (_, refused) = storm("max_connections = 50").await;
        assert!(refused > 0, "a listener that may have 50 refuses some of 20 000");
    });
}
