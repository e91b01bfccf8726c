use super::*;
use crate::fixtures;
use crate::top::feed::News;
use crate::top::state::State;
use crate::top::state::tests::{press, sample_of};
use crate::top::view::tests::drawn;

/// Routes that are well, `r0` with the most connections.
fn well(count: u64) -> Vec<Route> {
    (0..count).map(|n| fixtures::route(&format!("r{n}"), 0, 100 - n)).collect()
}

/// One whose only target is left alone, and which has no connection.
fn dark(name: &str) -> Route {
    let mut dark = fixtures::route(name, 0, 0);
    dark.targets[0].breaker = "open".to_owned();
    dark.targets[0].failures_in_a_row = 5;
    dark
}

/// At 80×24: who is not well is seen, in red and first.
#[test]
fn a_route_to_a_group_shows_how_many_of_it_are_up_and_who_is_not() {
    let mut routes = vec![fixtures::route("web", 0, 5), fixtures::route("tls", 0, 4)];
    for route in &mut routes {
        (route.group, route.targets) = (Some("inner".to_owned()), Vec::new());
    }
    for (width, height) in [(80, 24), (160, 44)] {
        let News::Sample(mut sample, at) = sample_of(routes.clone()) else { panic!("it is a sample") };
        sample.groups.push(fixtures::group());
        let mut state = State::default();
        state.take(News::Sample(sample, at));
        let screen = drawn(&mut state, width, height);
        let lines = screen.lines().filter(|line| line.starts_with("web") || line.starts_with("tls"));
        let lines: Vec<&str> = lines.collect();
        assert!(
            lines.len() == 2
                && lines.iter().all(|line| line.contains("@inner 3/4 up !10.0.0.2:443")
                    || line.contains("@inner 3/4 up 10.0.0.2:443 (down: no answer")),
            "{screen}"
        );
    }
}

fn screen(routes: Vec<Route>, width: u16, height: u16) -> String {
    let mut state = State::default();
    state.take(sample_of(routes));
    drawn(&mut state, width, height)
}

/// The names of the routes on the screen, in order.
fn names(screen: &str) -> Vec<&str> {
    let rows = screen.lines().skip_while(|line| !line.starts_with("ROUTE")).skip(1);
    let rows = rows.take_while(|line| !line.starts_with('…') && !line.contains("connections"));
    rows.filter_map(|line| line.split_whitespace().next()).collect()
}

#[test]
fn the_one_in_trouble_is_not_cut_for_having_no_connections() {
    for (width, height) in [(80, 24), (40, 12), (160, 44), (24, 11)] {
        let screen = screen([well(11), vec![dark("zzz")]].concat(), width, height);
        assert_eq!(names(&screen).first(), Some(&"zzz"), "{width}x{height}:\n{screen}");
        let cut = 12 - names(&screen).len();
        let last: &str = &format!("… {cut} more routes, none in trouble\n");
        assert!(screen.contains(&last.chars().take(width.into()).collect::<String>()[..]), "{screen}");
    }
}

#[test]
fn as_many_as_are_in_trouble_get_room_before_connections_do() {
    let ill = |count: u64| (0..count).map(|n| dark(&format!("ill{n:02}")));
    let eleven = screen(well(5).into_iter().chain(ill(11)).collect(), 80, 24);
    assert_eq!(names(&eleven).len(), 11, "{eleven}");
    assert!(eleven.contains("\n… 5 more routes, none in trouble\n"), "{eleven}");
    let forty = screen(well(5).into_iter().chain(ill(40)).collect(), 80, 24);
    assert!(forty.contains("\n… 33 more routes, 28 in trouble\n"), "{forty}");
    assert!(forty.contains("\n0 connections"), "the list is there all the same: {forty}");
}

#[test]
fn what_fits_is_not_called_cut() {
    assert!(!screen(well(6), 80, 24).contains('…'));
    let seven = screen(well(7), 80, 24);
    assert!(seven.contains("\n… 2 more routes, none in trouble\n"), "{seven}");
    assert_eq!(names(&screen(Vec::new(), 80, 24)), [""; 0]);
}

#[test]
fn trouble_is_a_target_that_fails_a_drain_and_a_limit_that_is_met() {
    let with = |change: fn(&mut Route)| {
        let mut route = fixtures::route("a", 0, 5);
        route.targets.push(fixtures::target());
        change(&mut route);
        let ill = route.targets.iter().filter(|target| why(target).is_some()).count();
        trouble(&route, &route.targets, ill)
    };
    assert_eq!(with(|_| ()), Trouble::None);
    assert_eq!(with(|route| route.targets[0].failures_in_a_row = 1), Trouble::Partly);
    assert_eq!(with(|route| route.targets[0].draining = true), Trouble::Partly);
    assert_eq!(with(|route| route.draining = true), Trouble::Partly);
    assert_eq!(with(|route| route.connections.most = Some(6)), Trouble::None);
    assert_eq!(with(|route| route.connections.most = Some(5)), Trouble::Partly);
    let all = |route: &mut Route| route.targets.iter_mut().for_each(|target| target.failures_in_a_row = 1);
    assert_eq!(with(all), Trouble::Down);
    assert_eq!(with(|route| route.targets.clear()), Trouble::None);
}

#[test]
fn a_key_goes_through_the_orders_and_trouble_stays_first() {
    let mut routes = vec![fixtures::route("c", 0, 5), fixtures::route("b", 0, 9), fixtures::route("a", 0, 7)];
    routes[0].targets[0].failed_total = [("refused".to_owned(), 3)].into();
    routes[2].oldest_s = Some(4000.0);
    routes.push(dark("zzz"));
    let mut state = State::default();
    state.take(sample_of(routes));
    let mut seen = Vec::new();
    for _ in 0..5 {
        let screen = drawn(&mut state, 40, 24);
        let header = screen.lines().find(|line| line.starts_with("ROUTE")).unwrap().to_owned();
        assert!(header.contains(state.route_order.column()), "it is not seen what it is sorted by: {header}");
        seen.push(names(&screen).join(" "));
        press(&mut state, "r");
        let told = state.notice.clone().unwrap();
        assert!(told.contains(state.route_order.told()), "{told}");
    }
    assert_eq!(seen, ["zzz b a c", "zzz c b a", "zzz a c b", "zzz a b c", "zzz b a c"]);
}

#[test]
fn growth_and_failures_of_the_last_minute_are_seen() {
    let mut grows = fixtures::route("grows", 0, 30);
    let minute = Minute { opened: 60, ended: 36, failed: 1, grown: 24, ..Minute::default() };
    grows.outcomes.minute = Some(minute);
    let mut passed_on = fixtures::route("dark", 0, 0);
    passed_on.outcomes.minute = Some(Minute { failed: 7, grown: -3, ..Minute::default() });
    let screen = screen(vec![grows, passed_on, fixtures::route("young", 0, 1)], 80, 24);
    let row = |name: &str| {
        let line = screen.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().skip(4).take(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!([row("grows"), row("dark"), row("young")], ["+24 3", "-3 100", "- -"], "{screen}");
    assert!(screen.contains("±MIN FAIL%"), "{screen}");
}
