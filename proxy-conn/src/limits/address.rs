//! What a client address counts as.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many leading bits of an IPv6 address name a client: 32 to 128.
///
/// One customer has a whole /64 at least (RFC 6177), and can take a new address in it for every connection. Less than
/// /32 would take a provider for one client: that is the size registries allot to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct V6Prefix(u8);

impl V6Prefix {
    /// The default: one link, which is one customer.
    pub const LINK: Self = Self(64);
    /// Each address for itself.
    pub const WHOLE: Self = Self(128);

    /// The number of bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    const fn mask(self) -> u128 {
        // INVARIANT: 32 to 128 bits, so the shift is by 96 at most.
        u128::MAX << (128 - self.0)
    }
}

impl Default for V6Prefix {
    fn default() -> Self {
        Self::LINK
    }
}

/// A prefix out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an IPv6 prefix from 32 to 128 bits, found {0}")]
pub struct V6PrefixError(i64);

impl TryFrom<i64> for V6Prefix {
    type Error = V6PrefixError;

    fn try_from(bits: i64) -> Result<Self, V6PrefixError> {
        u8::try_from(bits).ok().filter(|bits| (32..=128).contains(bits)).map(Self).ok_or(V6PrefixError(bits))
    }
}

proxy_values::number_form!(V6Prefix, "V6Prefix", 32, 128, "bits of an IPv6 prefix");

/// One client as far as counting goes: an IPv4 address, or the prefix of an IPv6 address.
///
/// An IPv4 address that came as IPv6 (`::ffff:192.0.2.1`) is the IPv4 address.
//
// The number is that of the IPv6 address, an IPv4 address being its mapped one. No prefix of another address is mapped:
// clearing trailing bits changes the first 96 only to something that is not `::ffff`, as that has its ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressKey(u128);

impl AddressKey {
    /// What `ip` counts as.
    #[must_use]
    pub fn of(ip: IpAddr, prefix: V6Prefix) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(v4) => Self(v4.to_ipv6_mapped().to_bits()),
            IpAddr::V6(v6) => Self(v6.to_bits() & prefix.mask()),
        }
    }

    /// The first address of those that count as this client.
    #[must_use]
    pub fn first(self) -> IpAddr {
        IpAddr::V6(Ipv6Addr::from_bits(self.0)).to_canonical()
    }
}

impl From<Ipv4Addr> for AddressKey {
    fn from(ip: Ipv4Addr) -> Self {
        Self::of(ip.into(), V6Prefix::WHOLE)
    }
}

impl fmt::Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(ip: &str, prefix: i64) -> String {
        AddressKey::of(ip.parse().unwrap(), V6Prefix::try_from(prefix).unwrap()).to_string()
    }

    #[test]
    fn a_v4_address_counts_whole_and_a_v6_address_by_its_prefix() {
        assert_eq!(key("192.0.2.1", 64), "192.0.2.1");
        assert_eq!(key("::ffff:192.0.2.1", 32), "192.0.2.1");
        assert_eq!(key("2001:db8:1:2:3:4:5:6", 32), "2001:db8::");
        assert_eq!(key("2001:db8:1:2:3:4:5:6", 48), "2001:db8:1::");
        assert_eq!(key("2001:db8:1:2:ffff:ffff:ffff:ffff", 64), "2001:db8:1:2::");
        assert_eq!(key("2001:db8:1:2:3:4:5:6", 128), "2001:db8:1:2:3:4:5:6");
    }

    #[test]
    fn neighbours_on_either_side_of_a_prefix_differ() {
        assert_eq!(key("2001:db8:0:1::1", 64), key("2001:db8:0:1:ffff::1", 64));
        assert_ne!(key("2001:db8:0:1::1", 64), key("2001:db8:0:2::1", 64));
        assert_ne!(key("192.0.2.1", 64), key("192.0.2.2", 64));
        assert_ne!(key("::1", 128), key("0.0.0.1", 128), "v4-compatible is not v4-mapped");
    }

    #[test]
    fn a_prefix_out_of_range_says_so() {
        assert!(V6Prefix::try_from(32).is_ok() && V6Prefix::try_from(128).is_ok());
        let error = |bits: i64| V6Prefix::try_from(bits).unwrap_err().to_string();
        insta::assert_snapshot!(error(31), @"expected an IPv6 prefix from 32 to 128 bits, found 31");
        insta::assert_snapshot!(error(129), @"expected an IPv6 prefix from 32 to 128 bits, found 129");
        insta::assert_snapshot!(error(-64), @"expected an IPv6 prefix from 32 to 128 bits, found -64");
        insta::assert_snapshot!(error(320), @"expected an IPv6 prefix from 32 to 128 bits, found 320");
    }

    fn canonical() -> impl Strategy<Value = IpAddr> {
        let v6 = any::<u128>().prop_map(|bits| IpAddr::from(Ipv6Addr::from_bits(bits)));
        let low = any::<u64>().prop_map(|bits| IpAddr::from(Ipv6Addr::from_bits(u128::from(bits))));
        let v4 = any::<u32>().prop_map(|bits| IpAddr::from(Ipv4Addr::from_bits(bits)));
        prop_oneof![v6, low, v4]
    }

    proptest! {
        #[test]
        fn two_addresses_are_one_client_exactly_if_they_share_the_prefix(
            one in canonical(), other in canonical(), flip in 0_u32..128, bits in 32_i64..=128
        ) {
            let prefix = V6Prefix::try_from(bits).unwrap();
            let near = match one {
                IpAddr::V4(v4) => IpAddr::from(Ipv4Addr::from_bits(v4.to_bits() ^ (1 << (flip % 32)))),
                IpAddr::V6(v6) => IpAddr::from(Ipv6Addr::from_bits(v6.to_bits() ^ (1 << flip))),
            };
            for other in [other, near] {
                let net = |ip: IpAddr| match ip.to_canonical() {
                    IpAddr::V4(v4) => (4, u128::from(v4.to_bits())),
                    IpAddr::V6(v6) => (6, v6.to_bits() >> (128 - bits)),
                };
                let same = AddressKey::of(one, prefix) == AddressKey::of(other, prefix);
                prop_assert_eq!(same, net(one) == net(other));
            }
        }
    }
}
