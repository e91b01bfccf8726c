//! Builds hellos, right ones and wrong ones, and asks the reader about them.

use proxy_core::hello::{ClientHello, HelloError, HelloReader, Progress};

/// An extension: its number and its data.
pub(crate) type Extension = (u16, Vec<u8>);

/// A hello in the making. Nothing is checked: the tests want the wrong ones too.
#[derive(Debug, Clone)]
pub(crate) struct Hello {
    pub(crate) version: u16,
    pub(crate) session_id: Vec<u8>,
    pub(crate) ciphers: Vec<u16>,
    pub(crate) compression: Vec<u8>,
    /// `None` leaves out even the length of the list.
    pub(crate) extensions: Option<Vec<Extension>>,
}

impl Hello {
    /// What the oldest clients send: no list of extensions.
    pub(crate) fn bare() -> Self {
        Self {
            version: 0x0301,
            session_id: Vec::new(),
            ciphers: vec![0x002f, 0x000a],
            compression: vec![0],
            extensions: None,
        }
    }

    /// A hello of TLS 1.2 with nothing but signature algorithms, without which rustls reads no hello.
    pub(crate) fn plain() -> Self {
        Self { version: 0x0303, ..Self::bare() }.with(signature_algorithms())
    }

    /// What most tests need: a name and two protocols.
    pub(crate) fn ordinary() -> Self {
        Self { session_id: vec![7; 32], ..Self::plain() }
            .with(server_name(b"www.example.com"))
            .with(alpn(&[b"h2", b"http/1.1"]))
    }

    /// Of the shape and size of Chrome's: GREASE in every list, ECH, and a key share of X25519MLKEM768.
    pub(crate) fn like_chrome() -> Self {
        let ciphers = vec![
            0x3a3a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
            0x009c, 0x009d, 0x002f, 0x0035,
        ];
        Self { session_id: vec![0x5e; 32], ciphers, ..Self::plain() }
            .with((0x8a8a, Vec::new()))
            .with(ech())
            .with((51, vec16(&key_shares(&[(0x2a2a, 1), (0x11ec, 1216), (0x001d, 32)]))))
            .with((10, vec16(&be(&[0x2a2a, 0x11ec, 0x001d, 0x0017, 0x0018]))))
            .with((43, vec8(&be(&[0xcaca, 0x0304, 0x0303]))))
            .with(server_name(b"chrome.example.com"))
            .with((45, vec8(&[1])))
            .with((5, vec![1, 0, 0, 0, 0]))
            .with((11, vec8(&[0])))
            .with(alpn(&[b"h2", b"http/1.1"]))
            .with((0xff01, vec8(&[])))
            .with((17613, vec16(&vec8(b"h2"))))
            .with((27, vec8(&be(&[2]))))
            .with((23, Vec::new()))
            .with((35, Vec::new()))
            .with((18, Vec::new()))
            .with((0x4a4a, vec![0]))
    }

    pub(crate) fn with(mut self, extension: Extension) -> Self {
        self.extensions.get_or_insert_default().push(extension);
        self
    }

    /// The handshake message, header included.
    pub(crate) fn message(&self) -> Vec<u8> {
        let mut body = be(&[self.version]);
        body.extend([0x11; 32]);
        body.extend(vec8(&self.session_id));
        body.extend(vec16(&be(&self.ciphers)));
        body.extend(vec8(&self.compression));
        if let Some(extensions) = &self.extensions {
            let one = |(number, data): &Extension| [be(&[*number]), vec16(data)].concat();
            body.extend(vec16(&extensions.iter().flat_map(one).collect::<Vec<_>>()));
        }
        handshake(1, &body)
    }

    /// The stream, in records of `size` bytes of payload.
    pub(crate) fn stream(&self, size: usize) -> Vec<u8> {
        records(&self.message(), size)
    }

    /// The stream in one record.
    pub(crate) fn whole(&self) -> Vec<u8> {
        self.stream(usize::from(u16::MAX))
    }
}

pub(crate) fn server_name(name: &[u8]) -> Extension {
    server_names(&[(0, name)])
}

pub(crate) fn server_names(names: &[(u8, &[u8])]) -> Extension {
    let one = |(kind, name): &(u8, &[u8])| [vec![*kind], vec16(name)].concat();
    (0, vec16(&names.iter().flat_map(one).collect::<Vec<_>>()))
}

pub(crate) fn alpn(protocols: &[&[u8]]) -> Extension {
    (16, vec16(&protocols.iter().flat_map(|name| vec8(name)).collect::<Vec<_>>()))
}

pub(crate) fn signature_algorithms() -> Extension {
    (13, vec16(&be(&[0x0403, 0x0804, 0x0401])))
}

/// An outer `encrypted_client_hello`: HKDF-SHA256, AES-128-GCM, a config id, an X25519 key, the sealed hello.
pub(crate) fn ech() -> Extension {
    let head = [&[0], &be(&[1, 1])[..], &[0x99]].concat();
    (0xfe0d, [head, vec16(&[0x77; 32]), vec16(&[0xec; 176])].concat())
}

fn key_shares(shares: &[(u16, usize)]) -> Vec<u8> {
    shares.iter().flat_map(|&(group, len)| [be(&[group]), vec16(&vec![0x42; len])].concat()).collect()
}

/// Numbers as they go over the wire.
pub(crate) fn be(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// A vector behind a length of one byte.
pub(crate) fn vec8(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

/// A vector behind a length of two bytes.
pub(crate) fn vec16(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// A handshake message of any type.
pub(crate) fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind], &length[..], body].concat()
}

/// One record of any type.
pub(crate) fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1], &vec16(payload)[..]].concat()
}

/// Handshake records of `size` bytes of payload each; the last may be shorter.
pub(crate) fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(|piece| record(22, piece)).collect()
}

/// What the reader says of the stream in one piece.
pub(crate) fn read(stream: &[u8]) -> Progress {
    HelloReader::default().look(stream)
}

/// The hello in the stream.
#[track_caller]
pub(crate) fn hello(stream: &[u8]) -> ClientHello {
    match read(stream) {
        Progress::Hello(hello) => hello,
        other @ (Progress::More | Progress::NotTls(_) | Progress::Unreadable(_)) => {
            panic!("no hello: {other:?}")
        }
    }
}

/// Why the stream is refused, which begins as TLS does.
#[track_caller]
pub(crate) fn refusal(stream: &[u8]) -> HelloError {
    match read(stream) {
        Progress::Unreadable(why) => why,
        other @ (Progress::More | Progress::NotTls(_) | Progress::Hello(_)) => {
            panic!("not refused: {other:?}")
        }
    }
}

/// The protocols of a hello, to compare with literals.
pub(crate) fn protocols(hello: &ClientHello) -> Vec<&[u8]> {
    hello.alpn.iter().collect()
}

/// Shows the stream as the chunks come, until there is an answer: the answer, and how many bytes had come by then.
pub(crate) fn read_in_chunks<'a>(
    reader: &mut HelloReader,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Progress, usize) {
    let mut stream = Vec::new();
    for chunk in chunks {
        stream.extend_from_slice(chunk);
        let progress = reader.look(&stream);
        if progress != Progress::More {
            return (progress, stream.len());
        }
    }
    (Progress::More, stream.len())
}
