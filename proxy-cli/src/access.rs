//! Where a running proxy is talked to: which socket, and with which token.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Arg, value_parser};
use proxy_core::TargetAddr;

use super::client::Client;
use proxy_api::places::{NotFound, Places, SYSTEM_WIDE};

/// How to reach the admin API of a running proxy. Taken before and after the command's name.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Which proxy")]
pub struct Access {
    /// Its admin API: the path of the socket, or an address such as `127.0.0.1:9000`. If it is given neither here nor by
    /// `SMARTPROXY_SOCKET`: the first that answers of `/run/smartproxy/admin.sock`, `$XDG_RUNTIME_DIR/smartproxy/admin.sock` and
    /// the outer hop of the embedded chain (`smartproxy demo`) that this user runs.
    #[arg(long, global = true, value_name = "PATH|ADDRESS")]
    socket: Option<Place>,
    /// The file with the token, where the API asks for one (`[admin] token_file`). `SMARTPROXY_TOKEN_FILE` names it, too.
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// The options of [`Access`] for a command to which they mean nothing: `--socket` first. They are read, and not shown.
pub(super) fn hidden_options() -> Vec<Arg> {
    vec![
        Arg::new("socket").long("socket").value_parser(value_parser!(Place)).hide(true),
        Arg::new("token_file").long("token-file").value_parser(value_parser!(PathBuf)).hide(true),
    ]
}

impl Access {
    /// A client of that proxy. Nothing is connected yet.
    ///
    /// # Errors
    /// Where there is no socket, or the token cannot be read.
    pub fn client(&self) -> Result<Client, AccessError> {
        let place = match (&self.socket, variable(SOCKET_VARIABLE)) {
            (Some(place), _) => place.clone(),
            (None, Some(text)) => named_by_variable(&text)?,
            (None, None) => Place::Unix(Places::of_this_user().proxy()?),
        };
        self.client_at(place)
    }

    /// A client of the proxy at `place`, whatever `--socket` says. Nothing is connected yet.
    ///
    /// # Errors
    /// Where the token cannot be read.
    pub fn client_at(&self, place: Place) -> Result<Client, AccessError> {
        let file = self.token_file.clone().or_else(|| variable(TOKEN_VARIABLE).map(PathBuf::from));
        Ok(Client::new(place, file.as_deref().map(read_token).transpose()?))
    }

    /// The options that were written on the command line.
    pub(super) fn written(&self) -> impl Iterator<Item = &'static str> {
        [("--socket", self.socket.is_some()), ("--token-file", self.token_file.is_some())]
            .into_iter()
            .filter_map(|(option, there)| there.then_some(option))
    }

    /// Whether the command line says which proxy.
    pub(super) fn names_a_proxy(&self) -> bool {
        self.socket.is_some()
    }
}

/// What is said here is about commands that ask a running proxy only. So it is looked at by those alone: one that starts a proxy
/// does not fail for it.
const SOCKET_VARIABLE: &str = "SMARTPROXY_SOCKET";
const TOKEN_VARIABLE: &str = "SMARTPROXY_TOKEN_FILE";

/// What a variable of the environment says; None where it is empty.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|text| !text.is_empty())
}

fn named_by_variable(text: &OsStr) -> Result<Place, AccessError> {
    // What is not UTF-8 can only be a path.
    let Some(text) = text.to_str() else { return Ok(Place::Unix(text.into())) };
    text.parse().map_err(AccessError::Variable)
}

fn read_token(file: &Path) -> Result<String, AccessError> {
    let text = std::fs::read_to_string(file)
        .map_err(|source| AccessError::TokenFile { file: file.to_owned(), source })?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(AccessError::NotAToken(file.to_owned()));
    }
    Ok(token.to_owned())
}

/// Why it is not known how to reach a proxy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// None of the usual sockets is there, or too many are.
    #[error("{source}\n  {}", advice(source))]
    NotFound {
        /// Why.
        #[from]
        source: NotFound,
    },
    /// No embedded chain is there, or too many are.
    #[error("{0}\n  say which hops, the outermost first: smartproxy chain OUTER.sock INNER.sock")]
    NoChain(#[source] NotFound),
    /// The environment names a place that is none.
    #[error("{SOCKET_VARIABLE}: {0}")]
    Variable(PlaceError),
    /// The token's file cannot be read.
    #[error("cannot read the token from {}: {source}", .file.display())]
    TokenFile {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The token's file holds something else.
    #[error("{} holds no token: it should be one line of printable characters", .0.display())]
    NotAToken(PathBuf),
}

impl AccessError {
    /// Whether no proxy runs, as far as is known.
    pub(super) fn is_no_proxy(&self) -> bool {
        matches!(
            self,
            Self::NotFound { source: NotFound::Nowhere { .. } } | Self::NoChain(NotFound::Nowhere { .. })
        )
    }

    /// Whether several run, and it has to be said which one is meant.
    pub(super) fn is_ambiguous(&self) -> bool {
        matches!(
            self,
            Self::NotFound { source: NotFound::Several { .. } } | Self::NoChain(NotFound::Several { .. })
        )
    }
}

/// What to do where no proxy, or more than one, was found.
fn advice(error: &NotFound) -> String {
    match error {
        NotFound::Nowhere { .. } => format!(
            "say which with --socket PATH or SMARTPROXY_SOCKET; a proxy has one if its configuration has\n    \
             [admin]\n    socket = \"{SYSTEM_WIDE}\""
        ),
        NotFound::Several { .. } => {
            "say which with --socket PATH or SMARTPROXY_SOCKET: the outer.sock of one of them".to_owned()
        }
    }
}

/// The admin APIs of the hops of the embedded chain that this user runs, the outermost first.
///
/// # Errors
/// Where none runs, or more than one.
pub(super) fn embedded_chain() -> Result<Vec<Place>, AccessError> {
    let hops = Places::of_this_user().chain().map_err(AccessError::NoChain)?;
    Ok(hops.into_iter().map(Place::Unix).collect())
}

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

    #[test]
    fn who_finds_no_proxy_is_told_what_was_looked_for_and_what_to_do() {
        let nowhere = NotFound::Nowhere { looked_for: vec!["/run/a.sock".into(), "/run/b.sock".into()] };
        let error = AccessError::from(nowhere);
        assert!(error.is_no_proxy() && !error.is_ambiguous());
        insta::assert_snapshot!(error, @r#"
no admin socket found; looked for /run/a.sock and /run/b.sock
  say which with --socket PATH or SMARTPROXY_SOCKET; a proxy has one if its configuration has
    [admin]
    socket = "/run/smartproxy/admin.sock"
"#);
        let several = NotFound::Several { folders: vec!["/run/demo-1".into(), "/run/demo-2".into()] };
        let error = AccessError::from(several);
        assert!(error.is_ambiguous() && !error.is_no_proxy());
        insta::assert_snapshot!(error, @"
several embedded chains run, with their admin sockets in /run/demo-1, /run/demo-2
  say which with --socket PATH or SMARTPROXY_SOCKET: the outer.sock of one of them
");
        let none = NotFound::Nowhere { looked_for: vec!["/run/demo-*/outer.sock".into()] };
        insta::assert_snapshot!(AccessError::NoChain(none), @"
no admin socket found; looked for /run/demo-*/outer.sock
  say which hops, the outermost first: smartproxy chain OUTER.sock INNER.sock
");
    }

    #[test]
    fn a_token_is_one_printable_line() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "s3cret\n").unwrap();
        assert_eq!(read_token(&file).unwrap(), "s3cret");
        for bad in ["", "\n", "two words", "s\u{e9}cret"] {
            std::fs::write(&file, bad).unwrap();
            assert!(matches!(read_token(&file), Err(AccessError::NotAToken(_))), "{bad:?}");
        }
        assert!(matches!(read_token(&dir.path().join("none")), Err(AccessError::TokenFile { .. })));
    }
}
