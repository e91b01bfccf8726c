//! What the keys of `top` are, in its last line and in its help.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Clear, Paragraph};

use super::scroll::Scroll;
use super::state::{Mode, State};
use super::style::{ALARM, BOLD, FAINT, columns};
use crate::format::plain;
use proxy_api::model::Filter;

/// The keys of the list, the more important first: those that fit are shown.
const LIST: [&str; 12] = [
    "q quit",
    "? help",
    "Enter show",
    "/ filter",
    "! wrong",
    "g group",
    "s sort",
    "r routes",
    "k kill",
    "K kill all",
    "space pause",
    "↑↓ select",
];
const SHOWN: [&str; 5] = ["Esc back", "↑↓ scroll", "k kill", "? help", "q quit"];
const GROUPS: [&str; 7] =
    ["Enter opens up", "g next", "Esc back", "/ filter", "k kill group", "! wrong", "q quit"];
const FOUND: [&str; 2] = ["Esc back", "↑↓ ←→ scroll"];

const KEYS: &str = "\
q, Ctrl-C  quit
!, w       what is wrong, in full
Enter      show the one connection
           in full
Esc        back; clears the filter,
           then the pause, then goes
           to the first line
space      pause, go on
/          filter: phase=dial
           min_idle=10m route=api
↑ ↓ PgUp   select, or scroll
k, Del     end the selected (asks)
K          end all that match the
           filter (asks)
g          groups: by route, target,
           client, name, phase
s          connections: next order
  a, b     the oldest, the busiest
  i        the longest silent
  p        the longest in its phase
r          routes: next order; those
           in trouble stay first";

const MEANINGS: &str = "\
phases
header  reads the PROXY header
peek    reads the ClientHello
dial    waits for a place, or for
        the backend
relay   both sides are connected
drain   one side has ended

! above the routes: what is found
        to be wrong

routes
±MIN    more open than a minute ago
FAIL%   failed within that minute,
        of those that ended
!       a target in trouble: its
        dials fail, or it is
        drained

any other key closes this";

/// Draws the last line: what there is to say, or the keys.
pub(super) fn draw_foot(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let line = match (&state.mode, &state.notice, &state.lost) {
        (_, Some(notice), _) => Line::styled(plain(notice), ALARM),
        (Mode::Filter(text), None, _) => {
            let column = "filter: ".len() + text.chars().count();
            frame.set_cursor_position((area.x.saturating_add(columns(column)), area.y));
            Line::from(vec![
                Span::styled("filter: ", BOLD),
                Span::raw(plain(text)),
                Span::styled("   (phase=dial min_idle=10m …; Enter, Esc)", FAINT),
            ])
        }
        (_, None, Some(lost)) => Line::styled(plain(lost.lines().next().unwrap_or_default()), ALARM),
        (_, None, None) => Line::styled(that_fit(&keys(state), area.width), FAINT),
    };
    frame.render_widget(Paragraph::new(line), area);
}

/// The keys that mean something now.
fn keys(state: &State) -> Vec<&'static str> {
    if matches!(state.mode, Mode::Found(_)) {
        return FOUND.to_vec();
    }
    if state.shown.is_some() {
        return SHOWN.to_vec();
    }
    if state.folded.by.is_some() {
        return GROUPS.to_vec();
    }
    let escape = match (state.wants.filter != Filter::default(), state.paused) {
        (true, _) => Some("Esc clears the filter"),
        (false, true) => Some("Esc goes on"),
        (false, false) => None,
    };
    escape.into_iter().chain(LIST).collect()
}

/// Those that fit, whole.
fn that_fit(keys: &[&str], width: u16) -> String {
    let mut line = String::new();
    for key in keys {
        let gap = if line.is_empty() { "" } else { "  " };
        if line.chars().count() + gap.len() + key.chars().count() > usize::from(width) {
            break;
        }
        line.push_str(gap);
        line.push_str(key);
    }
    line
}

/// The help, in two columns where there is room for them.
pub(super) fn draw_help(frame: &mut Frame<'_>, scroll: &mut Scroll) {
    let width = KEYS.lines().map(|line| line.chars().count()).max().unwrap_or(0) + 3;
    let both = beside(KEYS, MEANINGS, width);
    let wide = both.lines().map(|line| line.chars().count()).max().unwrap_or(0) + 4;
    let text = if columns(wide) <= frame.area().width { both } else { format!("{KEYS}\n\n{MEANINGS}") };
    draw_box(frame, "help", &text, scroll);
}

/// Two texts beside each other, the second from column `at` on.
fn beside(left: &str, right: &str, at: usize) -> String {
    let (mut left, mut right) = (left.lines(), right.lines());
    let mut text = String::new();
    loop {
        match (left.next(), right.next()) {
            (None, None) => return text,
            (left, right) => {
                text.push_str(&format!("{:<at$}{}\n", left.unwrap_or_default(), right.unwrap_or_default()));
            }
        }
    }
}

/// A box in the middle, over everything else, as large as its text where there is room.
fn draw_box(frame: &mut Frame<'_>, title: &'static str, text: &str, scroll: &mut Scroll) {
    let area = frame.area();
    let (title, text) = (Line::styled(title, BOLD), Text::raw(text));
    let (wide, high) = (columns(text.width() + 4), columns(text.height() + 2));
    let middle =
        area.centered(Constraint::Length(wide.min(area.width)), Constraint::Length(high.min(area.height)));
    frame.render_widget(Clear, middle);
    scroll.draw(frame, middle, title, text);
}
