//! Congestion control of the proxy's own TCP sockets (`TCP_CONGESTION`, tcp(7)).
//!
//! Where the system's default is BBR, every flow is paced: the kernel holds segments back and sends them by timers. Over
//! loopback there is no queue to keep short, and each timer costs CPU. So by default sockets of loopback are not paced, and
//! all others are left as the system has them.
//!
//! What it is not: a tuning of any algorithm, nor of routes (`ip route … congctl`).

mod kernel;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::str::FromStr;

use socket2::Socket;

pub use kernel::permitted;

/// The longest name of an algorithm, in bytes: `TCP_CA_NAME_MAX` of Linux, without the NUL.
const LONGEST: usize = 15;

/// What has no pacing, and is built into every kernel.
const UNPACED: Algorithm = Algorithm::known(b"reno");

/// Which congestion control a socket gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Congestion {
    /// The system's default; on loopback, where that paces, one that does not.
    #[default]
    Auto,
    /// The system's default.
    System,
    /// This one.
    Named(Algorithm),
}

/// The name of a congestion control, such as `cubic`: 1 to 15 ASCII letters, digits, `_`, `-` and `.`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Algorithm {
    /// Zeroes behind the name.
    bytes: [u8; LONGEST],
}

/// A text that is no [`Congestion`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected \"auto\", \"system\" or the name of a congestion control such as \"cubic\", found `{0}`")]
pub struct CongestionFormError(String);

/// A text that is no name of a congestion control.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected the name of a congestion control such as \"cubic\", found `{0}`")]
pub struct AlgorithmFormError(String);

/// A congestion control that cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CongestionError {
    /// The kernel has none of that name.
    #[error("the kernel has no congestion control \"{name}\": it permits {permitted}")]
    Unknown {
        /// The name.
        name: Algorithm,
        /// Those that anybody may use.
        permitted: String,
    },
    /// The kernel has it, but only for processes with `CAP_NET_ADMIN`.
    #[error("the kernel does not permit the congestion control \"{name}\": it permits {permitted}")]
    NotPermitted {
        /// The name.
        name: Algorithm,
        /// Those that anybody may use.
        permitted: String,
    },
    /// Anything else that the kernel said.
    #[error("cannot set the congestion control \"{name}\": {source}")]
    Other {
        /// The name.
        name: Algorithm,
        /// What the kernel said.
        source: io::Error,
    },
}

impl CongestionError {
    /// That the kernel has it and keeps it from the process, or will.
    #[must_use]
    pub fn not_permitted(name: Algorithm) -> Self {
        Self::NotPermitted { name, permitted: kernel::listed() }
    }
}

impl Congestion {
    /// Gives it to a socket that has nothing but the system's default yet, and is or will be bound or connected to `at`.
    ///
    /// # Errors
    /// Where what is named cannot be had. The others leave the socket as it is then.
    pub(crate) fn begin(self, socket: &Socket, at: IpAddr) -> io::Result<()> {
        self.begin_where(socket, at, kernel::default())
    }

    /// The same, where the system's default is this one.
    pub(crate) fn begin_where(
        self,
        socket: &Socket,
        at: IpAddr,
        default: Option<Algorithm>,
    ) -> io::Result<()> {
        self.choice(at, default).map_or(Ok(()), |algorithm| self.set(socket, algorithm))
    }

    /// Gives it to a socket that may have been given another one: a listening socket, for what it accepts from now on.
    ///
    /// # Errors
    /// As [`Congestion::begin`].
    pub(crate) fn change(self, socket: &Socket, at: IpAddr) -> io::Result<()> {
        // Not as it was once: what is set here stays.
        let default = kernel::default_now();
        let Some(algorithm) = self.choice(at, default).or(default) else { return Ok(()) };
        if kernel::of(socket).is_ok_and(|has| has == algorithm) {
            return Ok(());
        }
        self.set(socket, algorithm)
    }

    /// What a socket at `at` has to be given, if anything, where the system's default is `default`.
    fn choice(self, at: IpAddr, default: Option<Algorithm>) -> Option<Algorithm> {
        match self {
            Self::Auto => {
                let in_vain = at.to_canonical().is_loopback() && default.is_some_and(Algorithm::paces);
                in_vain.then_some(UNPACED)
            }
            Self::System => None,
            Self::Named(algorithm) => Some(algorithm),
        }
    }

    fn set(self, socket: &Socket, algorithm: Algorithm) -> io::Result<()> {
        match (kernel::set(socket, algorithm), self) {
            (Err(source), Self::Named(_)) => Err(io::Error::other(kernel::refused(algorithm, source))),
            // Nobody has asked for it by name: the socket is as good as ever with what it has.
            (Ok(()) | Err(_), Self::Auto | Self::System | Self::Named(_)) => Ok(()),
        }
    }
}

impl Algorithm {
    /// A name that is known to be one.
    const fn known(name: &[u8]) -> Self {
        assert!(!name.is_empty() && name.len() <= LONGEST, "a name has 1 to 15 bytes");
        let mut bytes = [0; LONGEST];
        let (begin, _) = bytes.split_at_mut(name.len());
        begin.copy_from_slice(name);
        Self { bytes }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let name = self.bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        // INVARIANT: a name is ASCII.
        str::from_utf8(name).unwrap_or_default()
    }

    /// Whether the kernel lets this process use it. Nothing is sent: a socket is opened, asked and closed.
    ///
    /// # Errors
    /// [`CongestionError`].
    pub fn usable(self) -> Result<(), CongestionError> {
        let probe = kernel::probe().map_err(|source| CongestionError::Other { name: self, source })?;
        kernel::set(&probe, self).map_err(|source| kernel::refused(self, source))
    }

    /// Whether it sends by timers what it could send at once: BBR in all its versions does.
    fn paces(self) -> bool {
        self.as_str().starts_with("bbr")
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Algorithm({self})")
    }
}

impl FromStr for Algorithm {
    type Err = AlgorithmFormError;

    fn from_str(text: &str) -> Result<Self, AlgorithmFormError> {
        let fits = (1..=LONGEST).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        if fits { Ok(Self::known(text.as_bytes())) } else { Err(AlgorithmFormError(text.to_owned())) }
    }
}

impl fmt::Display for Congestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::System => f.write_str("system"),
            Self::Named(algorithm) => algorithm.fmt(f),
        }
    }
}

impl FromStr for Congestion {
    type Err = CongestionFormError;

    fn from_str(text: &str) -> Result<Self, CongestionFormError> {
        match text {
            "auto" => Ok(Self::Auto),
            "system" => Ok(Self::System),
            name => {
                name.parse().map(Self::Named).map_err(|AlgorithmFormError(text)| CongestionFormError(text))
            }
        }
    }
}

proxy_values::text_form!(
    Congestion,
    "Congestion",
    r"^[A-Za-z0-9_.-]{1,15}$",
    "\"auto\", \"system\" or the name of a congestion control such as \"cubic\""
);

#[cfg(test)]
mod tests;
