//! Drains of each kind, to their end and back, and a route that a reload has removed.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use proxy_api::model::{Drain, DrainKind, Listener, Reload, Route, Target};
use serde_json::{Value, json};

use crate::world::World;
use crate::{PATIENCE, eventually};

fn drain(world: &World, request: &Value) -> Drain {
    world.at().post("/v1/drain", &request.to_string()).says()
}

fn drains(world: &World) -> Vec<Drain> {
    world.at().get("/v1/drains").says()
}

fn undone(request: &Value) -> Value {
    let mut undo = request.clone();
    undo["undo"] = true.into();
    undo
}

/// Whether a new client is served through the whole chain.
fn is_served(world: &World) -> bool {
    let Ok(mut client) = TcpStream::connect(world.outer.addr) else { return false };
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"hello").and_then(|()| client.read_exact(&mut [0; 5])).is_ok()
}

#[test]
fn a_route_or_a_target_lets_those_finish_that_it_has() {
    let world = World::new();
    let _client = world.client();
    for (kind, name) in
        [(DrainKind::Route, "web".to_owned()), (DrainKind::Target, world.inner.addr.to_string())]
    {
        let request = json!({ "kind": kind, "name": name });
        let begun = drain(&world, &request);
        assert_eq!((begun.kind, begun.name.as_ref(), begun.ends_in_s), (kind, Some(&name), None));
        assert_eq!((begun.began_with, begun.left), (1, 1));
        assert!(drains(&world).len() == 1 && !is_served(&world), "{kind:?}");
        let route = world.at().get("/v1/routes").says::<Vec<Route>>().remove(0);
        let target = world.at().get("/v1/targets").says::<Vec<Target>>().remove(0);
        let expected = (kind == DrainKind::Route, kind == DrainKind::Target);
        assert_eq!((route.draining, target.draining), expected);
        assert_eq!(drain(&world, &undone(&request)).name, Some(name));
        assert!(drains(&world).is_empty() && is_served(&world), "{kind:?}");
        world.outer.has(1);
    }
    assert_eq!(world.outer.status().ended_total["draining"], 2);
}

#[test]
fn a_listener_is_closed_and_opened_anew() {
    let world = World::new();
    let _client = world.client();
    let request = json!({ "kind": "listener", "name": world.outer.addr.to_string() });
    let begun = drain(&world, &request);
    assert_eq!((begun.began_with, begun.left), (1, 1));
    let refused = TcpStream::connect(world.outer.addr).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert!(world.at().get("/v1/listeners").says::<Vec<Listener>>()[0].draining);
    assert_eq!(world.at().get("/readyz").status, 200, "one listener is not the proxy");
    drain(&world, &undone(&request));
    assert!(is_served(&world));
    world.outer.has(1);
}

#[test]
fn who_is_left_after_the_time_is_ended() {
    let world = World::new();
    let _clients = world.clients(2);
    let begun = drain(&world, &json!({ "kind": "route", "name": "web", "end_after_s": 0.2 }));
    assert!(begun.began_with == 2 && begun.ends_in_s.is_some_and(|left| left <= 0.2), "{begun:?}");
    world.outer.has(0);
    eventually("nobody is left", || drains(&world)[0].left == 0);
    assert_eq!(world.outer.status().ended_total["drained"], 2);
}

#[test]
fn a_route_that_is_gone_shows_for_as_long_as_it_has_connections() {
    let world = World::new();
    let client = world.client();
    let file = world.dir.path().join("outer.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("name = \"web\"", "name = \"shop\"")).unwrap();
    assert!(world.at().post("/v1/reload", "").says::<Reload>().taken);
    let told = || -> Vec<(String, bool, u64)> {
        let routes: Vec<Route> = world.at().get("/v1/routes").says();
        routes.into_iter().map(|route| (route.name, route.in_force, route.connections.used)).collect()
    };
    assert_eq!(told(), [("shop".to_owned(), true, 0), ("web".to_owned(), false, 1)]);
    assert_eq!(world.outer.connections()[0].route.as_deref(), Some("web"));
    drop(client);
    world.outer.has(0);
    assert_eq!(told(), [("shop".to_owned(), true, 0)]);
}
