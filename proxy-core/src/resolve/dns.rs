//! The look-up itself: the hosts file, then the name servers of `resolv.conf`, as the system's own resolver would, but for what is
//! in `nsswitch.conf` beside these two.
//!
//! ```text
//! name ─► an address? ─► in the hosts file? ─► localhost? ─► each candidate (search list) ─┬─ A ────┐ the first is used,
//!                                                                                         └─ AAAA ─┘ the other has `SECOND_WITHIN`
//!         each of the two: server 1, then beside it server 2 … until one knows, or knows that there is none
//! ```
//! A server that fails says nothing of the name: only where who answers says that there is neither record is a name without
//! address ([`ResolveError::NoAddress`]).

mod conf;
mod files;
mod hosts;
mod server;
mod servers;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::rr::Name;

use super::answer::{Family, Found, ResolveError};
use super::services::Services;
use files::{Files, Snapshot};
use server::{Missing, Records};

/// An answer with addresses of one family is used when the other family's has not come so much later: RFC 8305's recommendation
/// (section 3).
const SECOND_WITHIN: Duration = Duration::from_millis(50);

/// What comes of the hosts file, and needs no asking, is good for so long: it is looked at again, not waited for.
const HOSTS_FOR: Duration = Duration::from_secs(5);

/// An answer that lacks a family of which nothing was heard is good for no longer than this.
const HALF_FOR: Duration = Duration::from_secs(5);

/// Where names are looked up.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DnsOptions {
    /// The hosts file. Default `/etc/hosts`.
    pub hosts: PathBuf,
    /// The file that names the name servers. Default `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
    /// Name servers in the place of those of that file. Default: none.
    pub servers: Vec<SocketAddr>,
}

impl Default for DnsOptions {
    fn default() -> Self {
        Self { hosts: "/etc/hosts".into(), resolv_conf: "/etc/resolv.conf".into(), servers: Vec::new() }
    }
}

proxy_values::setters!([] DnsOptions { hosts: PathBuf, resolv_conf: PathBuf, servers: Vec<SocketAddr> });

/// Look-ups by hosts file and name servers.
pub(super) struct Dns {
    files: Files,
}

impl Dns {
    pub(super) fn new(options: DnsOptions) -> Self {
        Self { files: Files::new(options) }
    }

    /// Reads what has changed of hosts file and `resolv.conf`; whether anything had.
    pub(super) fn look_at_files(&self) -> bool {
        self.files.look()
    }

    /// What needs nobody to be asked: an address, a name of the hosts file, the machine itself.
    pub(super) fn here(&self, name: &str) -> Option<Found> {
        let here = |addrs: Vec<IpAddr>| Found { addrs, ttl: Some(HOSTS_FOR), unheard: None };
        if let Ok(ip) = name.parse::<IpAddr>() {
            return Some(here(vec![ip.to_canonical()]));
        }
        let key = name.trim_end_matches('.').to_ascii_lowercase();
        if let Some(addrs) = self.files.now().hosts.get(&key) {
            return Some(here(addrs.to_vec()));
        }
        let is_localhost = key == "localhost" || key.ends_with(".localhost");
        is_localhost.then(|| here(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]))
    }

    /// The addresses of a name, by the name servers. Cancel-safe: dropped, its sockets are closed.
    pub(super) async fn ask(&self, name: &str) -> Result<Found, ResolveError> {
        let (now, mut unknown) = (self.files.now(), Unknown::default());
        for candidate in now.conf.candidates(name)? {
            match both(&now, &candidate).await {
                Ok(mut found) => {
                    arrange(&mut found.addrs);
                    return Ok(found);
                }
                Err(missing) => unknown.note(missing),
            }
        }
        Err(unknown.into())
    }

    /// The servers of a service, by its SRV records. Cancel-safe: dropped, its sockets are closed.
    pub(super) async fn services(&self, name: &str) -> Result<Services, ResolveError> {
        let (now, mut unknown) = (self.files.now(), Unknown::default());
        for candidate in now.conf.candidates(name)? {
            match now.servers.services(&candidate).await {
                Ok(found) => return Ok(found),
                Err(missing) => unknown.note(missing),
            }
        }
        Err(unknown.into())
    }
}

/// Why none of the candidates for a name is known.
#[derive(Default)]
struct Unknown {
    negative: Option<String>,
    failed: Option<String>,
}

impl Unknown {
    fn note(&mut self, missing: Missing) {
        match missing {
            Missing::Negative(why) => self.negative = Some(why),
            // As glibc does: the others may have it. But then it is not known that there is none.
            Missing::Failed(why) => self.failed = self.failed.take().or(Some(why)),
        }
    }
}

impl From<Unknown> for ResolveError {
    fn from(unknown: Unknown) -> Self {
        match (unknown.failed, unknown.negative) {
            (Some(why), _) => Self::Failed(why.into()),
            (None, Some(why)) => Self::NoAddress(why.into()),
            (None, None) => Self::Failed("there is no name server to ask".into()),
        }
    }
}

/// Both families of one name.
async fn both(now: &Snapshot, name: &Name) -> Result<Found, Missing> {
    let v4 = now.servers.addresses(name, Family::V4);
    if now.conf.no_aaaa {
        return v4.await.map(|Records { addrs, ttl }| Found { addrs, ttl: Some(ttl), unheard: None });
    }
    let v6 = now.servers.addresses(name, Family::V6);
    let (mut v4, mut v6) = (std::pin::pin!(v4), std::pin::pin!(v6));
    tokio::select! {
        first = &mut v4 => halves(first, v6, Family::V6).await,
        first = &mut v6 => halves(first, v4, Family::V4).await,
    }
}

/// The first of two halves, and the `other` family's, for which there is little time where the first has addresses.
async fn halves(
    first: Result<Records, Missing>,
    second: impl Future<Output = Result<Records, Missing>>,
    other: Family,
) -> Result<Found, Missing> {
    let second = match &first {
        Ok(_) => tokio::time::timeout(SECOND_WITHIN, second).await.ok(),
        Err(_) => Some(second.await),
    };
    let whole = |records: Records| Found { addrs: records.addrs, ttl: Some(records.ttl), unheard: None };
    let half = |records: Records, unheard| Found {
        ttl: Some(records.ttl.min(HALF_FOR)),
        unheard: Some(unheard),
        ..whole(records)
    };
    let of_first = match other {
        Family::V4 => Family::V6,
        Family::V6 => Family::V4,
    };
    match (first, second) {
        (Ok(mut one), Some(Ok(two))) => {
            one.addrs.extend(two.addrs);
            Ok(whole(Records { ttl: one.ttl.min(two.ttl), ..one }))
        }
        (Ok(one), Some(Err(Missing::Negative(_)))) => Ok(whole(one)),
        (Ok(one), Some(Err(Missing::Failed(_))) | None) => Ok(half(one, other)),
        (Err(Missing::Negative(_)), Some(Ok(two))) => Ok(whole(two)),
        (Err(Missing::Failed(_)), Some(Ok(two))) => Ok(half(two, of_first)),
        (Err(failed @ Missing::Failed(_)), _) | (_, Some(Err(failed @ Missing::Failed(_)))) => Err(failed),
        (Err(negative @ Missing::Negative(_)), _) => Err(negative),
    }
}

/// Addresses are answered in whatever order, and a cached answer always in the same: each in its turn. A family that this machine
/// has no address of comes last.
fn arrange(addrs: &mut [IpAddr]) {
    fastrand::shuffle(addrs);
    let v6_first = addrs.iter().find(|ip| ip.is_ipv6()).is_some_and(|ip| is_in_reach(*ip));
    addrs.sort_by_key(|ip| ip.is_ipv6() != v6_first);
}

/// Whether this machine has an address to reach another one from. A datagram socket that connects sends nothing.
fn is_in_reach(ip: IpAddr) -> bool {
    let from: IpAddr = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let reach = || -> io::Result<()> { UdpSocket::bind((from, 0))?.connect((ip, 53)) };
    reach().is_ok()
}

/// A look-up, as whoever keeps places for them begins it.
pub(super) fn asking(
    dns: &Arc<Dns>,
    name: &str,
) -> std::pin::Pin<Box<dyn Future<Output = Result<Found, ResolveError>> + Send>> {
    let (dns, name) = (Arc::clone(dns), Box::<str>::from(name));
    Box::pin(async move { dns.ask(&name).await })
}

#[cfg(test)]
mod tests;
