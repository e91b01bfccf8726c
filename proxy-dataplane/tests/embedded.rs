//! The example runs, and does what it says.

use std::process::Command;

/// Cargo builds a package's examples with its tests, into the folder beside theirs.
#[test]
fn the_example_changes_lists_kills_and_stops() {
    let tests = std::env::current_exe().unwrap();
    let example = tests.parent().and_then(|deps| deps.parent()).unwrap().join("examples/embed");
    let ran = Command::new(example).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let said = String::from_utf8(ran.stdout).unwrap();
    let reads: Vec<_> =
        said.lines().filter_map(|line| line.split_once("reads: ")).map(|(_, what)| what).collect();
    assert_eq!(reads, ["red", "blue", "green"]);
    let count = |what: &str| said.lines().filter(|line| line.contains(what)).count();
    assert_eq!([count(" open: "), count("killed: true"), count("killed: false")], [3, 1, 2], "{said}");
    assert!(said.contains("it sees: Err(ConnectionReset)") && said.ends_with("Ended(2)\n"), "{said}");
}
