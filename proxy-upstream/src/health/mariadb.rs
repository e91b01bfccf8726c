//! The check of a MariaDB or MySQL server: a login, and a farewell.
//!
//! A connection that ends before its login counts against the address that it came from, and after `max_connect_errors` (100) of
//! these the server refuses everybody from there, which is every client of the proxy. A login that succeeds costs no line in
//! the log and sets that count to zero. So there has to be a user who may log in and nothing else:
//!
//! ```sql
//! CREATE USER 'smartproxy_check'@'%';
//! ```
//!
//! Packets: 3 bytes of length (little-endian), a number, the payload.

use super::cause::{Finding, excerpt};
use super::exchange::{Exchange, Step};

/// Old and new passwords alike, the protocol of MySQL 4.1, authentication by plugins.
const CAPABILITIES: u32 = 0x1 | 0x200 | 0x8000 | 0x8_0000;
/// The most that may be sent to us, in bytes: what clients usually say.
const MAX_PACKET: u32 = 1 << 24;
/// `utf8_general_ci`, which every version has.
const CHARSET: u8 = 33;
/// `COM_QUIT`, as the first packet of a command.
const QUIT: [u8; 5] = [1, 0, 0, 0, 1];

/// Where the conversation is.
#[derive(Default, Clone, Copy)]
enum Stage {
    /// The server speaks first.
    #[default]
    Greeting,
    /// The login was sent.
    Login,
}

/// Logs in as `user`, who has no password, and leaves.
pub(super) struct Mariadb {
    user: Box<str>,
    stage: Stage,
    /// How many bytes were read.
    read: usize,
}

impl Mariadb {
    pub(super) fn new(user: &str) -> Self {
        Self { user: user.into(), stage: Stage::default(), read: 0 }
    }

    fn login(&self, number: u8) -> Vec<u8> {
        let mut payload = Vec::new();
        payload.extend(CAPABILITIES.to_le_bytes());
        payload.extend(MAX_PACKET.to_le_bytes());
        payload.push(CHARSET);
        payload.extend([0; 23]);
        payload.extend(self.user.bytes());
        // The end of the name, and a password of no bytes.
        payload.extend([0, 0]);
        payload.extend(b"mysql_native_password\0");
        packet(number, &payload)
    }
}

impl Exchange for Mariadb {
    fn begin(&mut self) -> Step {
        Step::default()
    }

    fn hear(&mut self, heard: &[u8]) -> Result<Step, Finding> {
        let Some((number, payload, len)) = read(heard.get(self.read..).unwrap_or_default()) else {
            return Ok(Step::default());
        };
        self.read += len;
        let next = number.wrapping_add(1);
        match (self.stage, payload.first()) {
            (_, Some(0xff)) => Err(refusal(payload, &self.user)),
            (Stage::Greeting, Some(10)) => {
                self.stage = Stage::Login;
                Ok(Step::send(self.login(next)))
            }
            (Stage::Login, Some(0)) => Ok(Step::well(QUIT)),
            // Another way to say that there is no password.
            (Stage::Login, Some(0xfe)) => Ok(Step::send(packet(next, &[]))),
            // More about that, and then the verdict.
            (Stage::Login, Some(1)) => self.hear(heard),
            (Stage::Greeting | Stage::Login, _) => Err(Finding::unexpected(format!(
                "{} instead of what a MariaDB server says",
                excerpt(payload)
            ))),
        }
    }
}

/// The packet at the start of `bytes`: its number, its payload, and how long it is.
fn read(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let [a, b, c, number, rest @ ..] = bytes else { return None };
    let len = u32::from_le_bytes([*a, *b, *c, 0]) as usize;
    Some((*number, rest.get(..len)?, 4 + len))
}

fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    // INVARIANT: a login is a few hundred bytes; three bytes of length hold it.
    let [a, b, c, _] = u32::try_from(payload.len()).unwrap_or(0).to_le_bytes();
    [&[a, b, c, number], payload].concat()
}

/// What a server says that refuses: a number, and a text (behind a state of six bytes, once it knows what we speak).
fn refusal(payload: &[u8], user: &str) -> Finding {
    let text = payload.get(3..).unwrap_or_default();
    let text = if text.first() == Some(&b'#') { text.get(6..).unwrap_or_default() } else { text };
    let code = payload.get(1..3).and_then(|code| code.try_into().ok()).map_or(0, u16::from_le_bytes);
    let text = String::from_utf8_lossy(text);
    // ER_ACCESS_DENIED_ERROR, and that without a password.
    let help = match code {
        1045 | 1698 => format!("; there has to be a user without rights: CREATE USER '{user}'@'%'"),
        _ => String::new(),
    };
    Finding::unexpected(format!("error {code}: {}{help}", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::super::conversation::tests::talk;
    use super::super::options::CheckKind;
    use super::*;

    fn greeting() -> Vec<u8> {
        packet(0, b"\x0a10.11.19-MariaDB\0\x01\0\0\0salt")
    }

    fn check() -> CheckKind {
        CheckKind::Mariadb("smartproxy_check".into())
    }

    #[test]
    fn a_login_and_a_farewell() {
        let ok = packet(2, &[0, 0, 0, 2, 0, 0, 0]);
        let (sent, verdict) = talk(&check(), &[greeting(), ok].concat());
        assert_eq!(verdict, Ok(true));
        let (number, login, len) = read(&sent).unwrap();
        assert_eq!((number, &login[..4], &sent[len..]), (1, &[1, 0x82, 8, 0][..], &QUIT[..]));
        assert!(login[32..].starts_with(b"smartproxy_check\0\0mysql_native_password\0"));
    }

    #[test]
    fn another_plugin_is_told_that_there_is_no_password() {
        let switch = packet(2, b"\xfecaching_sha2_password\0salt\0");
        let ok = packet(4, &[0, 0, 0, 2, 0, 0, 0]);
        let (sent, verdict) = talk(&check(), &[greeting(), switch, ok].concat());
        assert_eq!(verdict, Ok(true));
        assert!(sent.ends_with(&[&packet(3, &[])[..], &QUIT].concat()));
    }

    #[test]
    fn who_is_refused_is_told_what_to_do() {
        let denied = packet(2, b"\xff\x15\x04#28000Access denied for user 'x'@'y'");
        let (_, verdict) = talk(&check(), &[greeting(), denied].concat());
        assert_eq!(
            verdict.unwrap_err().to_string(),
            "error 1045: Access denied for user 'x'@'y'; there has to be a user without rights: \
             CREATE USER 'smartproxy_check'@'%'"
        );
        let blocked = packet(0, b"\xff\x69\x04Host 'y' is blocked");
        assert_eq!(talk(&check(), &blocked).1.unwrap_err().to_string(), "error 1129: Host 'y' is blocked");
    }
}
