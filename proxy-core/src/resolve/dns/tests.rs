//! Look-ups against name servers of the test's own, over UDP and TCP on loopback.

mod name_server;

use std::path::PathBuf;
use std::time::Duration;

use name_server::{NameServer, Says};
use tokio::time::Instant;

use super::*;
use crate::resolve::{Resolver, ResolverOptions};

/// Files of a test's own, and what is looked up by them.
struct World {
    dir: tempfile::TempDir,
    options: DnsOptions,
}

impl World {
    fn new(servers: &[&NameServer], hosts: &str, resolv_conf: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| -> PathBuf {
            std::fs::write(dir.path().join(name), text).unwrap();
            dir.path().join(name)
        };
        let options = DnsOptions::default()
            .hosts(path("hosts", hosts))
            .resolv_conf(path("resolv.conf", resolv_conf))
            .servers(servers.iter().map(|server| server.addr).collect());
        Self { dir, options }
    }

    fn dns(&self) -> Dns {
        Dns::new(self.options.clone())
    }
}

/// What a name comes to, sorted, and how long that took.
async fn ask(dns: &Dns, name: &str) -> (String, Duration) {
    let began = Instant::now();
    let answer = match dns.here(name) {
        Some(found) => Ok(found),
        None => dns.ask(name).await,
    };
    let text = match answer {
        Ok(found) => {
            let mut addrs: Vec<_> = found.addrs.iter().map(ToString::to_string).collect();
            addrs.sort();
            let half = if found.unheard.is_some() { ", half of it" } else { "" };
            format!("{} for {:?}{half}", addrs.join(" "), found.ttl.unwrap_or_default())
        }
        Err(ResolveError::NoAddress(_)) => "no address".to_owned(),
        Err(ResolveError::Failed(_)) => "failed".to_owned(),
        Err(ResolveError::TimedOut) => "timed out".to_owned(),
    };
    (text, began.elapsed())
}

const SOON: Duration = Duration::from_millis(400);

fn a(addrs: &[&str], ttl: u32) -> Says {
    Says::Addrs(addrs.iter().map(|addr| addr.parse().unwrap()).collect(), ttl)
}

#[tokio::test]
async fn hosts_literals_and_localhost_need_nobody() {
    let server = NameServer::new(|_| Says::Silence).await;
    let world = World::new(&[&server], "10.9.0.4 pinned.test p\n", "search corp.test\n");
    let dns = world.dns();
    for (name, addrs) in [
        ("pinned.test", "10.9.0.4"),
        ("PINNED.test.", "10.9.0.4"),
        ("p", "10.9.0.4"),
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("localhost", "127.0.0.1 ::1"),
        ("a.localhost", "127.0.0.1 ::1"),
    ] {
        let (said, took) = ask(&dns, name).await;
        assert_eq!(said, format!("{addrs} for 5s"), "{name}");
        assert!(took < SOON, "{name}: {took:?}");
    }
    assert_eq!(server.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn both_families_are_asked_for_and_the_shortest_time_to_live_holds() {
    let server = NameServer::new(|ask| match (ask.name, ask.is_v6) {
        ("both.test.", false) => a(&["10.0.0.1", "10.0.0.2"], 60),
        ("both.test.", true) => a(&["fd00::1"], 20),
        ("zero.test.", false) => a(&["10.0.0.3"], 0),
        ("my_app_db_1.", false) => a(&["10.0.0.4"], 600),
        ("alias.test.", false) => Says::Alias("real.test.", 7, vec![[10, 0, 0, 5].into()], 300),
        _ => Says::NoData,
    })
    .await;
    let dns = World::new(&[&server], "", "").dns();
    assert_eq!(ask(&dns, "both.test").await.0, "10.0.0.1 10.0.0.2 fd00::1 for 20s");
    assert_eq!(ask(&dns, "zero.test").await.0, "10.0.0.3 for 1s", "each dial would look it up");
    assert_eq!(ask(&dns, "my_app_db_1").await.0, "10.0.0.4 for 600s");
    assert_eq!(ask(&dns, "alias.test").await.0, "10.0.0.5 for 7s");
}

/// A server that cannot answer says nothing of the name; one that says that there is no such name does.
#[tokio::test]
async fn a_passing_failure_is_never_read_as_gone() {
    let server = NameServer::new(|ask| match (ask.name, ask.is_v6) {
        ("gone.test.", _) => Says::Gone,
        ("servfail.test.", false) | ("half.test.", true) => Says::ServFail,
        ("refused.test.", false) => Says::Refused,
        ("silent.test.", false) => Says::Silence,
        ("truncated.test.", false) => Says::Truncated,
        ("half.test.", false) => a(&["10.0.0.1"], 60),
        _ => Says::NoData,
    })
    .await;
    let dns = World::new(&[&server], "", "options timeout:1\n").dns();
    for (name, said) in [
        ("gone.test", "no address"),
        ("empty.test", "no address"),
        ("servfail.test", "failed"),
        ("refused.test", "failed"),
        ("silent.test", "failed"),
        ("truncated.test", "failed"),
        ("half.test", "10.0.0.1 for 5s, half of it"),
        ("a..b", "no address"),
    ] {
        assert_eq!(ask(&dns, name).await.0, said, "{name}");
    }
}

#[tokio::test]
async fn a_family_that_is_not_answered_holds_up_nobody() {
    let server = NameServer::new(|ask| match (ask.name, ask.is_v6) {
        ("v4.test." | "late.test.", false) => a(&["10.0.0.1"], 60),
        ("v4.test.", true) => Says::Silence,
        ("late.test.", true) => Says::Late(Duration::from_millis(20), Box::new(a(&["fd00::1"], 60))),
        _ => Says::NoData,
    })
    .await;
    let dns = World::new(&[&server], "", "").dns();
    let (said, took) = ask(&dns, "v4.test").await;
    assert_eq!(said, "10.0.0.1 for 5s, half of it");
    assert!(took < SOON, "{took:?}");
    assert_eq!(ask(&dns, "late.test").await.0, "10.0.0.1 fd00::1 for 60s");
    let dns = World::new(&[&server], "", "options no-aaaa\n").dns();
    server.forget();
    assert_eq!(ask(&dns, "v4.test").await.0, "10.0.0.1 for 60s");
    assert_eq!(server.asked(), ["v4.test. A"]);
}

/// What hickory does not do by itself: the next server where the first cannot, or does not answer.
#[tokio::test]
async fn the_next_server_is_asked_where_the_first_fails_and_beside_one_that_is_slow() {
    let good = NameServer::new(|ask| if ask.is_v6 { Says::NoData } else { a(&["10.0.0.1"], 60) }).await;
    for (fails, soon) in [(Says::ServFail, true), (Says::Refused, true), (Says::Silence, false)] {
        let said = fails.clone();
        let bad = NameServer::new(move |_| said.clone()).await;
        let dns = World::new(&[&bad, &good], "", "").dns();
        let (answer, took) = ask(&dns, "a.test").await;
        assert_eq!(answer, "10.0.0.1 for 60s", "{fails:?}");
        assert!(took < if soon { SOON } else { Duration::from_secs(1) }, "{fails:?}: {took:?}");
        // From then on it comes last.
        bad.forget();
        let (answer, took) = ask(&dns, "b.test").await;
        assert_eq!((answer.as_str(), bad.asked().len()), ("10.0.0.1 for 60s", 0), "{fails:?}");
        assert!(took < SOON, "{fails:?}: {took:?}");
    }
    let dead = NameServer::closed();
    let dns = World::new(&[&dead, &good], "", "").dns();
    assert_eq!(ask(&dns, "a.test").await.0, "10.0.0.1 for 60s");
}

#[tokio::test]
async fn the_search_list_goes_on_where_a_name_is_not_and_never_takes_a_failure_for_that() {
    let server = NameServer::new(|ask| match (ask.name, ask.is_v6) {
        ("db.corp.test.", false) => a(&["10.0.0.1"], 60),
        ("www.", false) => a(&["10.0.0.2"], 60),
        ("flaky.corp.test.", _) => Says::ServFail,
        _ => Says::Gone,
    })
    .await;
    let dns = World::new(&[&server], "", "search corp.test\n").dns();
    assert_eq!(ask(&dns, "db").await.0, "10.0.0.1 for 60s");
    assert_eq!(ask(&dns, "www").await.0, "10.0.0.2 for 60s");
    assert_eq!(ask(&dns, "nowhere").await.0, "no address");
    assert_eq!(ask(&dns, "flaky").await.0, "failed");
}

#[tokio::test]
async fn large_answers_come_whole_and_a_server_that_knows_no_edns_is_asked_without() {
    let many: Vec<IpAddr> = (0..200).map(|n| IpAddr::from([10, 0, 1, n])).collect();
    let server = NameServer::new(move |ask| match (ask.name, ask.is_v6) {
        // Too large for UDP: asked for again over TCP.
        ("many.test.", false) if ask.is_tcp => Says::Addrs(many.clone(), 60),
        ("many.test.", false) => Says::Truncated,
        ("old.test.", _) if ask.has_edns => Says::FormErr,
        ("old.test.", false) => a(&["10.0.0.1"], 60),
        _ => Says::NoData,
    })
    .await;
    let world = World::new(&[&server], "", "");
    let dns = world.dns();
    let found = dns.ask("many.test").await.unwrap();
    assert_eq!(found.addrs.len(), 200);
    assert_eq!(ask(&dns, "old.test").await.0, "10.0.0.1 for 60s");
    server.forget();
    let dns = World::new(&[&server], "", "options use-vc no-aaaa\n").dns();
    assert_eq!(dns.ask("many.test").await.unwrap().addrs.len(), 200);
    assert_eq!(server.asked(), ["many.test. A over TCP"]);
}

/// Whole: with the cache, and a change of a file while it runs.
#[tokio::test]
async fn a_changed_file_is_seen_and_a_silence_is_survived() {
    let server = NameServer::new(|ask| match ask.is_v6 {
        true => Says::NoData,
        false if ask.asked_before > 0 => Says::Silence,
        false => a(&["10.0.0.1"], 1),
    })
    .await;
    let world = World::new(&[&server], "10.9.0.1 pinned.test\n", "options timeout:1\n");
    let options = ResolverOptions::default();
    let resolver = Resolver::dns(tokio::runtime::Handle::current(), 64, options, world.options.clone());
    let patience = Duration::from_secs(5);
    let first =
        async |name: &str| resolver.resolve(name, patience).await.unwrap().first().unwrap().to_string();
    assert_eq!(first("a.test").await, "10.0.0.1");
    assert_eq!(first("pinned.test").await, "10.9.0.1");
    std::fs::write(world.dir.path().join("new"), "10.9.0.2 pinned.test\n").unwrap();
    std::fs::rename(world.dir.path().join("new"), world.dir.path().join("hosts")).unwrap();
    let began = Instant::now();
    while first("pinned.test").await != "10.9.0.2" {
        assert!(began.elapsed() < Duration::from_secs(4), "it was said to be good for five seconds");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let began = Instant::now();
    assert_eq!(first("a.test").await, "10.0.0.1", "its server is silent, and it was looked up a second ago");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn a_family_that_this_machine_has_no_address_of_comes_last() {
    let mut addrs: Vec<IpAddr> = ["10.0.0.1", "::1", "10.0.0.2"].map(|ip| ip.parse().unwrap()).into();
    arrange(&mut addrs);
    assert_eq!(addrs.first().is_some_and(IpAddr::is_ipv6), is_in_reach("::1".parse().unwrap()));
    let mut nowhere: Vec<IpAddr> = ["ff02::1", "127.0.0.1"].map(|ip| ip.parse().unwrap()).into();
    arrange(&mut nowhere);
    assert_eq!(nowhere.len(), 2);
}

/// What a service comes to: each server as `priority weight host:port`, in the order of the answer, and how long that is good.
async fn servers(resolver: &Resolver, name: &str) -> String {
    match resolver.services(name).await {
        Ok(services) => {
            let text = |one: &crate::resolve::Service| {
                format!("{} {} {}:{}", one.priority, one.weight, one.host, one.port)
            };
            let all: Vec<_> = services.servers.iter().map(text).collect();
            format!("{} for {:?}", all.join(", "), services.ttl)
        }
        Err(ResolveError::NoAddress(why)) => {
            format!("none: {}", why.split(", by").next().unwrap_or_default())
        }
        Err(ResolveError::Failed(_)) => "failed".to_owned(),
        Err(ResolveError::TimedOut) => "timed out".to_owned(),
    }
}

#[tokio::test]
async fn the_servers_of_a_service_are_what_its_records_say() {
    let three = || vec![(20, 5, 5433, "B.Db.test."), (10, 60, 5432, "a.db.test."), (10, 0, 5432, "my_db_1.")];
    let many = (0..100).map(|n| (0, 1, 1000 + n, "a.db.test.")).collect::<Vec<_>>();
    let server = NameServer::new(move |ask| match ask.name {
        "_pg._tcp.db.test." | "_pg._tcp.corp.test." => Says::Servers(three(), 60),
        "_long._tcp.db.test." => Says::Servers(three(), 86_400),
        "_zero._tcp.db.test." => Says::Servers(three(), 0),
        "_alias._tcp.db.test." => Says::ServersOf("_pg._tcp.db.test.", three(), 7),
        "_many._tcp.db.test." if ask.is_tcp => Says::Servers(many.clone(), 60),
        "_many._tcp.db.test." => Says::Truncated,
        "_nowhere._tcp.db.test." => Says::Servers(vec![(0, 0, 0, ".")], 60),
        "_gone._tcp.db.test." => Says::Gone,
        "_ill._tcp.db.test." => Says::ServFail,
        _ => Says::NoData,
    })
    .await;
    let world = World::new(&[&server], "", "search corp.test\noptions timeout:1\n");
    let runtime = tokio::runtime::Handle::current();
    let resolver = Resolver::dns(runtime, 64, ResolverOptions::default(), world.options.clone());
    let said = "20 5 b.db.test:5433, 10 60 a.db.test:5432, 10 0 my_db_1.:5432";
    assert_eq!(servers(&resolver, "_pg._tcp.db.test").await, format!("{said} for 60s"));
    assert_eq!(
        servers(&resolver, "_long._tcp.db.test").await,
        format!("{said} for 300s"),
        "dns.ttl is the longest"
    );
    assert_eq!(servers(&resolver, "_zero._tcp.db.test").await, format!("{said} for 1s"));
    assert_eq!(servers(&resolver, "_alias._tcp.db.test").await, format!("{said} for 7s"));
    assert_eq!(servers(&resolver, "_pg._tcp").await, format!("{said} for 60s"), "by the search list");
    let many = servers(&resolver, "_many._tcp.db.test").await;
    assert_eq!(many.split(", ").count(), 100, "over TCP: {many}");
    let none = |name: &str| format!("none: {name}. has no server (SRV record)");
    for name in ["_nowhere._tcp.db.test", "_other._tcp.db.test"] {
        // The last of the search list was asked last.
        assert_eq!(servers(&resolver, name).await, none(&format!("{name}.corp.test")), "{name}");
    }
    assert_eq!(servers(&resolver, "_nowhere._tcp.db.test.").await, none("_nowhere._tcp.db.test"));
    assert_eq!(servers(&resolver, "_gone._tcp.db.test.").await, "none: _gone._tcp.db.test. does not exist");
    assert_eq!(servers(&resolver, "_ill._tcp.db.test").await, "failed", "which says nothing of the service");
}

/// What is asked for at one time is bounded, and so is how long it takes.
#[tokio::test]
async fn services_that_nobody_answers_for_wait_in_line() {
    let server = NameServer::new(|_| Says::Silence).await;
    let world = World::new(&[&server], "", "options timeout:1\n");
    let options = ResolverOptions::default().timeout(crate::Bound::millis(200));
    let resolver = Resolver::dns(tokio::runtime::Handle::current(), 64, options, world.options.clone());
    let names: Vec<_> = (0..40).map(|n| format!("_s{n}._tcp.test.")).collect();
    let began = Instant::now();
    let answers = futures_util::future::join_all(names.iter().map(|name| servers(&resolver, name))).await;
    assert!(answers.iter().all(|answer| answer == "timed out"), "{answers:?}");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(600), "three times sixteen: {took:?}");
}
