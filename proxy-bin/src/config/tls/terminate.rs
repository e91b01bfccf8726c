//! TLS that ends here: how it is written.

use std::sync::Arc;

use proxy_dataplane::settings::Terminate;
use proxy_tls::{CertificateStore, Certificates, ServerOptions, server_config};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::document::Place;
use super::super::finding::Finding;
use super::certificate::CertificateFile;
use super::words::{Protocol, Tickets, TruncatedFile, VersionFile, protocols, two};

/// How the client's TLS ends here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TerminateFile {
    /// The certificates, each for the names that it has: a client gets the one for the name that it asks for, and of an ECDSA and an RSA
    /// one for the same name the first that it takes, ECDSA before RSA. All are read again with every reload.
    certificates: Vec<CertificateFile>,
    /// Whether a client that asks for no name, or for one that none of them is for, is refused. If not, it gets the first one. Default
    /// false.
    #[serde(default)]
    strict_sni: bool,
    /// The oldest version of TLS that is spoken: `"1.2"` or `"1.3"`. Default `"1.2"`.
    #[serde(default)]
    min_version: VersionFile,
    /// Application protocols (ALPN) that the backends speak, the preferred one first, such as `["http/1.1"]`: a client that offers
    /// only others is refused. Default: none is agreed upon, and every client served.
    #[serde(default)]
    alpn: Vec<Protocol>,
    /// Session tickets for each handshake of TLS 1.3, from 0 to 8. With 0 no session is resumed there, and a client that only writes
    /// and closes at once loses nothing over tickets that it leaves unread. Default 2.
    #[serde(default = "two")]
    #[schemars(range(max = 8))]
    tickets: Tickets,
    /// What becomes of the connection of a client that ends without a `close_notify`, as browsers do: `"end"`, its backend gets an end
    /// like any other, or `"reset"`, for protocols in which the end of the stream is the end of the message: it is reset. Default
    /// `"end"`.
    #[serde(default)]
    truncated: TruncatedFile,
}

pub(super) fn terminating(file: &TerminateFile, place: &Place<'_, '_>) -> Result<Terminate, Finding> {
    let all = place.key("certificates");
    if file.certificates.is_empty() {
        let title = "there is no certificate to end TLS with";
        return Err(Finding::new(all.span(), title).label("at least one has to be here"));
    }
    let read = file.certificates.iter().enumerate().map(|(at, one)| one.read(&all.index(at)));
    let certificates = read.collect::<Result<Vec<_>, _>>()?;
    let store = Arc::new(CertificateStore::new(Certificates::new(&certificates, !file.strict_sni)));
    let options = ServerOptions::default()
        .min_version(file.min_version.into())
        .alpn(protocols(&file.alpn))
        .tickets(file.tickets.0);
    let config = server_config(Arc::clone(&store), &options)
        .map_err(|error| Finding::new(place.span(), format!("TLS cannot be ended like this: {error}")))?;
    Ok(Terminate { config, certificates: store, truncated: file.truncated.into() })
}
