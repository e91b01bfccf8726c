//! Congestion controls that are named in a file, and whether this machine has them.

use proxy_core::Congestion;
use proxy_core::congestion::{Algorithm, CongestionError, permitted};

use super::document::Place;
use super::finding::Finding;
use super::{Config, group, listener, recover, route};

impl Config {
    /// Each place that names a congestion control which cannot be had here, on behalf of who the process will be.
    pub(super) fn congestion_lacking(&self) -> Vec<Finding> {
        let listeners = self.settings.listeners.iter().map(|at| at.congestion);
        let routes = self.settings.routes.routes().filter_map(|route| route.payload.egress.as_deref());
        let groups = self.settings.groups.iter().filter_map(|group| group.options.egress.as_deref());
        let dials = routes.chain(groups).chain([&*self.settings.egress]).map(|egress| egress.congestion);
        let mut wanted: Vec<_> = listeners.chain(dials).collect();
        wanted.dedup();
        let all_there = wanted.into_iter().all(|one| self.refused(one).is_none());
        if all_there { Vec::new() } else { self.what_it_lacks() }
    }

    /// The places of what is refused, for which the text has to be read again.
    fn what_it_lacks(&self) -> Vec<Finding> {
        let Some(recovered) = recover::read(&self.origin.text, &mut Vec::new()) else { return Vec::new() };
        let (file, document) = (&recovered.file, &recovered.document);
        let mut findings = Vec::new();
        let mut look = |one: Congestion, place: &Place<'_, '_>| {
            if let Some(error) = self.refused(one) {
                let finding = Finding::new(place.key("congestion").span(), error.to_string());
                findings.push(finding.help(help(&error)));
            }
        };
        look(file.congestion, &document.root());
        for (index, table) in file.listeners.iter().enumerate() {
            if let Some(one) = table.congestion {
                look(one, &listener::place(document, index));
            }
        }
        for (index, table) in file.routes.iter().enumerate() {
            if let Some(one) = table.congestion {
                look(one, &route::place(document, index));
            }
        }
        for (name, table) in &file.groups {
            if let Some(one) = table.congestion {
                look(one, &group::place(document, name.as_str()));
            }
        }
        findings
    }

    /// Why the process may not use it, if so.
    fn refused(&self, congestion: Congestion) -> Option<CongestionError> {
        let Congestion::Named(name) = congestion else { return None };
        name.usable().err().or_else(|| self.will_be_refused(name))
    }

    /// Root may use what others may not, until it is somebody else.
    fn will_be_refused(&self, name: Algorithm) -> Option<CongestionError> {
        let gives_up = self.process.user.is_some() && rustix::process::geteuid().is_root();
        let permitted = if gives_up { permitted() } else { Vec::new() };
        // An empty list: the kernel does not tell.
        let refused = !permitted.is_empty() && !permitted.contains(&name);
        refused.then(|| CongestionError::not_permitted(name))
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "CongestionError is open-ended")]
fn help(error: &CongestionError) -> String {
    match error {
        CongestionError::Unknown { name, .. } => {
            format!("write one of those, \"auto\" or \"system\"; it may be a module that is not loaded: modprobe tcp_{name}")
        }
        CongestionError::NotPermitted { .. } => {
            "write one of those, \"auto\" or \"system\", or add it to net.ipv4.tcp_allowed_congestion_control: see sysctl(8)"
                .to_owned()
        }
        _ => "write \"auto\" or \"system\"".to_owned(),
    }
}
