//! Client networks as a route names them: `10.0.0.0/8`, `2001:db8::/32`, `::1`. Not a listening address and
//! not a name: nothing is resolved.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The bits in front of an IPv4 address in its IPv6-mapped form, `::ffff:0:0/96`.
const MAPPED_BITS: u8 = 96;

/// A network of client addresses; a bare address is a network of one.
///
/// Invariant: no bits are set beyond the prefix, and a network of IPv4-mapped IPv6 addresses is kept as the IPv4
/// network, as clients are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientNet(IpNet);

/// Why a text is not a [`ClientNet`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientNetError {
    /// No address in front of the slash.
    #[error(
        "\"{text}\" is not a network: write one such as \"10.0.0.0/8\" or \"2001:db8::/32\", or an address"
    )]
    NotAnAddress {
        /// The text as written.
        text: String,
    },
    /// What follows the slash is not a number of bits that such an address has.
    #[error("\"{text}\" has no valid prefix length: after the slash goes a number from 0 to {most}")]
    PrefixLength {
        /// The text as written.
        text: String,
        /// The bits in an address of this family.
        most: u8,
    },
    /// Bits are set which the prefix does not cover.
    #[error("{net} has bits set beyond its prefix: write \"{}\" for the network, or \"{}\" for the address alone",
        net.trunc(), net.addr())]
    HostBits {
        /// The network as written, in IPv4 form if it was IPv4-mapped.
        net: IpNet,
    },
}

impl ClientNet {
    /// Whether a client with this address is in the network. An IPv4-mapped IPv6 address counts as IPv4.
    #[must_use]
    pub fn contains(self, client: IpAddr) -> bool {
        self.0.contains(&client.to_canonical())
    }

    /// The network.
    #[must_use]
    pub fn net(self) -> IpNet {
        self.0
    }
}

impl From<IpAddr> for ClientNet {
    fn from(address: IpAddr) -> Self {
        Self(IpNet::from(address.to_canonical()))
    }
}

impl TryFrom<IpNet> for ClientNet {
    type Error = ClientNetError;

    /// # Errors
    /// [`ClientNetError::HostBits`] if bits are set beyond the prefix.
    fn try_from(net: IpNet) -> Result<Self, ClientNetError> {
        let net = unmapped(net);
        if net.addr() == net.network() { Ok(Self(net)) } else { Err(ClientNetError::HostBits { net }) }
    }
}

impl FromStr for ClientNet {
    type Err = ClientNetError;

    fn from_str(text: &str) -> Result<Self, ClientNetError> {
        let (address, length) =
            text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr =
            address.parse().map_err(|_| ClientNetError::NotAnAddress { text: text.to_owned() })?;
        let Some(length) = length else { return Ok(address.into()) };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let digits = length.bytes().all(|byte| byte.is_ascii_digit());
        length
            .parse()
            .ok()
            .filter(|_| digits)
            .and_then(|length| IpNet::new(address, length).ok())
            .ok_or_else(|| ClientNetError::PrefixLength { text: text.to_owned(), most })?
            .try_into()
    }
}

impl fmt::Display for ClientNet {
    /// A network of one address is written as the address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            write!(f, "{}", self.0.addr())
        } else {
            write!(f, "{}", self.0)
        }
    }
}

/// The IPv4 network, if all of `net` is IPv4-mapped.
fn unmapped(net: IpNet) -> IpNet {
    let v4 = |v6: Ipv6Net| {
        let length = v6.prefix_len().checked_sub(MAPPED_BITS)?;
        Ipv4Net::new(v6.addr().to_ipv4_mapped()?, length).ok()
    };
    match net {
        IpNet::V4(_) => net,
        IpNet::V6(v6) => v4(v6).map_or(net, IpNet::V4),
    }
}

#[cfg(feature = "serde")]
crate::text::text_form!(ClientNet, "a network such as \"10.0.0.0/8\" or an IP address");

#[cfg(feature = "schemars")]
crate::text::text_schema!(ClientNet, "ClientNet", {
    "description": "A network of client addresses, or one address. No bits may be set beyond the prefix. An \
                    IPv4-mapped IPv6 network counts as IPv4.",
    "examples": ["10.0.0.0/8", "2001:db8::/32", "::1"],
    "type": "string",
    "pattern": "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$",
});

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> ClientNet {
        text.parse().unwrap()
    }

    fn refusal(text: &str) -> ClientNetError {
        text.parse::<ClientNet>().unwrap_err()
    }

    #[test]
    fn a_bare_address_is_a_network_of_one() {
        assert_eq!(parse("::1"), parse("::1/128"));
        assert_eq!(parse("10.0.0.1"), parse("10.0.0.1/32"));
        assert_eq!(parse("10.0.0.1/32").to_string(), "10.0.0.1");
    }

    #[test]
    fn both_ends_of_the_prefix_lengths_parse() {
        for text in ["0.0.0.0/0", "::/0", "10.0.0.0/31", "2001:db8::/127"] {
            assert_eq!(parse(text).to_string(), text);
        }
    }

    #[test]
    fn v4_mapped_networks_become_v4() {
        assert_eq!(parse("::ffff:10.0.0.0/104"), parse("10.0.0.0/8"));
        assert_eq!(parse("::ffff:0:0/96"), parse("0.0.0.0/0"));
        assert_eq!(parse("::ffff:10.0.0.1"), parse("10.0.0.1"));
        assert_eq!(parse("::fffe:0:0/95").to_string(), "::fffe:0:0/95");
    }

    #[test]
    fn refusals_say_what_to_write() {
        assert_snapshot!(refusal("10.0.0.1/8"), @r#"10.0.0.1/8 has bits set beyond its prefix: write "10.0.0.0/8" for the network, or "10.0.0.1" for the address alone"#);
        assert_snapshot!(refusal("::ffff:10.0.0.1/104"), @r#"10.0.0.1/8 has bits set beyond its prefix: write "10.0.0.0/8" for the network, or "10.0.0.1" for the address alone"#);
        assert_snapshot!(refusal("2001:db8::1/32"), @r#"2001:db8::1/32 has bits set beyond its prefix: write "2001:db8::/32" for the network, or "2001:db8::1" for the address alone"#);
        assert_snapshot!(refusal(""), @r#""" is not a network: write one such as "10.0.0.0/8" or "2001:db8::/32", or an address"#);
        assert_snapshot!(refusal("10.0.0/8"), @r#""10.0.0/8" is not a network: write one such as "10.0.0.0/8" or "2001:db8::/32", or an address"#);
        assert_snapshot!(refusal("fe80::1%eth0"), @r#""fe80::1%eth0" is not a network: write one such as "10.0.0.0/8" or "2001:db8::/32", or an address"#);
        assert_snapshot!(refusal("10.0.0.0/33"), @r#""10.0.0.0/33" has no valid prefix length: after the slash goes a number from 0 to 32"#);
        assert_snapshot!(refusal("::/129"), @r#""::/129" has no valid prefix length: after the slash goes a number from 0 to 128"#);
        assert_snapshot!(refusal("10.0.0.0/"), @r#""10.0.0.0/" has no valid prefix length: after the slash goes a number from 0 to 32"#);
        assert_snapshot!(refusal("10.0.0.0/+8"), @r#""10.0.0.0/+8" has no valid prefix length: after the slash goes a number from 0 to 32"#);
        assert_snapshot!(refusal("10.0.0.0/255.0.0.0"), @r#""10.0.0.0/255.0.0.0" has no valid prefix length: after the slash goes a number from 0 to 32"#);
    }

    #[test]
    fn a_v4_network_contains_the_mapped_client() {
        assert!(parse("10.0.0.0/8").contains("::ffff:10.9.9.9".parse().unwrap()));
        assert!(!parse("10.0.0.0/8").contains("::ffff:11.9.9.9".parse().unwrap()));
        assert!(!parse("::/0").contains("::ffff:10.9.9.9".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn parse_undoes_display(bits in any::<u128>(), v4 in any::<bool>(), length in 0..=128u8) {
            let address = if v4 {
                IpAddr::from(Ipv4Addr::from(u32::try_from(bits >> 96).unwrap()))
            } else {
                IpAddr::from(Ipv6Addr::from(bits))
            };
            let length = if v4 { length % 33 } else { length };
            let net = ClientNet::try_from(IpNet::new(address, length).unwrap().trunc()).unwrap();
            prop_assert_eq!(net.to_string().parse(), Ok(net));
        }
    }
}
