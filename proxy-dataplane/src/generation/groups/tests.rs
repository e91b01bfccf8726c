//! Named groups over routes and generations.

use proxy_conn::{Opening, Tracker};
use proxy_core::mem::MemNet;
use proxy_core::{BindAddr, PeerAddr, Resolver};
use proxy_route::{Match, RouteSpec, RouteTable};
use proxy_upstream::{GroupOptions, Leaving, MemberOptions, Weight};

use super::*;
use crate::generation::Generation;
use crate::settings::{Action, ListenerConfig, RouteConfig};

fn inner(members: &[(&str, u32)], options: GroupOptions) -> Arc<GroupConfig> {
    let member = |(target, weight): &(&str, u32)| {
        MemberOptions::new(target.parse().unwrap()).weight(Weight::nearest(*weight))
    };
    Arc::new(GroupConfig::new("inner".into(), members.iter().map(member), options))
}

/// A route for each of these ports, to the group.
fn settings(group: &Arc<GroupConfig>, ports: &[u16]) -> Arc<Settings> {
    let listener = |port: &u16| ListenerConfig::on(BindAddr::Ip([127, 0, 0, 1].into()), *port);
    let route = |port: &u16| {
        let name = format!("r{port}");
        let mut route = RouteConfig::forward(&name, []);
        route.action = Action::Group(Arc::clone(group));
        (RouteSpec::new(&*name, Match::on([port.to_string().parse().unwrap()])), route)
    };
    let routes = RouteTable::build(ports.iter().map(route).collect::<Vec<_>>()).unwrap();
    let settings = Settings::new(ports.iter().map(listener).collect(), routes);
    Arc::new(Settings { groups: vec![Arc::clone(group)], ..settings })
}

fn first(settings: Arc<Settings>) -> Generation<MemNet> {
    Generation::new(settings, Tracker::new(1, ()), MemNet::default(), Resolver::fixed([]))
}

fn after(before: &Generation<MemNet>, settings: Arc<Settings>) -> Generation<MemNet> {
    let next = before.after(settings).unwrap();
    next.take_force();
    next
}

const TWO: &[(&str, u32)] = &[("10.0.0.1:1", 1), ("10.0.0.2:1", 1)];

#[tokio::test]
async fn routes_that_use_a_group_share_it_and_its_turn() {
    let proxy = first(settings(&inner(TWO, GroupOptions::default()), &[8000, 8001]));
    let [one, other] = [0, 1].map(|at| &proxy.route(at).unwrap().targets);
    assert!(Arc::ptr_eq(one, other) && Arc::ptr_eq(one, proxy.group("inner").unwrap()));
    let turns = [one, other, one, other].map(|group| group.candidates(1).addresses[0].to_string());
    assert_eq!(turns, ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.1:1", "10.0.0.2:1"]);
    let _open = one.nth(0).unwrap().limit.acquire();
    assert_eq!(other.in_use(), 1);
    assert_eq!(proxy.groups().map(|group| &**group.name()).collect::<Vec<_>>(), ["inner"]);
    assert!(proxy.group("outer").is_none());
}

#[tokio::test]
async fn what_is_counted_outlives_a_reload_whatever_routes_there_are() {
    let before = first(settings(&inner(TWO, GroupOptions::default()), &[8000]));
    let open = before.group("inner").unwrap().nth(1).unwrap().limit.acquire();
    before.group("inner").unwrap().set_weight("10.0.0.2:1", Weight::nearest(7)).unwrap();
    let limited = GroupOptions::default().max_connections_per_member(1);
    let next = after(&before, settings(&inner(&[TWO[1], ("10.0.0.3:1", 1)], limited.clone()), &[8001]));
    let group = next.group("inner").unwrap();
    let known = group.nth(0).unwrap();
    assert_eq!((known.limit.in_use(), known.limit.most(), known.weight().get()), (1, 1, 7));
    let gone = before.group("inner").unwrap().nth(0).unwrap();
    assert!(known.is_in_force() && group.nth(1).unwrap().is_in_force() && !gone.is_in_force());
    // The group itself is removed, and comes back.
    let mut without = Settings::new(Vec::new(), RouteTable::build([]).unwrap());
    without.groups = Vec::new();
    let between = after(&next, Arc::new(without));
    drop((before, next));
    between.forget_names();
    let names = between.names().0;
    let again = after(&between, settings(&inner(TWO, GroupOptions::default()), &[8000]));
    assert_eq!(again.group("inner").unwrap().in_use(), 1);
    drop((open, again));
    between.forget_names();
    assert_eq!(between.names().0, names - 2, "nobody has the group any more, nor its member");
}

#[tokio::test]
async fn what_is_prepared_and_not_put_in_force_changes_nothing() {
    let before = first(settings(&inner(TWO, GroupOptions::default()), &[8000]));
    let options = GroupOptions::default().max_connections_per_member(1);
    let prepared =
        before.after(settings(&inner(&[("10.0.0.1:1", 9), ("10.0.0.9:1", 1)], options), &[8000])).unwrap();
    let member = before.group("inner").unwrap().nth(0).unwrap();
    assert_eq!((member.weight().get(), member.limit.bound()), (1, None));
    assert!(before.group("inner").unwrap().members().iter().all(|member| member.is_in_force()));
    assert!(!prepared.group("inner").unwrap().nth(1).unwrap().is_in_force());
}

/// Both targets read the same, and are members of different groups.
#[tokio::test]
async fn connections_of_a_removed_member_are_found_and_no_others() {
    let before = first(settings(
        &inner(&[("10.0.0.1:1", 1), ("10.0.0.2:preserve", 1)], GroupOptions::default()),
        &[8000],
    ));
    let peer = PeerAddr::new(([10, 0, 0, 1], 1).into());
    let connect = |nth: usize| {
        let conn = before.tracker.open(0, Opening::new(peer, "l"));
        let candidates = before.group("inner").unwrap().candidates(8000);
        conn.learn(|facts| {
            facts.route = Some("r8000".into());
            facts.target = candidates.name(0);
        });
        assert!(candidates.name(0).unwrap().starts_with(["10.0.0.1:1", "10.0.0.2:8000"][nth]));
        conn
    };
    let conns = [connect(0), connect(1)];
    let elsewhere = before.tracker.open(0, Opening::new(peer, "l"));
    elsewhere.learn(|facts| {
        facts.route = Some("other".into());
        facts.target = Some("10.0.0.2:8000".into());
    });
    let options = GroupOptions::default().on_removed(Leaving::Kill);
    let next = after(&before, settings(&inner(&[("10.0.0.3:1", 1)], options), &[8000]));
    let removed = before.removed_by(&next);
    let found = removed.iter().map(|one| {
        assert_eq!((&*one.group, one.on_removed), ("inner", Leaving::Kill));
        let ids = one.of.connections(&before.tracker).iter().map(proxy_conn::Tracked::id).collect::<Vec<_>>();
        (one.of.member().name.to_string(), ids)
    });
    assert_eq!(
        found.collect::<Vec<_>>(),
        [
            ("10.0.0.1:1".to_owned(), vec![conns[0].id()]),
            ("10.0.0.2:preserve".to_owned(), vec![conns[1].id()])
        ]
    );
    assert!(next.removed_by(&next).is_empty());
}
