use crossterm::event::KeyCode;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tokio::time::Instant;

use super::*;
use crate::fixtures;
use crate::top::feed::News;
use crate::top::state::tests::{code, page, press, sample};
use proxy_api::model::{ConnectionInFull, Socket};

/// The screen, a line each, without the blanks at their ends.
pub(in crate::top) fn drawn(state: &mut State, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state)).unwrap();
    let text = terminal.backend().to_string();
    text.lines().map(|line| format!("{}\n", line.trim_matches('"').trim_end())).collect()
}

fn busy() -> State {
    let mut state = State::default();
    state.take(sample(10.0, 100, 50));
    state.take(sample(11.0, 112, 60));
    let start = Instant::now();
    let rows = [("5f3a9c1e-1a", "dial", 0), ("5f3a9c1e-1b", "relay", 2048)];
    state.take(page(&rows, start));
    let rows = [("5f3a9c1e-1a", "dial", 0), ("5f3a9c1e-1b", "relay", 4096)];
    state.take(page(&rows, start + std::time::Duration::from_secs(1)));
    state
}

#[test]
fn a_small_terminal() {
    insta::assert_snapshot!(drawn(&mut busy(), 80, 24));
}

#[test]
fn a_large_terminal() {
    insta::assert_snapshot!(drawn(&mut busy(), 160, 44));
}

#[test]
fn a_question_a_filter_and_what_went_wrong() {
    let mut state = busy();
    press(&mut state, "k");
    let question = drawn(&mut state, 80, 24);
    assert!(question.contains("end 5f3a9c1e-1a, dial from 10.0.0.1:40001?"), "{question}");
    press(&mut state, "n/phase=dial");
    let filter = drawn(&mut state, 80, 24);
    assert!(filter.ends_with("filter: phase=dial   (phase=dial min_idle=10m …; Enter, Esc)\n"), "{filter}");
    state.mode = Mode::List;
    state.take(News::Lost("/run/x.sock: nobody answers\n  more".to_owned()));
    let lost = drawn(&mut state, 80, 24);
    assert!(lost.ends_with("\n/run/x.sock: nobody answers\n"), "{lost}");
}

#[test]
fn a_tiny_terminal() {
    insta::assert_snapshot!(drawn(&mut busy(), 40, 12));
}

#[test]
fn a_connection_in_full() {
    let mut state = busy();
    code(&mut state, KeyCode::Enter);
    let asking = drawn(&mut state, 80, 24);
    assert!(asking.contains("connection 5f3a9c1e-1a ") && asking.contains("asking the proxy"), "{asking}");
    let socket = Socket {
        descriptor: 17,
        local: Some("127.0.0.1:9001".to_owned()),
        remote: Some("10.0.0.1:40001".to_owned()),
        tcp: None,
    };
    let connection = fixtures::connection("5f3a9c1e-1a", "dial");
    let found = Box::new(ConnectionInFull { connection, client_socket: Some(socket), backend_socket: None });
    state.take(News::Shown { id: "5f3a9c1e-1a".to_owned(), found: Ok(found) });
    insta::assert_snapshot!(drawn(&mut state, 80, 24));
    let top = drawn(&mut state, 40, 12);
    assert!(top.contains("deadline") && !top.contains("received"), "{top}");
    code(&mut state, KeyCode::End);
    let end = drawn(&mut state, 40, 12);
    assert!(end.contains("received") && !end.contains("deadline"), "{end}");
    code(&mut state, KeyCode::Up);
    assert_ne!(drawn(&mut state, 40, 12), end, "one line up is one line up, also from the end");
    code(&mut state, KeyCode::Home);
    assert_eq!(drawn(&mut state, 40, 12), top);
}

#[test]
fn the_help_is_whole_or_scrolls() {
    let mut state = busy();
    press(&mut state, "?");
    insta::assert_snapshot!(drawn(&mut state, 80, 24));
    let top = drawn(&mut state, 40, 12);
    assert!(top.contains("q, Ctrl-C") && top.contains("↑↓ more"), "{top}");
    assert!(top.lines().all(|line| line.chars().count() <= 40), "{top}");
    code(&mut state, KeyCode::End);
    let end = drawn(&mut state, 40, 12);
    assert!(end.contains("any other key closes this"), "{end}");
}

#[test]
fn keys_are_named_whole_and_those_for_now_first() {
    let last = |state: &mut State, width| drawn(state, width, 24).lines().last().unwrap().to_owned();
    let mut state = busy();
    assert_eq!(last(&mut state, 40), "q quit  ? help  Enter show  / filter");
    press(&mut state, " ");
    assert!(last(&mut state, 80).starts_with("Esc goes on  q quit"));
    press(&mut state, "/phase=dial");
    code(&mut state, KeyCode::Enter);
    assert!(last(&mut state, 80).starts_with("Esc clears the filter  q quit"));
    code(&mut state, KeyCode::Enter);
    assert_eq!(last(&mut state, 80), "Esc back  ↑↓ scroll  k kill  ? help  q quit");
}

#[test]
fn what_is_cut_says_so_and_keeps_what_tells_it_from_others() {
    let mut state = busy();
    let sample = state.sample.as_mut().unwrap();
    let mut routes: Vec<_> =
        (0..3).map(|n| fixtures::route(&format!("service-with-long-name-0{n}"), 0, n)).collect();
    routes[0].targets = vec![fixtures::target(); 9];
    routes[1].enabled = false;
    sample.routes = routes;
    let client = "[2001:db8:1234:5678:9abc:def0:1234:5678]:40001";
    state.page.connections.iter_mut().for_each(|one| one.client = Some(client.to_owned()));
    let screen = drawn(&mut state, 80, 24);
    for n in 0..3 {
        assert!(screen.contains(&format!("servic…me-0{n}")), "{screen}");
    }
    assert!(screen.contains("not enabled"), "{screen}");
    assert!(screen.lines().any(|line| line.contains("servic…me-00") && line.ends_with('…')), "{screen}");
    assert!(screen.contains("[2001:db8:1") && screen.contains("]:40001"), "{screen}");
    let wide = drawn(&mut state, 180, 24);
    assert!(wide.contains(client), "a column that has room has all of it: {wide}");
    let narrow = drawn(&mut state, 60, 24);
    assert!(narrow.contains("[2001…40001"), "{narrow}");
    assert!(narrow.contains("260 of 102…"), "{narrow}");
}

#[test]
fn what_wants_attention_is_not_cut_for_being_last() {
    let mut state = busy();
    let sample = state.sample.as_mut().unwrap();
    let well = sample.status.pools[0].clone();
    let ill = Pool { name: "zzz".to_owned(), level: "shed".to_owned(), ..well.clone() };
    sample.status.pools = [vec![well; 5], vec![ill]].concat();
    let screen = drawn(&mut state, 40, 12);
    assert!(screen.contains("pools  zzz 120 of 1000 shed"), "{screen}");
}

#[test]
fn no_terminal_is_too_small_to_draw_on() {
    let mut state = busy();
    for (width, height) in [(1, 1), (3, 2), (20, 5), (400, 3), (5, 100)] {
        for keys in ["", "?", "xk", "n/", "r"] {
            press(&mut state, keys);
            drawn(&mut state, width, height);
        }
        state.mode = Mode::List;
        code(&mut state, KeyCode::Enter);
        drawn(&mut state, width, height);
        code(&mut state, KeyCode::Esc);
    }
}

#[test]
fn before_the_first_news_it_says_what_it_waits_for() {
    let mut state = State::default();
    assert!(drawn(&mut state, 80, 24).starts_with("waiting for the proxy"));
    state.take(News::Lost("/run/x.sock: nobody answers".to_owned()));
    assert!(drawn(&mut state, 80, 24).starts_with("/run/x.sock: nobody answers"));
}
