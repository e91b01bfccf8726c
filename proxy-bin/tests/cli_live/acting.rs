//! The commands that change something.

use std::net::TcpStream;
use std::process::Stdio;

use crate::world::{World, client, command, is_reset, run};
use crate::{PATIENCE, eventually};

#[test]
fn kill_ends_the_connections_that_are_named_and_no_other() {
    let world = World::new();
    let (one, other) = (client(world.web), client(world.web));
    let ids = world.ids("");
    let dry = world.run(&format!("kill {} --dry-run", ids[0])).fine();
    assert_eq!(dry, format!("{}: would be ended\n", ids[0]));
    assert_eq!(world.ids("").len(), 2);
    assert_eq!(world.run(&format!("kill {}", ids[0])).fine(), format!("{}: ended\n", ids[0]));
    assert!(is_reset(&one));
    eventually("it has gone", || (world.ids("") == ids[1..]).then_some(()));
    let again = world.run(&format!("kill {} {} --yes", ids[0], ids[1]));
    assert_eq!(again.code, 1, "one of them is not there: {again:?}");
    assert!(again.out.starts_with(&format!("{}: ended\n{}: ", ids[1], ids[0])), "{}", again.out);
    assert!(is_reset(&other));
}

#[test]
fn kill_wants_to_be_told_which() {
    let world = World::new();
    let _client = client(world.web);
    for (line, error) in [
        ("kill", "say which"),
        ("kill --all --phase dial", "either a filter or --all"),
        ("kill a-1 --route web", "either ids"),
    ] {
        let said = world.run(line);
        assert_eq!((said.code, &*said.out), (2, ""), "{line}");
        assert!(said.error.contains(error), "{line}: {}", said.error);
    }
    assert_eq!(world.run("kill --all --yes").fine(), "1 connection ended: all connections\n");
}

#[test]
fn drain_takes_no_new_connections_until_it_is_undone() {
    let world = World::new();
    let client = client(world.web);
    let told = world.run("drain route web").fine();
    assert!(told.starts_with("route web: 1 of 1 left after "), "{told}");
    assert!(world.run("drain list").fine().starts_with("route web: 1 of 1 left after "));
    assert!(world.run("status").fine().contains("! drain       route web: 1 of 1 left after "));
    let refused = TcpStream::connect(world.web).unwrap();
    refused.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(is_reset(&refused));

    let mut waiting =
        command(&world.outer.socket, "drain route web --wait").stdout(Stdio::piped()).spawn().unwrap();
    assert!(waiting.try_wait().unwrap().is_none(), "one is left");
    drop(client);
    let waited = waiting.wait_with_output().unwrap();
    let told = String::from_utf8(waited.stdout).unwrap();
    assert!(
        waited.status.success() && told.trim_end().lines().last().unwrap().starts_with("route web: 0 of "),
        "{told}"
    );

    assert_eq!(world.run("drain route web --undo").fine(), "route web: takes new connections again\n");
    assert_eq!(world.run("drain list").fine(), "nothing is being drained\n");
    drop(crate::world::client(world.web));
    let unknown = world.run("drain route wep");
    assert_eq!(unknown.code, 1, "{unknown:?}");
    assert!(unknown.error.contains("wep"), "{}", unknown.error);
}

#[test]
fn what_a_drain_ends_is_told_by_the_clock() {
    let world = World::new();
    let client = client(world.web);
    let told = world.run("drain all --end-after 200ms --wait").fine();
    assert!(told.lines().last().unwrap().starts_with("everything: 0 of 1 left after "), "{told}");
    assert!(is_reset(&client));
}

#[test]
fn a_reload_is_told_before_and_after_and_a_bad_file_changes_nothing() {
    let world = World::new();
    let file = world.outer.config.display();
    let before = std::fs::read_to_string(&world.outer.config).unwrap();
    assert_eq!(world.run(&format!("diff {file}")).fine(), "it changes nothing\n");
    std::fs::write(&world.outer.config, before.replace("name = \"plain\"", "name = \"bare\"")).unwrap();
    let diff = world.run(&format!("diff {file}")).fine();
    assert!(diff.contains("- route plain") && diff.contains("+ route bare"), "{diff}");
    let reload = world.run("reload").fine();
    assert!(reload.contains("- route plain") && reload.contains("+ route bare"), "{reload}");
    assert!(reload.ends_with("generation 2 is in force\n"), "{reload}");
    assert!(world.run("status").fine().contains("generation 2, in force for "));

    std::fs::write(&world.outer.config, before.replace("match = ", "mach = ")).unwrap();
    let diff = world.run(&format!("diff {file}"));
    assert_eq!((diff.code, &*diff.error), (1, ""));
    assert!(diff.out.contains("mach") && diff.out.contains(&format!("--> {file}:")), "{}", diff.out);
    assert!(diff.out.ends_with(&format!("refused: {file} would not be taken\n")), "{}", diff.out);
    let reload = world.run("reload");
    assert_eq!(reload.code, 1);
    assert!(reload.out.contains("mach") && reload.out.contains("outer.toml:"), "{}", reload.out);
    assert!(
        reload.out.ends_with("refused: generation 2 is still in force, nothing has changed\n"),
        "{}",
        reload.out
    );
    let status = world.run("status").fine();
    assert!(status.contains("!             the last reload was refused "), "{status}");
    let missing = world.run("diff /nonexistent.toml");
    assert_eq!(missing.code, 1);
    assert!(missing.error.contains("cannot read /nonexistent.toml"), "{}", missing.error);
}

#[test]
fn the_log_level_is_set_and_told() {
    let world = World::new();
    assert_eq!(world.run("log").fine(), "level info, 0 lines lost since the start\n");
    assert_eq!(world.run("log debug").fine(), "level debug, 0 lines lost since the start\n");
    assert_eq!(world.run("log --json").json()["level"], "debug");
    assert_eq!(world.run("log --reopen").fine(), "level debug, 0 lines lost since the start\n");
    assert_eq!(world.run("log loud").code, 2);
}

#[test]
fn stop_stops_and_waits() {
    let mut world = World::new();
    assert_eq!(world.run("stop --wait").fine(), "outer stops: 0 connections open\n");
    assert_eq!(world.outer.exit_code(), Some(0));
    let said = world.run("status");
    assert_eq!((said.code, &*said.out), (5, ""), "{said:?}");
}

#[test]
fn an_upgrade_says_who_serves_now_and_a_failed_one_why_not() {
    let mut world = World::new();
    let before = std::fs::read_to_string(&world.outer.config).unwrap();
    std::fs::write(&world.outer.config, "nonsense = 1\n").unwrap();
    let failed = world.run("upgrade");
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(world.run("status").fine().contains("! upgrade     the last one failed "));
    drop(client(world.web));

    std::fs::write(&world.outer.config, before).unwrap();
    let told = world.run("upgrade").fine();
    // Whoever takes over is no child of this test.
    let socket = world.outer.socket.clone();
    let _stopped = StopsAtTheEnd(&socket);
    let pid = world.run("status --json").json()["pid"].as_u64().unwrap();
    assert_eq!(told, format!("process {pid} serves; the old one lets its connections finish\n"));
    assert_eq!(world.outer.exit_code(), Some(0));
    drop(client(world.web));
}

struct StopsAtTheEnd<'a>(&'a std::path::Path);

impl Drop for StopsAtTheEnd<'_> {
    fn drop(&mut self) {
        run(self.0, "stop --wait");
    }
}
