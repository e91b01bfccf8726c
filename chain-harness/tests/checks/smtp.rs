//! Postfix: a connection and its end, as of any client that says goodbye, and nothing that looks like a sender of spam.

use chain_harness::{PATIENCE, Peer, eventually, scenario};
use proxy_upstream::health::HealthState;

use super::{CHECKS, checking, is_down, settled, since, view};

#[test]
fn is_up_while_it_greets_and_takes_the_check_for_a_client_that_left_in_order() {
    scenario(async {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: Postfix has to be started by root");
            return;
        }
        let Some(server) = Peer::postfix("inet_protocols = ipv4").await else { return };
        let first = settled(&server).await;
        // Its first process takes a moment to begin.
        let hop = checking(server.addr(), r#"{ kind = "smtp", interval = "200ms", timeout = "1s" }"#);
        eventually(PATIENCE, || view(&hop).checks > CHECKS).await;
        assert_eq!(view(&hop).state, HealthState::Up);
        let said = since(&server, first);
        let usual = |line: &String| line.contains(": connect from ") || line.contains(": disconnect from ");
        let odd: Vec<_> = said.iter().filter(|line| !usual(line)).collect();
        assert!(odd.is_empty(), "{odd:#?}");
        let quits = said.iter().filter(|line| line.contains("quit=1 commands=1")).count();
        assert!(quits >= 10, "{said:#?}");
        drop(server);
        is_down(&hop).await;
    });
}
