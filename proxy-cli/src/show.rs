//! `smartproxy show`: one connection in full, with both its sockets.

use std::io::Write;

use super::access::Access;
use super::conns;
use super::filter::Id;
use super::format::{Align, Table, age, bytes, known, plain};
use super::output::{self, Failure, Outcome};
use proxy_api::model::{Connection, ConnectionInFull, Socket, Tcp, Tls};

/// Which connection to show.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its id, as `conns` lists it.
    id: Id,
    /// Print JSON: times in seconds, sizes in bytes.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Shows it.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let path = format!("/v1/connections/{}", self.id.as_str());
        let found: ConnectionInFull = access.client()?.fetch(&path).await?;
        if self.json {
            output::json(out, &found)?;
        } else {
            output::text(out, in_full(&found))?;
        }
        Ok(Outcome::Done)
    }
}

/// All of it: what the table says, and what the kernel says of both sockets.
#[must_use]
pub(super) fn in_full(found: &ConnectionInFull) -> String {
    let mut text = String::new();
    for (name, value) in facts(&found.connection) {
        text.push_str(&format!("{name:<14}{}\n", plain(&value)));
    }
    text.push('\n');
    text.push_str(&sockets(found.client_socket.as_ref(), found.backend_socket.as_ref()).to_string());
    text
}

fn facts(connection: &Connection) -> Vec<(&'static str, String)> {
    let optional = |text: &Option<String>| known(text.as_deref()).to_owned();
    let mut facts = vec![
        ("id", connection.id.clone()),
        ("phase", format!("{} ({}), for {}", connection.phase, connection.state, age(connection.in_phase_s))),
        ("age", format!("{}, silent for {}", age(connection.age_s), age(connection.idle_s))),
        ("deadline", conns::deadline(connection)),
        ("client", optional(&connection.client)),
        ("peer", connection.peer.clone()),
        ("listener", connection.listener.clone()),
        ("server name", optional(&connection.server_name)),
        ("route", optional(&connection.route)),
        ("target", optional(&connection.target)),
        ("pool", optional(&connection.pool)),
        ("from client", exact(connection.from_client_bytes)),
        ("from backend", exact(connection.from_backend_bytes)),
    ];
    let at = 8;
    for (more, fact) in tls(connection.tls.as_ref()).into_iter().enumerate() {
        facts.insert(at + more, fact);
    }
    if let Some(hop) = &connection.hop {
        facts.insert(6, ("hop", hop.clone()));
    }
    if !connection.previous.is_empty() {
        facts.insert(1, ("hops before", connection.previous.join(" / ")));
    }
    if connection.role != "accepted" {
        facts.insert(1, ("role", connection.role.clone()));
    }
    if connection.immortal {
        facts.push(("immortal", "silence never ends it".to_owned()));
    }
    facts
}

/// What is known of the client's TLS.
fn tls(tls: Option<&Tls>) -> Vec<(&'static str, String)> {
    let Some(tls) = tls else { return Vec::new() };
    let agreed = [&tls.version, &tls.cipher, &tls.group].into_iter().flatten().cloned();
    let agreed: Vec<_> = agreed.chain(tls.resumed.then(|| "resumed".to_owned())).collect();
    let agreed = Some(agreed.join(", ")).filter(|agreed| !agreed.is_empty());
    let known = [
        ("tls", &agreed),
        ("alpn", &tls.alpn),
        ("ja4", &tls.ja4),
        ("identity", &tls.identity),
        ("tls before", &tls.before),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
}

/// A size as people read it, and to the byte where that is not the same.
fn exact(count: u64) -> String {
    if count < 1024 { bytes(count) } else { format!("{} ({count} bytes)", bytes(count)) }
}

/// Both sockets side by side.
fn sockets(client: Option<&Socket>, backend: Option<&Socket>) -> Table {
    let mut table = Table::new(&[("SOCKET", Align::Left), ("CLIENT", Align::Left), ("BACKEND", Align::Left)]);
    let mut row = |name: &str, value: &dyn Fn(&Socket) -> Option<String>| {
        let cell = |socket: Option<&Socket>| socket.and_then(value).unwrap_or_else(|| "-".to_owned());
        table.row([name.to_owned(), cell(client), cell(backend)]);
    };
    row("descriptor", &|socket| Some(socket.descriptor.to_string()));
    row("local", &|socket| socket.local.clone());
    row("remote", &|socket| socket.remote.clone());
    for (name, value) in TCP {
        row(name, &|socket| socket.tcp.as_ref().map(value));
    }
    table
}

/// What is told of a TCP socket.
type TcpFact = (&'static str, fn(&Tcp) -> String);

const TCP: [TcpFact; 13] = [
    ("state", |tcp| tcp.state.clone()),
    ("rtt", |tcp| format!("{} ± {}", millis(tcp.rtt_s), millis(tcp.rtt_var_s))),
    ("rto", |tcp| millis(tcp.rto_s)),
    ("retransmits", |tcp| format!("{} in a row, {} in all", tcp.retransmits, tcp.retransmits_total)),
    ("unacked", |tcp| format!("{} segments", tcp.unacked)),
    ("unsent", |tcp| bytes(tcp.unsent_bytes.into())),
    ("unread", |tcp| bytes(tcp.unread_bytes.into())),
    ("window", |tcp| format!("{} segments", tcp.congestion_window)),
    ("mss", |tcp| bytes(tcp.mss_bytes.into())),
    ("last sent", |tcp| format!("{} ago", age(tcp.last_sent_s))),
    ("last received", |tcp| format!("{} ago", age(tcp.last_received_s))),
    ("acked", |tcp| bytes(tcp.acked_bytes)),
    ("received", |tcp| bytes(tcp.received_bytes)),
];

/// A round-trip time, which is far below a second.
fn millis(seconds: f64) -> String {
    format!("{:.3} ms", seconds * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn what_is_known_of_its_tls_stands_behind_the_name() {
        let mut connection = fixtures::connection("a-1", "relay");
        let text = |text: &str| Some(text.to_owned());
        let through = Tls { ja4: text("t13d1516h2_8daaf6152771_e5627efa2ab1"), ..Tls::default() };
        connection.tls = Some(Tls {
            version: text("TLSv1.3"),
            cipher: text("TLS_AES_128_GCM_SHA256"),
            group: text("X25519MLKEM768"),
            resumed: true,
            alpn: text("h2"),
            identity: text("hop-a"),
            ..through.clone()
        });
        let told: Vec<_> = facts(&connection).into_iter().skip(7).take(6).collect();
        insta::assert_compact_debug_snapshot!(told, @r#"[("server name", "-"), ("tls", "TLSv1.3, TLS_AES_128_GCM_SHA256, X25519MLKEM768, resumed"), ("alpn", "h2"), ("ja4", "t13d1516h2_8daaf6152771_e5627efa2ab1"), ("identity", "hop-a"), ("route", "web")]"#);
        assert_eq!(tls(Some(&through)).len(), 1);
    }

    #[test]
    fn a_connection_is_shown_with_both_its_sockets() {
        let tcp = Tcp {
            state: "CLOSE-WAIT".to_owned(),
            rtt_s: 0.0123,
            rtt_var_s: 0.001,
            rto_s: 0.204,
            retransmits_total: 7,
            retransmits: 2,
            unacked: 1,
            unsent_bytes: 0,
            unread_bytes: 2048,
            congestion_window: 10,
            mss_bytes: 1448,
            last_sent_s: 12.0,
            last_received_s: 0.2,
            acked_bytes: 512,
            received_bytes: 1 << 20,
        };
        let socket = Socket {
            descriptor: 17,
            local: Some("127.0.0.1:9001".to_owned()),
            remote: Some("10.0.0.1:40001".to_owned()),
            tcp: Some(tcp),
        };
        let mut connection = fixtures::connection("5f3a9c1e-1a", "drain");
        connection.previous = vec!["aa-1".to_owned(), "bb-2".to_owned()];
        connection.server_name = Some("a.example\u{1b}[2J".to_owned());
        connection.immortal = true;
        connection.deadline_in_s = -2.0;
        let found = ConnectionInFull { connection, client_socket: Some(socket), backend_socket: None };
        insta::assert_snapshot!(in_full(&found), @r"
        id            5f3a9c1e-1a
        hops before   aa-1 / bb-2
        phase         drain (ESTABLISHED), for 1m00s
        age           1m01s, silent for 3.2s
        deadline      idle, overdue by 2.0s
        client        10.0.0.1:40001
        peer          10.0.0.1:40001
        listener      127.0.0.1:9001
        server name   a.example�[2J
        route         web
        target        127.0.0.1:9002
        pool          chain
        from client   512 B
        from backend  3.4 MiB (3565158 bytes)
        immortal      silence never ends it

        SOCKET         CLIENT                BACKEND
        descriptor     17                    -
        local          127.0.0.1:9001        -
        remote         10.0.0.1:40001        -
        state          CLOSE-WAIT            -
        rtt            12.300 ms ± 1.000 ms  -
        rto            204.000 ms            -
        retransmits    2 in a row, 7 in all  -
        unacked        1 segments            -
        unsent         0 B                   -
        unread         2.0 KiB               -
        window         10 segments           -
        mss            1.4 KiB               -
        last sent      12s ago               -
        last received  0.2s ago              -
        acked          512 B                 -
        received       1.0 MiB               -
        ");
    }
}
