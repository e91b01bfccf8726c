//! Any damage to a valid file either leaves a valid file or gives errors that point into it. Nothing panics.

use proptest::prelude::*;
use proxy_bin::config::{Config, Ink};

const FILE: &str = include_str!("every_key.toml");

/// What a slip of the hand or of a template puts into a file.
fn scrap() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,4}",
        "[\\[\\]{}=\",.# \\n\\r\\t]{1,3}",
        "[0-9]{1,25}",
        Just("[[routes]]\n".to_owned()),
        Just("\n[limits]\n".to_owned()),
        Just("[[listeners]]\n".to_owned()),
        Just("\n[pools.x]\n".to_owned()),
        Just("true".to_owned()),
        Just("1979-05-27".to_owned()),
        Just("\"x\"".to_owned()),
        Just("{}".to_owned()),
        Just("[]".to_owned()),
        Just("\u{feff}".to_owned()),
        Just("ü".to_owned()),
    ]
}

/// One piece of the text cut out and another put in, on boundaries of characters.
fn damage(text: &str, at: usize, length: usize, scrap: &str) -> String {
    let start = text.floor_char_boundary(at % (text.len() + 1));
    let end = text.ceil_char_boundary((start + length).min(text.len()));
    format!("{}{scrap}{}", &text[..start], &text[end..])
}

fn either_parses_or_points_into_itself(text: &str) {
    let Err(errors) = Config::parse(text, "proxy.toml") else { return };
    let findings = errors.findings();
    assert!(!findings.is_empty() && findings.len() <= 51);
    for finding in findings.iter() {
        assert!(!finding.title.is_empty());
        assert!(text.get(finding.span.clone()).is_some(), "{:?} is in the file", finding.span);
        assert!(finding.beside.iter().all(|(span, _)| text.get(span.clone()).is_some()));
        assert!(!finding.title.contains("$__"), "the inside of toml is not shown: {}", finding.title);
    }
    assert!(!errors.render(Ink::Plain).is_empty());
}

#[test]
fn lists_in_lists_without_end_do_not_exhaust_the_stack() {
    for depth in [10, 100, 100_000] {
        either_parses_or_points_into_itself(&format!("workers = {}", "[".repeat(depth)));
        either_parses_or_points_into_itself(&format!("workers = {}{}", "[".repeat(depth), "]".repeat(depth)));
        either_parses_or_points_into_itself(&format!("{}workers = 1", "a.".repeat(depth)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn of_a_few_places(damages in prop::collection::vec((any::<usize>(), 0..20_usize, scrap()), 1..5)) {
        let text = damages.iter().fold(FILE.to_owned(), |text, (at, length, scrap)| damage(&text, *at, *length, scrap));
        either_parses_or_points_into_itself(&text);
    }

    #[test]
    fn of_values(which in prop::collection::vec(any::<prop::sample::Index>(), 1..8), value in scrap()) {
        let mut lines: Vec<String> = FILE.lines().map(str::to_owned).collect();
        for index in which {
            let line = index.get_mut(&mut lines);
            if let Some((key, _)) = line.split_once(" = ") {
                *line = format!("{key} = {value}");
            }
        }
        either_parses_or_points_into_itself(&lines.join("\n"));
    }

    #[test]
    fn of_whole_lines(order in Just((0..FILE.lines().count()).collect::<Vec<_>>()).prop_shuffle(), keep in 0..FILE.lines().count()) {
        let lines: Vec<&str> = FILE.lines().collect();
        let text: Vec<&str> = order.into_iter().take(keep).map(|at| lines[at]).collect();
        either_parses_or_points_into_itself(&text.join("\n"));
    }

    #[test]
    fn no_text_at_all_like_it(text in "\\PC{0,60}") {
        either_parses_or_points_into_itself(&text);
    }
}
