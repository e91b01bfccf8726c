//! What is wrong, as every view shows it.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use proxy_api::model;
use proxy_observe::{Lasting, Subject};

use super::api::Api;
use super::view::{secs, since_1970};

/// `GET /v1/findings`.
pub(super) async fn all(State(api): State<Arc<Api>>) -> Json<Vec<model::Finding>> {
    Json(findings(&api))
}

/// What is wrong, the worst first.
pub(super) fn findings(api: &Api) -> Vec<model::Finding> {
    let (observed, now) = (api.control().observed(), since_1970(SystemTime::now()));
    let told = |lasting: &Lasting| finding(lasting, secs(observed.lasts(lasting)), now);
    observed.findings().iter().map(told).collect()
}

fn finding(Lasting { finding, .. }: &Lasting, since_s: f64, now: f64) -> model::Finding {
    let subject = subject(&finding.subject);
    let figures = finding.figures.iter().map(|(name, value)| ((*name).to_owned(), *value));
    model::Finding {
        id: id(finding.rule, &subject),
        rule: finding.rule.to_owned(),
        severity: finding.severity.name().to_owned(),
        subject,
        since: now - since_s,
        since_s,
        figures: figures.collect(),
        sentence: finding.sentence.clone(),
        shows: finding.shows.clone(),
        mends: finding.mends.clone(),
    }
}

/// What identifies it: the rule and the subject.
fn id(rule: &str, subject: &model::Subject) -> String {
    let parts = [Some(rule), Some(&subject.kind), subject.of.as_deref(), Some(&subject.name)];
    let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("/")
}

/// What a finding or a series is about.
pub(super) fn subject(subject: &Subject) -> model::Subject {
    let (name, of) = match subject {
        Subject::Process => (String::new(), None),
        Subject::Target { of, target } => {
            (target.to_string(), Some(of.to_string()).filter(|of| !of.is_empty()))
        }
        Subject::Route(name)
        | Subject::Listener(name)
        | Subject::Pool(name)
        | Subject::Limit(name)
        | Subject::Hop(name) => (name.to_string(), None),
        Subject::Worker(number) => (number.to_string(), None),
        unknown => (unknown.to_string(), None),
    };
    model::Subject { kind: subject.kind().to_owned(), name, of }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_rule_and_the_subject() {
        let told = |of: &Subject| id("failing", &subject(of));
        assert_eq!(told(&Subject::Process), "failing/process");
        assert_eq!(told(&Subject::Route("api".into())), "failing/route/api");
        let target = |of: &str| Subject::Target { of: of.into(), target: "10.0.0.1:80".into() };
        assert_eq!(told(&target("@inner")), "failing/target/@inner/10.0.0.1:80");
        assert_eq!(told(&target("")), "failing/target/10.0.0.1:80");
        assert_eq!(told(&Subject::Worker(3)), "failing/worker/3");
    }
}
