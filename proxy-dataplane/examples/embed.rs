//! A proxy inside another program: `cargo run -p proxy-dataplane --example embed`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]
#![expect(clippy::disallowed_methods, reason = "its clients are those of anybody, not the proxy's dials")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use proxy_conn::Reason;
use proxy_core::BindAddr;
use proxy_dataplane::audit::SocketOwnership;
use proxy_dataplane::listeners::Inherited;
use proxy_dataplane::settings::{ListenerConfig, RouteConfig};
use proxy_dataplane::{Server, Settings};
use proxy_route::{Match, RouteSpec, RouteTable};
use tokio::runtime::Handle;
use tokio::time::Instant;

/// A backend that greets each client, and keeps the connection.
fn backend(greeting: &'static str) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let greet = move |mut client: TcpStream| client.write_all(greeting.as_bytes()).map(|()| client);
    std::thread::spawn(move || listener.incoming().flatten().map(greet).collect::<Vec<_>>());
    Ok(addr)
}

/// A route for each port, to its backend.
fn settings(ports: [u16; 2], routes: [(&str, SocketAddr); 2]) -> Result<Arc<Settings>, Box<dyn Error>> {
    let listeners = ports.map(|port| ListenerConfig::on(BindAddr::Ip([127, 0, 0, 1].into()), port));
    let mut table = Vec::new();
    for (port, (name, to)) in ports.into_iter().zip(routes) {
        let spec = RouteSpec::new(name, Match::on([port.to_string().parse()?]));
        table.push((spec, RouteConfig::forward(name, [to.to_string().parse()?])));
    }
    Ok(Arc::new(Settings::new(listeners.into(), RouteTable::build(table)?)))
}

/// Connects, and prints what comes first.
fn visit(port: u16) -> std::io::Result<TcpStream> {
    let (mut client, mut greeting) = (TcpStream::connect(("127.0.0.1", port))?, [0; 16]);
    let n = client.read(&mut greeting)?;
    println!("  a client reads: {}", String::from_utf8_lossy(greeting.get(..n).unwrap_or_default()));
    Ok(client)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [red, blue, green] = [backend("red")?, backend("blue")?, backend("green")?];
    let (sockets, mut inherited) =
        ([TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?], Inherited::new());
    let ports = [sockets[0].local_addr()?.port(), sockets[1].local_addr()?.port()];
    for socket in sockets {
        inherited.insert(socket.local_addr()?, socket);
    }
    println!("two routes:");
    let first = settings(ports, [("red", red), ("blue", blue)])?;
    let server = Server::start(first, inherited, &Handle::current(), SocketOwnership::Shared, ())?;
    let _stays = (visit(ports[0])?, visit(ports[1])?);
    println!("the second leads elsewhere from now on:");
    server.plane().replace(settings(ports, [("red", red), ("green", green)])?).await?;
    let mut killed = visit(ports[1])?;
    for open in server.tracker().snapshot() {
        println!("  open: {} by route {:?} in {}", open.id, open.facts.route, open.phase);
    }
    println!("whoever took the new route is killed:");
    for one in server.tracker().connections() {
        let is_green = one.view(Instant::now()).facts.route.as_deref() == Some("green");
        println!("  {} killed: {}", one.id(), is_green && one.cancel(Reason::Killed));
    }
    println!("  it sees: {:?}", killed.read(&mut [0; 1]).map_err(|error| error.kind()));
    println!("and the end, for which nobody is waited for longer than 0.1 s:");
    let until = Instant::now() + Duration::from_millis(100);
    println!("  {:?}", server.stop(until, async {}, std::future::pending()).await);
    Ok(())
}
