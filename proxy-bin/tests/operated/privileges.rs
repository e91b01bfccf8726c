//! Who the process is once it serves. What needs root to begin with is only seen where the tests are run by root.

use std::process::Command;

use rustix::process::Signal;

use crate::eventually;
use crate::running::{BINARY, Running};

const CONFIG: &str = r#"
workers = 2
[log]
access = { file = "DIR/access.log" }
[audit]
interval = "100ms"
[process]
PROCESS
[admin]
socket = "DIR/admin.sock"
[[listeners]]
bind = ["127.0.0.1"]
[[routes]]
name = "web"
match = { ports = [PORT] }
action = { forward = ["BACKEND"] }
"#;

/// The lowest port that anybody may have.
fn lowest_free_for_all() -> u16 {
    let start = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    start.trim().parse().unwrap()
}

fn start(process: &str) -> Running {
    Running::start_by(Command::new(BINARY), &CONFIG.replace("PROCESS", process))
}

/// A line of `/proc/PID/status`, for each of the process's threads.
fn of_each_thread(pid: u32, key: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let status = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap());
    let line = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    status.map(line).collect()
}

#[test]
fn a_user_that_is_not_there_refuses_the_start() {
    let mut proxy = start("user = \"no-such-user\"");
    assert_eq!(proxy.exit_code(), 1);
    proxy.says("error: [process] user = \"no-such-user\": there is no such user on this machine");
}

#[test]
fn root_becomes_somebody_else_for_good_and_goes_on_watching_itself() {
    if !rustix::process::geteuid().is_root() {
        let mut proxy = start("user = \"daemon\"");
        assert_eq!(proxy.exit_code(), 1);
        proxy.says("needs root to begin with");
        return;
    }
    let mut proxy = start("user = \"65534\"\ngroup = \"65534\"").standing();
    assert_eq!(
        of_each_thread(proxy.id(), "Uid:").iter().filter(|ids| *ids != "65534 65534 65534 65534").count(),
        0
    );
    assert_eq!(
        of_each_thread(proxy.id(), "Gid:").iter().filter(|ids| *ids != "65534 65534 65534 65534").count(),
        0
    );
    let capabilities = of_each_thread(proxy.id(), "CapEff:");
    assert!(
        capabilities.len() >= 4 && capabilities.iter().all(|set| set == "0000000000000000"),
        "{capabilities:?}"
    );
    for (key, value) in
        [("NoNewPrivs:", "1"), ("CapBnd:", "0000000000000000"), ("CapPrm:", "0000000000000000")]
    {
        let each = of_each_thread(proxy.id(), key);
        assert!(each.iter().all(|one| one == value), "{key} {each:?}");
    }
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", proxy.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    // Its own descriptors and sockets can still be looked at: the audit is not blind.
    proxy.converse();
    let audited = || {
        let mut stream =
            std::os::unix::net::UnixStream::connect(proxy.dir.path().join("admin.sock")).unwrap();
        let request = b"GET /v1/audit HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        std::io::Write::write_all(&mut stream, request).unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        serde_json::from_str::<serde_json::Value>(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    eventually("it has audited itself", || audited()["ago_s"].is_number());
    let audit = audited();
    assert_eq!((&audit["clean"], &audit["blind"]), (&true.into(), &serde_json::Value::Null), "{audit:#}");
    // Its log is its own.
    let log = proxy.dir.path().join("access.log");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(log).unwrap()), 65534);
    let socket = proxy.dir.path().join("admin.sock");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(socket).unwrap()), 65534);
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.exit_code(), 0, "{}", proxy.output());
}

/// What was bound as root goes on to the new process, which never was root; what was not cannot be had any more.
#[test]
fn ports_are_handed_over_and_new_low_ones_are_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut proxy = start("user = \"65534\"\ngroup = \"65534\"").standing();
    // The user has to get at its own files.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(proxy.dir.path(), open).unwrap();
    if lowest_free_for_all() > 1 {
        let low = format!(
            "{}\n[[routes]]\nname = \"low\"\nmatch = {{ ports = [1] }}\naction = {{ forward = [\"127.0.0.1:9\"] }}\n",
            proxy.read("proxy.toml")
        );
        let good = proxy.read("proxy.toml");
        std::fs::write(proxy.dir.path().join("proxy.toml"), low).unwrap();
        proxy.signal(Signal::HUP);
        proxy.says("not reloaded, nothing has changed: cannot listen on 127.0.0.1:1: Permission denied");
        proxy.says("ports below 1024 need root");
        std::fs::write(proxy.dir.path().join("proxy.toml"), good).unwrap();
    }
    proxy.signal(Signal::USR2);
    assert_eq!(proxy.exit_code(), 0, "{}", proxy.output());
    proxy.says("the new process serves; this one finishes what it has pid=");
    let output = proxy.output();
    let pid = output.split("finishes what it has pid=").nth(1).unwrap().lines().next().unwrap();
    let pid: u32 = pid.parse().unwrap();
    assert!(of_each_thread(pid, "Uid:").iter().all(|ids| ids == "65534 65534 65534 65534"));
    proxy.converse();
    let heir = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(heir, Signal::TERM).unwrap();
    eventually("it goes", || rustix::process::test_kill_process(heir).is_err());
}

/// Where the folder is the user's, what is in it may be too: a link there has root open nothing that the user could not.
#[test]
fn a_link_in_the_users_folder_gives_no_file_of_roots_away() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    use std::os::unix::fs::{MetadataExt as _, chown, symlink};
    let (precious, folder) = (tempfile::NamedTempFile::new().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(precious.path(), "precious").unwrap();
    let logs = folder.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    let anybody = || std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), anybody()).unwrap();
    chown(&logs, Some(65534), Some(65534)).unwrap();
    let secret = tempfile::tempdir().unwrap();
    symlink(precious.path(), logs.join("access.log")).unwrap();
    symlink(secret.path(), logs.join("sub")).unwrap();
    for log in ["access.log", "sub/access.log"] {
        let log = CONFIG.replace("DIR/access.log", &logs.join(log).to_string_lossy());
        let config = log.replace("PROCESS", "user = \"65534\"\ngroup = \"65534\"");
        let mut proxy = Running::start_by(Command::new(BINARY), &config);
        assert_eq!(proxy.exit_code(), 1);
        proxy.says("its path leads through a link, which root does not follow for another user");
    }
    assert_eq!(std::fs::read_to_string(precious.path()).unwrap(), "precious");
    assert_eq!(std::fs::metadata(precious.path()).unwrap().uid(), 0);
    assert_eq!(std::fs::read_dir(secret.path()).unwrap().count(), 0, "nothing was made there");
    // One that leads where the user may write is followed, and the log is the user's from the start.
    let own = logs.join("own.log");
    symlink(logs.join("real.log"), &own).unwrap();
    let log = CONFIG.replace("DIR/access.log", &own.to_string_lossy());
    let proxy = Running::start_by(
        Command::new(BINARY),
        &log.replace("PROCESS", "user = \"65534\"\ngroup = \"65534\""),
    );
    proxy.says("running");
    assert_eq!(std::fs::metadata(logs.join("real.log")).unwrap().uid(), 65534);
}
