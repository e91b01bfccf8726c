//! The commands that only look.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::loopback::free_port;
use crate::world::{Hop, World, client, command, run};

#[test]
fn conns_filters_sorts_and_pages() {
    let world = World::new();
    let clients = [client(world.web), client(world.plain), client(world.web)];
    let port = |n: usize| clients[n].local_addr().unwrap();
    assert_eq!(world.ids("").len(), 3);
    assert_eq!(world.ids("--route web").len(), 2);
    assert_eq!(world.ids("--route web --phase relay --pool chain").len(), 2);
    assert_eq!(world.ids(&format!("--client {}", port(1).ip())).len(), 3);
    assert_eq!(world.ids("--client 10.0.0.0/8"), [""; 0]);
    assert_eq!(world.ids(&format!("--target {}", world.inner_at)).len(), 2);
    assert_eq!(world.ids(&format!("--listener {}", world.plain)).len(), 1);
    assert_eq!(world.ids("--min-age 1h"), [""; 0]);
    let (oldest, youngest) = (world.ids("--limit 2"), world.ids("--reverse"));
    assert_eq!(oldest.len(), 2);
    assert_eq!(oldest.first(), youngest.last());
    let told = world.run("conns --route plain").fine();
    assert!(told.starts_with("1 of 3 open: route=plain\nID "), "{told}");
    assert!(told.contains(&port(1).to_string()) && told.contains("5 B"), "{told}");
}

#[test]
fn a_filter_by_a_name_that_nothing_has_is_an_error_and_not_zero() {
    let world = World::new();
    let _client = client(world.web);
    for line in [
        "conns --route wep",
        "conns --route wep --json",
        "conns --phase relay --route wep",
        "kill --route wep --yes",
        "kill --route wep --dry-run",
        "drain route wep",
    ] {
        let said = world.run(line);
        assert_eq!((said.code, &*said.out), (1, ""), "{line}");
        let error =
            "smartproxy: there is no route \"wep\"; did you mean \"web\"? There are: dark, plain, web\n";
        assert_eq!(said.error, error, "{line}");
    }
    for line in
        ["conns --target 127.0.0.1", "conns --listener 127.0.0.1", "conns --pool nosuch", "conns --route ="]
    {
        let said = world.run(line);
        assert_eq!((said.code, &*said.out), (1, ""), "{line}");
        assert!(said.error.starts_with("smartproxy: there is no "), "{}", said.error);
    }
    // Of what is there, and has none, zero is the answer.
    assert_eq!(world.run("conns --route plain").fine(), "0 of 1 open: route=plain\n");
}

#[test]
fn show_tells_all_of_one_connection_with_both_its_sockets() {
    let world = World::new();
    let client = client(world.web);
    let id = world.ids("").remove(0);
    let told = world.run(&format!("show {id}")).fine();
    for line in [
        format!("id            {id}"),
        "phase         relay (ESTABLISHED), for ".to_owned(),
        format!("client        {}", client.local_addr().unwrap()),
        format!("target        {}", world.inner_at),
        "from client   5 B".to_owned(),
    ] {
        assert!(told.contains(&line), "{line:?} is not in:\n{told}");
    }
    let state = told.lines().find(|line| line.starts_with("state ")).unwrap();
    assert_eq!(state.split_whitespace().collect::<Vec<_>>(), ["state", "ESTAB", "ESTAB"]);
    assert_eq!(world.run(&format!("show {id} --json")).json()["connection"]["id"], *id);
    let missing = world.run("show ffffffff-1");
    assert_eq!((missing.code, &*missing.out), (1, ""));
    assert!(missing.error.contains("ffffffff-1"), "{}", missing.error);
}

#[test]
fn trace_follows_a_connection_until_it_ends() {
    let world = World::new();
    let client = client(world.web);
    let id = world.ids("").remove(0);
    let mut tracing =
        command(&world.outer.socket, &format!("trace {id}")).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(tracing.stdout.take().unwrap()).lines();
    let seen = lines.next().unwrap().unwrap();
    assert!(seen.contains("s  seen      in relay"), "{seen}");
    drop(client);
    let gone = lines.map(Result::unwrap).last().unwrap();
    assert!(gone.contains("s  gone "), "{gone}");
    assert_eq!(tracing.wait().unwrap().code(), Some(0));
    let missing = world.run(&format!("trace {id}"));
    assert_eq!(missing.code, 1, "{missing:?}");
}

#[test]
fn audit_looks_now_and_says_that_all_agrees() {
    let world = World::new();
    let _client = client(world.web);
    let told = world.run("audit").fine();
    assert!(told.starts_with("clean: 1 entry, "), "{told}");
    assert!(told.contains("\n  zombies         0\n"), "{told}");
    assert_eq!(world.run("audit --json").json()["entries"], 1);
    assert_eq!(world.run("audit --last --json").json()["clean"], true);
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let world = World::new();
    let _client = client(world.web);
    for line in ["conns", "status", "audit", "conns --json"] {
        let mut child =
            command(&world.outer.socket, line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let done = child.wait_with_output().unwrap();
        assert_eq!((done.status.code(), &*done.stderr), (Some(0), &b""[..]), "{line}");
    }
}

#[test]
fn routes_and_limits_are_listed() {
    let world = World::new();
    let _client = client(world.web);
    let routes = world.run("routes").fine();
    let line = |start: &str| routes.lines().find(|line| line.starts_with(start)).unwrap().split_whitespace();
    assert_eq!(
        line("web ").take(6).collect::<Vec<_>>(),
        ["web", "1", "0", "1", "0", line("web ").nth(5).unwrap()]
    );
    assert!(routes.contains(&format!("→ {}", world.inner_at)), "{routes}");
    assert_eq!(world.run("routes --json").json().as_array().unwrap().len(), 3);
    let limits = world.run("limits").fine();
    assert!(limits.lines().any(|line| line.starts_with("all connections  ")), "{limits}");
    assert!(world.run("limits --json").json().is_array());
}

#[test]
fn over_tcp_a_token_is_brought_and_its_lack_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "a-token-of-many-letters\n").unwrap();
    std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let (admin, port) = (free_port(), free_port());
    let hop = Hop::start_with(
        dir.path(),
        "lone",
        &format!("listen = \"127.0.0.1:{admin}\"\ntoken_file = \"{}\"\n", token.display()),
        &format!(
            "[[routes]]\nname = \"web\"\nmatch = {{ ports = [{port}] }}\naction = {{ forward = [\"127.0.0.1:1\"] }}\n"
        ),
    );
    let by = |more: &str| run(&hop.socket, &format!("kill --all --socket http://127.0.0.1:{admin} {more}"));
    assert_eq!(
        by(&format!("--token-file {}", token.display())).fine(),
        "no connection matches: all connections\n"
    );
    let without = by("");
    assert_eq!((without.code, &*without.out), (1, ""));
    assert!(without.error.contains("say where the token is with --token-file FILE"), "{}", without.error);
}

#[test]
fn top_wants_a_terminal() {
    let world = World::new();
    let said = world.run("top");
    assert_eq!((said.code, &*said.out), (2, ""));
    assert!(said.error.contains("top needs a terminal"), "{}", said.error);
}
