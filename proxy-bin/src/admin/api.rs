//! What every endpoint has: the proxy that it is about, and what of the API's own lasts longer than a request.

use std::sync::Arc;

use proxy_conn::{Audit, Tracker};
use proxy_core::TcpDialer;
use proxy_dataplane::generation::Generation;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::ascending::Ascending;
use super::chain::last::View;
use super::hop::deadlines::Deadlines;
use super::hops::known::Hops;
use super::live::Live;
use super::process::Process;
use super::traces::Traces;
use crate::admin::problem::Problem;
use crate::control::{Control, State};
use crate::logging::Logs;

/// What the API is about.
#[derive(Clone)]
pub struct Subject {
    /// The proxy.
    pub control: Control,
    /// Told of every connection's phases and end: the server's subscriber, or one of them.
    pub traces: Traces,
}

/// What every endpoint has.
pub(super) struct Api {
    subject: Subject,
    pub(super) name: String,
    pub(super) process: Process,
    pub(super) live: Live,
    /// The other hops of the chain, and what there was to say of the whole last.
    pub(super) hops: Hops,
    pub(super) chain: View,
    /// This hop's deadlines, as others are told.
    pub(super) deadlines: Deadlines,
    /// Bytes read so far, as `/metrics` has said.
    pub(super) from_clients: Ascending,
    pub(super) from_backends: Ascending,
    /// For whoever compares a configuration.
    pub(super) comparing: Arc<Semaphore>,
    /// Ends live views.
    pub(super) stop: CancellationToken,
    /// What `/v1/openapi.json` says.
    pub(super) description: serde_json::Value,
}

impl Api {
    pub(super) fn new(
        subject: Subject,
        name: String,
        process: Process,
        stop: CancellationToken,
        description: serde_json::Value,
    ) -> Self {
        Self {
            subject,
            name,
            process,
            live: Live::default(),
            hops: Hops::default(),
            chain: View::default(),
            deadlines: Deadlines::default(),
            from_clients: Ascending::default(),
            from_backends: Ascending::default(),
            comparing: Arc::new(Semaphore::new(1)),
            stop,
            description,
        }
    }

    pub(super) fn proxy(&self) -> Arc<Generation<TcpDialer>> {
        self.subject.control.proxy()
    }

    pub(super) fn control(&self) -> &Control {
        &self.subject.control
    }

    pub(super) fn tracker(&self) -> &Tracker {
        self.subject.control.tracker()
    }

    pub(super) fn audit(&self) -> &Audit {
        self.subject.control.audit()
    }

    pub(super) fn traces(&self) -> &Traces {
        &self.subject.traces
    }

    /// The log; a problem where it is not the proxy's.
    pub(super) fn logs(&self) -> Result<Logs, Problem> {
        let logs = self.control().logs();
        logs.ok_or_else(|| {
            Problem::unavailable("the log of this process is not the proxy's: change it there")
        })
    }

    /// Why it does not take new connections; None if it does.
    pub(super) fn unready(&self) -> Option<String> {
        let (control, state) = (self.control(), self.control().state());
        if state != State::Running {
            return Some(format!("the proxy is {state}"));
        }
        control
            .is_draining_everything()
            .then(|| "everything is being drained: nothing is accepted".to_owned())
    }
}
