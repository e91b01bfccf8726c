//! `[admin]`: where the admin API is to be found, and who may use it.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use proxy_cli::place::Place as ProxyPlace;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use super::document::{Document, Place};
use super::file::{ConfigFile, Name};
use super::finding::Finding;

/// The admin API: what an operator, the command line, the dashboard and Prometheus talk to. Without this table there is
/// none. It needs `socket`, `listen` or both.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// What this proxy is called in status, dashboard and `smartproxy chain`, such as `"outer"`. Default: the name of the
    /// machine.
    #[schemars(with = "Name")]
    pub name: Option<HopName>,
    /// The Unix socket to listen on: an absolute path of at most 99 bytes. Its folder has to be there. Whoever may
    /// open the socket may do everything.
    #[schemars(with = "SocketPath")]
    pub socket: Option<SocketPath>,
    /// Who may open the socket, as for `chmod`: `"0600"` the user that the proxy runs as, `"0660"` its group too. Default
    /// `"0600"`.
    pub socket_mode: SocketMode,
    /// The address and port to listen on for HTTP, such as `"127.0.0.1:9000"`. Any but a loopback address needs `token_file`,
    /// and should be behind TLS: the token travels as it is.
    #[schemars(with = "AdminAddr")]
    pub listen: Option<AdminAddr>,
    /// A file with the token that every request to `listen` has to bring (`Authorization: Bearer …`, or as the password where
    /// a browser asks): one line of 16 to 512 visible characters, in a file that only its owner and group may read.
    #[schemars(with = "TokenPath")]
    pub token_file: Option<TokenPath>,
    /// The other hops of the chain, in the order in which connections pass them after this one: the admin API of each, as the path
    /// of its socket or as an address, such as `["/run/inner/admin.sock"]` or
    /// `[{ at = "10.0.0.2:9000", token_file = "/etc/smartproxy/inner.token" }]`. At most 15. This proxy asks them every other second
    /// how they are, and joins their connections with its own for `smartproxy chain` and the dashboard. A reload takes a change.
    pub hops: Vec<HopAt>,
}

impl Admin {
    /// Whether both are served in the same way: what is different otherwise needs no other sockets.
    #[must_use]
    pub fn is_served_as(&self, other: &Self) -> bool {
        let Self { name, socket, socket_mode, listen, token_file, hops: _ } = self;
        (name, socket, socket_mode, listen, token_file)
            == (&other.name, &other.socket, &other.socket_mode, &other.listen, &other.token_file)
    }
}

/// The most other hops: more than any chain has.
const MOST_HOPS: usize = 15;

/// Serde and schema for types that are made from a text by `FromStr`.
macro_rules! from_text {
    ($type:ty, $name:literal, $pattern:literal, $doc:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl Visitor<'_> for Text {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($doc)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Text)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

mod hop;

pub use hop::{HopAt, HopPlace};

/// What a hop is called: as the name of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HopName(String);

impl HopName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for HopName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Name::deserialize(deserializer).map(|name| Self(name.as_str().to_owned()))
    }
}

impl FromStr for HopName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Name::from_str(text).map(|name| Self(name.as_str().to_owned())).map_err(|error| error.to_string())
    }
}

/// The path of the admin socket: absolute, without a zero byte, and short enough that a temporary name beside it is a
/// socket's path too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketPath(PathBuf);

/// `sun_path` has 108 bytes (unix(7)): a terminating zero, and what a temporary name adds (a dot and eight digits).
const LONGEST_SOCKET: usize = 99;

impl SocketPath {
    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl FromStr for SocketPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') || text.ends_with('/') {
            return Err(format!(
                "expected the absolute path of a socket, found \"{text}\": write one such as \"/run/smartproxy/admin.sock\""
            ));
        }
        if text.contains('\0') {
            return Err("a path can not have a zero byte".to_owned());
        }
        if text.len() > LONGEST_SOCKET {
            return Err(format!(
                "the path of the admin socket has at most {LONGEST_SOCKET} bytes, this one has {}",
                text.len()
            ));
        }
        Ok(Self(text.into()))
    }
}

from_text!(SocketPath, "SocketPath", "^/.*[^/]$", "the absolute path of a socket");

/// Who may open the admin socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketMode(u32);

impl SocketMode {
    /// As `chmod(2)` has it.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl Default for SocketMode {
    fn default() -> Self {
        Self(0o600)
    }
}

impl FromStr for SocketMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let octal = (3..=4).contains(&text.len()) && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        let bits = u32::from_str_radix(text, 8).ok().filter(|_| octal);
        match bits {
            // Its owner can neither connect nor see why.
            Some(bits) if bits & 0o600 == 0o600 && bits <= 0o666 && bits & 0o111 == 0 => Ok(Self(bits)),
            Some(_) => Err(format!(
                "the owner of the admin socket has to be able to use it, and nobody can execute it, found \"{text}\": write \"0600\", \"0660\" or \"0666\""
            )),
            None => Err(format!(
                "expected a mode in octal digits, found \"{text}\": write \"0600\", \"0660\" or \"0666\""
            )),
        }
    }
}

from_text!(SocketMode, "SocketMode", "^0?[0-7]{3}$", "a mode such as \"0600\"");

/// The address that the admin API listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdminAddr(SocketAddr);

impl AdminAddr {
    /// Address and port.
    #[must_use]
    pub const fn socket_addr(self) -> SocketAddr {
        self.0
    }

    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_loopback(self) -> bool {
        self.0.ip().to_canonical().is_loopback()
    }
}

impl From<SocketAddr> for AdminAddr {
    fn from(addr: SocketAddr) -> Self {
        Self(addr)
    }
}

impl FromStr for AdminAddr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!(
                "expected an address and a port, found \"{text}\": write one such as \"127.0.0.1:9000\" or \"[::1]:9000\""
            )
        })
    }
}

from_text!(AdminAddr, "AdminAddr", "^.+:[0-9]+$", "an address and a port such as \"127.0.0.1:9000\"");

/// Where the token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPath(PathBuf);

impl TokenPath {
    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl FromStr for TokenPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains('\0') {
            return Err(format!("expected the path of a file, found {text:?}"));
        }
        Ok(Self(text.into()))
    }
}

from_text!(TokenPath, "TokenPath", "^.+$", "the path of a file");

/// What is wrong with the table as a whole.
pub(super) fn check(file: &ConfigFile, document: &Document<'_>, findings: &mut Vec<Finding>) {
    let (place, Some(admin)) = (document.root().key("admin"), &file.admin) else { return };
    let has_lost = |key: &str| document.lost(&place.span()).any(|lost| lost == key);
    if let (Some(listen), None) = (admin.listen, &admin.token_file)
        && !listen.is_loopback()
        && !has_lost("token_file")
    {
        findings.push(
            Finding::new(
                place.key("listen").span(),
                "an admin API that other machines can reach needs a token",
            )
            .label("this is not a loopback address")
            .help("set `token_file`, or listen on 127.0.0.1 or [::1]"),
        );
    }
    // What follows would be said for want of what was refused.
    if place.is_wounded() {
        return;
    }
    if admin.socket.is_none() && admin.listen.is_none() {
        findings.push(
            Finding::new(place.span(), "the admin API has neither a socket nor an address")
                .label("`socket`, `listen` or both have to be set here")
                .help("write socket = \"/run/smartproxy/admin.sock\""),
        );
    }
    let needs = |key: &'static str, other: &str| {
        Finding::new(place.key(key).span(), format!("`{key}` needs `{other}`")).label("this has no effect")
    };
    if admin.listen.is_none() && admin.token_file.is_some() {
        findings.push(needs("token_file", "listen"));
    }
    if admin.socket.is_none() && place.key("socket_mode").exists() {
        findings.push(needs("socket_mode", "socket"));
    }
    hops(admin, &place.key("hops"), findings);
}

/// What is wrong with the other hops.
fn hops(admin: &Admin, place: &Place<'_, '_>, findings: &mut Vec<Finding>) {
    for (n, hop) in admin.hops.iter().enumerate() {
        let at = place.index(n);
        let own = admin
            .socket
            .as_ref()
            .is_some_and(|own| *hop.at.place() == ProxyPlace::Unix(own.as_path().into()));
        if own {
            let title =
                "this is the proxy's own socket: `hops` names the others, and this one comes before them";
            findings.push(Finding::new(at.span(), title));
        } else if admin.hops.iter().take(n).any(|before| before.at == hop.at) {
            findings.push(Finding::new(at.span(), format!("{} is among the hops already", hop.at)));
        } else if n == MOST_HOPS {
            findings.push(Finding::new(
                at.span(),
                format!("a chain has at most {MOST_HOPS} hops beside this one"),
            ));
        }
        if hop.at.is_socket() && hop.token_file.is_some() {
            let title = "a hop that is asked over its socket wants no token";
            findings.push(Finding::new(at.key("token_file").span(), title).label("this has no effect"));
        }
    }
}
