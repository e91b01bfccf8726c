//! Checks of servers that talk in lines: redis, SMTP, SSH, and any text that is configured.

use super::cause::{Finding, excerpt};
use super::exchange::{Exchange, Step, line};

/// `PING` as an inline command: every version knows it, and none logs it.
pub(super) struct Redis;

impl Exchange for Redis {
    fn begin(&mut self) -> Step {
        Step::send(*b"PING\r\n")
    }

    fn hear(&mut self, heard: &[u8]) -> Result<Step, Finding> {
        let Some(answer) = line(heard) else { return Ok(Step::default()) };
        // One that wants a password first serves those who have it.
        if answer == b"+PONG" || answer.starts_with(b"-NOAUTH") {
            return Ok(Step::well([]));
        }
        Err(Finding::unexpected(format!("{} instead of +PONG", excerpt(answer))))
    }
}

/// Reads the greeting, and says goodbye. Both have as many lines as the server likes (RFC 5321, section 4.2.1).
#[derive(Default)]
pub(super) struct Smtp {
    /// How many bytes of what was heard the greeting had, once it is whole.
    greeted: Option<usize>,
}

impl Exchange for Smtp {
    fn begin(&mut self) -> Step {
        Step::default()
    }

    fn hear(&mut self, heard: &[u8]) -> Result<Step, Finding> {
        let (code, after) = match self.greeted {
            None => (*b"220", heard),
            Some(at) => (*b"221", heard.get(at..).unwrap_or_default()),
        };
        let Some(len) = reply(after, code)? else { return Ok(Step::default()) };
        // Not before the greeting is there: a client that does not wait is logged as one that sends spam.
        Ok(if self.greeted.replace(len).is_none() { Step::send(*b"QUIT\r\n") } else { Step::well([]) })
    }
}

/// How long a reply with this code is; None where it is not whole.
fn reply(heard: &[u8], code: [u8; 3]) -> Result<Option<usize>, Finding> {
    let mut len = 0;
    while let Some(line) = line(heard.get(len..).unwrap_or_default()) {
        let code_is_right = line.starts_with(&code);
        if !code_is_right {
            return Err(Finding::unexpected(format!("{} instead of {}", excerpt(line), code.escape_ascii())));
        }
        let with_end = heard.get(len + line.len()..).unwrap_or_default();
        len += line.len() + if with_end.starts_with(b"\r\n") { 2 } else { 1 };
        if line.get(3) != Some(&b'-') {
            return Ok(Some(len));
        }
    }
    Ok(None)
}

/// Waits for the server's version (RFC 4253, section 4.2), and answers with its own: of those who only listen a server says so in
/// two lines of its log, of those who then close in one.
pub(super) struct Ssh;

impl Exchange for Ssh {
    fn begin(&mut self) -> Step {
        Step::default()
    }

    fn hear(&mut self, heard: &[u8]) -> Result<Step, Finding> {
        // Other lines may come before the version.
        let mut rest = heard;
        while let Some(line) = line(rest) {
            if line.starts_with(b"SSH-") {
                return Ok(Step::well(*b"SSH-2.0-SmartProxy_check\r\n"));
            }
            if !line.is_ascii() {
                return Err(Finding::unexpected(format!("{} instead of an SSH version", excerpt(line))));
            }
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        Ok(Step::default())
    }
}

/// A text, and another one that has to be in the answer.
pub(super) struct Text {
    send: Box<str>,
    expect: Box<str>,
}

impl Text {
    pub(super) fn new(send: &str, expect: &str) -> Self {
        Self { send: send.into(), expect: expect.into() }
    }
}

impl Exchange for Text {
    fn begin(&mut self) -> Step {
        Step::send(self.send.as_bytes())
    }

    fn hear(&mut self, heard: &[u8]) -> Result<Step, Finding> {
        let expected = self.expect.as_bytes();
        let is_there = heard.windows(expected.len().max(1)).any(|part| part == expected);
        Ok(if is_there { Step::well([]) } else { Step::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::conversation::tests::talk;
    use super::super::options::CheckKind;

    fn said(kind: &CheckKind, by_server: &str) -> (String, String) {
        let (sent, verdict) = talk(kind, by_server.as_bytes());
        let verdict = match verdict {
            Ok(true) => "well".to_owned(),
            Ok(false) => "waits".to_owned(),
            Err(finding) => format!("{}: {finding}", finding.cause),
        };
        (String::from_utf8(sent).unwrap(), verdict)
    }

    #[test]
    fn redis() {
        let ping = |said: &str| self::said(&CheckKind::Redis, said);
        let well = ("PING\r\n".to_owned(), "well".to_owned());
        assert_eq!(ping("+PONG\r\n"), well);
        assert_eq!(ping("-NOAUTH Authentication required.\r\n"), well);
        assert_eq!(ping("+PONG").1, "waits");
        assert_eq!(
            ping("-LOADING Redis is loading the dataset in memory\r\n").1,
            "unexpected: \"-LOADING Redis is loading the dataset in memory\" instead of +PONG"
        );
    }

    #[test]
    fn smtp() {
        let smtp = |said: &str| self::said(&CheckKind::Smtp, said);
        let quit = "QUIT\r\n".to_owned();
        assert_eq!(smtp("220 mx ESMTP\r\n221 2.0.0 Bye\r\n"), (quit.clone(), "well".to_owned()));
        assert_eq!(
            smtp("220-mx\r\n220-no spam\r\n220 ready\r\n221 Bye\r\n"),
            (quit.clone(), "well".to_owned())
        );
        assert_eq!(smtp("220-mx\r\n"), (String::new(), "waits".to_owned()), "it is not greeted to the end");
        assert_eq!(smtp("220 mx\r\n"), (quit, "waits".to_owned()));
        assert_eq!(smtp("421 too busy\r\n").1, "unexpected: \"421 too busy\" instead of 220");
        assert_eq!(smtp("220 mx\r\n500 what\r\n").1, "unexpected: \"500 what\" instead of 221");
    }

    #[test]
    fn ssh() {
        let ssh = |said: &str| self::said(&CheckKind::Ssh, said);
        let own = "SSH-2.0-SmartProxy_check\r\n".to_owned();
        assert_eq!(ssh("SSH-2.0-OpenSSH_9.2p1\r\n"), (own.clone(), "well".to_owned()));
        assert_eq!(ssh("welcome\r\nSSH-2.0-x\r\n"), (own, "well".to_owned()));
        assert_eq!(ssh("SSH-2.0-x"), (String::new(), "waits".to_owned()));
        let (_, verdict) = talk(&CheckKind::Ssh, b"\x16\x03\x01\xff\n");
        assert_eq!(verdict.unwrap_err().to_string(), "\"\\x16\\x03\\x01\\xff\" instead of an SSH version");
    }

    #[test]
    fn text_is_found_wherever_it_is() {
        let kind = CheckKind::Text { send: "stats\n".into(), expect: "END".into() };
        assert_eq!(said(&kind, "a 1\r\nEND\r\n"), ("stats\n".to_owned(), "well".to_owned()));
        assert_eq!(said(&kind, "a 1\r\nEN").1, "waits");
    }
}
