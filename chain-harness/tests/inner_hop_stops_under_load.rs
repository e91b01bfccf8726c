//! The inner hop is told to stop (SIGTERM) and started again while clients are being served: who was being served is
//! served to the end, who comes later goes to the second inner hop, and nobody ever gets part of an answer and a FIN.

use chain_harness::{Backend, Ending, Hop, PATIENCE, Smartproxy, Wire, config, eventually, inner_process};

const CLIENTS: usize = 40;

/// An outer hop with two inner ones to choose from.
fn outer(inner: [&Smartproxy; 2]) -> Hop {
    Hop::start(&config::outer(config::FORGIVING, &[&inner[0].addr(), &inner[1].addr()]))
}

async fn greet(client: &mut Wire) {
    client.send("hello").await;
    client.expect("hello").await;
}

async fn finishes(mut client: Wire) {
    client.send(" again").await;
    client.half_close().await;
    let received = client.read_to_end().await;
    assert_eq!((received.text().as_str(), received.end), ("hello again", Some(Ending::Fin)));
}

#[test]
fn not_one_that_is_being_served_fails_and_the_other_takes_the_rest() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let mut first = inner_process("graceful_shutdown_timeout = \"30s\"\n", backend.addr()).await;
        let second = inner_process("", backend.addr()).await;
        let hop = outer([&first, &second]);
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let mut client = Wire::connect(hop.addr()).await;
            greet(&mut client).await;
            clients.push(client);
        }
        first.process.terminate();
        eventually(PATIENCE, || !first.is_listening()).await;
        for _ in 0..CLIENTS {
            let mut client = Wire::connect(hop.addr()).await;
            greet(&mut client).await;
            clients.push(client);
        }
        for client in clients {
            finishes(client).await;
        }
        assert_eq!(first.process.exit_code(PATIENCE).await, 0, "{}", first.process.output());
        first.restart().await;
        let before = first.process.descriptors();
        let mut clients = Vec::new();
        // Its breaker at the outer hop lets one try when it has cooled down, and all others after that.
        eventually(PATIENCE, || first.process.descriptors() == before).await;
        while first.process.descriptors() == before {
            let mut client = Wire::connect(hop.addr()).await;
            greet(&mut client).await;
            clients.push(client);
            tokio::task::yield_now().await;
        }
        for client in clients {
            finishes(client).await;
        }
        hop.settles().await;
        first.settles_within(PATIENCE).await;
        second.settles_within(PATIENCE).await;
    });
}

/// A client that is not done when the time is over is told by a reset, through the outer hop.
#[test]
fn who_is_not_done_in_time_is_reset() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let first = inner_process("graceful_shutdown_timeout = \"300ms\"\n", backend.addr()).await;
        let second = inner_process("", backend.addr()).await;
        let hop = outer([&first, &second]);
        // Which of the two gets the first one is their rotation's business.
        let (mut one, mut other) = (Wire::connect(hop.addr()).await, Wire::connect(hop.addr()).await);
        greet(&mut one).await;
        greet(&mut other).await;
        first.process.terminate();
        let (lost, left) = tokio::select! {
            _ = one.read_some() => (one, other),
            _ = other.read_some() => (other, one),
        };
        assert_eq!((lost.received().text().as_str(), lost.received().end), ("hello", Some(Ending::Reset)));
        eventually(PATIENCE, || hop.tracker().len() == 1).await;
        finishes(left).await;
        drop(lost);
        // The pipes of the process that has stopped are not ours to count.
        hop.empties(PATIENCE).await;
    });
}
