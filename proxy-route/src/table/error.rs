//! Why routes do not make a table.

use std::fmt;

use crate::{Alpn, ClientNet, DomainPattern, PortRange};

/// One thing wrong with one or two routes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A name is used a second time.
    #[error("the name \"{name}\" is used by two routes: give one of them another name")]
    DuplicateName {
        /// The name.
        name: String,
        /// The first route of that name, and this one.
        routes: [usize; 2],
    },
    /// A route matches on no port.
    #[error("route \"{name}\" has no ports: name at least one, such as ports = [443]")]
    NoPorts {
        /// The name of the route.
        name: String,
        /// The route.
        routes: [usize; 1],
    },
    /// Some connection would match two enabled routes with equal rank.
    #[error(
        "routes \"{}\" and \"{}\" can not be told apart: with priority {priority}, both match {collision}: \
         give one a higher priority or a narrower match",
        names[0], names[1]
    )]
    Ambiguous {
        /// The names of both routes.
        names: [String; 2],
        /// Both routes, in the order of the input.
        routes: [usize; 2],
        /// The priority that both have.
        priority: i32,
        /// Where they meet. If they meet in several places, the first.
        collision: Box<Collision>,
    },
}

/// The part of two matches that is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    /// The ports that both name.
    pub ports: PortRange,
    /// The pattern that both name, or `None` if neither restricts names.
    pub domain: Option<DomainPattern>,
    /// The network that both name, or `None` if neither restricts clients.
    pub client: Option<ClientNet>,
    /// The protocol that both name, or `None` if neither restricts protocols.
    pub alpn: Option<Alpn>,
}

/// Everything wrong with the routes given to `RouteTable::build`. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildErrors(Vec<BuildError>);

impl BuildError {
    /// The routes at fault, as positions in the input of `build`.
    #[must_use]
    pub fn routes(&self) -> &[usize] {
        match self {
            Self::DuplicateName { routes, .. } | Self::Ambiguous { routes, .. } => routes,
            Self::NoPorts { routes, .. } => routes,
        }
    }

    /// What both routes match, if they are ambiguous.
    #[must_use]
    pub fn collision(&self) -> Option<&Collision> {
        match self {
            Self::Ambiguous { collision, .. } => Some(collision),
            Self::DuplicateName { .. } | Self::NoPorts { .. } => None,
        }
    }
}

impl fmt::Display for Collision {
    /// The port first, then only what both routes restrict.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = if self.ports.first() == self.ports.last() { "port" } else { "ports" };
        write!(f, "{ports} {}", self.ports)?;
        if let Some(domain) = &self.domain {
            write!(f, ", domain {domain}")?;
        }
        if let Some(client) = &self.client {
            write!(f, ", client {client}")?;
        }
        if let Some(alpn) = &self.alpn {
            write!(f, ", ALPN {alpn}")?;
        }
        Ok(())
    }
}

impl BuildErrors {
    /// `None` if nothing is wrong.
    pub(super) fn new(errors: Vec<BuildError>) -> Option<Self> {
        (!errors.is_empty()).then_some(Self(errors))
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, BuildError> {
        self.0.iter()
    }
}

impl fmt::Display for BuildErrors {
    /// One line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (line, error) in self.0.iter().enumerate() {
            let start = if line == 0 { "" } else { "\n" };
            write!(f, "{start}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BuildErrors {}

impl IntoIterator for BuildErrors {
    type Item = BuildError;
    type IntoIter = std::vec::IntoIter<BuildError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a BuildErrors {
    type Item = &'a BuildError;
    type IntoIter = std::slice::Iter<'a, BuildError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
