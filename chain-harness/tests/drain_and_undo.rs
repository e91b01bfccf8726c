//! Draining a listener, a route, a target and everything: nothing new, what is open goes on, and back again.

use std::net::{Ipv4Addr, SocketAddr};

use chain_harness::{Backend, Ending, Hop, PATIENCE, Wire, eventually, free_port, scenario};
use proxy_api::model::{Drain, DrainKind, DrainRequest};
use proxy_bin::control::DrainError;
use proxy_conn::Cause;

/// Two listeners, each with a route; the second one has both backends.
fn config(first: SocketAddr, second: SocketAddr, port: u16) -> String {
    format!(
        r#"
        workers = 2
        [[listeners]]
        bind = ["127.0.0.1"]
        [[routes]]
        name = "one"
        match = {{ ports = [PORT_A] }}
        action = {{ forward = ["{first}"] }}
        [[routes]]
        name = "both"
        match = {{ ports = [{port}] }}
        action = {{ forward = ["{first}", "{second}"] }}
        "#
    )
}

struct Rig {
    hop: Hop,
    first: Backend,
    second: Backend,
    other: SocketAddr,
}

impl Rig {
    fn start() -> Self {
        let (first, second, port) = (Backend::echo(), Backend::echo(), free_port());
        let hop = Hop::start(&config(first.addr(), second.addr(), port));
        Self { hop, first, second, other: (Ipv4Addr::LOCALHOST, port).into() }
    }

    async fn drain(&self, kind: DrainKind, name: &str, end_after_s: Option<f64>) -> Drain {
        let name = Some(name.to_owned()).filter(|name| !name.is_empty());
        let request = DrainRequest { kind, name, undo: false, end_after_s };
        self.hop.control().drain(&request).await.expect("there is such a thing")
    }

    async fn undo(&self, kind: DrainKind, name: &str) -> Result<Drain, DrainError> {
        let name = Some(name.to_owned()).filter(|name| !name.is_empty());
        self.hop.control().drain(&DrainRequest { kind, name, undo: true, end_after_s: None }).await
    }

    async fn settles(self, clients: Vec<Wire>) {
        drop(clients);
        assert_eq!(self.hop.control().drains(), []);
        self.hop.settles().await;
    }
}

async fn greeted(addr: SocketAddr, text: &str) -> Wire {
    let mut client = Wire::connect(addr).await;
    client.send(text).await;
    client.expect(text).await;
    client
}

async fn says(client: &mut Wire, before: &str, more: &str) {
    client.send(more).await;
    client.expect(&format!("{before}{more}")).await;
}

/// So many have ended of `cause`. A client may hear of its end a moment before it is counted.
async fn has_ended(hop: &Hop, cause: Cause, count: u64) {
    eventually(PATIENCE, || hop.ends_of(cause) == count).await;
}

#[test]
fn a_listener_is_closed_and_its_port_answers_again_when_that_is_undone() {
    scenario(async {
        let rig = Rig::start();
        let (here, name) = (rig.hop.addr(), rig.hop.addr().to_string());
        let mut living = greeted(here, "living").await;
        for round in 0..3 {
            eventually(PATIENCE, || rig.hop.tracker().len() == 1).await;
            let drain = rig.drain(DrainKind::Listener, &name, None).await;
            assert_eq!((drain.began_with, drain.left, drain.ends_in_s), (1, 1, None));
            assert!(rig.hop.control().is_draining_listener(&name));
            assert!(Wire::is_refused(here).await, "nobody hangs in a queue that nobody serves");
            drop(greeted(rig.other, "the other one").await);
            if round == 1 {
                // It stays drained over a reload.
                let same = config(rig.first.addr(), rig.second.addr(), rig.other.port());
                let reload = rig.hop.reload(&same).await;
                assert_eq!(
                    (reload.taken, reload.warnings),
                    (true, vec![format!("listener {name} stays closed: it is drained")])
                );
                assert!(Wire::is_refused(here).await);
            }
            rig.undo(DrainKind::Listener, &name).await.unwrap();
            drop(greeted(here, "again").await);
        }
        says(&mut living, "living", " on").await;
        rig.settles(vec![living]).await;
    });
}

#[test]
fn a_route_refuses_with_a_cause_of_its_own() {
    scenario(async {
        let rig = Rig::start();
        let mut living = greeted(rig.hop.addr(), "living").await;
        rig.drain(DrainKind::Route, "one", None).await;
        assert!(Wire::connect(rig.hop.addr()).await.read_to_end().await.is_only_a_reset());
        let end = rig.hop.the_end().await;
        assert_eq!((end.cause, end.detail.as_str()), (Cause::Draining, "route one is being drained"));
        drop(greeted(rig.other, "the other one").await);
        let same = config(rig.first.addr(), rig.second.addr(), rig.other.port());
        assert!(rig.hop.reload(&same).await.taken);
        assert!(
            Wire::connect(rig.hop.addr()).await.read_to_end().await.is_only_a_reset(),
            "after a reload too"
        );
        // Whoever was refused has seen it a moment before it is gone from the table.
        eventually(PATIENCE, || rig.hop.control().drains()[0].left == 1).await;
        rig.undo(DrainKind::Route, "one").await.unwrap();
        let again = greeted(rig.hop.addr(), "again").await;
        says(&mut living, "living", " on").await;
        rig.settles(vec![living, again]).await;
    });
}

/// Whoever looks changes nothing: a route that a reload removes and a later one brings back is drained as it was.
#[test]
fn a_drain_outlasts_the_absence_of_what_it_is_of_however_often_it_is_looked_at() {
    scenario(async {
        let rig = Rig::start();
        rig.drain(DrainKind::Route, "one", None).await;
        let same = config(rig.first.addr(), rig.second.addr(), rig.other.port());
        let renamed = same.replace("\"one\"", "\"another\"");
        assert_ne!(renamed, same);
        assert!(rig.hop.reload(&renamed).await.taken);
        drop(greeted(rig.hop.addr(), "by another route").await);
        for _ in 0..2 {
            let drains = rig.hop.control().drains();
            assert_eq!(drains.iter().map(|one| one.name.as_deref()).collect::<Vec<_>>(), [Some("one")]);
        }
        assert!(rig.hop.reload(&same).await.taken);
        assert!(Wire::connect(rig.hop.addr()).await.read_to_end().await.is_only_a_reset());
        rig.undo(DrainKind::Route, "one").await.unwrap();
        assert!(rig.hop.control().drains().is_empty());
        let again = greeted(rig.hop.addr(), "again").await;
        rig.settles(vec![again]).await;
    });
}

#[test]
fn a_target_is_passed_over_while_there_are_others() {
    scenario(async {
        let rig = Rig::start();
        let first = rig.first.addr().to_string();
        let living = greeted(rig.hop.addr(), "living").await;
        let drain = rig.drain(DrainKind::Target, &first, None).await;
        assert_eq!(drain.began_with, 1);
        for _ in 0..4 {
            drop(greeted(rig.other, "to the second").await);
        }
        eventually(PATIENCE, || rig.hop.tracker().len() == 1).await;
        assert_eq!((rig.first.accepted(), rig.second.accepted()), (1, 4));
        // The other route has no other.
        assert!(Wire::connect(rig.hop.addr()).await.read_to_end().await.is_only_a_reset());
        has_ended(&rig.hop, Cause::Draining, 1).await;
        rig.undo(DrainKind::Target, &first).await.unwrap();
        let again = greeted(rig.hop.addr(), "again").await;
        assert_eq!(rig.first.accepted(), 2);
        rig.settles(vec![living, again]).await;
    });
}

#[test]
fn everything_is_closed_and_opened_again() {
    scenario(async {
        let rig = Rig::start();
        let mut living = greeted(rig.hop.addr(), "living").await;
        rig.drain(DrainKind::Listener, &rig.other.to_string(), None).await;
        let drain = rig.drain(DrainKind::Everything, "", None).await;
        assert_eq!((drain.name.clone(), drain.left), (None, 1));
        assert!(rig.hop.control().is_draining_everything());
        assert!(Wire::is_refused(rig.hop.addr()).await && Wire::is_refused(rig.other).await);
        assert_eq!(rig.hop.control().drains().len(), 2);
        rig.undo(DrainKind::Everything, "").await.unwrap();
        let again = greeted(rig.hop.addr(), "again").await;
        assert!(Wire::is_refused(rig.other).await, "this one is drained for itself");
        rig.undo(DrainKind::Listener, &rig.other.to_string()).await.unwrap();
        let other = greeted(rig.other, "again").await;
        says(&mut living, "living", " on").await;
        rig.settles(vec![living, again, other]).await;
    });
}

#[test]
fn who_is_left_is_ended_when_the_time_is_over_unless_it_is_undone() {
    scenario(async {
        let rig = Rig::start();
        let (mut ended, mut kept) =
            (greeted(rig.hop.addr(), "ended").await, greeted(rig.other, "kept").await);
        rig.drain(DrainKind::Route, "both", Some(0.2)).await;
        rig.undo(DrainKind::Route, "both").await.unwrap();
        let drain = rig.drain(DrainKind::Route, "one", Some(0.3)).await;
        assert!(drain.ends_in_s.is_some_and(|left| left <= 0.3), "{drain:?}");
        assert_eq!(ended.read_to_end().await.end, Some(Ending::Reset));
        let end = rig.hop.the_end().await;
        assert_eq!((end.cause, end.by), (Cause::Drained, proxy_conn::By::Operator));
        says(&mut kept, "kept", " on").await;
        eventually(PATIENCE, || rig.hop.control().drains()[0].left == 0).await;
        rig.undo(DrainKind::Route, "one").await.unwrap();
        rig.settles(vec![ended, kept]).await;
    });
}

#[test]
fn what_cannot_be_drained_is_said() {
    scenario(async {
        let rig = Rig::start();
        let ask = async |kind, name: Option<&str>, undo, end_after_s| {
            let request = DrainRequest { kind, name: name.map(str::to_owned), undo, end_after_s };
            rig.hop.control().drain(&request).await.unwrap_err().to_string()
        };
        assert_eq!(
            ask(DrainKind::Route, Some("two"), false, None).await,
            "there is no route \"two\"; there are: both, one"
        );
        assert_eq!(
            ask(DrainKind::Route, None, false, None).await,
            "name the route to drain; there are: both, one"
        );
        assert_eq!(ask(DrainKind::Route, Some("one"), true, None).await, "route one is not being drained");
        assert_eq!(ask(DrainKind::Everything, None, true, None).await, "everything is not being drained");
        assert!(ask(DrainKind::Everything, Some("one"), false, None).await.contains("without a name"));
        for time in [-1.0, f64::NAN, 1e300] {
            assert!(ask(DrainKind::Route, Some("one"), false, Some(time)).await.contains("end_after_s"));
        }
        // Somebody takes its port meanwhile: the drain goes on, and says so.
        rig.drain(DrainKind::Listener, &rig.other.to_string(), None).await;
        let thief = std::net::TcpListener::bind(rig.other).unwrap();
        let error = rig.undo(DrainKind::Listener, &rig.other.to_string()).await.unwrap_err().to_string();
        assert!(error.contains(&rig.other.to_string()) && error.contains("it stays drained"), "{error}");
        drop(thief);
        rig.undo(DrainKind::Listener, &rig.other.to_string()).await.unwrap();
        drop(greeted(rig.other, "again").await);
        rig.settles(Vec::new()).await;
    });
}
