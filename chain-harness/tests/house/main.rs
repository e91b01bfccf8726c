//! The house: which file may use which, which crate which, and the few places where some things are done.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed assumption of a test is its failure"
)]
#![expect(clippy::wildcard_enum_match_arm, reason = "of a language's many forms a few matter here")]

mod graph;
mod kept;
mod places;
mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use graph::Graph;
use kept::KEPT;
use sources::{Tree, members, workspace};

/// A circle as it is told: each arrow in it.
fn told(graph: &Graph, circle: &BTreeSet<PathBuf>) -> String {
    let arrows = circle.iter().flat_map(|file| graph.arrows[file].iter().map(move |to| (file, to)));
    let within = arrows.filter(|(_, to)| circle.contains(*to));
    within.map(|(file, to)| format!("  {} -> {}\n", file.display(), to.display())).collect()
}

fn is_kept(circle: &BTreeSet<PathBuf>) -> bool {
    KEPT.iter().any(|(folder, files, _)| {
        let files: BTreeSet<PathBuf> = files.iter().map(|file| Path::new(folder).join(file)).collect();
        circle.is_subset(&files)
    })
}

#[test]
fn no_files_use_each_other_in_a_circle_but_those_that_are_kept_for_a_reason() {
    let mut circles = Vec::new();
    for tree in members().iter().flat_map(|member| Tree::of_crate(member)) {
        let graph = tree.graph();
        let new = graph.circles().into_iter().filter(|circle| !is_kept(circle));
        circles.extend(new.map(|circle| told(&graph, &circle)));
    }
    assert!(
        circles.is_empty(),
        "{} circles that kept.rs has no reason for:\n{}",
        circles.len(),
        circles.join("\n")
    );
}

#[test]
fn what_is_kept_is_there_and_says_why() {
    for (folder, files, reason) in KEPT {
        assert!(reason.split_whitespace().count() > 5, "{folder}: {reason}");
        for file in *files {
            assert!(workspace().join(folder).join(file).exists(), "{folder}/{file} is not there any more");
        }
    }
}

/// The crates, the lowest first: each may use those before it.
const ORDER: [&str; 15] = [
    "proxy-values",
    "proxy-core",
    "proxy-conn",
    "proxy-route",
    "proxy-upstream",
    "proxy-tls",
    "proxy-acme",
    "proxy-http",
    "proxy-observe",
    "proxy-dataplane",
    "proxy-api",
    "proxy-cli",
    "proxy-bin",
    "chain-harness",
    "benches",
];

/// What a manifest depends on, tests apart.
fn dependencies(manifest: &str) -> Vec<&str> {
    let sections = manifest.split("\n[").filter(|section| section.starts_with("dependencies]"));
    let lines = sections.flat_map(str::lines).skip(1);
    lines.filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|name| !name.is_empty()).collect()
}

/// The arrows between crates that do not lead downwards.
fn climbing(member: &str, manifest: &str) -> Vec<String> {
    let floor = |name: &str| ORDER.iter().position(|crate_| *crate_ == name);
    let own = floor(member).unwrap_or_else(|| panic!("{member} has no place in ORDER yet"));
    let used =
        dependencies(manifest).into_iter().filter(|used| floor(used).is_some_and(|floor| floor >= own));
    used.map(|used| format!("{member} -> {used}")).collect()
}

#[test]
fn crates_use_only_those_below_them() {
    for member in members() {
        let manifest = fs::read_to_string(workspace().join(&member).join("Cargo.toml")).unwrap();
        assert_eq!(climbing(&member, &manifest), [""; 0]);
    }
}

#[test]
fn an_arrow_that_climbs_is_found() {
    let manifest = "[package]\nname = \"x\"\n\n[dependencies]\nproxy-bin.workspace = true\nproxy-core = { workspace = true }\n\n[dev-dependencies]\nbenches.workspace = true\n";
    assert_eq!(climbing("proxy-conn", manifest), ["proxy-conn -> proxy-bin"]);
    assert_eq!(dependencies(manifest), ["proxy-bin", "proxy-core"]);
}

/// The crates that connections pass through.
const DATA_PLANE: [&str; 9] = [
    "proxy-values",
    "proxy-core",
    "proxy-conn",
    "proxy-route",
    "proxy-upstream",
    "proxy-tls",
    "proxy-http",
    "proxy-observe",
    "proxy-dataplane",
];

#[test]
fn one_file_connects() {
    let all = [&DATA_PLANE[..], &["proxy-acme", "proxy-api", "proxy-cli", "proxy-bin"]].concat();
    let inside = places::callers(&all, &["connect"]);
    // The race calls a function of its own by that name; names ask by a datagram socket, which sends nothing, whether a family of
    // addresses can be reached.
    // What has TLS spoken over it is connected already.
    let expected = [
        "proxy-core/src/dial/open.rs",
        "proxy-core/src/dial/race.rs",
        "proxy-core/src/resolve/dns.rs",
        "proxy-dataplane/src/connection/tls/backend.rs",
        "proxy-acme/src/http.rs",
    ];
    assert_eq!(inside, expected, "only proxy-core's dialler connects, with a deadline");
}

#[test]
fn one_file_spawns_connections_and_few_spawn_at_all() {
    let spawning = places::callers(&DATA_PLANE, &["spawn", "spawn_local", "spawn_on"]);
    let expected = [
        // The asking of a reactor, and look-ups with the threads that they wait on.
        "proxy-core/src/reactor.rs",
        "proxy-core/src/resolve/lookups.rs",
        "proxy-core/src/resolve.rs",
        // The owners of connections to backends that are kept.
        "proxy-http/src/pool.rs",
        // The one place for connections.
        "proxy-dataplane/src/accept.rs",
        // The end of a drain that a member's check has begun.
        "proxy-dataplane/src/checks.rs",
        // That of one that a removed member has.
        "proxy-dataplane/src/departures.rs",
        // The accept loops, the watch, the audit and recovery, and the workers' threads.
        "proxy-dataplane/src/listeners.rs",
        "proxy-dataplane/src/server.rs",
        "proxy-dataplane/src/workers.rs",
    ];
    assert_eq!(spawning, expected);
}

#[test]
fn one_drop_ends_a_connection() {
    let dropped = places::dropped("proxy-conn");
    let ending: Vec<_> =
        dropped.iter().filter(|name| name.contains("Guard") || name.contains("Conn")).collect();
    assert_eq!(ending, ["ConnGuard"], "of {dropped:?}");
    let closing = places::callers(&["proxy-conn"], &["close"]);
    // A breaker closes, too.
    let closing: Vec<_> = closing.iter().filter(|file| !file.contains("/breaker")).collect();
    assert_eq!(closing, ["proxy-conn/src/guard.rs"], "an entry leaves the table there alone");
}

/// A tree of modules with these texts.
fn planted(modules: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::default();
    for (name, text) in modules {
        let items = syn::parse_file(text).unwrap().items;
        let path: Vec<String> = name.split("::").map(str::to_owned).collect();
        let file = PathBuf::from(format!("{}.rs", path[1..].join("/")));
        tree.take(path, &file, Path::new(""), &items);
    }
    tree
}

fn circles(modules: &[(&str, &str)]) -> Vec<Vec<String>> {
    let circles = planted(modules).graph().circles().into_iter();
    circles.map(|circle| circle.iter().map(|file| file.display().to_string()).collect()).collect()
}

#[test]
fn a_planted_circle_is_found_however_its_files_name_each_other() {
    let a = ("crate::a", "use super::b::{self, B};\npub struct A(B);");
    for b in [
        "use crate::a::A; pub struct B(A);",
        "pub struct B(super::a::A);",
        "use super::*; pub struct B(a::A);",
        "pub struct B; fn f() { println!(\"{}\", crate::a::A::new()) }",
        "use crate::A as Other; pub struct B(Other);",
    ] {
        let root = ("crate", "pub use a::A; pub struct Root;");
        assert_eq!(circles(&[root, a, ("crate::b", b)]), [["a.rs", "b.rs"]], "{b}");
    }
    let long = [
        ("crate", ""),
        ("crate::a", "use crate::b::B; pub struct A(B);"),
        ("crate::b", "use crate::c::C; pub struct B(C);"),
        ("crate::c", "use crate::a::A; pub struct C(A);"),
    ];
    assert_eq!(circles(&long), [["a.rs", "b.rs", "c.rs"]]);
}

#[test]
fn what_is_no_circle_is_none() {
    let none: [Vec<String>; 0] = [];
    let parent = ("crate::p", "pub use c::Child; pub struct Parent(c::Child);");
    let family = [("crate", ""), parent, ("crate::p::c", "pub struct Child(Vec<super::Parent>);")];
    assert_eq!(circles(&family), none, "a parent with a child of its own");
    let tests = ("crate::b", "pub struct B; #[cfg(test)] mod tests { use crate::a::A; fn f(_: A) {} }");
    assert_eq!(circles(&[("crate", ""), ("crate::a", "use crate::b::B; pub struct A(B);"), tests]), none);
    // Children that use each other are no family.
    let siblings = [
        ("crate", ""),
        ("crate::p", "pub struct Parent(c::C);"),
        ("crate::p::c", "use super::d::D; pub struct C(D);"),
        ("crate::p::d", "use super::c::C; pub struct D(C);"),
    ];
    assert_eq!(circles(&siblings), [["p/c.rs", "p/d.rs"]]);
}
