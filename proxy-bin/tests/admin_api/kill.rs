//! Ending connections: one, some, all; and being asked what would be ended.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use proxy_api::model::Killed;

use crate::world::World;

fn kill(world: &World, body: &str) -> Killed {
    world.at().post("/v1/connections/kill", body).says()
}

/// It was reset: an end by an operator is no clean end.
fn is_reset(mut client: TcpStream) {
    assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn one_by_its_id_and_no_other() {
    let world = World::new();
    let (first, second) = (world.client(), world.client());
    let local = first.local_addr().unwrap().to_string();
    let of_first = world.outer.connections().into_iter().find(|one| one.client.as_ref() == Some(&local));
    let id = of_first.unwrap().id;
    let killed: Killed = world.at().ask("DELETE", &format!("/v1/connections/{id}"), &[], "").says();
    assert_eq!((killed.matched, killed.killed, killed.ids), (1, 1, vec![id.clone()]));
    is_reset(first);
    world.outer.has(1);
    world.inner.has(1);
    assert_eq!(world.outer.status().ended_total["killed"], 1);
    world.at().ask("DELETE", &format!("/v1/connections/{id}"), &[], "").problem(404);
    drop(second);
}

#[test]
fn some_by_a_filter_after_a_look_at_what_it_means() {
    let world = World::new();
    let clients = world.clients(3);
    let filter = "\"filter\": {\"route\": \"web\", \"phase\": \"relay\", \"min_age_s\": 0}";
    let meant = kill(&world, &format!("{{{filter}, \"dry_run\": true}}"));
    assert_eq!((meant.matched, meant.killed, meant.ids.len()), (3, 0, 3));
    assert_eq!(world.outer.status().connections, 3, "nothing was ended");
    assert_eq!(kill(&world, "{\"filter\": {\"route\": \"web\", \"phase\": \"dial\"}}").matched, 0);
    let killed = kill(&world, &format!("{{{filter}}}"));
    assert_eq!((killed.matched, killed.killed, killed.ids), (3, 3, meant.ids));
    clients.into_iter().for_each(is_reset);
    world.outer.has(0);
    world.inner.has(0);
}

#[test]
fn one_by_the_id_that_it_has_on_the_hop_before() {
    let world = World::new();
    let (first, mut second) = (world.client(), world.client());
    let local = first.local_addr().unwrap().to_string();
    let of_first = world.outer.connections().into_iter().find(|one| one.client.as_ref() == Some(&local));
    let body = format!("{{\"filter\": {{\"previous\": \"{}\"}}}}", of_first.unwrap().id);
    let killed: Killed = world.inner.at().post("/v1/connections/kill", &body).says();
    assert_eq!((killed.matched, killed.killed), (1, 1));
    is_reset(first);
    world.outer.has(1);
    second.write_all(b"still").unwrap();
    second.read_exact(&mut [0; 5]).unwrap();
    let network = "{\"filter\": {\"client\": \"127.0.0.0/8\", \"pool\": \"chain\"}}";
    assert_eq!(kill(&world, network).killed, 1);
    is_reset(second);
}

#[test]
fn all_only_if_somebody_says_so() {
    let world = World::new();
    let _clients = world.clients(2);
    for body in ["{}", "{\"filter\": {}}", "{\"dry_run\": true}"] {
        let detail = world.at().post("/v1/connections/kill", body).problem(400);
        assert!(detail.starts_with("the filter is empty, which would end every connection"), "{detail}");
    }
    let both = "{\"all\": true, \"filter\": {\"route\": \"web\"}}";
    assert!(world.at().post("/v1/connections/kill", both).problem(400).contains("not both"));
    assert_eq!(world.outer.status().connections, 2);
    assert_eq!(kill(&world, "{\"all\": true}").killed, 2);
    world.outer.has(0);
}

#[test]
fn a_body_that_is_wrong_is_explained() {
    let world = World::new();
    for (body, says) in [
        ("", "the request needs a body: a JSON object"),
        ("{\"al\": true}", "unknown field `al`, expected one of `filter`, `all`, `dry_run`"),
        ("{\"filter\": {\"rout\": \"web\"}}", "unknown field `rout`, expected one of `phase`, `route`"),
        ("{\"filter\": {\"min_age_s\": \"old\"}}", "expected f64"),
        ("{\"filter\": {\"phase\": \"x\"}}", "`phase` is \"x\", expected one of header"),
        ("not json", "line 1 column"),
    ] {
        let detail = world.at().post("/v1/connections/kill", body).problem(400);
        assert!(detail.contains(says), "{body}: {detail}");
    }
    let large = world.at().post("/v1/connections/kill", &" ".repeat(65_537));
    assert_eq!(large.problem(413), "the body of this request has at most 65536 bytes");
}
