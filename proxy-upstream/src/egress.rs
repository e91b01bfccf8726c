//! How members are reached by the proxy itself: as connections are, whatever configuration is in force by then.

use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use proxy_core::dial::{Closed, DialErrorKind, Gate};
use proxy_core::{Destination, Egress, Endpoint};

use crate::member::Member;

/// How members are reached whose group says nothing of it. Cheap to clone; clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct DefaultEgress(Arc<Mutex<Arc<Egress>>>);

impl DefaultEgress {
    pub(crate) fn set(&self, egress: &Arc<Egress>) {
        *self.0.lock() = Arc::clone(egress);
    }

    /// How a member is reached now.
    pub(crate) fn of(&self, member: &Member) -> LeavingBy {
        let egress = member.egress().unwrap_or_else(|| Arc::clone(&self.0.lock()));
        LeavingBy { egress, failed_at: Mutex::default() }
    }
}

/// Lets everybody be dialled, leaving this machine by an egress, and remembers what the name stood for that failed.
#[derive(Debug)]
pub(crate) struct LeavingBy {
    egress: Arc<Egress>,
    failed_at: Mutex<Vec<IpAddr>>,
}

impl LeavingBy {
    /// The addresses that a name stood for when none of them was reached.
    pub(crate) fn failed_at(self) -> Vec<IpAddr> {
        self.failed_at.into_inner()
    }
}

impl Gate for LeavingBy {
    type Ticket = ();
    type Pass = ();

    fn enter(&self, _: usize) -> Result<(), Closed> {
        Ok(())
    }

    fn destination<'d>(&'d self, _: usize, endpoint: &'d Endpoint) -> Destination<'d> {
        match endpoint {
            Endpoint::Ip(_) => Destination::new(endpoint).by(&self.egress),
            Endpoint::Unix(_) => Destination::new(endpoint),
        }
    }

    fn reached(&self, (): ()) {}

    fn failed(&self, (): (), _: &DialErrorKind, addresses: &[IpAddr]) {
        *self.failed_at.lock() = addresses.to_vec();
    }
}
