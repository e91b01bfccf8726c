//! A bar chart as SVG: for each work, the first figure of each proxy, relative to ours.

use std::fmt::Write as _;

use super::numbers::grouped;
use crate::peers::proxy::Proxy;
use crate::peers::work::Work;

const WIDTH: usize = 860;
const LABEL: usize = 130;
const VALUE: usize = 190;
const BAR: usize = 18;
const STEP: usize = 24;
const HEAD: usize = 34;
const GAP: usize = 18;

/// The bars of one work.
#[derive(Debug)]
pub(super) struct Group {
    title: String,
    decimals: usize,
    bars: Vec<(Proxy, f64)>,
}

/// The bars of `work`; None where nothing was measured.
pub(super) fn group(work: Work, bars: Vec<(Proxy, f64)>) -> Option<Group> {
    let figure = work.figures().first()?;
    let title = format!("{}: {}", work.title(), figure.name);
    (!bars.is_empty()).then_some(Group { title, decimals: figure.decimals, bars })
}

/// All groups, one below the other; each has its own scale.
pub(super) fn svg(groups: &[Group]) -> String {
    let height: usize = groups.iter().map(|group| HEAD + GAP + group.bars.len() * STEP).sum::<usize>() + GAP;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    let mut top = GAP;
    for group in groups {
        text.push_str(&bars(group, top));
        top += HEAD + GAP + group.bars.len() * STEP;
    }
    text + "</svg>\n"
}

fn bars(group: &Group, top: usize) -> String {
    let mut text = String::new();
    let title = escaped(&group.title);
    writeln!(text, "<text x=\"{GAP}\" y=\"{}\" font-weight=\"bold\">{title}</text>", top + 14)
        .unwrap_or_default();
    let longest = group.bars.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let ours = group.bars.iter().find(|(proxy, _)| *proxy == Proxy::Smartproxy).map(|(_, value)| *value);
    let room = (WIDTH - LABEL - VALUE - 2 * GAP) as f64;
    for (nth, (proxy, value)) in group.bars.iter().enumerate() {
        let (y, x) = (top + HEAD + nth * STEP, GAP + LABEL);
        let length = if longest > 0.0 { room * value.max(0.0) / longest } else { 0.0 };
        let ratio = ours.filter(|ours| *ours > 0.0 && *proxy != Proxy::Smartproxy);
        let ratio = ratio.map(|ours| format!(" ({:.2} ×)", value / ours)).unwrap_or_default();
        let number = grouped(*value, group.decimals);
        let (base, colour) = (y + BAR - 5, colour(*proxy));
        write!(
            text,
            "<text x=\"{}\" y=\"{base}\" text-anchor=\"end\">{proxy}</text>\n\
             <rect x=\"{x}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\n\
             <text x=\"{:.1}\" y=\"{base}\">{number}{ratio}</text>\n",
            x - 8,
            x as f64 + length + 6.0,
        )
        .unwrap_or_default();
    }
    text
}

/// Ours stands out; the floor is no proxy.
const fn colour(proxy: Proxy) -> &'static str {
    match proxy {
        Proxy::Smartproxy | Proxy::MultiThread => "#1f6f5c",
        Proxy::Floor => "#d8d8d8",
        Proxy::Haproxy | Proxy::Nginx | Proxy::NginxHalfClose | Proxy::Envoy => "#8a9bb0",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
