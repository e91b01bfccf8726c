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
