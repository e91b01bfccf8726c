//! Groups that have a name: told of member by member, and changed while the proxy runs.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};

use proxy_api::model::{
    Change, ChangeKind, Diff, Drain, Group, Leaving, MemberChange, Reload, Route, Target,
};
use serde_json::{Value, json};

use crate::eventually;
use crate::loopback::echo;
use crate::world::{World, nobody};

/// A world whose outer hop takes its connections to a group of two backends.
struct Pair {
    world: World,
    members: [SocketAddr; 2],
}

impl Pair {
    /// With more lines in the group's table.
    fn new(more: &str) -> Self {
        Self::of(World::new(), more)
    }

    fn of(world: World, more: &str) -> Self {
        let pair = Self { world, members: [echo(), echo()] };
        let reload = pair.reload(&pair.text(&pair.listed(), more));
        assert!(reload.taken, "{reload:?}");
        pair
    }

    fn listed(&self) -> String {
        format!("\"{}\", \"{}\"", self.members[0], self.members[1])
    }

    /// The file, with these members and these lines in the group.
    fn text(&self, members: &str, more: &str) -> String {
        let file = std::fs::read_to_string(self.world.dir.path().join("outer.toml")).unwrap();
        let file = file.split("[groups.pair]").next().unwrap();
        let file = file.replace("send_proxy = \"v2\"", "");
        let listed = format!("[\"{}\"]", self.world.inner.addr);
        format!("{}[groups.pair]\nmembers = [{members}]\n{more}\n", file.replace(&listed, "\"@pair\""))
    }

    fn reload(&self, text: &str) -> Reload {
        std::fs::write(self.world.dir.path().join("outer.toml"), text).unwrap();
        self.world.at().post("/v1/reload", "").says()
    }

    fn group(&self) -> Group {
        let groups: Vec<Group> = self.world.at().get("/v1/groups").says();
        let [group] = groups.as_slice() else { panic!("{groups:?}") };
        group.clone()
    }

    fn member(&self, nth: usize) -> Target {
        let name = self.members[nth].to_string();
        self.group().members.into_iter().find(|member| member.target == name).unwrap()
    }

    /// How many connections each has.
    fn open(&self) -> [u64; 2] {
        [0, 1].map(|nth| self.member(nth).connections.used)
    }

    fn change(&self, what: &str, request: &Value) -> MemberChange {
        self.world.at().post(&format!("/v1/targets/{what}"), &request.to_string()).says()
    }

    fn weigh(&self, nth: usize, weight: u32) -> MemberChange {
        let target = self.members[nth].to_string();
        self.change("weight", &json!({ "group": "pair", "target": target, "weight": weight }))
    }

    /// A client, for as long as it is on this member.
    fn is_cut(client: &mut TcpStream) -> bool {
        client.set_nonblocking(true).unwrap();
        match client.read(&mut [0; 1]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }
}

#[test]
fn a_group_is_told_of_member_by_member() {
    let pair = Pair::new("max_connections_per_member = 9");
    let _clients = pair.world.clients(6);
    assert_eq!(pair.open(), [3, 3]);
    let group = pair.group();
    assert_eq!((&*group.name, &*group.balance, group.routes), ("pair", "round_robin", 1));
    assert_eq!(group.connections, 6);
    let first = &group.members[0];
    assert_eq!((&*first.state, first.why.as_ref(), first.weight), ("up", None, 1));
    assert_eq!((first.share_percent, first.by_hand, first.backup, first.priority), (100, false, false, 0));
    assert_eq!((first.connections.most, first.dialled_total), (Some(9), 3));
    assert!(first.dial_median_s.is_some_and(|median| median > 0.0));
    let routes: Vec<Route> = pair.world.at().get("/v1/routes").says();
    assert_eq!((routes[0].group.as_deref(), routes[0].targets.len()), (Some("pair"), 0));
    let targets: Vec<Target> = pair.world.at().get("/v1/targets").says();
    assert_eq!(targets.iter().map(|target| target.group.as_deref()).collect::<Vec<_>>(), [Some("pair"); 2]);
    let limits: Value = pair.world.at().get("/v1/limits").json();
    let named = format!("target {} of group pair", pair.members[0]);
    assert!(limits.as_array().unwrap().iter().any(|limit| limit["what"] == *named), "{limits}");
    let metrics = pair.world.at().get("/metrics").body;
    for (nth, member) in pair.members.iter().enumerate() {
        for line in [
            format!("smartproxy_group_member_up{{group=\"pair\",target=\"{member}\"}} 1"),
            format!("smartproxy_group_member_state{{group=\"pair\",target=\"{member}\"}} 0"),
            format!("smartproxy_group_member_connections{{group=\"pair\",target=\"{member}\"}} 3"),
            format!("smartproxy_group_member_weight{{group=\"pair\",target=\"{member}\"}} 1"),
            format!("smartproxy_dial_seconds_count{{route=\"@pair\",target=\"{member}\"}} 3"),
            format!("smartproxy_breaker_state{{route=\"@pair\",target=\"{member}\"}} 0"),
        ] {
            assert!(metrics.contains(&format!("\n{line}\n")), "{nth}: {line} in\n{metrics}");
        }
    }
}

#[test]
fn a_weight_outlives_reloads_until_the_file_gives_another_one() {
    let pair = Pair::new("");
    let set = pair.weigh(0, 0);
    assert!(set.changed && set.member.as_ref().is_some_and(|member| member.by_hand && member.weight == 0));
    let _clients = pair.world.clients(4);
    assert_eq!(pair.open(), [0, 4]);
    assert!(!pair.weigh(0, 0).changed, "it was so before");
    // A reload that says nothing else of it.
    assert!(pair.reload(&pair.text(&pair.listed(), "slow_start = \"1s\"")).taken);
    assert_eq!((pair.member(0).weight, pair.member(0).by_hand), (0, true));
    // One that does.
    let members = format!("{{ to = \"{}\", weight = 3 }}, \"{}\"", pair.members[0], pair.members[1]);
    assert!(pair.reload(&pair.text(&members, "")).taken);
    assert_eq!((pair.member(0).weight, pair.member(0).by_hand), (3, false));
    let _more = pair.world.clients(4);
    assert_eq!(pair.open(), [3, 5]);
}

#[test]
fn a_member_is_found_without_its_group_where_only_one_has_it() {
    let pair = Pair::new("");
    let target = pair.members[1].to_string();
    let set = pair.change("weight", &json!({ "target": target, "weight": 7 }));
    assert_eq!((&*set.group, set.member.unwrap().weight), ("pair", 7));
    let spare = format!("[groups.spare]\nmembers = [\"{target}\"]\n");
    assert!(pair.reload(&pair.text(&pair.listed(), &spare)).taken);
    let request = json!({ "target": target, "weight": 8 }).to_string();
    let detail = pair.world.at().post("/v1/targets/weight", &request).problem(400);
    assert!(detail.contains("several groups") && detail.contains("pair, spare"), "{detail}");
}

#[test]
fn one_that_is_added_gets_its_share_and_one_that_is_removed_no_more() {
    let pair = Pair::new("");
    let third = echo().to_string();
    let add = json!({ "group": "pair", "target": third, "weight": 2 });
    assert!(pair.change("add", &add).changed);
    assert!(!pair.change("add", &add).changed, "it is there");
    let _clients = pair.world.clients(8);
    let used = |target: &str| {
        let members = pair.group().members;
        members.into_iter().find(|member| member.target == target).map_or(0, |member| member.connections.used)
    };
    assert_eq!((pair.open(), used(&third)), ([2, 2], 4));
    let remove = json!({ "group": "pair", "target": third });
    let removed = pair.change("remove", &remove);
    assert_eq!((removed.member, removed.leaving), (None, Some(Leaving::Keep)));
    let gone = pair.group().members.into_iter().find(|member| member.target == third).unwrap();
    assert_eq!((&*gone.state, gone.connections.used), ("removed", 4), "they go on");
    let _more = pair.world.clients(4);
    assert_eq!((pair.open(), used(&third)), ([4, 4], 4));
    let detail = pair.world.at().post("/v1/targets/remove", &remove.to_string()).problem(404);
    assert!(detail.contains("no member") && detail.contains(&pair.members[0].to_string()), "{detail}");
}

#[test]
fn a_reload_says_who_the_members_are_and_what_it_takes_back() {
    let pair = Pair::new("on_removed = \"kill\"");
    let third = echo().to_string();
    pair.change("add", &json!({ "group": "pair", "target": third }));
    pair.change("remove", &json!({ "group": "pair", "target": pair.members[0].to_string() }));
    let _clients = pair.world.clients(2);
    let reload = pair.reload(&pair.text(&pair.listed(), "on_removed = \"kill\""));
    let [added, removed] = reload.warnings.as_slice() else { panic!("{reload:?}") };
    let told = [added, removed].map(String::as_str);
    assert!(
        told.iter().any(|told| told.starts_with(&third) && told.contains("is no member any more")),
        "{told:?}"
    );
    let first = pair.members[0].to_string();
    assert!(
        told.iter().any(|told| told.starts_with(&first) && told.contains("is a member again")),
        "{told:?}"
    );
    let members =
        || -> Vec<String> { pair.group().members.into_iter().map(|member| member.target).collect() };
    eventually("the one that was added is forgotten", || {
        members() == pair.members.map(|member| member.to_string())
    });
    // Who was on the one that was added is ended, as the group says of those that are removed.
    pair.world.outer.has(1);
}

#[test]
fn those_of_one_that_is_removed_are_ended_where_that_is_asked_for() {
    let pair = Pair::new("on_removed = \"drain\"");
    let mut clients = pair.world.clients(4);
    let remove = json!({ "group": "pair", "target": pair.members[0].to_string(), "leaving": "kill" });
    assert_eq!(pair.change("remove", &remove).leaving, Some(Leaving::Kill));
    pair.world.outer.has(2);
    assert_eq!(pair.world.outer.status().ended_total["drained"], 2);
    eventually("two clients are told", || {
        clients.iter_mut().filter_map(|client| Pair::is_cut(client).then_some(())).count() == 2
    });
    assert_eq!(pair.member(1).connections.used, 2);
    let detail = |request: &Value| pair.world.at().post("/v1/targets/remove", &request.to_string());
    let last = json!({ "group": "pair", "target": pair.members[1].to_string() });
    assert!(detail(&last).problem(409).contains("the only member"));
}

#[test]
fn those_of_one_that_a_reload_removes_have_a_time_to_finish() {
    let world = World::with("graceful_shutdown_timeout = \"300ms\"", "");
    let pair = Pair::of(world, "on_removed = \"drain\"");
    let _clients = pair.world.clients(4);
    let one = format!("\"{}\"", pair.members[1]);
    let reload = pair.reload(&pair.text(&one, "on_removed = \"drain\""));
    let what = format!("member {} of group pair", pair.members[0]);
    let expected =
        Change { kind: ChangeKind::Removed, what, from: Some("{}".to_owned()), to: None, connections: 2 };
    assert_eq!(reload.changes, [expected]);
    pair.world.outer.has(2);
    assert_eq!(pair.world.outer.status().ended_total["drained"], 2);
    eventually("it is forgotten", || pair.group().members.len() == 1);
}

#[test]
fn a_target_that_is_drained_is_passed_over_in_a_group_too() {
    let pair = Pair::new("");
    let name = pair.members[0].to_string();
    let request = json!({ "kind": "target", "name": name });
    let _: Drain = pair.world.at().post("/v1/drain", &request.to_string()).says();
    assert_eq!((&*pair.member(0).state, pair.member(0).draining), ("draining", true));
    let _clients = pair.world.clients(4);
    assert_eq!(pair.open(), [0, 4]);
    // Over a reload, and where its group is new.
    assert!(pair.reload(&pair.text(&pair.listed(), "slow_start = \"1s\"")).taken);
    assert!(pair.member(0).draining);
    let undo = json!({ "kind": "target", "name": name, "undo": true });
    let _: Drain = pair.world.at().post("/v1/drain", &undo.to_string()).says();
    assert!(!pair.member(0).draining);
}

#[test]
fn what_a_configuration_changes_of_a_group_is_told_member_by_member() {
    let pair = Pair::new("");
    let third = "10.9.9.9:1";
    let members =
        format!("{{ to = \"{}\", weight = 3 }}, {{ to = \"{third}\", backup = true }}", pair.members[0]);
    let text = pair.text(&members, "balance = \"p2c\"");
    let diff: Diff = pair.world.at().ask("POST", "/v1/config/diff", &[], &text).says();
    let told = |change: &Change| {
        let or = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        format!("{:?} {}: {} -> {}", change.kind, change.what, or(&change.from), or(&change.to))
    };
    let mut changes: Vec<String> = diff.changes.iter().map(told).collect();
    changes.sort();
    let [first, second] = pair.members;
    let mut expected = [
        "Added group pair: balance: - -> \"p2c\"".to_owned(),
        format!("Added member {first} of group pair: weight: - -> 3"),
        format!("Added member {third} of group pair: - -> {{ backup = true }}"),
        format!("Removed member {second} of group pair: {{}} -> -"),
    ];
    expected.sort();
    assert_eq!(changes, expected);
}

#[test]
fn what_cannot_be_done_says_what_there_is() {
    let pair = Pair::new("");
    let first = pair.members[0].to_string();
    let refused = |what: &str, request: Value, status: u16| {
        pair.world.at().post(&format!("/v1/targets/{what}"), &request.to_string()).problem(status)
    };
    let weight = |group: &str, target: &str, weight: u32| json!({ "group": group, "target": target, "weight": weight });
    assert!(refused("weight", weight("pai", &first, 1), 404).contains("did you mean \"pair\"?"));
    assert!(
        refused("weight", weight("pair", "10.0.0.1:1", 1), 404)
            .contains("in group \"pair\" there is no member")
    );
    assert!(
        refused("weight", json!({ "target": "10.0.0.1:1", "weight": 1 }), 404).contains("there is no target")
    );
    assert!(refused("weight", weight("pair", &first, 257), 400).contains("from 0 to 256"));
    assert!(refused("add", json!({ "group": "pair", "target": "10.0.0.1" }), 400).contains("lacks a port"));
    let other = json!({ "group": "pair", "target": first, "weight": 5 });
    assert!(refused("add", other, 409).contains("is a member of group \"pair\" already"));
    assert_eq!(pair.open(), [0, 0]);
    assert!(pair.group().members.iter().all(|member| member.weight == 1 && !member.by_hand));
}

#[test]
fn a_member_that_is_down_is_told_with_why_and_since_when() {
    let pair = Pair::new("");
    let gone = nobody().to_string();
    let members = format!("\"{}\", \"{gone}\"", pair.members[0]);
    let text = pair.text(&members, "check = { kind = \"connect\", interval = \"100ms\" }");
    assert!(pair.reload(&text).taken);
    let member = || pair.group().members.into_iter().find(|member| member.target == gone).unwrap();
    eventually("its check has failed often enough", || member().state == "down");
    let down = member();
    assert!(down.why.as_ref().is_some_and(|why| why.contains("refused")), "{down:?}");
    assert!(down.since_s.is_some() && down.checks_failed_total > 0, "{down:?}");
    let group = pair.group();
    assert_eq!((group.members_up, group.members_in_all), (1, 2));
    let metrics = pair.world.at().get("/metrics").body;
    for line in [
        format!("smartproxy_group_member_up{{group=\"pair\",target=\"{gone}\"}} 0"),
        format!("smartproxy_group_member_state{{group=\"pair\",target=\"{gone}\"}} 6"),
    ] {
        assert!(metrics.contains(&format!("\n{line}\n")), "{line} in\n{metrics}");
    }
    let _clients = pair.world.clients(3);
    assert_eq!(pair.member(0).connections.used, 3);
}
