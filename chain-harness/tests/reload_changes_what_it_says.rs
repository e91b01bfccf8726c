//! Another configuration for a running proxy: what is new, what goes on, and what is left alone.

use std::sync::Arc;
use std::time::Duration;

use chain_harness::{Backend, Ending, Hop, PATIENCE, Wire, config, eventually, refuses, scenario};
use proxy_api::model::{Change, ChangeKind, Diff, Reload};
use proxy_bin::config::Config;
use proxy_conn::{BreakerState, Cause};

fn config(settings: &str, target: impl std::fmt::Display, route: &str) -> String {
    config::single(settings, &[&target]) + route
}

async fn greeted(hop: &Hop, text: &str) -> Wire {
    let mut client = Wire::connect(hop.addr()).await;
    client.send(text).await;
    client.expect(text).await;
    client
}

fn taken(reload: &Reload) {
    assert!(reload.taken, "{reload:?}");
}

/// So many have ended of `cause`. A client may hear of its end a moment before it is counted.
async fn has_ended(hop: &Hop, cause: Cause, count: u64) {
    eventually(PATIENCE, || hop.ends_of(cause) == count).await;
}

#[test]
fn a_bad_file_changes_nothing_and_says_why() {
    scenario(async {
        let backend = Backend::echo();
        let good = config("", backend.addr(), "");
        let hop = Hop::start(&good);
        let before = hop.control().proxy();
        for (bad, says) in [
            (good.replace("forward", "froward"), "froward"),
            (good.replace("[[routes]]", "[[routes"), "expected"),
            (good.replace("ports = [PORT_A]", "ports = [0]"), "0"),
            (String::new(), "no routes"),
        ] {
            let reload = hop.reload(&bad).await;
            let error = reload.error.clone().unwrap_or_default();
            assert!(!reload.taken && reload.changes.is_empty(), "{reload:?}");
            assert!(error.contains(says) && error.contains("hop.toml:"), "{error}");
            assert_eq!(hop.control().config_status().last_reload, Some(reload));
        }
        assert_eq!(hop.control().generation(), 1);
        assert!(Arc::ptr_eq(&before, &hop.control().proxy()), "the generation is the same");
        drop((before, greeted(&hop, "hello").await));
        hop.settles().await;
    });
}

/// The connection has its old backend, and nothing else of the old generation.
#[test]
fn a_connection_keeps_the_route_it_began_with_and_holds_no_generation() {
    scenario(async {
        let (old, new) = (Backend::answers("old"), Backend::answers("new"));
        let echo = Backend::echo();
        let hop = Hop::start(&config("", echo.addr(), ""));
        let mut living = greeted(&hop, "before").await;
        let first = Arc::downgrade(&hop.control().proxy());
        taken(&hop.reload(&config("", old.addr(), "")).await);
        let mut second = Wire::connect(hop.addr()).await;
        second.send("GET / HTTP/1.1\r\n\r\n").await;
        assert!(second.read_to_end().await.text().ends_with("old"));
        taken(&hop.reload(&config("", new.addr(), "")).await);
        let mut third = Wire::connect(hop.addr()).await;
        third.send("GET / HTTP/1.1\r\n\r\n").await;
        assert!(third.read_to_end().await.text().ends_with("new"));
        living.send(" and after").await;
        living.expect("before and after").await;
        // The watch lets go of it within its second.
        eventually(PATIENCE, || first.upgrade().is_none()).await;
        assert_eq!(hop.control().generation(), 3);
        drop((living, second, third));
        hop.settles().await;
    });
}

#[test]
fn limits_go_on_counting_and_new_ones_count_who_is_there() {
    scenario(async {
        let backend = Backend::echo();
        let hop = Hop::start(&config("", backend.addr(), "max_connections = 2"));
        let mut held = vec![greeted(&hop, "1").await, greeted(&hop, "2").await];
        taken(
            &hop.reload(&config(
                "[timeouts]\nconnection_timeout = \"9s\"",
                backend.addr(),
                "max_connections = 2",
            ))
            .await,
        );
        assert!(Wire::connect(hop.addr()).await.read_to_end().await.is_only_a_reset(), "two are open");
        taken(&hop.reload(&config("", backend.addr(), "max_connections = 3")).await);
        held.push(greeted(&hop, "3").await);
        assert!(Wire::connect(hop.addr()).await.read_to_end().await.is_only_a_reset(), "three are open");
        // None of these was there when they began.
        for (settings, route, cause) in [
            ("[pools.direct]\nmax_connections = 3", "", Cause::PoolLimit),
            ("", "max_connections_per_target = 3", Cause::TargetLimit),
        ] {
            taken(&hop.reload(&config(settings, backend.addr(), route)).await);
            assert!(
                Wire::connect(hop.addr()).await.read_to_end().await.is_only_a_reset(),
                "{settings}{route}"
            );
            has_ended(&hop, cause, 1).await;
        }
        taken(&hop.reload(&config("", backend.addr(), "")).await);
        held.push(greeted(&hop, "4").await);
        has_ended(&hop, Cause::RouteLimit, 2).await;
        drop(held);
        hop.settles().await;
        let proxy = hop.control().proxy();
        let in_use = [
            proxy.pools[0].limit.in_use(),
            proxy.route(0).unwrap().limit.in_use(),
            proxy.route(0).unwrap().targets.in_use(),
        ];
        assert_eq!(in_use, [0; 3]);
    });
}

#[test]
fn a_breaker_that_is_open_stays_open() {
    scenario(async {
        let nobody = refuses();
        let text = |settings: &str| config(settings, nobody, "breaker = { failures_in_a_row = 1 }");
        let hop = Hop::start(&text(""));
        let breaker = || {
            hop.control().proxy().route(0).unwrap().targets.iter().next().map(|target| target.breaker().state)
        };
        assert!(Wire::connect(hop.addr()).await.read_to_end().await.is_only_a_reset());
        has_ended(&hop, Cause::DialRefused, 1).await;
        assert_eq!(breaker(), Some(BreakerState::Open));
        taken(&hop.reload(&text("[timeouts]\nconnection_timeout = \"9s\"")).await);
        assert_eq!(breaker(), Some(BreakerState::Open));
        hop.settles().await;
    });
}

#[test]
fn connections_of_a_removed_route_go_on_unless_it_says_that_they_are_drained() {
    scenario(async {
        let backend = Backend::echo();
        let named = |settings: &str, name: &str| {
            config(settings, backend.addr(), "").replace("\"only\"", &format!("\"{name}\""))
        };
        let hop = Hop::start(&named("", "first"));
        let mut kept = greeted(&hop, "kept").await;
        taken(&hop.reload(&named("", "second")).await);
        let mut ended = greeted(&hop, "ended").await;
        let mut drained =
            "graceful_shutdown_timeout = \"300ms\"\n[reload]\nremoved_routes = \"drain\"".to_owned();
        taken(&hop.reload(&named(&drained, "third")).await);
        let mut drains = hop.control().drains();
        assert_eq!(drains.len(), 1, "{drains:?}");
        let drain = drains.remove(0);
        assert_eq!((drain.name.as_deref(), drain.began_with, drain.left), (Some("second"), 1, 1));
        assert_eq!(ended.read_to_end().await.end, Some(Ending::Reset));
        has_ended(&hop, Cause::Drained, 1).await;
        eventually(PATIENCE, || hop.control().drains().is_empty()).await;
        kept.send(" on").await;
        kept.expect("kept on").await;
        // A route that is back in time is not drained.
        let mut back = greeted(&hop, "back").await;
        drained = drained.replace("300ms", "1h");
        taken(&hop.reload(&named(&drained, "fourth")).await);
        assert_eq!(hop.control().drains().len(), 1);
        taken(&hop.reload(&named(&drained, "third")).await);
        assert_eq!(hop.control().drains().iter().map(|drain| drain.name.clone()).collect::<Vec<_>>(), []);
        back.send(" again").await;
        back.expect("back again").await;
        drop((kept, ended, back));
        hop.settles().await;
    });
}

#[test]
fn pools_come_and_go_and_their_connections_keep_their_names() {
    scenario(async {
        let backend = Backend::echo();
        let pool =
            |name: &str| config(&format!("[pools.{name}]"), backend.addr(), &format!("pool = \"{name}\""));
        let hop = Hop::start(&pool("one"));
        let living = greeted(&hop, "one").await;
        // More than there are numbers: those of which nothing is left are given anew.
        for n in 0..300 {
            taken(&hop.reload(&pool(&format!("p{n}"))).await);
        }
        let names = || -> Vec<_> {
            let proxy = hop.control().proxy();
            let pools =
                hop.tracker().snapshot().into_iter().filter_map(|view| proxy.numbers.name(view.pool?));
            pools.map(|name| name.to_string()).collect()
        };
        assert_eq!(names(), ["one"]);
        let other = greeted(&hop, "other").await;
        let mut both = names();
        both.sort_unstable();
        assert_eq!(both, ["one", "p299"]);
        hop.is_clean().await;
        drop((living, other));
        hop.settles().await;
    });
}

#[test]
fn a_diff_says_what_a_reload_would_change_and_changes_nothing() {
    scenario(async {
        let backend = Backend::echo();
        let hop = Hop::start(&config("limits.max_connections = 100\nworkers = 1", backend.addr(), ""));
        let living = greeted(&hop, "hello").await;
        let new = config(
            "# a comment\nworkers = 2\nlimits.max_connections = 200\n[pools.new]\n[log]\nlevel = \"debug\"",
            backend.addr(),
            "pool = \"new\"\ntimeouts.inactivity_timeout = \"5m\"",
        );
        let new = new.replace("bind = ", "backlog = 7\nbind = ");
        let diff = hop.control().diff(&hop.text(&new)).unwrap();
        let told = |change: &Change| {
            let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            let (what, from, to) = (&change.what, value(&change.from), value(&change.to));
            format!("{:?} {what} ({}): {from} -> {to}", change.kind, change.connections)
        };
        let port = hop.addr().port();
        let told: Vec<_> = diff.changes.iter().map(told).collect();
        assert_eq!(
            told,
            [
                format!(
                    "Changed listener 127.0.0.1:{port} (1): backlog = 1024, accept_proxy = \"off\", at_limit = \"reject\" -> \
                     backlog = 7, accept_proxy = \"off\", at_limit = \"reject\""
                ),
                "Changed limits.max_connections (0): 100 -> 200".to_owned(),
                "Added log.level (0): - -> \"debug\"".to_owned(),
                "Changed workers (0): 1 -> 2".to_owned(),
                "Added pool new (0): - -> {}".to_owned(),
                "Added route only: pool (1): - -> \"new\"".to_owned(),
                "Added route only: timeouts.inactivity_timeout (1): - -> \"5m\"".to_owned(),
            ]
        );
        assert!(diff.warnings.iter().any(|text| text.contains("workers = 2 takes effect at the next start")));
        assert_eq!(hop.control().generation(), 1);
        let room = |diff: &Diff| diff.warnings.iter().any(|text| text.contains("the limit of open files is"));
        let too_many = new.replace("max_connections = 200", "max_connections = 4294967295");
        let too_many = hop.control().diff(&hop.text(&too_many)).unwrap();
        assert_eq!((room(&diff), room(&too_many)), (false, true), "{:?}", too_many.warnings);
        let errors = hop.control().diff("workers = 0").unwrap_err();
        assert!(errors.contains("workers"), "{errors}");
        // The reload says the same, and that the log has to wait where nobody can switch it.
        let reload = hop.reload(&new).await;
        assert_eq!((reload.taken, reload.generation, &reload.changes), (true, 2, &diff.changes));
        assert!(reload.warnings.iter().any(|text| text.starts_with("[log]")), "{:?}", reload.warnings);
        let again = hop.control().diff(&hop.text(&new)).unwrap();
        assert_eq!(again.changes, []);
        let gone = hop.control().diff(&hop.text(&config("workers = 2", backend.addr(), ""))).unwrap();
        assert!(
            gone.changes.iter().any(|change| change.kind == ChangeKind::Removed && change.what == "pool new")
        );
        drop(living);
        hop.settles().await;
    });
}

/// Everything that is not about one connection follows too.
#[test]
fn the_process_wide_settings_follow() {
    scenario(async {
        let backend = Backend::echo();
        let hop = Hop::start(&config(
            "limits = { max_connections = 1, connections_per_client = \"off\", connections_per_client_per_minute = \"off\" }",
            backend.addr(),
            "",
        ));
        let first = greeted(&hop, "first").await;
        let mut waits = Wire::connect(hop.addr()).await;
        waits.send("second").await;
        assert_eq!(hop.tracker().len(), 1, "there is no room");
        let more = "limits = { max_connections = 20, connections_per_client = 3, connections_per_client_per_minute = \"off\" }";
        let reload = hop.reload(&config(more, backend.addr(), "")).await;
        assert!(
            reload.taken && reload.warnings.iter().any(|text| text.contains("clients are counted")),
            "{reload:?}"
        );
        waits.expect("second").await;
        let held = [greeted(&hop, "third").await, greeted(&hop, "fourth").await];
        assert!(Wire::connect(hop.addr()).await.read_to_end().await.is_only_a_reset());
        has_ended(&hop, Cause::ClientLimit, 1).await;
        taken(&hop.reload(&config(&more.replace("= 3", "= 4"), backend.addr(), "")).await);
        let fifth = greeted(&hop, "fifth").await;
        drop((first, waits, held, fifth));
        hop.settles_within(Duration::from_secs(5)).await;
    });
}

#[test]
fn a_text_without_a_file_cannot_be_read_again() {
    scenario(async {
        let backend = Backend::echo();
        let hop = Hop::start(&config("", backend.addr(), ""));
        let reload = hop.control().reload().await;
        let error = reload.error.unwrap();
        assert_eq!(error, "hop.toml did not come from a file: there is nothing to read again");
        assert!(Config::parse(&hop.control().config_text(), "again").is_ok());
        hop.settles().await;
    });
}
