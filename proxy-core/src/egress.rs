//! How dialled sockets leave this machine: congestion control, source address, interface and mark, all given to them before
//! they connect.
//!
//! What it is not: routing. Which way packets go is the kernel's, by the rules and tables that an operator has (`ip rule`, `ip
//! route`); what is set here is what those can be about.

mod error;
#[cfg(feature = "serde")]
mod form;
mod pool;
mod probe;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use proxy_values::Whole;

use crate::congestion::Congestion;

pub use error::{EgressError, Privilege};
pub(crate) use pool::Turn;
pub use pool::{SourceNet, SourceNetError, SourcePool, SourcePoolError};

/// A firewall mark (`SO_MARK`, socket(7)), which rules of routing and filters can ask for. 0 is what packets have that none was
/// given.
pub type Mark = Whole<1, { u32::MAX }>;

/// The longest name of an interface, in bytes: `IFNAMSIZ` of Linux, without the NUL.
const LONGEST: usize = 15;

/// What dialled sockets are given before they connect. The default is what the kernel does by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Egress {
    /// Congestion control of TCP sockets.
    pub congestion: Congestion,
    /// The address that TCP connections come from.
    pub source: Source,
    /// The interface that they leave by and are answered on (`SO_BINDTODEVICE`). None: what routing says.
    pub interface: Option<Interface>,
    /// The mark that their packets have.
    pub mark: Option<Mark>,
}

proxy_values::setters!([] Egress {
    congestion: Congestion,
    source: Source,
    interface: Option<Interface>,
    mark: Option<Mark>,
});

impl Egress {
    /// Whether source, interface and mark are the kernel's to choose.
    #[must_use]
    pub const fn is_the_kernels(&self) -> bool {
        matches!(self.source, Source::Auto) && self.interface.is_none() && self.mark.is_none()
    }
}

/// The address that a connection comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Source {
    /// The kernel's choice: by the route, and one address alone for each target.
    #[default]
    Auto,
    /// One of these.
    Pool(Arc<SourcePool>),
    /// The client's own (`IP_TRANSPARENT`): the backend sees the client, and its answers have to be routed back through this
    /// machine. What is dialled for no client comes from the kernel's choice.
    Client,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("\"auto\""),
            Self::Client => f.write_str("\"client\""),
            Self::Pool(pool) => pool.fmt(f),
        }
    }
}

/// The name of a network interface: 1 to 15 bytes, without `/`, spaces and control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Interface(Box<str>);

/// A text that is no name of an interface.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected the name of a network interface such as \"eth1\" (1 to 15 bytes), found `{0}`")]
pub struct InterfaceFormError(String);

impl Interface {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Interface {
    type Err = InterfaceFormError;

    fn from_str(text: &str) -> Result<Self, InterfaceFormError> {
        let is_out = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
        let fits =
            (1..=LONGEST).contains(&text.len()) && !text.contains(is_out) && text != "." && text != "..";
        if fits { Ok(Self(text.into())) } else { Err(InterfaceFormError(text.to_owned())) }
    }
}

proxy_values::text_form!(
    Interface,
    "Interface",
    r"^[^/:\s]{1,15}$",
    "the name of a network interface such as \"eth1\""
);

#[cfg(test)]
mod tests;
