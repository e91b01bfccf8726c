//! `smartproxy demo`: the embedded chain, from its ports to its end.

use std::process::ExitCode;

use anyhow::Context as _;
use proxy_bin::admin::default_socket::Places;
use proxy_bin::admin::{AdminServer, AdminSockets, Given, Subject, Traces};
use proxy_bin::audit::Sockets as Audited;
use proxy_bin::config::{Admin, Config, Ink};
use proxy_bin::demo::{self, Backend, Ports, PrivateFolder, Sockets, Wishes};
use proxy_bin::logging::Logs;
use proxy_bin::server::{Bound, Server};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::{Signals, control_runtime};

/// Runs the embedded chain until somebody stops it.
pub(crate) fn demo(wishes: Wishes) -> anyhow::Result<ExitCode> {
    let sockets = Sockets::bind(wishes)?;
    let ports = sockets.ports()?;
    let folder =
        PrivateFolder::new(&Places::of_this_user()).context("cannot make a folder for the admin sockets")?;
    let (texts, admins) = (demo::configs(ports), demo::admins(&folder, ports).map_err(anyhow::Error::msg)?);
    let (outer, inner) = (embedded(&texts.0, "outer.toml")?, embedded(&texts.1, "inner.toml")?);
    let (logs, _end) = Logs::start(&outer.log)?;
    control_runtime()?.block_on(async {
        let signals = Signals::new()?;
        let outer_bound = bound_to(ports.outer, sockets.outer);
        let inner_bound = bound_to(ports.inner, sockets.inner);
        let (outer, outer_admin) = start(outer, outer_bound, (admins.0, Some(sockets.dashboard)), &logs)?;
        let (inner, inner_admin) = start(inner, inner_bound, (admins.1, None), &logs)?;
        let backend = Backend::on(sockets.backend)?;
        print(ports, wishes, &outer_admin, &inner_admin);
        let stop = CancellationToken::new();
        let stopping = async {
            let code = signals.stop(vec![outer, inner]).await;
            stop.cancel();
            code
        };
        let (code, ()) = tokio::join!(stopping, backend.serve(stop.clone()));
        Ok(code)
    })
}

fn embedded(text: &str, name: &str) -> anyhow::Result<Config> {
    Config::parse(text, name).map_err(|errors| anyhow::anyhow!("{}", errors.render(Ink::Plain)))
}

fn bound_to(port: u16, socket: std::net::TcpListener) -> Bound {
    let mut bound = Bound::new();
    bound.insert(demo::address(port), socket);
    bound
}

/// Starts one hop with its admin API, which may have a socket for TCP already.
fn start(
    mut config: Config,
    bound: Bound,
    (admin, dashboard): (Admin, Option<std::net::TcpListener>),
    logs: &Logs,
) -> anyhow::Result<(Server, AdminServer)> {
    let traces = Traces::default();
    let sockets = AdminSockets::bind_with(&admin, Given { tcp: dashboard, predecessor: None })?;
    config.admin = Some(admin);
    let told = (logs.access_log(), traces.clone());
    let server = Server::start_with(config, bound, &Handle::current(), Audited::Shared, told)?;
    server.control().log_by(logs.clone());
    let subject = Subject { control: server.control().clone(), traces };
    Ok((server, AdminServer::start(sockets, subject)?))
}

/// Says where everything is, and what to try.
fn print(ports: Ports, wishes: Wishes, outer: &AdminServer, inner: &AdminServer) {
    let usual = Ports::USUAL;
    let moved = |port: u16, usual: u16, wish: Option<u16>| {
        if port == usual || wish.is_some() { String::new() } else { format!("    ({usual} is taken)") }
    };
    let moved_outer = moved(ports.outer, usual.outer, wishes.outer);
    let moved_inner = moved(ports.inner, usual.inner, wishes.inner);
    let moved_backend = moved(ports.backend, usual.backend, wishes.backend);
    let moved_dashboard = moved(ports.dashboard, usual.dashboard, wishes.dashboard);
    println!("outer proxy   127.0.0.1:{}  -> PROXY v2 ->{moved_outer}", ports.outer);
    println!("inner proxy   127.0.0.1:{}  -> PROXY v2 ->{moved_inner}", ports.inner);
    println!("demo backend  127.0.0.1:{}{moved_backend}", ports.backend);
    println!("dashboard     http://127.0.0.1:{}/{moved_dashboard}", ports.dashboard);
    if let (Some(outer), Some(inner)) = (outer.socket(), inner.socket()) {
        println!("admin sockets {} {}", outer.display(), inner.display());
    }
    println!("try: curl http://127.0.0.1:{}/        (Ctrl-C stops it)", ports.outer);
    println!("     smartproxy status               (in another terminal; also: top, chain)");
}
