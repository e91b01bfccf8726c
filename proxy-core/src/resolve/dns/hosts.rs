//! The hosts file (hosts(5)): an address a line, and the names that it has.

use std::collections::HashMap;
use std::net::IpAddr;

/// What a hosts file says. Names are in lower case.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<Box<str>, Vec<IpAddr>>);

impl Hosts {
    /// What is no address, or has a scope, is passed over, as glibc does with what it cannot read.
    pub(super) fn parse(text: &str) -> Self {
        let mut hosts = HashMap::<Box<str>, Vec<IpAddr>>::new();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(ip) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else { continue };
            for name in words {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                let addrs = hosts.entry(name.into()).or_default();
                if !addrs.contains(&ip.to_canonical()) {
                    addrs.push(ip.to_canonical());
                }
            }
        }
        Self(hosts)
    }

    /// The addresses of a name in lower case, without a dot at its end.
    pub(super) fn get(&self, name: &str) -> Option<&[IpAddr]> {
        self.0.get(name).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_have_all_their_addresses_in_any_case() {
        let text = "10.0.0.1 Backend.test b # not-this\n# 10.0.0.2 nor-this\n::1\tlocalhost\nfd00::1 b\n10.0.0.1 b\n\
                    fe80::1%eth0 scoped\nnonsense x\n10.0.0.7 my_app_db_1 dotted.\n";
        let hosts = Hosts::parse(text);
        let get = |name: &str| {
            hosts.get(name).map(|addrs| addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(get("backend.test").as_deref(), Some("10.0.0.1"));
        assert_eq!(get("b").as_deref(), Some("10.0.0.1 fd00::1"));
        assert_eq!(get("localhost").as_deref(), Some("::1"));
        assert_eq!(get("my_app_db_1"), get("dotted"));
        for name in ["not-this", "nor-this", "x", "scoped", "10.0.0.1"] {
            assert_eq!(get(name), None, "{name}");
        }
    }
}
