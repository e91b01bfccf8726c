//! From events to lines: which of them, in which shape.

use std::fmt;
use std::sync::Arc;

use arc_swap::Guard;
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{DefaultFields, Format, Full, Json, JsonFields};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::repeats::{Fate, Kind, Labels};
use super::summary::REPEATED;
use super::{ACCESS, Outputs, Shape, Shared};
use crate::config::LogLevel;

/// The one layer of the log.
pub(super) struct Lines<S> {
    shared: Arc<Shared>,
    coloured: Text<S>,
    plain: Text<S>,
    json: Objects<S>,
}

type Text<S> = tracing_subscriber::fmt::Layer<S, DefaultFields, Format<Full>, Destination>;
type Objects<S> = tracing_subscriber::fmt::Layer<S, JsonFields, Format<Json>, Destination>;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Lines<S> {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let layer = || {
            let destination = Destination(Arc::clone(&shared));
            tracing_subscriber::fmt::layer().with_writer(destination).log_internal_errors(false)
        };
        let (coloured, plain) = (layer().with_ansi(true), layer().with_ansi(false));
        let json = layer().with_ansi(false).json().flatten_event(true).with_target(false);
        Self { coloured, plain, json, shared }
    }

    fn is_wanted(&self, about: &Metadata<'_>) -> bool {
        let outputs = self.shared.outputs();
        if about.target() == ACCESS && outputs.access_is_apart() {
            return true;
        }
        outputs.of(about.target()).is_some() && *about.level() <= filter(self.shared.level())
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines<S> {
    /// Asked once for each place in the source, and again when the level or the outputs have changed.
    fn register_callsite(&self, about: &'static Metadata<'static>) -> Interest {
        if self.is_wanted(about) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, about: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.is_wanted(about)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let level = filter(self.shared.level());
        let apart = self.shared.outputs().access_is_apart();
        Some(if apart { level.max(LevelFilter::INFO) } else { level })
    }

    // What spans hold is written as text and as JSON: which of the two is needed may change.
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.plain.on_new_span(attributes, id, context.clone());
        self.json.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.plain.on_record(id, values, context.clone());
        self.json.on_record(id, values, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let about = event.metadata();
        if *about.level() <= Level::WARN && ![ACCESS, REPEATED].contains(&about.target()) {
            let fate = self.shared.repeats.line(kind(event), *about.level(), 1, Instant::now());
            if let Fate::Counted { first } = fate {
                if first {
                    self.shared.wake();
                }
                return;
            }
        }
        let outputs = self.shared.outputs();
        match outputs.of(about.target()).map(|output| output.shape) {
            Some(Shape::Coloured) => self.coloured.on_event(event, context),
            Some(Shape::Plain) => self.plain.on_event(event, context),
            Some(Shape::Json) => self.json.on_event(event, context),
            None => {}
        }
    }
}

/// Picks the place of each line.
pub(super) struct Destination(Arc<Shared>);

/// A line on its way; to nowhere if its place was switched off meanwhile.
pub(super) struct OnItsWay {
    outputs: Guard<Arc<Outputs>>,
    target: &'static str,
}

impl std::io::Write for OnItsWay {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        if let Some(output) = self.outputs.of(self.target) {
            // The lines of connections hold nothing that has several.
            if self.target != ACCESS && output.shape != Shape::Coloured && has_several(line) {
                output.writer.line(&joined(line));
            } else {
                output.writer.line(line);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Whether what is to be one record would be read as several.
fn has_several(line: &[u8]) -> bool {
    line.iter().position(|byte| *byte == b'\n').is_some_and(|first| first + 1 < line.len())
}

/// The same in one line, in which an end of a line is written as JSON writes it.
fn joined(lines: &[u8]) -> Vec<u8> {
    let inner = lines.strip_suffix(b"\n").unwrap_or(lines);
    let mut line = inner.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\\n"[..]);
    line.push(b'\n');
    line
}

impl<'a> MakeWriter<'a> for Destination {
    type Writer = OnItsWay;

    fn make_writer(&'a self) -> OnItsWay {
        OnItsWay { outputs: self.0.outputs(), target: "" }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> OnItsWay {
        let target = if about.target() == ACCESS { ACCESS } else { "" };
        OnItsWay { outputs: self.0.outputs(), target }
    }
}

/// What a warning is like.
fn kind(event: &Event<'_>) -> Kind {
    let mut seen = Seen::default();
    event.record(&mut seen);
    Kind { origin: event.metadata().name(), message: seen.message, labels: seen.labels }
}

#[derive(Default)]
struct Seen {
    message: String,
    labels: Labels,
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let label = match field.name() {
            "message" => {
                self.message = format!("{value:?}");
                return;
            }
            "listener" => &mut self.labels.listener,
            "route" => &mut self.labels.route,
            "pool" => &mut self.labels.pool,
            "target" => &mut self.labels.target,
            _ => return,
        };
        *label = Some(format!("{value:?}"));
    }
}
