//! Where connections are taken: `10.0.0.1:3000`, `[::1]:3000`, `backend.internal:preserve`, `unix:/run/app.sock`. Nothing is
//! resolved or connected here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use host::{Host, HostError};

use proxy_core::TargetAddr;

#[cfg(feature = "serde")]
mod form;
mod host;

/// The longest path of a Unix socket: `sun_path` has 108 bytes, of which one is the terminating zero (unix(7)).
const LONGEST_PATH: usize = 107;

/// A backend as a configuration names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A TCP service.
    Tcp {
        /// The machine.
        host: Host,
        /// The port on it.
        port: TargetPort,
    },
    /// A Unix stream socket. Invariant: an absolute path that fits a socket address.
    Unix(Box<Path>),
}

impl Target {
    /// Where it leads a connection that arrived on port `arrived`.
    #[must_use]
    pub fn address(&self, arrived: u16) -> TargetAddr {
        let on = |port: &TargetPort| port.on(arrived);
        match self {
            Self::Tcp { host: Host::Ip(ip), port } => TargetAddr::Ip((*ip, on(port)).into()),
            Self::Tcp { host: Host::Name(name), port } => TargetAddr::Name(name.clone(), on(port)),
            Self::Unix(path) => TargetAddr::Unix(path.to_path_buf()),
        }
    }

    /// Whether it leads to the same place, whatever port a connection arrived on.
    #[must_use]
    pub const fn is_fixed(&self) -> bool {
        !matches!(self, Self::Tcp { port: TargetPort::Preserve, .. })
    }
}

/// The port of a [`Target`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetPort {
    /// This one. Invariant: not 0, when it was parsed.
    Fixed(u16),
    /// The one on which the client's connection arrived.
    Preserve,
}

impl TargetPort {
    /// The port to dial for a connection that arrived on port `arrived`.
    #[must_use]
    pub const fn on(self, arrived: u16) -> u16 {
        match self {
            Self::Fixed(port) => port,
            Self::Preserve => arrived,
        }
    }
}

/// Why a text is not a [`Target`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Nothing was written.
    #[error("a target is missing: write one such as \"10.0.0.1:3000\" or \"unix:/run/app.sock\"")]
    Empty,
    /// No colon, or nothing behind it.
    #[error("\"{text}\" lacks a port: write \"{}:3000\", or \"{}:preserve\" for the port the client came to",
        text.trim_end_matches(':'), text.trim_end_matches(':'))]
    NoPort {
        /// The text as written.
        text: String,
    },
    /// A port and nothing else.
    #[error("\"{text}\" lacks a host: write \"127.0.0.1:{text}\"")]
    OnlyPort {
        /// The text as written.
        text: String,
    },
    /// A scheme in front of the host, or a path behind the port.
    #[error("\"{text}\" is written like a URL, and a target is a host and a port alone: write \"{meant}\"")]
    Url {
        /// The text as written.
        text: String,
        /// The target in it, or an example if there is none.
        meant: String,
    },
    /// A path without the word that says that it is one.
    #[error("\"{path}\" is a path: write \"unix:{path}\" for the Unix socket there")]
    BarePath {
        /// The path as written.
        path: String,
    },
    /// An IPv6 address without brackets, so that its end can not be told from a port.
    #[error("\"{text}\" is an IPv6 address without a port: write it in brackets, as in \"[{text}]:3000\"")]
    BareIpv6 {
        /// The text as written.
        text: String,
    },
    /// A bracket that is not closed, or that something other than a colon follows.
    #[error("\"{text}\" has a bracket out of place: an IPv6 target is written as in \"[::1]:3000\"")]
    Brackets {
        /// The text as written.
        text: String,
    },
    /// A port that is not one.
    #[error(transparent)]
    Port(#[from] TargetPortError),
    /// A host that is not one.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A socket path that does not start at the root.
    #[error("\"{path}\" is not an absolute path: a Unix target is written as in \"unix:/run/app.sock\"")]
    RelativePath {
        /// The path as written.
        path: String,
    },
    /// A socket path that the kernel would not take.
    #[error("a path of a Unix socket has at most {LONGEST_PATH} bytes, this one has {length}")]
    PathTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// A zero byte in a socket path.
    #[error("a path can not have a zero byte")]
    ZeroByte,
}

/// Why a text or a number is not a [`TargetPort`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetPortError {
    /// Port 0.
    #[error("port 0 can not be connected to: write a port from 1 to 65535, or \"preserve\"")]
    Zero,
    /// A number beyond 65535, or a negative one.
    #[error("port {text} does not exist: ports run from 1 to 65535")]
    OutOfRange {
        /// The number as written.
        text: String,
    },
    /// Neither digits nor the word.
    #[error(
        "\"{text}\" is not a port: write a number from 1 to 65535, or \"preserve\" for the port the client came to"
    )]
    NotAPort {
        /// The text as written.
        text: String,
    },
}

impl TryFrom<i64> for TargetPort {
    type Error = TargetPortError;

    fn try_from(port: i64) -> Result<Self, TargetPortError> {
        match u16::try_from(port) {
            Ok(0) => Err(TargetPortError::Zero),
            Ok(port) => Ok(Self::Fixed(port)),
            Err(_) => Err(TargetPortError::OutOfRange { text: port.to_string() }),
        }
    }
}

impl FromStr for TargetPort {
    type Err = TargetPortError;

    fn from_str(text: &str) -> Result<Self, TargetPortError> {
        if text == "preserve" {
            return Ok(Self::Preserve);
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(TargetPortError::NotAPort { text: text.to_owned() });
        }
        let port: i64 = text.parse().map_err(|_| TargetPortError::OutOfRange { text: text.to_owned() })?;
        Self::try_from(port)
    }
}

impl fmt::Display for TargetPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(port) => port.fmt(f),
            Self::Preserve => f.write_str("preserve"),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if text.is_empty() {
            return Err(TargetError::Empty);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path);
        }
        if text.starts_with('/') {
            return Err(TargetError::BarePath { path: text.to_owned() });
        }
        if text.contains('/') {
            return Err(TargetError::Url { text: text.to_owned(), meant: without_scheme_and_path(text) });
        }
        let (host, port) = split(text)?;
        Ok(Self::Tcp { host: host.parse()?, port: port.parse()? })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host: Host::Ip(std::net::IpAddr::V6(ip)), port } => write!(f, "[{ip}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What remains of a URL in a target; an example if that is none.
fn without_scheme_and_path(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let port = match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => ":80",
        "https" | "wss" => ":443",
        _ => ":3000",
    };
    [authority.to_owned(), format!("{authority}{port}")]
        .into_iter()
        .find(|text| text.parse::<Target>().is_ok())
        .unwrap_or_else(|| "10.0.0.1:3000".to_owned())
}

/// Host and port of "host:port"; brackets around an IPv6 address are taken off.
fn split(text: &str) -> Result<(&str, &str), TargetError> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let (no_port, only_port, brackets) = (
        || TargetError::NoPort { text: text.to_owned() },
        || TargetError::OnlyPort { text: text.to_owned() },
        || TargetError::Brackets { text: text.to_owned() },
    );
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(brackets)?;
        if !host.contains(':') {
            return Err(brackets());
        }
        if rest.is_empty() {
            return Err(no_port());
        }
        (host, rest.strip_prefix(':').ok_or_else(brackets)?)
    } else if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Err(TargetError::BareIpv6 { text: text.to_owned() });
    } else {
        text.split_once(':').ok_or_else(|| if is_number { only_port() } else { no_port() })?
    };
    if port.is_empty() && !host.is_empty() { Err(no_port()) } else { Ok((host, port)) }
}

fn unix(path: &str) -> Result<Target, TargetError> {
    if !path.starts_with('/') {
        return Err(TargetError::RelativePath { path: path.to_owned() });
    }
    if path.len() > LONGEST_PATH {
        return Err(TargetError::PathTooLong { length: path.len() });
    }
    if path.contains('\0') {
        return Err(TargetError::ZeroByte);
    }
    Ok(Target::Unix(PathBuf::from(path).into()))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn targets_parse_and_print_back() {
        for text in [
            "127.0.0.1:3000",
            "[::1]:3000",
            "backend.internal:3000",
            "10.0.0.1:preserve",
            "unix:/run/app.sock",
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        let mapped: Target = "[::ffff:10.0.0.1]:80".parse().unwrap();
        assert_eq!(mapped.to_string(), "10.0.0.1:80", "a v4-mapped address is the IPv4 address that it is");
    }

    #[test]
    fn a_preserved_port_is_the_one_the_client_came_to() {
        assert_eq!((TargetPort::Preserve.on(8443), TargetPort::Fixed(443).on(8443)), (8443, 443));
    }

    fn refusal(text: &str) -> String {
        text.parse::<Target>().unwrap_err().to_string()
    }

    #[test]
    fn what_lacks_a_part_says_which() {
        assert_snapshot!(refusal(""), @r#"a target is missing: write one such as "10.0.0.1:3000" or "unix:/run/app.sock""#);
        assert_snapshot!(refusal("10.0.0.1"), @r#""10.0.0.1" lacks a port: write "10.0.0.1:3000", or "10.0.0.1:preserve" for the port the client came to"#);
        assert_snapshot!(refusal("backend:"), @r#""backend:" lacks a port: write "backend:3000", or "backend:preserve" for the port the client came to"#);
        assert_snapshot!(refusal("[::1]"), @r#""[::1]" lacks a port: write "[::1]:3000", or "[::1]:preserve" for the port the client came to"#);
        assert_snapshot!(refusal(":3000"), @r#"the host is missing: write an address or a name in front of the port, as in "127.0.0.1:3000""#);
        assert_snapshot!(refusal(":"), @r#"the host is missing: write an address or a name in front of the port, as in "127.0.0.1:3000""#);
        assert_snapshot!(refusal("::1"), @r#""::1" is an IPv6 address without a port: write it in brackets, as in "[::1]:3000""#);
        assert_snapshot!(refusal("[::1"), @r#""[::1" has a bracket out of place: an IPv6 target is written as in "[::1]:3000""#);
        assert_snapshot!(refusal("[::1]3000"), @r#""[::1]3000" has a bracket out of place: an IPv6 target is written as in "[::1]:3000""#);
        assert_snapshot!(refusal("[10.0.0.1]:80"), @r#""[10.0.0.1]:80" has a bracket out of place: an IPv6 target is written as in "[::1]:3000""#);
        assert_snapshot!(refusal("[::g]:80"), @r#""::g" is not an IPv6 address"#);
    }

    #[test]
    fn what_is_written_like_something_else_says_how_a_target_is_written() {
        assert_snapshot!(refusal("http://127.0.0.1:1"), @r#""http://127.0.0.1:1" is written like a URL, and a target is a host and a port alone: write "127.0.0.1:1""#);
        assert_snapshot!(refusal("https://backend.internal/api?x=1"), @r#""https://backend.internal/api?x=1" is written like a URL, and a target is a host and a port alone: write "backend.internal:443""#);
        assert_snapshot!(refusal("tcp://[::1]:3000"), @r#""tcp://[::1]:3000" is written like a URL, and a target is a host and a port alone: write "[::1]:3000""#);
        assert_snapshot!(refusal("tcp://db"), @r#""tcp://db" is written like a URL, and a target is a host and a port alone: write "db:3000""#);
        assert_snapshot!(refusal("HTTP://user@a:1"), @r#""HTTP://user@a:1" is written like a URL, and a target is a host and a port alone: write "10.0.0.1:3000""#);
        assert_snapshot!(refusal("://"), @r#""://" is written like a URL, and a target is a host and a port alone: write "10.0.0.1:3000""#);
        assert_snapshot!(refusal("127.0.0.1:80/path"), @r#""127.0.0.1:80/path" is written like a URL, and a target is a host and a port alone: write "127.0.0.1:80""#);
        assert_snapshot!(refusal("/run/app.sock"), @r#""/run/app.sock" is a path: write "unix:/run/app.sock" for the Unix socket there"#);
        assert_snapshot!(refusal("3000"), @r#""3000" lacks a host: write "127.0.0.1:3000""#);
    }

    #[test]
    fn a_port_is_a_number_from_1_to_65535_or_preserve() {
        assert_eq!("a:1".parse::<Target>().unwrap().to_string(), "a:1");
        assert_eq!("a:65535".parse::<Target>().unwrap().to_string(), "a:65535");
        assert_snapshot!(refusal("a:0"), @r#"port 0 can not be connected to: write a port from 1 to 65535, or "preserve""#);
        assert_snapshot!(refusal("a:65536"), @"port 65536 does not exist: ports run from 1 to 65535");
        assert_snapshot!(refusal("a:99999999999999999999"), @"port 99999999999999999999 does not exist: ports run from 1 to 65535");
        assert_snapshot!(refusal("a:+80"), @r#""+80" is not a port: write a number from 1 to 65535, or "preserve" for the port the client came to"#);
        assert_snapshot!(refusal("a:http"), @r#""http" is not a port: write a number from 1 to 65535, or "preserve" for the port the client came to"#);
        assert_snapshot!(refusal("a:80:90"), @r#""80:90" is not a port: write a number from 1 to 65535, or "preserve" for the port the client came to"#);
    }

    #[test]
    fn a_unix_path_is_absolute_and_fits_a_socket_address() {
        assert!(format!("unix:/{}", "x".repeat(106)).parse::<Target>().is_ok());
        assert_snapshot!(refusal(&format!("unix:/{}", "x".repeat(107))), @"a path of a Unix socket has at most 107 bytes, this one has 108");
        assert_snapshot!(refusal("unix:run/app.sock"), @r#""run/app.sock" is not an absolute path: a Unix target is written as in "unix:/run/app.sock""#);
        assert_snapshot!(refusal("unix:"), @r#""" is not an absolute path: a Unix target is written as in "unix:/run/app.sock""#);
        assert_snapshot!(refusal("unix:/run/\0"), @"a path can not have a zero byte");
    }

    proptest! {
        #[test]
        fn whatever_parses_prints_back(text in "\\PC{0,20}|[a-z0-9:.\\[\\]-]{0,20}|unix:/?\\PC{0,9}") {
            if let Ok(target) = text.parse::<Target>() {
                prop_assert_eq!(target.to_string().parse::<Target>(), Ok(target));
            }
        }
    }
}
