//! Where a running proxy is talked to: which socket, and with which token.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use proxy_core::TargetAddr;

use super::client::Client;

/// How to reach the admin API of a running proxy.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Which proxy")]
pub struct Access {
    /// Its admin API: the path of the socket, or a URL such as `http://127.0.0.1:9000`. If it is not given: the first there
    /// is of `/run/smartproxy/admin.sock` and `$XDG_RUNTIME_DIR/smartproxy/admin.sock`.
    #[arg(long, env = "SMARTPROXY_SOCKET", value_name = "PATH|URL")]
    socket: Option<Place>,
    #[command(flatten)]
    token: Token,
}

/// What proves who asks, where the API wants that.
#[derive(Debug, Clone, clap::Args)]
pub struct Token {
    /// The file with the token, where the API asks for one (`[admin] token_file`).
    #[arg(long, env = "SMARTPROXY_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Access {
    /// A client of that proxy. Nothing is connected yet.
    ///
    /// # Errors
    /// Where there is no socket, or the token cannot be read.
    pub fn client(&self) -> Result<Client, AccessError> {
        let place = match &self.socket {
            Some(place) => place.clone(),
            None => usual_place(std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).as_deref())?,
        };
        self.token.client(place)
    }
}

impl Token {
    /// A client of the proxy at `place`. Nothing is connected yet.
    ///
    /// # Errors
    /// Where the token cannot be read.
    pub fn client(&self, place: Place) -> Result<Client, AccessError> {
        let token = self.token_file.as_deref().map(read_token).transpose()?;
        Ok(Client::new(place, token))
    }
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

/// Where an admin socket usually is.
const SYSTEM_WIDE: &str = "/run/smartproxy/admin.sock";
const OF_A_USER: &str = "smartproxy/admin.sock";

fn usual_place(runtime_dir: Option<&Path>) -> Result<Place, AccessError> {
    let usual: Vec<_> = [Some(PathBuf::from(SYSTEM_WIDE)), runtime_dir.map(|dir| dir.join(OF_A_USER))]
        .into_iter()
        .flatten()
        .collect();
    // One in a folder that may not be looked into is there as far as anybody can tell: connecting says what is wrong.
    let found = usual.iter().find(|path| match path.try_exists() {
        Ok(exists) => exists,
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    });
    match found {
        Some(path) => Ok(Place::Unix(path.clone())),
        None => Err(AccessError::NoneFound(usual)),
    }
}

/// Why it is not known how to reach a proxy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// None of the usual sockets is there.
    #[error(
        "no admin socket found; looked for {}\n  \
         say which with --socket PATH or SMARTPROXY_SOCKET; a proxy has one if its configuration has\n    \
         [admin]\n    socket = \"{SYSTEM_WIDE}\"",
        listed(.0)
    )]
    NoneFound(Vec<PathBuf>),
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

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ")
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
    #[error("expected the path of a socket or a URL such as http://127.0.0.1:9000, found nothing")]
    Empty,
    /// TLS.
    #[error("the admin API does not speak TLS: use its socket, or http:// through a tunnel (ssh -L)")]
    Tls,
    /// A URL that is not just host and port.
    #[error(
        "expected a URL with a host and a port and nothing more, such as http://127.0.0.1:9000, found `{0}`"
    )]
    Url(String),
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        if text.starts_with("https://") {
            return Err(PlaceError::Tls);
        }
        let Some(rest) = text.strip_prefix("http://") else {
            let path = text.strip_prefix("unix:").unwrap_or(text);
            return if path.is_empty() { Err(PlaceError::Empty) } else { Ok(Self::Unix(path.into())) };
        };
        let malformed = || PlaceError::Url(text.to_owned());
        let host = rest.strip_suffix('/').unwrap_or(rest);
        if let Ok(addr) = host.parse() {
            return Ok(Self::Http(TargetAddr::Ip(addr)));
        }
        let (name, port) = host.rsplit_once(':').ok_or_else(malformed)?;
        let port = port.parse().map_err(|_| malformed())?;
        let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if name.is_empty() || !name.chars().all(is_of_a_name) {
            return Err(malformed());
        }
        Ok(Self::Http(TargetAddr::Name(name.into(), port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_path_or_a_url() {
        for (text, target) in [
            ("/run/a.sock", "unix:/run/a.sock"),
            ("unix:a.sock", "unix:a.sock"),
            ("http://127.0.0.1:9000", "127.0.0.1:9000"),
            ("http://[::1]:9000/", "[::1]:9000"),
            ("http://localhost:9000", "localhost:9000"),
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
        ] {
            assert_eq!(text.parse::<Place>().unwrap_err(), error);
        }
    }

    #[test]
    fn the_usual_socket_of_a_user_is_found_and_otherwise_what_was_looked_for_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let error = usual_place(Some(dir.path())).unwrap_err().to_string();
        assert!(error.contains("/run/smartproxy/admin.sock and ") && error.contains(OF_A_USER), "{error}");
        assert!(error.contains("[admin]"), "{error}");
        let socket = dir.path().join(OF_A_USER);
        std::fs::create_dir(socket.parent().unwrap()).unwrap();
        std::fs::write(&socket, "").unwrap();
        assert_eq!(usual_place(Some(dir.path())).unwrap(), Place::Unix(socket));
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
