//! Hops that do not agree: on the PROXY header, on keepalive, on deadlines. Whatever each is set to, the laws hold, and who
//! is shorter decides.

use std::time::Duration;

use chain_harness::{Backend, Chain, Ending, Wire, scenario};
use proxy_conn::Cause;

/// Silence that ends a connection, where a hop is the one that is set to it, and where it is not.
const SHORT: &str = "1s";
const LONG: &str = "1h";
const GRACE: Duration = Duration::from_secs(3);

/// How one hop is set.
#[derive(Debug, Clone, Copy)]
struct Setting {
    idle: &'static str,
    treatment: &'static str,
    probes: &'static str,
}

const SETTINGS: [Setting; 4] = [
    Setting { idle: LONG, treatment: "standard", probes: "" },
    Setting {
        idle: SHORT,
        treatment: "standard",
        probes: "keep_alive = { idle = \"1s\", interval = \"1s\" }",
    },
    Setting { idle: LONG, treatment: "extended", probes: "keep_alive = { user_timeout = \"2s\" }" },
    Setting { idle: SHORT, treatment: "immortal", probes: "keep_alive = { idle = \"1h\", count = 1 }" },
];

impl Setting {
    fn config(&self, route: &str) -> String {
        let Self { idle, treatment, probes } = self;
        format!(
            r#"
            limits.connections_per_client = "off"
            limits.connections_per_client_per_minute = "off"
            timeouts = {{ inactivity_timeout = "{idle}", keep_alive_treatment = "{treatment}" }}
            {probes}
            {route}
            "#
        )
    }

    /// Immortal connections are never too silent.
    fn ends_silence(&self) -> bool {
        self.idle == SHORT && self.treatment != "immortal"
    }
}

/// A chain whose hops are set so, and which send and take the PROXY header as `header` says.
fn chain(outer: Setting, inner: Setting, header: &str, backend: &Backend) -> Chain {
    let accepts = match header {
        "off" => "",
        _ => r#"accept_proxy = { required = ["127.0.0.1/32"] }"#,
    };
    let route = |accepts: &str, target: &str, sends: &str| {
        format!(
            r#"
            [[listeners]]
            bind = ["127.0.0.1"]
            {accepts}
            [[routes]]
            name = "only"
            match = {{ ports = [PORT_A] }}
            action = {{ forward = ["{target}"] }}
            send_proxy = "{sends}"
            "#
        )
    };
    let of_outer = outer.config(&route("", "INNER", header));
    let of_inner = inner.config(&route(accepts, &backend.addr().to_string(), "off"));
    Chain::of_configs(&of_outer, &of_inner)
}

/// One combination.
struct Case {
    about: String,
    chain: Chain,
    cut_when_silent: bool,
}

impl Case {
    fn start((outer, inner): (Setting, Setting), header: &str, backend: &Backend) -> Self {
        Self {
            about: format!("{outer:?}, {inner:?}, send_proxy {header}"),
            chain: chain(outer, inner, header, backend),
            cut_when_silent: outer.ends_silence() || inner.ends_silence(),
        }
    }

    /// A client that finishes, one that resets, and one that is returned and says no more.
    async fn is_talked_to(&self) -> Wire {
        let mut finishing = self.talks().await;
        finishing.half_close().await;
        let received = finishing.read_to_end().await;
        assert_eq!((received.text().as_str(), received.end), ("hello", Some(Ending::Fin)), "{}", self.about);
        self.talks().await.reset();
        self.talks().await
    }

    async fn talks(&self) -> Wire {
        let mut client = self.chain.connect().await;
        client.send("hello").await;
        client.expect("hello").await;
        client
    }
}

/// All at the same time; they have only the backend in common.
#[test]
fn in_every_combination() {
    scenario(async {
        let backend = Backend::echo();
        let both = SETTINGS.into_iter().flat_map(|outer| SETTINGS.map(|inner| (outer, inner)));
        let headers = ["off", "v1", "v2"].into_iter().cycle();
        let cases: Vec<_> =
            both.zip(headers).map(|(both, header)| Case::start(both, header, &backend)).collect();
        let mut silent = Vec::new();
        for case in &cases {
            silent.push(case.is_talked_to().await);
        }
        for (case, client) in cases.iter().zip(&mut silent) {
            if case.cut_when_silent {
                assert_eq!(client.read_to_end().await.end, Some(Ending::Reset), "{}", case.about);
            }
        }
        for (case, mut client) in cases.iter().zip(silent) {
            if !case.cut_when_silent {
                client.send(" again").await;
                client.expect("hello again").await;
                assert!(case.chain.hops().all(|hop| hop.ends_of(Cause::Idle) == 0), "{}", case.about);
            }
        }
        for case in &cases {
            case.chain.outer.empties(GRACE).await;
        }
        // The last chain to start knows how many descriptors there were when all stood.
        cases.last().unwrap().chain.settles_within(GRACE).await;
    });
}
