//! What is wrong with a file, and where: collected as data, drawn with the text underlined.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::origin::Origin;

/// Findings that are shown of one file: beyond them, nobody reads on.
pub(super) const MOST: usize = 50;

/// A place in the text, in bytes.
pub type Span = Range<usize>;

/// One thing wrong in one place, and the other places that it has to do with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong, as one sentence without a full stop.
    pub title: String,
    /// Where.
    pub span: Span,
    /// What is said beside the underlined text; may be empty.
    pub label: String,
    /// Other places, each with what it has to do with it.
    pub beside: Vec<(Span, String)>,
    /// What to do about it.
    pub help: Option<String>,
    /// Whether nothing breaks for it: something is lost, or cannot be told.
    pub is_advice: bool,
}

impl Finding {
    pub(super) fn new(span: Span, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            span,
            label: String::new(),
            beside: Vec::new(),
            help: None,
            is_advice: false,
        }
    }

    pub(super) fn label(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }

    pub(super) fn beside(mut self, span: Span, label: impl Into<String>) -> Self {
        self.beside.push((span, label.into()));
        self
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    pub(super) fn advice_only(self) -> Self {
        Self { is_advice: true, ..self }
    }
}

/// Whether a file with a finding can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but it may not mean what its author thinks.
    Warning,
}

/// How findings are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ink {
    /// Text alone.
    #[default]
    Plain,
    /// With the colours of an ANSI terminal.
    Colour,
}

/// A line and a column, both counted from 1; a column is a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

/// Findings of one severity in one text, in the order of the text.
///
/// Invariant: every span lies in the text, on boundaries of characters, and does not cross a line.
#[derive(Clone)]
pub struct Findings {
    source: Source,
    severity: Severity,
    list: Vec<Finding>,
}

/// A text and what it is called. Cheap to clone.
#[derive(Clone)]
pub(super) struct Source {
    origin: Arc<str>,
    pub(super) text: Arc<str>,
}

impl Source {
    /// Of a configuration, whose text it shares.
    pub(super) fn of(origin: &Origin) -> Self {
        Self { origin: Arc::clone(&origin.name), text: Arc::clone(&origin.text) }
    }

    /// Findings in this text.
    pub(super) fn findings(&self, severity: Severity, mut list: Vec<Finding>) -> Findings {
        for finding in &mut list {
            finding.span = on_one_line(&self.text, &finding.span);
            for (span, _) in &mut finding.beside {
                *span = on_one_line(&self.text, span);
            }
        }
        list.sort_by_key(|finding| finding.span.start);
        if list.len() > MOST {
            list.truncate(MOST);
            let end = self.text.trim_end().len();
            list.push(Finding::new(
                end..end,
                format!("there is more than these {MOST}: the rest is not shown"),
            ));
        }
        Findings { source: self.clone(), severity, list }
    }
}

impl Findings {
    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.list.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Where a finding starts.
    #[must_use]
    pub fn position(&self, finding: &Finding) -> Position {
        let before = self.source.text.get(..finding.span.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let in_line = before.get(line_start..).unwrap_or_default();
        Position { line: before.matches('\n').count() + 1, column: in_line.chars().count() + 1 }
    }

    /// A finding in one line, with its place and what there is to say about it, but without the text.
    #[must_use]
    pub fn in_a_line(&self, finding: &Finding) -> String {
        let Position { line, column } = self.position(finding);
        let mut told = format!("{}:{line}:{column}: {}", self.source.origin, finding.title);
        for more in [Some(&finding.label), finding.help.as_ref()].into_iter().flatten() {
            if !more.is_empty() {
                told.push_str("; ");
                told.push_str(more);
            }
        }
        told.lines().map(str::trim).collect::<Vec<_>>().join(" ")
    }

    /// All of them as an operator reads them, one after the other, with the text underlined.
    #[must_use]
    pub fn render(&self, ink: Ink) -> String {
        let renderer = match ink {
            Ink::Plain => Renderer::plain(),
            Ink::Colour => Renderer::styled(),
        };
        let drawn: Vec<String> = self.list.iter().map(|finding| self.draw(finding, &renderer)).collect();
        drawn.join("\n\n")
    }

    fn draw(&self, finding: &Finding, renderer: &Renderer) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let label = Some(&finding.label).filter(|label| !label.is_empty());
        let mut snippet = Snippet::source(&*self.source.text)
            .path(&*self.source.origin)
            .annotation(AnnotationKind::Primary.span(finding.span.clone()).label(label));
        for (span, label) in &finding.beside {
            snippet = snippet.annotation(AnnotationKind::Context.span(span.clone()).label(label));
        }
        let mut group = level.primary_title(&finding.title).element(snippet);
        if let Some(help) = &finding.help {
            group = group.element(Level::HELP.message(help));
        }
        renderer.render(&[group])
    }
}

impl fmt::Debug for Findings {
    /// Without the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source: Source { origin, text: _ }, severity, list } = self;
        f.debug_struct("Findings")
            .field("origin", origin)
            .field("severity", severity)
            .field("list", list)
            .finish_non_exhaustive()
    }
}

/// Everything wrong with a file. Never empty.
#[derive(Debug, Clone)]
pub struct ConfigErrors(Findings);

impl ConfigErrors {
    /// The list must not be empty.
    pub(super) fn new(findings: Findings) -> Self {
        debug_assert!(!findings.is_empty(), "a file is refused for a reason");
        Self(findings)
    }

    /// What was found.
    #[must_use]
    pub fn findings(&self) -> &Findings {
        &self.0
    }

    /// All errors as an operator reads them, with the text underlined.
    #[must_use]
    pub fn render(&self, ink: Ink) -> String {
        self.0.render(ink)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Ink::Plain))
    }
}

impl std::error::Error for ConfigErrors {}

/// The part of a span on its first line, moved to boundaries of characters: what can be underlined.
fn on_one_line(text: &str, span: &Span) -> Span {
    let start = text.floor_char_boundary(span.start);
    let end = text.ceil_char_boundary(span.end.max(start));
    let covered = text.get(start..end).unwrap_or_default();
    let first_line = covered.lines().next().unwrap_or_default();
    start..start + first_line.len()
}
