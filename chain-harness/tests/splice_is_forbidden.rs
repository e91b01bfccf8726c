//! A sandbox forbids `splice(2)`, by whatever error: bytes are copied, nobody is cut and no peer is blamed, and the log says so
//! once.

#![expect(clippy::print_stdout, reason = "what is skipped says so")]

use std::process::{Command, ExitStatus};

use chain_harness::{Backend, PATIENCE, Smartproxy, Wire, config};

/// Becomes the program that it is given, for which `splice` fails with the error whose name comes first. Exits with 77 where
/// there are no filters of system calls.
const SANDBOX: &str = r#"
import ctypes, errno, os, platform, struct, sys
SPLICE = {"x86_64": 275, "aarch64": 76}.get(platform.machine())
if SPLICE is None:
    sys.exit(77)
LOAD, EQUAL, RETURN, ALLOW, ERRNO = 0x20, 0x15, 0x06, 0x7fff0000, 0x00050000
program = b"".join(struct.pack("HBBI", *line) for line in [
    (LOAD, 0, 0, 0),
    (EQUAL, 0, 1, SPLICE),
    (RETURN, 0, 0, ERRNO | getattr(errno, sys.argv[1])),
    (RETURN, 0, 0, ALLOW),
])
class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("lines", ctypes.c_char_p)]
libc = ctypes.CDLL(None, use_errno=True)
NO_NEW_PRIVS, SECCOMP, FILTER = 38, 22, 2
if libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(SECCOMP, FILTER, ctypes.byref(Filter(len(program) // 8, program))):
    sys.exit(77)
os.execv(sys.argv[2], sys.argv[2:])
"#;

fn forbidding(error: &str) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", SANDBOX, error]);
    command
}

/// Whether there is what it takes; where not, that is said.
fn can_forbid() -> bool {
    let tried = forbidding("EPERM").arg("/bin/true").status();
    let can = tried.as_ref().is_ok_and(ExitStatus::success);
    if !can {
        println!("skipped: no python3 with filters of system calls here ({tried:?})");
    }
    can
}

const MIB: usize = 1 << 20;

/// As many bytes, none like its neighbours.
fn bytes() -> Vec<u8> {
    (0..=250).cycle().take(MIB).collect()
}

/// A MiB each way through a proxy whose every splice fails with `error`; what it says.
async fn a_mib_each_way(error: &str) -> String {
    let backend = Backend::serving(|mut wire: Wire| async move {
        let received = wire.read_until(|got| got.len() >= MIB).await;
        assert!(received.bytes == bytes(), "{} bytes came to the backend", received.bytes.len());
        wire.send(bytes()).await;
        wire.half_close().await;
        wire.read_to_end().await;
    });
    let settings = "workers = 1\nlog.format = \"json\"";
    let config = config::single(settings, &[&backend.addr()]);
    let proxy = Smartproxy::run_through(forbidding(error), &config).await;
    // The second one finds out that the first was refused.
    for causes in [&["finished"][..], &["finished"; 2]] {
        let mut client = Wire::connect(proxy.addr()).await;
        client.send(bytes()).await;
        let received = client.read_to_end().await;
        assert!(received.bytes == bytes(), "{error}: {} bytes came to the client", received.bytes.len());
        client.half_close().await;
        chain_harness::eventually(PATIENCE, || proxy.causes().len() == causes.len()).await;
        assert_eq!(proxy.causes(), causes, "{error}: {}", proxy.process.output());
    }
    // Every pipe that was tried is closed again.
    proxy.settles_within(PATIENCE).await;
    proxy.process.output()
}

#[test]
fn everything_arrives_and_the_log_says_so_once() {
    if !can_forbid() {
        return;
    }
    Smartproxy::scenario(async {
        for error in ["EPERM", "EACCES", "EOPNOTSUPP", "ENOSYS"] {
            let said = a_mib_each_way(error).await;
            assert_eq!(said.matches("splice(2) is refused").count(), 1, "{error}: {said}");
        }
        // This one may be of the two sockets alone: others are tried.
        let said = a_mib_each_way("EINVAL").await;
        assert!(!said.contains("splice(2) is refused"), "{said}");
    });
}
