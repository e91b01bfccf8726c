//! The connections of `top`: as many columns as there is room for.

use ratatui::layout::{Alignment, Constraint};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row, Table};

use super::state::State;
use super::style::{ALARM, BOLD, NARROW, colour, columns as screen_columns};
use crate::conns;
use crate::format::{age, bytes, known, plain, shortened};
use proxy_api::model::{Connection, SortBy};

/// How wide a column is.
#[derive(Clone, Copy)]
enum Width {
    Columns(u16),
    /// It takes what the others leave.
    Rest,
}

/// A column: its header, its width, the least width of the screen that has it, and its cell.
#[derive(Clone, Copy)]
struct Column {
    name: &'static str,
    width: Width,
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
    Column { name, width: Width::Columns(width), from, right: true, cell }
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
            width: Width::Rest,
            from: NARROW,
            right: false,
            cell: |connection, _| text(conns::client(connection)),
        },
        Column {
            name: "→ TARGET",
            width: Width::Rest,
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
    let widths = widths(&columns, connections, state, width);
    let header = Row::new(columns.iter().map(|column| {
        let align = if column.right { Alignment::Right } else { Alignment::Left };
        Cell::new(Line::raw(column.name).alignment(align))
    }));
    let rows: Vec<Row<'static>> = connections
        .iter()
        .map(|connection| {
            Row::new(columns.iter().zip(&widths).map(|(column, width)| {
                let align = if column.right { Alignment::Right } else { Alignment::Left };
                let mut cell = (column.cell)(connection, state);
                cell.content = shortened(&cell.content, (*width).into()).into();
                Cell::new(Line::from(cell).alignment(align))
            }))
        })
        .collect();
    Table::new(rows, widths.into_iter().map(Constraint::Length)).header(header.style(BOLD))
}

/// How wide each column is, on a screen of this width. Those that take what is left share it evenly, but what one of them does
/// not need is the others'.
fn widths(columns: &[Column], connections: &[Connection], state: &State, width: u16) -> Vec<u16> {
    let fixed = |column: &Column| match column.width {
        Width::Columns(width) => Some(width),
        Width::Rest => None,
    };
    // One column between any two.
    let between = screen_columns(columns.len().saturating_sub(1));
    let taken = columns.iter().filter_map(fixed).fold(between, u16::saturating_add);
    let mut left = width.saturating_sub(taken);
    let needs = |column: &Column| {
        let cells = connections.iter().map(|connection| (column.cell)(connection, state).width());
        screen_columns(cells.max().unwrap_or(0).max(column.name.chars().count()))
    };
    let mut rest: Vec<(usize, u16)> = columns
        .iter()
        .enumerate()
        .filter(|(_, one)| fixed(one).is_none())
        .map(|(n, one)| (n, needs(one)))
        .collect();
    rest.sort_by_key(|(_, needed)| *needed);
    // Where none needs more than its share, columns stay at their places.
    let share = left / screen_columns(rest.len()).max(1);
    if rest.iter().all(|(_, needed)| *needed <= share) {
        rest.iter_mut().for_each(|(_, needed)| *needed = share);
    }
    let mut widths: Vec<u16> = columns.iter().map(|column| fixed(column).unwrap_or(0)).collect();
    let mut sharing = screen_columns(rest.len());
    for (n, needed) in rest {
        let share = left / sharing.max(1);
        // The one that needs the most takes what is left.
        let given = if sharing == 1 { left } else { needed.min(share) };
        widths.iter_mut().skip(n).take(1).for_each(|width| *width = given);
        left -= given;
        sharing -= 1;
    }
    widths
}
