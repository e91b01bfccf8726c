//! Connections: listed, filtered, sorted, a page at a time; and one in full.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use proxy_api::model::{Chain, ConnectionGroups, ConnectionInFull, Connections, Hop, Reload};

use crate::eventually;
use crate::world::World;

fn list(world: &World, query: &str) -> Connections {
    world.at().get(&format!("/v1/connections{query}")).says()
}

fn ids(connections: &Connections) -> Vec<&str> {
    connections.connections.iter().map(|one| &*one.id).collect()
}

#[test]
fn what_is_known_of_a_connection_is_in_the_list() {
    let world = World::new();
    let client = world.client();
    let [one] = &world.outer.connections()[..] else { panic!("one connection") };
    let local = client.local_addr().unwrap().to_string();
    assert_eq!((one.client.as_deref(), &one.peer), (Some(&*local), &local));
    assert_eq!((&*one.phase, &*one.state), ("relay", "ESTABLISHED"));
    assert_eq!((one.listener.clone(), one.route.as_deref()), (world.outer.addr.to_string(), Some("web")));
    assert_eq!(
        (one.target.clone(), one.pool.as_deref()),
        (Some(world.inner.addr.to_string()), Some("chain"))
    );
    assert_eq!((one.from_client_bytes, one.from_backend_bytes, one.immortal), (5, 5, false));
    assert!(one.age_s >= one.in_phase_s && one.in_phase_s >= one.idle_s && one.previous.is_empty());
    // Which one it is, it says itself, a moment after the first byte.
    assert!(["idle", "no data"].contains(&&*one.deadline) && one.deadline_in_s > 0.0, "{one:?}");
    let [inner] = &world.inner.connections()[..] else { panic!("one connection") };
    assert_eq!(inner.previous, std::slice::from_ref(&one.id));
    assert_eq!(inner.client, one.client, "the next hop is told who it is");
    assert_ne!(inner.peer, one.peer);
}

#[test]
fn each_filter_lets_through_what_it_says() {
    let world = World::new();
    let _clients = world.clients(3);
    let _silent = TcpStream::connect(world.inner.addr).unwrap();
    world.inner.has(4);
    let all = list(&world, "");
    assert_eq!((all.total, all.matched, all.next), (3, 3, None));
    let client = all.connections[0].client.as_deref().unwrap();
    let (target, listener) = (world.inner.addr, world.outer.addr);
    for (query, matched) in [
        ("phase=relay".to_owned(), 3),
        ("phase=dial".to_owned(), 0),
        ("route=web".to_owned(), 3),
        ("client=127.0.0.0/8".to_owned(), 3),
        ("client=10.0.0.1".to_owned(), 0),
        (format!("client={}", client.split(':').next().unwrap()), 3),
        (format!("target={target}"), 3),
        ("pool=chain".to_owned(), 3),
        ("pool=direct".to_owned(), 0),
        (format!("listener={listener}"), 3),
        ("server_name=example.com".to_owned(), 0),
        ("previous=5f3a9c1e-1".to_owned(), 0),
        ("min_age_s=0".to_owned(), 3),
        ("min_age_s=1000".to_owned(), 0),
        ("min_idle_s=0.0001&phase=relay".to_owned(), 3),
        ("min_idle_s=1000".to_owned(), 0),
    ] {
        let found = list(&world, &format!("?{query}"));
        assert_eq!(
            (found.total, found.matched, found.connections.len() as u64),
            (3, matched, matched),
            "{query}"
        );
    }
    let at = world.inner.at();
    let of_hop = |query: &str| at.get(&format!("/v1/connections?{query}")).says::<Connections>();
    let outer_id = &all.connections[0].id;
    let joined = of_hop(&format!("previous={outer_id}"));
    assert_eq!((joined.matched, &joined.connections[0].previous), (1, &vec![outer_id.clone()]));
    assert_eq!(of_hop("phase=header").connections[0].client, None, "nobody has said who it is");
    assert_eq!(of_hop("phase=header").connections[0].state, "CONNECTING");
}

#[test]
fn a_list_is_sorted_and_comes_in_pages() {
    let world = World::new();
    let mut clients = world.clients(5);
    clients[2].write_all(&[0; 1000]).unwrap();
    eventually("the bytes have moved", || {
        list(&world, "?sort=bytes").connections[0].from_backend_bytes == 1005
    });
    let by_age = list(&world, "");
    let ages: Vec<f64> = by_age.connections.iter().map(|one| one.age_s).collect();
    assert!(ages.is_sorted_by(|a, b| a >= b), "{ages:?}");
    let busiest = &list(&world, "?sort=bytes&limit=1").connections[0];
    let local = clients[2].local_addr().unwrap().to_string();
    assert_eq!(busiest.client.as_deref(), Some(&*local));
    assert_eq!(list(&world, "?sort=idle&reverse=true&limit=1").connections[0].id, busiest.id);
    for sort in ["age", "idle", "bytes", "in_phase", "id"] {
        let (there, back) =
            (list(&world, &format!("?sort={sort}")), list(&world, &format!("?sort={sort}&reverse=true")));
        let mut back = ids(&back);
        back.reverse();
        assert_eq!(ids(&there), back, "{sort}");
    }
    let pages: Vec<Connections> =
        [0, 2, 4].map(|offset| list(&world, &format!("?sort=id&limit=2&offset={offset}"))).into();
    assert_eq!(pages.iter().map(|page| page.next).collect::<Vec<_>>(), [Some(2), Some(4), None]);
    let paged: Vec<_> = pages.iter().flat_map(ids).collect();
    assert_eq!(paged, ids(&list(&world, "?sort=id")));
    let beyond = list(&world, "?offset=99");
    assert_eq!((beyond.matched, beyond.connections.len(), beyond.next), (5, 0, None));
}

#[test]
fn what_makes_no_sense_is_refused_with_what_would() {
    let world = World::new();
    for (query, says) in [
        (
            "phase=Relay",
            "`phase` is \"Relay\", expected one of header, peek, tls, dial, idle, busy, relay, drain",
        ),
        ("sort=size", "`sort` is \"size\", expected age, idle, bytes, in_phase or id"),
        ("limit=0", "`limit` is 0, expected a whole number from 1 to 10000"),
        ("limit=10001", "`limit` is 10001, expected a whole number from 1 to 10000"),
        ("limit=ten", "`limit` is \"ten\", expected a whole number from 1 to 10000"),
        ("offset=-1", "`offset` is \"-1\", expected a whole number"),
        ("reverse=yes", "`reverse` is \"yes\", expected true or false"),
        ("min_age_s=old", "`min_age_s` is \"old\", expected a number of seconds such as 30 or 0.5"),
        ("min_idle_s=-1", "`min_idle_s` is -1, expected a number of seconds such as 30 or 0.5"),
        ("pool=chian", "there is no pool \"chian\"; did you mean \"chain\"? There are: chain, direct"),
        ("phase=dial&phase=relay", "`phase` is given twice"),
        ("rout=web", "`rout` is no parameter that is known here: phase, route, client"),
        ("client=example.com", "`client` is to be an address, or a network such as 10.0.0.0/8"),
    ] {
        let detail = world.at().get(&format!("/v1/connections?{query}")).problem(400);
        assert!(detail.starts_with(says), "{query}: {detail}");
    }
}

#[test]
fn nothing_is_never_told_of_what_is_not_there() {
    let world = World::new();
    let _client = world.client();
    let (at, here, there) = (world.at(), world.outer.addr, world.inner.addr);
    let port = there.port();
    for (key, name, says) in [
        ("route", "wep", "there is no route \"wep\"; did you mean \"web\"? There are: web".to_owned()),
        ("route", "nosuch", "there is no route \"nosuch\"; there are: web".to_owned()),
        (
            "target",
            &*format!("10.1.2.3:{port}"),
            format!("there is no target \"10.1.2.3:{port}\"; did you mean \"{there}\"? There are: {there}"),
        ),
        ("target", "a.example:1", format!("there is no target \"a.example:1\"; there are: {there}")),
        (
            "listener",
            &*format!("*:{}", here.port()),
            format!("there is no listener \"*:{}\"; did you mean \"{here}\"? There are: {here}", here.port()),
        ),
        ("listener", "", format!("there is no listener \"\"; there are: {here}")),
    ] {
        assert_eq!(at.get(&format!("/v1/connections?{key}={name}")).problem(400), says);
        for dry_run in [true, false] {
            let body = format!("{{\"filter\": {{\"{key}\": \"{name}\"}}, \"dry_run\": {dry_run}}}");
            assert_eq!(at.post("/v1/connections/kill", &body).problem(400), says, "with the same words");
        }
        let drain = format!("{{\"kind\": \"{key}\", \"name\": \"{name}\"}}");
        assert_eq!(at.post("/v1/drain", &drain).problem(404), says);
    }
    assert_eq!(world.outer.status().connections, 1);
}

#[test]
fn what_a_reload_has_removed_is_there_for_as_long_as_it_has_connections() {
    let world = World::new();
    let client = world.client();
    let file = world.dir.path().join("outer.toml");
    let elsewhere = crate::world::nobody();
    let text = std::fs::read_to_string(&file).unwrap().replace("name = \"web\"", "name = \"shop\"");
    std::fs::write(&file, text.replace(&world.inner.addr.to_string(), &elsewhere.to_string())).unwrap();
    assert!(world.at().post("/v1/reload", "").says::<Reload>().taken);
    let target = world.inner.addr;
    let of_old = ["route=web".to_owned(), format!("target={target}")];
    let of_new = ["route=shop".to_owned(), format!("target={elsewhere}")];
    for (query, matched) in of_old.iter().map(|query| (query, 1)).chain(of_new.iter().map(|query| (query, 0)))
    {
        assert_eq!(list(&world, &format!("?{query}")).matched, matched, "{query}");
    }
    drop(client);
    world.outer.has(0);
    let gone = world.at().get("/v1/connections?route=web").problem(400);
    assert_eq!(gone, "there is no route \"web\"; there are: shop");
    let gone = world.at().get(&format!("/v1/connections?target={target}")).problem(400);
    assert!(gone.starts_with(&format!("there is no target \"{target}\"; ")), "{gone}");
}

#[test]
fn a_target_on_whatever_port_is_named_as_it_is_configured_or_as_its_connections_show_it() {
    // The proxy is to have the same port as the backend, which a connection of another test may have.
    let (_backend, port) = (0..100)
        .find_map(|_| {
            let backend = TcpListener::bind("127.0.0.9:0").unwrap();
            let port = backend.local_addr().unwrap().port();
            TcpListener::bind(("127.0.0.1", port)).ok().map(|_| (backend, port))
        })
        .unwrap();
    let route = format!(
        "[[listeners]]\nports = [{port}]\nbind = [\"127.0.0.1\"]\n[[routes]]\nname = \"same\"\n\
         match = {{ ports = [{port}] }}\naction = {{ forward = [\"127.0.0.9:preserve\"] }}\n"
    );
    let world = World::with("", &route);
    let named = ["127.0.0.9:preserve".to_owned(), format!("127.0.0.9:{port}")];
    let matched = |name: &str| list(&world, &format!("?target={name}")).matched;
    assert_eq!(named.each_ref().map(|name| matched(name)), [0, 0], "it is there, and has none");
    let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    world.outer.has(1);
    eventually("its target is known", || named.iter().all(|name| matched(name) == 1));
    world.at().get("/v1/connections?target=127.0.0.9:1").problem(400);
}

#[test]
fn one_in_full_has_both_its_sockets() {
    let world = World::new();
    let client = world.client();
    let id = world.outer.connections()[0].id.clone();
    let full: ConnectionInFull = world.at().get(&format!("/v1/connections/{id}")).says();
    assert_eq!(full.connection.id, id);
    let (accepted, dialled) = (full.client_socket.unwrap(), full.backend_socket.unwrap());
    assert_eq!(accepted.local, Some(world.outer.addr.to_string()));
    assert_eq!(accepted.remote, Some(client.local_addr().unwrap().to_string()));
    assert_eq!(dialled.remote, Some(world.inner.addr.to_string()));
    let (to_client, to_backend) = (accepted.tcp.unwrap(), dialled.tcp.unwrap());
    assert_eq!((&*to_client.state, &*to_backend.state), ("ESTAB", "ESTAB"));
    assert_eq!((to_client.received_bytes, to_client.unread_bytes, to_client.unsent_bytes), (5, 0, 0));
    assert!(to_client.rto_s > 0.0 && to_client.mss_bytes > 0 && to_client.congestion_window > 0);
    assert_eq!(to_client.retransmits_total, 0);
}

#[test]
fn bytes_that_a_client_does_not_take_are_seen_in_its_socket() {
    let world = World::new();
    let mut client = world.client();
    client.set_nonblocking(true).unwrap();
    let id = world.outer.connections()[0].id.clone();
    let stuck = || {
        // It sends and never reads what comes back, until every buffer on the way is full.
        while client.write(&[0; 65_536]).is_ok() {}
        let full: ConnectionInFull = world.at().get(&format!("/v1/connections/{id}")).says();
        let (accepted, dialled) =
            (full.client_socket.unwrap().tcp.unwrap(), full.backend_socket.unwrap().tcp.unwrap());
        accepted.unsent_bytes > 0 && accepted.unread_bytes > 0 && dialled.unread_bytes > 0
    };
    eventually("its socket fills", stuck);
}

#[test]
fn an_id_that_is_not_there_is_said_to_have_ended() {
    let world = World::new();
    let id = {
        let _client = world.client();
        world.outer.connections()[0].id.clone()
    };
    world.outer.has(0);
    for path in [format!("/v1/connections/{id}"), format!("/v1/connections/{id}/trace")] {
        let detail = world.at().get(&path).problem(404);
        assert!(detail.contains(&id) && detail.contains("its line is in the access log"), "{detail}");
    }
    let detail = world.at().get("/v1/connections/1").problem(400);
    assert_eq!(detail, "`1` is not the id of a connection, which looks like `5f3a9c1e-1a`");
}

#[test]
fn paths_and_methods_that_are_not_there_are_problems_too() {
    let at = World::new();
    let at = at.at();
    assert_eq!(
        at.get("/v2/status").problem(404),
        "there is no /v2/status: /v1/openapi.json says what there is"
    );
    let wrong = at.post("/v1/status", "");
    assert!(wrong.problem(405).starts_with("/v1/status does not take POST"));
    assert_eq!(wrong.headers["allow"], "GET,HEAD");
    let head = at.ask("HEAD", "/v1/status", &[], "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[test]
fn groups_are_of_what_the_filter_lets_through() {
    let world = World::new();
    let clients = world.clients(3);
    let groups = |query: &str| -> ConnectionGroups {
        let groups: ConnectionGroups = world.at().get(&format!("/v1/connections/groups{query}")).says();
        assert_eq!(groups.groups_total, groups.groups.len() as u64, "{groups:?}");
        groups
    };
    for (query, name) in [
        ("", "web".to_owned()),
        ("?by=route", "web".to_owned()),
        ("?by=target", world.inner.addr.to_string()),
        ("?by=client", "127.0.0.1".to_owned()),
        ("?by=phase&route=web", "relay".to_owned()),
    ] {
        let told = groups(query);
        let [group] = &told.groups[..] else { panic!("{query}: {told:?}") };
        assert_eq!((group.name.as_deref(), group.connections), (Some(&*name), 3), "{query}");
        assert_eq!((group.from_client_bytes, group.from_backend_bytes), (15, 15), "{query}");
    }
    assert_eq!(groups("?by=server_name").groups[0].name, None, "they have none");
    let one = clients[0].local_addr().unwrap();
    let found = groups(&format!("?search={one}"));
    assert_eq!((found.total, found.matched, found.groups[0].connections), (3, 1, 1));
    for query in ["by=pool", "limit=0", "limit=1001", "sort=age", "phase=x", "search="] {
        world.at().get(&format!("/v1/connections/groups?{query}")).problem(400);
    }
}

#[test]
fn a_hop_says_little_of_itself_and_knows_no_other_unless_it_is_told() {
    let world = World::new();
    let _clients = world.clients(2);
    let hop: Hop = world.at().get("/v1/hop?behind=3").says();
    let direct: Hop = world.at().get("/v1/hop").says();
    assert_eq!((&*hop.name, hop.connections, hop.opened_total, hop.ended_total), ("outer", 2, 2, 0));
    let idle = |hop: &Hop| hop.deadlines.unwrap().idle.most_s.unwrap();
    assert!(idle(&hop) <= idle(&direct), "behind three proxies a built-in deadline is shorter: {hop:?}");
    let chain: Chain = world.at().get("/v1/chain").says();
    assert_eq!((chain.hops.len(), chain.hops[0].connections), (1, Some(2)));
    assert!(chain.not_joined.unwrap().contains("names no other hop"));
    for query in
        ["hop?behind=17", "hop?behind=x", "hop?at=1", "chain?limit=0", "chain?limit=10001", "chain?hops=2"]
    {
        world.at().get(&format!("/v1/{query}")).problem(400);
    }
}
