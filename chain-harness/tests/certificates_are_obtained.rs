//! Certificates that are obtained from an authority (Pebble), renewed, shared by two hops, and what is said where there is none.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chain_harness::{
    Backend, Counting, Hop, PATIENCE, Pebble, PebblePlan, Wire, allocated, eventually, free_port, scenario,
    settled,
};
use proxy_conn::Cause;
use proxy_core::{Dial as _, Endpoint, TcpDialer};
use proxy_tls::rustls::pki_types::{CertificateDer, ServerName};
use proxy_tls::{ClientOptions, Trust, certificates_from_pem, client_config};
use tempfile::TempDir;
use tokio::task::JoinSet;

#[global_allocator]
static COUNTING: Counting = Counting;

const NAME: &str = "edge.test";

/// For so long the memory has to be still before it is looked at.
const SETTLES: Duration = Duration::from_millis(1200);

/// What seventy renewals may have left behind: less than a kilobyte each, where a certificate with its key and an order have several.
const MOST_LEFT: usize = 48 << 10;

/// A place for what is obtained, and ports that an authority comes to.
struct Place {
    dir: TempDir,
    tls: u16,
    http: u16,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("there is room for a folder");
        Self { dir, tls: free_port(), http: free_port() }
    }

    async fn authority(&self) -> Option<Pebble> {
        self.authority_that_refuses(0).await
    }

    async fn authority_that_refuses(&self, refuses_nonces: u8) -> Option<Pebble> {
        Pebble::start(PebblePlan { tls_port: self.tls, http_port: self.http, refuses_nonces }).await
    }

    fn storage(&self) -> String {
        self.dir.path().join("acme").display().to_string()
    }

    /// An `[acme]` table with these authorities and more lines.
    fn acme(&self, authorities: &str, more: &str) -> String {
        format!(
            "[acme]\nterms_agreed = true\ncontacts = [\"admin@edge.test\"]\nauthorities = [{authorities}]\nstorage = \"{}\"\n{more}\n",
            self.storage()
        )
    }

    /// A listener and a route for `names`, whose certificates are obtained.
    fn route(&self, names: &str, backend: &Backend) -> String {
        format!(
            "[[listeners]]\nbind = [\"127.0.0.1\"]\n[[routes]]\nname = \"edge\"\nmatch = {{ ports = [{}], domains = [{names}] }}\n\
             action = {{ forward = [\"{}\"] }}\ntls = {{ terminate = {{ certificates = \"auto\", strict_sni = true }} }}\n",
            self.tls,
            backend.addr()
        )
    }

    /// The file that `name` is kept in.
    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("acme/certificates").join(name)
    }

    /// What is kept of `name`.
    fn kept(&self, name: &str) -> Vec<CertificateDer<'static>> {
        certificates_from_pem(&std::fs::read(self.file(name)).expect("it is kept")).expect("it is a chain")
    }

    fn addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.tls).into()
    }
}

/// Waits until `hop` has certificates for `names`.
async fn obtains(hop: &Hop, names: &[&str]) {
    let has = |name: &str| {
        let all = hop.control().obtained();
        all.iter().any(|one| *one.name == *name && one.not_after.is_some() && !one.underway)
    };
    let failures = || hop.control().obtained().iter().map(|one| one.failures).max();
    let before = failures();
    let all = eventually(PATIENCE, || names.iter().all(|name| has(name)));
    let failed = eventually(PATIENCE, || failures() > before);
    tokio::select! {
        () = all => {}
        () = failed => panic!("{:?}", hop.control().obtained()),
    }
}

/// Shakes hands with `at` for `name`, trusting this certificate alone.
async fn shakes(at: SocketAddr, name: &str, pinned: &[CertificateDer<'static>]) -> Result<(), String> {
    let pinned = pinned.get(..1).expect("there is one").to_vec();
    shakes_trusting(at, name, Trust::Pinned(pinned.into())).await
}

async fn shakes_trusting(at: SocketAddr, name: &str, trust: Trust) -> Result<(), String> {
    let config = client_config(&ClientOptions::default().trust(trust)).expect("it is a certificate");
    let stream =
        TcpDialer::default().dial((&Endpoint::Ip(at)).into()).await.map_err(|error| error.to_string())?;
    let name = ServerName::try_from(name.to_owned()).expect("it is a name");
    let shaken = proxy_tls::connect(stream, config, name).await;
    let stream = shaken.map_err(|failed| failed.error.to_string())?;
    proxy_core::stream::finish(stream).await.map_err(|error| error.to_string())
}

/// Waits until `at` presents for `name` what is kept of it.
async fn presents(place: &Place, at: SocketAddr, name: &str) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while let Err(error) = shakes(at, name, &place.kept(name)).await {
        assert!(tokio::time::Instant::now() < deadline, "{name}: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn by_a_handshake_on_the_port_itself_beside_a_route_that_passes_through() {
    scenario(async {
        let place = Place::new();
        let Some(authority) = place.authority().await else { return };
        let (backend, other) = (Backend::answers("answer"), Backend::answers("other"));
        let others = format!(
            "[[routes]]\nname = \"theirs\"\nmatch = {{ ports = [{}], domains = [\"*.test\"] }}\naction = {{ forward = [\"{}\"] }}\n",
            place.tls,
            other.addr()
        );
        let config = place.acme(&authority.entry(), "") + &place.route("\"edge.test\"", &backend) + &others;
        let hop = Hop::start(&config);
        obtains(&hop, &[NAME]).await;
        presents(&place, place.addr(), NAME).await;
        assert!(
            hop.ends().iter().filter(|end| end.cause == Cause::Challenge).count() >= 3,
            "{:?}",
            hop.ends()
        );
        assert_eq!(other.accepted(), 0, "no challenge went to another's backend");
        let standing = hop.control().obtained();
        assert!(standing[0].authority.is_some() && standing[0].failures == 0, "{standing:?}");
        eventually(PATIENCE, || hop.entries().is_empty()).await;
    });
}

#[test]
fn by_a_request_on_a_port_for_nothing_else() {
    scenario(async {
        let place = Place::new();
        let Some(authority) = place.authority().await else { return };
        let backend = Backend::answers("answer");
        let more = format!("challenges = [\"http-01\"]\nhttp_port = {}", place.http);
        let hop =
            Hop::start(&(place.acme(&authority.entry(), &more) + &place.route("\"edge.test\"", &backend)));
        obtains(&hop, &[NAME]).await;
        presents(&place, place.addr(), NAME).await;
        let mut wire = Wire::connect(([127, 0, 0, 1], place.http).into()).await;
        wire.send("GET / HTTP/1.1\r\nHost: edge.test\r\n\r\n").await;
        let got = wire.read_to_end().await;
        assert!(got.text().starts_with("HTTP/1.1 404 Not Found\r\n"), "{}", got.text());
    });
}

#[test]
fn by_a_request_on_a_port_that_a_route_has_and_keeps() {
    scenario(async {
        let place = Place::new();
        let Some(authority) = place.authority().await else { return };
        let (backend, web) = (Backend::answers("answer"), Backend::answers("HTTP/1.1 200 OK\r\n\r\nweb"));
        let more = format!("challenges = [\"http-01\"]\nhttp_port = {}", place.http);
        let route = format!(
            "[[routes]]\nname = \"web\"\nmatch = {{ ports = [{}] }}\naction = {{ forward = [\"{}\"] }}\n",
            place.http,
            web.addr()
        );
        let config = place.acme(&authority.entry(), &more) + &place.route("\"edge.test\"", &backend) + &route;
        let hop = Hop::start(&config);
        obtains(&hop, &[NAME]).await;
        assert_eq!(web.accepted(), 0, "no challenge went to the backend");
        let mut wire = Wire::connect(([127, 0, 0, 1], place.http).into()).await;
        wire.send("GET /.well-known/acme-challenge/nobodys HTTP/1.1\r\n\r\n").await;
        wire.half_close().await;
        assert!(wire.read_to_end().await.text().ends_with("web"), "what is no challenge is the route's");
    });
}

#[test]
fn from_the_second_authority_where_the_first_gives_none() {
    scenario(async {
        let place = Place::new();
        let Some(authority) = place.authority().await else { return };
        let backend = Backend::answers("answer");
        let dead = format!("{{ directory = \"https://127.0.0.1:{}/dir\" }}", free_port());
        let authorities = format!("{dead}, {}", authority.entry());
        let hop = Hop::start(&(place.acme(&authorities, "") + &place.route("\"edge.test\"", &backend)));
        obtains(&hop, &[NAME]).await;
        let from = hop.control().obtained()[0].authority.clone().unwrap_or_default();
        assert!(from.starts_with("https://localhost:"), "{from}");
    });
}

#[test]
fn a_name_that_cannot_be_proved_says_why_and_waits_and_is_tried_when_an_operator_says_so() {
    scenario(async {
        let place = Place::new();
        // It comes to a port on which nobody listens.
        let elsewhere = PebblePlan { tls_port: free_port(), http_port: free_port(), refuses_nonces: 0 };
        let Some(authority) = Pebble::start(elsewhere).await else { return };
        let backend = Backend::answers("answer");
        let hop = Hop::start(&(place.acme(&authority.entry(), "") + &place.route("\"edge.test\"", &backend)));
        let first = || hop.control().obtained().into_iter().next().expect("it is a name of the route");
        eventually(PATIENCE, || first().failures == 1 && !first().underway).await;
        let why = first().last_failure.unwrap_or_default();
        assert!(why.contains("tls-alpn-01") && why.contains("127.0.0.1"), "{why}");
        assert!(first().next_try > first().failed_at, "{:?}", first());
        let refused = shakes(place.addr(), NAME, &[vec![0].into()]).await.expect_err("there is none");
        assert!(refused.contains("AccessDenied"), "{refused}");
        eventually(PATIENCE, || !hop.ends().is_empty()).await;
        let end = hop.the_end().await;
        assert_eq!(end.cause, Cause::TlsFailed);
        let tries = hop.control().renew_certificate(NAME).expect("it is a name of the route");
        eventually(PATIENCE, || first().tries > tries).await;
        assert_eq!(first().failures, 2);
        assert!(hop.control().renew_certificate("unheard.test").is_err());
    });
}

#[test]
fn on_demand_nothing_is_obtained_before_a_client_asks_and_only_names_of_the_list() {
    scenario(async {
        let place = Place::new();
        let Some(authority) = place.authority().await else { return };
        let backend = Backend::answers("answer");
        let acme = place.acme(&authority.entry(), "on_demand = [\"one.edge.test\", \"two.edge.test\"]");
        let hop = Hop::start(&(acme + &place.route("\"*.edge.test\"", &backend)));
        for name in ["one.edge.test", "three.edge.test"] {
            shakes(place.addr(), name, &[vec![0].into()]).await.expect_err("there is none yet");
        }
        obtains(&hop, &["one.edge.test"]).await;
        presents(&place, place.addr(), "one.edge.test").await;
        let standing = hop.control().obtained();
        let has: Vec<_> =
            standing.iter().map(|one| (&*one.name, one.wanted, one.not_after.is_some())).collect();
        assert_eq!(has, [("one.edge.test", true, true), ("two.edge.test", false, false)]);
    });
}

#[test]
fn two_hops_that_share_a_folder_order_once_and_answer_for_each_other() {
    scenario(async {
        let place = Place::new();
        let Some(authority) = place.authority().await else { return };
        let backend = Backend::answers("answer");
        // The authority comes to the first hop, which cannot order; the second one orders.
        let dead = format!("{{ directory = \"https://127.0.0.1:{}/dir\" }}", free_port());
        let first =
            Hop::start(&(place.acme(&dead, "shared = true") + &place.route("\"edge.test\"", &backend)));
        eventually(PATIENCE, || first.control().obtained()[0].failures > 0).await;
        let second =
            Place { tls: free_port(), http: place.http, dir: tempfile::tempdir().expect("there is room") };
        let acme = place.acme(&authority.entry(), "shared = true");
        let hop = Hop::start(&(acme + &second.route("\"edge.test\"", &backend)));
        hop.control().renew_certificate(NAME).expect("it is a name of the route");
        obtains(&hop, &[NAME]).await;
        assert!(first.ends_of(Cause::Challenge) >= 3, "the first hop has answered");
        obtains(&first, &[NAME]).await;
        for at in [place.addr(), second.addr()] {
            presents(&place, at, NAME).await;
        }
    });
}

#[test]
fn it_is_there_after_a_restart_and_over_reloads_and_nothing_is_ordered_again() {
    scenario(async {
        let place = Place::new();
        let Some(authority) = place.authority().await else { return };
        let backend = Backend::answers("answer");
        let config = place.acme(&authority.entry(), "") + &place.route("\"edge.test\"", &backend);
        let hop = Hop::start(&config);
        obtains(&hop, &[NAME]).await;
        let kept = place.kept(NAME);
        assert!(hop.reload(&(config.clone() + "[timeouts]\ntls_handshake_timeout = \"5s\"\n")).await.taken);
        shakes(place.addr(), NAME, &kept).await.expect("a reload loses nothing");
        drop(hop);
        let hop = Hop::start(&config);
        shakes(place.addr(), NAME, &kept).await.expect("a restart loses nothing");
        assert_eq!(hop.control().obtained()[0].tries, 0);
        assert_eq!(place.kept(NAME), kept);
    });
}

#[test]
fn its_file_is_lost_or_overwritten_and_it_stays_presented_and_is_written_again() {
    scenario(async {
        let place = Place::new();
        let Some(authority) = place.authority().await else { return };
        let backend = Backend::answers("answer");
        let config = place.acme(&authority.entry(), "") + &place.route("\"edge.test\"", &backend);
        let hop = Hop::start(&config);
        obtains(&hop, &[NAME]).await;
        presents(&place, place.addr(), NAME).await;
        let (kept, file) = (place.kept(NAME), place.file(NAME));
        let text = std::fs::read(&file).expect("it is kept");
        let half = text.get(..text.len() / 2).expect("it has some");
        for instead in [None, Some(&b"!"[..]), Some(half)] {
            match instead {
                None => std::fs::remove_file(&file).expect("it is there"),
                Some(text) => std::fs::write(&file, text).expect("there is room"),
            }
            shakes(place.addr(), NAME, &kept).await.expect("it is presented still");
            eventually(PATIENCE, || std::fs::read(&file).is_ok_and(|there| there == text)).await;
        }
        // Nobody can write it now, and a reload keeps what memory has.
        let new = place.dir.path().join("acme/new");
        std::fs::remove_dir_all(&new).expect("it is a folder");
        std::fs::write(&new, "in its place").expect("there is room");
        std::fs::remove_file(&file).expect("it is there");
        let troubled = || hop.control().certificates().troubles().len();
        eventually(PATIENCE, || troubled() == 1).await;
        assert!(hop.reload(&(config.clone() + "[timeouts]\ntls_handshake_timeout = \"5s\"\n")).await.taken);
        shakes(place.addr(), NAME, &kept).await.expect("a reload loses nothing");
        eventually(PATIENCE, || troubled() == 1).await;
        assert_eq!(hop.control().obtained()[0].tries, 1, "nothing was ordered again");
    });
}

#[test]
fn renewals_with_bad_nonces_cut_no_client() {
    let _ = renewals(4, 3, async || ());
}

/// As many as are asked of the whole: `cargo test -p chain-harness --test certificates_are_obtained -- --ignored --nocapture`. What is
/// allocated is looked at here alone, where no other test runs beside it.
#[test]
#[ignore = "takes a minute"]
fn a_hundred_renewals_with_bad_nonces_cut_no_client_and_leave_nothing_behind() {
    let Some(after) = renewals(10, 11, async || settled(SETTLES, allocated).await) else { return };
    println!("allocated after each renewal of ten: {after:?}");
    assert!(after[10] <= after[3] + MOST_LEFT, "{after:?}");
}

/// So many names are obtained at an authority that refuses one good nonce in twenty, and renewed until each was obtained so often,
/// while clients come and go. What a look found after each round, when none was there; None without an authority.
fn renewals<T>(count: usize, rounds: u64, look: impl AsyncFn() -> T) -> Option<Vec<T>> {
    let mut found = None;
    scenario(async {
        let place = Place::new();
        let Some(authority) = place.authority_that_refuses(5).await else { return };
        let backend = Backend::answers("answer");
        let names: Vec<_> = (0..count).map(|n| format!("n{n}.edge.test")).collect();
        let quoted: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let config = place.acme(&authority.entry(), "") + &place.route(&quoted.join(", "), &backend);
        let hop = Hop::start(&config);
        let mut looks = Vec::new();
        for round in 1..=rounds {
            let clients = (round > 1).then(|| Clients::come(&place, &names));
            for name in names.iter().filter(|_| round > 1) {
                hop.control().renew_certificate(name).expect("it is a name of the route");
            }
            let all = || {
                let obtained = hop.control().obtained();
                obtained.iter().all(|one| one.not_after.is_some() && one.tries >= round && !one.underway)
            };
            eventually(PATIENCE, all).await;
            if let Some(clients) = clients {
                clients.were_served().await;
            }
            for name in &names {
                presents(&place, place.addr(), name).await;
            }
            eventually(PATIENCE, || hop.entries().is_empty()).await;
            hop.forget_ends();
            backend.forget_visits();
            looks.push(look().await);
        }
        let failed: Vec<_> = hop.control().obtained().into_iter().filter(|one| one.tries > rounds).collect();
        assert!(failed.is_empty(), "none has failed: {failed:?}");
        assert!(
            is_empty(&place.dir.path().join("acme/challenges"))
                && is_empty(&place.dir.path().join("acme/new"))
        );
        found = Some(looks);
    });
    found
}

/// A client that asks for one name after the other, again and again.
struct Clients {
    over: Arc<AtomicBool>,
    task: JoinSet<usize>,
}

impl Clients {
    /// It trusts the authority's own certificate, which all the chains of `place` have behind their first one.
    fn come(place: &Place, names: &[String]) -> Self {
        let chain = place.kept(names.first().expect("there are names"));
        let authority = chain.get(1).expect("an authority is behind it").clone();
        let (at, names) = (place.addr(), names.to_vec());
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut served = 0;
            for name in names.iter().cycle() {
                shakes_trusting(at, name, Trust::Roots(vec![authority.clone()])).await.expect(name);
                served += 1;
                if ended.load(Ordering::Relaxed) {
                    break;
                }
            }
            served
        });
        Self { over, task }
    }

    /// It goes, and was never turned away.
    async fn were_served(mut self) {
        self.over.store(true, Ordering::Relaxed);
        let served = self.task.join_next().await.expect("there is one").expect("nobody was turned away");
        assert!(served > 0);
    }
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).expect("it is a folder").next().is_none()
}
