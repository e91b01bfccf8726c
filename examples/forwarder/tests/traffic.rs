//! The forwarder as it is built, with real traffic on free ports of loopback.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longer than anything here takes, even on a busy machine; shorter than a test may hang.
const PATIENCE: Duration = Duration::from_secs(20);

struct Forwarder {
    process: Child,
    at: SocketAddr,
    lines: Receiver<String>,
    office: TcpListener,
    public: TcpListener,
}

impl Forwarder {
    fn start() -> Self {
        let [office, public] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let mut process = Command::new(env!("CARGO_BIN_EXE_forwarder"))
            .args([&office, &public].map(|backend| backend.local_addr().unwrap().to_string()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines(process.stdout.take().unwrap());
        let first = lines.recv_timeout(PATIENCE).unwrap();
        let at = first.strip_prefix("listening on ").unwrap().parse().unwrap();
        Self { process, at, lines, office, public }
    }

    fn connect(&self, first: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.at).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(first.as_bytes()).unwrap();
        client
    }

    /// The access line of the connection that ends next, without what differs from run to run.
    fn line(&self) -> String {
        let line = self.lines.recv_timeout(PATIENCE).unwrap();
        let mut words: Vec<_> = line.split(' ').collect();
        assert!(words.remove(4).ends_with('s'), "{line}");
        words.join(" ")
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn lines(stdout: ChildStdout) -> Receiver<String> {
    let (say, said) = channel();
    std::thread::spawn(move || {
        BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| say.send(line))
    });
    said
}

/// What the backend gets, once it has ended its own direction with `answer`.
fn serve(backend: &TcpListener, answer: &str) -> String {
    let (mut stream, _) = backend.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).unwrap();
    stream.write_all(answer.as_bytes()).unwrap();
    got
}

#[test]
fn a_connection_is_routed_by_the_client_and_port_in_its_header_and_passed_on_with_one() {
    let forwarder = Forwarder::start();
    for (header, backend, route) in [
        ("PROXY TCP4 10.1.2.3 192.0.2.1 5000 443\r\n", &forwarder.office, "office"),
        ("PROXY TCP4 203.0.113.9 192.0.2.1 5000 443\r\n", &forwarder.public, "public"),
        ("PROXY TCP4 203.0.113.9 192.0.2.1 5000 587\r\n", &forwarder.office, "mail"),
    ] {
        let mut client = forwarder.connect(&format!("{header}question"));
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(serve(backend, "answer"), format!("{header}question"));
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
        let (from, to) = (header.split(' ').nth(2).unwrap(), backend.local_addr().unwrap());
        let bytes = header.len() + "question".len();
        assert_eq!(
            forwarder.line(),
            format!("{from}:5000 {route} {to} {bytes}/6 -- finished by client in drain")
        );
    }
}

#[test]
fn what_cannot_be_forwarded_is_reset_and_has_its_line() {
    let forwarder = Forwarder::start();
    for (first, line) in [
        ("GET / HTTP/1.1\r\n\r\n", "- - 18/0 PH header_malformed by client in header"),
        ("PROXY TCP4 10.1.2.3 192.0.2.1 5000 80\r\n", "- - 39/0 PH no_route by proxy in header"),
    ] {
        let mut client = forwarder.connect(first);
        let error = client.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        let said = forwarder.line();
        assert!(said.ends_with(line), "{said}");
    }
}
