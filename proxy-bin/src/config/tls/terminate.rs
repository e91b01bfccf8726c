//! TLS that ends here: how it is written.

use std::sync::Arc;

use proxy_dataplane::settings::Terminate;
use proxy_tls::{ServerOptions, server_config};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::document::Place;
use super::super::finding::Finding;
use super::certificate::{CertificatesFile, wrong_source};
use super::words::{Protocol, Tickets, TruncatedFile, VersionFile, protocols, two};
use crate::certificates::{Selection, Wanted};

/// How the client's TLS ends here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TerminateFile {
    /// The certificates, each for the names that it has: a client gets the one for the name that it asks for, and of an ECDSA and an RSA
    /// one for the same name the first that it takes, ECDSA before RSA. Files and folders are watched: what has changed is taken over
    /// without a reload, whole or not at all.
    certificates: Vec<CertificatesFile>,
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

impl TerminateFile {
    /// The certificates that it asks for.
    pub(super) fn wanted(&self, place: &Place<'_, '_>) -> Result<Wanted, Finding> {
        let all = place.key("certificates");
        if self.certificates.is_empty() {
            let title = "there is no certificate to end TLS with";
            return Err(Finding::new(all.span(), title).label("at least one has to be here"));
        }
        let sources = self.certificates.iter().enumerate().map(|(at, one)| one.source(&all.index(at)));
        Ok(Wanted { sources: sources.collect::<Result<_, _>>()?, default: !self.strict_sni })
    }
}

/// What becomes of it for `route`, with certificates that were read for all routes together.
pub(super) fn terminating(
    (file, route): (&TerminateFile, &Arc<str>),
    selection: &Selection,
    place: &Place<'_, '_>,
) -> Result<Terminate, Vec<Finding>> {
    let wanted = file.wanted(place).map_err(|finding| vec![finding])?;
    let all = place.key("certificates");
    let wrong = wanted.sources.iter().enumerate().flat_map(|(at, source)| {
        let errors = selection.wrong(source);
        errors.iter().map(|error| wrong_source(error, &all.index(at))).collect::<Vec<_>>()
    });
    let wrong: Vec<_> = wrong.collect();
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let store = selection.store(wanted, Arc::clone(route));
    let options = ServerOptions::default()
        .min_version(file.min_version.into())
        .alpn(protocols(&file.alpn))
        .tickets(file.tickets.0);
    let config = server_config(Arc::clone(&store), &options, selection.registry().tickets());
    let config = config.map_err(|error| {
        vec![Finding::new(place.span(), format!("TLS cannot be ended like this: {error}"))]
    })?;
    Ok(Terminate { config, certificates: store, truncated: file.truncated.into() })
}
