//! The extensions of a `ClientHello`: the four that say something about routing are read, the others only stepped
//! over, GREASE (RFC 8701) like any other.

use super::client_hello::{Protocols, TlsVersion, UnusableName};
use super::cursor::Cursor;
use super::error::{HelloError, Part};
use super::host_name::host_name;

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
    pub(super) unusable_name: Option<UnusableName>,
    pub(super) alpn: Protocols,
    pub(super) ech: bool,
    /// The newest of `supported_versions`, if that was there and named any.
    pub(super) version: Option<TlsVersion>,
}

impl Extensions {
    /// Reads the rest of a hello, which may be nothing: the oldest clients send no list at all.
    pub(super) fn read(body: &mut Cursor<'_>) -> Result<Self, HelloError> {
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

    fn read_one(&mut self, number: u16, data: Cursor<'_>) -> Result<(), HelloError> {
        match number {
            SERVER_NAME => {
                let sent = server_name(data)?.map(|name| name.bytes());
                self.server_name = sent.and_then(host_name);
                self.unusable_name = sent.filter(|_| self.server_name.is_none()).map(UnusableName::new);
            }
            ALPN => self.alpn = alpn(data)?,
            SUPPORTED_VERSIONS => self.version = newest(data)?,
            ENCRYPTED_CLIENT_HELLO => self.ech = true,
            _ => {}
        }
        Ok(())
    }
}

/// Sorted rather than compared each with each: a hello can hold four thousand of them.
fn refuse_duplicates(mut numbers: Vec<u16>) -> Result<(), HelloError> {
    numbers.sort_unstable();
    let twice = numbers.iter().zip(numbers.iter().skip(1)).find(|(one, next)| one == next);
    twice.map_or(Ok(()), |(number, _)| Err(HelloError::DuplicateExtension { number: *number }))
}

/// Reads the list of names: at least one name of any type, at most one of them a host name.
///
/// Types that nobody has defined are stepped over, as RFC 6066 provides for by demanding a length in each.
fn server_name(mut data: Cursor<'_>) -> Result<Option<Cursor<'_>>, HelloError> {
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
    Ok(host)
}

fn alpn(mut data: Cursor<'_>) -> Result<Protocols, HelloError> {
    let mut names = list(&mut data, Part::Alpn)?;
    let whole = names.bytes();
    while !names.is_empty() {
        let name = names.vec8(Part::Alpn)?;
        if name.is_empty() {
            return Err(name.malformed(Part::Alpn));
        }
    }
    Ok(Protocols::of_list(whole))
}

/// The newest version of the list; GREASE and the drafts of TLS 1.3 (major version 0x7f) are none.
fn newest(mut data: Cursor<'_>) -> Result<Option<TlsVersion>, HelloError> {
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
fn list<'a>(data: &mut Cursor<'a>, part: Part) -> Result<Cursor<'a>, HelloError> {
    let list = data.vec16(part)?;
    data.end(part)?;
    if list.is_empty() { Err(list.malformed(part)) } else { Ok(list) }
}
