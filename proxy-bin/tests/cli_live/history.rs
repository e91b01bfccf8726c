//! What was, drawn in the terminal.

use crate::eventually;
use crate::world::{World, client};

#[test]
fn a_route_is_drawn_in_80_columns_and_told_as_json() {
    let world = World::new();
    let _clients = [client(world.web), client(world.web)];
    let mut drawn = String::new();
    eventually("the route has a history", || {
        let said = world.run("history web");
        drawn = said.out;
        drawn.contains("\nopen: now 2, at most 2\n").then_some(())
    });
    assert!(drawn.starts_with("route web, the last "), "{drawn}");
    assert!(drawn.lines().all(|line| line.chars().count() <= 80) && drawn.contains('┤'), "{drawn}");
    for figure in ["opened a second", "ended a second", "failed", "bytes a second", "first byte"] {
        assert!(drawn.contains(&format!("\n{figure}")), "{figure} is not in:\n{drawn}");
    }
    let json = world.run("history web --json").json();
    let steps = json["steps"].as_array().unwrap();
    let opened: f64 = steps.iter().filter_map(|step| step["opened_per_s"].as_f64()).sum();
    assert_eq!((json["step_s"].as_f64(), opened), (Some(1.0), 2.0), "{json}");
    assert!(world.run("history").fine().starts_with("the proxy, the last "));
    let target = world.run(&format!("history web {}", world.inner_at)).fine();
    assert!(target.starts_with(&format!("target {} of web, the last ", world.inner_at)), "{target}");
    let young = world.run("history --span 14d").fine();
    assert_eq!(young, "the proxy: nothing is known yet over 14d; try --span 10m\n");
}

#[test]
fn who_is_not_there_is_no_flat_line() {
    let world = World::new();
    let _client = client(world.web);
    eventually("the route has a history", || (world.run("history web").code == 0).then_some(()));
    let said = world.run("history wep");
    assert_eq!((said.code, &*said.out), (1, ""));
    assert!(said.error.contains("did you mean route/web?"), "{}", said.error);
}
