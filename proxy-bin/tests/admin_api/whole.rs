//! What only a program can do: change its own log, hand over to another process, stop.

use std::io::{Read, Write};
use std::net::TcpStream;

use proxy_api::model::{LogStatus, Status, Upgrade};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::PATIENCE;
use crate::eventually;
use crate::http::{At, Reply};
use crate::program::Program;
use crate::schema::fault;

const DESCRIPTORS: u32 = 1024;
const JSON: &[&str] = &["content-type: application/json"];

/// Asks as the description says, and sees that the answer is as it says.
fn described(at: &At, method: &str, path: &str, body: &str) -> Reply {
    let document = at.get("/v1/openapi.json").json();
    let reply = at.ask(&method.to_uppercase(), path, JSON, body);
    let operation = &document["paths"][path][method];
    let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{method} {path} is not described");
    assert_eq!((reply.status, fault(&reply.json(), schema, &document)), (200, None), "{reply:?}");
    reply
}

fn is_served(program: &Program) {
    let mut client = TcpStream::connect(program.addr).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"hello").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
}

#[test]
fn the_level_of_the_log_is_in_force_at_once() {
    let program = Program::start("", DESCRIPTORS).running();
    let [on_unix, on_tcp] = program.both();
    let level = |at: &At, level: &str| {
        let body = format!("{{\"level\":\"{level}\"}}");
        let told: LogStatus = described(at, "put", "/v1/log", &body).says();
        assert_eq!((told.level.as_str(), told.lost_total), (level, 0));
        assert_eq!(on_unix.get("/v1/log").says::<LogStatus>(), told);
    };
    let ends = || program.log().lines().filter(|line| line.contains("connection ended")).count();
    eventually("the look whether it listens is logged", || ends() == 1);
    level(&on_unix, "error");
    is_served(&program);
    eventually("it has ended", || on_unix.get("/v1/status").says::<Status>().connections == 0);
    level(&on_tcp, "info");
    is_served(&program);
    eventually("the next one's end is logged, and that one's was not", || ends() == 2);
    level(&on_unix, "error");
    assert!(
        on_unix
            .ask("PUT", "/v1/log", JSON, "{\"level\":\"loud\"}")
            .problem(400)
            .contains("write error, warn")
    );
    assert_eq!(on_unix.get("/v1/log").says::<LogStatus>().level, "error");
}

#[test]
fn the_log_s_files_are_opened_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (file, moved) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
    let program =
        Program::start(&format!("[log]\naccess = {{ file = \"{}\" }}", file.display()), DESCRIPTORS)
            .running();
    let [at, _] = program.both();
    let lines = |path| std::fs::read_to_string(path).unwrap_or_default().lines().count();
    // The look whether it listens was a connection, too.
    is_served(&program);
    eventually("two ends are logged", || lines(&file) == 2);
    std::fs::rename(&file, &moved).unwrap();
    let told: LogStatus = described(&at, "post", "/v1/log/reopen", "").says();
    assert_eq!(told.level, "info");
    is_served(&program);
    eventually("one more is, in a new file", || lines(&file) == 1);
    assert_eq!(lines(&moved), 2);
}

/// Ends a process that took the place of our child: it is nobody's child here.
struct Heir(u32);

impl Drop for Heir {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.0).ok().and_then(Pid::from_raw) {
            // It may have gone.
            kill_process(pid, Signal::KILL).unwrap_or_default();
        }
    }
}

#[test]
fn it_hands_over_and_whoever_has_taken_over_stops() {
    let mut program = Program::start("", DESCRIPTORS).running();
    let [on_unix, on_tcp] = program.both();
    let first: Status = on_unix.get("/v1/status").says();
    assert_eq!(first.pid, program.child.id());
    let upgrade: Upgrade = described(&on_unix, "post", "/v1/upgrade", "").says();
    assert!(upgrade.taken && upgrade.error.is_none(), "{upgrade:?}");
    let heir = Heir(upgrade.pid.unwrap());
    assert!(program.child.wait().unwrap().success(), "the old one has nothing left to do");
    for at in [&on_unix, &on_tcp] {
        let status: Status = at.get("/v1/status").says();
        assert_eq!((status.pid, status.state.as_str(), status.ready), (heir.0, "running", true));
    }
    is_served(&program);
    let mut client = TcpStream::connect(program.addr).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"hello").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    let before: Status = described(&on_tcp, "post", "/v1/stop", "").says();
    assert_eq!(before.state, "running");
    // It stays for who is there, and says that it takes nobody new.
    eventually("it drains", || on_unix.get("/v1/status").says::<Status>().state == "draining");
    assert_eq!(on_unix.get("/readyz").problem(503), "the proxy is draining");
    assert_eq!((on_unix.get("/healthz").status, on_tcp.get("/healthz").status), (200, 200));
    let metrics = on_unix.get("/metrics").body;
    assert!(metrics.contains("\nsmartproxy_ready 0\n"), "{metrics}");
    let refused = described(&on_unix, "post", "/v1/reload", "").json();
    assert_eq!(refused["taken"], Value::Bool(false));
    drop(client);
    let socket = program.file("admin.sock");
    eventually("it goes and takes its socket's file along", || !socket.exists());
}
