//! A member of a group that is stopped (SIGSTOP), that resets whom it accepts, or that is silent: nobody new is taken there after two
//! check intervals, what it has is kept or ended as configured, and it is used again within one when it serves.
#![expect(clippy::unwrap_used, reason = "a failed assumption of a test is its failure")]

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use chain_harness::{Backend, Hop, PATIENCE, Smartproxy, Wire, config, eventually, scenario, within};
use proxy_conn::Cause;
use proxy_upstream::Member;
use proxy_upstream::health::{HealthCause, HealthState};
use tokio::time::Instant;

const INTERVAL: Duration = Duration::from_secs(1);

/// How long a client waits for the answer of an echo on loopback before it calls that a failure.
const ANSWER: Duration = Duration::from_millis(400);

/// An outer hop whose group has these members, other hops; `more` are lines of the group.
fn outer(members: &[&dyn Display], more: &str) -> Hop {
    in_front(members, more, "v2")
}

/// The same before members that are sent such a header, or none (`"off"`).
fn in_front(members: &[&dyn Display], more: &str, send_proxy: &str) -> Hop {
    let members: Vec<_> = members.iter().map(|member| format!("\"{member}\"")).collect();
    Hop::start(&format!(
        r#"
        graceful_shutdown_timeout = "1s"
        [[listeners]]
        ports = [PORT_A]
        bind = ["127.0.0.1"]
        [groups.inner]
        members = [{}]
        {more}
        [[routes]]
        name = "outer"
        match = {{ ports = [PORT_A] }}
        action = {{ forward = "@inner" }}
        send_proxy = "{send_proxy}"
        timeouts = {{ half_closed_timeout = "1s" }}
        "#,
        members.join(", ")
    ))
}

fn member(hop: &Hop, nth: usize) -> Arc<Member> {
    let proxy = hop.control().proxy();
    proxy.group("inner").unwrap().members().swap_remove(nth)
}

async fn stands(hop: &Hop, nth: usize, state: HealthState) {
    eventually(PATIENCE, || member(hop, nth).health.view().state == state).await;
}

/// Whether a client gets an answer.
async fn is_served(hop: &Hop) -> bool {
    let asking = async {
        let mut client = Wire::connect(hop.addr()).await;
        client.try_send("hello").await.is_ok() && client.read_some().await == b"hello"
    };
    tokio::time::timeout(ANSWER, asking).await.unwrap_or(false)
}

/// When the last client failed that came within `during`, as a time since `from`; None where none did.
async fn last_failure(hop: &Hop, from: Instant, during: Duration) -> Option<Duration> {
    let mut last = None;
    while from.elapsed() < during {
        let came = from.elapsed();
        if !is_served(hop).await {
            last = Some(came);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    last
}

/// A hop of ours in front of `backend`, which takes headers of 127.0.0.1.
async fn inner(backend: &Backend) -> Smartproxy {
    let open =
        "limits.connections_per_client = \"off\"\nlimits.connections_per_client_per_minute = \"off\"\n";
    Smartproxy::run(&config::inner(open, &[&backend.addr()])).await
}

#[test]
fn a_hop_that_is_stopped_is_left_within_two_intervals_and_used_again_within_one() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let (frozen, well) = (inner(&backend).await, inner(&backend).await);
        let check = "check = { kind = \"smartproxy\", interval = \"1s\" }";
        let hop = outer(&[&frozen.addr(), &well.addr()], check);
        stands(&hop, 0, HealthState::Up).await;
        stands(&hop, 1, HealthState::Up).await;
        assert!(member(&hop, 0).health.view().word.unwrap().load <= 1, "it has told how loaded it is");
        let mut there = Vec::new();
        for _ in 0..4 {
            let mut client = Wire::connect(hop.addr()).await;
            client.send("before").await;
            client.expect("before").await;
            there.push(client);
        }
        frozen.process.freeze().await;
        let last = last_failure(&hop, Instant::now(), 3 * INTERVAL).await;
        assert!(last.is_some_and(|last| last < 2 * INTERVAL), "{last:?}");
        assert_eq!(member(&hop, 0).health.view().finding.unwrap().cause, HealthCause::Timeout);
        frozen.process.thaw();
        let thawed = Instant::now();
        stands(&hop, 0, HealthState::Up).await;
        assert!(thawed.elapsed() < INTERVAL, "{:?}", thawed.elapsed());
        for client in &mut there {
            client.send("after").await;
            client.expect("beforeafter").await;
        }
        drop(there);
        hop.empties(PATIENCE).await;
        hop.is_clean().await;
    });
}

#[test]
fn what_is_at_a_member_that_is_down_is_ended_where_that_is_configured() {
    Smartproxy::scenario(async {
        for (on_down, ended, after) in [("kill", true, 0), ("drain", true, 1), ("keep", false, 0)] {
            let backend = Backend::echo();
            let frozen = inner(&backend).await;
            let check = "check = { kind = \"smartproxy\", interval = \"400ms\", timeout = \"400ms\" }";
            let hop = outer(&[&frozen.addr(), &backend.addr()], &format!("{check}\non_down = \"{on_down}\""));
            // Only where a header is read is there a hop that answers: the backend itself is down.
            stands(&hop, 0, HealthState::Up).await;
            stands(&hop, 1, HealthState::Down).await;
            let mut client = Wire::connect(hop.addr()).await;
            client.send("before").await;
            client.expect("before").await;
            frozen.process.freeze().await;
            stands(&hop, 0, HealthState::Down).await;
            let down = Instant::now();
            if ended {
                within(PATIENCE, client.wait_for_a_reset()).await;
                // It was down a moment before that was seen.
                assert!(
                    down.elapsed() + Duration::from_millis(100) >= Duration::from_secs(after),
                    "{on_down}"
                );
                assert_eq!(hop.the_end().await.cause, Cause::MemberDown);
            } else {
                assert_eq!(hop.ends(), []);
            }
            frozen.process.thaw();
            if !ended {
                client.send("after").await;
                client.expect("beforeafter").await;
            }
        }
    });
}

#[test]
fn a_hop_that_drains_gets_nobody_new_and_is_not_down() {
    Smartproxy::scenario(async {
        let (first, second) = (Backend::echo(), Backend::echo());
        let hops = [
            Hop::start(&config::inner("", &[&first.addr()])),
            Hop::start(&config::inner("", &[&second.addr()])),
        ];
        let check = "check = { kind = \"smartproxy\", interval = \"400ms\", timeout = \"400ms\" }";
        let hop = outer(&[&hops[0].addr(), &hops[1].addr()], check);
        stands(&hop, 0, HealthState::Up).await;
        stands(&hop, 1, HealthState::Up).await;
        hops[0].control().proxy().route(0).unwrap().draining.set(true);
        stands(&hop, 0, HealthState::Draining).await;
        let before = first.accepted();
        for _ in 0..20 {
            assert!(is_served(&hop).await);
        }
        assert_eq!(first.accepted(), before);
        hops[0].control().proxy().route(0).unwrap().draining.set(false);
        stands(&hop, 0, HealthState::Up).await;
        // Of what checks leave behind nothing is a connection, and in no log.
        assert!(hops[0].ends().iter().all(|end| end.cause == Cause::Asked));
        hop.empties(PATIENCE).await;
    });
}

/// No check: what becomes of connections tells.
#[test]
fn outcomes_take_out_who_resets_or_is_silent() {
    scenario(async {
        let well = Backend::echo();
        for (bad, outliers, cause) in [
            (Backend::resets_on_accept(), "{ consecutive = 3 }", HealthCause::ConsecutiveFailures),
            (
                Backend::silent(),
                "{ consecutive = 3, first_byte_due = \"200ms\" }",
                HealthCause::ConsecutiveFailures,
            ),
        ] {
            let hop = in_front(&[&bad.addr(), &well.addr()], &format!("outliers = {outliers}"), "off");
            let began = Instant::now();
            let mut failures = 0;
            while member(&hop, 0).health.is_up() {
                failures += usize::from(!is_served(&hop).await);
                assert!(began.elapsed() < PATIENCE, "{failures} failures");
            }
            let view = member(&hop, 0).health.view();
            assert_eq!((view.state, view.finding.unwrap().cause), (HealthState::Ejected, cause));
            assert!(failures >= 3, "{failures}");
            // Workers go by what they have seen of the members within the last moment.
            tokio::time::sleep(Duration::from_millis(20)).await;
            for nth in 0..10 {
                assert!(
                    is_served(&hop).await,
                    "{nth}: {:?} {:#?}",
                    hop.ends().last(),
                    member(&hop, 1).health.view()
                );
            }
            assert!(member(&hop, 1).health.is_up(), "who answers stays");
            hop.empties(PATIENCE).await;
        }
    });
}
