//! Why a proxy did not do what it was asked, and what to do about it.

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::time::Duration;

use hyper::StatusCode;
use proxy_core::DialError;
use proxy_core::dial::DialErrorKind;

use crate::format::plain_lines;
use crate::place::Place;
use proxy_api::model::Problem;

/// Why there is no answer, or no good one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no socket of that name.
    #[error(
        "{0}: there is no such socket\n  \
         is the proxy running, and does its configuration say `[admin] socket = \"{path}\"`?",
        path = absolute(.0)
    )]
    NoSocket(Place),
    /// There is a file of that name, which is no socket.
    #[error("{0} is no socket: --socket takes what `[admin] socket` names in the configuration")]
    NotASocket(Place),
    /// There is a socket, or an address, and nobody behind it.
    #[error("{0}: nobody answers: the proxy is not running any more, or not there")]
    Refused(Place),
    /// The socket may not be used by this user.
    #[error("{0}: permission denied\n  run it as the user that the proxy runs as, or as root (sudo)")]
    Denied(Place),
    /// It could not be reached for another reason.
    #[error("{error}")]
    Unreachable {
        /// Whom.
        place: Place,
        /// Why.
        error: DialError,
    },
    /// It was reached and does not answer.
    #[error("{place}: no answer within {}s: the process is stopped, or very busy", after.as_secs())]
    Late {
        /// Who.
        place: Place,
        /// After so long.
        after: Duration,
    },
    /// The connection broke.
    #[error("{place}: the answer broke off: {why}{}", doubt(place))]
    Broken {
        /// Whose.
        place: Place,
        /// How.
        why: String,
    },
    /// It is somebody else who answers.
    #[error("{place} answers, but not as the admin API of SmartProxy does ({why})\n  {}", looked_for(place))]
    Foreign {
        /// Where.
        place: Place,
        /// By what that is seen.
        why: String,
    },
    /// It answered what is no answer of this API.
    #[error("{place}{path} answers what this version does not understand: {why}")]
    Nonsense {
        /// Who.
        place: Place,
        /// To which request.
        path: String,
        /// How.
        why: String,
    },
    /// A token is asked for.
    #[error(
        "{place}: {detail}\n  say where the token is with --token-file FILE (the file that `[admin] token_file` names)"
    )]
    Unauthorised {
        /// Who.
        place: Place,
        /// What exactly.
        detail: String,
    },
    /// The proxy says no.
    #[error("{}", plain_lines(&.0.detail))]
    Problem(Problem),
}

/// As a configuration has to name it.
fn absolute(place: &Place) -> String {
    match place {
        Place::Unix(path) => std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string(),
        Place::Http(_) => place.to_string(),
    }
}

impl ClientError {
    /// Whether the proxy gave no answer at all, as opposed to one that says no.
    #[must_use]
    pub fn is_no_answer(&self) -> bool {
        !matches!(self, Self::Problem(_) | Self::Unauthorised { .. } | Self::Nonsense { .. })
    }

    /// Whether this machine was short of what it takes to ask: descriptors, ports, memory.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        let Self::Unreachable { error, .. } = self else { return false };
        error.attempts.iter().any(|attempt| matches!(attempt.kind, DialErrorKind::Shortage(_)))
    }

    pub(super) fn unreachable(place: &Place, error: DialError) -> Self {
        let kind = error.attempts.last().map(|attempt| &attempt.kind);
        match (place, kind) {
            (Place::Unix(path), Some(DialErrorKind::Refused)) if !is_socket(path) => {
                Self::NotASocket(place.clone())
            }
            (_, Some(DialErrorKind::Refused)) => Self::Refused(place.clone()),
            (_, Some(DialErrorKind::Failed(why))) if why.kind() == io::ErrorKind::NotFound => {
                Self::NoSocket(place.clone())
            }
            (_, Some(DialErrorKind::Failed(why))) if why.kind() == io::ErrorKind::PermissionDenied => {
                Self::Denied(place.clone())
            }
            (_, Some(DialErrorKind::Timeout)) => {
                Self::Late { place: place.clone(), after: error.within.get() }
            }
            (_, _) => Self::Unreachable { place: place.clone(), error },
        }
    }

    /// What a status other than success says.
    pub(super) fn refusal(place: &Place, status: StatusCode, body: &[u8]) -> Self {
        let problem = serde_json::from_slice::<Problem>(body);
        match (status, problem) {
            (StatusCode::UNAUTHORIZED, problem) => Self::Unauthorised {
                place: place.clone(),
                detail: problem.map_or_else(
                    |_| "it asks for a token".to_owned(),
                    |problem| plain_lines(&problem.detail),
                ),
            },
            (_, Ok(problem)) => Self::Problem(problem),
            (_, Err(_)) => Self::Foreign {
                place: place.clone(),
                why: format!("status {status}, without problem details"),
            },
        }
    }

    /// A success whose body is not what was expected. What is JSON may be of another version; what is none is somebody else's.
    pub(super) fn not_understood(place: &Place, path: &str, body: &[u8], error: &serde_json::Error) -> Self {
        let place = place.clone();
        match serde_json::from_slice::<serde::de::IgnoredAny>(body) {
            Ok(_) => Self::Nonsense { place, path: path.to_owned(), why: error.to_string() },
            Err(_) => Self::Foreign { place, why: "no JSON".to_owned() },
        }
    }

    /// A connection on which something went wrong.
    pub(super) fn broken(place: &Place, error: &hyper::Error) -> Self {
        let place = place.clone();
        if error.is_parse() {
            return Self::Foreign { place, why: "no HTTP".to_owned() };
        }
        Self::Broken { place, why: error.to_string() }
    }
}

/// Where the API is to be looked for, if not here.
fn looked_for(place: &Place) -> &'static str {
    match place {
        Place::Unix(_) => "--socket takes what `[admin] socket` names in the configuration",
        Place::Http(_) => {
            "is it a port for the proxy's clients? --socket takes what `[admin] socket` or `[admin] listen` names"
        }
    }
}

/// What else it may be where an answer does not come to its end: a port that wants a PROXY header or TLS closes like that.
fn doubt(place: &Place) -> String {
    match place {
        Place::Unix(_) => String::new(),
        Place::Http(_) => format!("\n  {}", looked_for(place)),
    }
}

fn is_socket(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}
