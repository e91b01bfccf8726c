//! The target of a request (RFC 9112, section 3.2).

use super::Refusal;

/// Its form.
pub(super) enum Target<'h> {
    /// A path, or `*`.
    Path,
    /// With this authority.
    Absolute(&'h [u8]),
    /// An authority alone, for CONNECT.
    Authority(&'h [u8]),
}

impl Target<'_> {
    /// Whether it names the host that the field does, or none.
    pub(super) fn agrees_with(&self, host: &[u8]) -> bool {
        match self {
            Self::Path => true,
            Self::Absolute(authority) | Self::Authority(authority) => authority.eq_ignore_ascii_case(host),
        }
    }
}

/// The form of a target that is fit for the method.
pub(super) fn target<'h>(method: &[u8], target: &'h [u8]) -> Result<Target<'h>, Refusal> {
    if target.is_empty() || !target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#') {
        return Err(TARGET);
    }
    if method == b"CONNECT" {
        let sound = authority_is_sound(target) && target.contains(&b':');
        return if sound { Ok(Target::Authority(target)) } else { Err(CONNECT) };
    }
    match target {
        b"*" if method == b"OPTIONS" => Ok(Target::Path),
        [b'/', ..] => Ok(Target::Path),
        _ => {
            let rest = without_scheme(target).ok_or(TARGET)?;
            let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
            let authority = rest.get(..end).filter(|authority| authority_is_sound(authority));
            authority.map(Target::Absolute).ok_or(TARGET)
        }
    }
}

fn without_scheme(target: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| {
        let (front, rest) = target.split_at_checked(scheme.len())?;
        front.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// Whether it is a name or an address, with or without a port.
pub(super) fn authority_is_sound(authority: &[u8]) -> bool {
    let (host, port) = match authority {
        [b'[', rest @ ..] => match rest.iter().position(|byte| *byte == b']') {
            Some(end) => {
                let (inner, behind) = rest.split_at(end);
                let known = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
                if inner.is_empty() || !inner.iter().all(known) {
                    return false;
                }
                (inner, behind.get(1..).unwrap_or_default())
            }
            None => return false,
        },
        _ => {
            let end = authority.iter().position(|byte| *byte == b':').unwrap_or(authority.len());
            let (host, port) = authority.split_at(end);
            let known = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
            if !host.iter().all(known) {
                return false;
            }
            (host, port)
        }
    };
    let port_is_sound = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    !host.is_empty() && host.len() <= 255 && port_is_sound
}

const TARGET: Refusal = Refusal::bad(
    "target",
    "The target of a request is a path that begins with a slash, or a URL of http or https, without spaces, control characters, a fragment, or anything beyond ASCII.",
);
const CONNECT: Refusal = Refusal::bad("connect_target", "The target of CONNECT is a host and a port.");
