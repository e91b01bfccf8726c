//! What a scenario comes to.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::watch::{LOOK, Sample, ms};
use crate::contender::Contender;
use crate::wire::{Ending, Received};

/// What every proxy is held to, as far as it can be seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Law {
    /// Nothing outlives its deadline.
    Deadlines,
    /// Whoever leaves is noticed at once.
    Departures,
    /// Every byte arrives, in order.
    Bytes,
    /// A FIN arrives as a FIN, a reset as a reset.
    Ends,
    /// What is alive is served.
    Service,
    /// Nobody who lives is cut: whoever takes or gives a byte within its deadline, however slowly, is not ended by it.
    Living,
    /// No address has more connections than it may have.
    Limits,
    /// Memory does not grow with what others send.
    Memory,
    /// Waiting costs no processor time.
    Processor,
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadlines => "deadlines",
            Self::Departures => "departures",
            Self::Bytes => "bytes",
            Self::Ends => "ends",
            Self::Service => "service",
            Self::Living => "living",
            Self::Limits => "limits",
            Self::Memory => "memory",
            Self::Processor => "processor",
        })
    }
}

/// A law that was broken, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breach {
    /// Which.
    pub law: Law,
    /// How, with figures.
    pub how: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.law, self.how)
    }
}

/// What is to be said of a proxy in a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Verdict {
    /// It kept every law.
    Pass,
    /// It broke these; at least one.
    Fails {
        /// What it broke, in the order in which that was seen.
        breaches: Vec<Breach>,
    },
    /// The scenario does not apply to it.
    Skipped {
        /// Why not.
        why: String,
    },
    /// The scenario could not be told: that says nothing about the proxy.
    Broken {
        /// Why not.
        why: String,
    },
}

impl Verdict {
    /// Whether a law was broken.
    #[must_use]
    pub fn is_breach(&self) -> bool {
        matches!(self, Self::Fails { .. })
    }
}

/// How ends arrived at a crowd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ends {
    /// By a FIN.
    pub fin: usize,
    /// By a reset.
    pub reset: usize,
    /// Not at all, for as long as was looked.
    pub open: usize,
}

impl Ends {
    /// Those of `all`.
    pub(super) fn of<'a>(all: impl IntoIterator<Item = &'a Received>) -> Self {
        let mut ends = Self::default();
        for received in all {
            match received.end {
                Some(Ending::Fin) => ends.fin += 1,
                Some(Ending::Reset) => ends.reset += 1,
                None => ends.open += 1,
            }
        }
        ends
    }
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(self.fin, "FIN"), (self.reset, "RST"), (self.open, "open")];
        let parts: Vec<_> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        f.write_str(if parts.is_empty() { "none" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

/// What was measured, whatever the verdict.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Figures {
    /// The most sockets of connections that the outer and the inner hop had open.
    pub peak: [usize; 2],
    /// Those that were left when the scenario was over.
    pub left: [usize; 2],
    /// The moment that the scenario is about, since the first sample: from then on sockets are waited for to close.
    pub since_ms: Option<u64>,
    /// From that moment until the hops had none open; None where they still had some.
    pub settled_ms: Option<u64>,
    /// How long they might take.
    pub allowed_ms: Option<u64>,
    /// Where service was interrupted: from the moment at which there was nothing in its way any more until clients were
    /// served again. None also where they never were.
    #[serde(default)]
    pub served_again_ms: Option<u64>,
    /// How ends arrived at the clients.
    pub ends: Ends,
    /// Processor time of both hops, in milliseconds.
    pub cpu_ms: u64,
    /// The most that the resident memory of both hops grew, in bytes.
    pub grown: u64,
    /// What else a scenario measures.
    pub more: Vec<String>,
}

/// A moment that a chart names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When, since the first sample.
    pub at_ms: u64,
    /// What happens.
    pub what: String,
}

/// One scenario with one proxy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The scenario's name.
    pub scenario: String,
    /// What is expected in it.
    pub expected: String,
    /// The proxy's name.
    pub proxy: String,
    /// What is to be said.
    pub verdict: Verdict,
    /// What was measured.
    pub figures: Figures,
    /// Moments, in order.
    pub marks: Vec<Mark>,
    /// What both hops held, over time.
    pub samples: Vec<Sample>,
}

impl Outcome {
    /// Whether the machine had time for nearly every look that was due.
    pub(super) fn was_in_peace(&self) -> bool {
        let lasted = self.samples.last().map_or(0, |sample| sample.at_ms);
        let due = usize::try_from(lasted / ms(LOOK)).unwrap_or(usize::MAX);
        self.samples.len() * 10 >= due * 9
    }

    /// One of a scenario, by name and what is expected, without anything measured.
    pub(super) fn without(scenario: [&str; 2], contender: &Contender, verdict: Verdict) -> Self {
        let [scenario, expected] = scenario.map(str::to_owned);
        Self {
            scenario,
            expected,
            proxy: contender.name().to_owned(),
            verdict,
            figures: Figures::default(),
            marks: Vec::new(),
            samples: Vec::new(),
        }
    }
}

/// A proxy that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyInfo {
    /// What it is called.
    pub name: String,
    /// What it says of itself.
    pub version: String,
    /// Where its configuration is not what the others have.
    pub notes: Vec<String>,
    /// The outer hop's configuration, with example ports, and the inner hop's.
    pub configuration: [String; 2],
}

/// A whole run: what `--json` writes and `report` reads.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Results {
    /// On what it was run: cores, kernel, build.
    pub machine: String,
    /// Seconds since 1970.
    pub started: u64,
    /// Those that were tried, in order.
    pub proxies: Vec<ProxyInfo>,
    /// What came of it, scenario by scenario.
    pub outcomes: Vec<Outcome>,
}

impl Results {
    /// The names of the scenarios, in the order in which they come.
    #[must_use]
    pub fn scenarios(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for outcome in &self.outcomes {
            if !names.contains(&outcome.scenario.as_str()) {
                names.push(&outcome.scenario);
            }
        }
        names
    }

    /// What came of `scenario` with `proxy`.
    #[must_use]
    pub fn of(&self, scenario: &str, proxy: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.scenario == scenario && outcome.proxy == proxy)
    }

    /// Adds another run; where both have the same scenario with the same proxy, the other's counts.
    pub fn merge(&mut self, other: Self) {
        if self.machine.is_empty() {
            (self.machine, self.started) = (other.machine, other.started);
        }
        for info in other.proxies {
            self.proxies.retain(|known| known.name != info.name);
            self.proxies.push(info);
        }
        for outcome in other.outcomes {
            let same = |known: &Outcome| known.scenario == outcome.scenario && known.proxy == outcome.proxy;
            match self.outcomes.iter_mut().find(|known| same(known)) {
                Some(known) => *known = outcome,
                None => self.outcomes.push(outcome),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_counted_by_kind() {
        let end = |end| Received { bytes: Vec::new(), end };
        let all = [end(Some(Ending::Fin)), end(None), end(Some(Ending::Reset)), end(None)];
        assert_eq!(Ends::of(&all), Ends { fin: 1, reset: 1, open: 2 });
        assert_eq!(Ends::of(&all).to_string(), "1 FIN, 1 RST, 2 open");
        assert_eq!(Ends::default().to_string(), "none");
    }
}
