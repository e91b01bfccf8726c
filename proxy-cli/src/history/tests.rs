use super::*;
use proxy_api::model::Subject;

fn subject(kind: &str, name: &str, of: Option<&str>) -> Subject {
    Subject { kind: kind.to_owned(), name: name.to_owned(), of: of.map(str::to_owned) }
}

/// A route whose backend begins to fail, after a pause in which the proxy did not run.
fn failing() -> History {
    let step = |nth: u32| {
        let failed = if nth > 100 { 3.0 } else { 0.0 };
        let opened = f64::from(4 + nth % 3);
        Step {
            open: f64::from(20 + nth),
            opened_per_s: opened,
            ended_per_s: opened - 1.0,
            failed_per_s: failed,
            from_client_bytes_per_s: 1000.0 * opened,
            from_backend_bytes_per_s: 30_000.0 * opened,
            first_byte_p99_s: (nth <= 100).then_some(0.004),
            ..Step::default()
        }
    };
    let steps = (0..140).map(|nth| (!(30..50).contains(&nth)).then(|| step(nth))).collect();
    History { subject: subject("route", "api", None), until: 1_700_000_000.0, step_s: 5.0, steps }
}

#[test]
fn a_route_in_trouble_is_seen_in_80_columns() {
    let text = drawn(&failing(), "10m");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.lines().count() <= 23, "it fits on a small screen");
    insta::assert_snapshot!(text);
}

#[test]
fn a_young_proxy_says_so() {
    let history = History { steps: vec![], ..failing() };
    assert_eq!(drawn(&history, "14d"), "route api: nothing is known yet over 14d; try --span 10m\n");
    let short = History { steps: failing().steps.split_off(137), ..failing() };
    assert!(drawn(&short, "10m").lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn whoever_it_is_of_is_named() {
    let of = |subject| titled(&History { subject, ..failing() });
    assert_eq!(of(subject("process", "", None)), "the proxy");
    assert_eq!(of(subject("target", "10.0.0.1:80", Some("@inner"))), "target 10.0.0.1:80 of @inner");
}
