use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tokio::time::Instant;

use super::*;
use crate::cli::top::feed::News;
use crate::cli::top::state::tests::{page, press, sample};

fn drawn(state: &mut State, width: u16, height: u16) -> String {
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
    press(&mut state, "?");
    let help = drawn(&mut state, 80, 24);
    assert!(help.contains("any key closes this"), "{help}");
}

#[test]
fn no_terminal_is_too_small_to_draw_on() {
    let mut state = busy();
    for (width, height) in [(1, 1), (3, 2), (20, 5), (400, 3), (5, 100)] {
        for keys in ["", "?", "xk", "n/"] {
            press(&mut state, keys);
            drawn(&mut state, width, height);
        }
        state.mode = Mode::List;
    }
}

#[test]
fn before_the_first_news_it_says_what_it_waits_for() {
    let mut state = State::default();
    assert!(drawn(&mut state, 80, 24).starts_with("waiting for the proxy"));
    state.take(News::Lost("/run/x.sock: nobody answers".to_owned()));
    assert!(drawn(&mut state, 80, 24).starts_with("/run/x.sock: nobody answers"));
}
