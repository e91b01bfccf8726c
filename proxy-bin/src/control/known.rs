//! What rules have to know of the process around the data plane: reloads, upgrades, drains, the log.

use std::sync::{Arc, Weak};
use std::time::SystemTime;

use proxy_api::model::DrainKind;
use proxy_observe::{Drained, Facts, LogFacts, Subject};

use super::drains::Entry;
use super::running::Running;
use super::state::State;
use super::troubled;

/// Adds it to what is known, for as long as the proxy runs.
pub(crate) fn known_to(running: &Arc<Running>) -> impl Fn(&mut Facts) + Send + Sync + use<> {
    // Weak: it has the data plane, which has this.
    let running: Weak<Running> = Arc::downgrade(running);
    move |facts| {
        if let Some(running) = running.upgrade() {
            add(&running, facts);
        }
    }
}

fn add(running: &Running, facts: &mut Facts) {
    {
        let standing = running.standing.lock();
        let refused = standing.last_reload.as_ref().filter(|last| !last.taken);
        facts.reload_refused = refused.map(|last| first(last.error.as_deref()));
        facts.leaves = (standing.state != State::Running).then(|| standing.state.name());
    }
    let failed = running.upgrading.last.lock();
    facts.upgrade_failed =
        failed.as_ref().filter(|last| !last.taken).map(|last| first(last.error.as_deref()));
    drop(failed);
    // What a reload has removed nobody drains: it is gone.
    let drains = running.drains.all().into_iter().filter(|entry| !entry.by_reload);
    facts.drained = drains.map(|entry| drained(&entry)).collect();
    facts.hops = running.hops.lock().clone();
    let certificates = running.config().certificates.registry().summaries(SystemTime::now());
    facts.certificates = troubled::troubles(&certificates, SystemTime::now());
    facts.certificates.extend(troubled::not_obtained(&running.acme.standing(), SystemTime::now()));
    facts.log = running.logs().map(|logs| LogFacts { lost: logs.lost(), fails: logs.fails() });
}

/// The first error, with its place in the file before it, where it has one.
fn first(error: Option<&str>) -> String {
    let mut lines = error.unwrap_or_default().lines();
    let first = lines.next().unwrap_or_default();
    match lines.next().and_then(|line| line.trim_start().strip_prefix("--> ")) {
        Some(place) => format!("{place}: {}", first.strip_prefix("error: ").unwrap_or(first)),
        None => first.to_owned(),
    }
}

fn drained(entry: &Entry) -> Drained {
    let name = || Arc::clone(&entry.name);
    let (subject, what) = match entry.kind {
        DrainKind::Everything => (Subject::Process, "all"),
        DrainKind::Listener => (Subject::Listener(name()), "listener"),
        DrainKind::Route => (Subject::Route(name()), "route"),
        DrainKind::Target => (Subject::Target { of: "".into(), target: name() }, "target"),
    };
    let words = ["smartproxy drain", what, &entry.name, "--undo"];
    let undo = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    Drained { subject, undo }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_file_has_its_place_first() {
        let error = "error: unknown key `rout`\n --> proxy.toml:2:1\n  |\n2 | rout = 1\n";
        assert_eq!(first(Some(error)), "proxy.toml:2:1: unknown key `rout`");
        assert_eq!(first(Some("cannot listen on 127.0.0.1:80\n  stop it")), "cannot listen on 127.0.0.1:80");
        assert_eq!(first(None), "");
    }
}
