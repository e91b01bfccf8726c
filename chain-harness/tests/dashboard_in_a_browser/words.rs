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
        what_stands_out_is_said_and_nothing_else(&mut browser).await;
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

/// What stands out `after` (JavaScript) has been done to a minute of quiet samples of a proxy on which all is well:
/// `then` is the first, `now` the last.
async fn found(browser: &mut Browser, after: &str) -> Vec<(String, String)> {
    let script = format!(
        r#"(() => {{
            const now = structuredClone(dashboard.history.last), then = structuredClone(now);
            then.at = now.at - 60;
            const all = (sample, phases) => {{
                Object.assign(sample.status.phases, phases);
                sample.status.connections = Object.values(sample.status.phases).reduce((a, b) => a + b, 0);
            }};
            {after};
            const history = new dashboard.History();
            history.add(then);
            history.add(now);
            return dashboard.findings(now, history).map(({{ level, text }}) => [level, text]);
        }})()"#
    );
    let found: Vec<(String, String)> =
        serde_json::from_value(browser.eval(&script).await).expect("pairs of words");
    found.into_iter().map(|(level, text)| (level, text.replace(THIN, " "))).collect()
}

/// What is done to a quiet proxy, how grave that is, and in what words it is said.
const CASES: &[(&str, (&str, &str))] = &[
    (
        "all(then, { relay: 100 }); all(now, { relay: 100, dial: 40 }); now.routes[0].phases.dial = 40",
        ("warn", "40 of 140 connections in dial, 40 of route outer: backends accept slowly or not at all"),
    ),
    (
        "all(then, { relay: 100 }); all(now, { relay: 100, dial: 140 }); now.routes[0].phases.dial = 140",
        ("bad", "140 of 240 connections in dial, 140 of route outer: backends accept slowly or not at all"),
    ),
    (
        "all(then, { relay: 1000 }); all(now, { relay: 1500 })",
        ("warn", "500 connections more than 1m 00s ago: more open than end"),
    ),
    (
        "Object.assign(now.routes[0].targets[0], { breaker: 'open', failures_in_a_row: 5, retry_in_s: 9.5, target: 'db:1' })",
        ("bad", "target db:1 of route outer is left alone after 5 failed dials: tried again in 9s"),
    ),
    ("now.status.pools[0].level = 'shed'", ("bad", "pool direct sheds: new connections are refused")),
    (
        "Object.assign(now.status.pools[0], { level: 'tight', signal: 'growth' })",
        ("warn", "pool direct is tight: deadlines are shortened, idle connections ended (growth)"),
    ),
    ("now.status.descriptors = { used: 800, most: 1000 }", ("warn", "descriptors: 800 of 1 000")),
    ("now.routes[0].connections = { used: 50, most: 50 }", ("bad", "route outer: 50 of 50")),
    (
        "Object.assign(now.status.audit, { clean: false }).gauges.zombies = 2",
        ("bad", "the audit finds zombies: 2. A fault of the proxy: please report it with its log"),
    ),
    ("now.status.audit.gauges.stuck = 1", ("warn", "1 connection is stuck: the backend never answered")),
    (
        "now.status.config.last_reload = { taken: false, error: '\\nerror: unknown key\\n --> line 3' }",
        ("bad", "the last reload was refused, generation 1 goes on: error: unknown key"),
    ),
    (
        "Object.assign(now.routes[0].targets[0], { breaker: 'half_open', failures_in_a_row: 1, retry_in_s: 0, target: 'db:1' })",
        ("bad", "target db:1 of route outer is left alone after 1 failed dial: it is being tried"),
    ),
    (
        "now.status.last_upgrade = { taken: false, error: 'it said no' }",
        ("bad", "the last upgrade failed, this process goes on: it said no"),
    ),
    ("now.status.log.lost_total = 3", ("warn", "3 log lines lost: whoever reads the log is too slow")),
    (
        "now.status.drains = [{ kind: 'route', name: 'api', left: 3, began_with: 10, ends_in_s: null }]",
        ("info", "draining route api: 3 of 10 left"),
    ),
];

async fn what_stands_out_is_said_and_nothing_else(browser: &mut Browser) {
    let quiet = "all(then, { relay: 1000 }); all(now, { relay: 1200, dial: 9, drain: 12 })";
    assert_eq!(found(browser, quiet).await, []);
    for &(after, (level, text)) in CASES {
        assert_eq!(found(browser, after).await, [(level.to_owned(), text.to_owned())], "{after}");
    }
    let shown = browser.eval(
        "(() => { const one = { level: 'bad', text: 'target 10.0.0.1:80 is left alone' }; \
        dashboard.strip.show([one, { ...one, text: 'target 10.0.0.2:80 is left alone' }]); \
        return [...document.querySelectorAll('#findings .what')].map((line) => line.textContent); })()",
    );
    let two = ["target 10.0.0.1:80 is left alone", "target 10.0.0.2:80 is left alone"];
    assert_eq!(shown.await, json!(two), "two that differ only in figures");
    let both = "now.status.log.lost_total = 3; now.status.pools[0].level = 'shed'";
    let levels: Vec<_> = found(browser, both).await.into_iter().map(|(level, _)| level).collect();
    assert_eq!(levels, ["bad", "warn"], "the worst comes first");
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
