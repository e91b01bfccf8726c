//! Where a running proxy is talked to: which socket, and with which token.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use clap::{Arg, value_parser};

use super::client::Client;
use super::place::{Place, PlaceError};
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

/// The token in a file: one line of printable characters.
///
/// # Errors
/// Where it cannot be read, or holds something else.
pub fn read_token(file: &Path) -> Result<String, AccessError> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
