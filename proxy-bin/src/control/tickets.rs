//! Ticket keys over an upgrade: clients of the process before resume their sessions with the one that takes its place.

use std::os::fd::OwnedFd;

use proxy_tls::TicketKeys;
use tracing::warn;

use crate::handover::memory;

/// The name by which they are handed over.
pub const TICKETS: &str = "tickets";

/// Many times what they take: what is larger is none.
const MOST: usize = 4096;

/// Their secrets, as a descriptor to hand over; `None` where no ticket was made yet, or there is none to be had: then clients shake
/// hands in full once.
pub(super) fn to_hand_over(keys: &TicketKeys) -> Option<OwnedFd> {
    let saved = keys.save()?;
    let descriptor = memory::as_descriptor(TICKETS, &saved);
    descriptor
        .inspect_err(
            |error| warn!(%error, "ticket keys cannot be handed over: clients shake hands in full once"),
        )
        .ok()
}

/// Goes on with what another process has handed over. What cannot be read is dropped, with a line in the log.
pub fn take_over(keys: &TicketKeys, handed: OwnedFd) {
    let read = memory::of_descriptor(handed, MOST);
    if !read.is_ok_and(|saved| keys.restore(&saved)) {
        warn!("the ticket keys of the process before cannot be read: clients shake hands in full once");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_goes_over_and_what_cannot_be_read_changes_nothing() {
        let (old, new) = (TicketKeys::default(), TicketKeys::default());
        assert!(to_hand_over(&old).is_none(), "no ticket was made");
        let saved = [&[1][..], &1_u64.to_le_bytes(), &[7; 32]].concat();
        assert!(old.restore(&saved));
        take_over(&new, to_hand_over(&old).unwrap());
        assert_eq!(new.save(), old.save());
        take_over(&new, memory::as_descriptor(TICKETS, b"something else").unwrap());
        assert_eq!(new.save(), old.save());
    }
}
