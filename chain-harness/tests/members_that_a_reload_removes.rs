//! What becomes of the connections of members that a reload takes out of a group: they go on, are reset, or have a time to end.

use std::net::SocketAddr;

use chain_harness::{Backend, Ending, Hop, PATIENCE, Wire, eventually, scenario};
use proxy_conn::Cause;

/// Two routes that share a group of these members.
fn config(members: &[SocketAddr], on_removed: &str) -> String {
    let members: Vec<_> = members.iter().map(|member| format!("\"{member}\"")).collect();
    format!(
        r#"
        graceful_shutdown_timeout = "300ms"
        [[listeners]]
        ports = [PORT_A]
        bind = ["127.0.0.1"]
        [groups.inner]
        members = [{}]
        on_removed = "{on_removed}"
        [[routes]]
        name = "only"
        match = {{ ports = [PORT_A] }}
        action = {{ forward = "@inner" }}
        "#,
        members.join(", ")
    )
}

/// A client of each member, in their order: they take turns.
async fn clients(hop: &Hop) -> Vec<Wire> {
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = Wire::connect(hop.addr()).await;
        client.send("hello").await;
        client.expect("hello").await;
        clients.push(client);
    }
    clients
}

async fn goes_on(client: &mut Wire) {
    client.send(" again").await;
    client.expect("hello again").await;
}

#[test]
fn they_go_on_or_are_reset_or_have_a_time_to_end_and_nobody_else_is_touched() {
    scenario(async {
        let (first, second) = (Backend::echo(), Backend::echo());
        for (on_removed, ends) in [("keep", false), ("kill", true), ("drain", true)] {
            let both = [first.addr(), second.addr()];
            let hop = Hop::start(&config(&both, on_removed));
            let mut clients = clients(&hop).await;
            let reload = hop.reload(&config(&both[..1], on_removed)).await;
            assert!(reload.taken, "{reload:?}");
            let group = hop.control().proxy();
            assert_eq!(group.group("inner").map(|group| group.members().len()), Some(1));
            if ends {
                assert_eq!(clients.remove(1).read_to_end().await.end, Some(Ending::Reset), "{on_removed}");
                eventually(PATIENCE, || hop.ends_of(Cause::Drained) == 1).await;
            } else {
                goes_on(&mut clients.remove(1)).await;
            }
            goes_on(&mut clients.remove(0)).await;
            drop((clients, group));
            hop.settles().await;
        }
    });
}

/// A member that is back within its time keeps what it has.
#[test]
fn a_member_that_is_back_in_time_is_not_drained() {
    scenario(async {
        let (first, second) = (Backend::echo(), Backend::echo());
        let both = [first.addr(), second.addr()];
        let hop = Hop::start(&config(&both, "drain"));
        let mut clients = clients(&hop).await;
        assert!(hop.reload(&config(&both[..1], "drain")).await.taken);
        assert!(hop.reload(&config(&both, "drain")).await.taken);
        let member = hop.control().proxy();
        let member = member.group("inner").and_then(|group| group.members().pop());
        assert_eq!(member.map(|member| member.limit.in_use()), Some(1), "what it has is counted");
        // Longer than its time was.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        goes_on(&mut clients.remove(1)).await;
        goes_on(&mut clients.remove(0)).await;
        drop(clients);
        hop.settles().await;
    });
}

/// Those that have a time to end are told of as drains, for as long as there are some.
#[test]
fn a_member_that_is_drained_is_among_the_drains() {
    scenario(async {
        let (first, second) = (Backend::echo(), Backend::echo());
        let both = [first.addr(), second.addr()];
        let text = |members: &[SocketAddr]| config(members, "drain").replace("300ms", "5m");
        let hop = Hop::start(&text(&both));
        let mut clients = clients(&hop).await;
        assert!(hop.control().drains().is_empty());
        assert!(hop.reload(&text(&both[..1])).await.taken);
        let drains = hop.control().drains();
        let [drain] = drains.as_slice() else { panic!("{drains:?}") };
        assert_eq!(drain.name.as_deref(), Some(&*second.addr().to_string()));
        assert_eq!(drain.removed_from.as_deref(), Some("inner"));
        assert_eq!((drain.began_with, drain.left), (1, 1));
        assert!(drain.ends_in_s.is_some_and(|left| left > 60.0), "{drain:?}");
        goes_on(&mut clients[1]).await;
        clients.remove(1).half_close().await;
        eventually(PATIENCE, || hop.control().drains().is_empty()).await;
        drop(clients);
        hop.settles().await;
    });
}
