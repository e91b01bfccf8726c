//! The check of an HTTP server: a request, and the status of its answer.

use super::cause::{Finding, excerpt};
use super::exchange::{Exchange, Step, line};
use super::options::{HttpCheck, StatusRange};

/// Asks once, and has the server close.
pub(super) struct Http {
    request: String,
    status: StatusRange,
}

impl Http {
    pub(super) fn new(check: &HttpCheck) -> Self {
        let HttpCheck { path, host, status } = check;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: SmartProxy-check\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        );
        Self { request, status: *status }
    }
}

impl Exchange for Http {
    fn begin(&mut self) -> Step {
        Step::send(self.request.as_bytes())
    }

    fn hear(&mut self, heard: &[u8]) -> Result<Step, Finding> {
        let Some(answer) = line(heard) else { return Ok(Step::default()) };
        match status(answer) {
            Some(status) if self.status.contains(status) => Ok(Step::well([])),
            Some(status) => {
                Err(Finding::unexpected(format!("status {status}, which is not in {}", self.status)))
            }
            None => Err(Finding::unexpected(format!("{} instead of an HTTP status", excerpt(answer)))),
        }
    }
}

/// The status in `HTTP/1.1 200 OK`.
fn status(line: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(line.get(..12)?).ok()?;
    let digits = text.strip_prefix("HTTP/1.1 ").or_else(|| text.strip_prefix("HTTP/1.0 "))?;
    let ends = line.get(12).is_none_or(|byte| *byte == b' ');
    digits.parse().ok().filter(|_| ends && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::super::conversation::tests::talk;
    use super::super::options::CheckKind;
    use super::*;

    #[test]
    fn the_status_decides() {
        let check = HttpCheck::default().path("/ready".into()).host("a.test".into());
        let check = CheckKind::Http(check.status("200-204".parse().unwrap()));
        let verdict = |said: &str| talk(&check, said.as_bytes()).1.map_err(|finding| finding.to_string());
        let (sent, well) = talk(&check, b"HTTP/1.1 200 OK\r\n");
        assert_eq!(well, Ok(true));
        assert!(sent.starts_with(b"GET /ready HTTP/1.1\r\nHost: a.test\r\n") && sent.ends_with(b"\r\n\r\n"));
        assert_eq!(verdict("HTTP/1.0 204\r\n"), Ok(true));
        assert_eq!(verdict("HTTP/1.1 200 O"), Ok(false));
        assert_eq!(verdict("HTTP/1.1 503 Busy\r\n"), Err("status 503, which is not in 200-204".to_owned()));
        assert_eq!(
            verdict("HTTP/1.1 2000\r\n"),
            Err("\"HTTP/1.1 2000\" instead of an HTTP status".to_owned())
        );
        assert_eq!(verdict("SSH-2.0-x\r\n"), Err("\"SSH-2.0-x\" instead of an HTTP status".to_owned()));
    }
}
