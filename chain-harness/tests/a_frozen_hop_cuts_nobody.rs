//! A hop that stands still for longer than its deadlines (a container that is paused, a virtual machine that is moved) has
//! been late itself: what came meanwhile came in time, and is read before anybody is judged.

use std::time::Duration;

use chain_harness::{Backend, Smartproxy, Wire, config};

const CLIENTS: usize = 20;

/// Shorter than the freeze, each of them.
const SHORT: &str = "log.format = \"json\"\nlimits.connections_per_client = \"off\"\n\
    limits.connections_per_client_per_minute = \"off\"\n\
    timeouts = { inactivity_timeout = \"2s\", half_closed_timeout = \"2s\", no_data_timeout = \"2s\" }\n";

/// Freezes `proxy` while `meanwhile` happens, for three seconds in all.
async fn frozen(proxy: &Smartproxy, meanwhile: impl Future<Output = ()>) {
    proxy.process.freeze().await;
    meanwhile.await;
    // Not a wait to be sure: the deadlines have to pass while it stands.
    tokio::time::sleep(Duration::from_secs(3)).await;
    proxy.process.thaw();
}

#[test]
fn what_came_while_it_stood_is_read_first() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let proxy = Smartproxy::run(&config::single(SHORT, &[&backend.addr()])).await;
        let (mut talking, mut new) = (Vec::new(), Vec::new());
        for _ in 0..CLIENTS {
            let mut client = Wire::connect(proxy.addr()).await;
            client.send("one").await;
            client.expect("one").await;
            talking.push(client);
            // Nothing yet: its first byte comes in the freeze.
            new.push(Wire::connect(proxy.addr()).await);
        }
        chain_harness::eventually(chain_harness::PATIENCE, || backend.accepted() == 2 * CLIENTS).await;
        frozen(&proxy, async {
            for client in talking.iter_mut().chain(&mut new) {
                client.send("two").await;
            }
        })
        .await;
        for client in &mut talking {
            client.expect("onetwo").await;
        }
        for client in &mut new {
            client.expect("two").await;
        }
        assert_eq!(proxy.causes(), [""; 0]);
    });
}

/// The whole chain stood still (a machine that is moved), and the outer hop is the first to run again: what the inner one was
/// sent meanwhile is still there, and not on the outer one's socket.
#[test]
fn what_the_next_hop_has_in_its_hands_is_waited_for() {
    Smartproxy::scenario(async {
        let (backend, mut accepted) = Backend::hands_over();
        let inner = Smartproxy::run(&config::inner(SHORT, &[&backend.addr()])).await;
        let outer = Smartproxy::run(&config::outer(SHORT, &[&inner.addr()])).await;
        let mut pairs = Vec::new();
        for _ in 0..CLIENTS {
            let mut client = Wire::connect(outer.addr()).await;
            client.send("one").await;
            let mut served = accepted.recv().await.unwrap();
            served.expect("one").await;
            pairs.push((client, served));
        }
        inner.process.freeze().await;
        frozen(&outer, async {
            for (_, served) in &mut pairs {
                served.send("two").await;
            }
        })
        .await;
        // Long enough for the outer one to look, and far below the half second that it grants.
        tokio::time::sleep(Duration::from_millis(100)).await;
        inner.process.thaw();
        for (client, _) in &mut pairs {
            client.expect("two").await;
        }
        assert_eq!((outer.causes(), inner.causes()), (Vec::new(), Vec::new()));
    });
}
