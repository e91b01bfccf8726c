//! `smartproxy chain` over a real chain.

use serde_json::Value;

use crate::eventually;
use crate::world::{World, client};

/// The connections with this verdict, as they are on each hop.
fn with_verdict<'a>(report: &'a Value, verdict: &str) -> Vec<&'a Vec<Value>> {
    let rows = report["connections"].as_array().unwrap().iter();
    rows.filter(|row| row["verdict"] == verdict).map(|row| row["on"].as_array().unwrap()).collect()
}

#[test]
fn connections_are_joined_by_the_ids_that_travel_with_them() {
    let world = World::new();
    let _clients = [client(world.web), client(world.web), client(world.plain)];
    let _waiting = std::net::TcpStream::connect(world.dark).unwrap();
    world.has(1, "dial");

    let told = world.chain("").fine();
    assert!(told.starts_with("outer 4, inner 2: 2 on every hop, 1 on outer only\n"), "{told}");
    assert!(told.contains("  1 on outer, sent on without id, in relay"), "{told}");

    let report = world.chain("--json").json();
    let whole = with_verdict(&report, "whole");
    assert_eq!(whole.len(), 2);
    for on in whole {
        let [outer, inner] = on.as_slice() else { panic!("there are two hops") };
        assert_eq!(inner["previous"].as_array().unwrap().last(), Some(&outer["id"]));
        assert_eq!(inner["client"], outer["client"]);
    }
    assert_eq!(with_verdict(&report, "sent_on_without_id")[0][0]["route"], "plain");
    let dialling = with_verdict(&report, "missing_after");
    assert_eq!(
        (dialling.len(), &dialling[0][0]["route"], &dialling[0][1]),
        (1, &"dark".into(), &Value::Null)
    );
}

#[test]
fn what_came_to_the_inner_hop_by_itself_is_no_orphan() {
    let world = World::new();
    // The inner hop wants a header, and waits for it.
    let _stranger = std::net::TcpStream::connect(world.inner_at).unwrap();
    let told = eventually("it is there", || {
        let told = world.chain("").fine();
        told.contains("inner 1").then_some(told)
    });
    assert!(told.starts_with("outer 0, inner 1: 0 on every hop, none on one side only\n"), "{told}");
    assert!(told.contains("  1 on inner, header unread, in header"), "{told}");
}

#[test]
fn a_hop_that_does_not_answer_is_named() {
    let world = World::new();
    let gone = world.outer.socket.with_file_name("gone.sock");
    let said = world.run(&format!("chain {} {}", world.outer.socket.display(), gone.display()));
    assert_eq!((said.code, &*said.out), (5, ""));
    assert!(said.error.contains(&format!("{}: there is no such socket", gone.display())), "{}", said.error);
}
