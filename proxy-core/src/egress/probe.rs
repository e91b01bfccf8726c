//! What this machine lacks for a way out, found by asking the kernel. Nothing is sent, and no port is taken for longer than it
//! takes to ask.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv6Net};
use socket2::{Domain, Protocol, Socket, Type};

use super::{Egress, EgressError, Privilege, Source, SourceNet};

/// A flag of the kernel's list of routes (`linux/ipv6_route.h`): what is sent there is for this machine.
const LOCAL: u32 = 0x8000_0000;

impl Egress {
    /// What this machine or this process lacks for it as things are now, each with the key that it is about. Empty where nothing
    /// does, or the kernel cannot say.
    #[must_use]
    pub fn lacking(&self) -> Vec<(&'static str, EgressError)> {
        let mut lacking: Vec<_> = self.source.lacking().into_iter().map(|error| ("source", error)).collect();
        if let Some(interface) = &self.interface {
            let bind = |socket: Socket| socket.bind_device(Some(interface.as_str().as_bytes()));
            let error = socket(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).and_then(bind).err();
            lacking.extend(
                error.map(|error| ("interface", Privilege::Interface.refused(error, Some(interface)))),
            );
        }
        if let Some(mark) = self.mark {
            let set = |socket: Socket| socket.set_mark(mark.get());
            let error = socket(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).and_then(set).err();
            lacking.extend(error.map(|error| ("mark", Privilege::Mark.refused(error, None))));
        }
        lacking
    }
}

impl Source {
    fn lacking(&self) -> Vec<EgressError> {
        match self {
            Self::Auto => Vec::new(),
            Self::Client => {
                let set = |socket: Socket| socket.set_ip_transparent_v4(true);
                let error = socket(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).and_then(set).err();
                error.map(|error| Privilege::Transparent.refused(error, None)).into_iter().collect()
            }
            Self::Pool(pool) => pool.sources().iter().filter_map(|source| source.lacking()).collect(),
        }
    }
}

impl SourceNet {
    fn lacking(self) -> Option<EgressError> {
        if self.is_single() {
            let ip = self.network().addr();
            return (!is_bindable(ip)).then_some(EgressError::NotLocal(ip));
        }
        let is_local = match self.network() {
            IpNet::V4(net) => net.hosts().next().is_none_or(|ip| is_bindable(ip.into())),
            IpNet::V6(net) => {
                let routes = std::fs::read_to_string("/proc/thread-self/net/ipv6_route");
                routes.map_or(true, |routes| local_networks(&routes).any(|local| local.contains(&net)))
            }
        };
        (!is_local).then_some(EgressError::NetworkNotLocal(self))
    }
}

fn socket(like: IpAddr) -> io::Result<Socket> {
    let domain = if like.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    Socket::new(domain, Type::STREAM, Some(Protocol::TCP))
}

/// Whether a socket can be bound to an address: of IPv4, that is where what is sent to it is for this machine.
fn is_bindable(ip: IpAddr) -> bool {
    let bind = |socket: Socket| socket.bind(&SocketAddr::new(ip, 0).into());
    let error = socket(ip).and_then(bind).err();
    error.is_none_or(|error| error.raw_os_error() != Some(libc::EADDRNOTAVAIL))
}

/// The networks in the kernel's list of IPv6 routes that are this machine's own.
fn local_networks(routes: &str) -> impl Iterator<Item = Ipv6Net> {
    routes.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let network = u128::from_str_radix(words.next()?, 16).ok()?;
        let prefix = u8::from_str_radix(words.next()?, 16).ok()?;
        let flags = u32::from_str_radix(words.nth(6)?, 16).ok()?;
        (flags & LOCAL != 0).then(|| Ipv6Net::new(Ipv6Addr::from_bits(network), prefix).ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_here_is_said() {
        let lacking =
            |source: &str| source.parse::<SourceNet>().unwrap().lacking().map(|error| error.to_string());
        assert_eq!(lacking("127.0.0.9"), None);
        assert_eq!(lacking("127.1.0.0/16"), None, "all of it is loopback's");
        insta::assert_snapshot!(lacking("192.0.2.77").unwrap(), @"the source 192.0.2.77 is no address of this machine: add it (`ip addr add 192.0.2.77 dev …`), or take it out of `source`");
        insta::assert_snapshot!(lacking("192.0.2.0/24").unwrap(), @"192.0.2.0/24 in `source` is no network of this machine, so no answer would come: route it here and add `ip route add local 192.0.2.0/24 dev lo`, or take it out");
        let egress = Egress::default().interface(Some("no-such-if0".parse().unwrap()));
        let [(key, error)] = &egress.lacking()[..] else { panic!("one thing is lacking") };
        assert_eq!(*key, "interface");
        insta::assert_snapshot!(error, @r#"there is no network interface "no-such-if0" here: `ip link` lists them"#);
    }

    #[test]
    fn networks_are_this_machines_by_their_local_routes() {
        let routes = "20010db8000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000400 00000001 00000000 80200001       lo\n\
                      20010db9000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000400 00000001 00000000 00000001     eth0\n";
        let local: Vec<_> = local_networks(routes).map(|net| net.to_string()).collect();
        assert_eq!(local, ["2001:db8::/64"]);
    }
}
