//! How members of a group are checked and when outcomes take one out: what is written becomes of it, and what is wrong with it.

use std::sync::Arc;

use proxy_bin::config::Ink;
use proxy_core::Bound;
use proxy_upstream::health::{CheckHeader, CheckKind, CheckOptions, HttpCheck, OutlierOptions};
use proxy_upstream::{HealthOptions, Leaving, Percent};
use proxy_values::Whole;

use crate::{good, refusal};

/// A file with this in `[groups.inner]`, and routes that are taken there and send these headers.
fn file(text: &str, sends: &[&str]) -> String {
    let route = |(nth, sends): (usize, &&str)| {
        format!(
            "[[routes]]\nname = \"web{nth}\"\nmatch = {{ ports = [808{nth}] }}\n\
             action = {{ forward = \"@inner\" }}\nsend_proxy = \"{sends}\"\n"
        )
    };
    let members = if text.contains("members") { "" } else { "members = [\"10.0.0.1:1\", \"10.0.0.2:1\"]\n" };
    format!("[groups.inner]\n{members}{text}\n{}", sends.iter().enumerate().map(route).collect::<String>())
}

fn health(text: &str, sends: &[&str]) -> HealthOptions {
    good(&file(text, sends)).settings.groups.first().unwrap().options.health.clone()
}

fn check(text: &str) -> Arc<CheckOptions> {
    health(&format!("check = {text}"), &["off"]).check.unwrap()
}

#[test]
fn every_kind_by_itself_and_in_a_table() {
    let kinds = [
        ("connect", CheckKind::Connect),
        ("redis", CheckKind::Redis),
        ("postgres", CheckKind::Postgres),
        ("mariadb", CheckKind::Mariadb("smartproxy_check".into())),
        ("smtp", CheckKind::Smtp),
        ("ssh", CheckKind::Ssh),
        ("tls", CheckKind::Tls(None)),
        ("http", CheckKind::Http(HttpCheck::default())),
        ("smartproxy", CheckKind::Smartproxy(None)),
    ];
    for (word, kind) in kinds {
        let expected = CheckOptions::default().kind(kind);
        assert_eq!(*check(&format!("\"{word}\"")), expected);
        assert_eq!(*check(&format!("{{ kind = \"{word}\" }}")), expected);
    }
    let text = check("{ send = \"stats\\n\", expect = \"END\" }");
    assert_eq!(text.kind, CheckKind::Text { send: "stats\n".into(), expect: "END".into() });
    let named = check("{ kind = \"smartproxy\", server_name = \"db.test\" }");
    assert_eq!(named.kind, CheckKind::Smartproxy(Some("db.test".into())));
}

#[test]
fn every_key_of_a_check() {
    let text = r#"{ kind = "http", path = "/up", host = "a.test", status = "200", port = 81, interval = "4s", jitter = 0,
        timeout = "3s", fast_interval = "2s", rise = 1, fall = 9, send_proxy = "v1" }"#;
    let http = HttpCheck::default().path("/up".into()).host("a.test".into()).status("200".parse().unwrap());
    let expected = CheckOptions::default()
        .kind(CheckKind::Http(http))
        .port(Some(Whole::nearest(81)))
        .interval(Some(Bound::secs(4)))
        .jitter(proxy_conn::Jitter::default())
        .timeout(Some(Bound::secs(3)))
        .fast_interval(Some(Bound::secs(2)))
        .rise(Whole::nearest(1))
        .fall(Whole::nearest(9))
        .header(CheckHeader::V1);
    assert_eq!(*check(&text.replace('\n', " ")), expected);
}

#[test]
fn a_check_sends_the_header_that_the_routes_send() {
    let header =
        |check: &str, sends: &[&str]| health(&format!("check = {check}"), sends).check.unwrap().header;
    assert_eq!(header("\"redis\"", &["v2", "v2"]), CheckHeader::V2);
    assert_eq!(header("\"redis\"", &["v1"]), CheckHeader::V1);
    assert_eq!(header("\"redis\"", &["off"]), CheckHeader::None);
    assert_eq!(header("{ kind = \"redis\", send_proxy = \"off\" }", &["v2", "v1"]), CheckHeader::None);
    assert_eq!(header("\"smartproxy\"", &["v2"]), CheckHeader::None, "it is one itself");
    assert_eq!(header("\"connect\"", &["v2", "off"]), CheckHeader::None, "it ends before one could be sent");
}

#[test]
fn what_follows_and_outliers() {
    let text = "check = \"redis\"\non_down = \"drain\"\noutliers = { consecutive = 3, share = 20, window = 50, \
        first_byte_due = \"10s\", ejection = \"5s\", longest_ejection = \"1m\", max_ejected = 30 }";
    let outliers = OutlierOptions::default()
        .consecutive(Whole::nearest(3))
        .share(Percent::nearest(20))
        .window(Whole::nearest(50))
        .first_byte_due(Some(Bound::secs(10)))
        .ejection(Bound::secs(5))
        .longest_ejection(Bound::secs(60))
        .max_ejected(Percent::nearest(30));
    let found = health(text, &["off"]);
    assert_eq!((found.on_down, found.outliers), (Leaving::Drain, Some(outliers)));
    assert_eq!(health("outliers = {}", &["off"]).outliers, Some(OutlierOptions::default()));
    let long = good(&format!("graceful_shutdown_timeout = \"7m\"\n{}", file("check = \"redis\"", &["off"])));
    assert_eq!(long.settings.groups[0].options.health.drain_for, Bound::secs(420));
}

#[test]
fn what_is_wrong_with_a_check_is_told_where_it_is_written() {
    let wrong = [
        ("check = \"rediss\"", "redis"),
        ("check = { kind = \"rediss\" }", "redis"),
        ("check = { knd = \"redis\" }", "knd"),
        ("check = 3", "a check such as"),
        ("check = {}", "it is not said what the check is"),
        ("check = { send = \"x\" }", "it is not said what the check is"),
        ("check = { expect = \"\" }", "an empty text is in every answer"),
        ("check = { kind = \"redis\", expect = \"x\" }", "`expect` is nothing for a check \"redis\""),
        ("check = { kind = \"redis\", user = \"x\" }", "`user` is nothing for a check \"redis\""),
        (
            "check = { kind = \"connect\", send_proxy = \"v2\" }",
            "`send_proxy` is nothing for a check \"connect\"",
        ),
        (
            "check = { kind = \"smartproxy\", send_proxy = \"v2\" }",
            "what such a check sends is a PROXY header itself",
        ),
        ("check = { expect = \"x\", path = \"/\" }", "`path` is nothing for a check with `expect`"),
        ("check = { kind = \"http\", path = \"up\" }", "`path` has to be a path"),
        ("check = { kind = \"http\", path = \"/a b\" }", "`path` has to be a path"),
        ("check = { kind = \"http\", host = \"a\\r\\nx\" }", "`host` has to be a name"),
        ("check = { kind = \"http\", status = \"20\" }", "is no HTTP status"),
        (
            "check = { kind = \"tls\", server_name = \"10.0.0.1\" }",
            "`server_name` has to be the name of a host",
        ),
        ("check = { kind = \"mariadb\", user = \"\" }", "`user` has to be the name of a user"),
        (
            "check = { kind = \"redis\", interval = \"1s\", fast_interval = \"2s\" }",
            "`fast_interval` (2s) is longer",
        ),
        ("check = { kind = \"redis\", rise = 0 }", "rise"),
        (
            "check = \"redis\"\nmembers = [\"10.0.0.1:1\", \"10.0.0.2:preserve\"]",
            "it is not said which port is checked",
        ),
        ("outliers = { ejection = \"10m\" }", "`ejection` (10m) is longer than `longest_ejection` (5m)"),
        ("outliers = { window = 9 }", "window"),
        ("on_down = \"stop\"", "stop"),
    ];
    for (text, told) in wrong {
        let refusal = refusal(&file(text, &["off"]));
        assert!(refusal.contains(told), "{text}:\n{refusal}");
        assert!(refusal.contains("-->"), "it points nowhere: {refusal}");
    }
    let mixed = refusal(&file("check = \"redis\"", &["v1", "v2"]));
    assert!(mixed.contains("which PROXY header goes before the check"), "{mixed}");
}

#[test]
fn what_has_no_effect_is_told() {
    let warnings = |text: &str| good(&file(text, &["off"])).warnings.render(Ink::Plain);
    assert!(warnings("on_down = \"kill\"").contains("`on_down` needs a `check`"));
    let one = "members = [\"10.0.0.1:1\"]\noutliers = {}";
    assert!(warnings(one).contains("a single member is never taken out"));
    assert_eq!(warnings("check = \"redis\"\non_down = \"kill\"\noutliers = {}"), "");
}
