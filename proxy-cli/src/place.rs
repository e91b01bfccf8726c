//! The place of an admin API, as it is written on a command line.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use proxy_core::TargetAddr;

/// The place of an admin API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A Unix socket.
    Unix(PathBuf),
    /// An address (or a name) and a port.
    Http(TargetAddr),
}

impl Place {
    /// As a target to be dialled.
    #[must_use]
    pub fn target(&self) -> TargetAddr {
        match self {
            Self::Unix(path) => TargetAddr::Unix(path.clone()),
            Self::Http(target) => target.clone(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Http(target) => write!(f, "http://{target}"),
        }
    }
}

/// Why a text is not a [`Place`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// Nothing was written.
    #[error("expected the path of a socket or an address such as 127.0.0.1:9000, found nothing")]
    Empty,
    /// TLS.
    #[error("the admin API does not speak TLS: use its socket, or http:// through a tunnel (ssh -L)")]
    Tls,
    /// Another scheme.
    #[error("the admin API speaks HTTP: write http://{rest} instead of {scheme}://{rest}")]
    Scheme {
        /// Which.
        scheme: String,
        /// What follows it.
        rest: String,
    },
    /// A URL that is not just host and port.
    #[error(
        "expected a URL with a host and a port and nothing more, such as http://127.0.0.1:9000, found `{0}`"
    )]
    Url(String),
    /// A port without a host.
    #[error("a port needs a host: write 127.0.0.1:{0} (or ./{0} for a socket of this name)")]
    PortAlone(u16),
    /// A host without a port.
    #[error("an address needs a port: write {0}:9000 (or ./{0} for a socket of this name)")]
    HostAlone(IpAddr),
}

impl FromStr for Place {
    type Err = PlaceError;

    /// What has a host and a port is an address; whatever else is no URL is a path. `unix:` or a slash make a path of anything.
    fn from_str(text: &str) -> Result<Self, PlaceError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(PlaceError::Empty) } else { Ok(Self::Unix(path.into())) };
        }
        match text.split_once("://") {
            Some(("http", rest)) => {
                return address(rest).map(Self::Http).ok_or_else(|| PlaceError::Url(text.to_owned()));
            }
            Some(("https", _)) => return Err(PlaceError::Tls),
            Some((scheme, rest)) => {
                return Err(PlaceError::Scheme { scheme: scheme.to_owned(), rest: rest.to_owned() });
            }
            None => {}
        }
        if let Ok(port) = text.trim_start_matches(':').parse() {
            return Err(PlaceError::PortAlone(port));
        }
        if let Ok(host) = text.parse() {
            return Err(PlaceError::HostAlone(host));
        }
        match address(text) {
            Some(target) => Ok(Self::Http(target)),
            None if text.is_empty() => Err(PlaceError::Empty),
            None => Ok(Self::Unix(text.into())),
        }
    }
}

/// A host and a port, and at most a slash behind them.
fn address(text: &str) -> Option<TargetAddr> {
    let host = text.strip_suffix('/').unwrap_or(text);
    if let Ok(addr) = host.parse() {
        return Some(TargetAddr::Ip(addr));
    }
    let (name, port) = host.rsplit_once(':')?;
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let is_name = !name.is_empty() && name.chars().all(is_of_a_name);
    port.parse().ok().filter(|_| is_name).map(|port| TargetAddr::Name(name.into(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_path_or_an_address() {
        for (text, target) in [
            ("/run/a.sock", "unix:/run/a.sock"),
            ("unix:a.sock", "unix:a.sock"),
            ("http://127.0.0.1:9000", "127.0.0.1:9000"),
            ("http://[::1]:9000/", "[::1]:9000"),
            ("http://localhost:9000", "localhost:9000"),
            ("127.0.0.1:9000", "127.0.0.1:9000"),
            ("[::1]:9000", "[::1]:9000"),
            ("localhost:9000/", "localhost:9000"),
            // A path, if somebody insists.
            ("./localhost:9000", "unix:./localhost:9000"),
            ("unix:127.0.0.1:9000", "unix:127.0.0.1:9000"),
            ("a:b", "unix:a:b"),
        ] {
            assert_eq!(text.parse::<Place>().unwrap().target().to_string(), target);
        }
    }

    #[test]
    fn what_is_no_place_says_why() {
        for (text, error) in [
            ("", PlaceError::Empty),
            ("unix:", PlaceError::Empty),
            ("https://localhost:1", PlaceError::Tls),
            ("http://localhost", PlaceError::Url("http://localhost".to_owned())),
            ("http://h:99999", PlaceError::Url("http://h:99999".to_owned())),
            ("http://h:1/v1", PlaceError::Url("http://h:1/v1".to_owned())),
            ("http://:1", PlaceError::Url("http://:1".to_owned())),
            ("8000", PlaceError::PortAlone(8000)),
            (":8000", PlaceError::PortAlone(8000)),
            ("10.0.0.1", PlaceError::HostAlone([10, 0, 0, 1].into())),
            (
                "tcp://127.0.0.1:1",
                PlaceError::Scheme { scheme: "tcp".to_owned(), rest: "127.0.0.1:1".to_owned() },
            ),
        ] {
            assert_eq!(text.parse::<Place>().unwrap_err(), error);
        }
    }
}
