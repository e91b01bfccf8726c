//! A start that finds no descriptor at some point, whichever: it says so and goes, or it runs.

use std::io::Read as _;
use std::process::{Command, Stdio};

use crate::eventually;
use crate::running::BINARY;

/// Below so many not even the program's own libraries are loaded.
const FEWEST: u32 = 4;
/// With so many it runs, of both kinds.
const ENOUGH: u32 = 72;

/// What is said with so many descriptors, and the exit code; None where it runs.
fn start_with(descriptors: u32, words: &str, runtime_dir: &std::path::Path) -> Option<(i32, String)> {
    let script = format!("ulimit -n {descriptors}; exec \"$0\" {words}");
    let mut command = Command::new("sh");
    command.args(["-c", &script, BINARY]).env("XDG_RUNTIME_DIR", runtime_dir).env_remove("SMARTPROXY_CONFIG");
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Whichever comes first: it ends, or it says where to try it.
    let mut out = child.stdout.take().unwrap();
    let mut said = Vec::new();
    let mut piece = [0; 1024];
    while let Ok(read) = out.read(&mut piece)
        && read > 0
    {
        said.extend_from_slice(&piece[..read]);
        if String::from_utf8_lossy(&said).contains("try: curl") {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
    }
    let mut status = None;
    eventually("it goes", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    Some((status.unwrap().code().unwrap_or(-1), error))
}

#[test]
fn a_demo_that_cannot_start_says_why_and_never_panics() {
    let dir = tempfile::tempdir().unwrap();
    let mut refused = 0;
    for descriptors in FEWEST..ENOUGH {
        let Some((code, said)) = start_with(descriptors, "demo", dir.path()) else { continue };
        refused += 1;
        // 127: the loader found none for a library.
        assert!([1, 127].contains(&code), "with {descriptors}: exit code {code}\n{said}");
        assert!(!said.contains("panicked"), "with {descriptors}: {said}");
        assert!(!said.trim().is_empty());
    }
    assert!(refused > 20, "only {refused} were refused");
    assert!(start_with(ENOUGH * 4, "demo", dir.path()).is_none());
}
