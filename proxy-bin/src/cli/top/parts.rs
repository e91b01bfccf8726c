//! The connections of `top`: as many columns as there is room for.

use ratatui::layout::{Alignment, Constraint};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row, Table};

use super::state::State;
use super::view::{ALARM, BOLD, NARROW, colour};
use crate::cli::conns;
use crate::cli::format::{age, bytes, known, plain};
use crate::model::{Connection, SortBy};

/// A column: its header, its width, the least width of the screen that has it, and its cell.
#[derive(Clone, Copy)]
struct Column {
    name: &'static str,
    width: Constraint,
    from: u16,
    right: bool,
    cell: fn(&Connection, &State) -> Span<'static>,
}

fn text(text: impl AsRef<str>) -> Span<'static> {
    Span::raw(plain(text.as_ref()))
}

const fn column(
    name: &'static str,
    width: u16,
    from: u16,
    cell: fn(&Connection, &State) -> Span<'static>,
) -> Column {
    Column { name, width: Constraint::Length(width), from, right: true, cell }
}

const fn left(column: Column) -> Column {
    Column { right: false, ..column }
}

/// The columns of the list. In a narrow one that is sorted by it, a time makes room for what it is sorted by.
fn columns(sort: SortBy) -> [Column; 10] {
    let (aged, idle, moved, in_phase) = match sort {
        SortBy::Bytes => (NARROW, 100, 0, 125),
        SortBy::InPhase => (NARROW, 100, 100, 0),
        SortBy::Idle => (NARROW, 0, 100, 125),
        SortBy::Age | SortBy::Id => (0, NARROW, 100, 125),
    };
    [
        left(column("ID", 15, 0, |connection, _| text(&connection.id))),
        left(column("PHASE", 6, 0, |connection, _| {
            Span::styled(plain(&connection.phase), Style::new().fg(colour(&connection.phase)))
        })),
        column("AGE", 6, aged, |connection, _| text(age(connection.age_s))),
        column("IDLE", 6, idle, |connection, _| text(age(connection.idle_s))),
        column("IN PHASE", 8, in_phase, |connection, _| text(age(connection.in_phase_s))),
        column("BYTES", 8, moved, |connection, _| text(bytes(moved_by(connection)))),
        column("BYTES/S", 9, 110, |connection, state| text(speed(connection, state))),
        Column {
            name: "CLIENT",
            width: Constraint::Fill(2),
            from: NARROW,
            right: false,
            cell: |connection, _| text(conns::client(connection)),
        },
        Column {
            name: "→ TARGET",
            width: Constraint::Fill(2),
            from: 0,
            right: false,
            cell: |connection, _| text(conns::target(connection)),
        },
        left(column("ROUTE", 12, 100, |connection, _| text(known(connection.route.as_deref())))),
    ]
}

const DEADLINE: Column = left(column("DEADLINE", 24, 140, |connection, _| {
    let style = if connection.deadline_in_s < 0.0 { ALARM } else { Style::new() };
    Span::styled(plain(&conns::deadline(connection)), style)
}));

fn moved_by(connection: &Connection) -> u64 {
    connection.from_client_bytes.saturating_add(connection.from_backend_bytes)
}

fn speed(connection: &Connection, state: &State) -> String {
    let Some(speed) = state.speeds.get(&connection.id) else { return "-".to_owned() };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "two digits are shown, and it is never below 0"
    )]
    let whole = *speed as u64;
    bytes(whole)
}

/// The list of connections.
pub(super) fn connection_table(state: &State, width: u16) -> Table<'static> {
    table(state, &state.page.connections, state.wants.sort, width)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
}

/// The few that moved the most.
pub(super) fn busiest_table(state: &State, width: u16) -> Table<'static> {
    table(state, &state.busiest, SortBy::Bytes, width)
}

fn table(state: &State, connections: &[Connection], sort: SortBy, width: u16) -> Table<'static> {
    let columns: Vec<_> =
        columns(sort).into_iter().chain([DEADLINE]).filter(|column| column.from <= width).collect();
    let header = Row::new(columns.iter().map(|column| {
        let align = if column.right { Alignment::Right } else { Alignment::Left };
        Cell::new(Line::raw(column.name).alignment(align))
    }));
    let rows: Vec<Row<'static>> = connections
        .iter()
        .map(|connection| {
            Row::new(columns.iter().map(|column| {
                let align = if column.right { Alignment::Right } else { Alignment::Left };
                Cell::new(Line::from((column.cell)(connection, state)).alignment(align))
            }))
        })
        .collect();
    Table::new(rows, columns.iter().map(|column| column.width)).header(header.style(BOLD))
}
