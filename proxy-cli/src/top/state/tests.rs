use super::*;
use crate::fixtures;
use crate::top::view::tests::drawn;
use proxy_api::model::{AgeBucket, ConnectionInFull, Route};

pub(in crate::top) fn sample(at: f64, opened: u64, ended: u64) -> News {
    let mut ill = fixtures::route("dark", 115, 0);
    ill.targets[0].breaker = "open".to_owned();
    ill.targets[0].failures_in_a_row = 5;
    ill.targets[0].retry_in_s = Some(4.0);
    let News::Sample(mut sample, now) = sample_of(vec![fixtures::route("web", 0, 5), ill]) else {
        unreachable!("it is a sample")
    };
    sample.at = at;
    sample.status.opened_total = opened;
    sample.status.ended_total = [("finished".to_owned(), ended)].into();
    News::Sample(sample, now)
}

/// What is told of a proxy with these routes.
pub(in crate::top) fn sample_of(routes: Vec<Route>) -> News {
    let ages = vec![
        AgeBucket { at_most_s: Some(1.0), connections: 2 },
        AgeBucket { at_most_s: Some(60.0), connections: 0 },
        AgeBucket { at_most_s: None, connections: 118 },
    ];
    let (status, groups) = (fixtures::status(), Vec::new());
    let sample = Sample { at: 1.0, findings: Vec::new(), status, routes, groups, ages, oldest: Vec::new() };
    News::Sample(Box::new(sample), Instant::now())
}

/// A page of these connections, each of which has moved so many bytes.
pub(in crate::top) fn page(rows: &[(&str, &str, u64)], at: Instant) -> News {
    let connections: Vec<_> = rows
        .iter()
        .map(|(id, phase, moved)| Connection {
            from_client_bytes: *moved,
            from_backend_bytes: 0,
            ..fixtures::connection(id, phase)
        })
        .collect();
    let count = connections.len() as u64;
    let busiest = connections.iter().take(1).cloned().collect();
    News::Page {
        page: Connections { total: 120, matched: count, connections, next: None },
        busiest,
        groups: None,
        at,
    }
}

pub(in crate::top) fn press(state: &mut State, keys: &str) -> Option<Action> {
    keys.chars().fold(None, |_, c| state.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)))
}

pub(in crate::top) fn code(state: &mut State, code: KeyCode) -> Option<Action> {
    state.key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn with_two() -> State {
    let mut state = State::default();
    state.take(page(&[("a-1", "dial", 0), ("a-2", "relay", 0)], Instant::now()));
    state
}

#[test]
fn rates_are_those_between_two_samples() {
    let mut state = State::default();
    state.take(sample(10.0, 100, 50));
    assert_eq!(state.rates, None);
    state.take(sample(12.0, 124, 51));
    assert_eq!(state.rates, Some((12.0, 0.5)));
    state.take(sample(13.0, 3, 0));
    assert_eq!(state.rates, None, "it was started anew");
    assert_eq!(state.history, [120, 120, 120]);
}

#[test]
fn a_proxy_that_falls_silent_is_not_taken_for_one_that_is_well() {
    let mut state = State::default();
    state.tick(Instant::now() + Duration::from_secs(60));
    assert_eq!(state.lost, None, "it has not begun");
    state.take(sample(10.0, 0, 0));
    state.tick(Instant::now() + Duration::from_secs(3));
    assert_eq!(state.lost, None);
    state.tick(Instant::now() + Duration::from_secs(30));
    assert_eq!(state.lost.as_deref(), Some("no answer for 30s: these are old figures"));
    state.take(sample(40.0, 0, 0));
    assert_eq!(state.lost, None);
}

#[test]
fn what_was_said_makes_room_after_a_while() {
    let mut state = State::default();
    state.say("a-1 ended");
    let now = Instant::now();
    (0..NOTICE).for_each(|_| state.tick(now));
    assert_eq!(state.notice.as_deref(), Some("a-1 ended"));
    state.tick(now);
    assert_eq!(state.notice, None);
}

#[test]
fn speeds_are_those_between_two_pages_that_are_apart() {
    let mut state = State::default();
    let start = Instant::now();
    state.take(page(&[("a-1", "relay", 1000)], start));
    assert!(state.speeds.is_empty());
    state.take(page(&[("a-1", "relay", 3000), ("a-2", "relay", 9)], start + Duration::from_secs(2)));
    assert_eq!(state.speeds, HashMap::from([("a-1".to_owned(), 1000.0)]));
    state.take(page(&[("a-1", "relay", 3001)], start + Duration::from_millis(2100)));
    assert_eq!(state.speeds["a-1"], 1000.0, "a tenth of a second says nothing");
}

#[test]
fn the_selection_stays_with_its_connection() {
    let mut state = with_two();
    code(&mut state, KeyCode::Down);
    assert_eq!(state.selected().unwrap().id, "a-2");
    state.take(page(&[("a-2", "relay", 0), ("a-3", "relay", 0)], Instant::now()));
    assert_eq!(state.selected().unwrap().id, "a-2");
    state.take(page(&[("a-3", "relay", 0)], Instant::now()));
    assert_eq!(state.selected().unwrap().id, "a-3", "it has gone: whoever is in its place");
    state.take(page(&[], Instant::now()));
    assert_eq!(state.selected(), None);
    assert_eq!(press(&mut state, "k"), None);
    assert_eq!(state.notice.as_deref(), Some("no connection is selected"));
}

#[test]
fn a_kill_is_done_after_a_yes_and_only_then() {
    let mut state = with_two();
    for no in ["kn", "kq", "k "] {
        assert_eq!(press(&mut state, no), None);
        assert_eq!((&state.mode, state.notice.as_deref()), (&Mode::List, Some("nothing was ended")));
    }
    assert_eq!(press(&mut state, "ky"), Some(Action::Kill(Victims::One("a-1".to_owned()))));
}

#[test]
fn all_are_ended_by_a_filter_and_never_without_one() {
    let mut state = with_two();
    assert_eq!(press(&mut state, "K"), None);
    assert_eq!(state.mode, Mode::List);
    assert!(state.notice.as_deref().unwrap().starts_with("that would be all of them"));
    press(&mut state, "/phase=dial");
    assert_eq!(code(&mut state, KeyCode::Enter), Some(Action::Look));
    let dialling = Filter { phase: Some("dial".to_owned()), ..Filter::default() };
    assert_eq!(state.wants().filter, dialling);
    assert_eq!(press(&mut state, "Ky"), Some(Action::Kill(Victims::Matching(Box::new(dialling)))));
}

#[test]
fn a_filter_is_written_corrected_and_given_up() {
    let mut state = with_two();
    press(&mut state, "/dail");
    assert_eq!(code(&mut state, KeyCode::Enter), None);
    assert!(state.notice.as_deref().unwrap().contains("found `dail`"));
    assert_eq!(state.mode, Mode::Filter("dail".to_owned()), "it can be corrected");
    code(&mut state, KeyCode::Backspace);
    assert_eq!(state.mode, Mode::Filter("dai".to_owned()));
    assert_eq!(code(&mut state, KeyCode::Esc), None);
    assert_eq!((&state.mode, state.wants().filter), (&Mode::List, Filter::default()));
}

#[test]
fn a_filter_that_is_refused_leaves_no_list_of_another() {
    let mut state = State::looking_at(Filter { route: Some("wep".to_owned()), ..Filter::default() });
    state.take(sample_of(Vec::new()));
    state.take(page(&[("a-1", "dial", 0)], Instant::now()));
    state.take(News::Refused("there is no route \"wep\"; did you mean \"web\"?".to_owned()));
    let screen = drawn(&mut state, 80, 24);
    assert!(screen.contains("\nroute=wep\nthere is no route \"wep\"; did you mean \"web\"?\n"), "{screen}");
    assert!(!screen.contains("a-1"), "{screen}");
    for key in ["k", "K"] {
        assert_eq!((press(&mut state, key), &state.mode), (None, &Mode::List), "there is nobody to end");
    }
    code(&mut state, KeyCode::Esc);
    state.take(page(&[("a-1", "dial", 0)], Instant::now()));
    assert!(drawn(&mut state, 80, 24).contains("a-1"));
}

#[test]
fn sorting_and_pausing() {
    let mut state = with_two();
    for sort in [SortBy::Bytes, SortBy::Idle, SortBy::InPhase, SortBy::Age] {
        assert_eq!(press(&mut state, "s"), Some(Action::Look));
        assert_eq!(state.wants().sort, sort);
    }
    for (key, sort) in [("b", SortBy::Bytes), ("i", SortBy::Idle), ("p", SortBy::InPhase), ("a", SortBy::Age)]
    {
        press(&mut state, key);
        assert_eq!(state.wants().sort, sort);
    }
    press(&mut state, " ");
    state.take(page(&[("a-9", "relay", 0)], Instant::now()));
    assert_eq!(state.page.connections.len(), 2, "paused");
    press(&mut state, " ");
    state.take(page(&[("a-9", "relay", 0)], Instant::now()));
    assert_eq!(state.page.connections.len(), 1);
    press(&mut state, " b");
    assert!(!state.paused, "a pause would hide what was asked for");
}

#[test]
fn it_is_left_by_q_and_control_c_but_not_out_of_a_question() {
    let mut state = with_two();
    assert_eq!(press(&mut state, "q"), Some(Action::Quit));
    assert_eq!(press(&mut state, "?q"), None, "any key closes the help");
    assert_eq!(press(&mut state, "/q"), None);
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(state.key(control_c), Some(Action::Quit));
    let control_k = KeyEvent::new(KeyCode::Char('k'), KeyModifiers::CONTROL);
    assert_eq!((state.key(control_k), &state.mode), (None, &Mode::Filter("q".to_owned())), "it is no k");
}

#[test]
fn escape_rids_of_a_filter_then_of_a_pause_and_never_quits() {
    let mut state = with_two();
    press(&mut state, "/phase=dial");
    code(&mut state, KeyCode::Enter);
    press(&mut state, "/route=x");
    assert_eq!(code(&mut state, KeyCode::Esc), None);
    assert_eq!(
        state.wants().filter.phase.as_deref(),
        Some("dial"),
        "only what was being written is given up"
    );
    assert_eq!(code(&mut state, KeyCode::Esc), Some(Action::Look));
    assert_eq!(state.wants().filter, Filter::default());

    press(&mut state, " ");
    assert_eq!(code(&mut state, KeyCode::Esc), Some(Action::Look));
    assert!(!state.paused);

    code(&mut state, KeyCode::End);
    assert_eq!(state.rows.selected(), Some(1));
    for _ in 0..3 {
        assert_eq!(code(&mut state, KeyCode::Esc), None);
        assert_eq!((state.rows.selected(), state.notice.as_deref()), (Some(0), Some("q quits")));
    }
    for mode in ["?", "k", "/"] {
        press(&mut state, mode);
        assert_eq!((code(&mut state, KeyCode::Esc), &state.mode), (None, &Mode::List));
    }
}

fn found(id: &str) -> Result<Box<ConnectionInFull>, String> {
    let connection = fixtures::connection(id, "relay");
    Ok(Box::new(ConnectionInFull { connection, client_socket: None, backend_socket: None }))
}

#[test]
fn enter_shows_the_selected_connection_and_escape_leads_back() {
    let mut state = with_two();
    code(&mut state, KeyCode::Down);
    assert_eq!(code(&mut state, KeyCode::Enter), Some(Action::Look));
    assert_eq!(state.wants().shown.as_deref(), Some("a-2"));
    state.take(News::Shown { id: "a-1".to_owned(), found: found("a-1") });
    assert_eq!(state.shown.as_ref().unwrap().about(), "", "it is another's");
    state.take(News::Shown { id: "a-2".to_owned(), found: found("a-2") });
    assert_eq!(state.shown.as_ref().unwrap().about(), ", relay from 10.0.0.1:40001");

    press(&mut state, "k");
    assert!(matches!(&state.mode, Mode::Confirm { question, .. }
        if question == "end a-2, relay from 10.0.0.1:40001?"));
    assert_eq!(press(&mut state, "y"), Some(Action::Kill(Victims::One("a-2".to_owned()))));
    assert!(state.shown.is_some(), "how it ends is seen");
    press(&mut state, "?x");
    assert!(state.shown.is_some());

    assert_eq!(code(&mut state, KeyCode::Esc), Some(Action::Look));
    assert_eq!((state.shown.is_none(), state.wants().shown), (true, None));
    assert_eq!(state.selected().unwrap().id, "a-2", "and the list is where it was");
    assert_eq!(code(&mut State::default(), KeyCode::Enter), None, "there is none");
}

#[test]
fn what_was_known_of_a_connection_stays_when_it_ends() {
    let mut state = with_two();
    state.take(sample_of(Vec::new()));
    press(&mut state, " ");
    code(&mut state, KeyCode::Enter);
    assert!(state.paused, "the list stands still, what is looked at does not");
    for found in [found("a-1"), Err("no connection a-1 is open".to_owned())] {
        state.take(News::Shown { id: "a-1".to_owned(), found });
    }
    let screen = drawn(&mut state, 80, 24);
    assert!(screen.contains("no connection a-1 is open") && screen.contains("10.0.0.1:40001"), "{screen}");
    code(&mut state, KeyCode::End);
    let screen = drawn(&mut state, 40, 12);
    assert!(screen.contains("connection a-1, as last known"), "however far it is scrolled: {screen}");
}
