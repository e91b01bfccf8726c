//! A ClientHello as small as can be, for those who only look for its name.

/// A record with a ClientHello of TLS 1.2 that asks for `name`: under 80 bytes for a short one.
#[must_use]
pub fn client_hello(name: &str) -> Vec<u8> {
    let entry = [&[0], &*sized(name.as_bytes())].concat();
    let names = [&[0, 0], &*sized(&sized(&entry))].concat();
    let versions_and_random = [&[3, 3], &[7; 32][..]].concat();
    // No session; one cipher suite; no compression; one extension: server_name.
    let body = [&*versions_and_random, &[0], &[0, 2, 0x13, 0x01], &[1, 0], &sized(&names)].concat();
    // A handshake message has its length in three bytes.
    let message = [&[1, 0], &*sized(&body)].concat();
    [&[22, 3, 1], &*sized(&message)].concat()
}

/// `bytes` behind their length in two bytes.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a hello of a test is short");
    [&length.to_be_bytes(), bytes].concat()
}
