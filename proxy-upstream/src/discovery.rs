//! Members that a name stands for: the servers of a service (SRV records), or the addresses of a host, each a member by itself.
//!
//! ```text
//!  "srv+_pg._tcp.example" ─┐            ┌─ 10 60 5432 a.example ─► a.example:5432, level 10, weight 60
//!                          ├─ look-up ──┤
//!  "dns+web.example:80" ───┘            └─ 10.0.0.1, 10.0.0.2 ───► 10.0.0.1:80, 10.0.0.2:80
//! ```
//! Pure: who looks names up, and when, is the caller's business; so is what becomes of the connections of a member that an answer
//! does not have any more ([`Group::follow`](crate::Group::follow) says which those are).

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use proxy_core::resolve::Service;

use crate::address::{Host, HostError, Target, TargetPort};
use crate::options::{MemberOptions, Weight};

/// Members that one name may stand for: those that come first of a longer answer. An answer of 64 KiB, the longest that there is,
/// has some two thousand records.
pub const MOST_FOUND: usize = 256;

/// The largest weight of a member.
const HEAVIEST: u32 = 256;

/// A name that stands for members, as a configuration writes it: `srv+_pg._tcp.example`, or `dns+web.example:80`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Discovery {
    /// A service: each server of its SRV records is a member.
    Services(Box<str>),
    /// A host: each of its addresses is a member, on this port.
    Addresses(Box<str>, u16),
}

/// Why a text is not a [`Discovery`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// Neither prefix.
    #[error("a name that stands for members begins with \"srv+\" or \"dns+\"")]
    Prefix,
    /// A service with a port.
    #[error("\"{text}\" has a port, which SRV records say themselves: write \"{}\"", text.split(':').next().unwrap_or_default())]
    Port {
        /// The text as written.
        text: String,
    },
    /// A service without the labels that one has.
    #[error(
        "\"{text}\" is no service: it is written as in \"srv+_pg._tcp.example\", its name and its protocol each with a \"_\""
    )]
    Labels {
        /// The text as written.
        text: String,
    },
    /// A host without a port, or with none that can be dialled.
    #[error(
        "\"{text}\" lacks the port that each address is dialled on: it is written as in \"dns+web.example:80\""
    )]
    NoPort {
        /// The text as written.
        text: String,
    },
    /// An address in place of a name.
    #[error("\"{text}\" is an address, which stands for nobody else: write it without \"dns+\"")]
    Address {
        /// The text as written.
        text: String,
    },
    /// What is no name.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl Discovery {
    /// Whether a text is written like one, right or wrong.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        ["srv+", "dns+"].iter().any(|prefix| text.starts_with(prefix))
    }

    /// The name that is looked up.
    #[must_use]
    pub const fn name(&self) -> &str {
        match self {
            Self::Services(name) | Self::Addresses(name, _) => name,
        }
    }
}

impl FromStr for Discovery {
    type Err = DiscoveryError;

    fn from_str(text: &str) -> Result<Self, DiscoveryError> {
        let whole = || text.to_owned();
        if let Some(service) = text.strip_prefix("srv+") {
            if service.contains(':') {
                return Err(DiscoveryError::Port { text: whole() });
            }
            let mut labels = service.split('.');
            let is_marked =
                |label: Option<&str>| label.is_some_and(|label| label.len() > 1 && label.starts_with('_'));
            if !is_marked(labels.next())
                || !is_marked(labels.next())
                || labels.next().is_none_or(str::is_empty)
            {
                return Err(DiscoveryError::Labels { text: whole() });
            }
            return Ok(Self::Services(name(service, text)?));
        }
        let rest = text.strip_prefix("dns+").ok_or(DiscoveryError::Prefix)?;
        let (host, port) = rest.rsplit_once(':').ok_or_else(|| DiscoveryError::NoPort { text: whole() })?;
        match port.parse() {
            Ok(TargetPort::Fixed(port)) => Ok(Self::Addresses(name(host, text)?, port)),
            Ok(TargetPort::Preserve) | Err(_) => Err(DiscoveryError::NoPort { text: whole() }),
        }
    }
}

fn name(host: &str, text: &str) -> Result<Box<str>, DiscoveryError> {
    match host.trim_matches(['[', ']']).parse()? {
        Host::Name(name) => Ok(name),
        Host::Ip(_) => Err(DiscoveryError::Address { text: text.to_owned() }),
    }
}

impl fmt::Display for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Services(name) => write!(f, "srv+{name}"),
            Self::Addresses(name, port) => write!(f, "dns+{name}:{port}"),
        }
    }
}

/// A name that stands for members, and how they are used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct NameOptions {
    /// The name.
    pub name: Discovery,
    /// The weight of each address. SRV records say their own. Default 1.
    pub weight: Weight,
    /// The level of each address. SRV records say their own. Default 0.
    pub priority: u8,
    /// Whether its members are used only where no other member of any level may be.
    pub backup: bool,
}

impl NameOptions {
    /// A name with the defaults.
    #[must_use]
    pub const fn new(name: Discovery) -> Self {
        Self { name, weight: Weight::nearest(1), priority: 0, backup: false }
    }

    /// The member that one of `found` is, for the name in this place of a group's.
    pub(crate) fn member(&self, nth: u8, found: &Found) -> MemberOptions {
        let (weight, priority) = found.weighed.unwrap_or((self.weight, self.priority));
        let member = MemberOptions::new(found.target.clone());
        member.weight(weight).priority(priority).backup(self.backup).found_by(nth.saturating_add(1))
    }
}

proxy_values::setters!([] NameOptions { weight: Weight, priority: u8, backup: bool });

/// A member that an answer has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Found {
    target: Target,
    /// Its weight and level, where the answer says so.
    weighed: Option<(Weight, u8)>,
}

impl Found {
    /// Those of addresses that are all alike, in ascending order, each once.
    #[must_use]
    pub fn of_addresses(addrs: &[IpAddr], port: u16) -> Vec<Self> {
        let mut addrs = addrs.to_vec();
        addrs.sort_unstable();
        addrs.dedup();
        addrs.truncate(MOST_FOUND);
        let target = |ip| Target::Tcp { host: Host::Ip(ip), port: TargetPort::Fixed(port) };
        addrs.into_iter().map(|ip| Self { target: target(ip), weighed: None }).collect()
    }

    /// Those of a service, by priority and name; of one that is there more than once the first. Whoever has no valid name is left
    /// out.
    ///
    /// A record's weight is the member's. Where one is larger than a member's can be, or is 0 beside others of its priority that are
    /// not (which are to be preferred by far), all of that priority are scaled so that the heaviest has 256, and none less than 1.
    /// A record's priority is the member's level; where one is larger than a level can be, they are counted from 0 in their order.
    #[must_use]
    pub fn of_services(servers: &[Service]) -> Vec<Self> {
        let mut servers: Vec<&Service> =
            servers.iter().filter(|server| server.host.parse::<Host>().is_ok()).collect();
        servers.sort_unstable_by_key(|server| (server.priority, &server.host, server.port, server.weight));
        let mut known = HashSet::new();
        servers.retain(|server| known.insert((&server.host, server.port)));
        servers.truncate(MOST_FOUND);
        let levels: Vec<&[&Service]> = servers.chunk_by(|one, next| one.priority == next.priority).collect();
        let is_high =
            levels.last().and_then(|level| level.first()).is_some_and(|one| one.priority > u8::MAX.into());
        let of_level = |(nth, level): (usize, &&[&Service])| {
            let weights = weights(level);
            let number =
                |server: &Service| if is_high { u8::try_from(nth) } else { u8::try_from(server.priority) };
            let found = |(server, weight): (&&Service, Weight)| {
                let host = server.host.parse().ok()?;
                let target = Target::Tcp { host, port: TargetPort::Fixed(server.port) };
                Some(Self { target, weighed: Some((weight, number(server).unwrap_or(u8::MAX))) })
            };
            level.iter().zip(weights).filter_map(found).collect::<Vec<_>>()
        };
        levels.iter().enumerate().flat_map(of_level).collect()
    }
}

/// The weights of servers of one priority.
fn weights(level: &[&Service]) -> Vec<Weight> {
    let heaviest = level.iter().map(|server| u32::from(server.weight)).max().unwrap_or(0);
    let has_none = level.iter().any(|server| server.weight == 0);
    let is_scaled = heaviest > HEAVIEST || (has_none && heaviest > 0);
    let weight = |server: &&Service| {
        let weight = u32::from(server.weight);
        let weight = if is_scaled { (weight * HEAVIEST + heaviest / 2) / heaviest } else { weight };
        // All 0: one is as good as the other.
        Weight::nearest(weight.max(1))
    };
    level.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        text.parse::<Discovery>().unwrap_err().to_string()
    }

    #[test]
    fn names_parse_and_print_back() {
        for text in
            ["srv+_pg._tcp.example", "srv+_my_app._tcp.a.b.example.", "dns+web.example:80", "dns+db_1:5432"]
        {
            assert_eq!(text.parse::<Discovery>().unwrap().to_string(), text);
        }
        assert_eq!("srv+_PG._tcp.Example".parse::<Discovery>().unwrap().name(), "_pg._tcp.example");
    }

    #[test]
    fn what_is_no_name_says_how_it_is_written() {
        insta::assert_snapshot!(refusal("srv+_pg._tcp.example:5432"), @r#""srv+_pg._tcp.example:5432" has a port, which SRV records say themselves: write "srv+_pg._tcp.example""#);
        for text in [
            "srv+pg.example",
            "srv+_pg.example",
            "srv+_pg._tcp",
            "srv+",
            "srv+_._tcp.example",
            "srv+_pg._tcp.",
        ] {
            assert!(refusal(text).ends_with(r#"is no service: it is written as in "srv+_pg._tcp.example", its name and its protocol each with a "_""#), "{text}");
        }
        for text in ["dns+web.example", "dns+web.example:0", "dns+web.example:preserve", "dns+web.example:"] {
            assert!(refusal(text).contains("lacks the port"), "{text}");
        }
        for text in ["dns+10.0.0.1:80", "dns+[::1]:80"] {
            assert!(refusal(text).contains("is an address"), "{text}");
        }
        assert!(refusal("dns+a b:80").contains("is not a host"));
        assert!(refusal("srv+_pg._tcp.-a").contains("is not a host name"));
    }

    fn server(priority: u16, weight: u16, host: &str) -> Service {
        Service::new(host, 80).priority(priority).weight(weight)
    }

    /// Members as `host:port level/weight`.
    fn found(servers: &[Service]) -> Vec<String> {
        let text = |one: Found| {
            let (weight, level) = one.weighed.unwrap();
            format!("{} {level}/{weight}", one.target)
        };
        Found::of_services(servers).into_iter().map(text).collect()
    }

    #[test]
    fn priority_is_level_and_weight_is_weight() {
        let records =
            [server(20, 7, "c.x"), server(10, 60, "b.x"), server(10, 20, "a.x"), server(10, 9, "a.x")];
        // Of a server that is there twice the lighter record of the lower priority, whatever the order.
        assert_eq!(found(&records), ["a.x:80 10/9", "b.x:80 10/60", "c.x:80 20/7"]);
        assert_eq!(found(&[server(0, 0, "a.x"), server(0, 0, "b.x")]), ["a.x:80 0/1", "b.x:80 0/1"]);
    }

    #[test]
    fn what_is_beyond_what_members_have_is_scaled_and_counted() {
        let heavy =
            [server(0, 65_535, "a.x"), server(0, 32_768, "b.x"), server(0, 1, "c.x"), server(1, 3, "d.x")];
        assert_eq!(found(&heavy), ["a.x:80 0/256", "b.x:80 0/128", "c.x:80 0/1", "d.x:80 1/3"]);
        let none = [server(0, 10, "a.x"), server(0, 0, "b.x"), server(1, 0, "c.x")];
        assert_eq!(found(&none), ["a.x:80 0/256", "b.x:80 0/1", "c.x:80 1/1"], "0 is hardly ever, not never");
        let high = [server(1000, 1, "b.x"), server(3, 1, "a.x"), server(65_535, 1, "c.x")];
        assert_eq!(found(&high), ["a.x:80 0/1", "b.x:80 1/1", "c.x:80 2/1"]);
        assert_eq!(found(&[server(255, 256, "a.x")]), ["a.x:80 255/256"]);
    }

    #[test]
    fn an_answer_is_bounded_and_what_is_no_name_is_left_out() {
        let many: Vec<_> =
            (0..u16::MAX).take(2 * MOST_FOUND).map(|n| server(n / 100, 1, &format!("h{n}.x"))).collect();
        let mut reversed = many.clone();
        reversed.reverse();
        assert_eq!(found(&many).len(), MOST_FOUND);
        assert_eq!(found(&many), found(&reversed), "whatever the order, the same are members");
        assert_eq!(found(&[server(0, 1, "a b"), server(0, 1, "a.x")]), ["a.x:80 0/1"]);
        let addrs: Vec<IpAddr> =
            (0..=u16::MAX).map(u16::to_be_bytes).map(|[high, low]| [10, 0, high, low].into()).collect();
        assert_eq!(Found::of_addresses(&addrs, 80).len(), MOST_FOUND);
        let twice =
            Found::of_addresses(&[[10, 0, 0, 2].into(), [10, 0, 0, 1].into(), [10, 0, 0, 2].into()], 80);
        assert_eq!(
            twice.iter().map(|one| one.target.to_string()).collect::<Vec<_>>(),
            ["10.0.0.1:80", "10.0.0.2:80"]
        );
    }

    proptest::proptest! {
        /// Of one priority the shares of connections are those of the records, but for what a weight of 256 can not tell apart.
        #[test]
        fn shares_are_kept(weights in proptest::collection::vec(1_u16.., 1..20)) {
            let servers: Vec<_> = weights.iter().enumerate().map(|(n, weight)| server(0, *weight, &format!("{n}.x"))).collect();
            let found: Vec<u32> = Found::of_services(&servers).iter().map(|one| one.weighed.unwrap().0.get()).collect();
            let heaviest = f64::from(*weights.iter().max().unwrap());
            let scale = f64::from(*found.iter().max().unwrap()) / heaviest;
            let mut said: Vec<u16> = weights;
            said.sort_unstable();
            let mut found = found;
            found.sort_unstable();
            for (said, found) in said.into_iter().zip(found) {
                let exact = f64::from(said) * scale;
                proptest::prop_assert!((f64::from(found) - exact).abs() <= 0.5 || found == 1, "{} {}", found, exact);
            }
        }
    }
}
