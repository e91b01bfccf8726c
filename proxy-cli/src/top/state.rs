//! What `top` shows, and what keys do to it. No terminal and no network: tests feed it.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::widgets::TableState;
use tokio::time::Instant;

use super::feed::{News, Victims, Wants};
use super::folded::Folded;
use super::routes::RouteOrder;
use super::scroll::Scroll;
use super::shown::Shown;
use crate::filter;
use crate::format::age;
use proxy_api::model::{Connection, Connections, Filter, Sample, SortBy};

/// How many samples the history holds: as many as a wide screen has columns.
const HISTORY: usize = 240;

/// Everything that is on the screen.
#[derive(Debug)]
pub(super) struct State {
    pub(super) sample: Option<Box<Sample>>,
    /// Opened and ended a second, between the last two samples.
    pub(super) rates: Option<(f64, f64)>,
    /// Open connections, the latest last.
    pub(super) history: VecDeque<u64>,
    pub(super) page: Connections,
    pub(super) busiest: Vec<Connection>,
    /// Bytes a second, of the connections that were seen twice.
    pub(super) speeds: HashMap<String, f64>,
    pub(super) wants: Wants,
    /// The connections in groups, where that is wanted.
    pub(super) folded: Folded,
    /// The connection that is looked at in full, over everything else.
    pub(super) shown: Option<Shown>,
    pub(super) route_order: RouteOrder,
    pub(super) rows: TableState,
    pub(super) mode: Mode,
    pub(super) paused: bool,
    /// What there is to say, until the next key or for a few seconds.
    pub(super) notice: Option<String>,
    /// The seconds for which it has been said.
    noticed: u8,
    /// Why the list is not to be had.
    pub(super) refused: Option<String>,
    /// Why there is no news.
    pub(super) lost: Option<String>,
    moved: HashMap<String, u64>,
    looked: Option<Instant>,
    heard: Option<Instant>,
}

/// What keys mean.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Mode {
    /// They move about the list, or the connection that is looked at in full.
    #[default]
    List,
    /// They write a filter.
    Filter(String),
    /// They answer a question.
    Confirm { victims: Victims, question: String },
    /// They scroll the help; the others close it.
    Help(Scroll),
    /// They scroll what is wrong; the others close it.
    Found(Scroll),
}

/// What a key wants done.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    Quit,
    /// Something else is looked at.
    Look,
    Kill(Victims),
}

/// The orders that `s` goes through.
const SORTS: [SortBy; 4] = [SortBy::Age, SortBy::Bytes, SortBy::Idle, SortBy::InPhase];

/// For so many seconds something is said.
const NOTICE: u8 = 5;

/// Samples come every second: three that are missing are no accident.
const SILENT: Duration = Duration::from_secs(4);

/// How far a page goes.
const LEAP: u16 = 10;

impl Default for State {
    fn default() -> Self {
        Self {
            sample: None,
            rates: None,
            history: VecDeque::with_capacity(HISTORY),
            page: Connections { total: 0, matched: 0, connections: Vec::new(), next: None },
            busiest: Vec::new(),
            speeds: HashMap::new(),
            wants: Wants::default(),
            folded: Folded::default(),
            shown: None,
            route_order: RouteOrder::default(),
            rows: TableState::default(),
            mode: Mode::List,
            paused: false,
            notice: None,
            noticed: 0,
            refused: None,
            lost: None,
            moved: HashMap::new(),
            looked: None,
            heard: None,
        }
    }
}

impl State {
    /// What is shown first of the connections that `filter` lets through.
    pub(super) fn looking_at(filter: Filter) -> Self {
        Self { wants: Wants { filter, ..Wants::default() }, ..Self::default() }
    }

    pub(super) fn wants(&self) -> Wants {
        Wants { by: self.folded.by, ..self.wants.clone() }
    }

    pub(super) fn say(&mut self, notice: impl Into<String>) {
        (self.notice, self.noticed) = (Some(notice.into()), 0);
    }

    pub(super) fn take(&mut self, news: News) {
        match news {
            News::Done(text) => self.say(text),
            News::Refused(why) => self.refuse(why),
            News::Lost(why) => (self.lost, self.heard) = (Some(why), None),
            News::Sample(sample, at) => {
                (self.lost, self.heard) = (None, Some(at));
                if !self.paused {
                    self.sample(sample);
                }
            }
            News::Shown { id, found } => {
                if let Some(shown) = self.shown.as_mut().filter(|shown| shown.id == id) {
                    shown.take(found);
                }
            }
            News::Page { .. } if self.paused => {}
            News::Page { page, busiest, groups, at } => {
                self.folded.take(groups);
                self.page(page, busiest, at);
            }
        }
    }

    /// There is no list: what another filter let through is not what is asked for.
    fn refuse(&mut self, why: String) {
        self.page = Connections { total: 0, matched: 0, connections: Vec::new(), next: None };
        self.rows.select(None);
        self.refused = Some(why);
    }

    /// A second has passed. A process that is stopped closes nothing: only its silence tells.
    pub(super) fn tick(&mut self, now: Instant) {
        self.noticed = self.noticed.saturating_add(1);
        self.notice.take_if(|_| self.noticed > NOTICE);
        let silent = self.heard.map_or(Duration::ZERO, |heard| now.duration_since(heard));
        if silent >= SILENT {
            self.lost = Some(format!("no answer for {}: these are old figures", age(silent.as_secs_f64())));
        }
    }

    fn sample(&mut self, sample: Box<Sample>) {
        self.rates = self.sample.as_ref().and_then(|before| rates(before, &sample));
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(sample.status.connections);
        self.sample = Some(sample);
    }

    fn page(&mut self, page: Connections, busiest: Vec<Connection>, at: Instant) {
        let selected = self.selected().map(|connection| connection.id.clone());
        let seconds = self.looked.map_or(0.0, |before| at.duration_since(before).as_secs_f64());
        // Too near each other, a difference says nothing; what was known stays.
        if seconds > 0.5 || self.looked.is_none() {
            self.speeds.clear();
            let mut moved = HashMap::new();
            for connection in page.connections.iter().chain(&busiest) {
                let bytes = connection.from_client_bytes.saturating_add(connection.from_backend_bytes);
                if let Some(before) = self.moved.get(&connection.id) {
                    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
                    let speed = bytes.saturating_sub(*before) as f64 / seconds;
                    self.speeds.insert(connection.id.clone(), speed);
                }
                moved.insert(connection.id.clone(), bytes);
            }
            self.moved = moved;
            self.looked = Some(at);
        }
        self.page = page;
        self.refused = None;
        self.busiest = busiest;
        let place = selected.and_then(|id| self.page.connections.iter().position(|there| there.id == id));
        let last = self.page.connections.len().checked_sub(1);
        let row = place.or(self.rows.selected()).unwrap_or(0);
        self.rows.select(last.map(|last| row.min(last)));
    }

    pub(super) fn selected(&self) -> Option<&Connection> {
        self.page.connections.get(self.rows.selected()?)
    }

    /// What a key does.
    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        self.notice = None;
        if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
            return matches!(key.code, KeyCode::Char('c' | 'd')).then_some(Action::Quit);
        }
        match std::mem::take(&mut self.mode) {
            Mode::List => match self.shown.take() {
                Some(shown) => self.shown_key(key.code, shown),
                None => self.list_key(key.code),
            },
            Mode::Filter(text) => self.filter_key(key.code, text),
            Mode::Confirm { victims, .. } if matches!(key.code, KeyCode::Char('y' | 'Y')) => {
                Some(Action::Kill(victims))
            }
            Mode::Confirm { .. } => {
                self.say("nothing was ended");
                None
            }
            Mode::Help(scroll) => self.scroll(key.code, scroll, Mode::Help),
            Mode::Found(scroll) => self.scroll(key.code, scroll, Mode::Found),
        }
    }

    fn scroll(&mut self, key: KeyCode, mut scroll: Scroll, mode: fn(Scroll) -> Mode) -> Option<Action> {
        if scroll.key(key) {
            self.mode = mode(scroll);
        }
        None
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing")]
    fn list_key(&mut self, key: KeyCode) -> Option<Action> {
        match key {
            KeyCode::Char('q') => return Some(Action::Quit),
            KeyCode::Esc => return self.back(),
            KeyCode::Char('g') => {
                self.folded.next();
                return self.look();
            }
            KeyCode::Enter if self.folded.by.is_some() => return self.unfold(),
            KeyCode::Enter => return self.show(),
            key if self.folded.by.is_some() && self.folded.key(key) => {}
            KeyCode::Char('k') | KeyCode::Delete if self.folded.by.is_some() => self.ask_for_group(),
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.mode = Mode::Help(Scroll::default()),
            KeyCode::Char('!' | 'w') => self.mode = Mode::Found(Scroll::default()),
            KeyCode::Char('/' | 'f') => self.mode = Mode::Filter(filter::told(&self.wants.filter)),
            KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Char('r') => self.sort_routes(),
            KeyCode::Char('s') => return self.sort(next_sort(self.wants.sort)),
            KeyCode::Char('a') => return self.sort(SortBy::Age),
            KeyCode::Char('b') => return self.sort(SortBy::Bytes),
            KeyCode::Char('i') => return self.sort(SortBy::Idle),
            KeyCode::Char('p') => return self.sort(SortBy::InPhase),
            KeyCode::Char('k') | KeyCode::Delete => self.ask_for_one(),
            KeyCode::Char('K') => self.ask_for_all(),
            KeyCode::Down => self.rows.select_next(),
            KeyCode::Up => self.rows.select_previous(),
            KeyCode::PageDown => self.rows.scroll_down_by(LEAP),
            KeyCode::PageUp => self.rows.scroll_up_by(LEAP),
            KeyCode::Home => self.rows.select_first(),
            KeyCode::End => self.rows.select(self.page.connections.len().checked_sub(1)),
            _ => {}
        }
        None
    }

    /// One step back to how it began, and never out of it: whoever wants to leave says so.
    fn back(&mut self) -> Option<Action> {
        if let Some(filter) = self.folded.fold() {
            self.wants.filter = filter;
            return self.look();
        }
        if self.wants.filter != Filter::default() {
            self.wants.filter = Filter::default();
            return self.look();
        }
        if self.folded.leave() || self.paused {
            return self.look();
        }
        self.rows.select_first();
        self.say("q quits");
        None
    }

    fn unfold(&mut self) -> Option<Action> {
        match self.folded.unfold(&self.wants.filter) {
            Ok(filter) => {
                self.wants.filter = filter;
                self.rows.select_first();
                self.look()
            }
            Err(why) => {
                self.say(why);
                None
            }
        }
    }

    fn show(&mut self) -> Option<Action> {
        let Some(connection) = self.selected() else {
            self.say("no connection is selected");
            return None;
        };
        let id = connection.id.clone();
        self.wants.shown = Some(id.clone());
        self.shown = Some(Shown::new(id));
        Some(Action::Look)
    }

    /// What a key does to the connection that is looked at in full.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing")]
    fn shown_key(&mut self, key: KeyCode, mut shown: Shown) -> Option<Action> {
        match key {
            KeyCode::Char('q') => return Some(Action::Quit),
            KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace => {
                self.wants.shown = None;
                return Some(Action::Look);
            }
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.mode = Mode::Help(Scroll::default()),
            KeyCode::Char('k') | KeyCode::Delete => {
                let question = format!("end {}{}?", shown.id, shown.about());
                self.mode = Mode::Confirm { victims: Victims::One(shown.id.clone()), question };
            }
            other => drop(shown.scroll.key(other)),
        }
        self.shown = Some(shown);
        None
    }

    fn sort_routes(&mut self) {
        self.route_order = self.route_order.next();
        self.say(format!("routes: {}; those in trouble before them", self.route_order.told()));
    }

    fn sort(&mut self, sort: SortBy) -> Option<Action> {
        self.wants.sort = sort;
        self.rows.select_first();
        self.look()
    }

    /// What is looked at has changed: a pause would hide it.
    fn look(&mut self) -> Option<Action> {
        self.paused = false;
        Some(Action::Look)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing")]
    fn filter_key(&mut self, key: KeyCode, mut text: String) -> Option<Action> {
        match key {
            KeyCode::Esc => return None,
            KeyCode::Enter => match filter::parse(&text) {
                Ok(filter) => {
                    self.wants.filter = filter;
                    return self.look();
                }
                Err(error) => self.say(error.to_string()),
            },
            KeyCode::Backspace => drop(text.pop()),
            KeyCode::Char(c) => text.push(c),
            _ => {}
        }
        self.mode = Mode::Filter(text);
        None
    }
}

fn next_sort(sort: SortBy) -> SortBy {
    let place = SORTS.iter().position(|there| *there == sort).map_or(0, |place| place + 1);
    SORTS.iter().cycle().nth(place).copied().unwrap_or_default()
}

/// Opened and ended a second.
fn rates(before: &Sample, now: &Sample) -> Option<(f64, f64)> {
    let seconds = now.at - before.at;
    let opened = now.status.opened_total.checked_sub(before.status.opened_total)?;
    let ended = |sample: &Sample| sample.status.ended_total.values().sum::<u64>();
    let ended = ended(now).checked_sub(ended(before))?;
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let rate = |count: u64| count as f64 / seconds;
    (seconds > 0.0).then(|| (rate(opened), rate(ended)))
}

#[cfg(test)]
pub(super) mod tests;
