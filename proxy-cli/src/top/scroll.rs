//! How far a text that may be longer and wider than the screen is moved.

use crossterm::event::KeyCode;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Padding, Paragraph};

use super::style::columns;

/// Lines of a page, and columns of a step to the side.
const PAGE: u16 = 10;

/// How far it is moved. Drawing keeps it within the text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Scroll {
    down: u16,
    right: u16,
}

impl Scroll {
    /// Moves it, if that is what `key` is for.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other keys are somebody else's")]
    pub(super) fn key(&mut self, key: KeyCode) -> bool {
        match key {
            KeyCode::Down => self.down = self.down.saturating_add(1),
            KeyCode::Up => self.down = self.down.saturating_sub(1),
            KeyCode::PageDown => self.down = self.down.saturating_add(PAGE),
            KeyCode::PageUp => self.down = self.down.saturating_sub(PAGE),
            KeyCode::Home => *self = Self::default(),
            KeyCode::End => self.down = u16::MAX,
            KeyCode::Right => self.right = self.right.saturating_add(PAGE),
            KeyCode::Left => self.right = self.right.saturating_sub(PAGE),
            _ => return false,
        }
        true
    }

    /// Draws the part of `text` that is seen through a frame, and on it that there is more.
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>, area: Rect, mut title: Line<'_>, text: Text<'_>) {
        title.spans.insert(0, Span::raw(" "));
        title.push_span(" ");
        let mut block = Block::bordered().title(title).padding(Padding::horizontal(1));
        let inside = block.inner(area);
        let (below, beside) = (
            columns(text.height()).saturating_sub(inside.height),
            columns(text.width()).saturating_sub(inside.width),
        );
        (self.down, self.right) = (self.down.min(below), self.right.min(beside));
        if below > 0 || beside > 0 {
            block = block.title_bottom(if beside > 0 { " ↑↓ ←→ more " } else { " ↑↓ more " });
        }
        frame.render_widget(Paragraph::new(text).scroll((self.down, self.right)).block(block), area);
    }
}
