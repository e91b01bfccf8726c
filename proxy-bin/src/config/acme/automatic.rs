//! Where certificates are presented that are obtained: which names a route means by `"auto"`.

use std::fmt;
use std::sync::Arc;

use proxy_acme::Name;
use proxy_route::DomainPattern;
use proxy_tls::CertificateStore;

use super::super::document::Place;
use super::super::finding::Finding;
use super::AcmeFile;
use super::exact_name::ExactName;

/// A place where certificates are presented, of which some are obtained.
#[derive(Clone)]
pub struct Automatic {
    /// Those that are obtained, by their names.
    pub names: Vec<Name>,
    /// What handshakes take them from.
    pub store: Arc<CertificateStore>,
}

impl fmt::Debug for Automatic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Automatic").field("names", &self.names).finish_non_exhaustive()
    }
}

/// Which names are meant.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Names<'f> {
    /// Those of the route.
    Domains(&'f [DomainPattern]),
    /// These.
    Listed(&'f [ExactName]),
}

/// The names that are meant by `"auto"` or a list at this place.
pub(in super::super) fn wanted_names(
    names: Names<'_>,
    acme: Option<&AcmeFile>,
    place: &Place<'_, '_>,
) -> Result<Vec<Name>, Finding> {
    let Some(acme) = acme else {
        let title = "there is no `[acme]` table that says from whom certificates are obtained";
        let help = "add\n[acme]\nterms_agreed = true\ncontacts = [\"admin@example.com\"]";
        return Err(Finding::new(place.span(), title).help(help));
    };
    let demanded = |name: &str| acme.on_demand.iter().any(|one| *one.0 == *name);
    match names {
        Names::Listed([]) => Err(Finding::new(place.span(), "there is no name to obtain a certificate for")),
        Names::Listed(listed) => {
            Ok(listed.iter().map(|name| Name::new(Arc::clone(&name.0), demanded(&name.0))).collect())
        }
        Names::Domains([]) => {
            let title = "no name is known to obtain a certificate for";
            let help = "give the route's `match` its `domains`, or write `certificates = [{ auto = [\"www.example.com\"] }]`";
            Err(Finding::new(place.span(), title).help(help))
        }
        Names::Domains(domains) => {
            let mut names = Vec::new();
            for domain in domains {
                names.extend(of_domain(domain, acme, place)?);
            }
            Ok(names)
        }
    }
}

fn of_domain(domain: &DomainPattern, acme: &AcmeFile, place: &Place<'_, '_>) -> Result<Vec<Name>, Finding> {
    let text = domain.to_string();
    if !text.starts_with('*') {
        let on_demand = acme.on_demand.iter().any(|one| *one.0 == *text);
        return Ok(vec![Name::new(text, on_demand)]);
    }
    let below = acme.on_demand.iter().filter(|name| domain.matches(&name.0));
    let below: Vec<_> = below.map(|name| Name::new(Arc::clone(&name.0), true)).collect();
    if below.is_empty() {
        let title = format!(
            "no certificate can be obtained for {text}: an authority certifies no star in these ways"
        );
        let help = "name the hosts that there are in `[acme] on_demand`, or in the route's `domains`";
        return Err(Finding::new(place.span(), title).help(help));
    }
    Ok(below)
}
