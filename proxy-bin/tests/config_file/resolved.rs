//! What a good file becomes: every default, every layer.

use insta::{assert_debug_snapshot, assert_snapshot};
use proxy_bin::config::{Action, NextHop, SendProxy, UniqueId, UnknownClient};
use proxy_core::Bound;

use crate::{ROUTE, good};

#[test]
fn the_smallest_file_has_every_default() {
    let mut config = good(ROUTE);
    assert!((1..=256).contains(&config.settings.workers.get()), "one for each core");
    std::sync::Arc::get_mut(&mut config.settings).unwrap().workers = proxy_bin::config::Whole::nearest(1);
    assert_debug_snapshot!(config);
}

#[test]
fn the_nearest_layer_wins() {
    let config = good(&format!(
        "[timeouts]\nconnection_timeout = \"9s\"\ninactivity_timeout = \"9m\"\n[keep_alive]\nidle = \"9s\"\n{ROUTE}{}",
        "timeouts = { connection_timeout = \"5s\" }\nkeep_alive = { interval = \"5s\" }\n"
    ));
    let route = config.settings.routes.route(0).unwrap().payload;
    assert_eq!(config.settings.deadlines.connection_timeout, Bound::secs(9));
    assert_eq!(route.deadlines.connection_timeout, Bound::secs(5));
    assert_eq!(route.deadlines.inactivity_timeout, Bound::secs(540));
    assert_eq!(route.deadlines.half_closed_timeout, Bound::secs(30));
    assert_eq!((route.keep_alive.idle, route.keep_alive.interval), (Bound::secs(9), Bound::secs(5)));
    assert_eq!(
        (config.settings.keep_alive.idle, config.settings.keep_alive.interval),
        (Bound::secs(9), Bound::secs(15))
    );
}

#[test]
fn every_key_together() {
    let config = good(include_str!("every_key.toml"));
    assert!(config.warnings.is_empty());
    let route = config.settings.routes.route(0).unwrap().payload;
    let SendProxy::V2(header) = route.send_proxy else { panic!("it sends version 2") };
    assert!(header.crc32c && header.pass_unknown_tlvs);
    assert_eq!((header.next_hop, header.unique_id), (NextHop::Smartproxy, UniqueId::Trail));
    assert_eq!(header.max_header, 4096);
    let mail = config.settings.routes.route(1).unwrap().payload;
    assert_eq!(mail.send_proxy, SendProxy::V1 { unknown_client: UnknownClient::OwnAddress });
    let targets: Vec<String> = route.action.targets().iter().map(ToString::to_string).collect();
    assert_snapshot!(targets.join("\n"), @"
127.0.0.1:3000
[::1]:3000
backend.internal:3000
unix:/run/app.sock
10.0.0.1:preserve
");
}

#[test]
fn targets_keep_or_replace_the_port() {
    let config = good(include_str!("every_key.toml"));
    let targets = config.settings.routes.route(0).unwrap().payload.action.targets();
    let on = |port| targets.iter().map(|target| target.address(port).to_string()).collect::<Vec<_>>();
    let (at_443, at_8005) = (on(443), on(8005));
    assert_eq!((&*at_443[0], &*at_443[4]), ("127.0.0.1:3000", "10.0.0.1:443"));
    assert_eq!((&*at_8005[0], &*at_8005[4]), ("127.0.0.1:3000", "10.0.0.1:8005"));
    assert!(Action::Refuse.targets().is_empty());
}

#[test]
fn what_routes_have_in_common_is_kept_once() {
    let route = |n: u16, more: &str| {
        format!(
            "[[routes]]\nname = \"{n}\"\nmatch = {{ ports = [{n}] }}\naction = {{ forward = [\"db:1\", \"db:2\"] }}\n{more}"
        )
    };
    let file =
        [route(80, ""), route(81, ""), route(82, "pool = \"chain\"\n"), route(83, "pool = \"chain\"\n")];
    let config = good(&file.concat());
    let routes: Vec<_> = config.settings.routes.routes().map(|route| route.payload).collect();
    let targets = |n: usize| routes[n].action.targets().as_ptr();
    assert!((1..4).all(|n| targets(n) == targets(0)));
    let settings =
        |one: usize, other: usize| std::sync::Arc::ptr_eq(&routes[one].settings, &routes[other].settings);
    assert_eq!((settings(0, 1), settings(1, 2), settings(2, 3)), (true, false, true));
    assert!(
        config.settings.routes.routes().all(|route| std::ptr::eq(&*route.spec.name, &*route.payload.name))
    );
}
