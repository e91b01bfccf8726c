//! Who a connection is from: its peer, or whoever a trusted peer's header names.

use std::net::{IpAddr, SocketAddr};

use proxy_conn::{ConnGuard, Trail};
use proxy_core::ClientAddr;
use proxy_core::header::{Command, Endpoints, Header, Tlvs};

use crate::generation::Listener;

/// The TLV by which one of our hops tells the next that the client is unknown, in a header that else reads as the hop's
/// own: one of the types that are for private use (PROXY protocol, section 2.2), and a value that tells it from anybody
/// else's use of it.
pub(super) const UNKNOWN_CLIENT: (u8, &[u8]) = (0xE5, b"unknown client");

/// Whether a field of a LOCAL header is that. Earlier versions of ours sent no value.
fn says_unknown((kind, value): &(u8, Vec<u8>)) -> bool {
    *kind == UNKNOWN_CLIENT.0 && (value == UNKNOWN_CLIENT.1 || value.is_empty())
}

/// Who a connection is from and where it was going, as far as is known.
#[derive(Debug)]
pub(super) struct Origin {
    /// The client; None where a trusted peer says that it does not know.
    pub(super) client: Option<ClientAddr>,
    /// The address that the client connected to, where a header says so; else it is the accepted socket's own.
    pub(super) destination: Option<SocketAddr>,
    /// Its ids on the hops before.
    pub(super) previous: Trail,
    /// What else the header said.
    pub(super) tlvs: Tlvs,
    /// Whether it came with a header: another proxy is before this one.
    pub(super) chained: bool,
    /// Who it counts as where clients are limited; None where it is a trusted peer's own, or nobody knows whose.
    pub(super) counted: Option<IpAddr>,
    /// Whether its bytes must be watched for a header that it is not trusted to send.
    pub(super) screened: bool,
}

impl Origin {
    /// Who a connection is from that comes without a header: its peer.
    pub(super) fn itself(conn: &ConnGuard, at: &Listener) -> Self {
        Self {
            client: Some(conn.peer().into()),
            destination: None,
            previous: Trail::default(),
            tlvs: Tlvs::default(),
            chained: false,
            counted: Some(conn.peer().ip()),
            screened: at.config.believes_headers(),
        }
    }

    /// Who a connection is from, by what a trusted peer's header says.
    pub(super) fn told_by(conn: &ConnGuard, mut header: Header) -> Self {
        let previous = header.tlvs.unique_id.as_deref().map_or_else(Trail::default, Trail::from_header);
        let told = header.tlvs.other.len();
        if header.command == Command::Local {
            // Said to this hop, so it does not go on; anybody else's field of this type does.
            header.tlvs.other.retain(|field| !says_unknown(field));
        }
        let unknown = header.tlvs.other.len() < told;
        let (client, destination) = match (header.command, &header.endpoints) {
            // The peer, one of ours, speaks for somebody whose address no hop before it knew.
            (Command::Local, _) if unknown => (None, None),
            // The peer speaks for itself (a health check): it is the client.
            (Command::Local, _) => (Some(conn.peer().into()), None),
            (Command::Proxy, Endpoints::Inet { source, destination }) => {
                (Some(ClientAddr::new(*source)), Some(*destination))
            }
            // The peer speaks for somebody whose address it does not know: nobody whom an allow list could name.
            (Command::Proxy, Endpoints::Unix { .. } | Endpoints::Unknown) => (None, None),
        };
        let counted = match header.command {
            Command::Local => None,
            Command::Proxy => client.map(ClientAddr::ip),
        };
        Self { client, destination, previous, tlvs: header.tlvs, chained: true, counted, screened: false }
    }

    /// How many proxies it came through, as far as is known: a header without ids tells of the one that sent it.
    pub(super) fn proxies(&self) -> usize {
        if self.chained { self.previous.ids().count().max(1) } else { 0 }
    }
}
