//! The connections of `top` in groups: by what they have in common, and opened up by a key.

use crossterm::event::KeyCode;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Cell, Row, Table, TableState};

use super::style::{BOLD, FAINT, NARROW, cut};
use crate::filter;
use crate::format::{age, bytes, plain, shortened};
use proxy_api::model::{ConnectionGroup, ConnectionGroups, Filter, GroupBy, Phase};

/// What a key goes through.
const ALL: [GroupBy; 5] =
    [GroupBy::Route, GroupBy::Target, GroupBy::Client, GroupBy::ServerName, GroupBy::Phase];

/// How far a page goes.
const LEAP: u16 = 10;

/// Connections in groups, where somebody wants them so.
#[derive(Debug, Default)]
pub(super) struct Folded {
    /// What they are grouped by.
    pub(super) by: Option<GroupBy>,
    found: Option<ConnectionGroups>,
    rows: TableState,
    /// What they were grouped by before one group was opened up, and the filter of that time.
    before: Option<(GroupBy, Filter)>,
}

impl Folded {
    /// The next thing to group by; after the last one nothing.
    pub(super) fn next(&mut self) {
        let place =
            self.by.map_or(0, |by| ALL.iter().position(|one| *one == by).map_or(0, |place| place + 1));
        *self = Self { by: ALL.get(place).copied(), ..Self::default() };
    }

    /// What the proxy says. The selection stays where it was, as far as there is as much.
    pub(super) fn take(&mut self, found: Option<ConnectionGroups>) {
        let last = found.as_ref().and_then(|found| found.groups.len().checked_sub(1));
        self.rows.select(last.map(|last| self.rows.selected().unwrap_or(0).min(last)));
        self.found = found;
    }

    fn selected(&self) -> Option<&ConnectionGroup> {
        self.found.as_ref()?.groups.get(self.rows.selected()?)
    }

    /// Moves about, if that is what `key` is for.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other keys are somebody else's")]
    pub(super) fn key(&mut self, key: KeyCode) -> bool {
        match key {
            KeyCode::Down => self.rows.select_next(),
            KeyCode::Up => self.rows.select_previous(),
            KeyCode::PageDown => self.rows.scroll_down_by(LEAP),
            KeyCode::PageUp => self.rows.scroll_up_by(LEAP),
            KeyCode::Home => self.rows.select_first(),
            KeyCode::End => {
                let last = self.found.as_ref().and_then(|found| found.groups.len().checked_sub(1));
                self.rows.select(last);
            }
            _ => return false,
        }
        true
    }

    /// The filter that lets through who is in the selected group, of those that `filter` does; None where no filter can say it.
    pub(super) fn of_selected(&self, filter: &Filter) -> Option<Filter> {
        let (by, group) = (self.by?, self.selected()?);
        let name = Some(group.name.clone()?);
        let filter = filter.clone();
        Some(match by {
            GroupBy::Route => Filter { route: name, ..filter },
            GroupBy::Target => Filter { target: name, ..filter },
            GroupBy::Client => Filter { client: name, ..filter },
            GroupBy::ServerName => Filter { server_name: name, ..filter },
            GroupBy::Phase => Filter { phase: name, ..filter },
        })
    }

    /// How many are in the selected group.
    pub(super) fn count(&self) -> u64 {
        self.selected().map_or(0, |group| group.connections)
    }

    /// Opens the selected group up; what its connections are let through by, or why it cannot be.
    pub(super) fn unfold(&mut self, filter: &Filter) -> Result<Filter, &'static str> {
        if self.selected().is_none() {
            return Err("no group is selected");
        }
        let of_group = self.of_selected(filter).ok_or("these have nothing to be filtered by")?;
        self.before = self.by.take().map(|by| (by, filter.clone()));
        Ok(of_group)
    }

    /// Goes back from an opened group to the groups; the filter of that time.
    pub(super) fn fold(&mut self) -> Option<Filter> {
        let (by, filter) = self.before.take()?;
        self.by = Some(by);
        Some(filter)
    }

    /// Shows connections again, not groups. Whether groups were shown.
    pub(super) fn leave(&mut self) -> bool {
        std::mem::take(self).by.is_some()
    }

    /// Draws the groups that `filter` lets through.
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>, area: Rect, filter: &Filter) {
        let Some(by) = self.by else { return };
        let width = area.width;
        let groups = self.found.as_ref().map_or(&[][..], |found| &found.groups);
        let columns: Vec<_> = COLUMNS.iter().filter(|(_, _, from, _)| *from <= width).collect();
        let taken: u16 = columns.iter().map(|(_, width, ..)| width + 1).sum();
        let room = width.saturating_sub(taken);
        let right = |text: String| Cell::new(Line::raw(text).alignment(Alignment::Right));
        let rows = groups.iter().map(|group| {
            let name = group.name.as_deref().map_or_else(|| none(by).to_owned(), plain);
            let style = if group.name.is_none() { FAINT } else { Style::new() };
            let name = Cell::new(Line::styled(shortened(&name, room.into()), style));
            Row::new(std::iter::once(name).chain(columns.iter().map(|(.., cell)| right(cell(group)))))
        });
        let names = columns.iter().map(|(name, ..)| right((*name).to_owned()));
        let header = Row::new(std::iter::once(Cell::new(header(by))).chain(names)).style(BOLD);
        let widths = columns.iter().map(|(_, width, ..)| Constraint::Length(*width));
        let widths = std::iter::once(Constraint::Length(room)).chain(widths);
        let title = cut(Line::styled(self.title(by, filter), BOLD), width.into());
        let table = Table::new(rows, widths).header(header).block(Block::new().title(title));
        let table = table.row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
        frame.render_stateful_widget(table, area, &mut self.rows);
    }

    fn title(&self, by: GroupBy, filter: &Filter) -> String {
        let told = filter::told(filter);
        let Some(found) = &self.found else {
            return format!("connections by {}: asking the proxy …", word(by));
        };
        let all = if told.is_empty() {
            format!("{} connections", found.matched)
        } else {
            format!("{} of {} connections ({told})", found.matched, found.total)
        };
        let (listed, groups) = (found.groups.len() as u64, found.groups_total);
        let cut = if listed < groups { format!(", {listed} listed") } else { String::new() };
        plain(&format!("{all} in {groups} groups by {}, the largest first{cut}", word(by)))
    }
}

/// A column of numbers: its header, its width, the least width of the screen that has it, and its cell.
type Column = (&'static str, u16, u16, fn(&ConnectionGroup) -> String);

const COLUMNS: [Column; 7] = [
    ("OPEN", 6, 0, |group| group.connections.to_string()),
    ("DIAL", 5, NARROW, |group| group.phases[Phase::Dial].to_string()),
    ("RELAY", 5, NARROW, |group| group.phases[Phase::Relay].to_string()),
    ("DRAIN", 5, NARROW, |group| group.phases[Phase::Drain].to_string()),
    ("OLDEST", 6, 0, |group| age(group.oldest_s)),
    ("SILENT", 6, NARROW, |group| age(group.longest_idle_s)),
    ("BYTES", 8, NARROW, |group| bytes(group.from_client_bytes.saturating_add(group.from_backend_bytes))),
];

fn word(by: GroupBy) -> &'static str {
    match by {
        GroupBy::Route => "route",
        GroupBy::Target => "target",
        GroupBy::Client => "client",
        GroupBy::ServerName => "server name",
        GroupBy::Phase => "phase",
    }
}

fn header(by: GroupBy) -> &'static str {
    match by {
        GroupBy::Route => "ROUTE",
        GroupBy::Target => "TARGET",
        GroupBy::Client => "CLIENT",
        GroupBy::ServerName => "SERVER NAME",
        GroupBy::Phase => "PHASE",
    }
}

/// Those that have nothing of the kind, or of which it is not known yet.
fn none(by: GroupBy) -> &'static str {
    match by {
        GroupBy::Route => "(no route yet)",
        GroupBy::Target => "(no target yet)",
        GroupBy::Client => "(not known)",
        GroupBy::ServerName => "(none)",
        GroupBy::Phase => "-",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::feed::{News, Victims};
    use crate::top::state::tests::{code, page, press, sample_of};
    use crate::top::state::{Action, Mode, State};
    use crate::top::view::tests::drawn;
    use proxy_api::model::Phases;
    use tokio::time::Instant;

    fn group(name: Option<&str>, connections: u64) -> ConnectionGroup {
        ConnectionGroup {
            name: name.map(str::to_owned),
            connections,
            phases: Phases::default(),
            oldest_s: 61.0,
            longest_idle_s: 12.0,
            from_client_bytes: 1024,
            from_backend_bytes: 2048,
        }
    }

    /// One in which connections are grouped by route.
    fn by_route() -> State {
        let mut state = State::default();
        state.take(sample_of(Vec::new()));
        assert_eq!(press(&mut state, "g"), Some(Action::Look));
        assert_eq!(state.wants().by, Some(GroupBy::Route));
        state.take(with_groups(vec![group(Some("web"), 90), group(Some("api"), 9), group(None, 1)]));
        state
    }

    fn with_groups(groups: Vec<ConnectionGroup>) -> News {
        let found = ConnectionGroups { total: 100, matched: 100, groups_total: groups.len() as u64, groups };
        let News::Page { page, busiest, at, .. } = page(&[("a-1", "relay", 0)], Instant::now()) else {
            unreachable!("it is a page")
        };
        News::Page { page, busiest, at, groups: Some(found) }
    }

    #[test]
    fn groups_are_shown_opened_up_and_folded_again() {
        let mut state = by_route();
        let screen = drawn(&mut state, 80, 24);
        assert!(screen.contains("100 connections in 3 groups by route, the largest first\n"), "{screen}");
        assert!(
            screen.contains("ROUTE ") && screen.contains("\nweb ") && screen.contains("(no route yet)"),
            "{screen}"
        );
        assert!(screen.contains("3.0 KiB"), "{screen}");
        code(&mut state, KeyCode::Down);
        assert_eq!(code(&mut state, KeyCode::Enter), Some(Action::Look));
        let wants = state.wants();
        assert_eq!((wants.by, wants.filter.route.as_deref()), (None, Some("api")));
        assert_eq!(code(&mut state, KeyCode::Esc), Some(Action::Look));
        let wants = state.wants();
        assert_eq!((wants.by, wants.filter), (Some(GroupBy::Route), Filter::default()), "back to the groups");
        assert_eq!(code(&mut state, KeyCode::Esc), Some(Action::Look));
        assert_eq!(state.wants().by, None, "and to the list");
    }

    #[test]
    fn who_has_nothing_in_common_is_not_opened_up() {
        let mut state = by_route();
        code(&mut state, KeyCode::End);
        assert_eq!(code(&mut state, KeyCode::Enter), None);
        assert_eq!(state.notice.as_deref(), Some("these have nothing to be filtered by"));
        assert_eq!(state.wants().by, Some(GroupBy::Route));
    }

    #[test]
    fn a_group_is_ended_after_a_yes() {
        let mut state = by_route();
        assert_eq!(press(&mut state, "k"), None);
        assert!(
            matches!(&state.mode, Mode::Confirm { question, .. } if question == "end all 90 that match route=web?")
        );
        let web = Filter { route: Some("web".to_owned()), ..Filter::default() };
        assert_eq!(press(&mut state, "y"), Some(Action::Kill(Victims::Matching(Box::new(web)))));
    }

    #[test]
    fn a_key_goes_through_all_of_them() {
        let mut state = State::default();
        let mut seen = Vec::new();
        for _ in 0..6 {
            press(&mut state, "g");
            seen.push(state.wants().by);
        }
        let all: Vec<_> = ALL.into_iter().map(Some).chain([None]).collect();
        assert_eq!(seen, all);
    }

    #[test]
    fn it_fits_on_a_tiny_screen() {
        let mut state = by_route();
        for (width, height) in [(40, 12), (24, 11), (160, 44)] {
            let screen = drawn(&mut state, width, height);
            assert!(screen.contains("web") && screen.contains("90"), "{screen}");
        }
    }
}
