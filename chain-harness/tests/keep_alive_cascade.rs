//! Hundreds of idle keep-alive connections, and an inner hop with a shorter idle deadline than the outer one's: the outer
//! hop ends with the inner one, not at its own deadline.

use std::time::Duration;

use chain_harness::{Backend, Chain, Ending, keep_alive_answer, scenario};
use proxy_conn::{By, Cause};
use tokio::time::Instant;

const CLIENTS: usize = 300;
const REQUEST: &str = "GET / HTTP/1.1\r\nhost: chain\r\n\r\n";

/// The inner deadline, and how long after it everybody has to know. The outer one is an hour.
const INNER: &str = "timeouts.inactivity_timeout = \"1s\"";
const DEADLINE: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(4);

#[test]
fn the_outer_hop_ends_with_the_inner_one() {
    scenario(async {
        let backend = Backend::keeps_alive("hello");
        let chain = Chain::with("timeouts.inactivity_timeout = \"1h\"", INNER, &[&backend.addr()]);
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let mut client = chain.connect().await;
            client.send(REQUEST).await;
            clients.push(client);
        }
        let answer = keep_alive_answer("hello");
        for client in &mut clients {
            client.read_until(|bytes| bytes.len() == answer.len()).await;
        }
        let last = Instant::now();
        for client in &mut clients {
            let received = client.read_to_end().await;
            assert_eq!((received.text(), received.end), (answer.clone(), Some(Ending::Reset)));
        }
        assert!(last.elapsed() < DEADLINE + GRACE, "{:?}", last.elapsed());
        drop(clients);
        chain.settles_within(GRACE).await;
        for (hop, expected) in
            [(&chain.inner, (Cause::Idle, By::Proxy)), (&chain.outer, (Cause::BackendReset, By::Backend))]
        {
            assert!(hop.ended(CLIENTS).await.iter().all(|end| (end.cause, end.by) == expected));
        }
    });
}

/// Those that ask now and then stay, while the others around them go.
#[test]
fn who_asks_in_time_stays() {
    scenario(async {
        let backend = Backend::keeps_alive("hello");
        let chain = Chain::with("", INNER, &[&backend.addr()]);
        let mut client = chain.connect().await;
        let answer = keep_alive_answer("hello");
        for n in 1..=8 {
            client.send(REQUEST).await;
            client.read_until(|bytes| bytes.len() == n * answer.len()).await;
            tokio::time::sleep(DEADLINE / 5).await;
        }
        client.half_close().await;
        let received = client.read_to_end().await;
        assert_eq!((received.text(), received.end), (answer.repeat(8), Some(Ending::Fin)));
        drop(client);
        assert_eq!(chain.inner.the_end().await.cause, Cause::Finished);
        chain.settles().await;
    });
}
