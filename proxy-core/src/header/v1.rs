//! Version 1: one line of text.
//!
//! ```text
//! PROXY TCP4|TCP6 <source> <destination> <source port> <destination port> CR LF
//! PROXY UNKNOWN[ <anything>] CR LF
//! ```
//!
//! By the letter both addresses are of the family that the line announces. nginx announces that of the client and writes
//! the address that it was reached at beside it, whatever that one is (its stream module, once `set_real_ip_from` has set
//! the client); so the destination may be of the other family.
//!
//! Every field is judged as soon as it is there, and the last one, which may still grow, by whether something
//! could be added to make it good. `ppp` sees the line when all that is done: split right before the
//! destination port it refuses good lines for good, it never refuses `PROXY TCP4 1.2.3.4\r\n`, and it takes
//! `+80` for a port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use ppp::v1::Addresses;

use super::{Command, Decoded, Endpoints, Excerpt, Header, Tlvs, V1_SIGNATURE, V1Error, V1Field, Version};

/// Longest line, CR LF included, by the specification (2.1): it fits a buffer of 108 with its NUL.
pub(super) const MAX_LINE: usize = 107;
const CR_LF: usize = 2;

/// Reads the line at the start of `buf`, which starts with `PROXY `.
pub(super) fn decode(buf: &[u8]) -> Result<Option<Decoded>, V1Error> {
    let window = buf.get(..MAX_LINE).unwrap_or(buf);
    let end = window.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(window.len());
    let (text, rest) = window.split_at_checked(end).unwrap_or((window, &[]));

    let checked = check(text, !rest.is_empty())?;
    match rest {
        [b'\r', b'\n', ..] => {
            let len = end + CR_LF;
            let line = buf.get(..len).unwrap_or(buf);
            let endpoints = match checked.kind {
                Kind::Unknown => Endpoints::Unknown,
                Kind::OneFamily => parse(line)?,
                Kind::TwoFamilies => parse_two_families(text)?,
            };
            let header =
                Header { version: Version::V1, command: Command::Proxy, endpoints, tlvs: Tlvs::default() };
            Ok(Some(Decoded { header, len }))
        }
        [] | [b'\r'] if end + checked.missing + CR_LF > MAX_LINE => Err(V1Error::TooLong { max: MAX_LINE }),
        [] | [b'\r'] => Ok(None),
        [b'\n', ..] => Err(V1Error::BareLf { offset: end }),
        [_, ..] => Err(V1Error::BareCr { offset: end }),
    }
}

/// Has `ppp` read a line that is whole, not `UNKNOWN`, and by the letter.
fn parse(line: &[u8]) -> Result<Endpoints, V1Error> {
    let parsed =
        ppp::v1::Header::try_from(line).map_err(|error| V1Error::Rejected { reason: error.to_string() })?;
    Ok(match parsed.addresses {
        Addresses::Unknown => Endpoints::Unknown,
        Addresses::Tcp4(a) => Endpoints::canonical(
            SocketAddr::new(a.source_address.into(), a.source_port),
            SocketAddr::new(a.destination_address.into(), a.destination_port),
        ),
        Addresses::Tcp6(a) => Endpoints::canonical(
            SocketAddr::new(a.source_address.into(), a.source_port),
            SocketAddr::new(a.destination_address.into(), a.destination_port),
        ),
    })
}

/// Reads a whole line, checked before, whose addresses differ in family: `ppp` takes none such.
fn parse_two_families(text: &[u8]) -> Result<Endpoints, V1Error> {
    let mut words = Words::new(text, true).skip(1).map(|word| str::from_utf8(word.bytes).unwrap_or_default());
    let mut next = || words.next().unwrap_or_default();
    let (source, destination) = (next().parse::<IpAddr>(), next().parse::<IpAddr>());
    let (from, to) = (next().parse::<u16>(), next().parse::<u16>());
    match (source, destination, from, to) {
        (Ok(source), Ok(destination), Ok(from), Ok(to)) => {
            Ok(Endpoints::canonical(SocketAddr::new(source, from), SocketAddr::new(destination, to)))
        }
        // INVARIANT: each of them was read in the check.
        _ => Err(V1Error::Rejected { reason: "an address or a port cannot be read".to_owned() }),
    }
}

/// What a line is, as far as it can be told.
#[derive(Clone, Copy)]
enum Kind {
    /// It says `UNKNOWN`.
    Unknown,
    /// Both addresses, or those that are there, are of the announced family.
    OneFamily,
    /// The destination is of the other one.
    TwoFamilies,
}

/// A line, or the start of one, that has nothing wrong with it.
struct Checked {
    kind: Kind,
    /// The fewest bytes that have to come before CR LF.
    missing: usize,
}

/// Checks a line without its CR LF; `ended` tells whether that is there.
fn check(text: &[u8], ended: bool) -> Result<Checked, V1Error> {
    let mut words = Words::new(text, ended);
    // A line that is not yet past its first word or two is too short for `missing` to matter.
    let early = Checked { kind: Kind::OneFamily, missing: 0 };
    let Some(word) = words.next() else {
        return Ok(early);
    };
    let transport = match word.bytes {
        b"TCP4" if word.whole => &TCP4,
        b"TCP6" if word.whole => &TCP6,
        b"UNKNOWN" if word.whole => return Ok(Checked { kind: Kind::Unknown, missing: 0 }),
        part if !word.whole
            && [b"TCP4".as_slice(), b"TCP6", b"UNKNOWN"].iter().any(|t| t.starts_with(part)) =>
        {
            return Ok(early);
        }
        found => return Err(V1Error::Transport { offset: word.offset, found: Excerpt::of(found) }),
    };
    let checked = check_fields(&mut words, transport)?;
    match words.next() {
        Some(word) => Err(V1Error::Trailing { offset: word.offset }),
        None => Ok(checked),
    }
}

fn check_fields(words: &mut Words<'_>, transport: &Transport) -> Result<Checked, V1Error> {
    use V1Field::{DestinationAddress, DestinationPort, SourceAddress, SourcePort};
    let mut checked = Checked { kind: Kind::OneFamily, missing: 0 };
    for field in [SourceAddress, DestinationAddress, SourcePort, DestinationPort] {
        checked.missing += match words.next() {
            Some(word) if matches!(field, DestinationAddress) => {
                let (kind, missing) = transport.check_destination(&word)?;
                checked.kind = kind;
                missing
            }
            Some(word) => transport.check(field, &word)?,
            None if words.ended => return Err(V1Error::Missing { field, offset: words.offset - 1 }),
            None => 1 + transport.shortest(field),
        };
    }
    Ok(checked)
}

/// One of the two kinds of address.
struct Transport {
    family: &'static str,
    shortest_address: usize,
    /// The fewest bytes that make a good address of this text, if any do.
    complete: fn(&str, whole: bool) -> Option<usize>,
}

const TCP4: Transport = Transport {
    family: "IPv4",
    shortest_address: "0.0.0.0".len(),
    complete: |text, whole| complete::<Ipv4Addr>(text, whole, &IPV4_ENDS),
};
const TCP6: Transport = Transport {
    family: "IPv6",
    shortest_address: "::".len(),
    complete: |text, whole| complete::<Ipv6Addr>(text, whole, &IPV6_ENDS),
};

/// Every start of an IPv4 address becomes one by adding one of these; the shortest that does comes first.
const IPV4_ENDS: [&str; 8] = ["", "0", ".0", "0.0", ".0.0", "0.0.0", ".0.0.0", "0.0.0.0"];
/// The same for IPv6, the last 32 bits of which may be written as IPv4.
const IPV6_ENDS: [&str; 9] = ["", ":", "0", "::", ".0", "0.0", ".0.0", "0.0.0", ".0.0.0"];

fn complete<T: FromStr>(text: &str, whole: bool, ends: &[&str]) -> Option<usize> {
    let ends = if whole { ends.get(..1)? } else { ends };
    ends.iter().find(|end| format!("{text}{end}").parse::<T>().is_ok()).map(|end| end.len())
}

impl Transport {
    /// Checks the destination, which may be of either family; tells of which, and the fewest bytes that would make it
    /// whole. What may still become either is of the announced one.
    fn check_destination(&self, word: &Word<'_>) -> Result<(Kind, usize), V1Error> {
        let text = str::from_utf8(word.bytes).unwrap_or("not ASCII");
        let complete = |transport: &Self| (transport.complete)(text, word.whole);
        if let Some(missing) = complete(self) {
            return Ok((Kind::OneFamily, missing));
        }
        let missing = complete(&TCP4).or_else(|| complete(&TCP6)).ok_or_else(|| V1Error::Address {
            field: V1Field::DestinationAddress,
            offset: word.offset,
            found: Excerpt::of(word.bytes),
            family: "IPv4 or IPv6",
        })?;
        Ok((Kind::TwoFamilies, missing))
    }

    /// Checks one word as a field; tells the fewest bytes that would make it whole.
    fn check(&self, field: V1Field, word: &Word<'_>) -> Result<usize, V1Error> {
        let (offset, found) = (word.offset, word.bytes);
        match field {
            V1Field::SourceAddress | V1Field::DestinationAddress => {
                let complete = |text| (self.complete)(text, word.whole);
                let error =
                    || V1Error::Address { field, offset, found: Excerpt::of(found), family: self.family };
                str::from_utf8(found).ok().and_then(complete).ok_or_else(error)
            }
            V1Field::SourcePort | V1Field::DestinationPort if found.is_empty() && !word.whole => Ok(1),
            V1Field::SourcePort | V1Field::DestinationPort if is_port(found) => Ok(0),
            V1Field::SourcePort | V1Field::DestinationPort => {
                Err(V1Error::Port { field, offset, found: Excerpt::of(found) })
            }
        }
    }

    const fn shortest(&self, field: V1Field) -> usize {
        match field {
            V1Field::SourceAddress => self.shortest_address,
            V1Field::DestinationAddress => TCP6.shortest_address,
            V1Field::SourcePort | V1Field::DestinationPort => 1,
        }
    }
}

/// The specification wants ports in decimal without leading zeros; `u16::from_str` alone would take `+80`.
fn is_port(word: &[u8]) -> bool {
    let plain = match word {
        b"0" => true,
        [first, ..] => *first != b'0' && word.iter().all(u8::is_ascii_digit),
        [] => false,
    };
    plain && str::from_utf8(word).is_ok_and(|text| text.parse::<u16>().is_ok())
}

/// One word of the line.
struct Word<'a> {
    bytes: &'a [u8],
    offset: usize,
    /// Whether it can grow no more: something that is not part of it follows.
    whole: bool,
}

/// The words behind `PROXY `, each separated from the next by exactly one space.
struct Words<'a> {
    rest: Option<&'a [u8]>,
    offset: usize,
    ended: bool,
}

impl<'a> Words<'a> {
    fn new(text: &'a [u8], ended: bool) -> Self {
        Self { rest: text.get(V1_SIGNATURE.len()..), offset: V1_SIGNATURE.len(), ended }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let rest = self.rest?;
        let mut halves = rest.splitn(2, |byte| *byte == b' ');
        let bytes = halves.next()?;
        self.rest = halves.next();
        let word = Word { bytes, offset: self.offset, whole: self.rest.is_some() || self.ended };
        self.offset += bytes.len() + 1;
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fewest bytes that complete `text`, as `check` would see it while the line grows.
    fn ends(transport: &Transport, text: &str) -> Option<usize> {
        (transport.complete)(text, false)
    }

    #[test]
    fn starts_of_addresses() {
        for (text, missing) in
            [("", 7), ("1", 6), ("1.", 5), ("1.2", 4), ("1.2.", 3), ("1.2.3", 2), ("1.2.3.4", 0)]
        {
            assert_eq!(ends(&TCP4, text), Some(missing), "{text}");
        }
        for text in ["256", "01", "1..", "1.2.3.4.", "a", "1.2.3.456", " ", "-1"] {
            assert_eq!(ends(&TCP4, text), None, "{text}");
        }
        for text in ["", ":", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "1::2:3:4:5:6:7", "::ffff:1.2.", "FFFF:1"] {
            assert!(ends(&TCP6, text).is_some(), "{text}");
        }
        for text in [":::", "12345", "1::2::", "g", "1:2:3:4:5:6:7:8:", "1::2:3:4:5:6:7:", "1.2", "fe80::1%"]
        {
            assert_eq!(ends(&TCP6, text), None, "{text}");
        }
    }

    proptest::proptest! {
        /// `IPV6_ENDS` is complete: no start of an address is taken for garbage.
        #[test]
        fn every_start_of_an_address_is_one(bits: u128, zeros: u128, v4: u32, dotted: bool) {
            // Runs of zeros make `::`.
            let address = Ipv6Addr::from_bits(bits & zeros & zeros.rotate_left(16));
            let v4 = Ipv4Addr::from_bits(v4);
            let [a, b, c, d, e, f, ..] = address.segments();
            let mixed = format!("{a:x}:{b:x}:{c:X}:{d:x}:{e:x}:{f:x}:{v4}");
            let text = if dotted { mixed } else { address.to_string() };
            for end in 0..=text.len() {
                proptest::prop_assert!(ends(&TCP6, &text[..end]).is_some(), "{}", &text[..end]);
            }
            for end in 0..=v4.to_string().len() {
                proptest::prop_assert!(ends(&TCP4, &v4.to_string()[..end]).is_some());
            }
        }
    }
}
