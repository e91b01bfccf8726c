//! The body of a whole `ClientHello` (RFC 8446, section 4.1.2; the same since SSL 3.0).

use super::client_hello::{ClientHello, TlsVersion};
use super::cursor::Cursor;
use super::error::{HelloError, Part};
use super::extensions::Extensions;
use super::message::MESSAGE_HEADER;

const RANDOM: usize = 32;
const LONGEST_SESSION_ID: usize = 32;

/// Reads a whole handshake message, its header included.
///
/// # Errors
/// The first part that does not add up, or an extension that comes twice.
pub(super) fn parse(message: &[u8]) -> Result<ClientHello, HelloError> {
    let mut body = Cursor::new(message);
    body.take(MESSAGE_HEADER, Part::Length)?;
    let version = TlsVersion(body.u16(Part::Version)?);
    body.take(RANDOM, Part::Random)?;
    session_id(&mut body)?;
    cipher_suites(&mut body)?;
    compression(&mut body)?;
    let asked = Extensions::read(&mut body)?;
    Ok(ClientHello {
        server_name: asked.server_name,
        unusable_name: asked.unusable_name,
        alpn: asked.alpn,
        ech: asked.ech,
        version: asked.version.unwrap_or(version),
    })
}

fn session_id(body: &mut Cursor<'_>) -> Result<(), HelloError> {
    let id = body.vec8(Part::SessionId)?;
    if id.len() > LONGEST_SESSION_ID { Err(id.malformed(Part::SessionId)) } else { Ok(()) }
}

fn cipher_suites(body: &mut Cursor<'_>) -> Result<(), HelloError> {
    let suites = body.vec16(Part::CipherSuites)?;
    let in_pairs = suites.len().is_multiple_of(2);
    if suites.is_empty() || !in_pairs { Err(suites.malformed(Part::CipherSuites)) } else { Ok(()) }
}

fn compression(body: &mut Cursor<'_>) -> Result<(), HelloError> {
    let methods = body.vec8(Part::Compression)?;
    if methods.is_empty() { Err(methods.malformed(Part::Compression)) } else { Ok(()) }
}
