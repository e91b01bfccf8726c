//! Planted faults, as the outer hop finds them, alone: which rule, of what, and how soon. The real binary, asked over its API; the
//! log has each once, and the metric counts it.
//!
//! Two of them take minutes by their nature: `cargo test -p chain-harness --test what_is_found -- --ignored`.
#![expect(clippy::indexing_slicing, reason = "of JSON, where what is not there is null")]
#![expect(clippy::panic, reason = "a failed assumption of a test is its failure")]

use std::future::{Future, pending};
use std::net::SocketAddr;
use std::time::Duration;

use chain_harness::{Backend, BlackHole, Processes, Smartproxy, Wire, config, within};
use serde_json::Value;
use tokio::time::Instant;

/// A crowd may come from one address, and the API is on the second port.
const SETTINGS: &str = "admin.listen = \"127.0.0.1:PORT_B\"\nlog.access = \"off\"\nlimits.connections_per_client = \"off\"\n\
                        limits.connections_per_client_per_minute = \"off\"\n";

/// A proxy's API.
struct Api(SocketAddr);

impl Api {
    async fn text(&self, path: &str) -> String {
        let mut asks = Wire::connect(self.0).await;
        asks.send(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await;
        let answer = asks.read_to_end().await.text();
        answer.split_once("\r\n\r\n").expect("it answers in HTTP").1.to_owned()
    }

    async fn findings(&self) -> Vec<Value> {
        let text = self.text("/v1/findings").await;
        // A long answer comes in chunks: the list is from the first bracket to the last.
        let (from, to) = (text.find('[').expect("a list"), text.rfind(']').expect("a list"));
        serde_json::from_str(&text[from..=to]).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Waits until what `rule` finds is of `subject`; how long that takes. There may be nothing else of that rule.
    async fn finds(&self, rule: &str, subject: [&str; 2], bound: Duration) -> Duration {
        let began = Instant::now();
        let found = async {
            loop {
                let found = self.findings().await;
                if let Some(finding) = found.iter().find(|finding| finding["rule"] == rule) {
                    let [kind, name] = subject;
                    assert_eq!(
                        (&finding["subject"]["kind"], &finding["subject"]["name"]),
                        (&kind.into(), &name.into())
                    );
                    assert!(
                        finding["shows"].as_str().is_some_and(|command| command.starts_with("smartproxy "))
                    );
                    return;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        within(bound, found).await;
        let count = format!("smartproxy_findings{{rule=\"{rule}\"}} 1");
        assert!(self.text("/metrics").await.contains(&count), "{count}");
        began.elapsed()
    }
}

/// A proxy before `target`, of which nothing is found.
async fn well(settings: &str, target: SocketAddr) -> (Smartproxy, Api) {
    let proxy = Smartproxy::run(&config::single(settings, &[&target])).await;
    let api = Api(proxy.at(1));
    assert_eq!(api.findings().await, Vec::<Value>::new());
    (proxy, api)
}

/// Clients that have spoken.
async fn speaking(proxy: &Smartproxy, count: usize, word: &str) -> Vec<Wire> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = Wire::connect(proxy.addr()).await;
        client.send(word).await;
        clients.push(client);
    }
    clients
}

/// One that is answered, and goes.
async fn served(proxy: &Smartproxy) {
    let mut client = Wire::connect(proxy.addr()).await;
    client.send("hello").await;
    client.expect("hello").await;
    client.half_close().await;
    client.read_to_end().await;
}

/// What `work` comes to while `beside` goes on.
async fn beside<T>(work: impl Future<Output = T>, beside: impl Future<Output = ()>) -> T {
    let endless = async {
        beside.await;
        pending().await
    };
    tokio::select! {
        done = work => done,
        never = endless => never,
    }
}

fn logged(proxy: &Smartproxy, what: &str) -> usize {
    proxy.process.output().matches(what).count()
}

#[test]
fn a_black_hole_within_ten_seconds() {
    Smartproxy::scenario(async {
        let hole = BlackHole::open().await;
        let (proxy, api) = well(SETTINGS, hole.addr()).await;
        let _clients = speaking(&proxy, 15, "hello").await;
        let subject = ["target", &hole.addr().to_string()];
        api.finds("dialling", subject, Duration::from_secs(10)).await;
        assert_eq!(logged(&proxy, "found: target"), 1, "{}", proxy.process.output());
    });
}

#[test]
fn a_backend_that_accepts_and_says_nothing_within_ten_seconds() {
    Smartproxy::scenario(async {
        let backend = Backend::silent();
        let (proxy, api) = well(SETTINGS, backend.addr()).await;
        let _clients = speaking(&proxy, 101, "hello").await;
        let subject = ["target", &backend.addr().to_string()];
        api.finds("silent", subject, Duration::from_secs(10)).await;
    });
}

#[test]
fn a_route_whose_backend_resets_everybody_within_fifteen_seconds_and_until_it_does_not() {
    Smartproxy::scenario(async {
        let backend = Backend::resets_after(1, b"");
        let (proxy, api) = well(SETTINGS, backend.addr()).await;
        let finds = api.finds("failing", ["route", "only"], Duration::from_secs(15));
        let resets = async {
            for _ in 0..15 {
                speaking(&proxy, 1, "hello").await[0].wait_for_a_reset().await;
            }
        };
        beside(finds, resets).await;
        assert_eq!(logged(&proxy, "found: route only: the backend failed"), 1, "{}", proxy.process.output());
    });
}

#[test]
fn an_inner_hop_that_is_frozen_within_ten_seconds_and_that_it_goes_on() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let chain = Processes::with("admin.listen = \"127.0.0.1:PORT_B\"\n", "", backend.addr()).await;
        let api = Api(chain.outer.at(1));
        for _ in 0..5 {
            served(&chain.outer).await;
        }
        // As a picture has it.
        while !api.text("/metrics").await.contains("cause=\"finished\"} 5") {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(api.findings().await, Vec::<Value>::new());
        chain.inner.process.freeze().await;
        let mut clients = speaking(&chain.outer, 10, "hello").await;
        let subject = ["target", &chain.inner.addr().to_string()];
        api.finds("silent", subject, Duration::from_secs(10)).await;
        chain.inner.process.thaw();
        for client in &mut clients {
            client.expect("hello").await;
        }
        let over = async {
            while !api.findings().await.is_empty() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        within(Duration::from_secs(20), over).await;
        assert_eq!(logged(&chain.outer, "over: target"), 1, "{}", chain.outer.process.output());
    });
}

#[test]
fn a_client_limit_that_bites_within_ten_seconds() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let settings = "admin.listen = \"127.0.0.1:PORT_B\"\nlimits.connections_per_client_per_minute = 20\n";
        let (proxy, api) = well(settings, backend.addr()).await;
        let finds = api.finds(
            "client_limit",
            ["limit", "each client on loopback, new in a minute"],
            Duration::from_secs(10),
        );
        let comes = async {
            for _ in 0..30 {
                drop(Wire::connect(proxy.addr()).await);
            }
        };
        beside(finds, comes).await;
        let found = api.findings().await;
        let sentence = found[0]["sentence"].as_str().unwrap_or_default();
        assert!(sentence.contains("limits.connections_per_client_per_minute = 20"), "{sentence}");
        assert!(sentence.contains("127.0.0.1 most often"), "{sentence}");
    });
}

/// What `status` prints, without its first line, which says who it is.
#[test]
fn status_says_it_first_with_what_to_type() {
    Smartproxy::scenario(async {
        let backend = Backend::silent();
        let (proxy, api) = well(SETTINGS, backend.addr()).await;
        let _clients = speaking(&proxy, 20, "hello").await;
        let subject = ["target", &backend.addr().to_string()];
        api.finds("silent", subject, Duration::from_secs(10)).await;
        let api = api.0.to_string();
        let mut status = tokio::process::Command::from(Smartproxy::command());
        let told = status.args(["status", "--socket", &api]).output().await.expect("it runs");
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        let lines: Vec<_> = told.lines().skip(1).take(3).collect();
        assert!(
            lines[0].starts_with(&format!("! critical    target {} of only, for ", backend.addr())),
            "{told}"
        );
        assert!(
            lines[1].trim_start().starts_with("see:  smartproxy conns --phase relay --sort idle"),
            "{told}"
        );
        assert!(lines[2].trim_start().starts_with("mend: "), "{told}");
        assert!(told.contains("\n! route       only: 20 open"), "{told}");
    });
}

#[test]
#[ignore = "it takes half a minute"]
fn a_hundred_and_one_that_are_stuck_while_others_are_answered_within_a_minute() {
    Smartproxy::scenario(async {
        let backend = Backend::serving(|mut wire: Wire| async move {
            let said = wire.read_some().await;
            if said == b"hello" {
                wire.send("hello").await;
            }
            wire.read_to_end().await;
        });
        let (proxy, api) = well(SETTINGS, backend.addr()).await;
        served(&proxy).await;
        let _clients = speaking(&proxy, 101, "stuck").await;
        let others = async {
            loop {
                served(&proxy).await;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        };
        let subject = ["target", &backend.addr().to_string()];
        beside(api.finds("stuck", subject, Duration::from_secs(60)), others).await;
    });
}

#[test]
#[ignore = "it takes three minutes"]
fn growth_of_twenty_four_a_minute_on_one_of_six_routes_within_three_minutes() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let route = |n: usize| {
            let action = format!("action = {{ forward = [\"{}\"] }}", backend.addr());
            let matches = format!("match = {{ ports = [PORT_A], clients = [\"127.0.0.{}/32\"] }}", n + 1);
            format!("[[routes]]\nname = \"r{n}\"\n{matches}\n{action}\n")
        };
        let routes: String = (0..6).map(route).collect();
        let proxy = Smartproxy::run(&format!("{SETTINGS}{routes}")).await;
        let api = Api(proxy.at(1));
        let mut held = Vec::new();
        let grows = async {
            loop {
                for host in 1..=6 {
                    let source = SocketAddr::from(([127, 0, 0, host], 0));
                    drop(Wire::connect_from(source, proxy.addr()).await);
                }
                held.extend(speaking(&proxy, 1, "stay").await);
                tokio::time::sleep(Duration::from_millis(2500)).await;
            }
        };
        beside(api.finds("growing", ["route", "r0"], Duration::from_secs(180)), grows).await;
    });
}
