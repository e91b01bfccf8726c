//! What a host name is.

/// RFC 1035, section 2.3.4, for a name written without the trailing dot.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// Reads a host name into its one form: lower case, without the trailing dot.
///
/// `None` for what is no DNS name: characters beyond letters, digits, hyphen and the underscore that people use
/// against the rule (so also raw UTF-8, a name with a port and an IPv6 literal); empty or overlong labels; labels
/// with a hyphen at an end; and names whose last label is a number in any of the notations that resolvers read as
/// an IPv4 address (`192.0.2.1`, `1.2.0x7f`).
pub(super) fn host_name(raw: &[u8]) -> Option<Box<str>> {
    let name = std::str::from_utf8(raw).ok()?;
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next()?;
    let valid = name.len() <= LONGEST_NAME && name.split('.').all(is_label) && !is_number(last);
    valid.then(|| name.to_ascii_lowercase().into_boxed_str())
}

fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=LONGEST_LABEL).contains(&label.len())
        && label.bytes().all(allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Decimal, or hexadecimal after `0x`, where nothing after it counts as zero.
fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_brought_to_one_form() {
        for (raw, name) in [
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("localhost", "localhost"),
            ("_dmarc.a_b.example", "_dmarc.a_b.example"),
            ("1.2.3.example", "1.2.3.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("0xfg", "0xfg"),
        ] {
            assert_eq!(host_name(raw.as_bytes()).as_deref(), Some(name), "{raw}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for raw in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a.b..",
            "-a.b",
            "a-.b",
            "a b",
            "a:443",
            "a/b",
            "*.example.com",
            "bücher.example",
            "192.0.2.1",
            "192.0.2.1.",
            "127.1",
            "1",
            "0x7f",
            "1.2.3.0X7F",
            "a.0x",
            "::1",
            "[::1]",
            "fe80::1%eth0",
            "a\0.b",
        ] {
            assert_eq!(host_name(raw.as_bytes()), None, "{raw:?}");
        }
        assert_eq!(host_name(b"\xff\xfe.example"), None);
    }

    #[test]
    fn lengths_are_allowed_up_to_the_bound() {
        let label = |len: usize| "a".repeat(len);
        assert!(host_name(label(63).as_bytes()).is_some());
        assert!(host_name(label(64).as_bytes()).is_none());
        let of_253 = [label(63), label(63), label(63), label(61)].join(".");
        assert_eq!(of_253.len(), 253);
        assert!(host_name(of_253.as_bytes()).is_some());
        assert!(host_name(format!("{of_253}.").as_bytes()).is_some(), "the trailing dot does not count");
        assert!(host_name(format!("{of_253}a").as_bytes()).is_none());
    }
}
