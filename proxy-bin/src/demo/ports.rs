//! The ports of the embedded chain: those that somebody has asked for, and for the others the usual ones, or where somebody has
//! one of those the next that is free.
//!
//! They are bound before anything else is made, so that nobody takes one in between.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;

use proxy_cli::DemoPorts;
use proxy_core::listen::{ListenOptions, bind};
use proxy_core::{BindAddr, ListenError};

/// The ports that stand in for a usual one that is taken: those that follow, so that they are where one would look.
const SPARE: RangeInclusive<u16> = 8004..=8099;

/// Connections that wait to be accepted, on each.
const BACKLOG: u32 = 1024;

/// A port for each part of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Where the outer proxy listens.
    pub outer: u16,
    /// Where the inner proxy listens.
    pub inner: u16,
    /// Where the demo backend listens.
    pub backend: u16,
    /// Where the outer proxy's dashboard and admin API listen.
    pub dashboard: u16,
}

impl Ports {
    /// Those that are taken if they are free and nobody asks for others.
    pub const USUAL: Self = Self { outer: 8001, inner: 8002, backend: 8003, dashboard: 8000 };
}

/// The ports that somebody has asked for: those and no others. None where any will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wishes {
    /// Where the outer proxy is to listen.
    pub outer: Option<u16>,
    /// Where the inner proxy is to listen.
    pub inner: Option<u16>,
    /// Where the demo backend is to listen.
    pub backend: Option<u16>,
    /// Where the outer proxy's dashboard and admin API are to listen.
    pub dashboard: Option<u16>,
}

impl From<DemoPorts> for Wishes {
    fn from(ports: DemoPorts) -> Self {
        let DemoPorts { outer, inner, backend, admin } = ports;
        Self { outer, inner, backend, dashboard: admin }
    }
}

/// A port that the chain cannot have.
#[derive(Debug, thiserror::Error)]
#[error("{error} (for the {part})\n  choose another port with: smartproxy demo {option} PORT")]
pub struct PortError {
    /// Which, and what the kernel says.
    pub error: ListenError,
    /// What was to listen there.
    pub part: &'static str,
    /// The option that chooses another.
    pub option: &'static str,
}

/// Listening sockets for the chain.
#[derive(Debug)]
pub struct Sockets {
    /// The outer proxy's.
    pub outer: TcpListener,
    /// The inner proxy's.
    pub inner: TcpListener,
    /// The demo backend's.
    pub backend: TcpListener,
    /// The dashboard's.
    pub dashboard: TcpListener,
}

/// A part of the chain that is to have a port.
struct Part {
    name: &'static str,
    option: &'static str,
    wish: Option<u16>,
    usual: u16,
    bound: Option<TcpListener>,
}

impl Part {
    fn new(name: &'static str, option: &'static str, wish: Option<u16>, usual: u16) -> Self {
        Self { name, option, wish, usual, bound: None }
    }

    fn error(&self, error: ListenError) -> PortError {
        PortError { error, part: self.name, option: self.option }
    }
}

impl Sockets {
    /// Binds a port for each part. Those that were asked for come first, then the usual ones that are free, and then whatever
    /// is free for who is left: so one that is taken moves nobody else.
    ///
    /// # Errors
    /// [`PortError`]: one that was asked for cannot be had, or none is free.
    pub fn bind(wishes: Wishes) -> Result<Self, PortError> {
        Self::bind_among(wishes, Ports::USUAL, SPARE)
    }

    fn bind_among(wishes: Wishes, usual: Ports, spare: RangeInclusive<u16>) -> Result<Self, PortError> {
        let mut parts = [
            Part::new("outer proxy", "--outer", wishes.outer, usual.outer),
            Part::new("inner proxy", "--inner", wishes.inner, usual.inner),
            Part::new("demo backend", "--backend", wishes.backend, usual.backend),
            Part::new("dashboard", "--admin", wishes.dashboard, usual.dashboard),
        ];
        for part in parts.iter_mut().filter(|part| part.wish.is_some()) {
            let wish = part.wish.unwrap_or(part.usual);
            part.bound = Some(at(wish).map_err(|error| part.error(error))?);
        }
        for part in parts.iter_mut().filter(|part| part.bound.is_none()) {
            part.bound = unless_taken(at(part.usual)).map_err(|error| part.error(error))?;
        }
        let [outer, inner, backend, dashboard] = parts.map(|part| match part.bound {
            Some(bound) => Ok(bound),
            None => first_free(spare.clone()).map_err(|error| part.error(error)),
        });
        Ok(Self { outer: outer?, inner: inner?, backend: backend?, dashboard: dashboard? })
    }

    /// Which ports they have.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn ports(&self) -> std::io::Result<Ports> {
        let port = |socket: &TcpListener| socket.local_addr().map(|addr| addr.port());
        Ok(Ports {
            outer: port(&self.outer)?,
            inner: port(&self.inner)?,
            backend: port(&self.backend)?,
            dashboard: port(&self.dashboard)?,
        })
    }
}

/// The first of these ports that is free.
fn first_free(ports: RangeInclusive<u16>) -> Result<TcpListener, ListenError> {
    let last = *ports.end();
    for port in ports {
        match at(port) {
            Err(error) if error.is_taken() => {}
            bound => return bound,
        }
    }
    at(last)
}

fn unless_taken(bound: Result<TcpListener, ListenError>) -> Result<Option<TcpListener>, ListenError> {
    match bound {
        Err(error) if error.is_taken() => Ok(None),
        bound => bound.map(Some),
    }
}

fn at(port: u16) -> Result<TcpListener, ListenError> {
    let options = ListenOptions::default().backlog(BACKLOG);
    bind(BindAddr::Ip(Ipv4Addr::LOCALHOST.into()), port, &options)
}

/// The address of a port of the chain.
#[must_use]
pub fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port_of(socket: &TcpListener) -> u16 {
        socket.local_addr().unwrap().port()
    }

    #[test]
    fn a_usual_port_that_is_taken_is_stood_in_for_and_moves_no_other() {
        // What the kernel has just given up may be somebody else's by then; not ten times.
        let kept = (0..10).any(|_| {
            let taken = [(); 2].map(|()| at(0).unwrap());
            let [outer, backend, spare] = [(); 3].map(|()| port_of(&at(0).unwrap()));
            let [dashboard, inner] = [0, 1].map(|n| port_of(&taken[n]));
            let usual = Ports { outer, inner, backend, dashboard };
            let (first, last) = (spare, spare.saturating_add(100));
            let Ok(sockets) = Sockets::bind_among(Wishes::default(), usual, first..=last) else {
                return false;
            };
            let ports = sockets.ports().unwrap();
            for moved in [ports.dashboard, ports.inner] {
                assert!((first..=last).contains(&moved), "{ports:?} of {first}..={last}");
            }
            assert_ne!(ports.dashboard, ports.inner);
            (ports.outer, ports.backend) == (outer, backend)
        });
        assert!(kept);
    }

    #[test]
    fn a_port_that_was_asked_for_is_that_port_or_an_error_that_names_the_option() {
        let taken = at(0).unwrap();
        let port = taken.local_addr().unwrap().port();
        let wishes = Wishes { dashboard: Some(port), ..Wishes::default() };
        let error = Sockets::bind(wishes).unwrap_err();
        assert!(error.error.is_taken());
        let said = error.to_string().replace(&port.to_string(), "PORT");
        insta::assert_snapshot!(said, @"
cannot listen on 127.0.0.1:PORT: Address already in use (os error 98) (for the dashboard)
  choose another port with: smartproxy demo --admin PORT
");
        drop(taken);
        let sockets = (0..10).find_map(|_| Sockets::bind(wishes).ok()).unwrap();
        assert_eq!(sockets.ports().unwrap().dashboard, port);
    }
}
