use super::*;
use crate::chain::fixtures::{after, connection, hop};

fn by_route(id: &str, route: &str) -> Connection {
    Connection { route: Some(route.to_owned()), ..connection(id, "relay") }
}

fn kinds(joined: &Joined) -> Vec<(String, Kind)> {
    let name = |id: Option<&str>| id.unwrap_or("-").to_owned();
    let lives = joined.lives.iter();
    lives
        .map(|life| (joined.ids(life).into_iter().map(name).collect::<Vec<_>>().join(" "), life.kind))
        .collect()
}

fn joined(outer: Vec<Connection>, inner: Vec<Connection>) -> Vec<(String, Kind)> {
    kinds(&join(vec![hop("outer", outer), hop("inner", inner)]))
}

fn one(ids: &str, kind: Kind) -> Vec<(String, Kind)> {
    vec![(ids.to_owned(), kind)]
}

#[test]
fn a_connection_on_both_hops_is_one() {
    let both = joined(vec![connection("o-1", "relay")], vec![after("i-1", "relay", &["x-9", "o-1"])]);
    assert_eq!(both, one("o-1 i-1", Kind::Whole));
}

#[test]
fn what_the_next_hop_should_have_and_has_not_is_missing_there() {
    for phase in ["dial", "relay", "drain"] {
        assert_eq!(
            joined(vec![connection("o-1", phase)], vec![]),
            one("o-1 -", Kind::MissingAfter(0)),
            "{phase}"
        );
    }
}

#[test]
fn what_the_hop_before_has_ended_is_missing_there() {
    assert_eq!(joined(vec![], vec![after("i-1", "relay", &["o-1"])]), one("- i-1", Kind::MissingBefore(1)));
}

#[test]
fn nobody_is_called_one_sided_who_cannot_be_told() {
    for phase in ["header", "peek"] {
        assert_eq!(joined(vec![connection("o-1", phase)], vec![]), one("o-1 -", Kind::NotYet(0)), "{phase}");
    }
    for route in ["old", "plain"] {
        assert_eq!(joined(vec![by_route("o-1", route)], vec![]), one("o-1 -", Kind::NoIdSent(0)), "{route}");
    }
    assert_eq!(joined(vec![], vec![connection("i-1", "relay")]), one("- i-1", Kind::NoIdCame(1)));
    assert_eq!(joined(vec![], vec![connection("i-1", "header")]), one("- i-1", Kind::HeaderUnread(1)));
}

#[test]
fn a_route_that_has_gone_from_the_configuration_excuses_nobody() {
    assert_eq!(joined(vec![by_route("o-1", "gone")], vec![]), one("o-1 -", Kind::MissingAfter(0)));
}

#[test]
fn of_two_on_the_next_hop_the_older_is_left_over() {
    let old = Connection { age_s: 90.0, ..after("i-1", "relay", &["o-1"]) };
    let young = Connection { age_s: 5.0, ..after("i-2", "relay", &["o-1"]) };
    let both = joined(vec![connection("o-1", "relay")], vec![old, young]);
    assert_eq!(both, [one("o-1 i-2", Kind::Whole), one("- i-1", Kind::MissingBefore(1))].concat());
}

#[test]
fn a_hop_in_the_middle_that_lost_it_is_named() {
    let middle = hop("middle", vec![after("m-1", "relay", &["o-1"])]);
    let inner =
        hop("inner", vec![after("i-1", "relay", &["o-1", "m-1"]), after("i-2", "relay", &["o-2", "m-2"])]);
    let outer = hop("outer", vec![connection("o-1", "relay"), connection("o-2", "relay")]);
    let through = join(vec![outer, middle, inner]);
    let expected = [one("o-1 m-1 i-1", Kind::Whole), one("o-2 - i-2", Kind::MissingAfter(0))].concat();
    assert_eq!(kinds(&through), expected);
}

#[test]
fn only_what_is_one_sided_twice_is_called_so() {
    let reading = |outer: &[&str], inner: &[(&str, &str)]| {
        let outer = outer.iter().map(|id| connection(id, "relay")).collect();
        let inner = inner.iter().map(|(id, before)| after(id, "relay", &[before])).collect();
        join(vec![hop("outer", outer), hop("inner", inner)])
    };
    // o-1 stays one-sided; o-2 had been on its way; o-3 is new; o-4 has gone since.
    let first = reading(&["o-1", "o-2", "o-4"], &[]);
    assert!(!first.is_whole());
    let second = reading(&["o-1", "o-2", "o-3"], &[("i-2", "o-2")]).confirmed_by(&first);
    let mut kinds = kinds(&second);
    kinds.sort_by(|a, b| a.0.cmp(&b.0));
    let expected =
        [one("o-1 -", Kind::MissingAfter(0)), one("o-2 i-2", Kind::Whole), one("o-3 -", Kind::Moving)];
    assert_eq!(kinds, expected.concat());
}

#[test]
fn hops_that_are_named_from_the_inside_out_are_not_compared() {
    let outer = || hop("outer", vec![connection("o-1", "relay")]);
    let inner = || hop("inner", vec![after("i-1", "relay", &["o-1"])]);
    assert_eq!(turned(&[inner(), outer()]), Some(("outer", "inner")));
    assert_eq!(turned(&[outer(), inner()]), None);
    assert_eq!(turned(&[inner(), hop("other", vec![connection("x-1", "relay")])]), None);
}
