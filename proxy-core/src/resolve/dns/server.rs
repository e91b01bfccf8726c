//! One name server, and what it answers.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::resolve::answer::Family;

use super::conf::Conf;

/// A server that failed is asked after the others for so long.
const LAST_FOR: Duration = Duration::from_secs(30);

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

    /// What it answers. It has failed where it does not, and that is remembered.
    pub(super) async fn addresses(&self, name: &Name, family: Family) -> Result<Records, Missing> {
        let kind = match family {
            Family::V4 => RecordType::A,
            Family::V6 => RecordType::AAAA,
        };
        let answer = match self.resolver.lookup(name.clone(), kind).await {
            Err(NetError::Dns(DnsError::ResponseCode(ResponseCode::FormErr | ResponseCode::NotImp))) => {
                self.plain.lookup(name.clone(), kind).await
            }
            answer => answer,
        };
        let records = match answer {
            Ok(lookup) => self.records(name, &lookup),
            Err(error) => Err(self.missing(name, &error)),
        };
        *self.failed_at.lock() = matches!(records, Err(Missing::Failed(_))).then(Instant::now);
        records
    }

    fn records(&self, name: &Name, lookup: &hickory_resolver::lookup::Lookup) -> Result<Records, Missing> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "of all kinds of records two are addresses")]
        let address = |data: &RData| match data {
            RData::A(ip) => Some(IpAddr::V4(ip.0)),
            RData::AAAA(ip) => Some(IpAddr::V6(ip.0).to_canonical()),
            _ => None,
        };
        let addrs: Vec<IpAddr> = lookup.answers().iter().filter_map(|record| address(&record.data)).collect();
        // Of a chain of aliases the shortest holds.
        let ttl = lookup.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
        if addrs.is_empty() {
            return Err(Missing::Negative(format!("{name} has no address, by {}", self.addr)));
        }
        Ok(Records { addrs, ttl: Duration::from_secs(ttl.into()).max(LEAST_TTL) })
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "NetError is open-ended; whatever else it is, no server said so"
    )]
    fn missing(&self, name: &Name, error: &NetError) -> Missing {
        match error {
            NetError::Dns(DnsError::NoRecordsFound(none)) if none.response_code == ResponseCode::NXDomain => {
                Missing::Negative(format!("{name} does not exist, by {}", self.addr))
            }
            NetError::Dns(DnsError::NoRecordsFound(none)) if none.response_code == ResponseCode::NoError => {
                Missing::Negative(format!("{name} has no address, by {}", self.addr))
            }
            error => Missing::Failed(format!("{}: {error}", self.addr)),
        }
    }
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
