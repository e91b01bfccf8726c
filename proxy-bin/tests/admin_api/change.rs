//! What changes the proxy as a whole: another configuration, drains, the log, stopping.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use proxy_api::model::{ChangeKind, Diff, Drain, Reload, Route, Status};

use crate::eventually;
use crate::world::World;

const OTHER: &str =
    "[[routes]]\nname = \"other\"\nmatch = { ports = [1] }\naction = \"refuse\"\nenabled = false\n";

fn text(world: &World) -> String {
    std::fs::read_to_string(world.dir.path().join("outer.toml")).unwrap()
}

#[test]
fn a_configuration_is_compared_and_reloaded() {
    let world = World::new();
    let (at, _client) = (world.at(), world.client());
    let toml = ["content-type: application/toml"];
    let same: Diff = at.ask("POST", "/v1/config/diff", &toml, &text(&world)).says();
    assert_eq!(same, Diff { changes: Vec::new(), warnings: Vec::new() });
    let other = text(&world).replace("max_connections = 500", "max_connections = 400");
    let diff: Diff = at.ask("POST", "/v1/config/diff", &toml, &other).says();
    let [change] = &diff.changes[..] else { panic!("{diff:?}") };
    assert_eq!((change.kind, change.connections), (ChangeKind::Changed, 1));
    let detail = at.ask("POST", "/v1/config/diff", &toml, "worker = 1").problem(422);
    assert!(detail.contains("unknown key `worker`") && detail.contains(":1:1"), "{detail}");
    assert!(
        at.ask("POST", "/v1/config/diff", &toml, " ").problem(400).contains("the text of a configuration")
    );
    assert_eq!(world.outer.status().config.generation, 1, "nothing has changed yet");
    std::fs::write(world.dir.path().join("outer.toml"), &other).unwrap();
    let reload: Reload = at.post("/v1/reload", "").says();
    assert_eq!((reload.taken, reload.generation, reload.changes), (true, 2, diff.changes));
    let status = world.outer.status();
    assert_eq!((status.config.generation, status.connections), (2, 1));
    assert_eq!(status.listeners[0].connections.most, Some(400));
}

/// Posts to `/v1/config/diff` as much of `text` as is given, of a body of so many bytes.
fn post_diff(world: &World, bytes: usize, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(world.outer.admin.addr().unwrap()).unwrap();
    stream.set_read_timeout(Some(crate::PATIENCE * 6)).unwrap();
    let head = format!(
        "POST /v1/config/diff HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/toml\r\nconnection: close\r\ncontent-length: {bytes}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

#[test]
fn a_large_comparison_keeps_nobody_waiting() {
    let world = World::new();
    let route = |n: u32| {
        format!(
            "[[routes]]\nname = \"r{n}\"\nmatch = {{ ports = [1], domains = [\"h{n}.test\"] }}\naction = \"refuse\"\n"
        )
    };
    let large = text(&world) + &(0..10_000).map(route).collect::<String>();
    let mut comparing = post_diff(&world, large.len(), &large);
    for _ in 0..5 {
        assert_eq!(world.outer.on_tcp().get("/healthz").status, 200);
    }
    comparing.set_nonblocking(true).unwrap();
    assert_eq!(comparing.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock, "it is not done yet");
    comparing.set_nonblocking(false).unwrap();
    let mut answer = String::new();
    comparing.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-type: application/json"), "{head}");
    // Each route, and the port that they are on.
    assert_eq!(serde_json::from_str::<Diff>(body).unwrap().changes.len(), 10_001);
}

/// Whether something can be read of it already.
fn is_answered(mut asked: &TcpStream) -> bool {
    asked.set_nonblocking(true).unwrap();
    let read = asked.read(&mut [0; 1]);
    asked.set_nonblocking(false).unwrap();
    read.is_ok()
}

#[test]
fn configurations_are_compared_one_at_a_time_and_who_is_too_many_is_told() {
    let world = World::new();
    // Its body is still to come: it has begun.
    let mut begun = post_diff(&world, 10, "x");
    let ask = || world.at().ask("POST", "/v1/config/diff", &[], &text(&world));
    eventually("it is the one", || {
        // It came while a question was answered, and was turned away itself.
        if is_answered(&begun) {
            begun = post_diff(&world, 10, "x");
        }
        ask().status == 503
    });
    let refused = ask();
    assert_eq!(refused.headers["retry-after"], "2");
    assert!(refused.problem(503).contains("one at a time"), "{refused:?}");
    drop(begun);
    eventually("the next one's turn", || ask().status == 200);
}

#[test]
fn a_configuration_that_is_refused_shows_in_the_status() {
    let world = World::new();
    std::fs::write(world.dir.path().join("outer.toml"), "worker = 1").unwrap();
    let reload: Reload = world.at().post("/v1/reload", "").says();
    assert!(!reload.taken && reload.error.as_ref().unwrap().contains("unknown key `worker`"), "{reload:?}");
    let config = world.outer.status().config;
    assert_eq!((config.generation, config.last_reload), (1, Some(reload)));
    let metrics = world.at().get("/metrics").body;
    assert!(metrics.contains("\nsmartproxy_config_last_reload_successful 0\n"), "{metrics}");
}

#[test]
fn the_admin_table_waits_for_the_next_start() {
    let world = World::new();
    let other = text(&world).replace("name = \"outer\"", "name = \"renamed\"");
    let diff: Diff = world.at().ask("POST", "/v1/config/diff", &[], &other).says();
    assert_eq!(diff.warnings, ["[admin] takes effect at the next start, but for hops"]);
}

#[test]
fn a_route_that_is_drained_takes_no_new_connections() {
    let world = World::with("", OTHER);
    let (at, _client) = (world.at(), world.client());
    let drain: Drain = at.post("/v1/drain", "{\"kind\": \"route\", \"name\": \"web\"}").says();
    assert_eq!((drain.began_with, drain.left, drain.ends_in_s), (1, 1, None));
    let routes: Vec<Route> = at.get("/v1/routes").says();
    assert_eq!(routes.iter().map(|route| route.draining).collect::<Vec<_>>(), [true, false]);
    let refused = TcpStream::connect(world.outer.addr).and_then(|mut client| client.read(&mut [0; 1]));
    assert!(refused.is_err(), "{refused:?}");
    // Whoever was refused is in the table for a moment longer.
    world.outer.has(1);
    let drains: Vec<Drain> = at.get("/v1/drains").says();
    assert_eq!((drains.len(), drains[0].left, world.outer.status().drains.len()), (1, 1, 1));
    let _: Drain = at.post("/v1/drain", "{\"kind\": \"route\", \"name\": \"web\", \"undo\": true}").says();
    let _second = world.client();
    assert_eq!(at.get("/v1/drains").says::<Vec<Drain>>(), []);
}

#[test]
fn what_cannot_be_drained_is_a_problem() {
    let at = World::new();
    let at = at.at();
    let refused = |body: &str, status| at.post("/v1/drain", body).problem(status);
    assert_eq!(
        refused("{\"kind\": \"route\", \"name\": \"wep\"}", 404),
        "there is no route \"wep\"; did you mean \"web\"? There are: web"
    );
    assert!(refused("{\"kind\": \"route\"}", 400).starts_with("name the route to drain"));
    assert!(
        refused("{\"kind\": \"everything\", \"name\": \"web\"}", 400).starts_with("everything is drained")
    );
    assert!(refused("{\"kind\": \"road\"}", 400).contains("unknown variant `road`"));
    let undo = "{\"kind\": \"route\", \"name\": \"web\", \"undo\": true}";
    assert!(refused(undo, 409).ends_with("is not being drained"));
    let never = "{\"kind\": \"route\", \"name\": \"web\", \"end_after_s\": -1}";
    assert!(refused(never, 400).starts_with("end_after_s has to be between 0"));
}

#[test]
fn everything_can_be_drained_which_is_not_ready() {
    let world = World::new();
    let (at, client) = (world.at(), world.client());
    assert_eq!((at.get("/readyz").body, at.get("/healthz").body), ("ready\n".to_owned(), "ok\n".to_owned()));
    let _: Drain = at.post("/v1/drain", "{\"kind\": \"everything\"}").says();
    assert!(at.get("/readyz").problem(503).starts_with("everything is being drained"));
    assert_eq!(at.get("/healthz").status, 200, "it is alive: to restart it would end connections");
    assert!(!world.outer.status().ready && world.outer.status().listeners[0].draining);
    eventually("nothing is accepted", || TcpStream::connect(world.outer.addr).is_err());
    drop(client);
    world.outer.has(0);
    let _: Drain = at.post("/v1/drain", "{\"kind\": \"everything\", \"undo\": true}").says();
    assert_eq!(at.get("/readyz").status, 200);
    let _client = world.client();
}

#[test]
fn a_proxy_without_a_log_of_its_own_says_so() {
    let at = World::new();
    let at = at.at();
    let put = |body: &str| at.ask("PUT", "/v1/log", &[], body);
    assert!(
        put("{\"level\": \"debug\"}").problem(503).starts_with("the log of this process is not the proxy's")
    );
    assert!(put("{\"level\": \"loud\"}").problem(400).contains("write error, warn, info, debug or trace"));
    at.post("/v1/log/reopen", "").problem(503);
}

#[test]
fn to_stop_is_asked_for_as_by_a_signal() {
    let world = World::new();
    let status: Status = world.at().post("/v1/stop", "").says();
    assert_eq!(status.state, "running");
    let asked = world.outer.server.control().clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let waiting = async { tokio::time::timeout(crate::PATIENCE, asked.asked_to_stop()).await };
    runtime.block_on(waiting).expect("whoever runs the server is told");
}
