//! A machine vanishes without a packet, in network namespaces: the kernel's probes, or the hop's own deadlines, end what
//! was connected with it, on both hops; a blip that is shorter harms nobody.
//!
//! Takes root; says so and passes where it is not.

use std::time::Duration;

use chain_harness::{Backend, Ending, Host, Network, PATIENCE, Smartproxy, Wire, eventually};
use tokio::time::Instant;

/// A second of silence, then a probe each second; after two seconds without any answer the peer is gone.
const PROBES: &str = r#"keep_alive = { idle = "1s", interval = "1s", count = 2, user_timeout = "2s" }"#;
/// All of that, and some for a busy machine.
const GONE: Duration = Duration::from_secs(8);
/// Never within a test: only the probes that a hop has can help it.
const NO_PROBES: &str = "";

/// Four machines around a router, a hop on each of the two in the middle.
struct World {
    network: Network,
    outer: Smartproxy,
    inner: Smartproxy,
    backend: Backend,
}

impl World {
    async fn with(outer: &str, inner: &str) -> Option<Self> {
        let network = Network::of(4)?;
        let [_, outer_host, inner_host, backend_host] = &network.hosts[..] else { return None };
        let backend = Backend::on(backend_host.listen(80), echo);
        let inner = inner_config(inner, outer_host, backend.addr());
        let inner = Smartproxy::run_in(&inner_host.namespace, &inner).await;
        let outer = outer_config(outer, inner_host);
        let outer = Smartproxy::run_in(&outer_host.namespace, &outer).await;
        Some(Self { network, outer, inner, backend })
    }

    fn host(&self, n: usize) -> &Host {
        self.network.hosts.get(n).expect("there are four")
    }

    async fn connect(&self) -> Wire {
        let mut client = self.host(CLIENT).connect(self.host(OUTER).at(8001)).await;
        client.send("hello").await;
        client.expect("hello").await;
        client
    }

    /// How each hop's one connection ended.
    async fn causes(&self) -> [String; 2] {
        let ended = |hop: &Smartproxy| hop.causes().len() == 1;
        eventually(GONE, || ended(&self.outer) && ended(&self.inner)).await;
        [&self.outer, &self.inner].map(|hop| hop.causes().remove(0))
    }

    async fn settles(&self) {
        self.outer.settles_within(GONE).await;
        self.inner.settles_within(GONE).await;
    }
}

const CLIENT: usize = 0;
const OUTER: usize = 1;
const INNER: usize = 2;
const BACKEND: usize = 3;

fn outer_config(settings: &str, inner: &Host) -> String {
    format!(
        r#"
        log.format = "json"
        {settings}
        [[routes]]
        name = "outer"
        match = {{ ports = [8001] }}
        action = {{ forward = ["{}"] }}
        send_proxy = "v2"
        "#,
        inner.at(8002)
    )
}

fn inner_config(settings: &str, outer: &Host, backend: std::net::SocketAddr) -> String {
    format!(
        r#"
        log.format = "json"
        {settings}
        [[listeners]]
        accept_proxy = {{ required = ["{}/32"] }}
        [[routes]]
        name = "inner"
        match = {{ ports = [8002] }}
        action = {{ forward = ["{backend}"] }}
        "#,
        outer.ip()
    )
}

async fn echo(mut wire: Wire) {
    loop {
        let bytes = wire.read_some().await;
        if bytes.is_empty() || wire.try_send(bytes).await.is_err() {
            return wire.half_close().await;
        }
    }
}

#[test]
fn the_client_is_found_out_by_the_outer_hop_and_the_inner_one_hears_of_it() {
    Smartproxy::scenario(async {
        let Some(world) = World::with(PROBES, NO_PROBES).await else { return };
        let _client = world.connect().await;
        world.network.lose(world.host(CLIENT));
        assert_eq!(world.causes().await, ["client_vanished", "client_reset"]);
        eventually(PATIENCE, || world.backend.first().end == Some(Ending::Reset)).await;
        world.settles().await;
    });
}

/// The cable is pulled: the router says after a while that the host cannot be reached, which is news but no end.
#[test]
fn the_client_whose_cable_is_pulled() {
    Smartproxy::scenario(async {
        let Some(world) = World::with(PROBES, NO_PROBES).await else { return };
        let _client = world.connect().await;
        world.host(CLIENT).unplug();
        assert_eq!(world.causes().await, ["client_vanished", "client_reset"]);
        world.settles().await;
    });
}

/// Each has the other for its peer, and has to find out for itself.
#[test]
fn the_two_hops_lose_each_other() {
    Smartproxy::scenario(async {
        let Some(world) = World::with(PROBES, PROBES).await else { return };
        let mut client = world.connect().await;
        world.network.lose_between(world.host(OUTER), world.host(INNER));
        assert_eq!(world.causes().await, ["backend_vanished", "client_vanished"]);
        assert_eq!(client.read_to_end().await.end, Some(Ending::Reset));
        eventually(PATIENCE, || world.backend.first().end == Some(Ending::Reset)).await;
        drop(client);
        world.settles().await;
    });
}

/// Bytes are on their way to it when it vanishes: they are sent again and again, and the user timeout ends that.
#[test]
fn the_backend_with_bytes_on_their_way() {
    Smartproxy::scenario(async {
        let Some(world) = World::with(NO_PROBES, PROBES).await else { return };
        let mut client = world.connect().await;
        world.network.lose(world.host(BACKEND));
        client.send("anybody there?").await;
        assert_eq!(client.read_to_end().await.end, Some(Ending::Reset));
        assert_eq!(world.causes().await, ["backend_reset", "backend_vanished"]);
        drop(client);
        world.settles().await;
    });
}

/// Nobody probes, so it is the idle deadline that ends it, and the same goes for whoever cannot be told.
#[test]
fn the_client_where_only_silence_is_noticed() {
    Smartproxy::scenario(async {
        let silence = r#"timeouts.inactivity_timeout = "1s""#;
        let Some(world) = World::with(silence, NO_PROBES).await else { return };
        let _client = world.connect().await;
        world.network.lose(world.host(CLIENT));
        assert_eq!(world.causes().await, ["idle", "client_reset"]);
        world.settles().await;
    });
}

/// For less long than the probes are patient: what was sent meanwhile arrives, and nobody was ended.
#[test]
fn a_blip_that_is_shorter_harms_nobody() {
    Smartproxy::scenario(async {
        let patient = r#"keep_alive = { idle = "1s", interval = "1s", count = 9, user_timeout = "9s" }"#;
        let Some(world) = World::with(patient, patient).await else { return };
        let mut client = world.connect().await;
        let started = Instant::now();
        world.network.lose_between(world.host(OUTER), world.host(INNER));
        client.send(" again").await;
        let early = tokio::time::timeout(Duration::from_millis(1200), client.read_some()).await;
        assert!(early.is_err(), "lost");
        world.network.find_between(world.host(OUTER), world.host(INNER));
        client.expect("hello again").await;
        assert!(started.elapsed() < GONE, "{:?}", started.elapsed());
        client.half_close().await;
        assert_eq!(client.read_to_end().await.end, Some(Ending::Fin));
        assert_eq!(world.causes().await, ["finished", "finished"]);
        drop(client);
        world.settles().await;
    });
}
