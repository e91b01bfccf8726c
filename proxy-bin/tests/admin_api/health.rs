//! `/healthz` and `/readyz`, as those see them who start and restart the proxy.

use proxy_bin::control::State;

use crate::world::World;

#[test]
fn it_is_alive_and_ready_until_it_is_told_to_stop() {
    let world = World::new();
    for at in [world.at(), world.outer.on_tcp()] {
        let (alive, ready) = (at.get("/healthz"), at.get("/readyz"));
        assert_eq!((alive.status, &*alive.body), (200, "ok\n"));
        assert_eq!((ready.status, &*ready.body), (200, "ready\n"));
    }
    let states = [State::HandingOver, State::Leaving, State::Draining];
    for (state, name) in states.into_iter().zip(["handing_over", "leaving", "draining"]) {
        world.outer.server.control().enter(state);
        let at = world.at();
        assert_eq!(at.get("/readyz").problem(503), format!("the proxy is {name}"));
        assert_eq!(at.get("/healthz").status, 200, "to restart it would cut those who finish");
        let status = world.outer.status();
        assert_eq!((&*status.state, status.ready), (name, false));
        let detail = at.post("/v1/drain", "{\"kind\":\"everything\"}").problem(409);
        assert!(detail.contains(name), "{detail}");
    }
}
