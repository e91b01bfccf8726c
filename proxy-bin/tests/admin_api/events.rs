//! Live views: samples once a second, one connection followed to its end, and both ended by the proxy's end.

use std::io::Write;

use proxy_api::model::{Killed, Phase, Sample, TraceEvent};

use crate::http::Exchange;
use crate::world::World;

fn sample(exchange: &mut Exchange) -> Sample {
    let (name, data) = exchange.event().expect("it goes on");
    assert_eq!(name, "sample");
    serde_json::from_value(data).unwrap()
}

fn trace(exchange: &mut Exchange) -> Option<TraceEvent> {
    let (name, data) = exchange.event()?;
    assert_eq!(name, "trace");
    Some(serde_json::from_value(data).unwrap())
}

#[test]
fn the_first_sample_comes_at_once_and_the_next_ones_show_what_changed() {
    let world = World::new();
    let mut stream = world.at().begin("GET", "/v1/events", &[], "");
    let first = sample(&mut stream);
    assert_eq!((first.status.connections, first.oldest.len()), (0, 0));
    let clients = world.clients(25);
    let seen = std::iter::from_fn(|| Some(sample(&mut stream))).find(|one| one.status.connections == 25);
    let seen = seen.unwrap();
    assert!(seen.at > first.at && seen.routes[0].phases[Phase::Relay] == 25);
    assert_eq!(seen.oldest.len(), 20, "the oldest twenty");
    assert!(seen.oldest.is_sorted_by(|a, b| a.age_s >= b.age_s));
    assert_eq!(seen.ages.iter().map(|bucket| bucket.connections).sum::<u64>(), 25);
    assert_eq!(seen.ages.last().unwrap().at_most_s, None);
    drop(clients);
}

#[test]
fn samples_come_every_second() {
    let world = World::new();
    let mut stream = world.outer.on_tcp().begin("GET", "/v1/events", &[], "");
    let times: Vec<f64> = (0..4).map(|_| sample(&mut stream).at).collect();
    let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // By the clock of whoever tells. A machine that is busy may be late with one, not with all of them.
    assert!(gaps.iter().all(|gap| *gap > 0.0) && gaps.iter().any(|gap| *gap < 2.0), "{gaps:?}");
}

#[test]
fn who_kills_a_connection_is_told_to_whoever_follows_it() {
    let world = World::new();
    let _silent = std::net::TcpStream::connect(world.inner.addr).unwrap();
    world.inner.has(1);
    let (at, path) = (world.inner.at(), format!("/v1/connections/{}", world.inner.connections()[0].id));
    let mut stream = at.begin("GET", &format!("{path}/trace"), &[], "");
    let seen = trace(&mut stream).unwrap();
    assert!(seen.text.starts_with("in header, open for "), "{}", seen.text);
    assert_eq!(at.ask("DELETE", &path, &[], "").says::<Killed>().killed, 1);
    let last = std::iter::from_fn(|| trace(&mut stream)).last().unwrap();
    assert!(last.text.starts_with("KH killed by operator in header"), "{}", last.text);
}

#[test]
fn a_connection_is_followed_to_its_end() {
    let world = World::new();
    let mut client = world.client();
    let id = world.outer.connections()[0].id.clone();
    let mut stream = world.at().begin("GET", &format!("/v1/connections/{id}/trace"), &[], "");
    let seen = trace(&mut stream).unwrap();
    assert_eq!((&*seen.event, seen.connection.map(|one| one.id)), ("seen", Some(id)));
    client.write_all(b"more").unwrap();
    let bytes = trace(&mut stream).unwrap();
    assert_eq!(bytes.event, "bytes");
    assert!(bytes.text.starts_with("4 from the client"), "{}", bytes.text);
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let rest: Vec<_> = std::iter::from_fn(|| trace(&mut stream)).collect();
    assert!(rest.iter().any(|one| one.event == "phase" && one.text == "drain"), "{rest:?}");
    let last = rest.last().unwrap();
    assert_eq!((&*last.event, &last.connection), ("gone", &None));
    assert!(last.text.starts_with("-- finished by client in drain, after "), "{}", last.text);
    assert!(last.text.ends_with("9 bytes from the client, 9 from the backend"), "{}", last.text);
}

#[test]
fn there_are_only_so_many_live_views_and_others_are_still_answered() {
    let world = World::new();
    let mut streams: Vec<_> = (0..32).map(|_| world.at().begin("GET", "/v1/events", &[], "")).collect();
    streams.iter_mut().for_each(|stream| drop(sample(stream)));
    let detail = world.at().get("/v1/events").problem(503);
    assert_eq!(detail, "32 live views are open, the most there may be: close one");
    assert_eq!(world.outer.status().connections, 0);
    drop(streams);
    crate::eventually("a place is free", || world.at().begin("GET", "/v1/events", &[], "").status == 200);
}

#[test]
fn live_views_end_with_the_admin_api_and_its_socket_goes() {
    let world = World::new();
    let _client = world.client();
    let id = world.outer.connections()[0].id.clone();
    let (mut samples, mut traced) = (
        world.at().begin("GET", "/v1/events", &[], ""),
        world.at().begin("GET", &format!("/v1/connections/{id}/trace"), &[], ""),
    );
    drop((sample(&mut samples), trace(&mut traced)));
    let World { outer, dir, inner: _inner, .. } = world;
    let path = dir.path().join("outer.sock");
    assert!(path.exists());
    drop(outer.admin);
    assert!(!path.exists());
    while samples.event().is_some() {}
    while traced.event().is_some() {}
}
