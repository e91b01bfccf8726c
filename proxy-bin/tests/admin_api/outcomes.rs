//! What became of connections, by route, target, listener and pool: the same of each, through a live chain.

use proxy_api::model::{Listener, Outcomes, Pool, Route, Target};

use crate::world::World;

/// Of the route, its target, its listener and its pool.
fn of_each(world: &World) -> [Outcomes; 4] {
    let at = world.at();
    let routes: Vec<Route> = at.get("/v1/routes").says();
    let targets: Vec<Target> = at.get("/v1/targets").says();
    let listeners: Vec<Listener> = at.get("/v1/listeners").says();
    let pools: Vec<Pool> = at.get("/v1/pools").says();
    let pool = pools.into_iter().find(|pool| pool.name == "chain").unwrap();
    let [route, target, listener] =
        [routes[0].outcomes.clone(), targets[0].outcomes.clone(), listeners[0].outcomes.clone()];
    [route, target, listener, pool.outcomes]
}

#[test]
fn each_part_tells_what_became_of_its_connections() {
    let world = World::new();
    assert!(
        of_each(&world).iter().all(|outcomes| outcomes.opened_total == 0 && outcomes.ended_total.is_empty())
    );
    let mut clients = world.clients(3);
    drop(clients.pop());
    world.outer.has(2);
    for outcomes in of_each(&world) {
        assert_eq!(outcomes.opened_total, 3);
        assert_eq!(outcomes.ended_total, [("finished".to_owned(), 1)].into());
        assert_eq!((outcomes.failed_total, outcomes.refused_total, outcomes.unanswered_total), (0, 0, 0));
        assert!(outcomes.first_byte_p99_s.is_some_and(|wait| wait > 0.0));
        assert!(outcomes.dial_median_s.is_some() && outcomes.lifetime_median_s.is_some());
    }
}

#[test]
fn a_backend_that_is_cut_off_has_failed_and_a_limit_has_refused() {
    let world = World::with("", "max_connections = 2");
    let clients = world.clients(2);
    drop(std::net::TcpStream::connect(world.outer.addr).unwrap());
    crate::eventually("the third one is refused", || of_each(&world)[0].refused_total == 1);
    let killed = world.inner.server.tracker().cancel_all(proxy_conn::Reason::Killed);
    assert_eq!(killed, 2);
    world.outer.has(0);
    let [route, target, listener, pool] = of_each(&world);
    let ended = [("backend_reset".to_owned(), 2), ("route_limit".to_owned(), 1)].into();
    assert_eq!((route.opened_total, &route.ended_total), (3, &ended));
    assert_eq!([&route, &target, &listener, &pool].map(|outcomes| outcomes.failed_total), [2; 4]);
    assert_eq!((target.opened_total, target.refused_total), (2, 0), "nobody is refused at the target");
    drop(clients);
}

#[test]
fn what_the_kernel_says_of_some_sockets_is_told_with_their_route() {
    let world = World::new();
    let clients = world.clients(3);
    let sockets = || world.at().get("/v1/routes").says::<Vec<Route>>().remove(0).sockets;
    crate::eventually("all three are looked at", || sockets().is_some_and(|sockets| sockets.sampled >= 3));
    let sockets = sockets().unwrap();
    for side in [sockets.client, sockets.backend] {
        assert!(
            side.rtt_median_s.is_some_and(|rtt| rtt > 0.0 && Some(rtt) <= side.rtt_longest_s),
            "{side:?}"
        );
        assert_eq!((side.unsent_bytes, side.unread_bytes), (0, 0), "{side:?}");
    }
    drop(clients);
}
