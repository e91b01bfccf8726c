//! The extensions of a `ClientHello`: the four that say something about routing are read, the others only stepped
//! over, GREASE (RFC 8701) like any other.

use super::client_hello::TlsVersion;
use super::cursor::Cursor;
use super::host_name::host_name;
use super::not_tls::{NotTls, Part};

/// How many application protocols a hello may offer.
///
/// The registry of IANA knows about forty and clients offer two or three. Without a bound, one hello of 16 KiB could
/// ask for eight thousand allocations; and to keep only the first so many would let a client hide the one that counts.
pub const MAX_PROTOCOLS: usize = 64;

/// RFC 6066, section 3.
const SERVER_NAME: u16 = 0;
/// RFC 7301.
const ALPN: u16 = 16;
/// RFC 8446, section 4.2.1.
const SUPPORTED_VERSIONS: u16 = 43;
/// RFC 9849, section 5.
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

const HOST_NAME: u8 = 0;

/// What the extensions ask for.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    pub(super) server_name: Option<Box<str>>,
    pub(super) alpn: Vec<Box<[u8]>>,
    pub(super) ech: bool,
    /// The newest of `supported_versions`, if that was there and named any.
    pub(super) version: Option<TlsVersion>,
}

impl Extensions {
    /// Reads the rest of a hello, which may be nothing: the oldest clients send no list at all.
    pub(super) fn read(body: &mut Cursor<'_>) -> Result<Self, NotTls> {
        let mut found = Self::default();
        if body.is_empty() {
            return Ok(found);
        }
        let mut list = body.vec16(Part::Extensions)?;
        body.end(Part::Extensions)?;
        let mut numbers = Vec::new();
        while !list.is_empty() {
            let number = list.u16(Part::Extensions)?;
            found.read_one(number, list.vec16(Part::Extensions)?)?;
            numbers.push(number);
        }
        refuse_duplicates(numbers)?;
        Ok(found)
    }

    fn read_one(&mut self, number: u16, data: Cursor<'_>) -> Result<(), NotTls> {
        match number {
            SERVER_NAME => self.server_name = server_name(data)?,
            ALPN => self.alpn = alpn(data)?,
            SUPPORTED_VERSIONS => self.version = newest(data)?,
            ENCRYPTED_CLIENT_HELLO => self.ech = true,
            _ => {}
        }
        Ok(())
    }
}

/// Sorted rather than compared each with each: a hello can hold four thousand of them.
fn refuse_duplicates(mut numbers: Vec<u16>) -> Result<(), NotTls> {
    numbers.sort_unstable();
    match numbers.array_windows().find(|[one, next]| one == next) {
        Some(&[number, _]) => Err(NotTls::DuplicateExtension { number }),
        None => Ok(()),
    }
}

/// Reads the list of names: at least one name of any type, at most one of them a host name.
///
/// Types that nobody has defined are stepped over, as RFC 6066 provides for by demanding a length in each.
fn server_name(mut data: Cursor<'_>) -> Result<Option<Box<str>>, NotTls> {
    let mut names = list(&mut data, Part::ServerName)?;
    let mut host = None;
    while !names.is_empty() {
        let here = names;
        let kind = names.u8(Part::ServerName)?;
        let name = names.vec16(Part::ServerName)?;
        if kind != HOST_NAME {
            continue;
        }
        if name.is_empty() || host.replace(name).is_some() {
            return Err(here.malformed(Part::ServerName));
        }
    }
    Ok(host.and_then(|name| host_name(name.bytes())))
}

fn alpn(mut data: Cursor<'_>) -> Result<Vec<Box<[u8]>>, NotTls> {
    let mut names = list(&mut data, Part::Alpn)?;
    let mut protocols = Vec::new();
    while !names.is_empty() {
        let name = names.vec8(Part::Alpn)?;
        if name.is_empty() {
            return Err(name.malformed(Part::Alpn));
        }
        if protocols.len() == MAX_PROTOCOLS {
            return Err(NotTls::TooManyProtocols);
        }
        protocols.push(name.bytes().into());
    }
    Ok(protocols)
}

/// The newest version of the list; GREASE and the drafts of TLS 1.3 (major version 0x7f) are none.
fn newest(mut data: Cursor<'_>) -> Result<Option<TlsVersion>, NotTls> {
    let mut versions = data.vec8(Part::SupportedVersions)?;
    data.end(Part::SupportedVersions)?;
    if versions.is_empty() {
        return Err(versions.malformed(Part::SupportedVersions));
    }
    let mut newest = None;
    while !versions.is_empty() {
        let version = versions.u16(Part::SupportedVersions)?;
        if version >> 8 == 3 {
            newest = newest.max(Some(TlsVersion(version)));
        }
    }
    Ok(newest)
}

/// Takes a list that fills its extension and is not empty.
fn list<'a>(data: &mut Cursor<'a>, part: Part) -> Result<Cursor<'a>, NotTls> {
    let list = data.vec16(part)?;
    data.end(part)?;
    if list.is_empty() { Err(list.malformed(part)) } else { Ok(list) }
}
