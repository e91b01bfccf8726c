//! A configuration that a process can have is one that it can start with: check, start and reload say the same of it.

use std::fmt::Write as _;
use std::process::{Command, Output};

use chain_harness::{Backend, PATIENCE, Smartproxy, Wire, eventually};

/// Two workers listen on each address with a socket of their own.
const ADDRESSES: usize = 60;

/// As many as these addresses take, what two workers and the process itself need, and a few for a connection.
const FITS: u64 = 2 * ADDRESSES as u64 + 23 + 8;

fn listening_on(addresses: usize, backend: &Backend) -> String {
    let mut binds = String::new();
    for n in 1..=addresses {
        write!(binds, "\"127.0.1.{n}\", ").expect("there is room");
    }
    let listener = format!("[[listeners]]\nbind = [\"127.0.0.1\", {binds}]\n");
    let route = "[[routes]]\nname = \"only\"\nmatch = { ports = [PORT_A] }\n";
    format!("workers = 2\n{listener}{route}action = {{ forward = [\"{}\"] }}\n", backend.addr())
}

fn with_descriptors(descriptors: u64, command: &str, config: &str) -> Output {
    let dir = tempfile::tempdir().expect("there is room for a file");
    let file = dir.path().join("proxy.toml");
    std::fs::write(&file, config.replace("PORT_A", "4")).expect("there is room for a file");
    let mut shell = Command::new("sh");
    let binary = Smartproxy::command().get_program().to_owned();
    shell.args(["-c", &format!("ulimit -n {descriptors} && exec \"$@\""), "sh"]).arg(binary).arg(command);
    let flag = if command == "run" { Some("-c") } else { None };
    shell.args(flag).arg(file).output().expect("there is a shell")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn all_that_is_kept_is_all_that_a_start_takes() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let config = listening_on(ADDRESSES - 1, &backend);
        let checked = with_descriptors(FITS, "check", &config);
        assert!(checked.status.success(), "{}", said(&checked));
        assert!(said(&checked).contains(" only, since"), "room for few is said: {}", said(&checked));
        let proxy = Smartproxy::run_with_descriptors(FITS, &config).await;
        let mut client = Wire::connect(proxy.addr()).await;
        client.send("hello").await;
        client.expect("hello").await;
        // Whatever it had to open for a moment, and has for good, is nothing that clients would have to go for.
        let output = proxy.process.output();
        assert!(!output.contains("overload:") && output.contains(" only, since"), "{output}");
        drop(client);
        proxy.settles_within(PATIENCE).await;
    });
}

#[test]
fn what_does_not_fit_is_refused_alike_by_check_start_and_reload() {
    Smartproxy::scenario(async {
        let backend = Backend::echo();
        let (fits, too_many) = (listening_on(ADDRESSES - 1, &backend), listening_on(ADDRESSES, &backend));
        let why = "listening takes 122 descriptors (addresses: 61, workers: 2), the process itself 23";
        for command in ["check", "run"] {
            let refused = with_descriptors(FITS, command, &too_many);
            assert_eq!(refused.status.code(), Some(1), "{command}: {}", said(&refused));
            assert!(said(&refused).contains(why), "{command}: {}", said(&refused));
        }
        let proxy = Smartproxy::run_with_descriptors(FITS, &fits).await;
        proxy.rewrite(&too_many);
        proxy.process.hang_up();
        proxy.process.says("not reloaded").await;
        assert!(proxy.process.output().contains(why), "{}", proxy.process.output());
        // The place of the other one is as good as taken: with fewer it is taken.
        proxy.rewrite(&listening_on(1, &backend));
        proxy.process.hang_up();
        proxy.process.says("reloaded: the new configuration").await;
        eventually(PATIENCE, || proxy.process.descriptors() < ADDRESSES).await;
        proxy.rewrite(&fits);
        proxy.process.hang_up();
        eventually(PATIENCE, || proxy.process.descriptors() > 2 * ADDRESSES).await;
    });
}
