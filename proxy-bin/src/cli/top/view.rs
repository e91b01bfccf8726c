//! Drawing `top`.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Sparkline, Wrap};

use super::parts::{busiest_table, connection_table, route_table};
use super::state::{Mode, State};
use crate::admin::model::{Sample, Usage};
use crate::cli::filter;
use crate::cli::format::{age, bytes, plain, usage};
use crate::cli::status::{audit_line, by_phase};

/// On a screen of so many lines there is room for the history and the busiest, too.
const TALL: u16 = 36;

/// What wants attention, and what is well.
pub(super) const ALARM: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const WELL: Style = Style::new().fg(Color::Green);
pub(super) const FAINT: Style = Style::new().add_modifier(Modifier::DIM);
pub(super) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State) {
    let area = frame.area();
    let Some(sample) = state.sample.take() else {
        let text = state.lost.as_deref().unwrap_or("waiting for the proxy …");
        frame.render_widget(Paragraph::new(plain(text)).wrap(Wrap { trim: false }), area);
        return;
    };
    let tall = area.height >= TALL;
    let most_routes: usize = if tall { 10 } else { 4 };
    let routes = u16::try_from(sample.routes.len().min(most_routes)).unwrap_or(4) + 1;
    let [head, history, route_area, list, busiest, foot] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(if tall { 5 } else { 0 }),
        Constraint::Length(routes),
        Constraint::Min(3),
        Constraint::Length(if tall { 7 } else { 0 }),
        Constraint::Length(1),
    ])
    .areas(area);
    draw_head(frame, head, state, &sample);
    if tall {
        draw_history(frame, history, state, &sample);
        let title = Block::new().title(Line::styled("the busiest", BOLD));
        frame.render_widget(busiest_table(state, busiest.width).block(title), busiest);
    }
    frame.render_widget(route_table(&sample.routes, most_routes, route_area.width), route_area);
    draw_list(frame, list, state);
    draw_foot(frame, foot, state);
    match &state.mode {
        Mode::Help => draw_help(frame),
        Mode::Confirm { question, .. } => draw_question(frame, question),
        Mode::List | Mode::Filter(_) => {}
    }
    state.sample = Some(sample);
}

/// The four lines that are always there.
fn draw_head(frame: &mut Frame<'_>, area: Rect, state: &State, sample: &Sample) {
    let [title, counts, phases, pools] = Layout::vertical([Constraint::Length(1); 4]).areas(area);
    let status = &sample.status;
    let who = Line::from(vec![
        Span::styled(plain(&status.name), BOLD),
        Span::raw(format!("  up {}  ", age(status.uptime_s))),
        Span::styled(plain(&status.state), if status.ready { WELL } else { ALARM }),
        Span::styled(if state.paused { "  PAUSED" } else { "" }, ALARM),
    ]);
    frame.render_widget(Paragraph::new(who), title);
    let audit = &status.audit;
    let light = if audit.clean && audit.blind.is_none() { WELL } else { ALARM };
    let light = Line::styled(format!("● audit {}", plain(&audit_line(audit))), light);
    frame.render_widget(Paragraph::new(light).alignment(Alignment::Right), title);

    let open = Usage { used: status.connections, most: Some(status.max_connections) };
    let rates = state
        .rates
        .map_or_else(String::new, |(opened, ended)| format!("  +{opened:.1}/s opened  -{ended:.1}/s ended"));
    let line = format!(
        "{} open{rates}  {} descriptors  {}",
        usage(open),
        usage(status.descriptors),
        bytes(status.memory.resident_bytes)
    );
    frame.render_widget(Paragraph::new(line), counts);
    draw_phases(frame, phases, sample);
    frame.render_widget(Paragraph::new(pool_line(sample)), pools);
}

/// The colour of each phase.
pub(super) fn colour(phase: &str) -> Color {
    match phase {
        "header" => Color::Cyan,
        "peek" => Color::Blue,
        "dial" => Color::Yellow,
        "relay" => Color::Green,
        _ => Color::Magenta,
    }
}

/// Counts by phase, and a bar of them as wide as is left.
fn draw_phases(frame: &mut Frame<'_>, area: Rect, sample: &Sample) {
    let phases = by_phase(&sample.status.phases);
    let mut spans = Vec::new();
    for (phase, count) in phases {
        let style = if count > 0 { Style::new().fg(colour(phase)) } else { FAINT };
        spans.push(Span::styled(format!("{phase} {count}  "), style));
    }
    let told = Line::from(spans);
    let width = u16::try_from(told.width()).unwrap_or(area.width).min(area.width);
    let [text, bar] = Layout::horizontal([Constraint::Length(width), Constraint::Min(0)]).areas(area);
    frame.render_widget(Paragraph::new(told), text);
    let total: u64 = phases.iter().map(|(_, count)| count).sum();
    let mut spans = Vec::new();
    let (mut so_far, mut drawn) = (0, 0);
    for (phase, count) in phases {
        so_far += count;
        // Up to here, so that roundings do not add up.
        let end = so_far.saturating_mul(bar.width.into()).checked_div(total).unwrap_or(0);
        let cells = usize::try_from(end.saturating_sub(drawn)).unwrap_or(0);
        spans.push(Span::styled("█".repeat(cells), Style::new().fg(colour(phase))));
        drawn = end;
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), bar);
}

fn pool_line(sample: &Sample) -> Line<'static> {
    let mut spans = vec![Span::raw("pools  ")];
    for pool in &sample.status.pools {
        let style = if pool.level == "normal" { WELL } else { ALARM };
        spans.push(Span::raw(format!("{} {} ", plain(&pool.name), usage(pool.connections))));
        let why = pool.signal.as_deref().map(|why| format!(" ({})", plain(why))).unwrap_or_default();
        spans.push(Span::styled(format!("{}{why}", plain(&pool.level)), style));
        if pool.waiting > 0 {
            spans.push(Span::styled(format!(" {} wait", pool.waiting), ALARM));
        }
        spans.push(Span::raw("   "));
    }
    for drain in &sample.status.drains {
        spans.push(Span::styled(plain(&crate::cli::status::drain_line(drain)), ALARM));
        spans.push(Span::raw("   "));
    }
    Line::from(spans)
}

/// Open connections over the last samples, and how old those are that are open now.
fn draw_history(frame: &mut Frame<'_>, area: Rect, state: &State, sample: &Sample) {
    let [title, chart, ages] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(area);
    let most = state.history.iter().max().copied().unwrap_or(0);
    let told = format!("open over the last {} s (at most {most})", state.history.len());
    frame.render_widget(Paragraph::new(Line::styled(told, BOLD)), title);
    let room = usize::from(chart.width);
    let shown: Vec<u64> =
        state.history.iter().skip(state.history.len().saturating_sub(room)).copied().collect();
    let line = Sparkline::default().data(&shown).style(Style::new().fg(Color::Green));
    frame.render_widget(line, chart);
    let buckets = sample.ages.iter().filter(|bucket| bucket.connections > 0);
    let told: Vec<String> = buckets
        .map(|bucket| {
            let most = bucket.at_most_s.map_or_else(|| "more".to_owned(), |most| format!("≤ {}", age(most)));
            format!("{most} {}", bucket.connections)
        })
        .collect();
    frame.render_widget(Paragraph::new(format!("ages   {}", told.join("   "))), ages);
}

fn draw_list(frame: &mut Frame<'_>, area: Rect, state: &mut State) {
    let filter = filter::told(&state.wants.filter);
    let page = &state.page;
    let mut title = if filter.is_empty() {
        format!("{} connections", page.matched)
    } else {
        format!("{} of {} connections: {filter}", page.matched, page.total)
    };
    title.push_str(&format!(", {}", filter::first(state.wants.sort)));
    let shown = page.connections.len() as u64;
    if shown < page.matched {
        title.push_str(&format!(", {shown} listed"));
    }
    let table =
        connection_table(state, area.width).block(Block::new().title(Line::styled(plain(&title), BOLD)));
    frame.render_stateful_widget(table, area, &mut state.rows);
}

const KEYS: &str = "q quit  ? help  / filter  s sort  ↑↓ select  k kill  K kill all  space pause";

fn draw_foot(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let line = match (&state.mode, &state.notice, &state.lost) {
        (_, Some(notice), _) => Line::styled(plain(notice), ALARM),
        (Mode::Filter(text), None, _) => {
            frame.set_cursor_position((
                area.x.saturating_add(u16::try_from(8 + text.chars().count()).unwrap_or(u16::MAX)),
                area.y,
            ));
            Line::from(vec![
                Span::styled("filter: ", BOLD),
                Span::raw(plain(text)),
                Span::styled("   (phase=dial min_idle=10m …; Enter, Esc)", FAINT),
            ])
        }
        (_, None, Some(lost)) => Line::styled(plain(lost.lines().next().unwrap_or_default()), ALARM),
        (_, None, None) => Line::styled(KEYS, FAINT),
    };
    frame.render_widget(Paragraph::new(line), area);
}

const HELP: &str = "\
q, Esc      quit                        a  the oldest first
space       pause, go on                b  the busiest first
/           filter, such as phase=dial  i  the longest silent first
            min_idle=10m route=api      p  the longest in its phase first
↑ ↓ PgUp    select                      s  the next of these orders
k, Del      end the selected connection (asks)
K           end all that match the filter (asks)

phases  header: reads the PROXY header    relay: both sides are connected
        peek:   reads the ClientHello     drain: one side has ended
        dial:   waits for a place or for the backend

any key closes this";

fn draw_help(frame: &mut Frame<'_>) {
    draw_box(frame, "help", HELP, 78);
}

fn draw_question(frame: &mut Frame<'_>, question: &str) {
    draw_box(frame, "really?", &format!("{}\n\ny: yes    any other key: no", plain(question)), 66);
}

/// A box in the middle, over everything else.
fn draw_box(frame: &mut Frame<'_>, title: &str, text: &str, width: u16) {
    let area = frame.area();
    let width = width.min(area.width);
    let inside = usize::from(width.saturating_sub(4)).max(1);
    let lines: usize = text.lines().map(|line| line.chars().count().div_ceil(inside).max(1)).sum();
    let height = u16::try_from(lines + 2).unwrap_or(area.height).min(area.height);
    let [middle] =
        Layout::vertical([Constraint::Length(height)]).flex(ratatui::layout::Flex::Center).areas(area);
    let [middle] =
        Layout::horizontal([Constraint::Length(width)]).flex(ratatui::layout::Flex::Center).areas(middle);
    frame.render_widget(Clear, middle);
    let block =
        Block::bordered().title(format!(" {title} ")).padding(ratatui::widgets::Padding::horizontal(1));
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }).block(block), middle);
}

#[cfg(test)]
mod tests;
