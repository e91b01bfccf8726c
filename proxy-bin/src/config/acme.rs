//! `[acme]`: how certificates are obtained that renew themselves.

mod automatic;
mod exact_name;
mod words;

use std::path::PathBuf;
use std::sync::Arc;

use proxy_acme::{Authority, ChallengeKind, ExternalAccount, Name, Options, Storage, StorageError, Wanted};
use proxy_dataplane::settings::Answering;
use proxy_tls::{Challenges, ClientOptions, Trust, client_config};
use schemars::JsonSchema;
use serde::Deserialize;

use super::document::{Document, Place};
use super::file::{ConfigFile, RouteFile};
use super::finding::Finding;
use super::tls::authorities;

pub use automatic::Automatic;
pub(super) use automatic::{Names, wanted_names};
pub(super) use exact_name::ExactName;
use words::{ChallengeFile, Contact, ExternalFile, Port};

/// How certificates are obtained and renewed from authorities that speak ACME, such as Let's Encrypt, for routes with
/// `certificates = "auto"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AcmeFile {
    /// That you agree to the terms of service of the authorities. Has to be true.
    terms_agreed: bool,
    /// Addresses to which the authorities may write, such as `["admin@example.com"]`. Default: none.
    contacts: Vec<Contact>,
    /// Who certificates are obtained from, in this order: the next one is asked where one gives none. Default: Let's Encrypt.
    authorities: Vec<AuthorityFile>,
    /// The folder that accounts, keys and certificates are kept in, which only the proxy's user may enter; it is made where it is not
    /// there. Default `"/var/lib/smartproxy/acme"`.
    storage: PathBuf,
    /// Whether other proxies have the same folder and are asked for the same names: one of them orders, all of them answer and serve.
    /// Default false.
    shared: bool,
    /// How a name is proved: `"tls-alpn-01"`, by a handshake on port 443 (whatever the routes there are), or `"http-01"`, by a request
    /// on port 80. After a failure the next one is tried. Default: `["tls-alpn-01"]`, and with `http_port` both.
    challenges: Option<Vec<ChallengeFile>>,
    /// The port on which requests of `http-01` are answered; authorities come to port 80. It is listened on as the ports of routes are.
    /// Where a route has it too, all other requests are that route's. Default: none.
    http_port: Option<Port>,
    /// Names whose certificates are obtained only when a client first asks for them: of a route for `*.example.com` those below that
    /// are in this list, for an authority certifies no name with a star in these ways. Default: none.
    pub(super) on_demand: Vec<ExactName>,
}

impl Default for AcmeFile {
    fn default() -> Self {
        Self {
            terms_agreed: false,
            contacts: Vec::new(),
            authorities: Vec::new(),
            storage: PathBuf::from("/var/lib/smartproxy/acme"),
            shared: false,
            challenges: None,
            http_port: None,
            on_demand: Vec::new(),
        }
    }
}

/// An authority.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AuthorityFile {
    /// The URL of its directory, such as `"https://acme-v02.api.letsencrypt.org/directory"`.
    directory: String,
    /// A file with the authorities that its own TLS is trusted by. Default: those of this machine.
    roots: Option<PathBuf>,
    /// The account with it that the one here is bound to, where it asks for that.
    external_account: Option<ExternalFile>,
}

/// Let's Encrypt.
const DEFAULT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Certificates that renew themselves, as a configuration wants them.
#[derive(Debug)]
pub struct Acme {
    /// Which names, from whom, kept where.
    pub wanted: Wanted,
    /// Where the certificates are presented.
    pub places: Vec<Automatic>,
}

impl AcmeFile {
    pub(super) fn http_port(&self) -> Option<u16> {
        self.http_port.map(|port| port.0)
    }

    /// The file that has the certificate of `name` once it is obtained.
    pub(super) fn kept_at(&self, name: &str) -> PathBuf {
        Storage::certificate_file(&self.storage, name)
    }

    fn kinds(&self) -> Vec<ChallengeKind> {
        match &self.challenges {
            Some(kinds) => kinds.iter().map(|kind| kind.kind()).collect(),
            None if self.http_port.is_some() => vec![ChallengeKind::TlsAlpn01, ChallengeKind::Http01],
            None => vec![ChallengeKind::TlsAlpn01],
        }
    }
}

/// What is obtained for `places`, and where its challenges are answered. Nothing where no certificate is obtained.
pub(super) fn resolved(
    (file, routes): (&ConfigFile, &[RouteFile]),
    places: Vec<Automatic>,
    document: &Document<'_>,
    findings: &mut Vec<Finding>,
) -> (Option<Acme>, Option<Answering>) {
    let Some(file) = &file.acme else { return (None, None) };
    let place = document.root().key("acme");
    check(file, &place, findings);
    if places.is_empty() {
        return (None, None);
    }
    let authorities = match all_authorities(file, &place) {
        Ok(authorities) => authorities,
        Err(finding) => {
            findings.push(finding);
            return (None, None);
        }
    };
    let contacts = file.contacts.iter().map(|contact| contact.0.clone()).collect();
    let options =
        Options::new(authorities, &file.storage).contacts(contacts).kinds(file.kinds()).shared(file.shared);
    let challenges = Arc::new(Challenges::default());
    let names = all_names(&places);
    let wanted = Wanted::new(Arc::new(options), names, Arc::clone(&challenges));
    let port = file.http_port();
    let has_port = |port: u16| {
        let enabled = routes.iter().filter(|route| route.enabled);
        enabled.flat_map(|route| &route.matches.ports).any(|range| range.contains(port))
    };
    let answering = Answering::new(challenges).http(port, port.is_some_and(|port| !has_port(port)));
    (Some(Acme { wanted, places }), Some(answering))
}

/// What works, and is to be looked at.
pub(super) fn warnings(
    file: &ConfigFile,
    acme: Option<&Acme>,
    document: &Document<'_>,
) -> impl Iterator<Item = Finding> {
    unused(file, acme, document).into_iter().chain(open_to_others(file, document))
}

/// A table that no route makes use of.
fn unused(file: &ConfigFile, acme: Option<&Acme>, document: &Document<'_>) -> Option<Finding> {
    (file.acme.is_some() && acme.is_none()).then(|| {
        Finding::new(document.root().key("acme").span(), "no certificate is obtained by `[acme]`")
            .help("a route has its certificates obtained by `terminate = { certificates = \"auto\" }`")
    })
}

/// A folder that a start refuses, since others than its user may enter it. One that cannot be looked at, or is not there, is none.
fn open_to_others(file: &ConfigFile, document: &Document<'_>) -> Option<Finding> {
    let storage = &file.acme.as_ref()?.storage;
    let error =
        Storage::is_private(storage).err().filter(|error| matches!(error, StorageError::Open { .. }))?;
    let place = document.root().key("acme").key("storage");
    Some(Finding::new(place.span(), error.to_string()).label("a start fails with it"))
}

/// What is wrong with the table alone.
fn check(file: &AcmeFile, place: &Place<'_, '_>, findings: &mut Vec<Finding>) {
    let mut refuse = |place: Place<'_, '_>, title: &str, help: &str| {
        if !place.is_wounded() {
            findings.push(Finding::new(place.span(), title).help(help));
        }
    };
    if !file.terms_agreed {
        refuse(
            place.key("terms_agreed"),
            "an authority certifies nothing before its terms of service are agreed to",
            "read them (Let's Encrypt: https://letsencrypt.org/repository/), and write `terms_agreed = true`",
        );
    }
    if !file.storage.is_absolute() {
        let help = "write a path such as \"/var/lib/smartproxy/acme\"";
        refuse(place.key("storage"), "the folder of certificates is no absolute path", help);
    }
    let kinds = file.kinds();
    let by_request = kinds.contains(&ChallengeKind::Http01);
    if kinds.is_empty() {
        let help = "leave `challenges` out for \"tls-alpn-01\"";
        refuse(place.key("challenges"), "there is no way to prove a name", help);
    } else if by_request && file.http_port.is_none() {
        let help = "write `http_port = 80`";
        refuse(place.key("challenges"), "\"http-01\" needs the port on which requests come", help);
    } else if !by_request && file.http_port.is_some() {
        let help = "add \"http-01\" to `challenges`, or leave `http_port` out";
        refuse(place.key("http_port"), "no request is answered here", help);
    }
}

fn all_authorities(file: &AcmeFile, place: &Place<'_, '_>) -> Result<Vec<Authority>, Finding> {
    let place = place.key("authorities");
    if file.authorities.is_empty() {
        let own = AuthorityFile { directory: DEFAULT.to_owned(), roots: None, external_account: None };
        return Ok(vec![authority(&own, &place)?]);
    }
    file.authorities.iter().enumerate().map(|(nth, one)| authority(one, &place.index(nth))).collect()
}

fn authority(file: &AuthorityFile, place: &Place<'_, '_>) -> Result<Authority, Finding> {
    let trust = match &file.roots {
        Some(path) => Trust::Roots(authorities(path, &place.key("roots"))?),
        None => Trust::System,
    };
    let options = ClientOptions::default().trust(trust).alpn(vec![b"http/1.1".to_vec()]);
    let tls = client_config(&options).map_err(|error| {
        Finding::new(place.span(), format!("TLS cannot be spoken to the authority: {error}"))
    })?;
    let external =
        file.external_account.as_ref().map(|external| external.read(&place.key("external_account")));
    let external = external.transpose()?.map(|(id, key)| ExternalAccount::new(id, key));
    let authority = Authority::new(&file.directory, tls)
        .map_err(|error| Finding::new(place.key("directory").span(), error.to_string()))?;
    Ok(authority.external(external))
}

/// The names of all places, each once. One that some place wants at once is not waited for.
fn all_names(places: &[Automatic]) -> Vec<Name> {
    let mut names: Vec<Name> = places.iter().flat_map(|place| &place.names).cloned().collect();
    names.sort_by(|a, b| (&a.name, a.on_demand).cmp(&(&b.name, b.on_demand)));
    names.dedup_by(|later, first| later.name == first.name);
    names
}
