//! A file, cut where its routes begin: most of a large file is routes, and each is a text of its own.
//!
//! ```text
//!  [limits]            ┐
//!  max_connections = 9 ┘ the rest
//!  [[routes]]          ┐
//!  name = "web"        │ a route: up to the next header that is not one of its own tables
//!  [routes.match]      │
//!  ports = [443]       ┘
//!  [[routes]] …          the next one
//! ```
//! Cut is at lines, which may lie within a value of several lines. Then the pieces are no TOML: whoever reads each of them by
//! itself, to its end, finds that out. If all of them are, the whole says what they say, one after the other.

/// A part of a text, and where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece<'t> {
    pub(crate) at: usize,
    pub(crate) text: &'t str,
}

/// A text in pieces.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pieces<'t> {
    whole: &'t str,
    /// Each begins with `[[routes]]`.
    pub(crate) routes: Vec<Piece<'t>>,
    /// What is before, between and after them; the first is there always, and may be empty.
    pub(crate) rest: Vec<Piece<'t>>,
}

/// What a line is the begin of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Header {
    Route,
    /// A table of the route before it.
    OfRoute,
    Other,
}

impl<'t> Pieces<'t> {
    pub(crate) fn of(whole: &'t str) -> Self {
        let mut pieces = Self { whole, routes: Vec::new(), rest: Vec::new() };
        let (mut from, mut in_route) = (0, false);
        let later = whole.match_indices('\n').map(|(newline, _)| newline + 1);
        for at in std::iter::once(0).chain(later) {
            match header(whole.get(at..).unwrap_or_default()) {
                Some(Header::Route) => {
                    pieces.push(in_route, from..at);
                    (from, in_route) = (at, true);
                }
                Some(Header::Other) if in_route => {
                    pieces.push(in_route, from..at);
                    (from, in_route) = (at, false);
                }
                Some(Header::OfRoute | Header::Other) | None => {}
            }
        }
        pieces.push(in_route, from..whole.len());
        if pieces.rest.is_empty() {
            pieces.rest.push(Piece { at: 0, text: "" });
        }
        pieces
    }

    fn push(&mut self, is_route: bool, range: std::ops::Range<usize>) {
        let piece = Piece { at: range.start, text: self.whole.get(range).unwrap_or_default() };
        if is_route {
            self.routes.push(piece);
        } else if !piece.text.is_empty() {
            self.rest.push(piece);
        }
    }
}

/// The header that a line begins with.
fn header(line: &str) -> Option<Header> {
    // Most lines have none, so that is found out first.
    let first = line.bytes().find(|byte| !matches!(byte, b' ' | b'\t'))?;
    if first != b'[' {
        return None;
    }
    let line = line.lines().next().unwrap_or_default().trim();
    let after = line.strip_prefix("[[routes]]");
    if after.is_some_and(|after| after.is_empty() || after.starts_with([' ', '\t', '#'])) {
        return Some(Header::Route);
    }
    let name = line.trim_start_matches(['[', ' ', '\t']);
    Some(if name.starts_with("routes.") { Header::OfRoute } else { Header::Other })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> (Vec<&str>, Vec<&str>) {
        let pieces = Pieces::of(text);
        let texts = |pieces: &[Piece<'_>]| -> Vec<&str> {
            pieces.iter().map(|piece| text.get(piece.at..piece.at + piece.text.len()).unwrap()).collect()
        };
        (texts(&pieces.routes), texts(&pieces.rest))
    }

    #[test]
    fn a_route_goes_on_to_the_next_header_that_is_not_its_own() {
        let text = "a = 1\n[[routes]] # one\nname = 1\n  [routes.match]\nx = 1\n[[routes]]\r\n[b]\nc = 1\n[[routes]]\n";
        let (routes, rest) = cut(text);
        assert_eq!(
            routes,
            ["[[routes]] # one\nname = 1\n  [routes.match]\nx = 1\n", "[[routes]]\r\n", "[[routes]]\n"]
        );
        assert_eq!(rest, ["a = 1\n", "[b]\nc = 1\n"]);
    }

    #[test]
    fn what_only_resembles_the_header_of_a_route_is_none() {
        for text in
            ["", "a = 1", "[routes]\n", "[[routes2]]\n", "[[routes]]x\n", "# [[routes]]\n", "[[ routes ]]\n"]
        {
            assert_eq!(cut(text).0.len(), 0, "{text:?}");
            assert_eq!(cut(text).1, [text]);
        }
    }
}
