//! One connection in full, over the whole screen.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};

use super::scroll::Scroll;
use super::style::{ALARM, BOLD};
use crate::format::plain;
use crate::{conns, show};
use proxy_api::model::ConnectionInFull;

/// A connection that is looked at. What was last known of it stays when it has ended.
#[derive(Debug)]
pub(super) struct Shown {
    /// Its id.
    pub(super) id: String,
    pub(super) scroll: Scroll,
    found: Option<Box<ConnectionInFull>>,
    /// Why nothing more is known.
    gone: Option<String>,
}

impl Shown {
    /// One of which nothing is known yet.
    pub(super) fn new(id: String) -> Self {
        Self { id, scroll: Scroll::default(), found: None, gone: None }
    }

    /// What the proxy says of it, or why it says nothing.
    pub(super) fn take(&mut self, found: Result<Box<ConnectionInFull>, String>) {
        match found {
            Ok(found) => (self.found, self.gone) = (Some(found), None),
            Err(why) => self.gone = Some(why),
        }
    }

    /// What can be asked about it: its phase, and who it is from.
    pub(super) fn about(&self) -> String {
        let Some(found) = &self.found else { return String::new() };
        format!(", {} from {}", found.connection.phase, conns::client(&found.connection))
    }

    /// Draws it; where no more is known, its title says so and its first line why.
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let mut title = Line::styled(format!("connection {}", plain(&self.id)), BOLD);
        let mut text = Text::default();
        if let Some(why) = &self.gone {
            title.push_span(Span::styled(", as last known", ALARM));
            text.push_line(Line::styled(plain(why), ALARM));
        }
        match (&self.found, &self.gone) {
            (Some(found), _) => text.extend(Text::raw(show::in_full(found))),
            (None, Some(_)) => {}
            (None, None) => text.push_line("asking the proxy …"),
        }
        self.scroll.draw(frame, area, title, text);
    }
}
