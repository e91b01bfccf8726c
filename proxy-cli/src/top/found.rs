//! What is wrong, in `top`: a few lines above the rest, and all of it in full.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::Paragraph;

use super::scroll::Scroll;
use super::style::{ALARM, BOLD, FAINT, columns, cut};
use crate::findings;
use crate::format::{age, plain};
use proxy_api::model::{Finding, Sample};

/// Lines that it takes at most, where there is room for everything and where there is not.
const MANY: u16 = 6;
const FEW: u16 = 3;

/// On a screen with fewer lines it is one.
const TINY: u16 = 16;

/// From so many lines on there is room.
const TALL: u16 = 35;

/// How many lines it gets of so many.
pub(super) fn lines(sample: &Sample, height: u16) -> u16 {
    let most = match height {
        TALL.. => MANY,
        TINY.. => FEW,
        _ => 1,
    };
    columns(sample.findings.len()).min(most)
}

/// Draws the worst of it; the last line says how much more there is.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, found: &[Finding]) {
    let room = usize::from(area.height);
    let shown = if found.len() > room { room.saturating_sub(1) } else { found.len() };
    let width = area.width.into();
    let mut lines: Vec<_> = found.iter().take(shown).map(|finding| cut(line(finding), width)).collect();
    match found.get(shown..) {
        // Where there is one line it says both.
        Some([worst, more @ ..]) if shown == 0 => {
            let more = if more.is_empty() { String::new() } else { format!("  (! {} more)", more.len()) };
            let mut worst = cut(line(worst), usize::from(area.width).saturating_sub(more.chars().count()));
            worst.push_span(Span::styled(more, FAINT));
            lines.push(worst);
        }
        Some(more @ [first, ..]) => {
            let told = format!("! and {} more (press !)", more.len());
            lines.push(Line::styled(told, style(&first.severity)));
        }
        Some([]) | None => {}
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn line(finding: &Finding) -> Line<'static> {
    let style = style(&finding.severity);
    let subject = plain(&findings::subject(&finding.subject));
    Line::from(vec![
        Span::styled(format!("! {subject} "), style),
        Span::styled(format!("{} ", age(finding.since_s)), FAINT),
        Span::raw(plain(&finding.sentence)),
    ])
}

/// How bad it is, as a colour.
fn style(severity: &str) -> Style {
    match severity {
        "critical" => ALARM,
        "warning" => Style::new().fg(Color::Yellow),
        _ => Style::new(),
    }
}

/// Draws all of it over the whole screen, each with the commands that show more and mend.
pub(super) fn draw_all(frame: &mut Frame<'_>, area: Rect, found: &[Finding], scroll: &mut Scroll) {
    let mut text = Text::default();
    for finding in found {
        let [head, shows, mends] = findings::lines(finding);
        text.push_line(Line::from(vec![
            Span::styled(format!("{} ", finding.severity), style(&finding.severity)),
            Span::styled(plain(&head), BOLD),
        ]));
        text.push_line(plain(&shows));
        text.push_line(plain(&mends));
    }
    if found.is_empty() {
        text.push_line("nothing is found: all is well, as far as the rules see");
    }
    scroll.draw(frame, area, Line::styled("what is wrong", BOLD), text);
}

/// How much trouble a route is in by what is found: of itself, of its targets, of its group's members.
pub(super) fn worst<'a>(found: &'a [Finding], route: &str, group: Option<&str>) -> Option<&'a str> {
    let of_group = |finding: &Finding| {
        let of = finding.subject.of.as_deref().and_then(|of| of.strip_prefix('@'));
        finding.subject.kind == "target" && of.is_some() && of == group
    };
    let its =
        |finding: &&Finding| findings::of_route(std::slice::from_ref(*finding), route) || of_group(finding);
    let severities = found.iter().filter(its).map(|finding| finding.severity.as_str());
    severities.max_by_key(|severity| match *severity {
        "critical" => 2,
        "warning" => 1,
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::top::feed::News;
    use crate::top::state::State;
    use crate::top::state::tests::{code, press, sample_of};
    use crate::top::view::tests::drawn;
    use crossterm::event::KeyCode;

    fn with(found: Vec<Finding>) -> State {
        let routes = (0..12).map(|n| fixtures::route(&format!("r{n}"), 0, 100 - n)).collect();
        let News::Sample(mut sample, at) = sample_of(routes) else { unreachable!("it is a sample") };
        sample.findings = found;
        let mut state = State::default();
        state.take(News::Sample(sample, at));
        state
    }

    fn five() -> Vec<Finding> {
        let mut found = vec![
            fixtures::finding("failing", "critical", "route", "r11", None),
            fixtures::finding("silent", "critical", "target", "10.0.0.1:80", Some("r10")),
        ];
        found.extend((7..10).map(|n| fixtures::finding("grows", "warning", "route", &format!("r{n}"), None)));
        found
    }

    #[test]
    fn the_worst_is_at_the_top_and_what_is_cut_is_counted() {
        let screen = drawn(&mut with(five()), 80, 24);
        let lines: Vec<_> = screen.lines().collect();
        assert_eq!(lines[4], "! route r11 10s it is failing", "{screen}");
        assert_eq!(lines[5], "! target 10.0.0.1:80 of r10 10s it is silent", "{screen}");
        assert_eq!(lines[6], "! and 3 more (press !)", "{screen}");
        let screen = drawn(&mut with(five()), 160, 44);
        assert!(screen.contains("! route r9 10s it is grows") && !screen.contains("more (press"), "{screen}");
        let tiny = drawn(&mut with(five()), 40, 12);
        assert!(tiny.contains("! route r11 10s it is faili…  (! 4 more)\n"), "{tiny}");
        let well = drawn(&mut with(Vec::new()), 80, 24);
        assert!(
            well.lines().nth(4).is_some_and(|line| line.starts_with("ROUTE")),
            "it takes no line: {well}"
        );
    }

    #[test]
    fn routes_that_something_is_found_of_are_first() {
        let screen = drawn(&mut with(five()), 80, 24);
        let rows = screen.lines().skip_while(|line| !line.starts_with("ROUTE")).skip(1);
        let names: Vec<_> = rows.take(5).filter_map(|line| line.split_whitespace().next()).collect();
        // The most connections first, of the same trouble.
        assert_eq!(names, ["r10", "r11", "r7", "r8", "r9"], "{screen}");
    }

    #[test]
    fn all_of_it_is_shown_with_what_to_type() {
        let mut state = with(five());
        press(&mut state, "!");
        let screen = drawn(&mut state, 80, 24);
        assert!(screen.contains("critical route r11, for 10s: it is failing"), "{screen}");
        assert!(
            screen.contains("see:  smartproxy conns") && screen.contains("mend: look at its log"),
            "{screen}"
        );
        code(&mut state, KeyCode::Esc);
        assert!(drawn(&mut state, 80, 24).contains("\nROUTE"), "and back");
    }

    #[test]
    fn a_groups_member_is_its_routes_trouble() {
        let found = [fixtures::finding("silent", "warning", "target", "10.0.0.1:80", Some("@inner"))];
        assert_eq!(worst(&found, "web", Some("inner")), Some("warning"));
        assert_eq!(worst(&found, "web", Some("other")), None);
        assert_eq!(worst(&found, "web", None), None);
    }
}
