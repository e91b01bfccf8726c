//! The examples of docs/balancing.md.

use super::{ROUTE, good};

#[test]
fn every_example_is_a_configuration() {
    let docs = include_str!("../../../docs/balancing.md");
    let examples: Vec<&str> =
        docs.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 8, "one for each algorithm, levels, and names");
    let mut balances = std::collections::HashSet::new();
    for example in examples {
        let config = good(&format!(
            "{example}\n{}",
            ROUTE.replace("[\"127.0.0.1:3000\"]", "\"@GROUP\"").replace(
                "GROUP",
                example.split("[groups.").nth(1).and_then(|rest| rest.split(']').next()).unwrap(),
            )
        ));
        balances.extend(config.settings.groups.iter().map(|group| group.options.balance));
    }
    assert_eq!(balances.len(), 7, "{balances:?}");
}
