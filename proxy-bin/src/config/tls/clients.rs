//! Certificates that clients have to present: how it is written.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use proxy_tls::{ClientAuth, ClientAuthOptions, ClientTrust, NamePattern, Outdated, Revoked};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::document::Place;
use super::super::finding::Finding;
use super::certificate::{authorities, pem};

/// Which clients are taken, by their certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ClientsFile {
    /// A file with the certificates of authorities: clients are taken whom one of them vouches for. Either this or `pinned`.
    roots: Option<PathBuf>,
    /// A file with certificates: clients are taken that have one of exactly these, whatever they say (also self-signed ones).
    pinned: Option<PathBuf>,
    /// Whether a client that presents none is served, too. One that presents another one is refused in any case. Default false.
    optional: bool,
    /// A file with lists of revoked certificates (CRL) of the authorities in `roots`, or of those whose certificates are beside them in it,
    /// whose holders are refused. A list that is past its time still counts, and is warned of. Default: none is revoked.
    revoked: Option<PathBuf>,
    /// Names of which a certificate has to have one, as its common name or among its alternative ones (DNS, e-mail, URI):
    /// `["billing", "*.clients.example.com"]`, where the star is one label. Default: whatever its names.
    names: NamesFile,
}

/// A name, or a pattern of names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub(super) struct NameFile(NamePattern);

impl TryFrom<String> for NameFile {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self).map_err(|error: proxy_tls::NamePatternError| error.to_string())
    }
}

/// Names, of which there is one at least: an empty list would let in whoever an authority vouches for, and looks as if it let in nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<NameFile>")]
#[schemars(with = "Vec<NameFile>")]
pub(super) struct NamesFile(Vec<NameFile>);

impl TryFrom<Vec<NameFile>> for NamesFile {
    type Error = &'static str;

    fn try_from(names: Vec<NameFile>) -> Result<Self, Self::Error> {
        if names.is_empty() {
            return Err(
                "an empty list would let in nobody: write the names that are let in, or leave it out where all are",
            );
        }
        Ok(Self(names))
    }
}

impl NamesFile {
    /// Empty where all are let in.
    pub(super) fn patterns(&self) -> Vec<NamePattern> {
        self.0.iter().map(|name| name.0.clone()).collect()
    }
}

pub(super) fn clients(
    file: &ClientsFile,
    place: &Place<'_, '_>,
    warnings: &mut Vec<Finding>,
) -> Result<ClientAuth, Finding> {
    let trust = trusted(file, place, warnings)?;
    let options = ClientAuthOptions::new(trust).optional(file.optional).names(file.names.patterns());
    ClientAuth::new(&options).map_err(|error| {
        Finding::new(place.span(), format!("clients cannot be asked for certificates like this: {error}"))
    })
}

fn trusted(
    file: &ClientsFile,
    place: &Place<'_, '_>,
    warnings: &mut Vec<Finding>,
) -> Result<ClientTrust, Finding> {
    match (&file.roots, &file.pinned, &file.revoked) {
        (Some(roots), None, revoked) => {
            let roots = authorities(roots, &place.key("roots"))?;
            let revoked = revoked.as_ref().map(|path| {
                let (place, revoked) = (place.key("revoked"), lists(path, &place.key("revoked"))?);
                revoked.check(&roots).map_err(|error| unusable(path, &place, &error))?;
                warnings.extend(outdated(path, &place, &revoked));
                Ok(revoked)
            });
            Ok(ClientTrust::Roots(roots, revoked.transpose()?.unwrap_or_default().into_lists()))
        }
        (None, Some(pinned), None) => Ok(ClientTrust::Pinned(authorities(pinned, &place.key("pinned"))?)),
        (None, Some(_), Some(_)) => {
            let title = "certificates that are pinned are revoked by taking them out of the file";
            Err(Finding::new(place.key("revoked").span(), title).label("this has no effect: take it out"))
        }
        (Some(_), Some(_), _) => {
            let title = "either authorities vouch for clients, or their certificates are pinned";
            Err(Finding::new(place.key("pinned").span(), title)
                .beside(place.key("roots").span(), "both are here"))
        }
        (None, None, _) => Err(Finding::new(place.span(), "nobody says whose certificates are taken")
            .help("write { roots = \"clients-ca.pem\" } or { pinned = \"clients.pem\" }")),
    }
}

fn lists(path: &Path, place: &Place<'_, '_>) -> Result<Revoked, Finding> {
    Revoked::from_pem(&pem(path, place)?).map_err(|error| unusable(path, place, &error))
}

fn unusable(path: &Path, place: &Place<'_, '_>, error: &dyn std::error::Error) -> Finding {
    Finding::new(place.span(), format!("{} cannot be used: {error}", path.display()))
}

/// Lists that nobody keeps up to date.
fn outdated(path: &Path, place: &Place<'_, '_>, revoked: &Revoked) -> Vec<Finding> {
    const DAY: u64 = 24 * 3600;
    let one = |list: &Outdated| {
        let (path, issuer, days) = (path.display(), &list.issuer, list.since.as_secs() / DAY);
        let title = format!(
            "in {path} the list of \"{issuer}\" is past its time: the next one was due {days} days ago"
        );
        Finding::new(place.span(), title)
            .label("it still counts: who was revoked since is taken")
            .help("get the present list of that authority, and reload")
    };
    revoked.outdated(SystemTime::now()).iter().map(one).collect()
}
