//! The TLS of one connection without its socket: bytes of the wire in, bytes of the wire out.
//!
//! ```text
//! wire ─► feed ─► records decrypted ─► the caller's buffer, and `plain` for what does not fit
//! wire ◄─ outgoing ◄─ handshake, alerts, key updates, close_notify
//!      ◄─ encrypt ◄─ the caller's bytes
//! ```

use std::io;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus, WriteTraffic};
use rustls::{ClientConfig, CommonState, Error, ServerConfig};

/// Either role.
enum Role {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// What one step of the library came to.
enum Step {
    /// Something was done: there may be more.
    Again,
    /// More bytes of the wire are needed for the handshake.
    Blocked,
    /// The handshake is done, and all that came is read.
    Open,
    /// Both have ended.
    Closed,
}

/// What is to be done once this side may send.
enum Wish<'a> {
    /// Nothing.
    None,
    /// Encrypt these bytes to the front of that buffer.
    Encrypt(&'a [u8], &'a mut [u8]),
    /// Say that nothing more comes.
    CloseNotify,
    /// It is done, and took so many bytes of the buffer.
    Done(usize),
}

/// Decrypted bytes go to the caller's buffer first.
struct Plain<'a> {
    buffer: &'a mut [u8],
    filled: usize,
    /// What does not fit.
    rest: &'a mut Vec<u8>,
}

impl Plain<'_> {
    fn take(&mut self, bytes: &[u8]) {
        let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
        let (now, later) = bytes.split_at(bytes.len().min(room.len()));
        if let Some(room) = room.get_mut(..now.len()) {
            room.copy_from_slice(now);
        }
        self.filled += now.len();
        self.rest.extend_from_slice(later);
    }
}

/// The TLS of one connection.
pub(crate) struct Session {
    role: Role,
    /// The front of a record, or of a handshake message, that has not wholly come.
    incoming: Vec<u8>,
    /// Decrypted bytes that nobody has taken yet.
    plain: Vec<u8>,
    /// What is to go over the wire before anything else, from `sent` on.
    outgoing: Vec<u8>,
    sent: usize,
    /// Whether both sides may send.
    open: bool,
    /// Whether the peer has said that nothing more comes.
    peer_closed: bool,
    /// Whether this side has.
    closed: bool,
}

impl Session {
    pub(crate) fn server(config: Arc<ServerConfig>, ahead: Vec<u8>) -> Result<Self, Error> {
        Ok(Self::new(Role::Server(UnbufferedServerConnection::new(config)?), ahead))
    }

    pub(crate) fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, Error> {
        Ok(Self::new(Role::Client(UnbufferedClientConnection::new(config, name)?), Vec::new()))
    }

    fn new(role: Role, incoming: Vec<u8>) -> Self {
        Self {
            role,
            incoming,
            plain: Vec::new(),
            outgoing: Vec::new(),
            sent: 0,
            open: false,
            peer_closed: false,
            closed: false,
        }
    }

    /// What was agreed upon.
    pub(crate) fn common(&self) -> &CommonState {
        match &self.role {
            Role::Server(tls) => tls,
            Role::Client(tls) => tls,
        }
    }

    /// Whether the peer can go on without what is to be sent yet: a server's tickets of TLS 1.3.
    pub(crate) fn sends_tickets_alone(&self) -> bool {
        matches!(self.role, Role::Server(_))
            && self.common().protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3)
    }

    /// Whether the handshake is done.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether the peer has said that nothing more comes.
    pub(crate) fn is_closed_by_peer(&self) -> bool {
        self.peer_closed
    }

    /// Moves what was carried to the front of `wire`; how much that was.
    pub(crate) fn lay_before(&mut self, wire: &mut [u8]) -> usize {
        let carried = std::mem::take(&mut self.incoming);
        // INVARIANT: what is carried was in `wire` before.
        if let Some(front) = wire.get_mut(..carried.len()) {
            front.copy_from_slice(&carried);
        }
        carried.len()
    }

    /// Keeps these bytes until more come.
    pub(crate) fn carry(&mut self, rest: &[u8]) {
        self.incoming = rest.to_vec();
    }

    /// Works through what has come already (bytes that were read before there was a session).
    pub(crate) fn begin(&mut self) -> Result<(), Error> {
        let mut ahead = std::mem::take(&mut self.incoming);
        self.feed(&mut ahead, &mut []).map(drop)
    }

    /// Works through `wire`: bytes that have come. How many decrypted bytes are at the front of `buffer`. What is to be sent about
    /// it (where this fails, an alert) is in `outgoing`.
    pub(crate) fn feed(&mut self, wire: &mut [u8], buffer: &mut [u8]) -> Result<usize, Error> {
        let (mut at, mut filled) = (0, 0);
        loop {
            let rest = wire.get_mut(at..).unwrap_or_default();
            let mut plain = Plain { buffer: &mut *buffer, filled, rest: &mut self.plain };
            let mut to = Outcome { outgoing: &mut self.outgoing, peer_closed: &mut self.peer_closed };
            let (discard, step) = self.role.step(rest, &mut plain, &mut to, &mut Wish::None);
            filled = plain.filled;
            at += discard;
            match step {
                Ok(Step::Again) => {}
                Ok(Step::Blocked | Step::Closed) => break,
                Ok(Step::Open) => {
                    self.open = true;
                    break;
                }
                Err(error) => {
                    self.alert(wire.get_mut(at..).unwrap_or_default());
                    return Err(error);
                }
            }
        }
        if !self.peer_closed {
            self.incoming.extend_from_slice(wire.get(at..).unwrap_or_default());
        }
        Ok(filled)
    }

    /// Has the alert go out that the library has made of an error in `wire`, behind what it had made before: a server that finds no
    /// protocol in common has its hello there already. Not a step further: it would meet the error again.
    fn alert(&mut self, wire: &mut [u8]) {
        let mut at = 0;
        while self.common().wants_write() {
            let mut plain = Plain { buffer: &mut [], filled: 0, rest: &mut Vec::new() };
            let mut to = Outcome { outgoing: &mut self.outgoing, peer_closed: &mut self.peer_closed };
            let rest = wire.get_mut(at..).unwrap_or_default();
            let (discard, step) = self.role.step(rest, &mut plain, &mut to, &mut Wish::None);
            at += discard;
            if !matches!(step, Ok(Step::Again)) {
                return;
            }
        }
    }

    /// Encrypts all of `bytes` to the front of `to`, which has room for it; how much of `to` that took.
    pub(crate) fn encrypt(&mut self, bytes: &[u8], to: &mut [u8]) -> io::Result<usize> {
        self.fulfil(Wish::Encrypt(bytes, to))
    }

    /// Says, once, that nothing more comes.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        if !self.closed {
            self.fulfil(Wish::CloseNotify)?;
            self.closed = true;
        }
        Ok(())
    }

    fn fulfil(&mut self, mut wish: Wish<'_>) -> io::Result<usize> {
        let mut to = Outcome { outgoing: &mut self.outgoing, peer_closed: &mut self.peer_closed };
        loop {
            let mut plain = Plain { buffer: &mut [], filled: 0, rest: &mut self.plain };
            let (discard, step) = self.role.step(&mut self.incoming, &mut plain, &mut to, &mut wish);
            self.incoming.drain(..discard.min(self.incoming.len()));
            match (step, &wish) {
                (Err(error), _) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
                (Ok(Step::Open), Wish::Done(written)) => return Ok(*written),
                (Ok(Step::Again), _) => {}
                // Not before the handshake, and not after the own end.
                (Ok(_), _) => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
    }

    /// Takes decrypted bytes that nobody has taken yet.
    pub(crate) fn take_plain(&mut self, buffer: &mut [u8]) -> usize {
        let n = self.plain.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..n), self.plain.get(..n)) {
            to.copy_from_slice(from);
        }
        self.plain.drain(..n);
        if self.plain.is_empty() {
            self.plain = Vec::new();
        }
        n
    }

    /// What is to be sent before anything else.
    pub(crate) fn to_send(&self) -> &[u8] {
        self.outgoing.get(self.sent..).unwrap_or_default()
    }

    /// So many bytes of it were sent.
    pub(crate) fn was_sent(&mut self, n: usize) {
        self.sent += n;
        if self.sent >= self.outgoing.len() {
            (self.outgoing, self.sent) = (Vec::new(), 0);
        }
    }

    /// Keeps these bytes of the wire to be sent behind what is to be sent already.
    pub(crate) fn send_later(&mut self, wire: &[u8]) {
        self.outgoing.extend_from_slice(wire);
    }
}

/// What else comes of a step.
struct Outcome<'a> {
    outgoing: &'a mut Vec<u8>,
    peer_closed: &'a mut bool,
}

impl Role {
    /// One step: how many bytes at the front of `wire` are done with, and what it came to.
    fn step(
        &mut self,
        wire: &mut [u8],
        plain: &mut Plain<'_>,
        to: &mut Outcome<'_>,
        wish: &mut Wish<'_>,
    ) -> (usize, Result<Step, Error>) {
        match self {
            Self::Server(tls) => take(tls.process_tls_records(wire), plain, to, wish),
            Self::Client(tls) => take(tls.process_tls_records(wire), plain, to, wish),
        }
    }
}

fn take<D>(
    status: UnbufferedStatus<'_, '_, D>,
    plain: &mut Plain<'_>,
    to: &mut Outcome<'_>,
    wish: &mut Wish<'_>,
) -> (usize, Result<Step, Error>) {
    let UnbufferedStatus { mut discard, state } = status;
    let step = state.and_then(|state| match state {
        ConnectionState::ReadTraffic(mut traffic) => {
            while let Some(record) = traffic.next_record() {
                let record = record?;
                discard += record.discard;
                plain.take(record.payload);
            }
            Ok(Step::Again)
        }
        ConnectionState::PeerClosed => {
            *to.peer_closed = true;
            Ok(Step::Again)
        }
        ConnectionState::EncodeTlsData(mut data) => {
            encode(&mut data, to.outgoing);
            Ok(Step::Again)
        }
        // What was encoded is in `outgoing`, and goes out before anything else.
        ConnectionState::TransmitTlsData(transmit) => {
            transmit.done();
            Ok(Step::Again)
        }
        ConnectionState::WriteTraffic(mut traffic) => {
            fulfil(&mut traffic, to.outgoing, wish)?;
            Ok(Step::Open)
        }
        ConnectionState::Closed => Ok(Step::Closed),
        // Early data is never accepted, and so none is ever there.
        ConnectionState::BlockedHandshake | ConnectionState::ReadEarlyData(_) | _ => Ok(Step::Blocked),
    });
    (discard, step)
}

/// Appends what the library has encoded.
fn encode<D>(data: &mut EncodeTlsData<'_, D>, outgoing: &mut Vec<u8>) {
    let at = outgoing.len();
    // Asked without room first: it says how much it needs.
    while let Err(EncodeError::InsufficientSize(short)) =
        data.encode(outgoing.get_mut(at..).unwrap_or_default())
    {
        outgoing.resize(at + short.required_size, 0);
    }
}

/// A `close_notify` and what may be queued before it.
const SMALL: usize = 1024;

fn fulfil<D>(
    traffic: &mut WriteTraffic<'_, D>,
    outgoing: &mut Vec<u8>,
    wish: &mut Wish<'_>,
) -> Result<(), Error> {
    let written = match wish {
        Wish::None | Wish::Done(_) => return Ok(()),
        Wish::Encrypt(bytes, to) => traffic.encrypt(bytes, to),
        Wish::CloseNotify => {
            let at = outgoing.len();
            outgoing.resize(at + SMALL, 0);
            let written = traffic.queue_close_notify(outgoing.get_mut(at..).unwrap_or_default());
            outgoing.truncate(at + written.as_ref().copied().unwrap_or(0));
            written
        }
    };
    *wish = Wish::Done(written.map_err(|error| Error::General(error.to_string()))?);
    Ok(())
}
