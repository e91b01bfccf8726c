//! Drawing `top`.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Padding, Paragraph, Sparkline, Wrap};

use super::found;
use super::keys::{draw_foot, draw_help};
use super::parts::{busiest_table, connection_table};
use super::routes;
use super::state::{Mode, State};
use super::style::{ALARM, BOLD, FAINT, NARROW, WELL, colour, columns, cut};
use crate::filter;
use crate::format::{age, bytes, plain, usage};
use crate::status::audit_line;
use proxy_api::model::{Pool, Sample, Usage};

/// With so many lines above the last there is room for the history and the busiest, too.
const TALL: u16 = 35;

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State) {
    let area = frame.area();
    let Some(sample) = state.sample.take() else {
        let text = state.lost.as_deref().unwrap_or("waiting for the proxy …");
        frame.render_widget(Paragraph::new(plain(text)).wrap(Wrap { trim: false }), area);
        return;
    };
    let [above, foot] = Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(area);
    match (&mut state.mode, &mut state.shown) {
        (Mode::Found(scroll), _) => found::draw_all(frame, above, &sample.findings, scroll),
        (_, Some(shown)) => shown.draw(frame, above),
        (_, None) => draw_tables(frame, above, state, &sample),
    }
    draw_foot(frame, foot, state);
    match &mut state.mode {
        Mode::Help(scroll) => draw_help(frame, scroll),
        Mode::Confirm { question, .. } => draw_question(frame, question),
        Mode::List | Mode::Filter(_) | Mode::Found(_) => {}
    }
    state.sample = Some(sample);
}

/// Everything above the last line: the proxy, its routes and its connections.
fn draw_tables(frame: &mut Frame<'_>, area: Rect, state: &mut State, sample: &Sample) {
    let tall = area.height >= TALL;
    let (history, busiest) = if tall { (5, 7) } else { (0, 0) };
    let found = found::lines(sample, area.height);
    let lines = routes::lines(sample, area.height.saturating_sub(4 + found + history + busiest));
    let [head, found, history, route_area, list, busiest] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(found),
        Constraint::Length(history),
        Constraint::Length(lines + 1),
        Constraint::Min(3),
        Constraint::Length(busiest),
    ])
    .areas(area);
    draw_head(frame, head, state, sample);
    found::draw(frame, found, &sample.findings);
    if tall {
        draw_history(frame, history, state, sample);
        let title = Block::new().title(Line::styled("the busiest", BOLD));
        frame.render_widget(busiest_table(state, busiest.width).block(title), busiest);
    }
    routes::draw(frame, route_area, sample, state.route_order);
    draw_list(frame, list, state);
}

/// The four lines that are always there.
fn draw_head(frame: &mut Frame<'_>, area: Rect, state: &State, sample: &Sample) {
    let [title, counts, phases, pools] = Layout::vertical([Constraint::Length(1); 4]).areas(area);
    let status = &sample.status;
    draw_title(frame, title, state, sample);
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
    draw_line(frame, counts, Line::raw(line));
    draw_phases(frame, phases, sample);
    draw_line(frame, pools, pool_line(sample));
}

/// Which proxy, and how it is. Where both do not fit it is the audit's figures, then the uptime that are left out.
fn draw_title(frame: &mut Frame<'_>, area: Rect, state: &State, sample: &Sample) {
    let status = &sample.status;
    let up = format!("  up {}", age(status.uptime_s));
    let who = |up: &str| {
        Line::from(vec![
            Span::styled(plain(&status.name), BOLD),
            Span::raw(format!("{up}  ")),
            Span::styled(plain(&status.state), if status.ready { WELL } else { ALARM }),
            Span::styled(if state.paused { "  PAUSED" } else { "" }, ALARM),
        ])
    };
    let audit = &status.audit;
    let light = if audit.clean && audit.blind.is_none() { WELL } else { ALARM };
    let light = |text: &str| Line::styled(format!("● audit {}", plain(text)), light);
    let short = match (audit.ago_s, audit.clean) {
        (None, _) => "none yet",
        (Some(_), true) => "clean",
        (Some(_), false) => "NOT CLEAN",
    };
    let choices = [(who(&up), light(&audit_line(audit))), (who(&up), light(short)), (who(""), light(short))];
    let fits = |(who, light): &(Line<'_>, Line<'_>)| columns(who.width() + 1 + light.width()) <= area.width;
    let Some((who, light)) = choices.into_iter().find(fits) else {
        return frame.render_widget(Paragraph::new(who("")), area);
    };
    frame.render_widget(Paragraph::new(who), area);
    frame.render_widget(Paragraph::new(light).alignment(Alignment::Right), area);
}

fn draw_line(frame: &mut Frame<'_>, area: Rect, line: Line<'static>) {
    frame.render_widget(Paragraph::new(cut(line, area.width.into())), area);
}

/// Counts by phase, and a bar of them as wide as is left.
fn draw_phases(frame: &mut Frame<'_>, area: Rect, sample: &Sample) {
    let phases: Vec<_> = sample.status.phases.iter().collect();
    let mut spans = Vec::new();
    let told = phases.iter().filter(|(_, count)| *count > 0 || area.width >= NARROW);
    for &(phase, count) in told {
        let style = if count > 0 { Style::new().fg(colour(phase.name())) } else { FAINT };
        spans.push(Span::styled(format!("{phase} {count}  "), style));
    }
    let told = Line::from(spans);
    let width = columns(told.width()).min(area.width);
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
        spans.push(Span::styled("█".repeat(cells), Style::new().fg(colour(phase.name()))));
        drawn = end;
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), bar);
}

/// The pools and the drains; what wants attention first: there may not be room for all.
fn pool_line(sample: &Sample) -> Line<'static> {
    let mut spans = vec![Span::raw("pools  ")];
    let is_well = |pool: &&Pool| pool.level == "normal" && pool.waiting == 0;
    let (well, ill): (Vec<_>, Vec<_>) = sample.status.pools.iter().partition(is_well);
    ill.into_iter().for_each(|pool| tell_pool(pool, &mut spans));
    for drain in &sample.status.drains {
        spans.push(Span::styled(plain(&crate::status::drain_line(drain)), ALARM));
        spans.push(Span::raw("   "));
    }
    well.into_iter().for_each(|pool| tell_pool(pool, &mut spans));
    Line::from(spans)
}

fn tell_pool(pool: &Pool, spans: &mut Vec<Span<'static>>) {
    let style = if pool.level == "normal" { WELL } else { ALARM };
    spans.push(Span::raw(format!("{} {} ", plain(&pool.name), usage(pool.connections))));
    let why = pool.signal.as_deref().map(|why| format!(" ({})", plain(why))).unwrap_or_default();
    spans.push(Span::styled(format!("{}{why}", plain(&pool.level)), style));
    if pool.waiting > 0 {
        spans.push(Span::styled(format!(" {} wait", pool.waiting), ALARM));
    }
    spans.push(Span::raw("   "));
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
    draw_line(frame, ages, Line::raw(format!("ages   {}", told.join("   "))));
}

fn draw_list(frame: &mut Frame<'_>, area: Rect, state: &mut State) {
    let filter = filter::told(&state.wants.filter);
    if let Some(why) = &state.refused {
        let title = Block::new().title(Line::styled(plain(&filter), BOLD));
        let why = Paragraph::new(Line::styled(plain(why), ALARM)).wrap(Wrap { trim: false }).block(title);
        return frame.render_widget(why, area);
    }
    if state.folded.by.is_some() {
        return state.folded.draw(frame, area, &state.wants.filter);
    }
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
    let title = cut(Line::styled(plain(&title), BOLD), area.width.into());
    let table = connection_table(state, area.width).block(Block::new().title(title));
    frame.render_stateful_widget(table, area, &mut state.rows);
}

/// A box in the middle, over everything else.
fn draw_question(frame: &mut Frame<'_>, question: &str) {
    let text = format!("{}\n\ny: yes    any other key: no", plain(question));
    let area = frame.area();
    let width = area.width.min(66);
    let inside = usize::from(width.saturating_sub(4)).max(1);
    let lines: usize = text.lines().map(|line| line.chars().count().div_ceil(inside).max(1)).sum();
    let height = columns(lines + 2).min(area.height);
    let middle = area.centered(Constraint::Length(width), Constraint::Length(height));
    frame.render_widget(Clear, middle);
    let block = Block::bordered().title(" really? ").padding(Padding::horizontal(1));
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }).block(block), middle);
}

#[cfg(test)]
pub(super) mod tests;
