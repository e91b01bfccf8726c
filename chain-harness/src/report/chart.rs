//! A chart: open sockets of both hops over time, as inline SVG.

use std::fmt::Write as _;

use super::{add, escape};
use crate::lab::{HopSample, Mark, Outcome, Sample};

/// The picture, in its own units; the page scales it.
const WIDTH: f64 = 340.0;
const LEFT: f64 = 34.0;
const RIGHT: f64 = 10.0;
/// Room above the plot for the names of moments, a line each.
const NAME: f64 = 12.0;
const PLOT: f64 = 110.0;
const BELOW: f64 = 20.0;

/// What the charts of one scenario have in common, so that they can be compared: the same scales.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Frame {
    most_ms: f64,
    most_sockets: f64,
    names: f64,
}

impl Frame {
    /// The scales in which all of `outcomes` fit.
    #[expect(clippy::cast_precision_loss, reason = "pixels")]
    pub(super) fn around(outcomes: &[&Outcome]) -> Self {
        let samples = || outcomes.iter().flat_map(|outcome| &outcome.samples);
        let most_ms = samples().map(|sample| sample.at_ms).max().unwrap_or_default().max(1000);
        let most = samples().flat_map(Sample::sockets).max().unwrap_or_default();
        let names = outcomes.iter().map(|outcome| outcome.marks.len()).max().unwrap_or_default();
        Self { most_ms: most_ms as f64, most_sockets: round_up(most) as f64, names: names as f64 }
    }

    /// The chart of one of them.
    pub(super) fn draw(&self, outcome: &Outcome) -> String {
        let mut svg = String::new();
        let (height, label) = (self.bottom() + BELOW, label(outcome));
        add(
            &mut svg,
            format_args!(
                "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\" data-samples=\"{}\" data-frame=\"{} {} {LEFT} {}\">\n",
                escape(&label),
                data(&outcome.samples),
                self.most_ms,
                self.most_sockets,
                WIDTH - LEFT - RIGHT,
            ),
        );
        self.grid(&mut svg);
        let limit =
            outcome.figures.since_ms.zip(outcome.figures.allowed_ms).map(|(since, allowed)| since + allowed);
        self.late(&mut svg, outcome, limit);
        self.line(&mut svg, outcome, "outer", |sample| &sample.outer);
        self.line(&mut svg, outcome, "inner", |sample| &sample.inner);
        self.limit(&mut svg, limit);
        outcome.marks.iter().enumerate().for_each(|(n, mark)| self.mark(&mut svg, n, mark));
        svg.push_str("</svg>\n");
        svg
    }

    fn top(&self) -> f64 {
        self.names.mul_add(NAME, 6.0)
    }

    fn bottom(&self) -> f64 {
        self.top() + PLOT
    }

    #[expect(clippy::cast_precision_loss, reason = "pixels")]
    fn x(&self, at_ms: u64) -> f64 {
        let share = (at_ms as f64 / self.most_ms).min(1.0);
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    #[expect(clippy::cast_precision_loss, reason = "pixels")]
    fn y(&self, sockets: usize) -> f64 {
        self.bottom() - sockets as f64 / self.most_sockets * PLOT
    }

    fn grid(&self, svg: &mut String) {
        let right = WIDTH - RIGHT;
        for part in 0..=2 {
            let (sockets, y) =
                (self.most_sockets / 2.0 * f64::from(part), self.bottom() - PLOT / 2.0 * f64::from(part));
            add(svg, format_args!("<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>"));
            add(
                svg,
                format_args!(
                    "<text class=\"axis end\" x=\"{}\" y=\"{:.1}\">{sockets}</text>\n",
                    LEFT - 4.0,
                    y + 3.5
                ),
            );
        }
        let step =
            [1000_u64, 2000, 5000, 10_000].into_iter().find(|&step| self.most_ms / (step as f64) <= 7.0);
        let step = step.unwrap_or(20_000);
        let (mut at, y) = (0, self.bottom() + 13.0);
        while (at as f64) <= self.most_ms {
            add(
                svg,
                format_args!(
                    "<text class=\"axis middle\" x=\"{:.1}\" y=\"{y:.1}\">{} s</text>\n",
                    self.x(at),
                    at / 1000
                ),
            );
            at += step;
        }
    }

    fn line(&self, svg: &mut String, outcome: &Outcome, class: &str, hop: impl Fn(&Sample) -> &HopSample) {
        let mut points = String::new();
        for sample in &outcome.samples {
            write!(points, "{:.1},{:.1} ", self.x(sample.at_ms), self.y(hop(sample).sockets()))
                .unwrap_or_default();
        }
        add(svg, format_args!("<polyline class=\"{class}\" points=\"{}\"/>\n", points.trim_end()));
    }

    /// What is open beyond the limit: the area under the higher of both lines.
    fn late(&self, svg: &mut String, outcome: &Outcome, limit: Option<u64>) {
        let Some(limit) = limit else { return };
        let late: Vec<_> = outcome.samples.iter().filter(|sample| sample.at_ms >= limit).collect();
        // What comes after everybody was gone is another part of the story.
        let until = late.iter().position(|sample| sample.sockets() == [0, 0]).map_or(late.len(), |n| n + 1);
        let Some(late) = late.get(..until).filter(|late| late.len() > 1 && outcome.verdict.is_breach())
        else {
            return;
        };
        let (Some(first), Some(last)) = (late.first(), late.last()) else { return };
        let mut path = format!("M{:.1} {:.1}", self.x(first.at_ms), self.bottom());
        for sample in late {
            let [outer, inner] = sample.sockets();
            write!(path, "L{:.1} {:.1}", self.x(sample.at_ms), self.y(outer.max(inner))).unwrap_or_default();
        }
        write!(path, "L{:.1} {:.1}Z", self.x(last.at_ms), self.bottom()).unwrap_or_default();
        add(svg, format_args!("<path class=\"beyond\" d=\"{path}\"/>\n"));
    }

    fn limit(&self, svg: &mut String, limit: Option<u64>) {
        if let Some(limit) = limit {
            let (x, top, bottom) = (self.x(limit), self.top(), self.bottom());
            add(svg, format_args!("<path class=\"limit\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>\n"));
        }
    }

    fn mark(&self, svg: &mut String, n: usize, mark: &Mark) {
        let (x, bottom) = (self.x(mark.at_ms), self.bottom());
        let y = (n as f64).mul_add(NAME, NAME);
        let (anchor, at) = if x > WIDTH * 0.5 { ("end", x - 3.0) } else { ("start", x + 3.0) };
        add(svg, format_args!("<path class=\"mark\" d=\"M{x:.1} {:.1}V{bottom:.1}\"/>", y - 8.0));
        add(
            svg,
            format_args!(
                "<text class=\"mark {anchor}\" x=\"{at:.1}\" y=\"{y:.1}\">{}</text>\n",
                escape(&mark.what)
            ),
        );
    }
}

/// The next of 10, 20, 50, 100 … that is not below `most`.
fn round_up(most: usize) -> usize {
    let mut unit = 10;
    loop {
        if let Some(enough) = [unit, 2 * unit, 4 * unit, 5 * unit].into_iter().find(|&enough| enough >= most)
        {
            return enough;
        }
        unit *= 10;
    }
}

fn label(outcome: &Outcome) -> String {
    let [outer, inner] = outcome.figures.peak;
    format!(
        "{}: open sockets over time, at most {outer} in the outer and {inner} in the inner hop",
        outcome.proxy
    )
}

/// Time, outer, inner of each sample: what the page shows under the pointer.
fn data(samples: &[Sample]) -> String {
    let sample = |sample: &Sample| {
        let [outer, inner] = sample.sockets();
        format!("{},{outer},{inner}", sample.at_ms)
    };
    samples.iter().map(sample).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        assert_eq!([0, 10, 11, 99, 201, 994].map(round_up), [10, 10, 20, 100, 400, 1000]);
    }
}
