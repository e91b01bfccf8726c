//! Results as one self-contained HTML page: nothing is fetched, charts are inline SVG.

mod chart;

use std::fmt::Write as _;

use crate::lab::{Outcome, ProxyInfo, Results, Verdict, short, told};
use chart::Frame;

const STYLE: &str = include_str!("report/style.css");
const SCRIPT: &str = include_str!("report/script.js");

/// The page.
#[must_use]
pub fn page(results: &Results) -> String {
    let mut html = String::new();
    html.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    add(&mut html, format_args!("<title>Accumulation</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"));
    head(&mut html, results);
    summary(&mut html, results);
    for scenario in results.scenarios() {
        section(&mut html, results, scenario);
    }
    html.push_str("<section id=\"proxies\">\n<h2>What was tried, and how it was configured</h2>\n");
    results.proxies.iter().for_each(|proxy| configuration(&mut html, proxy));
    add(&mut html, format_args!("</section>\n</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"));
    html
}

fn add(html: &mut String, text: std::fmt::Arguments<'_>) {
    // A string takes everything.
    html.write_fmt(text).unwrap_or_default();
}

fn head(html: &mut String, results: &Results) {
    add(
        html,
        format_args!(
            "<header>\n<h1>Where connections accumulate</h1>\n\
         <p>Two of each proxy in a row, client → outer → inner → backend, in {} scenarios: how many sockets each hop has open, \
         read from the kernel every 50&nbsp;ms. Sockets that are open beyond what is allowed are <b class=\"late\">red</b>.</p>\n\
         <p class=\"dim\">{}</p>\n\
         <p class=\"legend\"><span><span class=\"key outer\"></span> outer hop</span> \
         <span><span class=\"key inner\"></span> inner hop</span> \
         <span><span class=\"key limit\"></span> from here on all have to be closed</span> <button type=\"button\" id=\"theme\">light / dark</button></p>\n\
         </header>\n<main>\n",
            results.scenarios().len(),
            escape(&results.machine),
        ),
    );
}

fn summary(html: &mut String, results: &Results) {
    html.push_str("<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">scenario</th>");
    for proxy in &results.proxies {
        add(html, format_args!("<th scope=\"col\">{}</th>", escape(&proxy.name)));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for scenario in results.scenarios() {
        add(html, format_args!("<tr><th scope=\"row\"><a href=\"#{0}\">{0}</a></th>", escape(scenario)));
        for proxy in &results.proxies {
            match results.of(scenario, &proxy.name) {
                Some(outcome) => add(html, format_args!("<td>{}</td>", badge(&outcome.verdict))),
                None => html.push_str("<td></td>"),
            }
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n<tfoot><tr><th scope=\"row\">laws broken in</th>");
    for proxy in &results.proxies {
        let of_it = || results.outcomes.iter().filter(|outcome| outcome.proxy == proxy.name);
        let broken = of_it().filter(|outcome| outcome.verdict.is_breach()).count();
        add(html, format_args!("<td>{broken} of {}</td>", of_it().count()));
    }
    html.push_str("</tr></tfoot>\n</table></div>\n");
}

fn badge(verdict: &Verdict) -> String {
    let (class, sign) = match verdict {
        Verdict::Pass => ("ok", "✓"),
        Verdict::Fails { .. } => ("bad", "✗"),
        Verdict::Skipped { .. } | Verdict::Broken { .. } => ("none", "–"),
    };
    format!("<span class=\"badge {class}\">{sign} {}</span>", escape(&short(verdict).to_lowercase()))
}

fn section(html: &mut String, results: &Results, scenario: &str) {
    let of_it: Vec<_> =
        results.proxies.iter().filter_map(|proxy| results.of(scenario, &proxy.name)).collect();
    let expected = of_it.first().map(|outcome| outcome.expected.as_str()).unwrap_or_default();
    add(
        html,
        format_args!(
            "<section id=\"{0}\">\n<h2>{0}</h2>\n<p>{1}.</p>\n<div class=\"panels\">\n",
            escape(scenario),
            escape(expected)
        ),
    );
    let frame = Frame::around(&of_it);
    for outcome in of_it {
        panel(html, outcome, &frame);
    }
    html.push_str("</div>\n</section>\n");
}

fn panel(html: &mut String, outcome: &Outcome, frame: &Frame) {
    add(
        html,
        format_args!(
            "<figure>\n<figcaption><b>{}</b> {}</figcaption>\n",
            escape(&outcome.proxy),
            badge(&outcome.verdict)
        ),
    );
    if !outcome.samples.is_empty() {
        html.push_str(&frame.draw(outcome));
    }
    let told = told(outcome);
    if !told.is_empty() {
        let class = if outcome.verdict.is_breach() { "told" } else { "dim" };
        add(html, format_args!("<ul class=\"{class}\">"));
        told.iter().for_each(|how| add(html, format_args!("<li>{}</li>", escape(how))));
        html.push_str("</ul>\n");
    }
    if !outcome.samples.is_empty() {
        add(html, format_args!("<p class=\"figures\">{}</p>\n", escape(&figures(outcome))));
    }
    html.push_str("</figure>\n");
}

/// "peak 200 + 200 · empty after 2.0 s of 3.0 s · served again after 0.1 s · clients saw 100 RST · CPU 20 ms · memory +1280 KiB".
fn figures(outcome: &Outcome) -> String {
    let figures = &outcome.figures;
    let [outer, inner] = figures.peak;
    let mut parts = vec![format!("peak {outer} + {inner} sockets")];
    let seconds = |ms: u64| format!("{}.{:02} s", ms / 1000, ms % 1000 / 10);
    match (figures.settled_ms, figures.allowed_ms) {
        (Some(settled), Some(allowed)) => {
            parts.push(format!("empty after {} ({} allowed)", seconds(settled), seconds(allowed)));
        }
        (None, Some(allowed)) => parts.push(format!("not empty ({} allowed)", seconds(allowed))),
        (_, None) => {}
    }
    if let Some(again) = figures.served_again_ms {
        parts.push(format!("served again after {}", seconds(again)));
    }
    if figures.left != [0, 0] {
        parts.push(format!("{} + {} left over", figures.left[0], figures.left[1]));
    }
    let ends = figures.ends.to_string();
    if ends != "none" {
        parts.push(format!("clients saw {ends}"));
    }
    parts.push(format!("CPU {} ms", figures.cpu_ms));
    parts.push(format!("memory +{} KiB", figures.grown / 1024));
    parts.extend(figures.more.iter().cloned());
    parts.join(" · ")
}

fn configuration(html: &mut String, proxy: &ProxyInfo) {
    add(html, format_args!("<h3>{}</h3>\n<p>{}</p>\n", escape(&proxy.name), escape(&proxy.version)));
    proxy.notes.iter().for_each(|note| add(html, format_args!("<p>{}</p>\n", escape(note))));
    for (hop, text) in ["outer", "inner"].iter().zip(&proxy.configuration) {
        add(
            html,
            format_args!("<details><summary>{hop} hop</summary><pre>{}</pre></details>\n", escape(text)),
        );
    }
}

/// `text` as text, wherever HTML takes any.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
