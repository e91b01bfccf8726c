//! The last minute of each part, from history: added to what the API says of it.

use std::time::Duration;

use proxy_api::model::{Group, Listener, Minute, Pool, Route, Target};
use proxy_observe::{History, Subject};

use super::api::Api;
use super::view::secs;

/// Something that has had a last minute.
pub(super) trait Lately {
    /// Adds it.
    fn add(&mut self, history: &History);
}

/// The same with the last minute of each.
pub(super) fn with_minutes<T: Lately>(api: &Api, mut parts: Vec<T>) -> Vec<T> {
    let history = api.control().observed().history();
    parts.iter_mut().for_each(|part| part.add(&history));
    parts
}

impl Lately for Route {
    fn add(&mut self, history: &History) {
        self.outcomes.minute = minute(history, &Subject::Route(self.name.as_str().into()));
        self.targets.iter_mut().for_each(|target| target.add(history));
    }
}

impl Lately for Target {
    fn add(&mut self, history: &History) {
        let of = self.group.as_ref().map_or_else(|| self.route.clone(), |group| format!("@{group}"));
        let subject = Subject::Target { of: of.into(), target: self.target.as_str().into() };
        self.outcomes.minute = minute(history, &subject);
    }
}

impl Lately for Group {
    fn add(&mut self, history: &History) {
        self.members.iter_mut().for_each(|member| member.add(history));
    }
}

impl Lately for Pool {
    fn add(&mut self, history: &History) {
        self.outcomes.minute = minute(history, &Subject::Pool(self.name.as_str().into()));
    }
}

impl Lately for Listener {
    fn add(&mut self, history: &History) {
        self.outcomes.minute = minute(history, &Subject::Listener(self.name.as_str().into()));
    }
}

/// What was within the last minute; `None` before the proxy is a minute old, or where it has had no connection.
fn minute(history: &History, of: &Subject) -> Option<Minute> {
    const MINUTE: Duration = Duration::from_secs(60);
    let within = history.within(of, MINUTE)?;
    let step = within.step;
    let per_second = |bytes: u64| bytes as f64 / secs(MINUTE);
    Some(Minute {
        opened: step.opened,
        ended: step.ended,
        failed: step.failed,
        refused: step.refused,
        grown: within.grown,
        from_client_bytes_per_s: per_second(step.from_client),
        from_backend_bytes_per_s: per_second(step.from_backend),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxy_observe::{Picture, Reading};

    /// A route, three of whose connections a second go to its target, of which two end, one of them by the backend's fault.
    fn for_seconds(seconds: u64) -> History {
        let mut history = History::new(Duration::from_secs(1_700_000_000));
        let mut reading = Reading::default();
        for second in 1..=seconds {
            (reading.open, reading.totals.opened, reading.totals.failed) = (second, 3 * second, second);
            reading.totals.from_client = 600 * second;
            if let Some(finished) = reading.totals.ended.first_mut() {
                *finished = 2 * second;
            }
            let mut picture = Picture::default();
            picture.at = Duration::from_secs(second);
            let target = Subject::Target { of: "@inner".into(), target: "10.0.0.1:80".into() };
            picture.readings =
                vec![(Subject::Route("web".into()), reading.clone()), (target, reading.clone())];
            history.push(&picture);
        }
        history
    }

    #[test]
    fn the_last_minute_is_known_once_the_proxy_is_a_minute_old() {
        let web = Subject::Route("web".into());
        assert_eq!(minute(&for_seconds(59), &web), None);
        let minute = minute(&for_seconds(100), &web).unwrap();
        assert_eq!((minute.opened, minute.ended, minute.failed, minute.grown), (180, 120, 60, 60));
        // Bytes are rounded.
        assert!((570.0..630.0).contains(&minute.from_client_bytes_per_s), "{minute:?}");
    }

    #[test]
    fn a_member_is_known_by_its_group() {
        let history = for_seconds(60);
        let mut member: Target = serde_json::from_value(serde_json::json!({
            "route": "", "group": "inner", "target": "10.0.0.1:80", "connections": {"used": 1, "most": null},
            "breaker": "closed", "failures_in_a_row": 0, "retry_in_s": null, "dialled_total": 0,
            "failed_total": {}, "draining": false,
        }))
        .unwrap();
        member.add(&history);
        assert_eq!(member.outcomes.minute.map(|minute| minute.opened), Some(180));
        (member.group, member.route) = (None, "web".to_owned());
        member.add(&history);
        assert_eq!(member.outcomes.minute, None, "the route's own target of that name is another one");
    }
}
