//! Certificates are renewed while clients connect: none is turned away, each gets one that is whole, and nothing is left of the others.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chain_harness::{
    Backend, Counting, Hop, PATIENCE, Root, allocated, eventually, open_descriptors, scenario, settled,
};
use proxy_conn::Cause;
use proxy_tls::Certificate;
use tokio::task::JoinSet;
use tokio::time::Instant;

#[global_allocator]
static COUNTING: Counting = Counting;

const NAME: &str = "edge.test";
const REPLACED: usize = 1000;
const CLIENTS: usize = 4;

/// Replacements that find out how much room tables and caches need that all have in common.
const FIRST: usize = 100;

/// What nine hundred sets of certificates may have left behind: less than sixty bytes each, where one has some two thousand.
const MOST_LEFT: usize = 48 << 10;

/// For so long the memory has to be still before it is looked at.
const SETTLES: Duration = Duration::from_millis(1200);

/// Puts another file in the place of one, as those who renew do.
fn replace(file: &Path, text: &str) {
    let beside = file.with_extension("new");
    std::fs::write(&beside, text).expect("there is room for a file");
    std::fs::rename(&beside, file).expect("it is in the same folder");
}

fn config(backend: &Backend, folder: &Path) -> String {
    format!(
        "workers = 2\n[[listeners]]\nports = [PORT_A]\nbind = [\"127.0.0.1\"]\n[[routes]]\nname = \"edge\"\n\
         match = {{ ports = [PORT_A] }}\naction = {{ forward = [\"{}\"] }}\n\
         tls = {{ terminate = {{ certificates = [{{ folder = \"{}\" }}] }} }}\n",
        backend.addr(),
        folder.display()
    )
}

/// Whether this is what is presented.
fn presents(hop: &Hop, certificate: &Certificate) -> bool {
    let config = hop.control().config();
    let listed = config.certificates.registry().listed();
    listed.iter().any(|one| one.certificate.chain() == certificate.chain())
}

/// Ends it, and waits for the thread of its watch, which closes what it has when it has heard of that.
async fn ends(hop: Hop, descriptors: usize) {
    eventually(PATIENCE, || hop.tracker().is_empty()).await;
    drop(hop);
    eventually(PATIENCE, || open_descriptors() <= descriptors).await;
}

/// Comes, says something, hears it, ends in order, and comes again.
async fn comes_and_goes(
    root: Arc<Root>,
    hop: std::net::SocketAddr,
    over: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
) {
    while !over.load(Ordering::Relaxed) {
        let mut client = root.connect(hop, NAME).await;
        client.send("hello").await;
        client.close().await;
        let got = client.read_to_end().await;
        assert_eq!((&*got.bytes, got.close_notify), (&b"hello"[..], true));
        served.fetch_add(1, Ordering::Relaxed);
    }
}

/// Replaces the certificate again and again while clients come and go; how many were served.
async fn under_load(
    hop: &Hop,
    root: &Arc<Root>,
    file: &Path,
    all: &[(String, Certificate)],
    times: usize,
) -> usize {
    let (over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(comes_and_goes(Arc::clone(root), hop.addr(), Arc::clone(&over), Arc::clone(&served)));
    }
    for (text, certificate) in all.iter().cycle().take(times) {
        replace(file, text);
        let registry = Arc::clone(hop.control().config().certificates.registry());
        // The watch would wait until nothing happens any more.
        while !presents(hop, certificate) {
            let registry = Arc::clone(&registry);
            let look = tokio::task::spawn_blocking(move || registry.look(Instant::now()));
            look.await.expect("it comes to its end");
        }
    }
    over.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.expect("nobody was turned away");
    }
    served.load(Ordering::Relaxed)
}

#[test]
fn a_thousand_replacements_under_load_cost_nobody_a_connection_and_leave_nothing() {
    scenario(async {
        let (root, backend) = (Arc::new(Root::new()), Backend::echo());
        let all: Vec<_> = (0..7)
            .map(|_| {
                let text = root.certificate(&[NAME]);
                let read = Certificate::from_pem(text.as_bytes(), text.as_bytes()).expect("it was just made");
                (text, read)
            })
            .collect();
        let dir = tempfile::tempdir().expect("there is room for a file");
        let file = dir.path().join("edge.pem");
        replace(&file, &root.certificate(&[NAME]));
        let without_hop = open_descriptors();
        let hop = Hop::start(&config(&backend, dir.path()));
        let mut living = root.connect(hop.addr(), NAME).await;
        living.send("before").await;
        let at_rest = async || {
            eventually(PATIENCE, || hop.tracker().len() == 1).await;
            hop.forget_ends();
            backend.forget_visits();
            (settled(SETTLES, allocated).await, open_descriptors())
        };
        let first = under_load(&hop, &root, &file, &all, FIRST).await;
        let before = at_rest().await;
        let served = first + under_load(&hop, &root, &file, &all, REPLACED - FIRST).await;
        let after = at_rest().await;
        println!("{REPLACED} replacements, {served} connections meanwhile, none failed");
        println!("allocated, descriptors: {before:?} after {FIRST}, {after:?} after all");
        assert!(served >= REPLACED / 10, "it was under load: {served}");
        assert!(after.0 <= before.0 + MOST_LEFT && after.1 == before.1, "{before:?} {after:?}");
        living.send(" and after").await;
        living.read_until(|got| got == b"before and after").await;
        drop(living);
        for cause in [Cause::TlsFailed, Cause::TlsTimeout] {
            assert_eq!(hop.ends_of(cause), 0, "{cause}");
        }
        ends(hop, without_hop).await;
    });
}

#[test]
fn a_file_that_is_replaced_is_presented_without_a_reload() {
    scenario(async {
        let (root, other, backend) = (Root::new(), Root::new(), Backend::echo());
        let dir = tempfile::tempdir().expect("there is room for a file");
        let file = dir.path().join("edge.pem");
        replace(&file, &root.certificate(&[NAME]));
        let without_hop = open_descriptors();
        let hop = Hop::start(&config(&backend, dir.path()));
        let mut before = root.connect(hop.addr(), NAME).await;
        before.send("still").await;
        replace(&file, &other.certificate(&[NAME]));
        let began = Instant::now();
        while other.try_connect(hop.addr(), NAME).await.is_err() {
            assert!(began.elapsed() < PATIENCE, "the watch sees it");
        }
        before.send(" there").await;
        before.read_until(|got| got == b"still there").await;
        assert_eq!(hop.control().generation(), 1, "nothing was reloaded");
        // Half of one is not presented.
        replace(&file, "-----BEGIN CERTIFICATE-----\n");
        let registry = Arc::clone(hop.control().config().certificates.registry());
        eventually(PATIENCE, || registry.troubles().len() == 1).await;
        drop((before, other.connect(hop.addr(), NAME).await));
        ends(hop, without_hop).await;
    });
}
