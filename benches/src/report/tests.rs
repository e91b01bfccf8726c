use super::*;

fn outcome() -> Outcome {
    let mut outcome = Outcome { rounds: 3, congestion: "reno, here".to_owned(), ..Outcome::default() };
    let figures = [
        (Proxy::Smartproxy, [90.0, 80.0, 2000.0]),
        (Proxy::Nginx, [100.0, 110.0, 105.0]),
        (Proxy::Floor, [50.0, 50.0, 60.0]),
    ];
    for (proxy, cpu) in figures {
        let rounds = cpu.map(|cpu| vec![cpu, 12_345.0, 99.0, 50.0]).to_vec();
        outcome.samples.entry(Work::Short).or_default().insert(proxy, rounds);
        outcome.versions.insert(proxy, "1 & 2".to_owned());
    }
    outcome
}

#[test]
fn a_table_has_medians_ratios_and_verdicts() {
    let text = table(Work::Short, &outcome());
    let rows: Vec<_> = text.lines().collect();
    assert_eq!(rows[2], "| | smartproxy | nginx | floor | bar | |");
    assert_eq!(
        rows[4],
        "| CPU µs/connection | 90.0 | 105.0 (1.17 ×) | 50.0 (0.56 ×) | ≤ 0.9 × the best peer | pass |"
    );
    assert_eq!(rows[5], "| connections/s | 12 345 | 12 345 (1.00 ×) | 12 345 (1.00 ×) |  |  |");
    assert_eq!(rows.len(), 8);
}

#[test]
fn json_has_every_round() {
    let json = json(&outcome());
    let cpu = &json["works"]["short"]["nginx"]["CPU µs/connection"];
    assert_eq!((cpu["median"].as_f64(), cpu["rounds"][1].as_f64()), (Some(105.0), Some(110.0)));
    assert_eq!(json["versions"]["floor"], "1 & 2");
    assert_eq!(json["congestion"], "reno, here");
}

#[test]
fn files_are_written_and_the_chart_has_a_bar_for_each() {
    let dir = tempfile::tempdir().unwrap();
    write(&outcome(), Some(dir.path())).unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert!(read("peers.md").starts_with("- congestion control: reno, here\n- smartproxy: 1 & 2\n- nginx"));
    assert!(read("peers.json").contains("\"rounds\""));
    let svg = read("peers.svg");
    // The ground, and three bars; the longest is nginx's.
    assert_eq!((svg.matches("<rect").count(), svg.matches("<text").count()), (4, 7));
    assert!(svg.contains("105.0 (1.17 ×)") && svg.ends_with("</svg>\n"));
}
