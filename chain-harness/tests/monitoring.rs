//! What is shipped for Prometheus and Grafana, against what the proxy really exports. With promtool (Debian: prometheus) the
//! rules are also run over series for which they fire and do not; without it that is said, and the rest is checked.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says on stdout what it skips; indexing JSON does neither"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use chain_harness::{Backend, Root, Smartproxy, Wire};
use serde_json::Value;

/// What Prometheus itself adds to a scraped series, and what a histogram's buckets have.
const GIVEN: [&str; 3] = ["job", "instance", "le"];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn text_of(file: &str) -> String {
    std::fs::read_to_string(docs().join(file)).unwrap_or_else(|error| panic!("docs/{file}: {error}"))
}

/// Every expression of the Grafana dashboard, with the title of its panel.
fn grafana() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&text_of("monitoring/grafana.json")).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels").iter();
    let of_panel = |panel: &Value| {
        let title = panel["title"].as_str().unwrap_or_default().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default().into_iter();
        targets
            .map(move |target| (title.clone(), target["expr"].as_str().unwrap_or_default().to_owned()))
            .collect::<Vec<_>>()
    };
    panels.flat_map(of_panel).collect()
}

/// The rules, one text each, from `- alert:` on.
fn alerts() -> Vec<String> {
    let rules = text_of("monitoring/alerts.yml");
    rules.split("- alert: ").skip(1).map(str::to_owned).collect()
}

fn name_of(alert: &str) -> &str {
    alert.lines().next().unwrap_or_default().trim()
}

/// The expression of a rule: from `expr:` to the next key.
fn expression_of(alert: &str) -> &str {
    let expression = alert.split_once("expr:").expect("it has an expression").1;
    let end = ["\n        for:", "\n        labels:"].iter().filter_map(|key| expression.find(key)).min();
    &expression[..end.expect("it has labels")]
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The metrics that an expression is about.
fn metrics_in(expression: &str) -> impl Iterator<Item = &str> {
    words(expression).filter(|word| word.starts_with("smartproxy_") || word.starts_with("process_"))
}

/// The labels that it selects by, groups by, matches on.
fn labels_in(expression: &str) -> BTreeSet<&str> {
    let lists = |mark| expression.split(mark).skip(1).filter_map(|rest: &str| rest.split(')').next());
    let grouped = lists("by (").chain(lists("on (")).flat_map(words);
    let selectors = expression.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let selected = selectors.flat_map(|all| all.split(',')).filter_map(|one| words(one).next());
    grouped.chain(selected).collect()
}

/// What a proxy exports: names, and labels.
struct Exported {
    text: String,
    names: BTreeSet<String>,
    labels: BTreeSet<String>,
}

impl Exported {
    async fn by_a_proxy() -> Self {
        let backend = Backend::echo();
        let dir = tempfile::tempdir().expect("there is room for a folder");
        let certificate = dir.path().join("some.pem");
        std::fs::write(&certificate, Root::new().certificate(&["some.test"]))
            .expect("there is room for a file");
        let config = format!(
            r#"
            admin.listen = "127.0.0.1:PORT_B"
            [[listeners]]
            ports = [PORT_A]
            bind = ["127.0.0.1"]
            [[routes]]
            name = "only"
            match = {{ ports = [PORT_A] }}
            action = {{ forward = ["{0}"] }}
            [groups.some]
            members = ["{0}"]
            [[routes]]
            name = "to-a-group"
            enabled = false
            match = {{ ports = [PORT_A], domains = ["some.test"] }}
            action = {{ forward = "@some" }}
            tls.terminate.certificates = [{{ certificate = "{1}" }}]
            "#,
            backend.addr(),
            certificate.display()
        );
        let proxy = Smartproxy::run(&config).await;
        let mut client = Wire::connect(proxy.addr()).await;
        client.send("hello").await;
        client.expect("hello").await;
        let mut scrape = Wire::connect(proxy.at(1)).await;
        scrape.send("GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
        let answer = scrape.read_to_end().await.text();
        let (head, text) = answer.split_once("\r\n\r\n").expect("it answers in HTTP");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        Self::new(text.to_owned())
    }

    fn new(text: String) -> Self {
        let series = || text.lines().filter(|line| !line.starts_with('#'));
        let names = series().filter_map(|line| words(line).next()).map(str::to_owned).collect();
        let labels = series().flat_map(labels_in).map(str::to_owned).collect();
        Self { names, labels, text }
    }

    /// What `expression` says that is not exported.
    fn lacks<'a>(&self, expression: &'a str) -> Vec<&'a str> {
        let metrics = metrics_in(expression).filter(|name| !self.names.contains(*name));
        let labels = labels_in(expression).into_iter();
        metrics
            .chain(labels.filter(|label| !GIVEN.contains(label) && !self.labels.contains(*label)))
            .collect()
    }
}

#[test]
fn every_metric_and_label_that_is_named_is_exported() {
    Smartproxy::scenario(async {
        let exported = Exported::by_a_proxy().await;
        let nothing: Vec<&str> = Vec::new();
        for alert in alerts() {
            assert!(metrics_in(expression_of(&alert)).next().is_some(), "{}", name_of(&alert));
            assert_eq!(exported.lacks(expression_of(&alert)), nothing, "{}", name_of(&alert));
        }
        for (title, expression) in grafana() {
            assert_eq!(exported.lacks(&expression), nothing, "{title}: {expression}");
        }
        assert_eq!(
            exported.lacks("sum by (nobody) (smartproxy_nothing{no=\"1\"})"),
            ["smartproxy_nothing", "no", "nobody"]
        );
        promtool_reads(&exported.text);
    });
}

#[test]
fn every_alert_says_what_it_is_and_where_to_look() {
    let (operations, monitoring) = (text_of("operations.md"), text_of("monitoring.md"));
    let tests = text_of("monitoring/alerts_test.yml");
    let places: BTreeSet<_> = operations.lines().filter(|line| line.starts_with('#')).map(anchor).collect();
    for alert in alerts() {
        let name = name_of(&alert);
        for key in ["severity: ", "summary: ", "description: "] {
            assert!(alert.contains(key), "{name} has no {key}");
        }
        let place = alert.split("runbook_url: docs/operations.md#").nth(1).expect(name);
        let place = place.split_whitespace().next().unwrap_or_default();
        assert!(places.contains(place), "{name} leads to #{place}, which is not there");
        assert!(monitoring.contains(&format!("`{name}`")), "{name} is not in docs/monitoring.md");
        assert!(
            tests.contains(&format!("alertname: {name}\n        exp_alerts:")),
            "nothing shows that {name} fires"
        );
    }
}

/// The anchor of a heading, as renderers make it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-');
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_panel_says_what_it_shows_and_lies_on_no_other() {
    let dashboard: Value = serde_json::from_str(&text_of("monitoring/grafana.json")).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels");
    let mut taken = BTreeSet::new();
    for panel in panels {
        let (title, place) = (&panel["title"], &panel["gridPos"]);
        let number = |key: &str| place[key].as_u64().unwrap_or_else(|| panic!("{title}: {place}"));
        for (x, y) in (0..number("w")).flat_map(|x| (0..number("h")).map(move |y| (x, y))) {
            assert!(taken.insert((number("x") + x, number("y") + y)), "{title} lies on another panel");
            assert!(number("x") + x < 24, "{title} is beyond the right edge");
        }
        if panel["type"] != "row" {
            assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{title}");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        }
    }
}

/// Alone in this process: what promtool is read through are descriptors too, and scenarios count them.
#[test]
fn promtool_agrees() {
    chain_harness::scenario(async { promtool_reads_what_is_shipped() });
}

fn promtool_reads_what_is_shipped() {
    let Some(mut promtool) = promtool() else { return };
    let rules = docs().join("monitoring");
    run(promtool.args(["test", "rules", "alerts_test.yml"]).current_dir(&rules));
    let Some(mut promtool) = self::promtool() else { return };
    run(promtool.args(["check", "rules", "alerts.yml"]).current_dir(&rules));
    // The dashboard's expressions, as rules.
    let mut file = "groups:\n- name: grafana\n  rules:\n".to_owned();
    for (n, (_, expression)) in grafana().iter().enumerate() {
        let expression = Value::from(expression.replace("$__rate_interval", "1m"));
        file.push_str(&format!("  - record: panel:{n}\n    expr: {expression}\n"));
    }
    let dir = tempfile::tempdir().expect("there is room for a file");
    std::fs::write(dir.path().join("grafana.yml"), file).expect("there is room for a file");
    let Some(mut promtool) = self::promtool() else { return };
    run(promtool.args(["check", "rules", "grafana.yml"]).current_dir(dir.path()));
}

/// Has promtool look at what is exported: names, units, help texts.
fn promtool_reads(metrics: &str) {
    let Some(mut promtool) = promtool() else { return };
    let dir = tempfile::tempdir().expect("there is room for a file");
    let file = dir.path().join("metrics");
    std::fs::write(&file, metrics).expect("there is room for a file");
    run(promtool.args(["check", "metrics"]).stdin(std::fs::File::open(file).expect("it is there")));
}

/// None, and a word to whoever runs the test, where it is not installed.
fn promtool() -> Option<Command> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|dir| dir.join("promtool")).find(|file| file.is_file());
    if found.is_none() {
        println!("skipped: promtool is not installed (Debian: apt-get install prometheus)");
    }
    found.map(Command::new)
}

fn run(command: &mut Command) {
    let output = command.output().expect("promtool runs");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}
