//! A small table and what it answers: `cargo run -p proxy-route --example table`.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;
use std::net::IpAddr;

use proxy_route::{Match, Query, RouteSpec, RouteTable};

fn main() -> Result<(), Box<dyn Error>> {
    let tls = Match::on(["443".parse()?]);
    let table = RouteTable::build([
        (RouteSpec::new("api", tls.clone().domains(["api.example.com".parse()?])), "10.0.0.1:443"),
        (RouteSpec::new("site", tls.clone().domains(["*.example.com".parse()?])), "10.0.0.2:443"),
        (
            RouteSpec::new("site-h2", tls.clone().domains(["*.example.com".parse()?]).alpn(["h2".parse()?])),
            "10.0.0.3:443",
        ),
        (
            RouteSpec::new("office", tls.clone().clients(["192.0.2.0/24".parse()?])).priority(10),
            "10.0.0.4:443",
        ),
        (RouteSpec::new("mail", Match::on(["25".parse()?, "8000-8010".parse()?])), "10.0.0.5:25"),
        (RouteSpec::new("dead", tls.clients(["192.0.2.7".parse()?])), "10.0.0.6:443"),
    ])?;

    let ports: Vec<String> = table.ports().map(|ports| format!("{ports:?}")).collect();
    println!("listens on {}", ports.join(" "));
    println!("a ClientHello is needed on 443: {}, on 25: {}", table.needs_hello(443), table.needs_hello(25));
    for shadowed in table.shadowed() {
        println!("warning: {shadowed}");
    }

    let outside: IpAddr = "198.51.100.1".parse()?;
    let office: IpAddr = "::ffff:192.0.2.7".parse()?;
    for query in [
        Query::on(443).name("API.example.com.").client(outside).alpn(&[]),
        Query::on(443).name("shop.eu.example.com").client(outside).alpn(&[]),
        Query::on(443).name("shop.eu.example.com").client(outside).alpn(&["h2", "http/1.1"]),
        Query::on(443).name("api.example.com").client(office).alpn(&[]),
        Query::on(443).name("example.com").client(outside).alpn(&[]),
        Query::on(8010).alpn(&[]),
    ] {
        let answer = table
            .lookup(&query)
            .map_or("no route".to_owned(), |matched| format!("{} → {}", matched.name(), matched.payload));
        println!("{:>4} {:<20} {answer}", query.port, query.server_name.unwrap_or("-"));
    }
    Ok(())
}
