//! The embedded chain is found without a word: by whoever started it, and by nobody who should not be believed.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::eventually;
use crate::world::{BINARY, Said};

/// `smartproxy demo` of a user whose runtime folder is a folder of the test's own. Dropped, it is killed.
struct Demo(Child);

impl Demo {
    fn start(runtime_dir: &Path) -> Self {
        let mut command = said_by(runtime_dir, "demo");
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// The same, with what it says first of what is wrong, and what it says is to be tried.
    fn telling(runtime_dir: &Path) -> (Self, [String; 2]) {
        let mut command = said_by(runtime_dir, "demo");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, error) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let demo = Self(child);
        let mut first = String::new();
        BufReader::new(error).read_line(&mut first).unwrap();
        let mut lines = BufReader::new(out).lines().map_while(Result::ok);
        let tried = lines.find(|line| line.starts_with("try: curl")).unwrap_or_default();
        (demo, [first, tried])
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Both fail only for a child that has gone already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn said_by(runtime_dir: &Path, line: &str) -> Command {
    let mut command = Command::new(BINARY);
    command.args(line.split_whitespace()).stdin(Stdio::null());
    command.env("XDG_RUNTIME_DIR", runtime_dir).env_remove("SMARTPROXY_SOCKET");
    command
}

fn run(runtime_dir: &Path, line: &str) -> Said {
    said_by(runtime_dir, line).output().unwrap().into()
}

/// Somebody has its folder: the chain is there, and the dashboard.
#[test]
fn a_demo_without_a_folder_for_its_sockets_runs_without_them() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("smartproxy");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let (_demo, [error, tried]) = Demo::telling(dir.path());
    assert!(
        error.starts_with("smartproxy: no admin sockets") && error.contains("of this user alone"),
        "{error}"
    );
    assert!(tried.contains("curl http://127.0.0.1:"), "{tried}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn a_demo_is_found_by_status_and_chain_without_a_flag() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = run(dir.path(), "status");
    assert_eq!(nobody.code, 5, "{}", nobody.error);
    assert!(
        nobody.error.contains("no admin socket found") && nobody.error.contains("demo-*"),
        "{}",
        nobody.error
    );
    assert_eq!(run(dir.path(), "chain").code, 5);
    let demo = Demo::start(dir.path());
    eventually("it is found", || (run(dir.path(), "status").code == 0).then_some(()));
    assert_eq!(run(dir.path(), "status --json").json()["name"], "outer");
    eventually("both hops are", || {
        let chain = run(dir.path(), "chain");
        (chain.code == 0 && chain.out.starts_with("outer 0, inner 0")).then_some(())
    });
    let second = Demo::start(dir.path());
    eventually("it is not guessed which of two", || {
        let status = run(dir.path(), "status");
        (status.code == 2 && status.error.contains("several embedded chains run")).then_some(())
    });
    assert_eq!(run(dir.path(), "chain").code, 2);
    // It was killed: what it leaves behind leads nobody astray.
    drop(demo);
    assert_eq!(run(dir.path(), "status --json").json()["name"], "outer");
    drop(second);
    assert_eq!(run(dir.path(), "status").code, 5);
}
