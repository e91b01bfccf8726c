//! What the page says, checked where it is said: its own functions, in the browser.

use chain_harness::{Backend, Smartproxy};
use serde_json::json;

use crate::browser::Browser;
use crate::chain;

/// Between thousands: thin, and no line breaks there.
const THIN: &str = "\u{202f}";

#[test]
fn it_says_what_it_should() {
    Smartproxy::scenario(async {
        let Some(mut browser) = Browser::start().await else { return };
        let backend = Backend::silent();
        let (_chain, url) = chain(&backend).await;
        browser.open(&url).await;
        browser.until("globalThis.dashboard?.history.last").await;
        figures_are_short_and_of_one_form(&mut browser).await;
        what_is_wrong_is_said_as_the_proxy_says_it_and_narrows_what_is_below(&mut browser).await;
        history_is_bounded_and_belongs_to_one_process(&mut browser).await;
        what_the_proxy_remembers_comes_before_what_the_page_saw(&mut browser).await;
        growth_is_seen_on_top_of_what_is_always_there(&mut browser).await;
        a_minutes_growth_is_known_of_each_route(&mut browser).await;
    });
}

async fn figures_are_short_and_of_one_form(browser: &mut Browser) {
    let expected = [
        ("whole(0)", "0"),
        ("whole(999)", "999"),
        ("whole(1234567)", "1 234 567"),
        ("whole(null)", "–"),
        ("rate(0)", "0"),
        ("rate(0.04)", "0"),
        ("rate(12.34)", "12.3"),
        ("rate(99.96)", "100"),
        ("rate(1234.5)", "1 235"),
        ("bytes(0)", "0 B"),
        ("bytes(1023)", "1023 B"),
        ("bytes(1024)", "1.0 KiB"),
        ("bytes(1024 ** 2 - 1)", "1.0 MiB"),
        ("bytes(5.5 * 1024 ** 3)", "5.5 GiB"),
        ("bytes(2 ** 60)", "1024 PiB"),
        ("seconds(0)", "0ms"),
        ("seconds(0.34)", "340ms"),
        ("seconds(0.9996)", "1.0s"),
        ("seconds(59.94)", "59.9s"),
        ("seconds(59.96)", "1m 00s"),
        ("seconds(3599.6)", "1h 00m"),
        ("seconds(90061)", "25h 01m"),
        ("seconds(200000)", "2d 7h"),
        ("seconds(-5)", "−5.0s"),
        ("change(12)", "+12"),
        ("change(-1234)", "−1 234"),
        ("change(0)", "±0"),
        ("change(null)", "–"),
        ("percent(0)", "0 %"),
        ("percent(0.004)", "< 1 %"),
        ("percent(0.105)", "11 %"),
        ("percent(null)", "–"),
    ];
    for (call, text) in expected {
        let shown = browser.eval(&format!("dashboard.{call}")).await;
        assert_eq!(shown.as_str().unwrap_or_default().replace(THIN, " "), text, "{call}");
    }
}

/// What the page says of findings and drains (JSON): how grave each is, in which words, and what is looked at by it.
async fn found(
    browser: &mut Browser,
    findings: &serde_json::Value,
    drains: &serde_json::Value,
) -> serde_json::Value {
    let script = format!(
        "(() => {{ const sample = {{ findings: {findings}, status: {{ drains: {drains} }} }}; \
         return dashboard.findings(sample).map(({{ level, text, subject }}) => [level, text, dashboard.lookedAtBy(subject)]); }})()"
    );
    browser.eval(&script).await
}

/// A finding of a rule, and of what.
fn finding(rule: &str, severity: &str, (kind, name, of): (&str, &str, Option<&str>)) -> serde_json::Value {
    let subject = json!({ "kind": kind, "name": name, "of": of });
    json!({
        "id": rule, "rule": rule, "severity": severity, "subject": subject, "since": 1e9, "since_s": 1, "figures": {},
        "sentence": "it is so", "shows": "smartproxy findings", "mends": "",
    })
}

async fn what_is_wrong_is_said_as_the_proxy_says_it_and_narrows_what_is_below(browser: &mut Browser) {
    let none = json!([]);
    for (severity, subject, (level, text, looked_at)) in [
        ("critical", ("process", "", None), ("bad", "it is so", json!(null))),
        ("warning", ("route", "api", None), ("warn", "route api: it is so", json!({ "route": "api" }))),
        (
            "critical",
            ("target", "10.0.0.1:80", Some("api")),
            (
                "bad",
                "target 10.0.0.1:80 of api: it is so",
                json!({ "target": "10.0.0.1:80", "route": "api" }),
            ),
        ),
        (
            "info",
            ("target", "10.0.0.1:80", Some("@pair")),
            ("info", "target 10.0.0.1:80 of @pair: it is so", json!({ "target": "10.0.0.1:80" })),
        ),
        (
            "critical",
            ("limit", "pool chain", None),
            ("bad", "limit pool chain: it is so", json!({ "pool": "chain" })),
        ),
        (
            "critical",
            ("limit", "target 10.0.0.1:80 of api", None),
            ("bad", "limit target 10.0.0.1:80 of api: it is so", json!({ "target": "10.0.0.1:80" })),
        ),
        (
            "critical",
            ("limit", "all connections", None),
            ("bad", "limit all connections: it is so", json!(null)),
        ),
        ("critical", ("hop", "inner", None), ("bad", "hop inner: it is so", json!(null))),
    ] {
        let said = found(browser, &json!([finding("rule", severity, subject)]), &none).await;
        assert_eq!(said, json!([[level, text, looked_at]]));
    }
    let drains = json!([{ "kind": "route", "name": "api", "left": 3, "began_with": 10, "ends_in_s": 9.5 }]);
    let both = json!([
        finding("drained", "info", ("route", "api", None)),
        finding("failing", "info", ("route", "api", None))
    ]);
    let said = found(browser, &both, &drains).await;
    assert_eq!(said[0][1], "route api: it is so; 3 of 10 left, the rest is ended in 9s");
    assert_eq!(said[1][1], "route api: it is so");
    let shown = browser.eval(
        "(() => { const one = { level: 'bad', text: 'target 10.0.0.1:80 is left alone' }; \
        dashboard.strip.show([one, { ...one, text: 'target 10.0.0.2:80 is left alone' }]); \
        return [...document.querySelectorAll('#findings .what')].map((line) => line.textContent); })()",
    );
    let two = ["target 10.0.0.1:80 is left alone", "target 10.0.0.2:80 is left alone"];
    assert_eq!(shown.await, json!(two), "two that differ only in figures");
}

async fn history_is_bounded_and_belongs_to_one_process(browser: &mut Browser) {
    let script = r#"(() => {
        const history = new dashboard.History(), sample = structuredClone(dashboard.history.last);
        const add = (at, opened, finished, pid = 1) => {
            Object.assign(sample, { at });
            Object.assign(sample.status, { pid, opened_total: opened, ended_total: { finished } });
            history.add(structuredClone(sample));
        };
        const last = (name) => history.columns[name].at(-1);
        add(0, 100, 50);
        const first = [last("opens"), last("ends")];
        add(2, 110, 54);
        const second = [last("opens"), last("ends"), history.endedLately("finished")];
        for (let at = 3; at < 2000; at += 1) add(at, 110 + at, 54 + at);
        const later = [history.columns.at.length, history.minute.length, history.endedLately("finished")];
        history.gap();
        const gap = [last("relay"), history.columns.at.length];
        add(2001, 5, 5, 2);
        return { first, second, later, gap, another: [history.columns.at.length, last("opens"), history.endedLately("finished")] };
    })()"#;
    let expected = json!({
        "first": [null, null],
        "second": [5, 2, 4],
        "later": [600, 61, 60],
        "gap": [null, 600],
        "another": [1, null, 0],
    });
    let found = browser.eval(script).await;
    assert_eq!(found, expected);
}

async fn what_the_proxy_remembers_comes_before_what_the_page_saw(browser: &mut Browser) {
    let script = r#"(() => {
        const history = new dashboard.History(), sample = structuredClone(dashboard.history.last);
        const open = (relay) => Object.fromEntries(Object.keys(sample.status.phases).map((phase) => [phase, phase === "relay" ? relay : 0]));
        history.add(Object.assign(sample, { at: 1000, status: { ...sample.status, phases: open(7) } }));
        const step = (open) => ({ open, opened_per_s: 2, ended_per_s: 1 });
        history.seed({ until: 1000.2, step_s: 1, steps: [...Array(900).fill(step(4)), null, step(5), step(6)] });
        const { at, before, relay, opens } = history.columns, last = at.length - 1;
        return [at.length, at[last], at[last - 1], before.slice(-4), relay.slice(-2), opens[0], history.netUntil(last)];
    })()"#;
    let expected = json!([600, 1000, 999.2, [4, null, 5, 7], [null, 7], 2, 2]);
    assert_eq!(browser.eval(script).await, expected);
}

/// The scale of a chart with as much relay as `relay` says at each of 60 seconds, and 3 in dial.
async fn scale(browser: &mut Browser, relay: &str) -> serde_json::Value {
    let script = format!(
        "(() => {{ const seconds = [...Array(60).keys()], relay = seconds.map((s) => {relay}); \
         return dashboard.scale([seconds, relay.map((n) => n + 3), relay, []], 10); }})()"
    );
    browser.eval(&script).await
}

async fn growth_is_seen_on_top_of_what_is_always_there(browser: &mut Browser) {
    // 24 a minute more on 8 000 are 0.3 % of a chart from 0, and more than ten times that here; relay itself is not cut off.
    let ends = scale(browser, "8000 + s * 24 / 60").await;
    let (bottom, top) = (ends[0].as_f64().unwrap_or_default(), ends[1].as_f64().unwrap_or_default());
    assert!(bottom > 7000.0 && bottom < 8000.0 && top > 8027.0, "{ends}");
    assert!(24.0 / (top - bottom) > 0.03, "{ends}");
    assert_eq!(scale(browser, "s * 100").await[0], 0, "what grows from nothing is drawn from there");
    assert_eq!(scale(browser, "20").await[0], 0, "few are drawn whole");
}

async fn a_minutes_growth_is_known_of_each_route(browser: &mut Browser) {
    let script = "(() => { const tracks = new dashboard.Tracks(); \
        for (let s = 0; s <= 900; s += 1) tracks.add(s, new Map([['api', 100 + s], ['web', 7]])); \
        tracks.add(910, new Map([['api', 1010]])); \
        return [tracks.track('api').length, tracks.grown('api', 1010), tracks.track('web').length, tracks.grown('new', 1)]; })()";
    assert_eq!(browser.eval(script).await, json!([60, 60, 0, null]));
}
