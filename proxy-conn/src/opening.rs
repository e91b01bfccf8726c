//! What is known of a connection when its entry is opened.

use proxy_core::PeerAddr;

use crate::outcomes::Tally;

/// What is known of a connection when its entry is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Opening {
    /// The peer of the socket.
    pub peer: PeerAddr,
    /// The listener that accepted it; it is counted under it.
    pub listener: Tally,
    /// What it is.
    pub role: Role,
}

impl Opening {
    /// A connection of `peer`, accepted by the listener of that name. Those that are given the same [`Tally`] are counted together.
    #[must_use]
    pub fn new(peer: PeerAddr, listener: impl Into<Tally>) -> Self {
        Self { peer, listener: listener.into(), role: Role::Accepted }
    }

    /// The same in another role: of the peer that it was dialled to, or that the kernel forwards for, by the name of whatever
    /// opened it.
    #[must_use]
    pub fn role(self, role: Role) -> Self {
        Self { role, ..self }
    }
}

/// What holds a connection, and so which sockets its entry has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Role {
    /// Accepted from a client: it has the client's socket, and the backend's once it is dialled.
    #[default]
    Accepted,
    /// Dialled to a backend and kept for clients to come: it has the backend's socket and no client's.
    Pooled,
    /// A flow that the kernel forwards: it has no socket of this process.
    KernelFlow,
    /// A health check of a backend: it has the backend's socket, once that is connected, and nobody's connection.
    Check,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Accepted, Self::Pooled, Self::KernelFlow, Self::Check];

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Pooled => "pooled",
            Self::KernelFlow => "kernel_flow",
            Self::Check => "check",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_of_its_own() {
        for role in Role::ALL {
            assert_eq!(Role::ALL.iter().filter(|other| other.name() == role.name()).count(), 1);
        }
    }
}
