//! What an operator does about a pile-up: a backend that does not answer, and a hundred clients that wait for it.

use std::net::TcpStream;

use crate::world::{World, is_reset};
use crate::{PATIENCE, eventually};

#[test]
fn a_pile_up_is_found_and_ended() {
    let world = World::new();
    let clients: Vec<_> = (0..50).map(|_| TcpStream::connect(world.dark).unwrap()).collect();
    world.has(50, "dial");

    // The pile-up is one when it has been there for three seconds.
    let status = eventually("it is found", || {
        let status = world.run("status").fine();
        status.contains("! critical    target ").then_some(status)
    });
    let (dark, found) = (world.hole.addr, "of dark, for ");
    assert!(status.contains(&format!("! critical    target {dark} {found}")), "{status}");
    assert!(status.contains("it does not accept: 50 connections have waited"), "{status}");
    assert!(status.contains("! route       dark: 50 open (50 dial)"), "{status}");
    assert!(status.contains("  route       web: 0 open"), "{status}");

    let conns = world.run("conns --phase dial --limit 3").fine();
    assert!(conns.starts_with("50 of 50 open: phase=dial; 3 shown, the oldest first (--limit)\n"), "{conns}");
    assert_eq!(conns.matches(&format!("→ {}  dark", world.hole.addr)).count(), 3, "{conns}");

    let chain = world.chain("--limit 2").fine();
    let expected = format!(
        "outer 50, inner 0: 0 on every hop, 50 on outer only\n! 50 on outer only, in dial → {}, the oldest ",
        world.hole.addr
    );
    assert!(chain.starts_with(&expected), "{chain}");
    assert!(chain.ends_with("and 48 more (--limit)\n"), "{chain}");

    let dry = world.run("kill --phase dial --dry-run").fine();
    assert!(dry.starts_with("50 connections would be ended: phase=dial\n"), "{dry}");
    world.has(50, "dial");

    let unasked = world.run("kill --phase dial");
    assert_eq!((unasked.code, &*unasked.out), (2, ""));
    assert!(unasked.error.contains("Say --yes to do it"), "{}", unasked.error);
    world.has(50, "dial");

    assert_eq!(world.run("kill --phase dial --yes").fine(), "50 connections ended: phase=dial\n");
    for client in &clients {
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(is_reset(client));
    }
    eventually("none is left", || (world.run("conns").fine() == "0 open\n").then_some(()));
    assert_eq!(world.run("status --json").json()["ended_total"]["killed"], 50);
    assert_eq!(world.run("kill --phase dial").fine(), "no connection matches: phase=dial\n");
}
