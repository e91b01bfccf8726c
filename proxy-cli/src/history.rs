//! `smartproxy history`: what was of the proxy, or of one of its parts, drawn in the terminal.

mod chart;

use std::io::Write;

use serde::Serialize;

use self::chart::Chart;
use super::access::Access;
use super::client::ClientError;
use super::format::{age, bytes, fine, plain};
use super::output::{self, Failure, Outcome};
use proxy_api::model::{History, Step};

/// Of what, how far back, and how to tell it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A column is two steps wide, or as many as it takes; a gap is time in which the proxy did not run, or stood still.")]
pub struct Args {
    /// The route; with a target after it, that target of the route (or `@GROUP` and a member). Left out, the whole proxy.
    #[arg(value_name = "ROUTE")]
    route: Option<String>,
    /// A target of the route, or a member of the group.
    #[arg(value_name = "TARGET", requires = "route")]
    target: Option<String>,
    /// A listener instead: address and port.
    #[arg(long, value_name = "LISTENER", conflicts_with_all = ["route", "pool"])]
    listener: Option<String>,
    /// A pool instead.
    #[arg(long, value_name = "POOL", conflicts_with = "route")]
    pool: Option<String>,
    /// How far back: ten minutes in seconds, six hours in steps of ten seconds, fourteen days in steps of five minutes.
    #[arg(long, default_value = "10m", value_parser = ["10m", "6h", "14d"])]
    span: String,
    /// Print JSON, each step by itself: rates a second, times in seconds since 1970.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Query<'a> {
    subject: String,
    span: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<usize>,
}

/// How wide it is drawn, as terminals are.
const COLUMNS: usize = 80;

/// What stands beside the charts: the highest value, and the edge.
const MARGIN: usize = 10;

/// A column shows two points side by side.
const POINTS: usize = (COLUMNS - MARGIN) * 2;

impl Args {
    /// Draws it.
    pub(super) async fn run(self, access: &Access, out: &mut dyn Write) -> Result<Outcome, Failure> {
        let client = access.client()?;
        let points = (!self.json).then_some(POINTS);
        let query = Query { subject: self.subject(), span: &self.span, points };
        let path = |query: String| format!("/v1/history?{query}");
        let path = serde_urlencoded::to_string(&query).map(path).map_err(|error| ClientError::Nonsense {
            place: client.place().clone(),
            path: "/v1/history".to_owned(),
            why: error.to_string(),
        })?;
        let history: History = client.fetch(&path).await?;
        if self.json {
            output::json(out, &history)?;
        } else {
            output::text(out, drawn(&history, &self.span))?;
        }
        Ok(Outcome::Done)
    }

    /// As the API names it.
    fn subject(&self) -> String {
        match (&self.route, &self.target, &self.listener, &self.pool) {
            (Some(route), Some(target), ..) => format!("target/{route}/{target}"),
            (Some(route), None, ..) => format!("route/{route}"),
            (None, _, Some(listener), _) => format!("listener/{listener}"),
            (None, _, None, Some(pool)) => format!("pool/{pool}"),
            (None, _, None, None) => "process".to_owned(),
        }
    }
}

/// What is drawn: a name, of which figure of a step, and how a value is written.
struct Figure {
    name: &'static str,
    lines: usize,
    of: fn(&Step) -> Option<f64>,
    written: fn(f64) -> String,
}

const FIGURES: [Figure; 6] = [
    Figure { name: "open", lines: 4, of: |step| Some(step.open), written: number },
    Figure { name: "opened a second", lines: 2, of: |step| Some(step.opened_per_s), written: number },
    Figure { name: "ended a second", lines: 2, of: |step| Some(step.ended_per_s), written: number },
    Figure { name: "failed, of those that ended", lines: 2, of: failed_percent, written: percent },
    Figure { name: "bytes a second, both ways", lines: 2, of: |step| Some(bytes_per_s(step)), written: size },
    Figure {
        name: "first byte, 99 of 100 at most",
        lines: 2,
        of: |step| step.first_byte_p99_s,
        written: fine,
    },
];

/// How many of a hundred the backend failed; 0 where none ended. Those that went on to another target have not ended.
fn failed_percent(step: &Step) -> Option<f64> {
    let share = step.failed_per_s / step.ended_per_s.max(step.failed_per_s);
    Some(if share.is_finite() { share * 100.0 } else { 0.0 })
}

fn bytes_per_s(step: &Step) -> f64 {
    step.from_client_bytes_per_s + step.from_backend_bytes_per_s
}

/// A count or a rate, in few digits.
pub(super) fn number(value: f64) -> String {
    if value < 9.95 && (value - value.round()).abs() > 0.04 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn percent(value: f64) -> String {
    if value > 0.0 && value < 0.95 { format!("{value:.1} %") } else { format!("{value:.0} %") }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes of a second, not below 0")]
fn size(value: f64) -> String {
    bytes(value as u64)
}

/// All charts under a line that says of what.
fn drawn(history: &History, span: &str) -> String {
    let known = history.steps.iter().flatten().count();
    if known == 0 {
        return format!("{}: nothing is known yet over {span}; try --span 10m\n", titled(history));
    }
    let seconds = history.step_s * history.steps.len() as f64;
    let step = age(history.step_s);
    let mut text = format!("{}, the last {} in steps of {step}\n", titled(history), age(seconds));
    for figure in &FIGURES {
        let values: Vec<_> = history.steps.iter().map(|step| step.as_ref().and_then(figure.of)).collect();
        text.push_str(&charted(figure, &values));
    }
    text.push_str(&axis(seconds, history.steps.len()));
    text
}

fn titled(history: &History) -> String {
    let subject = &history.subject;
    let name = match (&*subject.kind, &subject.of) {
        ("process", _) => "the proxy".to_owned(),
        (kind, Some(of)) => format!("{kind} {} of {of}", subject.name),
        (kind, None) => format!("{kind} {}", subject.name),
    };
    plain(&name)
}

/// One chart under its name, with the last value and the highest.
fn charted(figure: &Figure, values: &[Option<f64>]) -> String {
    let written = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), figure.written);
    let known = || values.iter().copied().flatten();
    let (last, most) = (values.last().copied().flatten(), known().reduce(f64::max));
    let mut text = format!("{}: now {}, at most {}\n", figure.name, written(last), written(most));
    let chart = Chart::of(values, figure.lines, POINTS);
    for (nth, line) in chart.lines().enumerate() {
        let label = match nth {
            0 => most.filter(|most| *most > 0.0).map_or_else(String::new, figure.written),
            _ if nth + 1 == figure.lines => "0".to_owned(),
            _ => String::new(),
        };
        text.push_str(format!("{label:>width$} ┤{line}", width = MARGIN - 2).trim_end());
        text.push('\n');
    }
    text
}

/// When the first column was, and when the last one is: now.
fn axis(seconds: f64, steps: usize) -> String {
    let width = COLUMNS - MARGIN;
    let drawn = steps.min(POINTS).div_ceil(2);
    let begins = format!("-{}", age(seconds));
    let indent = (MARGIN + width - drawn).min(COLUMNS - begins.chars().count() - " now".len());
    let room = COLUMNS - indent - "now".len();
    format!("{:indent$}{begins:<room$}now\n", "")
}

#[cfg(test)]
mod tests;
