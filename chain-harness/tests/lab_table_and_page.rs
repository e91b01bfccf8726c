//! Results as they are written, read back and shown: the table, its Markdown, and the page.

use chain_harness::lab::{Results, markdown, table};
use chain_harness::report::page;

fn results() -> Results {
    serde_json::from_str(include_str!("lab_results.json")).expect("it is what the runner writes")
}

#[test]
fn results_are_read_as_they_were_written() {
    let written = serde_json::to_string(&results()).unwrap();
    assert_eq!(serde_json::from_str::<Results>(&written).unwrap(), results());
}

#[test]
fn the_table_says_what_was_broken() {
    insta::assert_snapshot!(table(&results()));
}

#[test]
fn the_same_in_markdown() {
    insta::assert_snapshot!(markdown(&results()));
}

/// Without its style and script, which do not depend on results.
#[test]
fn the_page_has_a_chart_for_each() {
    let page = page(&results());
    let (start, end) = (page.find("<body>").unwrap(), page.find("<script>").unwrap());
    insta::assert_snapshot!(&page[start..end]);
}

#[test]
fn the_page_asks_nobody_for_anything() {
    let page = page(&results());
    for outside in ["http:", "https:", "src=", "@import", "url(", "<link"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("outer &lt;of good&gt;"), "texts are escaped");
}

/// Several files make one page: what comes later goes over what was there.
#[test]
fn results_of_several_runs_are_merged() {
    let (mut merged, mut later) = (results(), results());
    later.outcomes.truncate(1);
    later.outcomes[0].figures.cpu_ms = 77;
    later.proxies.truncate(1);
    merged.merge(later);
    assert_eq!(merged.outcomes.len(), 4);
    assert_eq!(merged.of("black-hole", "good").unwrap().figures.cpu_ms, 77);
    assert_eq!(merged.scenarios(), ["black-hole", "split-header"]);
}
