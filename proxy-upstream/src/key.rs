//! What a connection is told apart by, where the choice of a member depends on that.

use std::net::IpAddr;

use crate::balance::turn::mix;
use crate::options::HashKey;

/// What is known of a connection that a hash may go by. It borrows: nothing is computed where no hash is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Key<'c> {
    /// Its client's address, where that is known.
    pub client: Option<IpAddr>,
    /// The name that it asks for.
    pub server_name: Option<&'c str>,
}

impl<'c> Key<'c> {
    /// The key of a client that asks for a name, as far as both are known.
    #[must_use]
    pub const fn new(client: Option<IpAddr>, server_name: Option<&'c str>) -> Self {
        Self { client, server_name }
    }

    /// The number that all processes make of it: of the name in lower case and without a dot at its end, of an IPv4 address, of
    /// an IPv6 network of 64 bits, which is what one client is given. None where nothing is known.
    #[must_use]
    pub fn hash(&self, of: HashKey) -> Option<u64> {
        match of {
            HashKey::Client => self.client.map(of_client),
            HashKey::ServerName => {
                let name =
                    self.server_name.map(|name| name.trim_end_matches('.')).filter(|name| !name.is_empty());
                name.map(of_name).or_else(|| self.client.map(of_client))
            }
        }
    }
}

fn of_client(client: IpAddr) -> u64 {
    match client.to_canonical() {
        IpAddr::V4(ip) => mix(u64::from(ip.to_bits())),
        // Told apart from an IPv4 address by being mixed once more.
        IpAddr::V6(ip) => mix(mix(u64::try_from(ip.to_bits() >> 64).unwrap_or(0))),
    }
}

/// FNV-1a over the bytes, then mixed: short names that differ in one letter are far apart.
pub(crate) fn of_name(name: &str) -> u64 {
    let bytes = name.bytes().map(|byte| byte.to_ascii_lowercase());
    mix(bytes
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(ip: &str) -> Option<u64> {
        Key::new(Some(ip.parse().unwrap()), None).hash(HashKey::Client)
    }

    #[test]
    fn an_address_is_a_client_and_so_is_a_network_of_ipv6() {
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
        assert_eq!(client("192.0.2.1"), client("::ffff:192.0.2.1"));
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:2"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(Key::default().hash(HashKey::Client), None);
    }

    #[test]
    fn a_name_is_the_same_however_it_is_written_and_without_one_it_is_the_client() {
        let named = |name| Key::new(Some([192, 0, 2, 1].into()), name).hash(HashKey::ServerName);
        assert_eq!(named(Some("Shop.Example.")), named(Some("shop.example")));
        assert_ne!(named(Some("shop.example")), named(Some("shop.exampld")));
        assert_eq!((named(None), named(Some("."))), (client("192.0.2.1"), client("192.0.2.1")));
        assert_eq!(Key::default().hash(HashKey::ServerName), None);
    }
}
