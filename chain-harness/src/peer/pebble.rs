//! Pebble, the authority of those who test ACME clients, with a name server of its own for which every name is this machine.

use std::process::Command;

use tempfile::TempDir;

use super::program;
use crate::ports::free_port;
use crate::process::Process;
use crate::tls::Root;

/// An authority that comes to ports of this machine to see whether names are served there. Dropped, it is killed.
#[derive(Debug)]
pub struct Pebble {
    /// The authority.
    pub process: Process,
    _names: Process,
    dir: TempDir,
    port: u16,
}

/// How a [`Pebble`] is.
#[derive(Debug, Clone, Copy)]
pub struct PebblePlan {
    /// Where it comes to for `tls-alpn-01`.
    pub tls_port: u16,
    /// Where it comes to for `http-01`.
    pub http_port: u16,
    /// Of a hundred good nonces it refuses so many.
    pub refuses_nonces: u8,
}

impl Pebble {
    /// One with this plan. None, and a word to whoever runs the test, where it is not installed.
    pub async fn start(plan: PebblePlan) -> Option<Self> {
        let (authority, names) = (program("pebble")?, program("pebble-challtestsrv")?);
        let dir = tempfile::tempdir().expect("there is room for a file");
        let root = Root::new();
        let own = dir.path().join("own.pem");
        std::fs::write(&own, root.certificate(&["localhost"])).expect("there is room for a file");
        std::fs::write(dir.path().join("root.pem"), root.pem()).expect("there is room for a file");
        let [port, management, names_port, names_management] = [(); 4].map(|()| free_port());
        let own = own.display();
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": own.to_string(),
            "privateKey": own.to_string(),
            "httpPort": plan.http_port,
            "tlsPort": plan.tls_port,
        } });
        let file = dir.path().join("pebble.json");
        std::fs::write(&file, config.to_string()).expect("there is room for a file");
        let mut command = Command::new(names);
        command.args([
            "-defaultIPv4",
            "127.0.0.1",
            "-defaultIPv6",
            "",
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
        ]);
        command.args(["-dns01", &format!("127.0.0.1:{names_port}")]);
        command.args(["-management", &format!("127.0.0.1:{names_management}")]);
        let mut names = Process::start(&mut command);
        names.listens_on(names_management).await;
        let mut command = Command::new(authority);
        command.arg("-config").arg(&file).args(["-dnsserver", &format!("127.0.0.1:{names_port}")]);
        command.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_AUTHZREUSE", "0");
        command.env("PEBBLE_WFE_NONCEREJECT", plan.refuses_nonces.to_string());
        let mut process = Process::start(&mut command);
        process.listens_on(port).await;
        Some(Self { process, _names: names, dir, port })
    }

    /// Itself as an entry of `[acme] authorities`.
    #[must_use]
    pub fn entry(&self) -> String {
        let root = self.dir.path().join("root.pem");
        format!("{{ directory = \"https://localhost:{}/dir\", roots = \"{}\" }}", self.port, root.display())
    }
}
