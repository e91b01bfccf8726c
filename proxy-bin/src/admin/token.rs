//! The token that whoever comes over TCP has to bring.

use std::fmt;
use std::hint::black_box;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::plain_file::{self, ReadError};

/// A shorter one could be guessed over the network; a longer one is no token but a wrong file.
const SHORTEST: usize = 16;
const LONGEST: usize = 512;
/// The permissions of everybody but owner and group.
const OTHERS: u32 = 0o007;

/// A token, which is compared and never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(Box<[u8]>);

/// Why a file holds no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It cannot be read.
    #[error("cannot read the token file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Anybody on the machine may read or write it.
    #[error("others than its owner may use the token file {0}: chmod o= {0}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// What it holds is no token.
    #[error(
        "the token file {} has to hold one line of {SHORTEST} to {LONGEST} visible characters: openssl rand -hex 32 > {0}",
        path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

impl Token {
    /// Reads a token from a file.
    ///
    /// # Errors
    /// [`TokenError`]: the file is not there, open to everybody, or holds no token.
    pub(super) fn read(path: &Path) -> Result<Self, TokenError> {
        let unreadable = |source| TokenError::Unreadable { path: path.to_path_buf(), source };
        let (text, about) = match plain_file::read_with(path, LONGEST + 2) {
            Err(ReadError::TooLarge(_)) => return Err(TokenError::Malformed { path: path.to_path_buf() }),
            read => read.map_err(|error| unreadable(error.into()))?,
        };
        // Of the file that was read, whatever has its name by now.
        if about.mode() & OTHERS != 0 {
            return Err(TokenError::Open { path: path.to_path_buf() });
        }
        let token = text.trim_ascii_end();
        let fits = (SHORTEST..=LONGEST).contains(&token.len()) && token.iter().all(u8::is_ascii_graphic);
        if fits { Ok(Self(token.into())) } else { Err(TokenError::Malformed { path: path.to_path_buf() }) }
    }

    /// Whether this is it. How long that takes says nothing of how much of it is right.
    pub(super) fn is(&self, given: &[u8]) -> bool {
        let differing = self.0.iter().enumerate().fold(0_u8, |differing, (at, byte)| {
            differing | black_box(byte ^ given.get(at).copied().unwrap_or(!byte))
        });
        black_box(differing) == 0 && given.len() == self.0.len()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    const TOKEN: &str = "0123456789abcdef";

    fn read(text: &str, mode: u32) -> Result<Token, TokenError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        write(file.path(), text).unwrap();
        set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        Token::read(file.path())
    }

    #[test]
    fn a_token_is_one_line_that_others_cannot_read() {
        assert!(read(TOKEN, 0o600).unwrap().is(TOKEN.as_bytes()));
        assert!(read(&format!("{TOKEN}\r\n"), 0o640).unwrap().is(TOKEN.as_bytes()));
        for mode in [0o604, 0o602, 0o644, 0o601] {
            assert!(matches!(read(TOKEN, mode), Err(TokenError::Open { .. })), "{mode:o}");
        }
        for text in
            ["", "short", "two words are no token", &"x".repeat(513), "0123456789abcdef\n0123456789abcdef"]
        {
            assert!(matches!(read(text, 0o600), Err(TokenError::Malformed { .. })), "{text}");
        }
        let missing = Token::read(Path::new("/nonexistent/token")).unwrap_err();
        assert!(missing.to_string().starts_with("cannot read the token file /nonexistent/token: "));
        // Nothing that would be waited for, or never ends.
        let device = Token::read(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(device.to_string(), "cannot read the token file /dev/zero: it is a device, not a file");
    }

    #[test]
    fn nothing_else_is_it_and_nobody_sees_it() {
        let token = read(TOKEN, 0o600).unwrap();
        for other in ["", "0", "0123456789abcde", "0123456789abcdeF", "0123456789abcdef0", "\0"] {
            assert!(!token.is(other.as_bytes()), "{other}");
        }
        assert_eq!(format!("{token:?}"), "Token(..)");
    }
}
