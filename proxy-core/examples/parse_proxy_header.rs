//! Reads a PROXY header from standard input, or a built-in sample, and tells what it says.
//!
//! ```sh
//! cargo run -p proxy-core --example parse_proxy_header
//! printf 'PROXY TCP4 192.0.2.7 198.51.100.1 52953 443\r\nGET /' | cargo run -p proxy-core --example parse_proxy_header -- -
//! ```
#![expect(clippy::print_stdout, reason = "telling is what this example is for")]

use std::error::Error;
use std::io::{Read, stdin};

use proxy_core::header::{Decoded, Endpoints, HeaderLimits, Outgoing, Ssl, Tlvs, decode, encode_v2};

fn main() -> Result<(), Box<dyn Error>> {
    let limits = HeaderLimits::default();
    let bytes = if std::env::args().nth(1).as_deref() == Some("-") { input(&limits)? } else { sample()? };
    match decode(&bytes, &limits)? {
        Some(decoded) => tell(&decoded, &bytes),
        None => println!("{} bytes: the start of a header, more are needed", bytes.len()),
    }
    Ok(())
}

/// As much as a header can take, and a little of what follows.
fn input(limits: &HeaderLimits) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(limits.buffer_len())?;
    stdin().lock().take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What an outer proxy sends for a client that speaks TLS.
fn sample() -> Result<Vec<u8>, Box<dyn Error>> {
    let ssl = Ssl { client: 1, version: Some(b"TLSv1.3".to_vec()), ..Ssl::default() };
    let tlvs = Tlvs {
        alpn: Some(b"h2".to_vec()),
        authority: Some(b"www.example.com".to_vec()),
        ssl: Some(Box::new(ssl)),
        ..Tlvs::default()
    };
    let header = Outgoing {
        tlvs,
        crc32c: true,
        ..Outgoing::proxy("192.0.2.7:52953".parse()?, "[2001:db8::1]:443".parse()?)
    };
    let mut bytes = encode_v2(&header)?;
    bytes.extend(b"\x16\x03\x01 and so on");
    Ok(bytes)
}

fn tell(decoded: &Decoded, bytes: &[u8]) {
    let Decoded { header, len } = decoded;
    println!("{:?} {:?}, {len} bytes", header.version, header.command);
    match &header.endpoints {
        Endpoints::Unknown => println!("  no addresses: those of the socket count"),
        Endpoints::Inet { source, destination } => println!("  client {source} connected to {destination}"),
        Endpoints::Unix { source, destination } => {
            println!("  client {source:?} connected to {destination:?}");
        }
    }
    tell_tlvs(&header.tlvs);
    let payload = bytes.get(*len..).unwrap_or_default();
    println!("  payload: \"{}\"", payload.escape_ascii());
}

fn tell_tlvs(tlvs: &Tlvs) {
    let Tlvs { alpn, authority, unique_id, ssl, netns, crc32c, other } = tlvs;
    let texts = [("ALPN", alpn), ("authority", authority), ("unique id", unique_id), ("namespace", netns)];
    for (name, value) in texts {
        if let Some(value) = value {
            println!("  {name}: \"{}\"", value.escape_ascii());
        }
    }
    if let Some(ssl) = ssl {
        let version = ssl.version.as_deref().unwrap_or(b"unknown version").escape_ascii();
        println!("  TLS: {version}, client flags {:#04x}, verify {}", ssl.client, ssl.verify);
    }
    if let Some(sum) = crc32c {
        println!("  checksum: {sum:#010x}, right");
    }
    for (kind, value) in other {
        println!("  type {kind:#04x}: \"{}\"", value.escape_ascii());
    }
}
