//! What the commands say where there is no proxy to talk to, and what they say of themselves. After a change:
//! `TRYCMD=overwrite cargo test -p proxy-bin --test cli_cases`, and look at the difference.

#![expect(clippy::unwrap_used, reason = "a failed assumption of a test is its failure")]

use std::process::{Command, Stdio};

#[test]
fn what_is_said_without_a_proxy() {
    trycmd::TestCases::new()
        .env("XDG_RUNTIME_DIR", "/nonexistent")
        .env("COLUMNS", "100")
        .case("tests/cli_cases/*.trycmd");
}

/// The exit code of a command whose standard output and standard error are read by nobody any more.
fn unread(arguments: &[&str]) -> Option<i32> {
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_smartproxy"));
    command.args(arguments).stdin(Stdio::null()).stdout(closed()).stderr(closed());
    command.status().unwrap().code()
}

#[test]
fn a_reader_who_has_had_enough_changes_no_exit_code() {
    let good = format!("{}/../config/one-port.toml", env!("CARGO_MANIFEST_DIR"));
    for (arguments, code) in [
        (vec!["check", &good], 0),
        (vec!["check", &good, "/nonexistent/proxy.toml"], 1),
        (vec!["check", "-", "-"], 2),
        (vec!["run", "/nonexistent/proxy.toml"], 1),
        (vec!["schema"], 0),
        (vec!["man"], 0),
        (vec!["completions", "bash"], 0),
        (vec!["--help"], 0),
        (vec!["nosuch"], 2),
        (vec!["status", "--socket", "/nonexistent/admin.sock"], 5),
    ] {
        assert_eq!(unread(&arguments), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_full_disk_is_said() {
    for arguments in [vec!["schema"], vec!["man"], vec!["completions", "bash"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_smartproxy"));
        let output = command.args(&arguments).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let output = output.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.starts_with("smartproxy: cannot write to standard output: No space left"), "{said}");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    }
}

/// The exit code of `check`, and its lines that have no place in a file.
fn verdict(arguments: &[&str]) -> (Option<i32>, Vec<String>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smartproxy"));
    let output = command.arg("check").args(arguments).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let lines =
        said.lines().filter(|line| line.contains(": fine") || line.contains("warning")).map(str::to_owned);
    (output.status.code(), lines.collect())
}

#[test]
fn a_warning_is_no_error_unless_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, before: &str| {
        let path = dir.path().join(name);
        let route = "[[routes]]\nname = \"web\"\nmatch = { ports = [8080] }\naction = { forward = [\"127.0.0.1:3000\"] }\n";
        std::fs::write(&path, format!("{before}{route}")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = file("good.toml", "");
    let foreign = file("foreign.toml", "[[listeners]]\nbind = [\"192.0.2.1\"]\n");
    for strict in [&["--strict"][..], &[]] {
        let with = |file| [strict, &[file]].concat();
        let (code, lines) = verdict(&with(&good));
        assert_eq!((code, lines.len()), (Some(0), 1), "{lines:?}");
        let (code, lines) = verdict(&with(&foreign));
        assert_eq!(code, Some(i32::from(!strict.is_empty())), "{lines:?}");
        let cannot =
            "warning: cannot listen on 192.0.2.1:8080: Cannot assign requested address (os error 99)";
        assert!(lines.iter().any(|line| line == cannot), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("foreign.toml: no error, 1 warning (")), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains(": fine")), "{lines:?}");
    }
}

#[test]
fn a_command_line_that_lacks_the_file_is_a_wrong_one() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smartproxy"));
    let output = command.arg("run").env_remove("SMARTPROXY_CONFIG").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// What `check` says of two of the shipped files together, and whether that is a warning.
fn checked(files: [&str; 2]) -> (String, bool) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smartproxy"));
    command.current_dir(format!("{}/../config", env!("CARGO_MANIFEST_DIR"))).arg("check").args(files);
    let output = command.output().unwrap();
    assert!(output.status.success());
    let of_both = |said: Vec<u8>| {
        let said = String::from_utf8(said).unwrap();
        said.lines().find(|line| line.contains(" -> ")).map(str::to_owned)
    };
    match of_both(output.stderr) {
        Some(warning) => (warning, true),
        None => (of_both(output.stdout).unwrap_or_default(), false),
    }
}

#[test]
fn the_hops_of_the_shipped_chain_fit_each_other() {
    assert_eq!(
        checked(["chain-outer.toml", "chain-inner.toml"]),
        ("chain-outer.toml -> chain-inner.toml: 1 route, which fit".to_owned(), false)
    );
    assert_eq!(
        checked(["chain-inner.toml", "chain-outer.toml"]),
        ("warning: chain-inner.toml -> chain-outer.toml: the other way round they fit, the client's side first: chain-outer.toml chain-inner.toml".to_owned(), true)
    );
    assert_eq!(
        checked(["chain-outer.toml", "sni-routing.toml"]),
        (
            "warning: chain-outer.toml -> sni-routing.toml: no route leads there, as far as the files show: routes lead to 127.0.0.1:8002, and it listens on *:8443"
                .to_owned(),
            true
        )
    );
}
