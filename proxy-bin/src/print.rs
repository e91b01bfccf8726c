//! What a command says on standard output and standard error. Whoever reads it may have had enough (`| head`): that is no
//! failure, and no reason to end otherwise than with the command's own exit code.

use std::fmt::Display;
use std::io::{self, Write as _};

use anyhow::Context as _;

/// Writes to standard output, and has it written.
///
/// # Errors
/// Where it cannot be written for another reason than that nobody reads any more, such as a full disk.
pub(crate) fn out(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Writes a line to standard error, in one piece. Where that cannot be written there is nobody left to be told.
pub(crate) fn err(text: impl Display) {
    io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap_or_default();
}
