//! How things look, and how much of them fits.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

/// On a screen of fewer columns what matters less is left out.
pub(super) const NARROW: u16 = 60;

/// What wants attention, and what is well.
pub(super) const ALARM: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
pub(super) const WELL: Style = Style::new().fg(Color::Green);
pub(super) const FAINT: Style = Style::new().add_modifier(Modifier::DIM);
pub(super) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

/// So many columns or lines, as the screen counts them.
pub(super) fn columns(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// As much of a line as fits, with a mark where it is cut.
pub(super) fn cut(line: Line<'static>, most: usize) -> Line<'static> {
    if line.width() <= most {
        return line;
    }
    let mut left = most.saturating_sub(1);
    let mut spans = Vec::new();
    for span in line.spans {
        let kept: String = span.content.chars().take(left).collect();
        left -= kept.chars().count();
        spans.push(Span::styled(kept, span.style));
    }
    spans.push(Span::raw("…"));
    Line::from(spans)
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
