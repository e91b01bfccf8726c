//! What goes wrong with a backend in the middle of an exchange.

use std::error::Error as _;
use std::{fmt, io};

use proxy_conn::Cause;
use proxy_core::Side;

/// Why an exchange with a backend failed or broke off.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The cause, as for the end of a connection.
    pub cause: Cause,
    /// What there is to say beyond that.
    pub detail: Box<str>,
}

impl Fault {
    /// One of that cause.
    #[must_use]
    pub fn new(cause: Cause, detail: impl Into<Box<str>>) -> Self {
        Self { cause, detail: detail.into() }
    }

    /// What an error of hyper's is, on a connection to a backend.
    #[must_use]
    pub fn of_backend(error: &hyper::Error) -> Self {
        if let Some(fault) = of_upload(error) {
            return fault;
        }
        if let Some(error) = io_error(error) {
            return Self::new(Cause::of_failure(Side::Backend, error), error.to_string());
        }
        if error.is_parse() {
            return Self::new(Cause::BackendMalformed, format!("its answer is no HTTP: {error}"));
        }
        if error.is_incomplete_message() {
            return Self::new(Cause::BackendTruncated, "it closed in the middle of an exchange");
        }
        Self::new(Cause::BackendReset, error.to_string())
    }

    /// The status of the answer to the client, where one can still be sent.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other cause is that of a bad gateway")]
    pub const fn status(&self) -> u16 {
        match self.cause {
            Cause::BackendTimeout | Cause::DialTimeout | Cause::BackendVanished => 504,
            Cause::TargetsDown
            | Cause::TargetLimit
            | Cause::RouteLimit
            | Cause::PoolLimit
            | Cause::Draining
            | Cause::Shed
            | Cause::DialShortage => 503,
            Cause::RequestTimeout => 408,
            Cause::RequestMalformed => 400,
            _ => 502,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause, self.detail)
    }
}

impl std::error::Error for Fault {}

/// The fault of the request's own body, which hyper hands on.
fn of_upload(error: &hyper::Error) -> Option<Fault> {
    error.source()?.downcast_ref::<Fault>().cloned()
}

/// What a stream has said, where that is what went wrong.
pub(crate) fn io_error(error: &hyper::Error) -> Option<&io::Error> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error);
        }
        source = error.source();
    }
    None
}
