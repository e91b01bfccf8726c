//! What `resolv.conf` says (resolv.conf(5)), within bounds.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::rr::Name;

use crate::resolve::ResolveError;

/// Name servers that are asked; those further down the list are not. Glibc asks three.
const MOST_SERVERS: usize = 6;

/// Domains of a search list that are tried.
const MOST_SEARCHED: usize = 6;

/// How long one name server may take, however long the file says: between these.
const LEAST_TIMEOUT: Duration = Duration::from_secs(1);
const MOST_TIMEOUT: Duration = Duration::from_secs(2);

/// Glibc's own bound.
const MOST_NDOTS: u32 = 15;

/// The port of name servers.
const PORT: u16 = 53;

/// What `resolv.conf` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conf {
    /// The name servers, never none: without any it is the machine itself, as for glibc.
    pub(super) servers: Vec<SocketAddr>,
    search: Vec<Name>,
    /// A name with so many dots is tried as it is first.
    ndots: usize,
    /// How long one name server may take.
    pub(super) timeout: Duration,
    /// Whether IPv4 addresses alone are asked for.
    pub(super) no_aaaa: bool,
    /// Whether TCP alone is used.
    pub(super) use_tcp: bool,
}

impl Conf {
    /// Whatever cannot be read of it is passed over, and the default used.
    pub(super) fn parse(text: &[u8]) -> Self {
        let (file, _) = resolv_conf::Config::parse_with_errors(text);
        let servers = file.nameservers.iter().map(server).take(MOST_SERVERS);
        let mut servers: Vec<SocketAddr> = servers.collect();
        if servers.is_empty() {
            servers.push((Ipv4Addr::LOCALHOST, PORT).into());
        }
        let search = file.get_last_search_or_domain().filter(|domain| !matches!(domain.as_str(), "." | "--"));
        let search = search.filter_map(|domain| absolute(domain).ok()).take(MOST_SEARCHED).collect();
        let timeout = Duration::from_secs(file.timeout.into()).clamp(LEAST_TIMEOUT, MOST_TIMEOUT);
        Self {
            servers,
            search,
            ndots: file.ndots.min(MOST_NDOTS) as usize,
            timeout,
            no_aaaa: file.no_aaaa,
            use_tcp: file.use_vc,
        }
    }

    /// The names that are asked for in the place of `name`, in order.
    ///
    /// # Errors
    /// Where it is no name.
    pub(super) fn candidates(&self, name: &str) -> Result<Vec<Name>, ResolveError> {
        let whole = absolute(name)
            .map_err(|error| ResolveError::NoAddress(Arc::from(format!("\"{name}\" is no name: {error}"))))?;
        if name.ends_with('.') {
            return Ok(vec![whole]);
        }
        let searched = self.search.iter().filter_map(|domain| {
            let mut relative = whole.clone();
            relative.set_fqdn(false);
            relative.append_domain(domain).ok()
        });
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        let mut candidates: Vec<Name> = searched.collect();
        let at = if dots >= self.ndots { 0 } else { candidates.len() };
        candidates.insert(at, whole);
        Ok(candidates)
    }
}

/// A name as it is written, underscores and all.
fn absolute(name: &str) -> Result<Name, hickory_resolver::proto::ProtoError> {
    let mut name = Name::from_ascii(name)?;
    name.set_fqdn(true);
    Ok(name)
}

fn server(ip: &resolv_conf::ScopedIp) -> SocketAddr {
    match ip {
        resolv_conf::ScopedIp::V4(ip) => (*ip, PORT).into(),
        resolv_conf::ScopedIp::V6(ip, None) => (*ip, PORT).into(),
        resolv_conf::ScopedIp::V6(ip, Some(scope)) => {
            std::net::SocketAddrV6::new(*ip, PORT, 0, index_of(scope)).into()
        }
    }
}

/// The number of an interface that is named; 0, which is none, where there is no such interface.
fn index_of(scope: &str) -> u32 {
    let file = format!("/sys/class/net/{scope}/ifindex");
    let read = || std::fs::read_to_string(file).ok()?.trim().parse().ok();
    scope.parse().ok().or_else(read).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(conf: &str, name: &str) -> String {
        let names = Conf::parse(conf.as_bytes()).candidates(name).unwrap();
        names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_missing_or_beyond_bounds_is_within_them() {
        for text in ["", "nameserver 127.0.0.1:53\n", "garbage\n"] {
            assert_eq!(Conf::parse(text.as_bytes()).servers, ["127.0.0.1:53".parse().unwrap()], "{text}");
        }
        let conf =
            Conf::parse(b"nameserver 10.0.0.1\nnameserver ::1\noptions timeout:99 attempts:99 ndots:99\n");
        assert_eq!(conf.servers, ["10.0.0.1:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
        assert_eq!((conf.timeout, conf.ndots), (Duration::from_secs(2), 15));
        let conf = Conf::parse(b"options timeout:0 use-vc no-aaaa\n");
        assert_eq!((conf.timeout, conf.use_tcp, conf.no_aaaa), (Duration::from_secs(1), true, true));
    }

    #[test]
    fn the_search_list_holds_for_names_with_few_dots_first() {
        let conf = "search corp.test other.test\noptions ndots:2\n";
        assert_eq!(candidates(conf, "www"), "www.corp.test. www.other.test. www.");
        assert_eq!(candidates(conf, "a.b"), "a.b.corp.test. a.b.other.test. a.b.");
        assert_eq!(candidates(conf, "a.b.c"), "a.b.c. a.b.c.corp.test. a.b.c.other.test.");
        assert_eq!(candidates(conf, "www."), "www.");
        assert_eq!(candidates("", "my_app_db_1"), "my_app_db_1.");
        assert_eq!(candidates("domain corp.test\n", "db"), "db.corp.test. db.");
    }

    #[test]
    fn what_is_no_name_is_said_to_be_none() {
        let conf = Conf::parse(b"");
        for name in ["a..b", &"x".repeat(64)] {
            let error = conf.candidates(name).unwrap_err();
            assert!(matches!(error, ResolveError::NoAddress(_)), "{name}: {error}");
        }
    }
}
