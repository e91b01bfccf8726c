//! `smartproxy demo`: the embedded chain, from its ports to its end.

use std::process::ExitCode;

use proxy_api::places::Places;
use proxy_bin::admin::{AdminServer, AdminSockets, Given, Subject, Traces};
use proxy_bin::config::{Admin, Config, Ink};
use proxy_bin::demo::{self, Backend, Ports, PrivateFolder, Sockets, Wishes};
use proxy_bin::logging::Logs;
use proxy_bin::server::Server;
use proxy_dataplane::audit::SocketOwnership;
use proxy_dataplane::listeners::Inherited;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::signals::Signals;
use crate::{control_runtime, print, serving};

/// Runs the embedded chain until somebody stops it.
pub(crate) fn demo(wishes: Wishes) -> anyhow::Result<ExitCode> {
    let signals = Signals::catch()?;
    let sockets = Sockets::bind(wishes)?;
    let ports = sockets.ports()?;
    let folder = sockets_folder();
    let admins = demo::admins(folder.as_ref(), ports).map_err(anyhow::Error::msg)?;
    let texts = demo::configs(ports);
    let (outer, inner) = (embedded(&texts.0, "outer.toml")?, embedded(&texts.1, "inner.toml")?);
    let (logs, _end) = Logs::start(&outer.log)?;
    let runtime = control_runtime()?;
    let outcome = runtime.block_on(async {
        let outer_bound = bound_to(ports.outer, sockets.outer);
        let inner_bound = bound_to(ports.inner, sockets.inner);
        let (outer, outer_admin) = start(outer, outer_bound, (admins.0, Some(sockets.dashboard)), &logs)?;
        let (inner, inner_admin) = start(inner, inner_bound, (admins.1, None), &logs)?;
        signals.serving([&outer, &inner].map(|hop| hop.control().clone()).to_vec(), logs.clone())?;
        let backend = Backend::on(sockets.backend)?;
        // Whoever reads it may have had enough (`| head`): the chain is there all the same.
        print::out(told(ports, wishes, &outer_admin, &inner_admin).as_bytes())?;
        let stop = CancellationToken::new();
        let stopping = async {
            let ending = serving::until_stopped(&signals, vec![outer, inner]).await;
            stop.cancel();
            ending
        };
        let (ending, ()) = tokio::join!(stopping, backend.serve(stop.clone()));
        Ok(ending)
    });
    serving::over(runtime, outcome)
}

/// Where the hops' admin sockets are to be. Without one there is the dashboard all the same, and the chain.
fn sockets_folder() -> Option<PrivateFolder> {
    let made = PrivateFolder::new(&Places::of_this_user());
    let say = |error: &_| {
        print::err(format_args!("smartproxy: no admin sockets, so no status, top and chain: {error}"));
    };
    made.inspect_err(say).ok()
}

fn embedded(text: &str, name: &str) -> anyhow::Result<Config> {
    Config::parse(text, name).map_err(|errors| anyhow::anyhow!("{}", errors.render(Ink::Plain)))
}

fn bound_to(port: u16, socket: std::net::TcpListener) -> Inherited {
    let mut bound = Inherited::new();
    bound.insert(demo::address(port), socket);
    bound
}

/// Starts one hop with its admin API, which may have a socket for TCP already.
fn start(
    mut config: Config,
    bound: Inherited,
    (admin, dashboard): (Admin, Option<std::net::TcpListener>),
    logs: &Logs,
) -> anyhow::Result<(Server, AdminServer)> {
    let traces = Traces::default();
    let sockets = AdminSockets::bind_with(&admin, Given { tcp: dashboard, ..Given::default() })?;
    config.admin = Some(admin);
    let told = (logs.access_log(), traces.clone());
    let server = Server::start_with(config, bound, &Handle::current(), SocketOwnership::Shared, told)?;
    server.control().log_by(logs.clone());
    let subject = Subject { control: server.control().clone(), traces };
    Ok((server, AdminServer::start(sockets, subject)?))
}

/// Where everything is, and what to try.
fn told(ports: Ports, wishes: Wishes, outer: &AdminServer, inner: &AdminServer) -> String {
    let usual = Ports::USUAL;
    let moved = |port: u16, usual: u16, wish: Option<u16>| {
        if port == usual || wish.is_some() { String::new() } else { format!("    ({usual} is taken)") }
    };
    let moved_outer = moved(ports.outer, usual.outer, wishes.outer);
    let moved_inner = moved(ports.inner, usual.inner, wishes.inner);
    let moved_backend = moved(ports.backend, usual.backend, wishes.backend);
    let moved_dashboard = moved(ports.dashboard, usual.dashboard, wishes.dashboard);
    let mut lines = vec![
        format!("outer proxy   127.0.0.1:{}  -> PROXY v2 ->{moved_outer}", ports.outer),
        format!("inner proxy   127.0.0.1:{}  -> PROXY v2 ->{moved_inner}", ports.inner),
        format!("demo backend  127.0.0.1:{}{moved_backend}", ports.backend),
        format!("dashboard     http://127.0.0.1:{}/{moved_dashboard}", ports.dashboard),
    ];
    let sockets = outer.socket().zip(inner.socket());
    lines.extend(
        sockets.map(|(outer, inner)| format!("admin sockets {} {}", outer.display(), inner.display())),
    );
    lines.push(format!("try: curl http://127.0.0.1:{}/        (Ctrl-C stops it)", ports.outer));
    let commands = "     smartproxy status               (in another terminal; also: top, chain)";
    lines.extend(sockets.map(|_| commands.to_owned()));
    lines.join("\n") + "\n"
}
