//! The check of a PostgreSQL server: whether it would do TLS, which it answers before it knows who asks.

use super::cause::{Finding, excerpt};
use super::exchange::{Exchange, Step};

/// `SSLRequest`: its length, and the code 80877103 (PostgreSQL's documentation, "Message Formats").
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Asks, and closes in order: a server logs who resets, and who sends less, and not this.
pub(super) struct Postgres;

impl Exchange for Postgres {
    fn begin(&mut self) -> Step {
        Step::send(SSL_REQUEST)
    }

    fn hear(&mut self, heard: &[u8]) -> Result<Step, Finding> {
        match heard.first() {
            None => Ok(Step::default()),
            Some(b'S' | b'N') => Ok(Step::well([])),
            Some(_) => Err(Finding::unexpected(format!("{} instead of S or N", excerpt(heard)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::conversation::tests::talk;
    use super::super::options::CheckKind;
    use super::*;

    #[test]
    fn either_answer_is_one() {
        for answer in [b"S", b"N"] {
            assert_eq!(talk(&CheckKind::Postgres, answer), (SSL_REQUEST.to_vec(), Ok(true)));
        }
        let (_, verdict) = talk(&CheckKind::Postgres, b"HTTP/1.1 400 Bad Request\r\n");
        assert_eq!(verdict.unwrap_err().to_string(), "\"H\" instead of S or N");
    }
}
