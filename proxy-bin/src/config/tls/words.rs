//! The words of TLS: protocols, tickets, names.

use proxy_tls::rustls::pki_types::ServerName;
use schemars::JsonSchema;
use serde::Deserialize;

/// An application protocol.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub(super) struct Protocol(pub(super) Vec<u8>);

impl TryFrom<String> for Protocol {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if (1..=255).contains(&name.len()) {
            Ok(Self(name.into_bytes()))
        } else {
            Err("a protocol has from 1 to 255 bytes, such as \"h2\"")
        }
    }
}

/// How many tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(try_from = "i64")]
#[schemars(with = "u8")]
pub(super) struct Tickets(pub(super) u8);

pub(super) fn two() -> Tickets {
    Tickets(2)
}

impl TryFrom<i64> for Tickets {
    type Error = String;

    fn try_from(count: i64) -> Result<Self, Self::Error> {
        let few = u8::try_from(count).ok().filter(|count| *count <= 8);
        few.map(Self).ok_or_else(|| format!("expected a number from 0 to 8, found {count}"))
    }
}

/// A server's name, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub(super) struct ServerNameFile(pub(super) ServerName<'static>);

impl TryFrom<String> for ServerNameFile {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        ServerName::try_from(name.clone()).map(Self).map_err(|_| format!("\"{name}\" is no name of a server"))
    }
}

pub(super) fn protocols(names: &[Protocol]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.0.clone()).collect()
}
