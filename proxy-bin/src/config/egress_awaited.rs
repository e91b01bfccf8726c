//! What this machine lacks for the sources, interfaces and marks of a file: warnings, each with its place in it.

use proxy_core::{Egress, Source};

use super::document::Place;
use super::egress::{of_file, of_route};
use super::finding::{Finding, Findings, Severity, Source as Text};
use super::{Config, group, recover, route};

impl Config {
    /// What this machine lacks for the sources, interfaces and marks of the file as things are now: an address may come later, and a
    /// capability with whoever starts it. Nothing is sent.
    #[must_use]
    pub fn egress_awaited(&self) -> Findings {
        let text = Text::of(&self.origin);
        let own = self.settings.routes.routes().any(|route| route.payload.egress.is_some())
            || self.settings.groups.iter().any(|group| group.options.egress.is_some());
        let is_plain = self.settings.egress.is_the_kernels() && !own;
        let read = (!is_plain).then(|| recover::read(&self.origin.text, &mut Vec::new())).flatten();
        let findings = read.map_or_else(Vec::new, |read| {
            let root = read.document.root();
            let mut findings = self.lacking(&of_file(&read.file), &root);
            for (index, file) in read.file.routes.iter().enumerate() {
                let own = of_route(file, &Egress::default());
                let place = route::place(&read.document, index);
                findings.extend(own.iter().flat_map(|own| self.lacking(own, &place)));
            }
            for (name, file) in &read.file.groups {
                let own = file.egress(&Egress::default());
                let place = group::place(&read.document, name.as_str());
                findings.extend(own.iter().flat_map(|own| self.lacking(own, &place)));
            }
            findings
        });
        text.findings(Severity::Warning, findings)
    }

    fn lacking(&self, egress: &Egress, place: &Place<'_, '_>) -> Vec<Finding> {
        let found = egress.lacking().into_iter();
        let mut findings: Vec<_> =
            found.map(|(key, error)| Finding::new(place.key(key).span(), error.to_string())).collect();
        // Root may do what a user may not that it becomes.
        let gives_up = self.process.user.is_some() && rustix::process::geteuid().is_root();
        let needs = [("source", matches!(egress.source, Source::Client)), ("mark", egress.mark.is_some())];
        for (key, _) in needs.into_iter().filter(|(_, needs)| gives_up && *needs) {
            let title = format!(
                "`{key}` needs CAP_NET_ADMIN, which the process has no more once it is the user of [process]"
            );
            findings.push(
                Finding::new(place.key(key).span(), title)
                    .help("start it as that user, with AmbientCapabilities=CAP_NET_ADMIN in its unit"),
            );
        }
        findings
    }
}
