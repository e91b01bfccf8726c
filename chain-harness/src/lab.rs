//! The accumulation laboratory: the same scenarios, black-box, against a chain of two of any proxy.
//!
//! ```text
//! clients ─► outer ─► PROXY header ─► inner ─► backend        all of it on loopback
//!              └──── Watch: /proc every 50 ms ────┘
//! Scenario (a story, told to a Lab) ─► Outcome (verdict, figures, samples) ─► Results (table, JSON, page)
//! ```
//! Nothing is asked of the proxies: what they hold is read from the kernel, how ends arrive is seen at both ends. Each
//! scenario runs in a fresh chain, on a thread and a runtime of its own; one that panics is broken, not a breach.

mod members;
mod outcome;
mod scenarios;
mod serving;
mod sockets;
mod stage;

mod table;
mod terms;
mod watch;

pub use outcome::{Breach, Ends, Figures, Law, Mark, Outcome, ProxyInfo, Results, Verdict};
pub use scenarios::{Scenario, scenarios};
pub use stage::Lab;

pub use table::{markdown, short, table, told};
pub use terms::Terms;
pub use watch::{HopSample, Sample};

use crate::contender::Contender;

/// Tells `scenario` to a fresh chain of `contender`.
#[must_use]
pub fn hold(contender: &Contender, scenario: &'static Scenario) -> Outcome {
    hold_until(contender, scenario, std::future::pending())
}

/// The same, unless `stop` comes first: then the chain is killed, and the scenario is not told.
pub fn hold_until(
    contender: &Contender,
    scenario: &'static Scenario,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Outcome {
    if scenario.needs_headers && !contender.speaks_proxy() {
        let why = "it is about PROXY headers, which this proxy is not told about".to_owned();
        return Outcome::without(scenario.heading(), contender, Verdict::Skipped { why });
    }
    if scenario.needs_tls && !contender.speaks_tls() {
        let why = "it is about TLS, which this proxy is not told about".to_owned();
        return Outcome::without(scenario.heading(), contender, Verdict::Skipped { why });
    }
    let told = contender.clone();
    let told = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime starts").block_on(async {
            tokio::select! {
                outcome = in_peace(told, scenario) => Some(outcome),
                () = stop => None,
            }
        })
    };
    let thread = std::thread::Builder::new().name(scenario.name.to_owned()).spawn(told);
    let without = |why| Outcome::without(scenario.heading(), contender, Verdict::Broken { why });
    match thread.expect("a thread starts").join() {
        Ok(Some(outcome)) => outcome,
        Ok(None) => without("it was stopped".to_owned()),
        Err(panic) => {
            let why = panic.downcast_ref::<String>().cloned();
            let why = why.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
            without(why.unwrap_or_else(|| "it panicked".to_owned()))
        }
    }
}

/// How often a scenario is told at most.
const TELLINGS: usize = 3;

/// Tells `scenario`, once more where a law was broken on a machine that was too busy to look on: what is late then is not
/// the proxy.
async fn in_peace(contender: Contender, scenario: &'static Scenario) -> Outcome {
    let mut busy = 0;
    loop {
        let mut outcome = scenario.tell(contender.clone()).await;
        if outcome.was_in_peace() || outcome.verdict == Verdict::Pass || busy + 1 == TELLINGS {
            if busy > 0 {
                outcome.figures.more.push(format!("told {} times: the machine was busy", busy + 1));
            }
            return outcome;
        }
        busy += 1;
    }
}

/// What is tried, and how it is configured: for the record.
#[must_use]
pub fn describe(contender: &Contender) -> ProxyInfo {
    stage::describe(contender)
}
