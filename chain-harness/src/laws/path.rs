//! The phases that a connection went through.

use proxy_conn::Phase;

use super::{Breach, Law};

/// What is wrong with a connection's way through `phases`, in the order in which they were entered. It begins in
/// [`Phase::Header`], which nothing enters.
#[must_use]
pub fn path(hop: &str, connection: &str, phases: &[Phase]) -> Option<Breach> {
    let mut at = Phase::Header;
    for next in phases {
        if !at.may_enter(*next) {
            return Some(Breach::new(
                Law::LegalPhases,
                hop,
                format!("{connection} went from {at} to {next}"),
            ));
        }
        at = *next;
    }
    None
}
