//! One name server, and what it answers.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::resolve::answer::Family;
use crate::resolve::services::{Service, Services};

use super::conf::Conf;

/// A server that failed is asked after the others for so long.
const LAST_FOR: Duration = Duration::from_secs(30);

/// Names that stand for each other, one after the other, at most. Two are usual.
const MOST_ALIASES: usize = 8;

/// An answer is kept for a second at least, whatever its records say: of TTL 0 each dial would look the name up.
const LEAST_TTL: Duration = Duration::from_secs(1);

/// Addresses of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) addrs: Vec<IpAddr>,
    pub(super) ttl: Duration,
}

/// Why there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    /// The server says that there are none.
    Negative(String),
    /// It does not say.
    Failed(String),
}

/// A name server.
pub(super) struct Server {
    addr: SocketAddr,
    resolver: TokioResolver,
    /// The same without EDNS, for servers that take it for an error.
    plain: TokioResolver,
    failed_at: Mutex<Option<Instant>>,
}

impl Server {
    /// None where it could not be made.
    pub(super) fn new(addr: SocketAddr, conf: &Conf) -> Option<Self> {
        let of = |edns| resolver(addr, conf, edns);
        Some(Self { addr, resolver: of(true)?, plain: of(false)?, failed_at: Mutex::default() })
    }

    /// Whether it failed lately.
    pub(super) fn is_ill(&self, now: Instant) -> bool {
        self.failed_at.lock().is_some_and(|at| now.duration_since(at) < LAST_FOR)
    }

    /// Another one has answered that was asked later.
    pub(super) fn is_overtaken(&self) {
        *self.failed_at.lock() = Some(Instant::now());
    }

    /// The addresses of a family that it answers. It has failed where it does not, and that is remembered.
    pub(super) async fn addresses(&self, name: &Name, family: Family) -> Result<Records, Missing> {
        let kind = match family {
            Family::V4 => RecordType::A,
            Family::V6 => RecordType::AAAA,
        };
        self.ask(name, kind, addresses).await
    }

    /// The same of a service's servers. Where it says that there are none, the name may be another one's: the resolver takes the
    /// targets of SRV records behind a CNAME record for further aliases (hickory-resolver 0.26), and finds nothing there.
    pub(super) async fn services(&self, name: &Name) -> Result<Services, Missing> {
        let (mut name, mut longest) = (name.clone(), Duration::MAX);
        for _ in 0..MOST_ALIASES {
            let none = match self.ask(&name, RecordType::SRV, services).await {
                Ok(found) => return Ok(Services::new(found.servers, found.ttl.min(longest))),
                Err(none @ Missing::Negative(_)) => none,
                Err(failed @ Missing::Failed(_)) => return Err(failed),
            };
            let Ok((of, ttl)) = self.ask(&name, RecordType::CNAME, alias).await else { return Err(none) };
            (name, longest) = (of, ttl.min(longest));
        }
        Err(Missing::Failed(format!("{}: {name} is the alias of an alias, {MOST_ALIASES} times", self.addr)))
    }

    async fn ask<T>(
        &self,
        name: &Name,
        kind: RecordType,
        read: impl FnOnce(&Lookup) -> Option<T>,
    ) -> Result<T, Missing> {
        let answer = match self.resolver.lookup(name.clone(), kind).await {
            Err(NetError::Dns(DnsError::ResponseCode(ResponseCode::FormErr | ResponseCode::NotImp))) => {
                self.plain.lookup(name.clone(), kind).await
            }
            answer => answer,
        };
        let records = match answer {
            Ok(lookup) => read(&lookup).ok_or_else(|| self.none(name, kind)),
            Err(error) => Err(self.missing(name, kind, &error)),
        };
        *self.failed_at.lock() = matches!(records, Err(Missing::Failed(_))).then(Instant::now);
        records
    }

    /// It says that there is no such record.
    fn none(&self, name: &Name, kind: RecordType) -> Missing {
        let what = if kind == RecordType::SRV { "server (SRV record)" } else { "address" };
        Missing::Negative(format!("{name} has no {what}, by {}", self.addr))
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "NetError is open-ended; whatever else it is, no server said so"
    )]
    fn missing(&self, name: &Name, kind: RecordType, error: &NetError) -> Missing {
        match error {
            NetError::Dns(DnsError::NoRecordsFound(none)) if none.response_code == ResponseCode::NXDomain => {
                Missing::Negative(format!("{name} does not exist, by {}", self.addr))
            }
            NetError::Dns(DnsError::NoRecordsFound(none)) if none.response_code == ResponseCode::NoError => {
                self.none(name, kind)
            }
            error => Missing::Failed(format!("{}: {error}", self.addr)),
        }
    }
}

/// The addresses in an answer; None where there is none.
fn addresses(lookup: &Lookup) -> Option<Records> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "of all kinds of records two are addresses")]
    let address = |data: &RData| match data {
        RData::A(ip) => Some(IpAddr::V4(ip.0)),
        RData::AAAA(ip) => Some(IpAddr::V6(ip.0).to_canonical()),
        _ => None,
    };
    let addrs: Vec<IpAddr> = lookup.answers().iter().filter_map(|record| address(&record.data)).collect();
    (!addrs.is_empty()).then(|| Records { addrs, ttl: ttl(lookup) })
}

/// The servers in an answer; None where there is none: of a lone record whose target is the root it is said that there is none
/// (RFC 2782).
fn services(lookup: &Lookup) -> Option<Services> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "of all kinds of records one is a service's")]
    let server = |data: &RData| match data {
        RData::SRV(srv) if srv.port != 0 && !srv.target.is_root() => {
            let host = Service::new(&host(&srv.target), srv.port);
            Some(host.priority(srv.priority).weight(srv.weight))
        }
        _ => None,
    };
    let servers: Vec<Service> = lookup.answers().iter().filter_map(|record| server(&record.data)).collect();
    (!servers.is_empty()).then(|| Services::new(servers, ttl(lookup)))
}

/// The name that another one is an alias of; None where it is none.
fn alias(lookup: &Lookup) -> Option<(Name, Duration)> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "of all kinds of records one is an alias")]
    let name = |data: &RData| match data {
        RData::CNAME(name) => Some(name.0.clone()),
        _ => None,
    };
    Some((lookup.answers().iter().find_map(|record| name(&record.data))?, ttl(lookup)))
}

/// A name as targets are written. The dot at its end stays where it is the only one: without it the search list would be tried
/// first.
fn host(name: &Name) -> String {
    let whole = name.to_ascii().to_lowercase();
    let bare = whole.trim_end_matches('.');
    if bare.contains('.') { bare.to_owned() } else { format!("{bare}.") }
}

/// How long an answer is good: of a chain of aliases the shortest holds.
fn ttl(lookup: &Lookup) -> Duration {
    let ttl = lookup.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
    Duration::from_secs(ttl.into()).max(LEAST_TTL)
}

/// A resolver of one server: it neither keeps answers, nor reads files, nor tries another one.
fn resolver(addr: SocketAddr, conf: &Conf, edns: bool) -> Option<TokioResolver> {
    let connection = |mut connection: ConnectionConfig| {
        connection.port = addr.port();
        connection
    };
    let mut server = NameServerConfig::udp_and_tcp(addr.ip());
    server.connections = vec![connection(ConnectionConfig::tcp())];
    if !conf.use_tcp {
        server.connections.insert(0, connection(ConnectionConfig::udp()));
    }
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    options(builder.options_mut(), conf, edns);
    builder.build().ok()
}

fn options(options: &mut ResolverOpts, conf: &Conf, edns: bool) {
    options.edns0 = edns;
    options.timeout = conf.timeout;
    options.attempts = 0;
    options.cache_size = 0;
    options.num_concurrent_reqs = 1;
    options.use_hosts_file = ResolveHosts::Never;
    options.preserve_intermediates = true;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
}
