//! TLS that ends here: how it is written.

use std::sync::Arc;

use proxy_acme::Name;
use proxy_dataplane::settings::{PlainHttp, Terminate, Truncated};
use proxy_tls::{Cipher, ClientAuth, Group, ServerOptions, Version, server_config};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::acme::{AcmeFile, Automatic, Names, wanted_names};
use super::super::document::Place;
use super::super::file::RouteFile;
use super::super::finding::Finding;
use super::certificate::wrong_source;
use super::clients::{ClientsFile, clients};
use super::parameters::parameters;
use super::sources::SourcesFile;
use super::words::{Protocol, Tickets, protocols, two};
use crate::certificates::{Selection, Source, Wanted};

/// How the client's TLS ends here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TerminateFile {
    /// The certificates: `"auto"`, they are obtained for the names in the route's `domains`, as `[acme]` has it, or a list, in which
    /// `{ auto = [names] }` stands for some that are obtained. Each is for the names that it has: a client gets the one for the name that it asks for, and of an ECDSA and an RSA
    /// one for the same name the first that it takes, ECDSA before RSA. Files and folders are watched: what has changed is taken over
    /// without a reload, whole or not at all.
    certificates: SourcesFile,
    /// Whether a client that asks for no name, or for one that none of them is for, is refused. If not, it gets the first one. Default
    /// false.
    #[serde(default)]
    strict_sni: bool,
    /// The oldest version of TLS that is spoken: `"1.2"` or `"1.3"`. Default `"1.2"`.
    #[serde(default)]
    min_version: Version,
    /// The newest version of TLS that is spoken: `"1.2"` or `"1.3"`. Default `"1.3"`.
    #[serde(default)]
    max_version: Option<Version>,
    /// Cipher suites, the preferred one first: names of the registry of IANA, such as `"TLS_AES_128_GCM_SHA256"`; those of TLS 1.2
    /// also as OpenSSL names them. Of a version of which none is listed, all are spoken. Default: all.
    #[serde(default)]
    ciphers: Vec<Cipher>,
    /// Groups of the key exchange, the preferred one first. Default: all.
    #[serde(default)]
    groups: Vec<Group>,
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
    truncated: Truncated,
    /// What a client gets that speaks plain HTTP: `"refuse"`, the answer 400, which says what is wrong, or `"redirect"`, one that sends it
    /// to the same host and path with `https://`. Default `"refuse"`.
    #[serde(default)]
    plain_http: PlainHttp,
    /// Which clients are taken, by certificates that they have to present. What is read is read again with every reload. Default: none
    /// is asked for.
    client_certificates: Option<ClientsFile>,
}

impl TerminateFile {
    /// Whether clients are offered this protocol.
    pub(super) fn offers(&self, protocol: &str) -> bool {
        self.alpn.iter().any(|Protocol(one)| one == protocol.as_bytes())
    }
}

/// What its certificates depend on, beside what is written of its TLS.
#[derive(Clone, Copy)]
pub(super) struct Around<'f> {
    /// The route.
    pub(super) file: &'f RouteFile,
    pub(super) acme: Option<&'f AcmeFile>,
}

/// The certificates that it asks for.
pub(super) struct Asked {
    pub(super) wanted: Wanted,
    /// Which entry of the list each source is from.
    entries: Vec<usize>,
    /// Those of them that are obtained.
    names: Vec<Name>,
}

impl TerminateFile {
    /// Whether its certificates depend on the route's own names.
    pub(super) fn is_for_domains(&self) -> bool {
        self.certificates == SourcesFile::Auto
    }

    /// The certificates that it asks for.
    pub(super) fn asked(&self, around: Around<'_>, place: &Place<'_, '_>) -> Result<Asked, Finding> {
        let all = place.key("certificates");
        let (mut sources, mut entries, mut names) = (Vec::new(), Vec::new(), Vec::new());
        let mut obtain = |wanted: Names<'_>, entry: usize, place: &Place<'_, '_>| {
            let wanted = wanted_names(wanted, around.acme, place)?;
            names.extend(wanted.iter().cloned());
            let files = wanted.iter().filter_map(|name| around.acme.map(|acme| acme.kept_at(&name.name)));
            Ok(files.map(|file| (Source::Obtained(file), entry)).collect::<Vec<_>>())
        };
        let mut add = |source: Source, entry: usize| {
            sources.push(source);
            entries.push(entry);
        };
        match &self.certificates {
            SourcesFile::Auto => {
                let of_route = Names::Domains(&around.file.matches.domains);
                obtain(of_route, 0, &all)?.into_iter().for_each(|(source, entry)| add(source, entry));
            }
            SourcesFile::Listed(listed) if listed.is_empty() => {
                let title = "there is no certificate to end TLS with";
                return Err(Finding::new(all.span(), title).label("at least one has to be here"));
            }
            SourcesFile::Listed(listed) => {
                for (at, one) in listed.iter().enumerate() {
                    let place = all.index(at);
                    match one.names(&place)? {
                        Some(names) => {
                            let obtained = obtain(Names::Listed(names), at, &place.key("auto"))?;
                            obtained.into_iter().for_each(|(source, entry)| add(source, entry));
                        }
                        None => add(one.source(&place)?, at),
                    }
                }
            }
        }
        Ok(Asked { wanted: Wanted { sources, default: !self.strict_sni }, entries, names })
    }
}

/// What becomes of it for a route, with certificates that were read for all routes together; and those of them that are obtained, if any
/// are.
pub(super) fn terminating(
    (file, around): (&TerminateFile, Around<'_>),
    selection: &Selection,
    place: &Place<'_, '_>,
    warnings: &mut Vec<Finding>,
) -> Result<(Terminate, Option<Automatic>), Vec<Finding>> {
    let Asked { wanted, entries, names } = file.asked(around, place).map_err(|finding| vec![finding])?;
    let all = place.key("certificates");
    let wrong = wanted.sources.iter().zip(&entries).flat_map(|(source, at)| {
        let errors = selection.wrong(source);
        errors.iter().map(|error| wrong_source(error, &all.index(*at))).collect::<Vec<_>>()
    });
    let wrong: Vec<_> = wrong.collect();
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let spoken = parameters(file.min_version, file.max_version, &file.ciphers, &file.groups, place);
    let spoken = spoken.map_err(|finding| vec![finding])?;
    let store = selection.store(wanted, around.file.name.shared());
    let taken = taken(file, place, warnings).map_err(|finding| vec![finding])?;
    let options = ServerOptions::default()
        .clients(taken)
        .parameters(spoken)
        .alpn(protocols(&file.alpn))
        .tickets(file.tickets.0);
    let config = server_config(Arc::clone(&store), &options, selection.registry().tickets());
    let config = config.map_err(|error| {
        vec![Finding::new(place.span(), format!("TLS cannot be ended like this: {error}"))]
    })?;
    let automatic = Some(Automatic { names, store: Arc::clone(&store) });
    let (truncated, plain_http) = (file.truncated, file.plain_http);
    let terminate = Terminate { config, certificates: store, truncated, plain_http };
    Ok((terminate, automatic.filter(|automatic| !automatic.names.is_empty())))
}

/// Which clients are taken by their certificates, where any are asked for.
fn taken(
    file: &TerminateFile,
    place: &Place<'_, '_>,
    warnings: &mut Vec<Finding>,
) -> Result<Option<ClientAuth>, Finding> {
    let (asked, tickets) = (place.key("client_certificates"), place.key("tickets"));
    if file.client_certificates.is_some() && tickets.exists() {
        let title = "no session is resumed where clients have to show certificates";
        return Err(Finding::new(tickets.span(), title)
            .label("this has no effect: take it out")
            .beside(asked.span(), "each handshake sees the certificate, and what has been revoked"));
    }
    file.client_certificates.as_ref().map(|file| clients(file, &asked, warnings)).transpose()
}
