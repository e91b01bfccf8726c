//! What a process holds of descriptors whoever comes or goes is what is planned for it, whatever its configuration asks for.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use proxy_bin::config::Config;
use proxy_dataplane::descriptors::{Needs, attainable, reserve_of_the_api};
use tempfile::TempDir;

use crate::PATIENCE;
use crate::running::{BINARY, Running};

const ROUTES: &str = "[[listeners]]\nbind = [\"127.0.0.1\", \"127.0.0.2\"]\n[[routes]]\nname = \"only\"\n\
    match = { ports = [PORT] }\naction = { forward = [\"BACKEND\"] }\n";

/// Everything that takes descriptors, each by itself and all together.
const ASKED_FOR: [&str; 7] = [
    "",
    "admin = { socket = \"DIR/admin.sock\" }\n",
    "admin = { listen = \"127.0.0.1:0\" }\n",
    "log.access = { file = \"DIR/access.log\" }\n",
    "reload.watch = true\n",
    "limits.max_memory = \"256MiB\"\n",
    "admin = { socket = \"DIR/admin.sock\", listen = \"127.0.0.1:0\", token_file = \"TOKEN\" }\n\
     log.access = { file = \"DIR/access.log\" }\nreload.watch = true\nlimits.max_memory = \"256MiB\"\n",
];

/// A configuration that asks for this, and what it is planned to keep.
fn asking_for(what: &str, token: &Path) -> (String, Needs) {
    let config = format!("workers = 2\n{what}{ROUTES}").replace("TOKEN", &token.to_string_lossy());
    let filled = config.replace("PORT", "4").replace("BACKEND", "127.0.0.1:9").replace("DIR", "/run");
    let needs = Needs::of(&Config::parse(&filled, "test.toml").unwrap().settings);
    (config, needs)
}

fn token() -> (TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).unwrap();
    file.write_all(b"a-token-of-26-characters..").unwrap();
    (dir, path)
}

fn held_by(id: u32) -> usize {
    fs::read_dir(format!("/proc/{id}/fd")).unwrap().count()
}

/// What every child of this process is given, beside its standard streams.
fn inherited() -> usize {
    let mut cat = Command::new("cat");
    let mut child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // Once it answers, it has loaded what it needs.
    child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let held = held_by(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    held - 3
}

#[test]
fn what_is_held_is_what_is_planned() {
    let (inherited, (_dir, token)) = (inherited(), token());
    for what in ASKED_FOR {
        let (config, needs) = asking_for(what, &token);
        let proxy = Running::start(&config);
        let api = if what.contains("admin") { reserve_of_the_api(attainable()) + 1 } else { 0 };
        let planned = usize::try_from(needs.kept()).unwrap() + api + inherited;
        let mut held = 0;
        let until = std::time::Instant::now() + PATIENCE;
        while held != planned && std::time::Instant::now() < until {
            held = held_by(proxy.id());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert_eq!(held, planned, "{what}: {needs}");
    }
}

/// Of a small limit, too: whoever there is said to be room for is served, the admin API's own descriptors notwithstanding.
#[test]
fn there_is_room_for_as_many_as_is_said() {
    const DESCRIPTORS: u64 = 96;
    let (_dir, token) = token();
    let (config, needs) = asking_for(ASKED_FOR[6], &token);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\""), BINARY]);
    let proxy = Running::start_by(shell, &config).standing();
    let room = needs.room(DESCRIPTORS);
    assert!(room > 10, "{room}: {needs}");
    let mut clients: Vec<_> = (0..room).map(|_| TcpStream::connect(proxy.addr()).unwrap()).collect();
    for client in &mut clients {
        client.write_all(b"hello").unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = [0; 5];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");
    }
}
