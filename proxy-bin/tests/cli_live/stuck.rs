//! Backends that never answer: one that does not even accept, and one that greets and hangs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::Value;

use crate::loopback::free_port;
use crate::world::{Hop, Said, run};
use crate::{PATIENCE, eventually};

/// A proxy with a route `hooks` to a backend that accepts nothing, and one `mail` to a backend that greets and then hangs.
struct World {
    hop: Hop,
    hooks: u16,
    mail: u16,
    /// Their backends.
    hangs: TcpListener,
    greets: TcpListener,
    _dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [hooks, mail] = [(); 2].map(|()| free_port());
        let [hangs, greets] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let route = |name: &str, port: u16, to: &TcpListener| {
            let to = to.local_addr().unwrap();
            format!(
                "[[routes]]\nname = \"{name}\"\nmatch = {{ ports = [{port}] }}\naction = {{ forward = [\"{to}\"] }}\n"
            )
        };
        let config = format!(
            "[audit]\nstuck_after = \"200ms\"\n[[listeners]]\nports = [{hooks}, {mail}]\nbind = [\"127.0.0.1\"]\n\
             accept_proxy = {{ optional = [\"127.0.0.1/32\"] }}\n{}{}",
            route("hooks", hooks, &hangs),
            route("mail", mail, &greets)
        );
        let hop = Hop::start_with(dir.path(), "lone", "", &config);
        Self { hop, hooks, mail, hangs, greets, _dir: dir }
    }

    fn run(&self, line: &str) -> Said {
        run(&self.hop.socket, line)
    }

    /// A client that sends a PROXY header and `words` in one piece.
    fn client(port: u16, words: &str) -> TcpStream {
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(client, "PROXY TCP4 10.0.0.1 10.0.0.2 4000 80\r\n{words}").unwrap();
        client
    }

    /// One that has been greeted, with the backend's end.
    fn greeted(&self) -> [TcpStream; 2] {
        let mut client = Self::client(self.mail, "");
        let (mut backend, _) = self.greets.accept().unwrap();
        backend.write_all(b"220 ").unwrap();
        client.read_exact(&mut [0; 4]).unwrap();
        [client, backend]
    }

    /// The audit's report, once so many are stuck.
    fn with_stuck(&self, count: u64) -> Value {
        eventually(&format!("{count} are stuck"), || {
            let audit = self.run("audit --json").json();
            (audit["gauges"]["stuck"] == count).then_some(audit)
        })
    }
}

#[test]
fn a_backend_that_never_answers_is_one_line_whoever_was_to_speak_first() {
    let world = World::new();
    let _asking: Vec<_> = (0..3).map(|_| World::client(world.hooks, "GET / HTTP/1.1\r\n\r\n")).collect();
    let _waiting = World::client(world.hooks, "");
    let (mut answered, _its_turn) = (world.greeted(), world.greeted());
    let mut hung = world.greeted();
    answered[0].write_all(b"HELO a\r\n").unwrap();
    answered[1].read_exact(&mut [0; 8]).unwrap();
    answered[1].write_all(b"250 ").unwrap();
    answered[0].read_exact(&mut [0; 4]).unwrap();
    hung[0].write_all(b"HELO b\r\n").unwrap();

    let audit = world.with_stuck(5);
    assert_eq!(audit["clean"], true);
    let at = |n: usize| {
        let at = &audit["stuck"][n];
        (at["route"].as_str(), at["connections"].as_u64(), at["silent"].as_u64())
    };
    assert_eq!([at(0), at(1)], [(Some("hooks"), Some(4), Some(1)), (Some("mail"), Some(1), Some(0))]);
    assert_eq!(audit["findings"].as_array().unwrap().len(), 5, "and each is named");

    let told = world.run("audit").fine();
    let (hangs, greets) = (world.hangs.local_addr().unwrap(), world.greets.local_addr().unwrap());
    for line in [
        "\nstuck: their backend has never answered (a warning about it; -v names each)\n".to_owned(),
        format!("\n  4 on {hangs}, route hooks, the oldest "),
        ", on 1 neither side has said a word\n".to_owned(),
        format!("\n  1 on {greets}, route mail, the oldest "),
    ] {
        assert!(told.contains(&line), "{line:?} is not in:\n{told}");
    }
    assert!(!told.contains("GAUGE"), "{told}");
    let named = world.run("audit -v").fine();
    let ids = audit["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap());
    for id in ids {
        assert!(named.lines().any(|line| line.trim() == id), "{id} is not in:\n{named}");
    }
}
