//! PROXY in, route by client and port, dial, PROXY out, relay; every connection tracked, with an access line at its end.
//! `forwarder OFFICE PUBLIC`: two backends that read PROXY headers. It listens on a free port of loopback.
use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use proxy_conn::{Cause, Deadlines, Ended, Opening, Session, Subscriber, Tracker, Verdict};
use proxy_core::dial::{AllOpen, reach};
use proxy_core::header::{Endpoints, HeaderLimits, encode_v1};
use proxy_core::{ClientAddr, Listen, Resolver, Socket, TargetAddr, TcpDialer, TcpListener};
use proxy_route::{Match, Query, RouteSpec, RouteTable};

struct AccessLine;

impl Subscriber for AccessLine {
    fn ended(&self, ended: &Ended<'_>) {
        let (client, age) = (ended.facts.client.unwrap_or(ended.peer.into()), ended.lifetime);
        let [route, to] = [&ended.facts.route, &ended.facts.target].map(|f| f.as_deref().unwrap_or("-"));
        println!("{client} {route} {to} {}/{} {age:?} {}", ended.from_client, ended.from_backend, ended.end);
    }
}

struct Forwarder(RouteTable<SocketAddr>, Resolver, TcpDialer);

async fn forward(mut session: Session<'_, Socket>, at: &Forwarder) -> Result<Verdict, Verdict> {
    let (conn, deadlines) = (session.conn, Deadlines::default());
    let header = session.header(&HeaderLimits::default(), deadlines.proxy_header_timeout).await?;
    let source = header.endpoints.source().unwrap_or(conn.peer().socket_addr());
    let destination = header.endpoints.destination().unwrap_or(source);
    conn.learn(|facts| facts.client = Some(ClientAddr::new(source)));
    let route = at.0.lookup(&Query::on(destination.port()).client(source.ip()));
    let route = route.ok_or_else(|| Verdict::of(conn, Cause::NoRoute))?;
    conn.learn(|facts| facts.route = Some(route.name().into()));
    let (timeout, target) = (deadlines.connection_timeout, [TargetAddr::Ip(*route.payload)]);
    let dialling = reach(&at.2, &at.1, &target, &AllOpen, timeout);
    let dialled = session.dial(timeout, dialling).await?;
    let header = encode_v1(&Endpoints::Inet { source, destination });
    Ok(session.relay(dialled, header, deadlines.relay_limits(conn.opened())).await)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let targets: Result<Vec<SocketAddr>, _> = std::env::args().skip(1).map(|arg| arg.parse()).collect();
    let [office, public] = targets?[..] else { return Err("usage: forwarder OFFICE PUBLIC".into()) };
    let on_443 = Match::on(["443".parse()?]);
    let routes = RouteTable::build([
        (RouteSpec::new("office", on_443.clone().clients(["10.0.0.0/8".parse()?])), office),
        (RouteSpec::new("public", on_443), public),
        (RouteSpec::new("mail", Match::on(["25".parse()?, "465-587".parse()?])), office),
    ])?;
    let at = Arc::new(Forwarder(routes, Resolver::fixed([]), TcpDialer::default()));
    let (tracker, listener) = (Tracker::new(1, AccessLine), TcpListener::bind(([127, 0, 0, 1], 0).into())?);
    println!("listening on {}", listener.local_addr()?);
    loop {
        let Ok((client, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await; // out of descriptors, say
            continue;
        };
        let (conn, at) = (tracker.open(0, Opening::new(peer, "main")), Arc::clone(&at));
        tokio::spawn(conn.run(client, async move |session| forward(session, &at).await));
    }
}
