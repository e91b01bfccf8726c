//! What was: series of the process and of its parts.

use std::time::Duration;

use proxy_api::model::History;

use crate::eventually;
use crate::world::World;

/// What a series says of opens and ends in all, and how many are open at its end.
fn sums(history: &History) -> (f64, f64, f64) {
    let steps = || history.steps.iter().flatten();
    let sum = |rate: fn(&proxy_api::model::Step) -> f64| steps().map(rate).sum::<f64>() * history.step_s;
    let open = steps().last().map_or(0.0, |step| step.open);
    (sum(|step| step.opened_per_s).round(), sum(|step| step.ended_per_s).round(), open)
}

fn has(world: &World, subject: &str, expected: (f64, f64, f64)) {
    let path = format!("/v1/history?subject={subject}");
    eventually(&format!("{subject} has a history"), || {
        let reply = world.at().get(&path);
        reply.status == 200 && sums(&reply.says()) == expected
    });
}

#[test]
fn a_part_that_has_connections_has_a_history() {
    let world = World::new();
    let mut clients = world.clients(3);
    clients.pop();
    world.outer.has(2);
    let (listener, target) = (world.outer.addr, world.inner.addr);
    for subject in [
        "process".to_owned(),
        "route/web".to_owned(),
        format!("target/web/{target}"),
        format!("listener/{listener}"),
        "pool/chain".to_owned(),
    ] {
        has(&world, &subject, (3.0, 1.0, 2.0));
    }
    let history: History = world.at().get("/v1/history?subject=route/web&points=1").says();
    assert_eq!((history.steps.len(), &*history.subject.kind, &*history.subject.name), (1, "route", "web"));
    assert_eq!(sums(&history), (3.0, 1.0, 2.0), "neighbours are taken together");
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    assert!(now.abs_diff(Duration::from_secs_f64(history.until)) < Duration::from_secs(5), "{now:?}");
    let all: Vec<History> = world.at().get("/v1/history/all?kind=route&span=10m").says();
    assert_eq!(all.iter().map(|one| one.subject.name.as_str()).collect::<Vec<_>>(), ["web"]);
    assert_eq!(sums(&all[0]), (3.0, 1.0, 2.0));
    let long: History = world.at().get("/v1/history?span=14d").says();
    assert_eq!((long.steps.len(), long.step_s), (0, 300.0), "it is not as old");
}

#[test]
fn what_is_not_there_is_named() {
    let world = World::new();
    let _clients = world.clients(1);
    has(&world, "route/web", (1.0, 0.0, 1.0));
    let refused = |query: &str, status| world.at().get(&format!("/v1/history{query}")).problem(status);
    let wrong = refused("?subject=route/wep", 404);
    assert!(wrong.contains("nothing is known of route/wep; did you mean route/web?"), "{wrong}");
    assert!(refused("?span=1h", 400).contains("expected `10m`, `6h` or `14d`"));
    assert!(refused("?points=0", 400).contains("from 1 to 4032"));
    assert!(refused("?subject=limit/x", 400).contains("`route/NAME`"));
    assert!(refused("/all?kind=process", 400).contains("expected `route`, `target`, `listener` or `pool`"));
    assert!(refused("?steps=3", 400).contains("subject, span, points"));
}
