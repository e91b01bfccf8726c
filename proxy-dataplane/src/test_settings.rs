//! Settings for this crate's own tests.

use proxy_core::BindAddr;
use proxy_route::{Match, RouteSpec, RouteTable};

use crate::settings::{Connections, ListenerConfig, RouteConfig, Settings};

/// One listener on 127.0.0.1:8000, a backend at 127.0.0.1:9000, and so many connections at most.
pub(crate) fn one_route(most: Option<u32>) -> Settings {
    let listener = ListenerConfig::on(BindAddr::Ip([127, 0, 0, 1].into()), 8000);
    let route = RouteConfig::forward("only", ["127.0.0.1:9000".parse().unwrap()]);
    let spec = RouteSpec::new("only", Match::on(["8000".parse().unwrap()]));
    let routes = RouteTable::build([(spec, route)]).unwrap();
    Settings { max_connections: most.map(Connections::nearest), ..Settings::new(vec![listener], routes) }
}
