//! Good headers, put together by hand rather than by the code under test.

use proxy_core::header::{Decoded, HeaderError, HeaderLimits};

pub(crate) const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
pub(crate) const LOCAL: u8 = 0x20;
pub(crate) const PROXY: u8 = 0x21;
pub(crate) const FAMILIES: [(u8, usize); 4] = [(0x00, 0), (0x11, 12), (0x21, 36), (0x31, 216)];

/// `decode` with the default limits.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Decoded>, HeaderError> {
    proxy_core::header::decode(bytes, &HeaderLimits::default())
}

/// A header that must be whole and good.
pub(crate) fn whole(bytes: &[u8]) -> Decoded {
    decode(bytes).unwrap().expect("the header is whole")
}

pub(crate) fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE.as_slice(), &[command, family], &len, body].concat()
}

pub(crate) fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let len = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[kind], len.as_slice(), value].concat()
}

/// 192.0.2.7:52953 to 198.51.100.1:443.
pub(crate) fn inet() -> Vec<u8> {
    vec![192, 0, 2, 7, 198, 51, 100, 1, 0xCE, 0xD9, 0x01, 0xBB]
}

/// `[2001:db8::7]:52953` to `[2001:db8::1]:443`.
pub(crate) fn inet6() -> Vec<u8> {
    let mut bytes = vec![0; 36];
    bytes[..4].copy_from_slice(&[0x20, 0x01, 0x0D, 0xB8]);
    bytes[15] = 7;
    bytes[16..20].copy_from_slice(&[0x20, 0x01, 0x0D, 0xB8]);
    bytes[31] = 1;
    bytes[32..].copy_from_slice(&[0xCE, 0xD9, 0x01, 0xBB]);
    bytes
}

/// From an unnamed socket to `/run/app.sock`.
pub(crate) fn unix() -> Vec<u8> {
    let mut bytes = vec![0; 216];
    bytes[108..121].copy_from_slice(b"/run/app.sock");
    bytes
}

pub(crate) fn ssl() -> Vec<u8> {
    let subs = [
        tlv(0x21, b"TLSv1.3"),
        tlv(0x22, b"client.example"),
        tlv(0x23, b"TLS_AES_128_GCM_SHA256"),
        tlv(0x24, b"SHA256"),
        tlv(0x25, b"RSA2048"),
        tlv(0x26, b"X25519"),
    ];
    [vec![0x07, 0, 0, 0, 1], subs.concat()].concat()
}

/// Every type there is, checksum not yet right.
pub(crate) fn every_tlv() -> Vec<u8> {
    [
        tlv(0x01, b"h2"),
        tlv(0x02, b"www.example.com"),
        tlv(0x03, &[0; 4]),
        tlv(0x04, b"padding"),
        tlv(0x05, b"unique"),
        tlv(0x20, &ssl()),
        tlv(0x30, b"blue"),
        tlv(0xEA, b"\x01vpce-08d2bf15fac5001c9"),
    ]
    .concat()
}

/// CRC-32C bit by bit, so as not to share a table with the code under test.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82F6_3B78 * (crc & 1)))
    })
}

/// Puts the checksum into the four zero bytes of the TLV that starts at `at`.
pub(crate) fn sealed(mut header: Vec<u8>, at: usize) -> Vec<u8> {
    assert_eq!(header[at..at + 7], [3, 0, 4, 0, 0, 0, 0]);
    let sum = crc32c(&header).to_be_bytes();
    header[at + 3..at + 7].copy_from_slice(&sum);
    header
}

/// A header with every TLV behind these addresses, and a good checksum.
pub(crate) fn with_every_tlv(family: u8, addresses: &[u8]) -> Vec<u8> {
    let before_crc = tlv(0x01, b"h2").len() + tlv(0x02, b"www.example.com").len();
    let header = v2(PROXY, family, &[addresses, &every_tlv()].concat());
    sealed(header, 16 + addresses.len() + before_crc)
}

/// One of each kind.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("v1 TCP4", b"PROXY TCP4 192.0.2.7 198.51.100.1 52953 443\r\n".to_vec()),
        ("v1 TCP4, longest", b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n".to_vec()),
        ("v1 TCP6", b"PROXY TCP6 2001:db8::7 2001:db8::1 52953 443\r\n".to_vec()),
        ("v1 TCP6 to IPv4", b"PROXY TCP6 2001:db8::7 198.51.100.1 52953 443\r\n".to_vec()),
        ("v1 TCP4 to IPv6", b"PROXY TCP4 192.0.2.7 2001:db8::1 52953 443\r\n".to_vec()),
        ("v1 TCP6, mapped", b"PROXY TCP6 ::ffff:192.0.2.7 ::1 0 65535\r\n".to_vec()),
        (
            "v1 TCP6, longest",
            b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"
                .to_vec(),
        ),
        ("v1 UNKNOWN", b"PROXY UNKNOWN\r\n".to_vec()),
        ("v1 UNKNOWN with junk", b"PROXY UNKNOWN one two  three four \0\xFF five six\r\n".to_vec()),
        ("v1 UNKNOWN, longest", [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 91], b"\r\n"].concat()),
        ("v2 TCP4", v2(PROXY, 0x11, &inet())),
        ("v2 TCP6", v2(PROXY, 0x21, &inet6())),
        ("v2 UNIX", v2(PROXY, 0x31, &unix())),
        ("v2 UNSPEC", v2(PROXY, 0x00, &[])),
        ("v2 UNSPEC with TLVs", with_every_tlv(0x00, &[])),
        ("v2 LOCAL", v2(LOCAL, 0x00, &[])),
        ("v2 LOCAL with junk", v2(LOCAL, 0xFF, b"anything")),
        ("v2 LOCAL with addresses and TLVs", v2(LOCAL, 0x11, &[inet(), tlv(0x02, b"a.example")].concat())),
        ("v2 TCP4 with TLVs", with_every_tlv(0x11, &inet())),
        ("v2 TCP6 with TLVs", with_every_tlv(0x21, &inet6())),
        ("v2 UNIX with TLVs", with_every_tlv(0x31, &unix())),
    ]
}
