//! TLS by OpenSSL's command: servers with throw-away certificates, and clients that say whom they reached.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::peer::program;
use crate::ports::free_port;
use crate::process::Process;
use crate::wait::PATIENCE;

/// A self-signed certificate for one name, and its key, in a temporary directory.
#[derive(Debug)]
pub struct Certificate {
    openssl: PathBuf,
    dir: TempDir,
}

impl Certificate {
    /// Makes one. None, and a word to whoever runs the test, where OpenSSL is not installed.
    pub async fn for_name(name: &str) -> Option<Self> {
        let certificate =
            Self { openssl: program("openssl")?, dir: tempfile::tempdir().expect("there is room") };
        let mut command = Command::new(&certificate.openssl);
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        command.args(["-days", "1", "-subj", &format!("/CN={name}")]);
        command.arg("-out").arg(certificate.file("cert.pem")).arg("-keyout").arg(certificate.file("key.pem"));
        let mut made = Process::start(&mut command);
        assert_eq!(made.exit_code(PATIENCE).await, 0, "{}", made.output());
        certificate.bundle();
        Some(certificate)
    }

    /// One file with both, as HAProxy wants it.
    fn bundle(&self) {
        let read = |name| std::fs::read_to_string(self.file(name)).expect("it was just made");
        std::fs::write(self.file("both.pem"), read("cert.pem") + &read("key.pem")).expect("there is room");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The file with the certificate and its key.
    #[must_use]
    pub fn both(&self) -> PathBuf {
        self.file("both.pem")
    }

    /// A server with it, which answers any HTTP request, and its address.
    pub async fn serve(&self) -> (Process, SocketAddr) {
        let port = free_port();
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = Command::new(&self.openssl);
        command.args(["s_server", "-quiet", "-www", "-accept", &addr.to_string()]);
        command.arg("-cert").arg(self.file("cert.pem")).arg("-key").arg(self.file("key.pem"));
        let mut server = Process::start(&mut command);
        server.listens_on(port).await;
        (server, addr)
    }
}

/// What a client learnt from a handshake and one request.
#[derive(Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The name on the server's certificate.
    pub reached: String,
    /// Whether the request was answered.
    pub answered: bool,
}

impl Handshake {
    /// Shakes hands at `addr`, asking for `name` (or for none), sends a request and reads the answer.
    pub async fn at(addr: SocketAddr, name: Option<&str>) -> Self {
        let mut command = Command::new(program("openssl").expect("it made the servers' certificates"));
        command.args(["s_client", "-ign_eof", "-connect", &addr.to_string()]);
        match name {
            Some(name) => command.args(["-servername", name]),
            None => command.arg("-noservername"),
        };
        let mut client = Process::start_reading(&mut command, b"GET / HTTP/1.0\r\n\r\n");
        client.exit_code(PATIENCE).await;
        let output = client.output();
        let subject = output.lines().find_map(|line| line.strip_prefix("subject=")).unwrap_or_default();
        let reached = subject.replace(' ', "").trim_start_matches("CN=").to_owned();
        Self { reached, answered: output.contains("HTTP/1.0 200 ok") }
    }
}
