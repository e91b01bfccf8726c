//! What a command leaves behind: text on standard output, and an exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;

use super::access::AccessError;
use super::client::ClientError;

/// How a command went that had its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As asked.
    Done,
    /// The proxy was asked, and the answer is no: an audit that is not clean, a configuration that is refused.
    No,
}

/// Why a command came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// It is not known which proxy to ask.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// It gave no answer, or no good one.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The command line asks for what is not done like that.
    #[error("{0}")]
    Usage(String),
    /// A file cannot be read.
    #[error("cannot read {file}: {source}")]
    File {
        /// Which.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// What there is to say cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
    /// The terminal cannot be used.
    #[error("cannot use this terminal: {0}")]
    Terminal(io::Error),
}

/// Exit codes of the commands that talk to a running proxy, beside 0 (done); `--help` lists them.
const NO: u8 = 1;
const WRONG_COMMAND_LINE: u8 = 2;
const NO_ANSWER: u8 = 5;

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::No => Self::from(NO),
        }
    }
}

impl Failure {
    /// Whether whoever reads the output has had enough (`| head`): that is no failure.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The exit code that tells of it.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Client(error) if error.is_no_answer() => ExitCode::from(NO_ANSWER),
            Self::Access(error) if error.is_no_proxy() => ExitCode::from(NO_ANSWER),
            Self::Access(error) if error.is_ambiguous() => ExitCode::from(WRONG_COMMAND_LINE),
            Self::Usage(_) => ExitCode::from(WRONG_COMMAND_LINE),
            Self::Access(_) | Self::Client(_) | Self::File { .. } | Self::Output(_) | Self::Terminal(_) => {
                ExitCode::from(NO)
            }
        }
    }
}

/// Writes `value` as JSON, for programs.
///
/// # Errors
/// Where it cannot be written.
pub(super) fn json(out: &mut dyn Write, value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_vec_pretty(value).map_err(io::Error::other)?;
    text.push(b'\n');
    out.write_all(&text)?;
    Ok(())
}

/// Writes `text`, for people.
///
/// # Errors
/// Where it cannot be written.
pub(super) fn text(out: &mut dyn Write, text: impl std::fmt::Display) -> Result<(), Failure> {
    write!(out, "{text}")?;
    out.flush()?;
    Ok(())
}
