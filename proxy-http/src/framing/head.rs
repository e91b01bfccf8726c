//! The head of a request: what it says of its body, and whether everybody would read that in the same way.

use super::target::{Target, authority_is_sound, target};
use super::{BARE_CR, FramerLimits, Refusal, URI_TOO_LONG};

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyKind {
    Length(u64),
    Chunked,
}

/// What the fields say that matters.
#[derive(Default)]
struct Framing<'h> {
    length: Option<u64>,
    chunked: bool,
    host: Option<&'h [u8]>,
}

/// Checks a whole head, the empty line included.
pub(super) fn check(head: &[u8], limits: &FramerLimits) -> Result<BodyKind, Refusal> {
    let mut lines = Lines(head);
    let line = lines.next().unwrap_or_default();
    if line.len() > limits.max_line {
        return Err(URI_TOO_LONG);
    }
    let (method, asked, minor) = request_line(line)?;
    let target = target(method, asked)?;
    let mut framing = Framing::default();
    let mut fields = 0_usize;
    for line in lines.take_while(|line| !line.is_empty()) {
        fields += 1;
        if fields > limits.max_fields {
            return Err(TOO_MANY_FIELDS);
        }
        let (name, value) = field(line)?;
        framing.see(name, value)?;
    }
    framing.verdict(minor, &target)
}

/// The lines of a head, without their ends.
pub(super) struct Lines<'h>(pub(super) &'h [u8]);

impl<'h> Iterator for Lines<'h> {
    type Item = &'h [u8];

    fn next(&mut self) -> Option<&'h [u8]> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = self.0.split_at_checked(end + 1)?;
        self.0 = rest;
        line.strip_suffix(b"\r\n")
    }
}

/// Method, target and the minor version.
fn request_line(line: &[u8]) -> Result<(&[u8], &[u8], u8), Refusal> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(REQUEST_LINE);
    };
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(METHOD);
    }
    match version {
        b"HTTP/1.1" => Ok((method, target, 1)),
        b"HTTP/1.0" => Ok((method, target, 0)),
        b"HTTP/2.0" if method == b"PRI" => Err(PREFACE),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(VERSION)
        }
        _ => Err(REQUEST_LINE),
    }
}

/// Name and value of a field.
pub(super) fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(FOLDED);
    }
    let colon = line.iter().position(|byte| *byte == b':').ok_or(NO_COLON)?;
    let (name, value) = line.split_at(colon);
    if matches!(name.last(), Some(b' ' | b'\t')) {
        return Err(SPACE_BEFORE_COLON);
    }
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(FIELD_NAME);
    }
    let value = value.get(1..).unwrap_or_default();
    if value.contains(&b'\r') {
        return Err(BARE_CR);
    }
    // Whatever is above ASCII is opaque (RFC 9110, section 5.5).
    if value.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
        return Err(CONTROL);
    }
    Ok((name, trim(value)))
}

impl<'h> Framing<'h> {
    fn see(&mut self, name: &[u8], value: &'h [u8]) -> Result<(), Refusal> {
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = digits(value).ok_or(LENGTH)?;
            return self.length.replace(length).map_or(Ok(()), |_| Err(SEVERAL_LENGTHS));
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if std::mem::replace(&mut self.chunked, true) {
                return Err(SEVERAL_CODINGS);
            }
            return if value.eq_ignore_ascii_case(b"chunked") { Ok(()) } else { Err(CODING) };
        }
        if name.eq_ignore_ascii_case(b"host") {
            return self.host.replace(value).map_or(Ok(()), |_| Err(TWO_HOSTS));
        }
        Ok(())
    }

    fn verdict(&self, minor: u8, target: &Target<'_>) -> Result<BodyKind, Refusal> {
        match self.host {
            None if minor > 0 => return Err(NO_HOST),
            Some(host) if !authority_is_sound(host) => return Err(HOST),
            Some(host) if !target.agrees_with(host) => return Err(OTHER_HOST),
            None | Some(_) => {}
        }
        match (self.length, self.chunked) {
            (Some(_), true) => Err(LENGTH_AND_CODING),
            (None, true) if minor == 0 => Err(CODING_IN_1_0),
            (None, true) => Ok(BodyKind::Chunked),
            (length, false) => Ok(BodyKind::Length(length.unwrap_or(0))),
        }
    }
}

/// A number in digits and nothing else.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// RFC 9110, section 5.6.2.
pub(super) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

const REQUEST_LINE: Refusal = Refusal::bad(
    "request_line",
    "A request line is a method, a target and HTTP/1.1 (or HTTP/1.0), with one space between them and nothing else.",
);
const METHOD: Refusal = Refusal::bad("method", "The method has characters that none may have.");
const VERSION: Refusal = Refusal {
    status: 505,
    word: "version",
    sentence: "This is HTTP/1.1 and HTTP/1.0; the request is of another version.",
};
const PREFACE: Refusal =
    Refusal { status: 505, word: "http2_preface", sentence: "HTTP/2 is not spoken here: use HTTP/1.1." };
const FOLDED: Refusal =
    Refusal::bad("folded", "A line begins with a space: a field may not go on over several lines.");
const NO_COLON: Refusal = Refusal::bad(
    "no_colon",
    "A line between the request line and the empty line is no field: it has no colon.",
);
const SPACE_BEFORE_COLON: Refusal =
    Refusal::bad("space_before_colon", "There is a space between the name of a field and its colon.");
const FIELD_NAME: Refusal =
    Refusal::bad("field_name", "The name of a field is empty, or has characters that none may have.");
const CONTROL: Refusal = Refusal::bad("control", "The value of a field has a control character.");
const LENGTH: Refusal =
    Refusal::bad("content_length", "Content-Length is a number in digits and nothing else.");
const SEVERAL_LENGTHS: Refusal =
    Refusal::bad("several_content_lengths", "There is more than one Content-Length.");
const SEVERAL_CODINGS: Refusal =
    Refusal::bad("several_transfer_encodings", "There is more than one Transfer-Encoding.");
const CODING: Refusal = Refusal {
    status: 501,
    word: "transfer_encoding",
    sentence: "Of transfer encodings, chunked alone is known here.",
};
const CODING_IN_1_0: Refusal = Refusal::bad("transfer_encoding_in_1_0", "HTTP/1.0 has no Transfer-Encoding.");
const LENGTH_AND_CODING: Refusal = Refusal::bad(
    "length_and_encoding",
    "There are both a Content-Length and a Transfer-Encoding: where the request ends depends on who reads it.",
);
const TWO_HOSTS: Refusal = Refusal::bad("two_hosts", "There is more than one Host.");
const NO_HOST: Refusal = Refusal::bad("no_host", "A request of HTTP/1.1 has a Host.");
const HOST: Refusal = Refusal::bad("host", "The Host is no name or address with or without a port.");
const OTHER_HOST: Refusal =
    Refusal::bad("other_host", "The target of the request names another host than the field Host.");
const TOO_MANY_FIELDS: Refusal = Refusal {
    status: 431,
    word: "too_many_fields",
    sentence: "There are more fields than this proxy takes: send fewer.",
};
