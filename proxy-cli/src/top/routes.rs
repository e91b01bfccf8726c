//! The routes of `top`: those in trouble first, and what there is no room for counted.

use std::cmp::Reverse;
use std::collections::HashMap;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::found::worst;
use super::style::{ALARM, BOLD, FAINT, NARROW, cut};
use crate::format::{age, bytes, count, next_try, plain, shortened, usage};
use crate::status::{DRAINED, is_up, state};
use proxy_api::model::{Group, Minute, Phase, Route, Sample, SampledSockets, Target};

/// From this width on targets say why they are in trouble, and every count has its column.
const WIDE: u16 = 110;

/// At least so many lines stay for the connections, with their title and header.
const LIST: u16 = 5;
/// On a screen that is too short for that as well.
const SHORT_LIST: u16 = 3;
/// Lines of routes that there are anyhow, and the most where all are well.
const FEW: u16 = 2;
const MANY: u16 = 10;

/// Targets of a route that are drawn, and as many that are in trouble: none is narrower than this is of the widest screens.
const MOST_TARGETS: usize = 100;

/// What comes first, of routes that are in the same trouble.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum RouteOrder {
    /// The most connections.
    #[default]
    Open,
    /// The most failed dials.
    Failed,
    /// The oldest connection.
    Oldest,
    /// By name.
    Name,
}

impl RouteOrder {
    /// The next of the orders that a key goes through.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Open => Self::Failed,
            Self::Failed => Self::Oldest,
            Self::Oldest => Self::Name,
            Self::Name => Self::Open,
        }
    }

    /// What comes first.
    pub(super) fn told(self) -> &'static str {
        match self {
            Self::Open => "the most connections first",
            Self::Failed => "the most failed dials first",
            Self::Oldest => "the oldest connection first",
            Self::Name => "by name",
        }
    }

    /// The header of the column that it sorts by.
    fn column(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Failed => "FAILED",
            Self::Oldest => "OLDEST",
            Self::Name => "ROUTE",
        }
    }

    fn sort(self, routes: &mut [Entry<'_>]) {
        match self {
            Self::Open => routes.sort_by_key(|one| Reverse(one.route.connections.used)),
            Self::Failed => routes.sort_by_key(|one| Reverse(failed(one))),
            Self::Oldest => routes.sort_by(|a, b| {
                let age = |one: &Entry<'_>| one.route.oldest_s.unwrap_or(0.0);
                age(b).total_cmp(&age(a))
            }),
            Self::Name => routes.sort_by(|a, b| a.route.name.cmp(&b.route.name)),
        }
    }
}

/// A route, and the targets that it is taken to: those that it lists, or the members of its group.
#[derive(Clone, Copy)]
struct Entry<'a> {
    route: &'a Route,
    targets: &'a [Target],
    /// How many of them may be used, where they are members of a group: another route may be taken there too.
    up: Option<(u64, u64)>,
    trouble: Trouble,
}

impl<'a> Entry<'a> {
    /// Those of a sample. A group is looked at once, however many routes are taken there.
    fn all(sample: &'a Sample) -> Vec<Self> {
        let of_group = |group: &'a Group| {
            let ill = group.members.iter().filter(|member| why(member).is_some()).count();
            (group.name.as_str(), (group, (group.members_up, group.members_in_all), ill))
        };
        let groups: HashMap<&str, _> = sample.groups.iter().map(of_group).collect();
        let entry = |route: &'a Route| {
            let group = route.group.as_deref().and_then(|group| groups.get(group));
            let (targets, up, ill) = match group {
                Some((group, up, ill)) => (group.members.as_slice(), Some(*up), *ill),
                None => {
                    (&*route.targets, None, route.targets.iter().filter(|one| why(one).is_some()).count())
                }
            };
            let found = worst(&sample.findings, &route.name, route.group.as_deref());
            Self { route, targets, up, trouble: trouble(route, targets, ill).min(Trouble::of(found)) }
        };
        sample.routes.iter().map(entry).collect()
    }
}

/// How much trouble a route is in; the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    /// None of its targets is well, or a finding says so: its clients are refused, or wait.
    Down,
    /// A target is not well, it is drained, it has no place left, or something is found of it.
    Partly,
    /// All is well.
    None,
}

impl Trouble {
    /// By the worst that is found.
    fn of(found: Option<&str>) -> Self {
        match found {
            Some("critical") => Self::Down,
            Some("warning") => Self::Partly,
            Some(_) | None => Self::None,
        }
    }
}

/// The trouble of a route of whose targets so many are ill.
fn trouble(route: &Route, targets: &[Target], ill: usize) -> Trouble {
    if ill > 0 && ill == targets.len() {
        return Trouble::Down;
    }
    if ill > 0 || route.draining || is_full(route) {
        return Trouble::Partly;
    }
    Trouble::None
}

fn is_full(route: &Route) -> bool {
    route.connections.most.is_some_and(|most| route.connections.used >= most)
}

fn failed(one: &Entry<'_>) -> u64 {
    one.targets.iter().flat_map(|target| target.failed_total.values()).sum()
}

/// Why a target is in trouble; none if it is not.
fn why(target: &Target) -> Option<String> {
    if target.draining {
        return Some(DRAINED.to_owned());
    }
    if !is_up(target) && target.state != "breaker_open" {
        return Some(state(target));
    }
    let failed = target.failures_in_a_row;
    match (target.breaker.as_str(), failed) {
        ("closed", 0) => None,
        ("closed", failed) => Some(format!("{} failed in a row", count(failed.into(), "dial", "dials"))),
        (breaker, failed) => {
            let retry = target.retry_in_s.map(|s| format!(", {}", next_try(s))).unwrap_or_default();
            let dials = count(failed.into(), "failed dial", "failed dials");
            Some(format!("breaker {breaker} after {dials}{retry}"))
        }
    }
}

/// How many lines the routes get under their header, of `free` that they share with the connections: a half of what those
/// do not need, and more where more than that are in trouble, as long as a few connections are left to see.
pub(super) fn lines(sample: &Sample, free: u16) -> u16 {
    let routes = Entry::all(sample);
    let all = u16::try_from(routes.len()).unwrap_or(u16::MAX);
    let ill = routes.iter().filter(|one| one.trouble != Trouble::None).count();
    let ill = u16::try_from(ill).unwrap_or(u16::MAX);
    // One more line says what is cut.
    let wanted = if ill < all { ill.saturating_add(1) } else { ill };
    let header = 1;
    let beside = |list: u16| free.saturating_sub(header + list);
    let room = beside(LIST).max(beside(SHORT_LIST).min(FEW)).max(1);
    let usual = (free.saturating_sub(header + LIST) / 2).clamp(FEW, MANY);
    usual.max(wanted).min(room).min(all)
}

/// Draws as many routes as there is room for, and how many there is none for.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, sample: &Sample, order: RouteOrder) {
    let mut sorted = Entry::all(sample);
    order.sort(&mut sorted);
    sorted.sort_by_key(|one| one.trouble);
    let room = usize::from(area.height.saturating_sub(1));
    if sorted.len() <= room {
        return frame.render_widget(table(&sorted, order, area.width), area);
    }
    let (shown, cut) = sorted.split_at(room.saturating_sub(1).min(sorted.len()));
    let [top, last] = Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(area);
    frame.render_widget(table(shown, order, area.width), top);
    frame.render_widget(Paragraph::new(cut_line(cut)), last);
}

/// What is cut, and whether anything of it wants attention.
fn cut_line(cut: &[Entry<'_>]) -> Line<'static> {
    let ill = cut.iter().filter(|one| one.trouble != Trouble::None).count();
    let more = count(cut.len() as u64, "more route", "more routes");
    match ill {
        0 => Line::styled(format!("… {more}, none in trouble"), FAINT),
        ill => Line::styled(format!("… {more}, {ill} in trouble"), ALARM),
    }
}

/// By how many more are open than a minute ago, and how many of a hundred have failed since.
const GROWN: &str = "±MIN";
const FAILING: &str = "FAIL%";

fn minute<'a>(one: &Entry<'a>) -> Option<&'a Minute> {
    one.route.outcomes.minute.as_ref()
}

/// Of those that ended, how many of a hundred the backend failed.
fn failing(minute: &Minute) -> String {
    let of = minute.ended.max(minute.failed).max(1);
    let percent = minute.failed.saturating_mul(100).div_ceil(of);
    percent.to_string()
}

/// A column of numbers: its header, its width, the least width of the screen that has it, and its cell.
type Number = (&'static str, u16, u16, fn(&Entry<'_>) -> String);

/// The numbers; how many there are by phase is in the line of all phases, too.
fn numbers(order: RouteOrder) -> [Number; 9] {
    let failed_from = if order == RouteOrder::Failed { 0 } else { WIDE };
    [
        ("OPEN", 11, 0, |one| usage(one.route.connections)),
        (GROWN, 5, NARROW, |one| {
            minute(one).map_or_else(|| "-".to_owned(), |minute| format!("{:+}", minute.grown))
        }),
        (FAILING, 5, NARROW, |one| minute(one).map_or_else(|| "-".to_owned(), failing)),
        ("DIAL", 5, NARROW, |one| one.route.phases[Phase::Dial].to_string()),
        ("RELAY", 5, WIDE, |one| one.route.phases[Phase::Relay].to_string()),
        ("DRAIN", 5, WIDE, |one| one.route.phases[Phase::Drain].to_string()),
        ("FAILED", 6, failed_from, |one| failed(one).to_string()),
        // Of those that were looked at.
        ("UNSENT", 7, WIDE, |one| one.route.sockets.map_or_else(|| "-".to_owned(), unsent)),
        ("OLDEST", 6, if order == RouteOrder::Oldest { 0 } else { NARROW }, |one| {
            one.route.oldest_s.map_or_else(|| "-".to_owned(), age)
        }),
    ]
}

/// What the kernel has not sent yet, to clients and to backends.
fn unsent(sockets: SampledSockets) -> String {
    bytes(sockets.client.unsent_bytes + sockets.backend.unsent_bytes)
}

fn table(routes: &[Entry<'_>], order: RouteOrder, width: u16) -> Table<'static> {
    let wide = width >= WIDE;
    let name: u16 = if wide { 20 } else { 12 };
    let numbers: Vec<Number> = numbers(order).into_iter().filter(|(_, _, from, _)| *from <= width).collect();
    let mut widths = vec![name];
    widths.extend(numbers.iter().map(|(name, least, ..)| if wide && *name == "OPEN" { 15 } else { *least }));
    // One column between any two.
    let taken: u16 = widths.iter().map(|width| width + 1).sum();
    let room = usize::from(width.saturating_sub(taken));
    let right = |text: String, style: Style| Cell::new(Line::styled(text, style).alignment(Alignment::Right));
    let rows: Vec<_> = routes
        .iter()
        .map(|one| {
            let mut cells = vec![Cell::new(shortened(&plain(&one.route.name), name.into()))];
            cells.extend(numbers.iter().zip(widths.iter().skip(1)).map(|((name, _, _, cell), width)| {
                let failed = || minute(one).is_some_and(|minute| minute.failed > 0);
                let alarm = (*name == "OPEN" && is_full(one.route)) || (*name == FAILING && failed());
                let cell = shortened(&cell(one), (*width).into());
                right(cell, if alarm { ALARM } else { Style::new() })
            }));
            cells.push(Cell::new(cut(targets(one, wide), room)));
            Row::new(cells)
        })
        .collect();
    let style = |name: &str| if name == order.column() { BOLD.underlined() } else { BOLD };
    let mut header = vec![Cell::new(Line::styled("ROUTE", style("ROUTE")))];
    header.extend(numbers.iter().map(|(name, ..)| right((*name).to_owned(), style(name))));
    header.push(Cell::new(Line::styled("TARGETS", BOLD)));
    let widths = widths.into_iter().map(Constraint::Length).chain([Constraint::Fill(1)]);
    Table::new(rows, widths).header(Row::new(header))
}

/// A route's targets, those in trouble in red and first: there may not be room for all.
fn targets(one: &Entry<'_>, wide: bool) -> Line<'static> {
    let Entry { route, targets, up, .. } = one;
    let mut spans = Vec::new();
    if route.draining {
        spans.push(Span::styled(format!("{DRAINED} "), ALARM));
    }
    if !route.enabled && route.in_force {
        spans.push(Span::styled("not enabled ", FAINT));
    }
    if let (Some(group), Some((up, all))) = (&route.group, up) {
        let style = if up < all { ALARM } else { Style::new() };
        spans.push(Span::raw(format!("@{} ", plain(group))));
        spans.push(Span::styled(format!("{up}/{all} up "), style));
    }
    // Beyond these there is no room on any screen.
    let (well, ill): (Vec<_>, Vec<_>) = targets.iter().partition(|target| why(target).is_none());
    let (well, ill) = (well.into_iter().take(MOST_TARGETS), ill.into_iter().take(MOST_TARGETS));
    for target in ill.chain(well) {
        let name = plain(&target.target);
        match why(target) {
            Some(why) if wide => spans.push(Span::styled(format!("{name} ({why}) "), ALARM)),
            Some(_) => spans.push(Span::styled(format!("!{name} "), ALARM)),
            None => spans.push(Span::raw(format!("{name} "))),
        }
    }
    Line::from(spans)
}

#[cfg(test)]
mod tests;
