//! What was: series of the process, of routes and of their parts.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use proxy_api::model::{self, History, Step};
use proxy_observe::{Series, Span, Subject};
use proxy_values::spelling::nearest;

use super::api::Api;
use super::findings::subject;
use super::query::Pairs;
use super::view::secs;
use crate::admin::problem::Problem;

const SPAN: (&str, &str) = (
    "span",
    "How far back: `10m` in seconds (if not given), `6h` in steps of 10 s, or `14d` in steps of 5 min.",
);

/// A parameter, and what it is.
pub(super) const KEYS: [(&str, &str); 3] = [
    (
        "subject",
        "What it is of: `process` (if not given), `route/NAME`, `target/ROUTE/TARGET`, `target/@GROUP/MEMBER`, `listener/LABEL` or \
         `pool/NAME`.",
    ),
    SPAN,
    ("points", "So many steps at most: neighbours are taken together."),
];

/// The same of many at once.
pub(super) const KEYS_OF_ALL: [(&str, &str); 3] = [
    ("kind", "Of what: `route` (if not given), `target`, `listener` or `pool`."),
    SPAN,
    (
        "points",
        "So many steps each at most (60 if not given, and no more than that): neighbours are taken together.",
    ),
];

/// The steps of the longest span.
const MOST_POINTS: usize = 4032;

/// Of many at once each has no more steps than a small chart shows, and there are no more than on a long page: two MiB of JSON.
const MOST_POINTS_OF_ALL: usize = 60;
const MOST_OF_ALL: usize = 200;

/// `GET /v1/history`.
pub(super) async fn history(State(api): State<Arc<Api>>, mut query: Pairs) -> Result<Json<History>, Problem> {
    let text = query.take("subject").unwrap_or_else(|| "process".to_owned());
    let meant = named(&text)?;
    let span = span(&mut query)?;
    let points = points(&mut query, MOST_POINTS)?;
    query.done(&KEYS.map(|(key, _)| key))?;
    let history = api.control().observed().history();
    let known = meant.iter().find_map(|subject| Some((subject, history.series(subject, span)?)));
    match (known, meant.first()) {
        (Some((subject, series)), _) => Ok(Json(told(subject, &series, points))),
        // There is a process before there is a picture of it.
        (None, Some(Subject::Process)) => Ok(Json(told(&Subject::Process, &Series::none(span), points))),
        (None, _) => Err(unknown(&text, &history)),
    }
}

/// Nothing is known of what is named so.
fn unknown(text: &str, history: &proxy_observe::History) -> Problem {
    let known: Vec<String> = history.subjects().into_iter().map(text_of).collect();
    Problem::not_found(match nearest(text, &known) {
        Some(near) => format!("nothing is known of {text}; did you mean {near}?"),
        None => {
            format!("nothing is known of {text}: it has had no connection, or there is none of that name")
        }
    })
}

/// As a query names it.
fn text_of(of: &Subject) -> String {
    let model::Subject { kind, name, of } = subject(of);
    let parts = [Some(kind), of, Some(name)].into_iter().flatten().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("/")
}

/// `GET /v1/history/all`.
pub(super) async fn all(
    State(api): State<Arc<Api>>,
    mut query: Pairs,
) -> Result<Json<Vec<History>>, Problem> {
    let kind = query.take("kind").unwrap_or_else(|| "route".to_owned());
    if !["route", "target", "listener", "pool"].contains(&&*kind) {
        return Err(Problem::bad_request(format!(
            "`kind` is \"{kind}\", expected `route`, `target`, `listener` or `pool`"
        )));
    }
    let span = span(&mut query)?;
    let points = points(&mut query, MOST_POINTS_OF_ALL)?;
    query.done(&KEYS_OF_ALL.map(|(key, _)| key))?;
    let history = api.control().observed().history();
    let of_kind = history.liveliest().into_iter().filter(|subject| subject.kind() == kind);
    let series =
        of_kind.take(MOST_OF_ALL).filter_map(|subject| Some((subject, history.series(subject, span)?)));
    Ok(Json(series.map(|(subject, series)| told(subject, &series, points)).collect()))
}

fn span(query: &mut Pairs) -> Result<Span, Problem> {
    let Some(text) = query.take("span") else { return Ok(Span::TenMinutes) };
    Span::named(&text)
        .ok_or_else(|| Problem::bad_request(format!("`span` is \"{text}\", expected `10m`, `6h` or `14d`")))
}

fn points(query: &mut Pairs, most: usize) -> Result<usize, Problem> {
    let expected = || format!("a whole number from 1 to {most}");
    let points = query.parsed::<usize>("points", expected())?.unwrap_or(most);
    if (1..=most).contains(&points) {
        return Ok(points);
    }
    Err(Problem::bad_request(format!("`points` is {points}, expected {}", expected())))
}

/// What a query may mean: the name of a target's route may have a slash in it, too.
fn named(text: &str) -> Result<Vec<Subject>, Problem> {
    let (kind, name) = text.split_once('/').unwrap_or((text, ""));
    let meant: Vec<_> = match (kind, name) {
        ("process", "") => vec![Subject::Process],
        (_, "") => Vec::new(),
        ("route", name) => vec![Subject::Route(name.into())],
        ("listener", name) => vec![Subject::Listener(name.into())],
        ("pool", name) => vec![Subject::Pool(name.into())],
        ("target", name) => {
            let parts = name.match_indices('/').filter_map(|(at, _)| name.split_at_checked(at));
            let target = |target: &str| target.strip_prefix('/').unwrap_or(target).into();
            parts.map(|(of, rest)| Subject::Target { of: of.into(), target: target(rest) }).collect()
        }
        _ => Vec::new(),
    };
    if meant.is_empty() {
        let [(_, expected), ..] = KEYS;
        return Err(Problem::bad_request(format!("`subject` is \"{text}\". {expected}")));
    }
    Ok(meant)
}

/// A series of at most so many steps: neighbours are taken together, the latest ones whole.
fn told(of: &Subject, series: &Series, points: usize) -> History {
    let together = series.steps.len().div_ceil(points).max(1);
    let first = series.steps.len() % together;
    let (first, rest) = series.steps.split_at(first);
    let groups = std::iter::once(first).filter(|first| !first.is_empty()).chain(rest.chunks(together));
    History {
        subject: subject(of),
        until: secs(series.until),
        step_s: secs(series.step) * together as f64,
        steps: groups.map(|steps| step(steps, series.step)).collect(),
    }
}

/// Some steps as one: what is known of them.
fn step(steps: &[Option<proxy_observe::Step>], each: Duration) -> Option<Step> {
    let known = steps.iter().flatten();
    let seconds = secs(each) * known.clone().count() as f64;
    let sum = known.copied().reduce(|sum, step| sum.and(&step))?;
    let rate = |count: u64| count as f64 / seconds;
    Some(Step {
        open: sum.open as f64,
        opened_per_s: rate(sum.opened),
        ended_per_s: rate(sum.ended),
        failed_per_s: rate(sum.failed),
        refused_per_s: rate(sum.refused),
        from_client_bytes_per_s: rate(sum.from_client),
        from_backend_bytes_per_s: rate(sum.from_backend),
        first_byte_p99_s: (sum.first_byte_us > 0).then(|| secs(Duration::from_micros(sum.first_byte_us))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(opened: &[Option<u64>]) -> Series {
        let step = |opened: u64| proxy_observe::Step::default().and(&of(opened));
        let mut series = Series::default();
        (series.until, series.step) = (Duration::from_secs(1000), Duration::from_secs(10));
        series.steps = opened.iter().map(|opened| opened.map(step)).collect();
        series
    }

    fn of(opened: u64) -> proxy_observe::Step {
        let mut step = proxy_observe::Step::default();
        (step.opened, step.open, step.first_byte_us) = (opened, opened, 1000 * opened);
        step
    }

    /// Opened a second, open, and the wait for the first byte; None where nothing is known.
    type Shown = Option<(f64, f64, Option<f64>)>;

    fn shown(opened: &[Option<u64>], points: usize) -> (f64, Vec<Shown>) {
        let told = told(&Subject::Process, &series(opened), points);
        let steps = told.steps.iter();
        let steps = steps.map(|step| step.map(|step| (step.opened_per_s, step.open, step.first_byte_p99_s)));
        assert_eq!(told.until, 1000.0);
        (told.step_s, steps.collect())
    }

    #[test]
    fn neighbours_are_taken_together_and_the_latest_are_whole() {
        let all = [Some(10), Some(20), Some(40), None, Some(80)];
        let (step_s, steps) = shown(&all, 5);
        assert_eq!((step_s, steps.len(), steps[0]), (10.0, 5, Some((1.0, 10.0, Some(0.01)))));
        // The first stands alone; of the last two one is known.
        let expected =
            vec![Some((1.0, 10.0, Some(0.01))), Some((3.0, 40.0, Some(0.04))), Some((8.0, 80.0, Some(0.08)))];
        assert_eq!(shown(&all, 3), (20.0, expected));
        assert_eq!(shown(&[None, None, Some(0)], 2), (20.0, vec![None, Some((0.0, 0.0, None))]));
        assert_eq!(shown(&[], 3), (10.0, vec![]));
    }

    #[test]
    fn a_subject_is_named_as_findings_name_it() {
        for text in
            ["process", "route/api", "target/@inner/10.0.0.1:80", "target/api/unix:/run/a.sock", "pool/chain"]
        {
            assert_eq!(text_of(&named(text).unwrap()[0]), text);
        }
        // A name may have a slash in it.
        let meant = named("target/a/b/unix:/c").unwrap();
        let target = |of: &str, target: &str| Subject::Target { of: of.into(), target: target.into() };
        assert!(
            meant.contains(&target("a/b", "unix:/c")) && meant.contains(&target("a", "b/unix:/c")),
            "{meant:?}"
        );
        for text in ["", "route", "route/", "target/api", "limit/x", "process/x"] {
            assert!(named(text).is_err(), "{text}");
        }
    }
}
